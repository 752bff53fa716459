package wholefile_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/wholefile"
)

// names are those in a folder.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "x")
	for _, mode := range []fs.FileMode{0o600, 0o644, 0o600} {
		content := []byte(mode.String())
		if err := wholefile.Write(file, content, mode); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(file)
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("holds %q, %v", got, err)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != mode && runtime.GOOS != "windows" {
			t.Errorf("has mode %v, want %v, %v", info.Mode(), mode, err)
		}
	}
	if left := names(t, dir); len(left) != 1 {
		t.Errorf("beside it there is %q", left)
	}
}

// Whoever reads meanwhile sees the old file or the new one, whole.
func TestReadMeanwhile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x")
	both := [][]byte{bytes.Repeat([]byte("a"), 1<<20), bytes.Repeat([]byte("b"), 1<<19)}
	if err := wholefile.Write(file, both[0], 0o600); err != nil {
		t.Fatal(err)
	}
	var over atomic.Bool
	var reading sync.WaitGroup
	reading.Go(func() {
		for !over.Load() {
			got, err := os.ReadFile(file)
			if err != nil || !bytes.Equal(got, both[0]) && !bytes.Equal(got, both[1]) {
				t.Errorf("%d bytes are neither the old nor the new, %v", len(got), err)
				return
			}
		}
	})
	for i := range 50 {
		if err := wholefile.Write(file, both[i%2], 0o600); err != nil {
			t.Error(err)
		}
	}
	over.Store(true)
	reading.Wait()
}

// When it fails nothing has changed, and nothing is left.
func TestWriteFails(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "folder")
	if err := os.MkdirAll(filepath.Join(folder, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := wholefile.Write(folder, []byte("x"), 0o600); err == nil {
		t.Error("a folder was replaced")
	}
	if left := names(t, dir); len(left) != 1 {
		t.Errorf("left are %q", left)
	}
	if err := wholefile.Write(filepath.Join(dir, "nowhere", "x"), []byte("x"), 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a folder that is not there: %v", err)
	}
}

// One of many gets the name, and what it wrote stays.
func TestCreate(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "x")
	var made atomic.Int64
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			switch err := wholefile.Create(file, []byte{byte(i)}); {
			case err == nil:
				made.Add(1)
			case !errors.Is(err, fs.ErrExist):
				t.Error(err)
			}
		})
	}
	all.Wait()
	got, err := os.ReadFile(file)
	if n := made.Load(); n != 1 || len(got) != 1 || err != nil {
		t.Errorf("%d were first; the file holds %v, %v", n, got, err)
	}
	if left := names(t, dir); len(left) != 1 {
		t.Errorf("beside it there is %q", left)
	}
}

// What a killed program left is removed, once nobody can be writing it any more; other files are not.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	for name, age := range map[string]time.Duration{wholefile.Mark + "1": time.Hour, wholefile.Mark + "2": 0, ".other": time.Hour} {
		file := filepath.Join(dir, name)
		then := time.Now().Add(-age)
		if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Chtimes(file, then, then)); err != nil {
			t.Fatal(err)
		}
	}
	wholefile.Sweep(dir)
	if left := names(t, dir); !slices.Equal(left, []string{".other", wholefile.Mark + "2"}) {
		t.Errorf("there are %q", left)
	}
}
