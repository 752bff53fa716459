// Package storetest is the contract that a store keeps on every database.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/store"
)

// T0 is when the tests play.
var T0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Contract runs every test of the contract. open opens the database that belongs to the
// test, an empty one at first and the same one when called again.
func Contract(t *testing.T, open func(testing.TB) *store.Store) {
	for name, test := range map[string]func(*testing.T, func(testing.TB) *store.Store){
		"transfer": testTransfer, "kept": testKept, "users": testUsers, "grants": testGrants, "sites": testSites, "sessions": testSessions, "once": testOnce, "audit": testAudit,
		"undone": testUndone, "lists": testLists, "auth": testAuth, "logins": testLogins, "passes": testPasses, "attempts": testAttempts, "settings": testSettings, "places": testPlaces, "removal": testRemoval,
		"proxied": testProxied, "filters": testFilters, "external": testExternal, "retention": testRetention, "audit retention": testAuditRetention,
		"refusals": testRefusals, "factors": testFactors, "passkeys": testPasskeys,
		"invitations": testInvitations, "invitations removed": testInvitationsRemoved,
		"audit lines": testAuditLines, "icons": testIcons, "resources": testResources,
	} {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

// Fixture is one of everything.
type Fixture struct {
	User    ownline.User
	Site    ownline.Site
	Service ownline.Service
	Grant   ownline.Grant
	Device  ownline.Device
	Session ownline.Session
}

// Fill puts one of everything into the store.
func Fill(t testing.TB, s *store.Store) Fixture {
	t.Helper()
	f := Fixture{
		User: ownline.User{ID: ownline.NewID[ownline.User](), Name: "ana", Role: ownline.Person, Created: T0},
		Site: ownline.Site{
			ID: ownline.NewID[ownline.Site](), Name: "home", Host: "home.example.org", Link: "127.0.0.1:1", Pin: "pin", KnockPort: 54754,
			LocalNetworks: []netip.Prefix{netip.MustParsePrefix("192.168.7.0/24"), netip.MustParsePrefix("fd00:7::/64")},
			ReservedPorts: []uint16{22, 443}, Proxy: ownline.SiteProxy{Driver: "embedded", Domain: "home.example.org", Port: 9999}, IPv6Prefix: 64, AllowedFrom: "ES 198.51.100.0/24", Revision: 1, Created: T0,
		},
	}
	f.Service = ownline.Service{
		ID: ownline.NewID[ownline.Service](), Site: f.Site.ID, Name: "ssh", Kind: ownline.Forward, Transport: ownline.TCP,
		Target4: netip.MustParseAddrPort("192.168.7.10:22"), Target6: netip.MustParseAddrPort("[fd00:7::10]:22"), Icon: "terminal", Created: T0,
		SiteProxy: f.Site.Proxy,
	}
	f.Grant = ownline.Grant{
		ID: ownline.NewID[ownline.Grant](), User: f.User.ID, Service: f.Service.ID, Automatic: true, PublicPort: 443, AllowReserved: true,
		MaxDuration: 90 * time.Second, MaxSources: 3, RequireClaimedSource: true, AllowedFrom: "AS3352", Created: T0,
	}
	f.Device = ownline.Device{
		ID: ownline.NewID[ownline.Device](), User: f.User.ID, Site: f.Site.ID, Name: "phone", Secret: bytes.Repeat([]byte{7}, 32),
		RequireClaimedSource: true, AllowedFrom: "PT", Created: T0,
	}
	f.Session = f.NewSession()
	must(t, s.Write(t.Context(), func(tx *store.Tx) error {
		return errors.Join(tx.AddUser(f.User, "hash"), tx.AddSite(f.Site), tx.AddService(f.Service), tx.AddGrant(f.Grant),
			tx.AddDevice(f.Device), tx.AddSession(f.Session))
	}))
	return f
}

// NewSession makes another session of the fixture's device, which is in no store yet.
func (f Fixture) NewSession() ownline.Session {
	return ownline.Session{
		ID: ownline.NewID[ownline.Session](), Site: f.Site.ID, User: f.User.ID, Service: f.Service.ID, Device: f.Device.ID,
		Source: netip.MustParsePrefix("198.51.100.7/32"), PublicPort: 20000, Reserved: true, Transport: ownline.TCP, Target: f.Service.Target4,
		State: ownline.Opening, Opened: T0, Expires: T0.Add(time.Hour), Revision: 2,
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// read returns what f reads.
func read[T any](t testing.TB, s *store.Store, f func(*store.Tx) (T, error)) T {
	t.Helper()
	var v T
	must(t, s.Read(t.Context(), func(tx *store.Tx) (err error) {
		v, err = f(tx)
		return err
	}))
	return v
}

func equal[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		t.Errorf("%s:\n got %s\nwant %s", what, g, w)
	}
}

func wantKind(t testing.TB, what string, err, kind error, field string) {
	t.Helper()
	fe, _ := errors.AsType[*ownline.FieldError](err)
	if !errors.Is(err, kind) || fe == nil || fe.Field != field {
		t.Errorf("%s = %v, want %v about %q", what, err, kind, field)
	}
}

func testUsers(t *testing.T, open func(testing.TB) *store.Store) {
	s := open(t)
	f := Fill(t, s)
	equal(t, "User", read(t, s, func(tx *store.Tx) (ownline.User, error) { return tx.User(f.User.ID) }), f.User)
	twin := f.User
	twin.ID = ownline.NewID[ownline.User]()
	wantKind(t, "AddUser of a name that is taken", s.Write(t.Context(), func(tx *store.Tx) error { return tx.AddUser(twin, "") }), ownline.ErrConflict, "name")
	wantKind(t, "User of nobody", s.Read(t.Context(), func(tx *store.Tx) error { _, err := tx.User(twin.ID); return err }), ownline.ErrNotFound, "user")
	// A removed user's name is free again.
	must(t, s.Write(t.Context(), func(tx *store.Tx) error { return errors.Join(tx.RemoveUser(f.User.ID, T0), tx.AddUser(twin, "")) }))
	wantKind(t, "User who was removed", s.Read(t.Context(), func(tx *store.Tx) error { _, err := tx.User(f.User.ID); return err }), ownline.ErrNotFound, "user")
	// History keeps the name.
	equal(t, "name in a session", read(t, s, func(tx *store.Tx) (ownline.SessionInfo, error) { return tx.Session(f.Session.ID) }).UserName, "ana")
}

func testSites(t *testing.T, open func(testing.TB) *store.Store) {
	s := open(t)
	f := Fill(t, s)
	equal(t, "Site", read(t, s, func(tx *store.Tx) (ownline.Site, error) { return tx.Site(f.Site.ID) }), f.Site)
	equal(t, "Service", read(t, s, func(tx *store.Tx) (ownline.Service, error) { return tx.Service(f.Service.ID) }), f.Service)
	equal(t, "Grant", read(t, s, func(tx *store.Tx) (ownline.Grant, error) { return tx.Grant(f.Grant.ID) }), f.Grant)
	must(t, s.Write(t.Context(), func(tx *store.Tx) error {
		rev, err := tx.Bump(f.Site.ID)
		if rev != 2 {
			t.Errorf("Bump = %d, want 2", rev)
		}
		return err
	}))
	twin := f.Site
	twin.ID, twin.Name = ownline.NewID[ownline.Site](), "other"
	wantKind(t, "AddSite of a known core", s.Write(t.Context(), func(tx *store.Tx) error { return tx.AddSite(twin) }), ownline.ErrConflict, "code")
	must(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.RemoveSite(f.Site.ID, T0) }))
	list := func(since time.Time) []ownline.Site {
		return read(t, s, func(tx *store.Tx) ([]ownline.Site, error) { return tx.SitesToCommand(since) })
	}
	if got := list(T0.Add(-time.Hour)); len(got) != 1 || !got[0].Removed {
		t.Errorf("a removed site is not commanded any more: %+v", got)
	}
	if got := list(T0); len(got) != 0 {
		t.Errorf("a site that was removed long ago is commanded: %+v", got)
	}
	must(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.AddSite(twin) }))
	if got := list(T0.Add(-time.Hour)); len(got) != 1 || got[0].ID != twin.ID {
		t.Errorf("the core belongs to the new site now: %+v", got)
	}
}

