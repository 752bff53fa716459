package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/store"
	"github.com/ownline/ownline/internal/web/store/pgtest"
	"github.com/ownline/ownline/internal/web/store/storetest"
)

// databases are both kinds.
var databases = map[string]func(testing.TB) string{
	"sqlite":   func(tb testing.TB) string { return filepath.Join(tb.TempDir(), "ownline.db") },
	"postgres": func(tb testing.TB) string { return pgtest.Database(tb) },
}

// house is a database with a key file, of which one of everything is in it.
type house struct {
	database, key, backup string
	store                 *store.Store
	fixture               storetest.Fixture
}

func newHouse(t *testing.T, database string) *house {
	t.Helper()
	dir := t.TempDir()
	h := &house{database: database, key: filepath.Join(dir, "secret.key"), backup: filepath.Join(dir, "backup")}
	h.store = h.open(t)
	h.fixture = storetest.Fill(t, h.store)
	for range 3 {
		must(t, h.store.Audit(t.Context(), ownline.AuditEntry{At: storetest.T0, By: "command", Action: "test"}))
	}
	must(t, h.store.AddLogin(t.Context(), ownline.Login{ID: ownline.NewID[ownline.Login](), User: h.fixture.User.ID, Created: storetest.T0, Expires: storetest.T0.Add(time.Hour)}, []byte("cookie")))
	return h
}

func (h *house) open(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.OpenKeyFile(t.Context(), h.database, h.key)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (h *house) restore(t *testing.T, into string, force bool) error {
	return store.Restore(t.Context(), store.RestoreOptions{
		File: h.backup, Database: into, KeyFile: h.key, Force: force, Now: storetest.T0.Add(time.Minute),
		Audit: ownline.AuditEntry{At: storetest.T0, By: "command", Action: "database.restored"},
	})
}

func epoch(t *testing.T, s *store.Store) (e string) {
	t.Helper()
	must(t, s.Read(t.Context(), func(tx *store.Tx) (err error) {
		e, err = tx.Epoch()
		return err
	}))
	return e
}

// A backup of either database, made while others write, comes back in either.
func TestBackup(t *testing.T) {
	for from, source := range databases {
		for into, target := range databases {
			t.Run(from+" to "+into, func(t *testing.T) {
				h := newHouse(t, source(t))
				stop := keepWriting(t, h.store)
				must(t, h.store.Backup(t.Context(), h.backup))
				stop()
				if fi, err := os.Stat(h.backup); err != nil || fi.Mode().Perm() != 0o600 {
					t.Errorf("mode %v, %v", fi.Mode(), err)
				}
				if err := h.store.Backup(t.Context(), h.backup); !errors.Is(err, fs.ErrExist) {
					t.Errorf("Backup over a file = %v, want ErrExist", err)
				}
				if b, err := os.ReadFile(h.backup); err != nil || bytes.Contains(b, h.fixture.Device.Secret[:8]) {
					t.Errorf("the backup holds a secret in the clear, %v", err)
				}
				restored := &house{database: target(t), key: h.key, backup: h.backup}
				must(t, restored.restore(t, restored.database, false))
				s := restored.open(t)
				if epoch(t, s) == epoch(t, h.store) {
					t.Error("no new epoch")
				}
				must(t, s.Read(t.Context(), func(tx *store.Tx) error {
					if u, err := tx.User(h.fixture.User.ID); err != nil || u.Name != h.fixture.User.Name {
						t.Errorf("User = %+v, %v", u, err)
					}
					e, err := tx.Session(h.fixture.Session.ID)
					if err != nil || e.State != ownline.Ended {
						t.Errorf("Session = %+v, %v; want one that has ended", e, err)
					}
					ds, err := tx.CoreDevices(h.fixture.Site.ID)
					if err != nil || len(ds) != 1 || !bytes.Equal(ds[0].Secret, h.fixture.Device.Secret) {
						t.Errorf("CoreDevices = %v, %v", ds, err)
					}
					return nil
				}))
				if _, _, err := s.Login(t.Context(), []byte("cookie"), storetest.T0); !errors.Is(err, ownline.ErrNotFound) {
					t.Errorf("somebody is signed in after a restore: %v", err)
				}
				// A knock of before, which the backup may not know of.
				if storetest.Accept(t, s, h.fixture.Device.ID, [12]byte{1}, storetest.T0, time.Minute) {
					t.Error("a knock counts that was made before the restore")
				}
				// The log goes on, and stays one that is only added to.
				must(t, s.Audit(t.Context(), ownline.AuditEntry{At: storetest.T0, By: "command", Action: "after"}))
				if err := s.Exec(t.Context(), "DELETE FROM audit"); err == nil {
					t.Error("the audit log can be shortened after a restore")
				}
			})
		}
	}
}

// keepWriting writes until it is stopped.
func keepWriting(t *testing.T, s *store.Store) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for n := range 2 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if err := s.SetSetting(ctx, fmt.Sprintf("%d.%d", n, i%50), fmt.Sprint(i)); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		})
	}
	return func() { cancel(); wg.Wait() }
}

