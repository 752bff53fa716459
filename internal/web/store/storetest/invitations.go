package storetest

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/store"
)

// newInvitation makes one that is in no store yet.
func (f Fixture) newInvitation(uses int, expires time.Time) ownline.Invitation {
	return ownline.Invitation{
		ID: ownline.NewID[ownline.Invitation](), User: f.User.ID, Service: f.Service.ID, Message: "Mind the dog", For: 90 * time.Second,
		Uses: uses, Countries: []string{"DE", "ES"}, Created: T0, Expires: expires,
	}
}

func testInvitations(t *testing.T, open func(testing.TB) *store.Store) {
	s := open(t)
	f := Fill(t, s)
	i, late := f.newInvitation(2, T0.Add(time.Hour)), f.newInvitation(1, T0.Add(time.Minute))
	keys := ownline.Secret(bytes.Repeat([]byte{9}, 96))
	must(t, s.Write(t.Context(), func(tx *store.Tx) error {
		return errors.Join(tx.AddInvitation(i, []byte("h1"), keys), tx.AddInvitation(late, []byte("h2"), keys))
	}))
	want := ownline.InvitationInfo{
		Invitation: i, UserName: "ana", ServiceName: "ssh", ServiceKind: ownline.Forward, ServiceTransport: ownline.TCP, ServiceIcon: f.Service.Icon,
		Target4: true, Target6: true, Site: f.Site.ID, SiteName: "home", SiteHost: "home.example.org", SiteProxy: f.Site.Proxy,
	}
	get := func() ownline.InvitationInfo {
		return read(t, s, func(tx *store.Tx) (ownline.InvitationInfo, error) { return tx.Invitation(i.ID) })
	}
	equal(t, "Invitation", get(), want)
	equal(t, "InvitationByHash", read(t, s, func(tx *store.Tx) (ownline.InvitationInfo, error) { return tx.InvitationByHash([]byte("h1")) }), want)
	wantKind(t, "a hash of nothing", s.Read(t.Context(), func(tx *store.Tx) error { _, err := tx.InvitationByHash([]byte("x")); return err }), ownline.ErrNotFound, "invitation")

	use := func(id ownline.InvitationID, now time.Time) (ok bool) {
		must(t, s.Write(t.Context(), func(tx *store.Tx) (err error) {
			ok, err = tx.Use(id, now)
			return err
		}))
		return ok
	}
	for n, want := range []bool{true, true, false} {
		if got := use(i.ID, T0); got != want {
			t.Errorf("use %d of 2: %v", n+1, got)
		}
	}
	must(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.Unuse(i.ID) }))
	if get().Used != 1 || use(late.ID, late.Expires) {
		t.Error("Unuse gives nothing back, or an expired invitation has a use")
	}
	once := func(nonce string) (fresh bool) {
		must(t, s.Write(t.Context(), func(tx *store.Tx) (err error) {
			fresh, err = tx.RedeemOnce(i.ID, []byte(nonce), T0)
			return err
		}))
		return fresh
	}
	if !once("n1") || once("n1") || !once("n2") {
		t.Error("RedeemOnce does not know what it has seen")
	}

	list := func(q ownline.InvitationQuery) (ids []ownline.InvitationID) {
		is := read(t, s, func(tx *store.Tx) ([]ownline.InvitationInfo, error) {
			is, _, err := tx.Invitations(q)
			return is, err
		})
		for _, i := range is {
			ids = append(ids, i.ID)
		}
		return ids
	}
	equal(t, "newest first", list(ownline.InvitationQuery{User: f.User.ID, Service: f.Service.ID, Site: f.Site.ID}), []ownline.InvitationID{late.ID, i.ID})
	equal(t, "of nobody", len(list(ownline.InvitationQuery{User: ownline.NewID[ownline.User]()})), 0)
	after := T0.Add(2 * time.Minute)
	ends := func(site ownline.SiteID, at time.Time) []ownline.InvitationEnd {
		return read(t, s, func(tx *store.Tx) ([]ownline.InvitationEnd, error) { return tx.InvitationEnds(site, at) })
	}
	equal(t, "the last end", ends(f.Site.ID, T0), []ownline.InvitationEnd{{User: f.User.ID, Service: f.Service.ID, Last: i.Expires}})
	equal(t, "ends elsewhere", len(ends(ownline.NewID[ownline.Site](), T0)), 0)
	equal(t, "ends, when all are over", len(ends(f.Site.ID, i.Expires)), 0)
	states := func() map[ownline.InvitationState]int {
		n := map[ownline.InvitationState]int{}
		for _, state := range []ownline.InvitationState{ownline.InvitationValid, ownline.InvitationUsed, ownline.InvitationExpired, ownline.InvitationRevoked} {
			n[state] = len(list(ownline.InvitationQuery{State: state, Now: after}))
		}
		return n
	}
	equal(t, "states", states(), map[ownline.InvitationState]int{"valid": 1, "used": 0, "expired": 1, "revoked": 0})
	use(i.ID, T0)
	equal(t, "ends of what is not used up", ends(f.Site.ID, T0), []ownline.InvitationEnd{{User: f.User.ID, Service: f.Service.ID, Last: late.Expires}})
	equal(t, "states", states(), map[ownline.InvitationState]int{"valid": 0, "used": 1, "expired": 1, "revoked": 0})

	// A session knows its invitation.
	e := f.NewSession()
	e.Device, e.Invitation = ownline.DeviceID{}, i.ID
	must(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.AddSession(e) }))
	live := read(t, s, func(tx *store.Tx) ([]ownline.SessionInfo, error) {
		return tx.LiveSessions(ownline.SessionQuery{Invitation: i.ID})
	})
	if len(live) != 1 || live[0].ID != e.ID || live[0].Invitation != i.ID {
		t.Errorf("sessions of the invitation = %+v", live)
	}
	guests := func(site ownline.SiteID, since, gone time.Time) int {
		return len(read(t, s, func(tx *store.Tx) ([]ownline.SessionInfo, error) { return tx.GuestSessions(site, since, gone) }))
	}
	own := f.NewSession()
	must(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.AddSession(own) }))
	equal(t, "guests' sessions", guests(f.Site.ID, e.Opened, after), 1)
	equal(t, "guests' sessions elsewhere", guests(ownline.NewID[ownline.Site](), e.Opened, after), 0)
	equal(t, "guests' sessions opened later", guests(f.Site.ID, e.Opened.Add(time.Millisecond), after), 0)
	e.State, e.Reason, e.EndedAt = ownline.Ended, ownline.Closed, after
	must(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.SaveSession(e) }))
	equal(t, "guests' sessions just over", guests(f.Site.ID, e.Opened, after), 1)
	equal(t, "guests' sessions that were over", guests(f.Site.ID, e.Opened, after.Add(time.Millisecond)), 0)

	unsealing := func() map[ownline.InvitationID]ownline.Secret {
		return read(t, s, func(tx *store.Tx) (map[ownline.InvitationID]ownline.Secret, error) { return tx.Unsealing() })
	}
	if got := unsealing(); len(got) != 2 || !bytes.Equal(got[i.ID], keys) {
		t.Errorf("Unsealing = %d", len(got))
	}
	sweep := func(now time.Time) {
		must(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.Sweep(now, T0) }))
	}
	sweep(late.Expires.Add(7*24*time.Hour - time.Second))
	if len(unsealing()) != 2 || once("n1") {
		t.Error("keys or nonces are forgotten too early")
	}
	sweep(late.Expires.Add(7 * 24 * time.Hour))
	if got := unsealing(); len(got) != 1 || got[i.ID] == nil || once("n1") {
		t.Error("the wrong keys are forgotten")
	}
	sweep(i.Expires.Add(7 * 24 * time.Hour))
	if len(unsealing()) != 0 || !once("n1") {
		t.Error("keys and nonces are never forgotten")
	}
}

