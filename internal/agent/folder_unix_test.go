//go:build unix

package agent

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Pipes in the place of the agent's files keep nobody waiting.
func TestFolderOfPipes(t *testing.T) {
	f := Folder(filepath.Join(t.TempDir(), "agent"))
	if err := f.Write(State{}); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		use  func() error
	}{
		{"state.json", func() error { _, _, err := f.Read(); return err }},
		{"lock", func() error { _, _, err := f.Read(); return err }},
		{"lock", func() error { _, err := f.Take(t.Context()); return err }},
	} {
		file := filepath.Join(string(f), tc.name)
		if err := os.RemoveAll(file); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(file, 0o600); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- tc.use() }()
		select {
		case err := <-done:
			if err == nil || !strings.Contains(err.Error(), file+" is a named pipe") {
				t.Errorf("%s: %v", tc.name, err)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("%s hangs", tc.name)
		}
	}
}
