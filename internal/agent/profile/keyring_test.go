package profile

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ownline/ownline/internal/ownline"
)

// ring is a keyring in memory, which may be locked.
type ring struct {
	mu      sync.Mutex
	secrets map[string]string
	locked  bool
}

func (r *ring) Ready() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open()
}

func (r *ring) open() error {
	if r.locked {
		return fmt.Errorf("locked: %w", ownline.ErrUnavailable)
	}
	return nil
}

func (r *ring) Set(name, secret string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.open(); err != nil {
		return err
	}
	r.secrets[name] = secret
	return nil
}

func (r *ring) Get(name string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.open(); err != nil {
		return "", err
	}
	if secret, ok := r.secrets[name]; ok {
		return secret, nil
	}
	return "", ownline.NotFound("secret", name)
}

func (r *ring) Delete(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.open(); err != nil {
		return err
	}
	delete(r.secrets, name)
	return nil
}

func withBroker() ownline.Profile {
	p := example("home")
	p.Broker = ownline.Broker{URL: "tls://broker.example.org:8883", Username: "ana", Password: ownline.Secret("pass&word")}
	return p
}

func newStore(t *testing.T) (Store, *ring) {
	r := &ring{secrets: map[string]string{}}
	return Store{Dir: filepath.Join(t.TempDir(), "ownline", "profiles"), Keyring: r}, r
}

func sameAs(t *testing.T, s Store, name string, want ownline.Profile) {
	t.Helper()
	got, err := s.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	if got.URI() != want.URI() {
		t.Error("another profile is loaded than was saved")
	}
}

// A secret in the keyring is nowhere in the file, and goes where the profile goes.
func TestKeyring(t *testing.T) {
	s, r := newStore(t)
	p := withBroker()
	if err := s.Save("home", p, InKeyring, false); err != nil {
		t.Fatal(err)
	}
	sameAs(t, s, "home", p)
	file, err := os.ReadFile(filepath.Join(s.Dir, "home.profile"))
	if err != nil || strings.Contains(string(file), "BwcH") || strings.Contains(string(file), "pass") || len(r.secrets) != 1 {
		t.Errorf("%s, %v, %d secrets", file, err, len(r.secrets))
	}
	for _, to := range []Place{InFile, InFile, InKeyring, InKeyring} {
		if err := s.Move("home", to); err != nil {
			t.Fatal(err)
		}
		sameAs(t, s, "home", p)
		list, err := s.List()
		if err != nil || len(list) != 1 || list[0].Secret != to || list[0].Profile.Host != p.Host || list[0].Profile.Key != nil || list[0].Profile.Broker.Password != nil {
			t.Errorf("%s: %+v, %v", to, list, err)
		}
		if want := map[Place]int{InFile: 0, InKeyring: 1}[to]; len(r.secrets) != want {
			t.Errorf("%s: %d secrets in the keyring", to, len(r.secrets))
		}
	}
	other := withBroker()
	if err := s.Save("home", other, InKeyring, false); !errors.Is(err, ownline.ErrConflict) {
		t.Errorf("saved over another: %v", err)
	}
	sameAs(t, s, "home", p)
	if err := s.Save("home", other, InKeyring, true); err != nil {
		t.Fatal(err)
	}
	sameAs(t, s, "home", other)
	if len(r.secrets) != 1 {
		t.Errorf("the secret of the replaced one is left: %d", len(r.secrets))
	}
	if err := s.Remove("home"); err != nil || len(r.secrets) != 0 {
		t.Errorf("%v, %d secrets are left", err, len(r.secrets))
	}
	if err := s.Remove("home"); !errors.Is(err, ownline.ErrNotFound) {
		t.Errorf("removed twice: %v", err)
	}
}

