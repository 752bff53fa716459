package firewalls

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ownline/ownline/test/bed"
)

// Firewalld is the daemon of that name on a host, as Debian installs it, with files and a message bus of its
// own: nothing of the machine's is asked.
type Firewalld struct {
	Bus string // its address
	// IPTables is the variant of iptables that it works by from the next Start on: nft or legacy; "": by nftables.
	IPTables string

	dir      string
	host     *bed.Host
	bus, cmd *exec.Cmd // nil: does not run
	log      strings.Builder
}

// everybodyMay is a bus that has no other users than we.
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
FirewallBackend=%s
FlushAllOnReload=yes
IPv6_rpfilter=yes
RFC3964_IPv4=yes
`

// NewFirewalld makes a bus, without anybody on it. Close it.
func NewFirewalld(h *bed.Host) (*Firewalld, error) {
	if err := need("/usr/sbin/firewalld", "/usr/bin/firewall-cmd", "/usr/bin/dbus-daemon"); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "fw") // the path of a socket has to be short
	if err != nil {
		return nil, err
	}
	socket := filepath.Join(dir, "bus")
	f := &Firewalld{Bus: "unix:path=" + socket, dir: dir, host: h}
	f.bus = h.Command(context.Background(), "/usr/bin/dbus-daemon", "--nofork", "--nopidfile", "--config-file", filepath.Join(dir, "bus.conf"))
	err = os.WriteFile(filepath.Join(dir, "bus.conf"), fmt.Appendf(nil, everybodyMay, socket), 0o644)
	if err == nil {
		err = h.Start(f.bus)
	}
	if err != nil {
		f.bus = nil
	} else {
		err = f.until("the bus is there", func() bool { _, err := os.Stat(socket); return err == nil })
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Close kills the daemon and its bus, and removes the files. The rules stay.
func (f *Firewalld) Close() error {
	f.Kill()
	kill(&f.bus)
	return os.RemoveAll(f.dir)
}

func kill(cmd **exec.Cmd) {
	if *cmd != nil {
		_ = (*cmd).Process.Kill()
		_ = (*cmd).Wait()
		*cmd = nil
	}
}

func (f *Firewalld) environment() []string { return []string{"DBUS_SYSTEM_BUS_ADDRESS=" + f.Bus} }

// Start starts the daemon and returns when it answers.
func (f *Firewalld) Start() error {
	etc := filepath.Join(f.dir, "etc")
	if err := os.MkdirAll(etc, 0o755); err != nil {
		return err
	}
	backend := "nftables"
	if f.IPTables != "" {
		backend = "iptables"
	}
	if err := os.WriteFile(filepath.Join(etc, "firewalld.conf"), fmt.Appendf(nil, firewalldConf, backend), 0o644); err != nil {
		return err
	}
	words := Variant(f.IPTables, "/usr/bin/python3", "/usr/sbin/firewalld", "--nofork", "--nopid",
		"--system-config", etc, "--log-target", "console")
	cmd := f.host.Command(context.Background(), words[0], words[1:]...)
	cmd.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}, f.environment()...)
	cmd.Stdout, cmd.Stderr = &f.log, &f.log
	if err := f.host.Start(cmd); err != nil {
		return err
	}
	f.cmd = cmd
	return f.until("firewalld runs", func() bool { out, err := f.Tell("--state"); return err == nil && strings.Contains(out, "running") })
}

// Stop stops the daemon as its unit does; it takes its rules away.
func (f *Firewalld) Stop() error {
	err := f.Signal(syscall.SIGTERM)
	if err == nil {
		_ = f.cmd.Wait()
		f.cmd = nil
	}
	return err
}

// Kill kills the daemon, if it runs; its rules stay.
func (f *Firewalld) Kill() { kill(&f.cmd) }

// Signal sends the daemon a signal.
func (f *Firewalld) Signal(s os.Signal) error { return f.cmd.Process.Signal(s) }

// Log is what the daemon said, for when it does not run.
func (f *Firewalld) Log() string { return f.log.String() }

// Tell has firewall-cmd say what words say, and returns what it prints. A word may be in quotes: '.
func (f *Firewalld) Tell(words string) (string, error) {
	args := []string{"/usr/bin/firewall-cmd"}
	for i, part := range strings.Split(words, "'") {
		if i%2 == 1 {
			args = append(args, part)
			continue
		}
		args = append(args, strings.Fields(part)...)
	}
	out, err := tell(f.host, f.environment(), args)
	return strings.TrimSpace(out), err
}

// Permanent are the files that the daemon reads and writes, as text.
func (f *Firewalld) Permanent() (string, error) {
	var all strings.Builder
	err := filepath.WalkDir(filepath.Join(f.dir, "etc"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all.WriteString(filepath.Base(path) + "\n" + string(b))
		return err
	})
	return all.String(), err
}

func (f *Firewalld) until(what string, done func() bool) error {
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("%s: not within a minute", what)
		}
	}
	return nil
}
