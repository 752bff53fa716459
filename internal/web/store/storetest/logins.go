package storetest

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/store"
)

var (
	client = netip.MustParseAddr("198.51.100.7")
	place  = netip.MustParsePrefix("198.51.100.7/32")
)

func testLogins(t *testing.T, open func(testing.TB) *store.Store) {
	s := open(t)
	f := Fill(t, s)
	ctx := t.Context()
	bob := ownline.User{ID: ownline.NewID[ownline.User](), Name: "bob", Role: ownline.Person, Created: T0, MustChange: true}
	must(t, s.Write(ctx, func(tx *store.Tx) error { return tx.AddUser(bob, "h") }))
	add := func(u ownline.UserID, hash string) ownline.Login {
		l := ownline.Login{
			ID: ownline.NewID[ownline.Login](), User: u, Method: ownline.ByPasskey, Client: client, Agent: "browser",
			Created: T0, Seen: T0, Expires: T0.Add(time.Hour),
		}
		must(t, s.AddLogin(ctx, l, []byte(hash)))
		return l
	}
	list := func(q ownline.LoginQuery, at time.Time) (names []string, next string) {
		t.Helper()
		ls, next, err := s.Logins(ctx, q, at)
		must(t, err)
		for _, l := range ls {
			names = append(names, l.UserName)
		}
		return names, next
	}
	a, b := add(f.User.ID, "a"), add(bob.ID, "b")
	got, u, err := s.Login(ctx, []byte("b"), T0)
	must(t, err)
	equal(t, "Login", got, b)
	equal(t, "its user", u, bob)

	first, next := list(ownline.LoginQuery{Page: ownline.Page{Limit: 1}}, T0)
	second, end := list(ownline.LoginQuery{Page: ownline.Page{Limit: 1, Cursor: next}}, T0)
	equal(t, "Logins, page by page", append(first, second...), []string{"bob", "ana"})
	if end != "" {
		t.Error("there is a third page")
	}
	mine, _ := list(ownline.LoginQuery{User: f.User.ID}, T0)
	equal(t, "Logins of one", mine, []string{"ana"})

	must(t, s.TouchLogin(ctx, a.ID, T0.Add(time.Minute), T0.Add(2*time.Hour)))
	later, _ := list(ownline.LoginQuery{}, T0.Add(time.Hour))
	equal(t, "Logins that are not over", later, []string{"ana"})

	if err := s.DeleteLogin(ctx, f.User.ID, b.ID); !errors.Is(err, ownline.ErrNotFound) {
		t.Errorf("signing out somebody else: %v", err)
	}
	must(t, s.DeleteLogin(ctx, ownline.UserID{}, b.ID))
	if err := s.DeleteLogin(ctx, bob.ID, b.ID); !errors.Is(err, ownline.ErrNotFound) {
		t.Errorf("signing out twice: %v", err)
	}

	k := ownline.Token{ID: ownline.NewID[ownline.Token](), User: f.User.ID, Name: "one", Created: T0}
	k2 := ownline.Token{ID: ownline.NewID[ownline.Token](), User: f.User.ID, Name: "two", Created: T0}
	must(t, errors.Join(s.AddToken(ctx, k, []byte("k")), s.AddToken(ctx, k2, []byte("k2"))))
	for i := range 120 {
		add(f.User.ID, fmt.Sprint(i))
	}
	add(bob.ID, "bob")
	many, _ := list(ownline.LoginQuery{User: f.User.ID, Page: ownline.Page{Limit: 200}}, T0)
	equal(t, "the logins that are kept of a user", len(many), 100)
	if _, _, err := s.Login(ctx, []byte("a"), T0); !errors.Is(err, ownline.ErrNotFound) {
		t.Errorf("the oldest login: %v", err)
	}
	keep, _, err := s.Login(ctx, []byte("119"), T0)
	must(t, err)
	n, err := s.SignOutOthers(ctx, f.User.ID, keep.ID, false, ownline.TokenID{})
	must(t, err)
	equal(t, "signed out", n, 99)
	n, err = s.SignOutOthers(ctx, f.User.ID, keep.ID, true, k.ID)
	must(t, err)
	equal(t, "tokens gone", n, 1)
	left, _ := list(ownline.LoginQuery{}, T0)
	equal(t, "who stays", left, []string{"bob", "ana"})
	testEnded(t, s, f.User.ID)
}

