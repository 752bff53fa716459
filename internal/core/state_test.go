package core

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Invariant 9: what core keeps is for its owner alone.
func TestStateFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(dir, 0o755); err != nil { // as others may make it
		t.Fatal(err)
	}
	p := newPairing(t, dir)
	c, _, err := p.newCode("router.lan", nil)
	if err != nil || c.Addr != "router.lan:57329" {
		t.Fatalf("code for %s, %v", c.Addr, err)
	}
	if err := p.pair("web", c.Token); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".", keyFile, savedFile} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: mode %v, %v", name, info.Mode(), err)
		}
	}
	if again := newPairing(t, dir); again.pin != p.pin {
		t.Error("a restart changed the link key")
	}
	if err := os.WriteFile(filepath.Join(dir, savedFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := openState(dir); err == nil || !strings.Contains(err.Error(), savedFile) {
		t.Errorf("damaged state: %v, want an error that names the file", err)
	}
}