func testSessions(t *testing.T, open func(testing.TB) *store.Store) {
	s := open(t)
	f := Fill(t, s)
	want := ownline.SessionInfo{
		Session: f.Session, SiteName: "home", SiteHost: "home.example.org", UserName: "ana", ServiceName: "ssh",
		ServiceKind: ownline.Forward, ServiceIcon: "terminal", DeviceName: "phone", SiteProxy: f.Site.Proxy,
	}
	get := func(id ownline.SessionID) ownline.SessionInfo {
		return read(t, s, func(tx *store.Tx) (ownline.SessionInfo, error) { return tx.Session(id) })
	}
	equal(t, "Session", get(f.Session.ID), want)
	want.State, want.Expires, want.Successor, want.Revision = ownline.Active, T0.Add(2*time.Hour), ownline.NewID[ownline.Session](), 9
	want.Traffic = ownline.Traffic{UpBytes: 1 << 62, UpPackets: 2, DownBytes: 3, DownPackets: 4}
	must(t, s.Write(t.Context(), func(tx *store.Tx) error {
		return errors.Join(tx.SaveSession(want.Session), tx.SaveTraffic(want.ID, want.Traffic))
	}))
	equal(t, "Session after SaveSession", get(f.Session.ID), want)

	byHand := f.NewSession()
	byHand.Device, byHand.Expires = ownline.DeviceID{}, T0.Add(time.Minute)
	must(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.AddSession(byHand) }))
	if got := get(byHand.ID); !got.Device.IsZero() || got.DeviceName != "" {
		t.Errorf("session without a device = %+v", got)
	}
	next := func() time.Time {
		return read(t, s, func(tx *store.Tx) (time.Time, error) { return tx.NextExpiry() })
	}
	equal(t, "NextExpiry", next(), byHand.Expires)
	due := func(at time.Time) int {
		return len(read(t, s, func(tx *store.Tx) ([]ownline.SessionInfo, error) { return tx.DueSessions(at) }))
	}
	if due(byHand.Expires.Add(-time.Millisecond)) != 0 || due(byHand.Expires) != 1 {
		t.Error("DueSessions is not exact")
	}
	near := func(p string, d ownline.DeviceID) int {
		return len(read(t, s, func(tx *store.Tx) ([]ownline.Session, error) {
			return tx.LiveNear(f.Site.ID, netip.MustParsePrefix(p), d)
		}))
	}
	if n := near("198.51.100.7/32", f.Device.ID); n != 2 {
		t.Errorf("LiveNear of the source = %d, want 2", n)
	}
	if n := near("203.0.113.9/32", f.Device.ID); n != 1 {
		t.Errorf("LiveNear of the device = %d, want 1", n)
	}
	want.State, want.Reason, want.EndedAt, want.EndedBy, want.EndedByName = ownline.Ended, ownline.Expired, T0.Add(2*time.Hour), f.User.ID, "ana"
	must(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.SaveSession(want.Session) }))
	equal(t, "Session that ana ended", get(want.ID), want)
	for live, n := range map[bool]int{true: 1, false: 1} {
		got := read(t, s, func(tx *store.Tx) ([]ownline.SessionInfo, error) {
			ss, _, err := tx.Sessions(ownline.SessionQuery{Live: live, Ended: !live, User: f.User.ID, Service: f.Service.ID, Site: f.Site.ID})
			return ss, err
		})
		if len(got) != n || (got[0].State != ownline.Ended) != live {
			t.Errorf("Sessions(live %t) = %+v", live, got)
		}
	}
	// Idempotency keys.
	idem := func(key string, since time.Time) (id ownline.SessionID) {
		return read(t, s, func(tx *store.Tx) (ownline.SessionID, error) {
			id, _, err := tx.Idempotent(f.User.ID, key, since)
			return id, err
		})
	}
	must(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.KeepIdempotent(f.User.ID, "k", "ask", byHand.ID, T0) }))
	if idem("k", T0.Add(-time.Second)) != byHand.ID || !idem("k", T0).IsZero() || !idem("x", T0.Add(-time.Second)).IsZero() {
		t.Error("idempotency keys are not kept as long as asked")
	}
	must(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.ForgetIdempotent(byHand.ID) }))
	if !idem("k", T0.Add(-time.Second)).IsZero() {
		t.Error("ForgetIdempotent forgot nothing")
	}
}

