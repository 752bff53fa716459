package e2e

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
)

const sshPublic = 20022

// laptop is a machine of the admin's, with a profile and the names of services.
type laptop struct {
	*suite
	dir string // the configuration; its name is hard to quote
}

func (l *laptop) command(h *bed.Host, name string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	cmd := h.Command(l.t.Context(), name, args...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.Env = append(os.Environ(), "OWNLINE_CONFIG_DIR="+l.dir)
	return cmd, &said
}

func (l *laptop) run(h *bed.Host, stdin string, name string, args ...string) (string, error) {
	cmd, said := l.command(h, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	err := h.Run(cmd)
	return said.String(), err
}

func (l *laptop) must(h *bed.Host, stdin string, name string, args ...string) string {
	l.t.Helper()
	out, err := l.run(h, stdin, name, args...)
	if err != nil {
		l.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return out
}

// sshd starts OpenSSH's server in the LAN, with a key that it admits in KEY.
func (l *laptop) sshd(key string) func() {
	l.t.Helper()
	dir := l.t.TempDir()
	host := filepath.Join(dir, "host")
	for _, file := range []string{host, key} {
		l.must(l.Bed.Lan, "", "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file)
	}
	config := filepath.Join(dir, "sshd_config")
	text := fmt.Sprintf("ListenAddress %s\nPort 22\nHostKey %s\nAuthorizedKeysFile %s.pub\nStrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\nUsePAM no\nPidFile none\n", l.Bed.Lan.IPv4, host, key)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // Debian's sshd locks itself into it
		l.t.Fatal(err)
	}
	return func() {
		l.t.Helper()
		cmd := l.Bed.Lan.Command(l.t.Context(), "/usr/sbin/sshd", "-D", "-e", "-f", config)
		log := &bytes.Buffer{}
		cmd.Stderr = log
		if err := l.Bed.Lan.Start(cmd); err != nil {
			l.t.Fatalf("%v; `make test` installs openssh-server", err)
		}
		l.t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait() // it was killed
			if l.t.Failed() {
				l.t.Logf("sshd says:\n%s", log)
			}
		})
	}
}

// Plain ssh, with what `ownline ssh-config` prints, knocks by itself and gets in, while the
// port is dark for everybody else; knock --wait waits for the service itself.
// Invariants 1 and 3.
func TestSSH(t *testing.T) {
	l := &laptop{start(t, world.Options{}), filepath.Join(t.TempDir(), `my 'con"fig %h $(touch x) & co`)}
	lan, client := l.Bed.Lan, l.Bed.Client1
	key := filepath.Join(t.TempDir(), "key")
	startSSHD := l.sshd(key)
	service := l.service("nas-ssh", "tcp", lan, 22)
	l.grant(service, world.Map{"automatic": true, "public_port": sshPublic})
	d := l.device()
	l.must(client, d.Profile, programs.CLI, "enroll", "-", "--name", "home", "--keyring", "off")
	// At home once, to learn the names: outside the server can't be reached.
	l.must(lan, world.AdminPassword, programs.CLI, "login", "http://"+l.WebAddr().String(), "--name", world.AdminName, "--plain")
	l.must(lan, "", programs.CLI, "services")
	config := l.must(client, "", programs.CLI, "ssh-config", "--user", "root")
	if !strings.HasPrefix(config, "Host nas-ssh\n") || strings.Contains(config, "key=") {
		t.Errorf("ssh-config prints\n%s", config)
	}
	file := filepath.Join(t.TempDir(), "ssh_config")
	config += fmt.Sprintf("Host *\n\tIdentityFile %s\n\tIdentitiesOnly yes\n\tBatchMode yes\n\tStrictHostKeyChecking accept-new\n\tUserKnownHostsFile %s\n", key, file+".hosts")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	wantState(t, client, l.public(false, sshPublic), false)

	// The device is let in, but nothing serves yet.
	waiting, said := l.command(client, programs.CLI, "knock", "nas-ssh", "--wait", "--timeout", "90s")
	if err := client.Start(waiting); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- waiting.Wait() }()
	eventually(t, 30*time.Second, "a session", func() bool { return len(l.sessions()) == 1 })
	select {
	case err := <-ended:
		t.Fatalf("knock --wait ended before the service was there: %v\n%s", err, said)
	case <-time.After(time.Second):
	}
	startSSHD()
	if err := <-ended; err != nil {
		t.Fatalf("knock --wait: %v\n%s", err, said)
	}
	if want := "Connect to " + netip.AddrPortFrom(l.Bed.Router.IPv4, sshPublic).String(); !strings.Contains(said.String(), want) {
		t.Errorf("knock --wait says %s, not %s", said, want)
	}

	for _, s := range l.sessions() {
		l.close(s.ID)
	}
	wantState(t, client, l.public(false, sshPublic), false)
	if out := l.must(client, "", "ssh", "-F", file, "nas-ssh", "echo from $SSH_CLIENT"); !strings.Contains(out, "from "+client.IPv4.String()) {
		t.Errorf("ssh says %s", out)
	}
	if out, err := l.run(client, "", "ssh", "-F", file, "nas-ssh", "exit 7"); err == nil || !strings.Contains(err.Error(), "7") {
		t.Errorf("exit code: %v\n%s", err, out)
	}
	big := strings.Repeat("0123456789abcdef", 1<<16)
	if out := l.must(client, big, "ssh", "-F", file, "nas-ssh", "cat"); out != big {
		t.Errorf("%d bytes went and %d came back", len(big), len(out))
	}
	if out := l.must(client, "", programs.CLI, "knock", "nas-ssh", "--wait", "--", "ssh", "-F", "none", "-i", key, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=accept-new", "-o", "UserKnownHostsFile="+file+".plain", "-p", "{port}", "root@{host}", "echo in"); !strings.Contains(out, "in\n") {
		t.Errorf("knock -- ssh says %s", out)
	}
	wantState(t, l.Bed.Client2, l.public(false, sshPublic), false)

	// A device that counts no more gets an end, and ssh a reason.
	l.call("POST", "/devices/"+d.ID+"/revoke", nil, nil)
	eventually(t, 20*time.Second, "no session", func() bool { return len(l.sessions()) == 0 })
	short := strings.ReplaceAll(config, "--stdio", "--stdio --timeout 2s")
	if err := os.WriteFile(file, []byte(short), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := l.run(client, "", "ssh", "-F", file, "nas-ssh", "true"); err == nil || !strings.Contains(out, "no answer from") {
		t.Errorf("revoked: %v\n%s", err, out)
	}
	if _, err := os.Stat("x"); err == nil {
		t.Error("the folder's name was run by a shell")
	}
}