// A keyring that can't be had now, or has lost the secret, changes nothing, and the error
// says what to do.
func TestKeyringGone(t *testing.T) {
	s, r := newStore(t)
	p := withBroker()
	if err := s.Save("home", p, InKeyring, false); err != nil {
		t.Fatal(err)
	}
	if err := s.Save("file", p, InFile, false); err != nil {
		t.Fatal(err)
	}
	r.locked = true
	for what, try := range map[string]func() error{
		"load":    func() error { _, err := s.Load("home"); return err },
		"save":    func() error { return s.Save("new", p, InKeyring, false) },
		"replace": func() error { return s.Save("file", p, InKeyring, true) },
		"move":    func() error { return s.Move("file", InKeyring) },
		"back":    func() error { return s.Move("home", InFile) },
		"remove":  func() error { return s.Remove("home") },
		"none":    func() error { _, err := Store{Dir: s.Dir}.Load("home"); return err },
	} {
		if err := try(); !errors.Is(err, ownline.ErrUnavailable) || !strings.Contains(err.Error(), "--keyring off") {
			t.Errorf("%s: %v", what, err)
		}
	}
	r.locked = false
	sameAs(t, s, "home", p)
	sameAs(t, s, "file", p)
	if names, err := s.Names(); err != nil || !slices.Equal(names, []string{"file", "home"}) || len(r.secrets) != 1 {
		t.Errorf("%v, %v, %d secrets", names, err, len(r.secrets))
	}

	clear(r.secrets)
	if _, err := s.Load("home"); !errors.Is(err, ownline.ErrNotFound) || !strings.Contains(err.Error(), "enroll with --replace --name home") {
		t.Errorf("lost: %v", err)
	}
	if err := s.Remove("home"); err != nil {
		t.Errorf("lost: %v", err)
	}
}

// Of many that enroll under one name at once one succeeds, and its secret is there.
func TestAtOnce(t *testing.T) {
	for _, place := range []Place{InFile, InKeyring} {
		s, r := newStore(t)
		var wg sync.WaitGroup
		var mu sync.Mutex
		var won []ownline.Profile
		for range 20 {
			p := withBroker()
			wg.Go(func() {
				err := s.Save("home", p, place, false)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won = append(won, p)
				} else if !errors.Is(err, ownline.ErrConflict) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(won) != 1 {
			t.Fatalf("%s: %d were saved under one name", place, len(won))
		}
		sameAs(t, s, "home", won[0])
		if want := map[Place]int{InFile: 0, InKeyring: 1}[place]; len(r.secrets) != want {
			t.Errorf("%s: %d secrets: %v", place, len(r.secrets), slices.Collect(maps.Keys(r.secrets)))
		}
		if entries, err := os.ReadDir(s.Dir); err != nil || len(entries) != 1 {
			t.Errorf("%s: left over: %v, %v", place, entries, err)
		}
	}
}

// A file that others can read or change is refused, until its owner has mended it.
func TestModes(t *testing.T) {
	s, r := newStore(t)
	for name, place := range map[string]Place{"file": InFile, "ring": InKeyring} {
		if err := s.Save(name, example("home"), place, false); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		name string
		mode os.FileMode
		ok   bool
	}{
		{"file", 0o600, true},
		{"file", 0o400, true},
		{"file", 0o640, false},
		{"file", 0o604, false},
		{"file", 0o620, false},
		{"ring", 0o644, true},
		{"ring", 0o660, false},
		{"ring", 0o602, false},
	} {
		if err := os.Chmod(filepath.Join(s.Dir, tc.name+".profile"), tc.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Load(tc.name); (err == nil) != tc.ok || err != nil && (!errors.Is(err, ownline.ErrForbidden) || !strings.Contains(err.Error(), "chmod 600")) {
			t.Errorf("%s %o: %v", tc.name, tc.mode, err)
		}
	}
	if err := s.Remove("ring"); err != nil || len(r.secrets) != 0 { // of the last mode
		t.Errorf("removed: %v, and %d secrets are left", err, len(r.secrets))
	}
}

// One that can't be read does not hide the others; what a crash left behind is no profile.
func TestDamaged(t *testing.T) {
	s, _ := newStore(t)
	if err := s.Save("home", example("home"), InFile, false); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"empty.profile": nil, "large.profile": bytes.Repeat([]byte("ownline://"), 1<<20), ".ownline-new-123": []byte(example("x").URI()),
		"lost.profile": []byte("keyring x\n"),
	} {
		if err := os.WriteFile(filepath.Join(s.Dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	var good, bad []string
	for _, k := range list {
		if k.Err != nil {
			bad = append(bad, k.Name)
		} else {
			good = append(good, k.Name)
		}
	}
	if diff := cmp.Diff([][]string{{"home"}, {"empty", "large", "lost"}}, [][]string{good, bad}); diff != "" {
		t.Error(diff)
	}
	if err := s.Save("empty", example("home"), InFile, true); err != nil {
		t.Errorf("replace: %v", err)
	}
	if err := s.Remove("large"); err != nil {
		t.Errorf("remove: %v", err)
	}
}