// testOnce compares the store's rule with knock.Memory, over reopenings of the database
// (invariant 2).
func testOnce(t *testing.T, open func(testing.TB) *store.Store) {
	s := open(t)
	f := Fill(t, s)
	var memory knock.Memory
	r := rand.New(rand.NewPCG(1, 2))
	const skew = time.Minute
	accepted := 0
	for i := range 1500 {
		var n knock.Nonce
		n[0] = byte(r.IntN(40)) // often one that was seen
		made := T0.Add(time.Duration(i)*200*time.Millisecond + time.Duration(r.IntN(400_000)-200_000)*time.Millisecond)
		got := Accept(t, s, f.Device.ID, n, made, skew)
		if want := memory.Accept(n, made, skew); got != want {
			t.Fatalf("knock %d: nonce %d made %s: the store says %t, knock.Memory %t", i, n[0], made, got, want)
		}
		if got {
			accepted++
		}
		switch {
		case i%400 == 399:
			must(t, s.Close())
			s = open(t)
		case i%50 == 49:
			must(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.Sweep(T0, T0) }))
		}
	}
	if accepted < 50 || accepted > 1000 {
		t.Errorf("%d of 1500 accepted: the test tests little", accepted)
	}
}

// Accept has the store judge one knock in a transaction of its own.
func Accept(t testing.TB, s *store.Store, d ownline.DeviceID, n knock.Nonce, made time.Time, skew time.Duration) (ok bool) {
	t.Helper()
	refused := errors.New("refused")
	err := s.Write(context.Background(), func(tx *store.Tx) (err error) {
		ok, err = tx.AcceptKnock(d, n, made, skew, netip.MustParsePrefix("198.51.100.7/32"), made)
		if err == nil && !ok {
			err = refused
		}
		return err
	})
	if err != nil && !errors.Is(err, refused) {
		t.Fatal(err)
	}
	return ok
}

