package storetest

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/link"
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

	// Those of several sources come in one order, and no page leaves one out.
	sources := []netip.Prefix{e.Source, netip.MustParsePrefix("2001:db8:7:1::8/128"), netip.MustParsePrefix("2001:db8:7::/56"), e.Source}
	want := []ownline.SessionID{e.ID}
	for i := range 7 {
		n := e
		n.ID, n.Source, n.Opened = ownline.NewID[ownline.Session](), sources[i%2], e.Opened.Add(time.Duration(i/2)*time.Minute)
		must(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.AddSession(n) }))
		want = append(want, n.ID)
	}
	all := read(t, s, func(tx *store.Tx) ([]ownline.SessionInfo, error) {
		ss, _, err := tx.Sessions(ownline.SessionQuery{})
		return ss, err
	})
	var inOrder, got []ownline.SessionID
	for _, one := range all {
		if slices.Contains(want, one.ID) {
			inOrder = append(inOrder, one.ID)
		}
	}
	q := ownline.SessionQuery{Sources: sources, Page: ownline.Page{Limit: 2}}
	for {
		must(t, s.Read(t.Context(), func(tx *store.Tx) error {
			ss, next, err := tx.Sessions(q)
			for _, one := range ss {
				got = append(got, one.ID)
			}
			q.Cursor = next
			return err
		}))
		if q.Cursor == "" || len(got) > len(want) {
			break
		}
	}
	if len(got) != len(want) || !slices.Equal(got, inOrder) {
		t.Errorf("of several sources: %v, want %v", got, inOrder)
	}
}

func testAuditLines(t *testing.T, open func(testing.TB) *store.Store) {
	s := open(t)
	f := Fill(t, s)
	line := func(e ownline.AuditEntry) ownline.AuditEntry {
		must(t, s.Audit(t.Context(), e))
		return e
	}
	first := line(ownline.AuditEntry{At: T0, By: "system", Action: "sessions", Subject: "x"})
	open1 := line(ownline.AuditEntry{
		At: T0.Add(time.Hour), Actor: f.User.ID, By: "login", Client: netip.MustParseAddr("198.51.100.7"), Action: "session.open",
		Subject: f.Session.ID.String(), Site: f.Site.ID, Detail: "ssh",
	})
	line(ownline.AuditEntry{At: T0.Add(2 * time.Hour), By: "system", Action: "session.end", Subject: "y"})
	lines := func(q ownline.AuditQuery) []ownline.AuditLine {
		return read(t, s, func(tx *store.Tx) ([]ownline.AuditLine, error) { ls, _, err := tx.AuditLines(q); return ls, err })
	}
	for name, tc := range map[string]struct {
		q    ownline.AuditQuery
		want []string
	}{
		"nothing":        {ownline.AuditQuery{}, []string{"session.end", "session.open", "sessions"}},
		"actor":          {ownline.AuditQuery{Actor: f.User.ID}, []string{"session.open"}},
		"by":             {ownline.AuditQuery{By: "login"}, []string{"session.open"}},
		"action":         {ownline.AuditQuery{Action: "session.open"}, []string{"session.open"}},
		"kind of action": {ownline.AuditQuery{Action: "session"}, []string{"session.end", "session.open"}},
		"part of a word": {ownline.AuditQuery{Action: "sess"}, nil},
		"subject":        {ownline.AuditQuery{Subject: "x"}, []string{"sessions"}},
		"site":           {ownline.AuditQuery{Site: f.Site.ID}, []string{"session.open"}},
		"from":           {ownline.AuditQuery{From: open1.At}, []string{"session.end", "session.open"}},
		"until":          {ownline.AuditQuery{Until: open1.At}, []string{"sessions"}},
	} {
		var got []string
		for _, l := range lines(tc.q) {
			got = append(got, l.Action)
		}
		equal(t, "audit by "+name, got, tc.want)
	}
	got := lines(ownline.AuditQuery{Actor: f.User.ID})[0]
	if got.Number == 0 || got.ActorName != "ana" || got.SiteName != "home" {
		t.Errorf("line = %+v", got)
	}
	equal(t, "line", got.AuditEntry, open1)
	// A page ends where the next begins, whatever is added meanwhile.
	var seen []string
	q := ownline.AuditQuery{Page: ownline.Page{Limit: 1}}
	for range 3 {
		must(t, s.Read(t.Context(), func(tx *store.Tx) error {
			ls, next, err := tx.AuditLines(q)
			q.Cursor = next
			for _, l := range ls {
				seen = append(seen, l.Action)
			}
			return err
		}))
		line(ownline.AuditEntry{At: T0, By: "system", Action: "late", Subject: "z"})
	}
	equal(t, "pages", seen, []string{"session.end", "session.open", first.Action})
	wantKind(t, "a bad cursor", s.Read(t.Context(), func(tx *store.Tx) error {
		_, _, err := tx.AuditLines(ownline.AuditQuery{Page: ownline.Page{Cursor: "eA"}})
		return err
	}), ownline.ErrInvalid, "cursor")
}

