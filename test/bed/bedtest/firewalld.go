package bedtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ownline/ownline/test/bed"
)

// Firewalld is the daemon of that name on a host, as Debian installs it, with files and a message bus of its
// own: nothing of the machine's is asked.
type Firewalld struct {
	Bus string // its address

	dir  string
	host *bed.Host
	tb   testing.TB
	cmd  *exec.Cmd
	log  strings.Builder
}

// everybodyMay is a bus that has no other users than a test.
const everybodyMay = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/>
<allow send_type="signal"/><allow send_type="method_return"/><allow send_type="error"/>
<allow receive_type="method_call"/><allow receive_type="signal"/><allow receive_type="method_return"/>
<allow receive_type="error"/></policy></busconfig>
`

const firewalldConf = `DefaultZone=public
CleanupOnExit=yes
FirewallBackend=nftables
FlushAllOnReload=yes
IPv6_rpfilter=yes
RFC3964_IPv4=yes
`

// NewFirewalld makes a bus, without anybody on it.
func NewFirewalld(tb testing.TB, h *bed.Host) *Firewalld {
	tb.Helper()
	for _, name := range []string{"/usr/sbin/firewalld", "/usr/bin/firewall-cmd", "/usr/bin/dbus-daemon"} {
		if _, err := exec.LookPath(name); err != nil {
			tb.Fatalf("%v: run the tests by make test, which installs it", err)
		}
	}
	dir, err := os.MkdirTemp("", "fw") // the path of a socket has to be short
	if err != nil {
		tb.Fatal(err)
	}
	f := &Firewalld{dir: dir, host: h, tb: tb}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("firewalld said:\n%s", f.log.String())
		}
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	socket := filepath.Join(dir, "bus")
	f.Bus = "unix:path=" + socket
	for name, text := range map[string]string{"bus.conf": fmt.Sprintf(everybodyMay, socket), "etc/firewalld.conf": firewalldConf} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	bus := h.Command(context.Background(), "/usr/bin/dbus-daemon", "--nofork", "--nopidfile", "--config-file", filepath.Join(dir, "bus.conf"))
	if err := h.Start(bus); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = bus.Process.Kill(); _ = bus.Wait() })
	f.until("the bus is there", func() bool { _, err := os.Stat(socket); return err == nil })
	tb.Cleanup(f.Kill)
	return f
}

func (f *Firewalld) environment() []string {
	return []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "DBUS_SYSTEM_BUS_ADDRESS=" + f.Bus}
}

// Start starts the daemon and returns when it answers.
func (f *Firewalld) Start() {
	f.tb.Helper()
	f.cmd = f.host.Command(context.Background(), "/usr/bin/python3", "/usr/sbin/firewalld", "--nofork", "--nopid",
		"--system-config", filepath.Join(f.dir, "etc"), "--log-target", "console")
	f.cmd.Env, f.cmd.Stdout, f.cmd.Stderr = f.environment(), &f.log, &f.log
	if err := f.host.Start(f.cmd); err != nil {
		f.tb.Fatal(err)
	}
	f.until("firewalld runs", func() bool { out, err := f.Told("--state"); return err == nil && strings.Contains(out, "running") })
}

// Stop stops the daemon as its unit does; it takes its rules away.
func (f *Firewalld) Stop() {
	f.tb.Helper()
	if err := f.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		f.tb.Fatal(err)
	}
	_ = f.cmd.Wait()
	f.cmd = nil
}

// Kill kills the daemon, if it runs; its rules stay.
func (f *Firewalld) Kill() {
	if f.cmd != nil {
		_ = f.cmd.Process.Kill()
		_ = f.cmd.Wait()
		f.cmd = nil
	}
}

// Signal sends the daemon a signal.
func (f *Firewalld) Signal(s os.Signal) {
	f.tb.Helper()
	if err := f.cmd.Process.Signal(s); err != nil {
		f.tb.Fatal(err)
	}
}

// Tell has firewall-cmd say what words say, and returns what it prints. A word may be in quotes: '.
func (f *Firewalld) Tell(words string) string {
	f.tb.Helper()
	out, err := f.Told(words)
	if err != nil {
		f.tb.Fatalf("firewall-cmd %s: %v: %s", words, err, out)
	}
	return out
}

// Told is Tell that may fail.
func (f *Firewalld) Told(words string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var args []string
	for i, part := range strings.Split(words, "'") {
		if i%2 == 1 {
			args = append(args, part)
			continue
		}
		args = append(args, strings.Fields(part)...)
	}
	cmd := f.host.Command(ctx, "/usr/bin/python3", append([]string{"/usr/bin/firewall-cmd"}, args...)...)
	cmd.Env = f.environment()
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	err := f.host.Run(cmd)
	return strings.TrimSpace(out.String()), err
}

// Permanent are the files that the daemon reads, as text. Of what is removed it keeps copies.
func (f *Firewalld) Permanent() string {
	f.tb.Helper()
	var all strings.Builder
	err := filepath.WalkDir(filepath.Join(f.dir, "etc"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".old") {
			return err
		}
		b, err := os.ReadFile(path)
		all.WriteString(filepath.Base(path) + "\n" + string(b))
		return err
	})
	if err != nil {
		f.tb.Fatal(err)
	}
	return all.String()
}

func (f *Firewalld) until(what string, done func() bool) {
	f.tb.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			f.tb.Fatalf("%s: not within a minute: %s", what, f.log.String())
		}
	}
}