func TestRestoreRefuses(t *testing.T) {
	for kind, source := range databases {
		t.Run(kind, func(t *testing.T) {
			h := newHouse(t, source(t))
			must(t, h.store.Backup(t.Context(), h.backup))
			must(t, h.store.SetSetting(t.Context(), "k", "later"))
			before := epoch(t, h.store)
			if err := h.restore(t, h.database, false); !errors.Is(err, store.ErrNotEmpty) && !errors.Is(err, store.ErrInUse) {
				t.Errorf("over a database that is not empty: %v", err)
			}
			if err := h.restore(t, h.database, true); !errors.Is(err, store.ErrInUse) {
				t.Errorf("under a server: %v, want ErrInUse", err)
			}
			if v, err := h.store.Setting(t.Context(), "k"); v != "later" || err != nil || epoch(t, h.store) != before {
				t.Errorf("a restore that was refused changed something: %q, %v", v, err)
			}
			must(t, h.store.Close())
			if err := h.restore(t, h.database, false); !errors.Is(err, store.ErrNotEmpty) {
				t.Errorf("over a database that is not empty: %v, want ErrNotEmpty", err)
			}

			good, err := os.ReadFile(h.backup)
			must(t, err)
			for what, b := range map[string][]byte{
				"text": []byte("hello"), "nothing": nil, "cut short": good[:len(good)/2], "overwritten": append(append([]byte{}, good[:4096]...), bytes.Repeat([]byte{7}, len(good)-4096)...),
			} {
				must(t, os.WriteFile(h.backup, b, 0o600))
				if err := h.restore(t, h.database, true); err == nil {
					t.Errorf("a backup that is %s was restored", what)
				}
			}
			must(t, os.WriteFile(h.backup, good, 0o600))
			// Another key.
			mine := h.key
			h.key = filepath.Join(t.TempDir(), "other")
			if err := h.restore(t, h.database, true); err == nil || !strings.Contains(err.Error(), "key") {
				t.Errorf("without a key: %v", err)
			}
			_, err = store.KeyFile(t.Context(), h.key, "")
			must(t, err)
			if err := h.restore(t, h.database, true); err == nil || !strings.Contains(err.Error(), "another key") {
				t.Errorf("with another key: %v", err)
			}
			h.key = mine
			h.store = h.open(t)
			if v, err := h.store.Setting(t.Context(), "k"); v != "later" || err != nil || epoch(t, h.store) != before {
				t.Errorf("a restore that was refused changed something: %q, %v", v, err)
			}
			must(t, h.store.Close())

			must(t, h.restore(t, h.database, true))
			h.store = h.open(t)
			if v, err := h.store.Setting(t.Context(), "k"); v != "" || err != nil || epoch(t, h.store) == before {
				t.Errorf("restored by force: setting %q, %v", v, err)
			}
			if kind == "sqlite" {
				if fi, err := os.Stat(store.BeforeRestore(h.database)); err != nil || fi.Mode().Perm() != 0o600 {
					t.Errorf("what was replaced is not kept: %v", err)
				}
				if left, err := filepath.Glob(filepath.Join(filepath.Dir(h.database), ".*")); err != nil || len(left) > 0 {
					t.Errorf("left behind: %v, %v", left, err)
				}
			}
		})
	}
}

// A backup from before a rotation comes back with the key of its time, which is not that of
// the database that it replaces.
func TestRestoreBeforeRotation(t *testing.T) {
	for kind, place := range databases {
		t.Run(kind, func(t *testing.T) {
			h := newHouse(t, place(t))
			secretsOf(t, h.store, h.fixture)
			must(t, h.store.Backup(t.Context(), h.backup))
			old, err := os.ReadFile(h.key)
			must(t, err)
			must(t, h.store.Rotate(t.Context(), rotation()))
			must(t, h.store.Close())
			if err := h.restore(t, h.database, true); err == nil || !strings.Contains(err.Error(), "of the time of the backup") {
				t.Errorf("with the key of the database that is replaced: %v", err)
			}
			must(t, os.WriteFile(h.key, old, 0o600))
			if err := h.restore(t, h.database, false); !errors.Is(err, store.ErrNotEmpty) {
				t.Errorf("without force: %v, want ErrNotEmpty", err)
			}
			must(t, h.restore(t, h.database, true))
			secretsOf(t, h.open(t), h.fixture)
		})
	}
}

