package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/store"
)

// What moves to another database comes out as it went in, and what history concerned keeps
// its name there.
func testTransfer(t *testing.T, open func(testing.TB) *store.Store) {
	s := open(t)
	f := Fill(t, s)
	key := read(t, s, (*store.Tx).LinkKey)
	equal(t, "LinkKey before there is one", string(key), "")
	must(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.SetLinkKey(ownline.Secret("pem")) }))
	equal(t, "LinkKey", string(read(t, s, (*store.Tx).LinkKey)), "pem")
	pem, err := s.LinkIdentity(t.Context(), nil)
	must(t, err)
	equal(t, "LinkIdentity", string(pem), "pem")
	equal(t, "PasswordHashes", read(t, s, (*store.Tx).PasswordHashes), map[ownline.UserID]string{f.User.ID: "hash"})
	secrets := read(t, s, (*store.Tx).DeviceSecrets)
	equal(t, "DeviceSecrets", string(secrets[f.Device.ID]), string(f.Device.Secret))

	d := f.Device
	d.Name, d.RequireClaimedSource, d.Secret = "tablet", false, nil
	must(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.SaveDevice(d) }))
	equal(t, "SaveDevice", read(t, s, func(tx *store.Tx) (ownline.Device, error) { return tx.Device(d.ID) }), d)

	old := ownline.SessionInfo{
		Session: ownline.Session{
			ID: ownline.NewID[ownline.Session](), Site: ownline.NewID[ownline.Site](), User: ownline.NewID[ownline.User](),
			Service: ownline.NewID[ownline.Service](), Device: ownline.NewID[ownline.Device](), Source: f.Session.Source, PublicPort: 20001,
			Transport: ownline.UDP, Target: f.Session.Target, State: ownline.Ended, Reason: ownline.Expired,
			Opened: T0, Expires: T0.Add(time.Minute), EndedAt: T0.Add(time.Minute), Traffic: ownline.Traffic{UpBytes: 1, DownPackets: 1 << 40},
		},
		SiteName: "home", SiteHost: "old.example.org", UserName: "ana", ServiceName: "ssh", ServiceKind: ownline.Forward, DeviceName: "phone",
	}
	for _, want := range []bool{true, false} {
		must(t, s.Write(t.Context(), func(tx *store.Tx) error {
			added, err := tx.AddHistory(old)
			if added != want {
				t.Errorf("AddHistory = %v, want %v", added, want)
			}
			return err
		}))
	}
	equal(t, "Session", read(t, s, func(tx *store.Tx) (ownline.SessionInfo, error) { return tx.Session(old.ID) }), old)
	// They are there for history alone.
	wantKind(t, "User", s.Read(t.Context(), func(tx *store.Tx) error { _, err := tx.User(old.User); return err }), ownline.ErrNotFound, "user")
	sites := read(t, s, func(tx *store.Tx) ([]ownline.Site, error) { return tx.SitesToCommand(T0.Add(-time.Hour)) })
	equal(t, "SitesToCommand", len(sites), 1)

	// What history names can come back, as what was removed can.
	testRevive(t, s, f, old)

	// Of things that are there, history makes nothing else.
	mine := old
	mine.ID, mine.Site, mine.User, mine.Service, mine.Device = ownline.NewID[ownline.Session](), f.Site.ID, f.User.ID, f.Service.ID, ownline.DeviceID{}
	must(t, s.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.AddHistory(mine)
		return errors.Join(err, tx.SaveUser(f.User))
	}))
	equal(t, "User", read(t, s, func(tx *store.Tx) (ownline.User, error) { return tx.User(f.User.ID) }), f.User)
}

func testRevive(t *testing.T, s *store.Store, f Fixture, old ownline.SessionInfo) {
	site, user, service, device := f.Site, f.User, f.Service, f.Device
	site.ID, site.Name, site.Pin, site.Revision = old.Site, "old", "another pin", 0
	user.ID, user.Name = old.User, "anna"
	service.ID, service.Site, service.Transport = old.Service, old.Site, old.Transport
	device.ID, device.User, device.Site = old.Device, old.User, old.Site
	revive := func(tx *store.Tx) (n int, err error) {
		for _, f := range []func() (bool, error){
			func() (bool, error) { return tx.ReviveSite(site) }, func() (bool, error) { return tx.ReviveUser(user) },
			func() (bool, error) { return tx.ReviveService(service) }, func() (bool, error) { return tx.ReviveDevice(device) },
		} {
			ok, ferr := f()
			if ok {
				n++
			}
			err = errors.Join(err, ferr)
		}
		return n, err
	}
	for _, want := range []int{4, 0} {
		must(t, s.Write(t.Context(), func(tx *store.Tx) error {
			n, err := revive(tx)
			equal(t, "revived", n, want)
			return err
		}))
	}
	got := read(t, s, func(tx *store.Tx) (ownline.Site, error) { return tx.Site(site.ID) })
	equal(t, "Site", got, site)
	equal(t, "User", read(t, s, func(tx *store.Tx) (ownline.User, error) { return tx.User(user.ID) }), user)
	equal(t, "Service", read(t, s, func(tx *store.Tx) (ownline.Service, error) { return tx.Service(service.ID) }), service)
	equal(t, "secret", string(read(t, s, (*store.Tx).DeviceSecrets)[device.ID]), string(device.Secret))
	user.ID = ownline.NewID[ownline.User]()
	must(t, s.Write(t.Context(), func(tx *store.Tx) error {
		return errors.Join(tx.AddUser(user2(user), ""), tx.RemoveUser(user.ID, T0))
	}))
	wantKind(t, "ReviveUser of a name that is taken", s.Write(t.Context(), func(tx *store.Tx) error { _, err := tx.ReviveUser(user); return err }), ownline.ErrConflict, "name")
}

// user2 is a user under another name.
func user2(u ownline.User) ownline.User {
	u.Name = "anna2"
	return u
}