func testAudit(t *testing.T, open func(testing.TB) *store.Store) {
	s := open(t)
	must(t, s.Audit(t.Context(), ownline.AuditEntry{At: T0, By: "command", Action: "test", Client: netip.MustParseAddr("::1")}))
	for _, q := range []string{"UPDATE audit SET action = ''", "DELETE FROM audit"} {
		if err := s.Exec(t.Context(), q); err == nil {
			t.Errorf("%s was not refused", q)
		}
	}
}

func testUndone(t *testing.T, open func(testing.TB) *store.Store) {
	s := open(t)
	boom := errors.New("boom")
	err := s.Write(t.Context(), func(tx *store.Tx) error { return errors.Join(tx.SetSetting("k", "v"), boom) })
	if v, err2 := s.Setting(t.Context(), "k"); !errors.Is(err, boom) || v != "" || err2 != nil {
		t.Errorf("after an error: %v, setting %q, %v", err, v, err2)
	}
	func() {
		defer func() { _ = recover() }()
		_ = s.Write(t.Context(), func(tx *store.Tx) error {
			must(t, tx.SetSetting("k", "v"))
			panic("boom")
		})
	}()
	if v, err := s.Setting(t.Context(), "k"); v != "" || err != nil {
		t.Errorf("after a panic: setting %q, %v", v, err)
	}
	if err := s.Read(t.Context(), func(tx *store.Tx) error { return tx.SetSetting("k", "v") }); err == nil {
		t.Error("a reading transaction wrote")
	}
	// A reader sees one moment.
	must(t, s.Read(t.Context(), func(tx *store.Tx) error {
		before, err := tx.Setting("k")
		must(t, err)
		must(t, s.SetSetting(context.Background(), "k", "new"))
		after, err := tx.Setting("k")
		if before != after {
			t.Errorf("a reader saw %q and then %q", before, after)
		}
		return err
	}))
}