// What an invitation hangs on takes it along.
func testInvitationsRemoved(t *testing.T, open func(testing.TB) *store.Store) {
	s := open(t)
	f := Fill(t, s)
	for name, remove := range map[string]func(*store.Tx) error{
		"revoked": func(tx *store.Tx) error { return nil },
		"service": func(tx *store.Tx) error { return tx.RemoveService(f.Service.ID, T0) },
		"user":    func(tx *store.Tx) error { return tx.RemoveUser(f.User.ID, T0) },
		"site":    func(tx *store.Tx) error { return tx.RemoveSite(f.Site.ID, T0) },
	} {
		i := f.newInvitation(1, T0.Add(time.Hour))
		must(t, s.Write(t.Context(), func(tx *store.Tx) error {
			if err := tx.AddInvitation(i, []byte(name), nil); err != nil {
				return err
			}
			if name == "revoked" {
				return tx.RevokeInvitation(i.ID, T0)
			}
			return remove(tx)
		}))
		got := read(t, s, func(tx *store.Tx) (ownline.InvitationInfo, error) { return tx.Invitation(i.ID) })
		if got.State(T0) != ownline.InvitationRevoked || got.UserName != "ana" || got.ServiceName != "ssh" {
			t.Errorf("%s: the invitation is %+v", name, got)
		}
	}
}