func testResources(t *testing.T, open func(testing.TB) *store.Store) {
	s := open(t)
	f := Fill(t, s)
	ctx := t.Context()
	bob := ownline.User{ID: ownline.NewID[ownline.User](), Name: "b_b", Role: ownline.Admin, Disabled: true, Created: T0}
	must(t, s.Write(ctx, func(tx *store.Tx) error { return tx.AddUser(bob, "hash") }))
	no, yes := false, true
	for name, tc := range map[string]struct {
		q    ownline.UserQuery
		want []string
	}{
		"nothing":  {ownline.UserQuery{}, []string{"ana", "b_b"}},
		"role":     {ownline.UserQuery{Role: ownline.Admin}, []string{"b_b"}},
		"enabled":  {ownline.UserQuery{Disabled: &no}, []string{"ana"}},
		"disabled": {ownline.UserQuery{Disabled: &yes}, []string{"b_b"}},
		"name":     {ownline.UserQuery{Named: "n"}, []string{"ana"}},
		"wildcard": {ownline.UserQuery{Named: "_"}, []string{"b_b"}},
	} {
		var got []string
		for _, u := range read(t, s, func(tx *store.Tx) ([]ownline.User, error) { us, _, err := tx.Users(tc.q); return us, err }) {
			got = append(got, u.Name)
		}
		equal(t, "users by "+name, got, tc.want)
	}

	mine := ownline.Token{ID: ownline.NewID[ownline.Token](), User: f.User.ID, Name: "mine", Scopes: []string{"read", "sessions"}, Created: T0}
	his := ownline.Token{ID: ownline.NewID[ownline.Token](), User: bob.ID, Name: "his", Scopes: []string{"full"}, Created: T0}
	must(t, errors.Join(s.AddToken(ctx, mine, []byte("1")), s.AddToken(ctx, his, []byte("2"))))
	got, next, err := s.Tokens(ctx, ownline.Page{Limit: 1}, ownline.UserID{})
	must(t, err)
	equal(t, "everybody's tokens", got, []ownline.TokenInfo{{Token: mine, UserName: "ana"}})
	got, next, err = s.Tokens(ctx, ownline.Page{Limit: 1, Cursor: next}, ownline.UserID{})
	must(t, err)
	equal(t, "the next page", got, []ownline.TokenInfo{{Token: his, UserName: "b_b"}})
	if got, _, err := s.Tokens(ctx, ownline.Page{}, f.User.ID); err != nil || len(got) != 1 || got[0].ID != mine.ID || next != "" {
		t.Errorf("a user's tokens = %+v, %v; next %q", got, err, next)
	}
	must(t, s.DeleteToken(ctx, ownline.UserID{}, his.ID))
	wantKind(t, "a token that was removed", s.DeleteToken(ctx, ownline.UserID{}, his.ID), ownline.ErrNotFound, "token")

	renamed := f.Device
	renamed.Name, renamed.Secret = "old phone", nil
	must(t, s.Write(ctx, func(tx *store.Tx) error { return tx.SaveDevice(renamed) }))
	equal(t, "renamed", read(t, s, func(tx *store.Tx) (ownline.Device, error) { return tx.Device(f.Device.ID) }), renamed)

	// An fwknop client is a device apart, with a secret as others have.
	client := ownline.Device{
		ID: ownline.NewID[ownline.Device](), User: f.User.ID, Site: f.Site.ID, Name: "server", Fwknop: "sha3_256",
		Secret: bytes.Repeat([]byte{7}, ownline.SecretSize), Created: f.Device.Created,
	}
	must(t, s.Write(ctx, func(tx *store.Tx) error { return tx.AddDevice(client) }))
	equal(t, "fwknop clients", read(t, s, func(tx *store.Tx) ([]ownline.Device, error) { return tx.FwknopDevices(f.Site.ID) }), []ownline.Device{client})
	equal(t, "a device's secret", read(t, s, func(tx *store.Tx) (ownline.Secret, error) { return tx.DeviceSecret(client.ID) }), client.Secret)
	for _, d := range read(t, s, func(tx *store.Tx) ([]link.Device, error) { return tx.CoreDevices(f.Site.ID) }) {
		if d.ID == client.ID {
			t.Error("an fwknop client is among the other devices")
		}
	}
	must(t, s.Write(ctx, func(tx *store.Tx) error { return tx.RevokeDevice(client.ID) }))
	equal(t, "once it is revoked", read(t, s, func(tx *store.Tx) ([]ownline.Device, error) { return tx.FwknopDevices(f.Site.ID) }), nil)
	must(t, s.Write(ctx, func(tx *store.Tx) error { return tx.RemoveDevice(client.ID, client.Created) }))
	wantKind(t, "the secret of one that was removed", s.Read(ctx, func(tx *store.Tx) error { _, err := tx.DeviceSecret(client.ID); return err }), ownline.ErrNotFound, "device")

	// What core has not applied: f.Session is of revision 2.
	for after, want := range map[uint64]int{1: 1, 2: 0} {
		must(t, s.Read(ctx, func(tx *store.Tx) error {
			ss, n, err := tx.Unapplied(f.Site.ID, after, 10)
			if n != want || len(ss) != want {
				t.Errorf("unapplied after %d: %d, %+v", after, n, ss)
			}
			return err
		}))
	}
}

