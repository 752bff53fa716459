package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/store"
)

func testExternal(t *testing.T, open func(testing.TB) *store.Store) {
	s := open(t)
	f := Fill(t, s)
	other := ownline.User{ID: ownline.NewID[ownline.User](), Name: "bob", Role: ownline.Person, Created: T0}
	write := func(f func(*store.Tx) error) error { return s.Write(t.Context(), f) }
	linked := func(issuer, subject string) (u ownline.User, err error) {
		err = s.Read(t.Context(), func(tx *store.Tx) error {
			u, err = tx.Linked(issuer, subject)
			return err
		})
		return u, err
	}
	must(t, write(func(tx *store.Tx) error { return tx.AddUser(other, "") }))
	must(t, write(func(tx *store.Tx) error { return tx.Link(f.User.ID, "https://a", "S", T0) }))
	if u, err := linked("https://a", "S"); err != nil || u.ID != f.User.ID {
		t.Errorf("Linked = %+v, %v", u, err)
	}
	for _, no := range [][2]string{{"https://a", "s"}, {"https://b", "S"}, {"https://a", ""}} {
		if u, err := linked(no[0], no[1]); !errors.Is(err, ownline.ErrNotFound) {
			t.Errorf("Linked(%q) = %+v, %v", no, u, err)
		}
	}
	wantKind(t, "Link of another's", write(func(tx *store.Tx) error { return tx.Link(other.ID, "https://a", "S", T0) }), ownline.ErrConflict, "")
	for issuer, want := range map[string]int{"https://a": 1, "https://b": 0} {
		if n := read(t, s, func(tx *store.Tx) (int, error) { return tx.CountLinks(f.User.ID, issuer) }); n != want {
			t.Errorf("CountLinks of %s = %d, want %d", issuer, n, want)
		}
	}
	links := read(t, s, func(tx *store.Tx) ([]ownline.ExternalLink, error) { return tx.Links(f.User.ID) })
	equal(t, "Links", links, []ownline.ExternalLink{{Issuer: "https://a", Created: T0}})
	must(t, write(func(tx *store.Tx) error { return tx.Unlink(f.User.ID) }))
	if _, err := linked("https://a", "S"); !errors.Is(err, ownline.ErrNotFound) {
		t.Errorf("after Unlink: %v", err)
	}
	// Who is removed is nobody there any more, and their subject is free.
	must(t, write(func(tx *store.Tx) error { return tx.Link(f.User.ID, "https://a", "S", T0) }))
	must(t, write(func(tx *store.Tx) error { return tx.RemoveUser(f.User.ID, T0) }))
	must(t, write(func(tx *store.Tx) error { return tx.Link(other.ID, "https://a", "S", T0) }))

	// Bob has no password: without the link nothing would let him in.
	wantKind(t, "Unlink of the last way", write(func(tx *store.Tx) error { return tx.Unlink(other.ID) }), ownline.ErrConflict, "")
	if _, err := linked("https://a", "S"); err != nil {
		t.Errorf("after an Unlink that was refused: %v", err)
	}
	key := ownline.Passkey{ID: ownline.NewID[ownline.Passkey](), User: other.ID, Name: "key", Credential: []byte{9}, Data: []byte("data"), Created: T0}
	must(t, s.AddPasskey(t.Context(), key, 2))
	must(t, write(func(tx *store.Tx) error { return tx.Unlink(other.ID) }))
	wantKind(t, "the last passkey", s.DeletePasskey(t.Context(), other.ID, key.ID), ownline.ErrConflict, "")
	must(t, write(func(tx *store.Tx) error { return tx.Link(other.ID, "https://a", "S", T0) }))
	must(t, s.DeletePasskey(t.Context(), other.ID, key.ID))

	l := ownline.Login{ID: ownline.NewID[ownline.Login](), User: other.ID, Method: ownline.ByOIDC, Created: T0, Seen: T0, Expires: T0.Add(time.Hour)}
	must(t, s.AddLogin(t.Context(), l, []byte("hash")))
	for _, tc := range []struct {
		user ownline.UserID
		at   time.Time
		ok   bool
	}{{other.ID, T0, true}, {f.User.ID, T0, false}, {other.ID, l.Expires, false}} {
		if u, err := s.LoginOf(t.Context(), tc.user, l.ID, tc.at); (err == nil) != tc.ok || tc.ok && u.ID != other.ID {
			t.Errorf("LoginOf = %+v, %v", u, err)
		}
	}

	sealed, err := s.Seal(t.Context(), []byte("text"), "a")
	must(t, err)
	if b, err := s.Unseal(t.Context(), sealed, "a"); err != nil || string(b) != "text" {
		t.Errorf("Unseal = %q, %v", b, err)
	}
	for _, bad := range [][2]string{{sealed, "b"}, {"A" + sealed[1:], "a"}, {"", "a"}, {"?", "a"}} {
		if bad[0] == sealed && bad[1] == "a" {
			continue
		}
		if b, err := s.Unseal(t.Context(), bad[0], bad[1]); err == nil {
			t.Errorf("Unseal(%q) = %q", bad, b)
		}
	}
}
