package storetest

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/store"
)

// testFilters sets one session that every filter selects beside one that none does.
func testFilters(t *testing.T, open func(testing.TB) *store.Store) {
	s := open(t)
	f := Fill(t, s)
	other := Fixture{
		User:   ownline.User{ID: ownline.NewID[ownline.User](), Name: "bob", Role: ownline.Person, Created: T0},
		Site:   ownline.Site{ID: ownline.NewID[ownline.Site](), Name: "work", Host: "work.example.org", Pin: "other", IPv6Prefix: 64, Created: T0},
		Device: f.Device,
	}
	other.Service = f.Service
	other.Service.ID, other.Service.Site = ownline.NewID[ownline.Service](), other.Site.ID
	other.Device.ID, other.Device.User = ownline.NewID[ownline.Device](), other.User.ID
	e := other.NewSession()
	e.Source, e.State, e.Reason = netip.MustParsePrefix("2001:db8:7:1::/64"), ownline.Ended, ownline.Closed
	e.Opened = T0.Add(time.Hour)
	must(t, s.Write(t.Context(), func(tx *store.Tx) error {
		return errors.Join(tx.AddUser(other.User, "hash"), tx.AddSite(other.Site), tx.AddService(other.Service), tx.AddDevice(other.Device), tx.AddSession(e))
	}))
	for name, q := range map[string]ownline.SessionQuery{
		"ended": {Ended: true}, "state": {State: ownline.Ended}, "reason": {Reason: ownline.Closed}, "user": {User: other.User.ID},
		"site": {Site: other.Site.ID}, "service": {Service: other.Service.ID}, "device": {Device: other.Device.ID},
		"source": {Sources: []netip.Prefix{netip.MustParsePrefix("203.0.113.1/32"), e.Source}}, "from": {From: e.Opened},
		"all of them": {Ended: true, State: ownline.Ended, Reason: ownline.Closed, User: other.User.ID, Sources: []netip.Prefix{e.Source}, From: e.Opened, Until: e.Opened.Add(time.Millisecond)},
	} {
		got := read(t, s, func(tx *store.Tx) ([]ownline.SessionInfo, error) { ss, _, err := tx.Sessions(q); return ss, err })
		if len(got) != 1 || got[0].ID != e.ID {
			t.Errorf("by %s: %+v", name, got)
		}
	}
	until := read(t, s, func(tx *store.Tx) ([]ownline.SessionInfo, error) {
		ss, _, err := tx.Sessions(ownline.SessionQuery{Until: e.Opened})
		return ss, err
	})
	if len(until) != 1 || until[0].ID != f.Session.ID {
		t.Errorf("until: %+v", until)
	}
}