func testLists(t *testing.T, open func(testing.TB) *store.Store) {
	s := open(t)
	f := Fill(t, s)
	want := []ownline.SessionID{f.Session.ID}
	must(t, s.Write(t.Context(), func(tx *store.Tx) error {
		for range 24 {
			e := f.NewSession()
			want = append(want, e.ID)
			if err := tx.AddSession(e); err != nil {
				return err
			}
		}
		return nil
	}))
	slices.Reverse(want)
	var got []ownline.SessionID
	p := ownline.Page{Limit: 10}
	for pages := 1; ; pages++ {
		var next string
		must(t, s.Read(t.Context(), func(tx *store.Tx) error {
			ss, n, err := tx.Sessions(ownline.SessionQuery{Page: p})
			for _, e := range ss {
				got = append(got, e.ID)
			}
			next = n
			return err
		}))
		if next == "" {
			if pages != 3 {
				t.Errorf("%d pages, want 3", pages)
			}
			break
		}
		p.Cursor = next
	}
	equal(t, "sessions, newest first", got, want)
	for field, p := range map[string]ownline.Page{"limit": {Limit: 201}, "cursor": {Cursor: "?"}} {
		wantKind(t, "a bad "+field, s.Read(t.Context(), func(tx *store.Tx) error { _, _, err := tx.Users(ownline.UserQuery{Page: p}); return err }), ownline.ErrInvalid, field)
	}
	services := func(site ownline.SiteID, u ownline.UserID) int {
		return len(read(t, s, func(tx *store.Tx) ([]ownline.Service, error) {
			ss, _, err := tx.Services(ownline.Page{}, site, u)
			return ss, err
		}))
	}
	if services(f.Site.ID, f.User.ID) != 1 || services(ownline.SiteID{}, ownline.NewID[ownline.User]()) != 0 {
		t.Error("services are not those that are granted")
	}
}

func testAuth(t *testing.T, open func(testing.TB) *store.Store) {
	s := open(t)
	f := Fill(t, s)
	ctx := t.Context()
	u, hash, err := s.Credentials(ctx, "ana")
	if err != nil || u.ID != f.User.ID || hash != "hash" {
		t.Errorf("Credentials = %+v, %q, %v", u, hash, err)
	}
	l := ownline.Login{ID: ownline.NewID[ownline.Login](), User: f.User.ID, Created: T0, Expires: T0.Add(time.Hour)}
	k := ownline.Token{ID: ownline.NewID[ownline.Token](), User: f.User.ID, Name: "cli", Scopes: []string{"full"}, Created: T0}
	must(t, errors.Join(s.AddLogin(ctx, l, []byte("l")), s.AddToken(ctx, k, []byte("k"))))
	got, u, err := s.Login(ctx, []byte("l"), T0)
	if err != nil || u.ID != f.User.ID {
		t.Fatal(u, err)
	}
	equal(t, "Login", got, l)
	if _, _, err := s.Login(ctx, []byte("l"), l.Expires); !errors.Is(err, ownline.ErrNotFound) {
		t.Errorf("a login that is over: %v", err)
	}
	gotK, _, err := s.Token(ctx, []byte("k"), T0)
	must(t, err)
	equal(t, "Token", gotK, k)
	wantKind(t, "another's token", s.DeleteToken(ctx, ownline.NewID[ownline.User](), k.ID), ownline.ErrNotFound, "token")
	must(t, s.Write(ctx, func(tx *store.Tx) error { return errors.Join(tx.SetPassword(f.User.ID, "new"), tx.SignOut(f.User.ID)) }))
	if _, hash, err := s.Credentials(ctx, f.User.Name); hash != "new" || err != nil {
		t.Errorf("Credentials = %q, %v", hash, err)
	}
	if _, _, err := s.Token(ctx, []byte("k"), T0); !errors.Is(err, ownline.ErrNotFound) {
		t.Errorf("a token outlived the user's signing out: %v", err)
	}
}

