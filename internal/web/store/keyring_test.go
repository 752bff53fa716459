package store_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/store"
	"github.com/ownline/ownline/internal/web/store/storetest"
)

func rotation() ownline.AuditEntry {
	return ownline.AuditEntry{At: storetest.T0, By: "command", Action: "key.rotated"}
}

// secretsOf opens every secret.
func secretsOf(t *testing.T, s *store.Store, f storetest.Fixture) {
	t.Helper()
	must(t, s.Read(t.Context(), func(tx *store.Tx) error {
		ds, err := tx.CoreDevices(f.Site.ID)
		if err != nil || len(ds) == 0 || !bytes.Equal(ds[0].Secret, f.Device.Secret) {
			t.Errorf("CoreDevices = %v, %v", ds, err)
		}
		return nil
	}))
	must(t, s.ChangeBrokerCertificate(t.Context(), func(c *ownline.BrokerCertificate) bool {
		if c.Key != nil && string(c.Key) != "broker's" {
			t.Errorf("the broker's key is %q", []byte(c.Key))
		}
		first := c.Key == nil
		c.Key = ownline.Secret("broker's")
		return first
	}))
	pem, err := s.LinkIdentity(t.Context(), func() ([]byte, error) { return []byte("PEM"), nil })
	if err != nil || string(pem) != "PEM" {
		t.Errorf("LinkIdentity = %q, %v", pem, err)
	}
}

// A server that runs takes up a new key by itself, for what it reads and what it writes.
func TestRotate(t *testing.T) {
	for kind, place := range databases {
		t.Run(kind, func(t *testing.T) {
			h := newHouse(t, place(t))
			secretsOf(t, h.store, h.fixture)
			old, err := os.ReadFile(h.key)
			must(t, err)
			sealed := query(t, kind, h.database, "SELECT value FROM settings WHERE key LIKE 'store.%' OR key = 'link.identity' ORDER BY key")
			command := h.open(t)
			must(t, command.Rotate(t.Context(), rotation()))
			must(t, command.Rotate(t.Context(), rotation()))
			now, err := os.ReadFile(h.key)
			must(t, err)
			if bytes.Equal(old, now) {
				t.Error("the key is the same")
			}
			for _, v := range query(t, kind, h.database, "SELECT value FROM settings WHERE key LIKE 'store.%' OR key = 'link.identity' ORDER BY key") {
				for _, before := range sealed {
					if v == before {
						t.Errorf("%s is sealed as before", v)
					}
				}
			}
			if _, err := os.Stat(h.key + ".new"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a key was left behind: %v", err)
			}
			if fi, err := os.Stat(h.key); err != nil || fi.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v", fi.Mode(), err)
			}
			secretsOf(t, h.store, h.fixture)
			d := h.fixture.Device
			d.ID = ownline.NewID[ownline.Device]()
			must(t, h.store.Write(t.Context(), func(tx *store.Tx) error { return tx.AddDevice(d) }))
			must(t, h.store.Close())
			must(t, command.Close())
			secretsOf(t, h.open(t), h.fixture)
			// The old key is of no use any more.
			must(t, os.WriteFile(h.key, old, 0o600))
			if s, err := store.OpenKeyFile(t.Context(), h.database, h.key); err == nil {
				s.Close()
				t.Error("the old key opens the database")
			} else if !strings.Contains(err.Error(), "restore --force") {
				t.Errorf("no word of what to do: %v", err)
			}
		})
	}
}

// A rotation that comes before the one ahead of it has put its key in place, and then fails,
// does not take away the only key.
func TestRotateAtTheHeels(t *testing.T) {
	for kind, place := range databases {
		t.Run(kind, func(t *testing.T) {
			h := newHouse(t, place(t))
			secretsOf(t, h.store, h.fixture)
			old, err := os.ReadFile(h.key)
			must(t, err)
			ahead := h.open(t)
			must(t, ahead.Rotate(t.Context(), rotation()))
			must(t, ahead.Close())
			must(t, os.Rename(h.key, h.key+".new")) // as it was a moment before
			must(t, os.WriteFile(h.key, old, 0o600))
			must(t, h.store.Exec(t.Context(), "UPDATE settings SET value = 'damaged' WHERE key = 'link.identity'"))
			if err := h.store.Rotate(t.Context(), rotation()); err == nil {
				t.Error("a secret that can't be opened was sealed anew")
			}
			must(t, h.store.Close())
			s, err := store.OpenKeyFile(t.Context(), h.database, h.key)
			if err != nil {
				t.Fatal(err)
			}
			must(t, s.Close())
		})
	}
}

