//go:build unix

package profile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// inTime ends the test when f does not: what it waits for never comes.
func inTime(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan bool)
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatalf("%s hangs", what)
	}
}

// What is no profile at all is refused for the same reason by whoever reads it, which says what
// to do; it keeps nobody waiting, hides no other, and can be removed and replaced.
func TestStrange(t *testing.T) {
	s, r := newStore(t)
	good := example("home")
	if err := s.Save("home", good, InFile, false); err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.WriteFile(elsewhere, []byte("root:x:0:0\ndaemon:x:1:1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, want string
		make       func(file string) error
	}{
		{"pipe", "is a named pipe where a regular file belongs: remove it", func(file string) error { return syscall.Mkfifo(file, 0o600) }},
		{"folder", "is a folder where a regular file belongs", func(file string) error { return os.Mkdir(file, 0o700) }},
		{"null", "is a device where", func(file string) error { return os.Symlink(os.DevNull, file) }},
		{"linked", "not an ownline:// address", func(file string) error { return os.Symlink(elsewhere, file) }},
		{"dangling", "is a link to /nowhere/x, which is not there: mend the link, or run `ownline profiles remove dangling`", func(file string) error { return os.Symlink("/nowhere/x", file) }},
		{"large", "is larger than", func(file string) error { return os.WriteFile(file, make([]byte, 1<<20), 0o600) }},
	} {
		file := filepath.Join(s.Dir, tc.name+suffix)
		if err := tc.make(file); err != nil {
			t.Fatal(err)
		}
		inTime(t, tc.name, func() {
			_, err := s.Load(tc.name)
			if !errors.Is(err, ownline.ErrInvalid) || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), file) {
				t.Errorf("%s: load: %v", tc.name, err)
			}
			list, lerr := s.List()
			if lerr != nil || len(list) != 2 {
				t.Fatalf("%s: %+v, %v", tc.name, list, lerr)
			}
			for _, k := range list {
				if k.Name == "home" && k.Err != nil || k.Name == tc.name && (k.Err == nil || err == nil || k.Err.Error() != err.Error()) {
					t.Errorf("%s: listed: %s: %v", tc.name, k.Name, k.Err)
				}
			}
			if tc.name != "folder" {
				if err := s.Save(tc.name, good, InFile, true); err != nil {
					t.Errorf("%s: replace: %v", tc.name, err)
				}
				sameAs(t, s, tc.name, good)
				if err := errors.Join(os.Remove(file), tc.make(file)); err != nil {
					t.Error(err)
				}
			}
			if err := s.Remove(tc.name); err != nil {
				t.Errorf("%s: remove: %v", tc.name, err)
			}
		})
	}
	if content, err := os.ReadFile(elsewhere); err != nil || len(content) == 0 || len(r.secrets) != 0 {
		t.Errorf("what a link pointed to: %q, %v", content, err)
	}
}

// Where others may write they would choose where this machine knocks.
func TestFolderOfAll(t *testing.T) {
	s, r := newStore(t)
	if err := s.Save("home", example("home"), InKeyring, false); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{s.Dir, filepath.Dir(s.Dir)} {
		for _, mode := range []os.FileMode{0o777, 0o770, 0o702} {
			if err := os.Chmod(dir, mode); err != nil {
				t.Fatal(err)
			}
			_, load := s.Load("home")
			list, err := s.List()
			if err != nil || len(list) != 1 {
				t.Fatal(list, err)
			}
			for what, err := range map[string]error{"load": load, "list": list[0].Err, "save": s.Save("new", example("new"), InFile, false), "replace": s.Save("home", example("home"), InFile, true)} {
				if !errors.Is(err, ownline.ErrForbidden) || !strings.Contains(err.Error(), "run `chmod go-w "+dir+"`") {
					t.Errorf("%s %o: %s: %v", dir, mode, what, err)
				}
			}
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Load("home"); err != nil {
			t.Errorf("mended: %v", err)
		}
	}
	if err := os.Chmod(s.Dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove("home"); err != nil || len(r.secrets) != 0 {
		t.Errorf("removed: %v, and %d secrets are left", err, len(r.secrets))
	}
}

// What a program that was killed had begun to write goes at the next look and the next write.
func TestLeftBehind(t *testing.T) {
	s, _ := newStore(t)
	if err := s.Save("home", example("home"), InFile, false); err != nil {
		t.Fatal(err)
	}
	left, young := filepath.Join(s.Dir, ".ownline-new-123"), filepath.Join(s.Dir, ".ownline-new-456")
	for what, do := range map[string]func() error{
		"list":  func() error { _, err := s.List(); return err },
		"write": func() error { return WriteFile(filepath.Join(s.Dir, "x"), nil) },
	} {
		for _, file := range []string{left, young} {
			if err := os.WriteFile(file, []byte(example("x").URI()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		old := time.Now().Add(-time.Hour)
		if err := errors.Join(os.Chtimes(left, old, old), os.Chtimes(young, old, time.Now().Add(time.Hour)), do()); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(left); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: it is still there: %v", what, err)
		}
		if _, err := os.Lstat(young); err != nil {
			t.Errorf("%s: one that is being written: %v", what, err)
		}
	}
}
