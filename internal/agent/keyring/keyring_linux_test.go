package keyring

import (
	"bufio"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/ownline/ownline/internal/ownline"
)

// busConfig is of a bus that starts no services: asked before ours is there, it would start
// another keyring, which nobody unlocks.
const busConfig = `<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/tmp</listen>
  <auth>EXTERNAL</auth>
  <policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>`

// desktop starts a session bus and GNOME's keyring with an open login keyring, for this test
// alone, and returns the keyring's process.
func desktop(t *testing.T) *os.Process {
	t.Helper()
	home := t.TempDir()
	conf := filepath.Join(home, "bus.conf")
	if err := os.WriteFile(conf, []byte(busConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	bus := exec.Command("dbus-daemon", "--config-file="+conf, "--nofork", "--nopidfile", "--print-address")
	out, err := bus.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	start(t, bus, home)
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", strings.TrimSpace(address))
	ring := exec.Command("gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets")
	ring.Stdin = strings.NewReader("password of the keyring")
	start(t, ring, home)
	s := New()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if err := s.Ready(); err == nil {
			return ring.Process
		} else if time.Now().After(end) {
			t.Fatalf("the keyring does not come up: %v", err)
		}
	}
}

func start(t *testing.T, cmd *exec.Cmd, home string) {
	t.Helper()
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "DISPLAY=") && !strings.HasPrefix(v, "WAYLAND_DISPLAY=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "HOME="+home, "XDG_DATA_HOME="+home, "XDG_RUNTIME_DIR="+home)
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v; `make test` installs dbus-daemon and gnome-keyring", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
}

func TestSecretService(t *testing.T) {
	desktop(t)
	s := New()
	for _, secret := range []string{"key=AbC-_&password=p%26", "another"} { // kept, and replaced
		if err := s.Set("home 1", secret); err != nil {
			t.Fatal(err)
		}
		if got, err := New().Get("home 1"); err != nil || got != secret {
			t.Errorf("got %q, %v", got, err)
		}
	}
	if _, err := s.Get("home 2"); !errors.Is(err, ownline.ErrNotFound) {
		t.Errorf("another's: %v", err)
	}
	for range 2 { // that it is gone is no error
		if err := s.Delete("home 1"); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Get("home 1"); !errors.Is(err, ownline.ErrNotFound) {
		t.Errorf("deleted: %v", err)
	}
}

// A keyring that is locked is not used where nobody asked for it, and not waited for
// where nobody can be asked.
func TestLocked(t *testing.T) {
	desktop(t)
	s := New()
	if err := s.Set("home", "secret"); err != nil {
		t.Fatal(err)
	}
	conn, err := dbus.ConnectSessionBus()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	call := conn.Object(busName, root).Call("org.freedesktop.Secret.Service.Lock", 0, []dbus.ObjectPath{collection})
	if call.Err != nil {
		t.Fatal(call.Err)
	}
	if err := s.Ready(); !errors.Is(err, ownline.ErrUnavailable) || !strings.Contains(err.Error(), "locked") {
		t.Errorf("Ready: %v", err)
	}
	begun := time.Now()
	if got, err := s.Get("home"); !errors.Is(err, ownline.ErrUnavailable) {
		t.Errorf("Get: %q, %v", got, err)
	}
	t.Logf("took %s", time.Since(begun))
}

// A bus that is not there, or takes the connection and says nothing, or a keyring that is
// stopped, costs a few seconds and no more.
func TestDead(t *testing.T) {
	dead := func(t *testing.T, s *System) {
		t.Helper()
		begun := time.Now()
		if _, err := s.Get("home"); !errors.Is(err, ownline.ErrUnavailable) {
			t.Errorf("Get: %v", err)
		}
		if took := time.Since(begun); took > promptTime/2 {
			t.Errorf("took %s", took)
		}
	}
	t.Run("no bus", func(t *testing.T) {
		t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+filepath.Join(t.TempDir(), "bus"))
		dead(t, New())
	})
	t.Run("silent bus", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "bus")
		l, err := net.Listen("unix", path) // the kernel takes connections
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+path)
		dead(t, New())
	})
	t.Run("stopped keyring", func(t *testing.T) {
		ring := desktop(t)
		if err := ring.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		dead(t, New())
		if err := ring.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	})
}
