package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ownline/ownline/test/world"
)

// caddyFront is a Caddy with a configuration of somebody else's, which is all that it knows
// after each of its starts.
func caddyFront(t *testing.T) front {
	program, err := exec.LookPath("caddy")
	if err != nil {
		t.Fatal("caddy is not installed; make test installs it")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "caddy.json")
	config := fmt.Sprintf(`{"admin": {"listen": "unix/%s/admin"}, "storage": {"module": "file_system", "root": %q}}`, dir, dir)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return front{
		core: world.ProxyWith(fmt.Sprintf("driver: caddy, gate_socket: %q, caddy: {admin: %q}", filepath.Join(dir, "gate"), "unix:"+filepath.Join(dir, "admin"))),
		start: func(s *suite) *world.Daemon {
			t.Setenv("XDG_CONFIG_HOME", dir)
			t.Setenv("XDG_DATA_HOME", dir)
			d, err := s.StartOnRouter(t.Context(), program, "run", "--config", file)
			if err != nil {
				t.Fatal(err)
			}
			return d
		},
	}
}
