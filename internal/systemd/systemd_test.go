package systemd

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestTell(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "notify"), fmt.Sprintf("@ownline-test-%d", os.Getpid())} {
		l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		m, err := FromEnvironment(environment{"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "3000000"}.lookup)
		if err != nil || m.AliveEvery() != 1500*time.Millisecond {
			t.Errorf("%s: alive every %s, %v", name, m.AliveEvery(), err)
		}
		if err := m.Tell(Ready); err != nil {
			t.Error(err)
		}
		b := make([]byte, 64)
		if n, err := l.Read(b); err != nil || string(b[:n]) != "READY=1" {
			t.Errorf("%s: got %q, %v", name, b[:n], err)
		}
	}
}

type environment map[string]string

func (e environment) lookup(k string) (string, bool) { v, ok := e[k]; return v, ok }

func TestFromEnvironment(t *testing.T) {
	self := fmt.Sprint(os.Getpid())
	for name, tc := range map[string]struct {
		env   environment
		every time.Duration
		bad   bool
	}{
		"nobody listens":           {env: environment{"WATCHDOG_USEC": "2"}},
		"no watchdog":              {env: environment{"NOTIFY_SOCKET": "/x"}},
		"watchdog of this process": {env: environment{"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "2000", "WATCHDOG_PID": self}, every: time.Millisecond},
		"watchdog of another":      {env: environment{"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "2000", "WATCHDOG_PID": "1"}},
		"no socket":                {env: environment{"NOTIFY_SOCKET": "vsock:2:1"}, bad: true},
		"no number":                {env: environment{"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "soon"}, bad: true},
	} {
		m, err := FromEnvironment(tc.env.lookup)
		if m.AliveEvery() != tc.every || (err != nil) != tc.bad {
			t.Errorf("%s: every %s, %v", name, m.AliveEvery(), err)
		}
	}
	if err := (Manager{}).Tell(Ready); err != nil {
		t.Error(err)
	}
	if err := (Manager{socket: "/nonexistent/x"}).Tell(Ready); err == nil {
		t.Error("a manager that is not there was told")
	}
}
