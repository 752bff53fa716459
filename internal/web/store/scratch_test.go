package store

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// What a killed process left is removed; what is in use, or not a scratch folder of ours, stays.
func TestScratch(t *testing.T) {
	in := t.TempDir()
	scratchIn := func() *scratch {
		t.Helper()
		s, err := newScratch(in)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(s.file("copy"), []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
		return s
	}
	killed, used := scratchIn(), scratchIn()
	if err := killed.lock.Close(); err != nil { // as the system does for who dies
		t.Fatal(err)
	}
	for _, other := range []string{".backup-1", ".ownline-readable.tmp"} {
		if err := os.Mkdir(filepath.Join(in, other), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	later := scratchIn()
	if _, err := os.Stat(killed.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what a killed process left is still there: %v", err)
	}
	for _, dir := range []string{used.dir, later.dir, filepath.Join(in, ".backup-1"), filepath.Join(in, ".ownline-readable.tmp")} {
		if _, err := os.Stat(dir); err != nil {
			t.Error(err)
		}
	}
	for _, s := range []*scratch{used, later} {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(s.dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("closed, and still there: %v", err)
		}
	}
}

// Backup, Restore, Rotate and Open remove what such as they left.
func TestLeftovers(t *testing.T) {
	in := t.TempDir()
	database, key, backup := filepath.Join(in, "ownline.db"), filepath.Join(in, "secret.key"), filepath.Join(in, "backup")
	open := func() *Store {
		t.Helper()
		s, err := OpenKeyFile(t.Context(), database, key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	for what, do := range map[string]func() error{
		"backup": func() error { return s.Backup(t.Context(), backup) },
		"open":   func() error { return open().Close() },
	} {
		left := filepath.Join(in, ".ownline-1.tmp")
		if err := os.Mkdir(left, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := do(); err != nil {
			t.Fatal(what, err)
		}
		if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: what was left is still there: %v", what, err)
			os.Remove(left)
		}
	}
	for _, name := range []string{".secret.key.new-1", ".secret.key.old"} {
		if err := os.WriteFile(filepath.Join(in, name), bytes.Repeat([]byte{'x'}, 45), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Rotate(t.Context(), ownline.AuditEntry{At: time.Now(), By: "command", Action: "test"}); err != nil {
		t.Fatal(err)
	}
	if got, err := filepath.Glob(filepath.Join(in, ".*")); err != nil || len(got) != 1 || filepath.Base(got[0]) != ".secret.key.old" {
		t.Errorf("after a rotation: %v, %v; want what is not its own alone", got, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(in, ".ownline-1.tmp")
	if err := os.Mkdir(left, 0o700); err != nil {
		t.Fatal(err)
	}
	// Refused or not: the key is another one by now.
	if err := Restore(t.Context(), RestoreOptions{File: backup, Database: database, KeyFile: key, Force: true}); err == nil {
		t.Error("restored with another key")
	}
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("restore: what was left is still there: %v", err)
	}
}