// Of a damaged database it is said what helps, and that helps.
func TestDamaged(t *testing.T) {
	h := newHouse(t, databases["sqlite"](t))
	must(t, h.store.Backup(t.Context(), h.backup))
	must(t, h.store.Close())
	good, err := os.ReadFile(h.database)
	must(t, err)
	for what, b := range map[string][]byte{
		"not a database": bytes.Repeat([]byte("hello"), 2000),
		"overwritten":    append(append([]byte{}, good[:4096]...), bytes.Repeat([]byte{7}, len(good)-4096)...),
	} {
		must(t, os.WriteFile(h.database, b, 0o600))
		s, err := store.OpenKeyFile(t.Context(), h.database, h.key)
		if err == nil {
			s.Close()
			t.Fatalf("%s: it was opened", what)
		}
		if !strings.Contains(err.Error(), "restore --force FILE") {
			t.Errorf("%s: no word of what to do: %v", what, err)
		}
		must(t, h.restore(t, h.database, true))
		s = h.open(t)
		secretsOf(t, s, h.fixture)
		must(t, s.Close())
	}
}

// Each thing that is wrong with a key file has an advice of its own.
func TestRestoreAdvice(t *testing.T) {
	h := newHouse(t, databases["sqlite"](t))
	must(t, h.store.Backup(t.Context(), h.backup))
	must(t, os.Chmod(h.key, 0o644))
	err := h.restore(t, h.database, true)
	if err == nil || !strings.Contains(err.Error(), "chmod 600") || strings.Contains(err.Error(), "bring back") {
		t.Errorf("a key that others may read: %v", err)
	}
	must(t, os.Remove(h.key))
	if err := h.restore(t, h.database, true); err == nil || !strings.Contains(err.Error(), "bring back") {
		t.Errorf("no key: %v", err)
	}
}

// What may not be true any more does not come back: invitations are revoked, and cores are
// told again of a link key that is to come.
func TestRestoreTakesBack(t *testing.T) {
	for kind, place := range databases {
		t.Run(kind, func(t *testing.T) {
			h := newHouse(t, place(t))
			i := ownline.Invitation{
				ID: ownline.NewID[ownline.Invitation](), User: h.fixture.User.ID, Service: h.fixture.Service.ID,
				For: time.Minute, Uses: 1, Created: storetest.T0, Expires: storetest.T0.Add(time.Hour),
			}
			must(t, h.store.Write(t.Context(), func(tx *store.Tx) error { return tx.AddInvitation(i, []byte("hash"), nil) }))
			const known = "link.identity.known"
			must(t, h.store.SetSetting(t.Context(), known, "somebody"))
			must(t, h.store.Backup(t.Context(), h.backup))
			must(t, h.store.Close())
			must(t, h.restore(t, h.database, true))
			s := h.open(t)
			must(t, s.Read(t.Context(), func(tx *store.Tx) error {
				got, err := tx.Invitation(i.ID)
				if err != nil || got.Revoked.IsZero() {
					t.Errorf("an invitation after a restore: %+v, %v; want it revoked", got, err)
				}
				return nil
			}))
			if v, err := s.Setting(t.Context(), known); v != "" || err != nil {
				t.Errorf("cores count as told after a restore: %q, %v", v, err)
			}
		})
	}
}

// A backup whose rows refer to others that are missing is refused, and changes nothing.
func TestRestoreUnsound(t *testing.T) {
	h := newHouse(t, databases["sqlite"](t))
	must(t, h.store.Backup(t.Context(), h.backup))
	db, err := sql.Open("sqlite", h.backup) // which does not look after references unless told to
	must(t, err)
	_, err = db.ExecContext(t.Context(), "DELETE FROM users")
	must(t, errors.Join(err, db.Close()))
	before := epoch(t, h.store)
	must(t, h.store.Close())
	if err := h.restore(t, h.database, true); err == nil || !strings.Contains(err.Error(), "refer to others") {
		t.Errorf("Restore = %v, want it refused", err)
	}
	if epoch(t, h.open(t)) != before {
		t.Error("a restore that was refused changed something")
	}
}
