package guestpage

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A folder that has more than an earlier export in it is not written to.
func TestOnlyOurs(t *testing.T) {
	dir := t.TempDir()
	names := []string{"assets/a1.js", "config.json", "index.html"}
	if err := onlyOurs(filepath.Join(dir, "none"), names); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"index.html", "assets/old.js"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := onlyOurs(dir, names); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "thesis.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := onlyOurs(dir, names); err == nil || !strings.Contains(err.Error(), "holds thesis.txt") {
		t.Errorf("got %v", err)
	}
}
