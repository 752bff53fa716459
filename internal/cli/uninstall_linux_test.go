package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Where systemd can't be told the agent is removed all the same, which is a failure only while
// one runs on.
func TestUninstallWithoutSystemd(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("PATH", home)
	if err := os.WriteFile(filepath.Join(home, "systemctl"), []byte("#!/bin/sh\necho no bus here >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(home, ".config/systemd/user/ownline-agent.service")
	if err := os.MkdirAll(filepath.Dir(unit), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, runs := range []bool{false, true} {
		if err := os.WriteFile(unit, []byte("[Unit]\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		a := &app{dir: t.TempDir()}
		if runs {
			release, err := a.agentFolder().Take(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = release() }()
		}
		out, err := run(t, a.dir, "", "agent", "uninstall", "--system=false")
		if (err != nil) != runs || strings.Contains(out, "disable") || !strings.Contains(out, "no bus here") ||
			!strings.Contains(out, "  systemctl --user daemon-reload\n") || strings.Contains(out, "  systemctl --user stop ownline-agent\n") != runs {
			t.Errorf("runs: %v: %v\n%s", runs, err, out)
		}
		if _, err := os.Stat(unit); !os.IsNotExist(err) {
			t.Errorf("left: %v", err)
		}
	}
}
