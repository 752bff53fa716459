package commands

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/test/freeport"
)

// The program tells systemd that it is ready, that it lives and that it stops.
func TestSystemd(t *testing.T) {
	dir := t.TempDir()
	bin := filepath.Join(dir, "ownline-web")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "github.com/ownline/ownline/cmd/ownline-web").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	socket := filepath.Join(dir, "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, "serve")
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=400000",
		"OWNLINE_WEB_STATE_DIR="+filepath.Join(dir, "state"), "OWNLINE_WEB_LISTEN="+freeport.Addr(t).String())
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	next := func() string {
		t.Helper()
		if err := l.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 200)
		n, err := l.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	for i, want := range []string{"READY=1", "WATCHDOG=1", "WATCHDOG=1"} {
		if got := next(); got != want {
			t.Errorf("word %d is %q, want %q", i, got, want)
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for got := next(); got != "STOPPING=1"; got = next() {
		if got != "WATCHDOG=1" {
			t.Errorf("got %q", got)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// systemd finds nothing wrong with the units, and that they confine the program.
func TestUnits(t *testing.T) {
	units, err := filepath.Glob("../../packaging/systemd/*.service")
	if err != nil || len(units) == 0 {
		t.Fatal(units, err)
	}
	for _, unit := range units {
		b, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(unit)
		// The program is not installed here: another takes its place.
		program := "/usr/bin/" + strings.TrimSuffix(name, ".service")
		text := strings.ReplaceAll(string(b), "ExecStart="+program, "ExecStart=/bin/true")
		if text == string(b) {
			t.Errorf("%s does not start %s", name, program)
		}
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", file).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if out, err := exec.CommandContext(t.Context(), "systemd-analyze", "security", "--offline=true", "--threshold=20", file).CombinedOutput(); err != nil {
			t.Errorf("%s gives the program more than it needs: %v\n%s", name, err, out)
		}
	}
}

// systemd takes the additions to units of others: here to one that does nothing, after another.
func TestDropIns(t *testing.T) {
	additions, err := filepath.Glob("../../packaging/systemd/*.service.d/*.conf")
	if err != nil || len(additions) == 0 {
		t.Fatal(additions, err)
	}
	for _, addition := range additions {
		b, err := os.ReadFile(addition)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		name := strings.TrimSuffix(filepath.Base(filepath.Dir(addition)), ".d")
		const nothing = "[Service]\nExecStart=/bin/true\n"
		if err := os.Mkdir(filepath.Join(dir, name+".d"), 0o700); err != nil {
			t.Fatal(err)
		}
		for file, text := range map[string]string{name: nothing, "ownline-core.service": nothing, name + ".d/" + filepath.Base(addition): string(b)} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", filepath.Join(dir, name))
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", addition, err, out)
		}
	}
}