// testEnded has every way to end logins and tokens counted, and nothing else.
func testEnded(t *testing.T, s *store.Store, user ownline.UserID) {
	ctx := t.Context()
	var ids []ownline.LoginID
	for _, hash := range []string{"one", "two", "three"} {
		l := ownline.Login{ID: ownline.NewID[ownline.Login](), User: user, Created: T0, Expires: T0.Add(time.Hour)}
		must(t, s.AddLogin(ctx, l, []byte(hash)))
		ids = append(ids, l.ID)
	}
	token := func() ownline.TokenID {
		k := ownline.Token{ID: ownline.NewID[ownline.Token](), User: user, Name: "k", Created: T0}
		must(t, s.AddToken(ctx, k, []byte(k.ID.String())))
		return k.ID
	}
	known, err := s.LoginsEnded(ctx)
	must(t, err)
	for _, c := range []struct {
		what string
		more int64
		end  func() error
	}{
		{"nothing", 0, func() error { return nil }},
		{"a login", 1, func() error { return s.DeleteLogin(ctx, user, ids[0]) }},
		{"a token", 1, func() error { return s.DeleteToken(ctx, user, token()) }},
		{"the other logins", 1, func() error { _, err := s.SignOutOthers(ctx, user, ids[1], false, ownline.TokenID{}); return err }},
		{"no other logins", 0, func() error { _, err := s.SignOutOthers(ctx, user, ids[1], false, ownline.TokenID{}); return err }},
		{"the other tokens", 1, func() error { token(); _, err := s.SignOutOthers(ctx, user, ids[1], true, token()); return err }},
		{"all of a user", 1, func() error { return s.Write(ctx, func(tx *store.Tx) error { return tx.SignOut(user) }) }},
	} {
		must(t, c.end())
		n, err := s.LoginsEnded(ctx)
		must(t, err)
		equal(t, "LoginsEnded after "+c.what, n, known+c.more)
		known = n
	}
	wantKind(t, "a login that is not there", s.DeleteLogin(ctx, user, ids[0]), ownline.ErrNotFound, "login")
	n, err := s.LoginsEnded(ctx)
	must(t, err)
	equal(t, "LoginsEnded after nothing was there", n, known)
}

func testAttempts(t *testing.T, open func(testing.TB) *store.Store) {
	s := open(t)
	f := Fill(t, s)
	ctx := t.Context()
	add := func(a ownline.LoginAttempt) {
		t.Helper()
		a.ID = ownline.NewID[ownline.LoginAttempt]()
		must(t, s.AddAttempt(ctx, a))
	}
	list := func(q ownline.AttemptQuery) []string {
		t.Helper()
		var out []string
		for {
			as, next, err := s.Attempts(ctx, q)
			must(t, err)
			for _, a := range as {
				out = append(out, fmt.Sprintf("%s %s %s %s %d %s", a.UserName, a.Method, a.Result, a.Client, a.Count, a.Latest.Sub(T0)))
			}
			if q.Cursor = next; next == "" {
				return out
			}
		}
	}
	failed := ownline.LoginAttempt{User: f.User.ID, At: T0, Count: 1, Method: ownline.ByPassword, Result: ownline.WrongPassword, Client: client, Place: place, Agent: "a"}
	ok := failed
	ok.Result = ownline.LoginOK
	elsewhere := failed
	elsewhere.Client, elsewhere.Place = netip.MustParseAddr("192.0.2.1"), netip.MustParsePrefix("192.0.2.1/32")
	nobody := failed
	nobody.User = ownline.UserID{}
	lastSignIn := func() time.Time {
		t.Helper()
		one := read(t, s, func(tx *store.Tx) (ownline.User, error) { return tx.User(f.User.ID) })
		for _, u := range read(t, s, func(tx *store.Tx) ([]ownline.User, error) {
			us, _, err := tx.Users(ownline.UserQuery{})
			return us, err
		}) {
			if u.ID == one.ID && !u.LastSignIn.Equal(one.LastSignIn) {
				t.Errorf("the list says %s, the user %s", u.LastSignIn, one.LastSignIn)
			}
		}
		return one.LastSignIn
	}
	add(failed)
	equal(t, "LastSignIn before any", lastSignIn(), time.Time{})
	add(ok)
	add(ok)
	equal(t, "LastSignIn", lastSignIn(), ok.At)
	failed.At, failed.Count = T0.Add(time.Hour), 3
	add(failed)
	add(elsewhere)
	add(nobody)
	failed.At = T0.Add(8 * time.Hour)
	add(failed)
	all := []string{
		"ana password wrong_password 198.51.100.7 3 8h0m0s",
		" password wrong_password 198.51.100.7 1 0s",
		"ana password wrong_password 192.0.2.1 1 0s",
		"ana password ok 198.51.100.7 1 0s",
		"ana password ok 198.51.100.7 1 0s",
		"ana password wrong_password 198.51.100.7 4 1h0m0s",
	}
	equal(t, "Attempts", list(ownline.AttemptQuery{}), all)
	equal(t, "by page", list(ownline.AttemptQuery{Page: ownline.Page{Limit: 2}}), all)
	equal(t, "of one", len(list(ownline.AttemptQuery{User: f.User.ID})), 5)
	equal(t, "with a result", len(list(ownline.AttemptQuery{Result: ownline.LoginOK})), 2)
	equal(t, "by a method", len(list(ownline.AttemptQuery{Method: ownline.ByTOTP})), 0)
	equal(t, "in a time", list(ownline.AttemptQuery{Since: T0.Add(time.Minute), Until: T0.Add(time.Hour)}), all[5:])

	// However much strangers try, it stays within bounds, and so does what others did.
	for i := range 1200 {
		nobody.Place, nobody.At = netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}), 32), T0.Add(time.Duration(i))
		add(nobody)
	}
	got := list(ownline.AttemptQuery{Page: ownline.Page{Limit: 200}})
	equal(t, "kept after a flood", len(got), 500+5)
	equal(t, "and the rest", got[500], all[0])
}