func testIcons(t *testing.T, open func(testing.TB) *store.Store) {
	s := open(t)
	f := Fill(t, s)
	get := func() (content []byte, kind string, err error) {
		err = s.Read(t.Context(), func(tx *store.Tx) (err error) { content, kind, err = tx.Icon(f.Service.ID); return err })
		return content, kind, err
	}
	_, _, err := get()
	wantKind(t, "no icon", err, ownline.ErrNotFound, "icon")
	for _, want := range []string{"\x89PNG\x00", "<svg/>"} {
		must(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.SaveIcon(f.Service.ID, []byte(want), "image/x") }))
		if got, kind, err := get(); string(got) != want || kind != "image/x" || err != nil {
			t.Errorf("Icon = %q, %q, %v", got, kind, err)
		}
	}
}

func testGrants(t *testing.T, open func(testing.TB) *store.Store) {
	s := open(t)
	f := Fill(t, s)
	site, service, byHand := f.Site, f.Service, f.Grant
	site.ID, site.Name, site.Pin = ownline.NewID[ownline.Site](), "cabin", "pin of the cabin"
	service.ID, service.Site = ownline.NewID[ownline.Service](), site.ID
	byHand.ID, byHand.Service, byHand.Automatic = ownline.NewID[ownline.Grant](), service.ID, false
	must(t, s.Write(t.Context(), func(tx *store.Tx) error {
		return errors.Join(tx.AddSite(site), tx.AddService(service), tx.AddGrant(byHand))
	}))
	yes, no := true, false
	for name, tc := range map[string]struct {
		q    ownline.GrantQuery
		want []ownline.Grant
	}{
		"all":                     {ownline.GrantQuery{}, []ownline.Grant{f.Grant, byHand}},
		"of a user":               {ownline.GrantQuery{User: f.User.ID}, []ownline.Grant{f.Grant, byHand}},
		"of nobody":               {ownline.GrantQuery{User: ownline.NewID[ownline.User]()}, nil},
		"for a service":           {ownline.GrantQuery{Service: service.ID}, []ownline.Grant{byHand}},
		"at a site":               {ownline.GrantQuery{Site: f.Site.ID}, []ownline.Grant{f.Grant}},
		"at another":              {ownline.GrantQuery{Site: site.ID}, []ownline.Grant{byHand}},
		"at none":                 {ownline.GrantQuery{Site: ownline.NewID[ownline.Site]()}, nil},
		"automatic":               {ownline.GrantQuery{Automatic: &yes}, []ownline.Grant{f.Grant}},
		"not automatic":           {ownline.GrantQuery{Automatic: &no}, []ownline.Grant{byHand}},
		"automatic, at the other": {ownline.GrantQuery{Automatic: &yes, Site: site.ID}, nil},
	} {
		got := read(t, s, func(tx *store.Tx) ([]ownline.Grant, error) { gs, _, err := tx.Grants(tc.q); return gs, err })
		equal(t, "Grants: "+name, got, tc.want)
	}
}