// TestMain rotates keys until it is killed, when it is told to.
func TestMain(m *testing.M) {
	if database := os.Getenv("OWNLINE_TEST_ROTATE"); database != "" {
		rotateForEver(database, os.Getenv("OWNLINE_TEST_ROTATE_KEY"))
	}
	os.Exit(m.Run())
}

func rotateForEver(database, key string) {
	for {
		s, err := store.OpenKeyFile(context.Background(), database, key)
		if err != nil {
			panic(err)
		}
		for range 20 {
			if err := s.Rotate(context.Background(), rotation()); err != nil {
				panic(err)
			}
			os.Stdout.WriteString(".")
		}
		s.Close()
	}
}

// A rotation that is killed at any moment leaves a pair of key and database that fit.
func TestRotateKilled(t *testing.T) {
	for kind, place := range databases {
		t.Run(kind, func(t *testing.T) {
			h := newHouse(t, place(t))
			secretsOf(t, h.store, h.fixture)
			pending := 0
			for range 12 {
				cmd := exec.Command(os.Args[0])
				cmd.Env = append(os.Environ(), "OWNLINE_TEST_ROTATE="+h.database, "OWNLINE_TEST_ROTATE_KEY="+h.key)
				var stderr bytes.Buffer
				cmd.Stderr = &stderr
				out, err := cmd.StdoutPipe()
				must(t, err)
				must(t, cmd.Start())
				if _, err := out.Read(make([]byte, 1)); err != nil { // it has begun
					t.Error(err)
				}
				time.Sleep(rand.N(60 * time.Millisecond))
				must(t, cmd.Process.Kill())
				if err := cmd.Wait(); err == nil || stderr.Len() > 0 {
					t.Fatalf("%v\n%s", err, &stderr)
				}
				if _, err := os.Stat(h.key + ".new"); err == nil {
					pending++
				}
				secretsOf(t, h.store, h.fixture) // the server that ran all the time
				s, err := store.OpenKeyFile(t.Context(), h.database, h.key)
				must(t, err)
				secretsOf(t, s, h.fixture)
				must(t, s.Close())
			}
			t.Logf("killed in the middle of a rotation %d times of 12", pending)
		})
	}
}

// The two moments that matter, for certain.
func TestRotateCutShort(t *testing.T) {
	h := newHouse(t, databases["sqlite"](t))
	secretsOf(t, h.store, h.fixture)
	must(t, h.store.Close())
	// The new key was written, and the database did not change over.
	other := filepath.Join(t.TempDir(), "other")
	_, err := store.KeyFile(t.Context(), other, "")
	must(t, err)
	b, err := os.ReadFile(other)
	must(t, err)
	must(t, os.WriteFile(h.key+".new", b, 0o600))
	secretsOf(t, h.open(t), h.fixture)
	// The database changed over, and the file did not take the old one's place.
	old, err := os.ReadFile(h.key)
	must(t, err)
	s := h.open(t)
	must(t, s.Rotate(t.Context(), rotation()))
	must(t, s.Close())
	must(t, os.Rename(h.key, h.key+".new"))
	must(t, os.WriteFile(h.key, old, 0o600))
	s = h.open(t)
	secretsOf(t, s, h.fixture)
	if _, err := os.Stat(h.key + ".new"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the new key was not put in place: %v", err)
	}
}

// Nothing in the database is sealed that a rotation does not know of.
func TestSealedIsListed(t *testing.T) {
	files, err := filepath.Glob("*.go")
	must(t, err)
	direct := regexp.MustCompile(`\.(seal|sealText)\(`)
	for _, name := range files {
		if name == "keyring.go" || name == "box.go" || strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		must(t, err)
		for line := range strings.Lines(string(b)) {
			m := direct.FindString(line)
			if m != "" && !strings.Contains(line, "t"+m) && !strings.Contains(line, "one of sealedSettings") &&
				!strings.Contains(line, `"outside/"`) { // what leaves the database
				t.Errorf("%s: %s: seal by Tx.seal, with a line in sealedColumns", name, strings.TrimSpace(line))
			}
		}
	}
}
