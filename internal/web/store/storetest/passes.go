package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/store"
)

// A pass ends with its login, and with what the user may.
func testPasses(t *testing.T, open func(testing.TB) *store.Store) {
	s := open(t)
	f := Fill(t, s)
	ctx := t.Context()
	login := func(hash string, life time.Duration) ownline.LoginID {
		l := ownline.Login{ID: ownline.NewID[ownline.Login](), User: f.User.ID, Created: T0, Seen: T0, Expires: T0.Add(life)}
		must(t, s.AddLogin(ctx, l, []byte(hash)))
		return l.ID
	}
	pass := func(l ownline.LoginID) (p ownline.Pass) {
		t.Helper()
		must(t, s.Write(ctx, func(tx *store.Tx) (err error) {
			p, err = tx.PutPass(ownline.Pass{Login: l, User: f.User.ID, Service: f.Service.ID, Expires: T0.Add(2 * time.Hour)}, T0)
			return err
		}))
		return p
	}
	passes := func(at time.Time) (out []ownline.LoginID) {
		t.Helper()
		must(t, s.Read(ctx, func(tx *store.Tx) error {
			ps, err := tx.Passes(f.Site.ID, at)
			for _, p := range ps {
				if p.User != f.User.ID || p.UserName != f.User.Name || p.Service != f.Service.ID {
					t.Errorf("%+v", p)
				}
				out = append(out, p.Login)
			}
			return err
		}))
		return out
	}
	revision := func() (n uint64) {
		must(t, s.Read(ctx, func(tx *store.Tx) error {
			site, err := tx.Site(f.Site.ID)
			n = site.Revision
			return err
		}))
		return n
	}
	a, b, c := login("a", time.Hour), login("b", 3*time.Hour), login("c", 3*time.Hour)
	equal(t, "a pass ends with its login", pass(a).Expires, T0.Add(time.Hour))
	equal(t, "or by itself", pass(b).Expires, T0.Add(2*time.Hour))
	pass(b) // again
	pass(c)
	equal(t, "Passes", passes(T0), []ownline.LoginID{a, b, c})
	equal(t, "Passes later", passes(T0.Add(time.Hour)), []ownline.LoginID{b, c})
	err := s.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.PutPass(ownline.Pass{Login: a, User: ownline.NewID[ownline.User](), Service: f.Service.ID, Expires: T0.Add(time.Hour)}, T0)
		return err
	})
	if !errors.Is(err, ownline.ErrNotFound) {
		t.Errorf("a pass of another user's login: %v", err)
	}

	// Whoever signs out is out at services, and their sites learn it.
	before := revision()
	must(t, s.DeleteLogin(ctx, f.User.ID, b))
	equal(t, "Passes after a logout", passes(T0), []ownline.LoginID{a, c})
	equal(t, "revision", revision(), before+1)
	login("d", time.Hour)
	_, err = s.SignOutOthers(ctx, f.User.ID, c, false, ownline.TokenID{})
	must(t, err)
	equal(t, "Passes of the others", passes(T0), []ownline.LoginID{c})
	equal(t, "revision", revision(), before+2)
	must(t, s.Write(ctx, func(tx *store.Tx) error { return tx.SignOut(f.User.ID) }))
	equal(t, "Passes after all logouts", len(passes(T0)), 0)
	equal(t, "revision", revision(), before+3)
	must(t, s.Write(ctx, func(tx *store.Tx) error { return tx.SignOut(f.User.ID) }))
	equal(t, "revision without passes", revision(), before+3)

	// Who may: by a grant, or by a live session.
	d := login("e", time.Hour)
	pass(d)
	may := func(want bool) {
		t.Helper()
		must(t, s.Write(ctx, func(tx *store.Tx) error {
			got, err := tx.MayPass(f.User.ID, f.Service.ID)
			equal(t, "MayPass", got, want)
			if err != nil {
				return err
			}
			lost, err := tx.LosePasses(f.User.ID, f.Service.ID)
			equal(t, "LosePasses", lost, !want)
			return err
		}))
	}
	may(true)
	var live []ownline.SessionInfo
	must(t, s.Write(ctx, func(tx *store.Tx) (err error) {
		if err := tx.RemoveGrant(f.Grant.ID); err != nil {
			return err
		}
		live, err = tx.LiveSessions(ownline.SessionQuery{User: f.User.ID, Service: f.Service.ID})
		return err
	}))
	if len(live) > 0 {
		may(true)
	}
	must(t, s.Write(ctx, func(tx *store.Tx) error {
		for _, e := range live {
			e.State, e.Reason, e.EndedAt = ownline.Ended, ownline.Closed, T0
			if err := tx.SaveSession(e.Session); err != nil {
				return err
			}
		}
		return nil
	}))
	may(false)
	equal(t, "Passes of who may not", len(passes(T0)), 0)

	pass(d)
	must(t, s.Write(ctx, func(tx *store.Tx) error { return tx.Sweep(T0.Add(24*time.Hour), T0) }))
	equal(t, "Passes after a sweep", len(passes(T0)), 0)
}
