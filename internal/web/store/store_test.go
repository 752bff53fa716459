package store_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/store"
)

func TestOpen(t *testing.T) {
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "x?y %41.db"), make(ownline.Secret, 32))
	if err != nil {
		t.Fatal(err)
	}
	u := ownline.User{ID: ownline.NewID[ownline.User](), Name: "ana", Role: ownline.Admin, Created: time.Now()}
	if err := s.Write(t.Context(), func(tx *store.Tx) error { return tx.AddUser(u, "h") }); err != nil {
		t.Fatal(err)
	}
	got, h, err := s.Credentials(t.Context(), "ana")
	t.Log(got, h, err)
	u.ID = ownline.NewID[ownline.User]()
	t.Log(s.Write(t.Context(), func(tx *store.Tx) error { return tx.AddUser(u, "h") }))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
