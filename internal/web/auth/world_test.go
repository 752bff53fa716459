package auth

import (
	"cmp"
	"context"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/store"
)

const goodPassword = "four words are enough"

// database is a real one that tells what was written to its audit log.
type database struct {
	*store.Store
	dir   string
	mu    sync.Mutex
	audit []string // how, action, subject
}

func (d *database) Audit(ctx context.Context, e ownline.AuditEntry) error {
	d.mu.Lock()
	d.audit = append(d.audit, strings.TrimSpace(e.By+" "+e.Action+" "+e.Subject+" "+e.Detail))
	d.mu.Unlock()
	return d.Store.Audit(ctx, e)
}

// files returns what the files of the database hold.
func (d *database) files(t *testing.T) (contents []string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(d.dir, "*"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		contents = append(contents, string(b))
	}
	return contents
}

// newAuth makes an Auth over a real database with one user, ana, whose password is
// goodPassword.
func newAuth(t *testing.T) (*Auth, *database, ownline.User) {
	t.Helper()
	dir := t.TempDir()
	st, err := store.Open(t.Context(), filepath.Join(dir, "db"), make(ownline.Secret, 32))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	d := &database{Store: st, dir: dir}
	ana := addUser(t, d, ownline.User{Name: "ana"})
	return New(Options{Store: d, Passwords: CheapPasswords(), PublicURL: publicURL, Log: slog.New(slog.DiscardHandler)}), d, ana
}

// addUser adds a user with the password goodPassword.
func addUser(t *testing.T, st *database, u ownline.User) ownline.User {
	t.Helper()
	hash, err := CheapPasswords().Hash(goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	u.ID, u.Role = ownline.NewID[ownline.User](), cmp.Or(u.Role, ownline.Person)
	if err := st.Write(t.Context(), func(tx *store.Tx) error { return tx.AddUser(u, hash) }); err != nil {
		t.Fatal(err)
	}
	return u
}

// at is a request of nobody from an address.
func at(addr netip.Addr) Identity { return Identity{Client: addr, Agent: "test"} }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