func testSettings(t *testing.T, open func(testing.TB) *store.Store) {
	s := open(t)
	for _, want := range []string{"1", "2", ""} {
		must(t, s.SetSetting(t.Context(), "k", want))
		if v, err := s.Setting(t.Context(), "k"); v != want || err != nil {
			t.Errorf("Setting = %q, %v; want %q", v, err, want)
		}
	}
	for want := range int64(3) {
		equal(t, "Changes", read(t, s, (*store.Tx).Changes), want)
		must(t, s.Write(t.Context(), func(tx *store.Tx) error {
			n, err := tx.CountChange()
			equal(t, "CountChange", n, want+1)
			return err
		}))
	}
	made := 0
	generate := func() ([]byte, error) { made++; return []byte("PEM"), nil }
	for range 2 {
		if pem, err := s.LinkIdentity(t.Context(), generate); string(pem) != "PEM" || err != nil {
			t.Errorf("LinkIdentity = %q, %v", pem, err)
		}
	}
	if made != 1 {
		t.Errorf("the identity was made %d times", made)
	}
	brokerCertificate(t, s)
	epoch := func() string { return read(t, s, func(tx *store.Tx) (string, error) { return tx.Epoch() }) }
	before := epoch()
	must(t, s.Close())
	s = open(t)
	if before == "" || epoch() != before {
		t.Errorf("epoch %q, after opening again %q", before, epoch())
	}
	must(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.NewEpoch() }))
	if epoch() == before {
		t.Error("NewEpoch made none")
	}
}

func testRemoval(t *testing.T, open func(testing.TB) *store.Store) {
	s := open(t)
	f := Fill(t, s)
	secrets := func() int {
		ds := read(t, s, func(tx *store.Tx) (n []string, err error) {
			ds, err := tx.CoreDevices(f.Site.ID)
			for _, d := range ds {
				n = append(n, string(d.Secret))
			}
			return n, err
		})
		if len(ds) == 1 && ds[0] != string(f.Device.Secret) {
			t.Errorf("secret = %q", ds[0])
		}
		return len(ds)
	}
	knocker := func() error {
		return s.Read(t.Context(), func(tx *store.Tx) error { _, _, _, err := tx.Knocker(f.Device.ID); return err })
	}
	if secrets() != 1 || knocker() != nil {
		t.Fatal("the device is not there", knocker())
	}
	disabled := f.User
	disabled.Disabled = true
	must(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.SaveUser(disabled) }))
	if secrets() != 0 {
		t.Error("the device of a disabled user counts")
	}
	must(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.SaveUser(f.User) }))
	must(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.RemoveService(f.Service.ID, T0) }))
	offers := read(t, s, func(tx *store.Tx) (n int, err error) {
		os, err := tx.Offers(f.User.ID, f.Site.ID)
		return len(os), err
	})
	if offers != 0 {
		t.Error("a removed service is offered")
	}
	must(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.RemoveDevice(f.Device.ID, T0) }))
	if secrets() != 0 || !errors.Is(knocker(), ownline.ErrNotFound) {
		t.Error("a removed device counts")
	}
	equal(t, "names in history", read(t, s, func(tx *store.Tx) (ownline.SessionInfo, error) { return tx.Session(f.Session.ID) }).DeviceName, "phone")
}
