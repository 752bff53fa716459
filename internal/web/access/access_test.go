package access_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/policy"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/store"
	"github.com/ownline/ownline/internal/web/store/storetest"
)

// fakeCores obeys at once, or can't be reached.
type fakeCores struct {
	mu     sync.Mutex
	down   bool
	open   map[ownline.SessionID]link.Session
	syncs  int
	passes []link.Pass
	proxy  link.Proxy // of a core that is paired with
}

func (f *fakeCores) err() error {
	if f.down {
		return ownline.ErrUnavailable
	}
	return nil
}

func (f *fakeCores) Put(_ context.Context, _ ownline.SiteID, _ uint64, s link.Session) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.down {
		f.open[s.ID] = s
	}
	return f.err()
}

func (f *fakeCores) End(_ context.Context, _ ownline.SiteID, _ uint64, ids []ownline.SessionID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range ids {
		delete(f.open, id)
	}
	return f.err()
}

func (f *fakeCores) Sync(context.Context, ownline.SiteID, uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.syncs++
	return f.err()
}

func (f *fakeCores) Pass(_ context.Context, _ ownline.SiteID, _ uint64, p link.Pass, _, _ []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.passes = append(f.passes, p)
	return f.err()
}

func (f *fakeCores) Health(ownline.SiteID) ownline.LinkHealth {
	return ownline.LinkHealth{Connected: true, Error: "secret of admins"}
}

func (f *fakeCores) Ping(context.Context, ownline.SiteID) (time.Duration, error) {
	return time.Millisecond, nil
}

func (f *fakeCores) Preview(_ context.Context, _ ownline.SiteID, s link.Service) (string, error) {
	return s.Options.Template, f.err()
}

func (f *fakeCores) Reach(_ context.Context, _ ownline.SiteID, target netip.AddrPort) (link.Reached, error) {
	return link.Reached{Took: time.Duration(target.Port())}, f.err()
}

func (f *fakeCores) Moved(context.Context, ownline.Site) error { return f.err() }

func (f *fakeCores) Pair(context.Context, string) (link.Status, error) {
	return link.Status{
		Proxy: f.proxy, KnockPort: 54754, ReservedPorts: []uint16{22},
		LocalNetworks: []netip.Prefix{netip.MustParsePrefix("192.168.7.0/24"), netip.MustParsePrefix("fd00:7::/64")},
	}, nil
}

type plain struct{}

func (plain) Hash(p string) (string, error) {
	if p == "" {
		return "", ownline.Invalid("password", "is needed")
	}
	return p, nil
}

func (plain) CheckHash(h string) error {
	if h == "bad" {
		return ownline.Invalid("password_hash", "is not one")
	}
	return nil
}

var (
	command = access.Command()
	anaAt   = netip.MustParseAddr("198.51.100.7")
	bobAt   = netip.MustParseAddr("203.0.113.9")
)

// house is a site with two services, an admin and two users.
type house struct {
	*access.Access
	t              testing.TB
	store          *store.Store
	cores          *fakeCores
	paper          *paper
	site           ownline.SiteInfo
	ssh, web       ownline.Service
	root, ana, bob access.Actor
	grant          ownline.Grant // ana's to ssh
	overlap        time.Duration
	countries      access.Countries
	asns           access.ASNs
	retention      access.Retention
	meter          access.Meter
	publish        netip.AddrPort
	doorstep       bool
	origins        ownline.Origins
	log            slog.Handler // nil: none
}

func newHouse(t testing.TB) *house {
	t.Helper()
	st, err := store.Open(context.Background(), storetest.Place(t), make(ownline.Secret, 32))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	h := &house{t: t, store: st, cores: &fakeCores{open: make(map[ownline.SessionID]link.Session)}, paper: &paper{}, overlap: time.Minute}
	h.Access = h.with(h.cores)
	ctx := t.Context()
	code := link.Code{Addr: "h:1", Pin: link.Pin("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), Token: "t"}.String()
	if h.site, err = h.PairSite(ctx, command, code, "home", "home.example.org"); err != nil {
		t.Fatal(err)
	}
	service := func(name, target string) ownline.Service {
		s, err := h.AddService(ctx, command, access.NewService{Site: h.site.ID, Name: name, Target4: netip.MustParseAddrPort(target)})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	h.ssh, h.web = service("ssh", "192.168.7.10:22"), service("web", "192.168.7.10:80")
	user := func(name string, role ownline.Role, at netip.Addr) access.Actor {
		u, err := h.AddUser(ctx, command, access.NewUser{Name: name, Password: "x", Role: role})
		if err != nil {
			t.Fatal(err)
		}
		return access.Actor{User: u, By: access.ByLogin, Client: at}
	}
	h.root, h.ana, h.bob = user("root", ownline.Admin, bobAt), user("ana", ownline.Person, anaAt), user("bob", ownline.Person, bobAt)
	if h.grant, err = h.AddGrant(ctx, command, access.NewGrant{User: h.ana.User.ID, Service: h.ssh.ID, Automatic: true}); err != nil {
		t.Fatal(err)
	}
	return h
}

// with makes the use cases anew on the same database, as another start of web does.
func (h *house) with(e access.Enforcer) *access.Access {
	return access.New(access.Options{
		Store: access.Over(h.store), Enforcer: e, Passwords: plain{}, Countries: h.countries, ASNs: h.asns, Log: slog.New(cmp.Or[slog.Handler](h.log, slog.DiscardHandler)),
		Limits:  policy.Limits{Default: 30 * time.Minute, Max: 24 * time.Hour, Automatic: 30 * time.Minute, PortMin: 20000, PortMax: 29999, Origins: h.origins},
		Overlap: h.overlap, IPv6Prefix: 64, Reporter: h.paper, Retention: h.retention, Publish: h.publish, Doorstep: h.doorstep, Meter: h.meter,
	})
}

func (h *house) open(actor access.Actor, ask access.OpenAsk) ownline.SessionInfo {
	h.t.Helper()
	s, err := h.Open(h.t.Context(), actor, ask)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

func field(err error) string {
	if fe, ok := errors.AsType[*ownline.FieldError](err); ok {
		return fe.Field
	}
	return ""
}

// count is everything that can be counted: nothing may change it when a use case fails.
func (h *house) count() string {
	h.t.Helper()
	ctx, p := h.t.Context(), ownline.Page{Limit: 200}
	us, _, err1 := h.Users(ctx, command, ownline.UserQuery{Page: p})
	ss, _, err2 := h.Services(ctx, command, access.ServiceQuery{Page: p})
	gs, _, err3 := h.Grants(ctx, command, ownline.GrantQuery{Page: p})
	ds, _, err4 := h.Devices(ctx, command, access.DeviceQuery{Page: p})
	es, _, err5 := h.Sessions(ctx, command, access.SessionsAsk{All: true, SessionQuery: ownline.SessionQuery{Page: p}})
	sites, err6 := h.Sites(ctx, command)
	is, _, err7 := h.Invitations(ctx, command, access.InvitationsAsk{All: true})
	if err := errors.Join(err1, err2, err3, err4, err5, err6, err7); err != nil {
		h.t.Fatal(err)
	}
	return fmt.Sprintf("%+v %+v %+v %+v %+v %+v %+v", us, ss, gs, ds, es, sites, is)
}

// Invariants 7 and 10: whose it is, and that bad input names its field and changes nothing.
// Two devices of a user at a site can be told apart by their names, but for what was there before.
func TestDeviceNames(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	add := func(actor access.Actor, n access.NewDevice) (ownline.Device, error) {
		if n.Site.IsZero() {
			n.Site = h.site.ID
		}
		d, _, err := h.AddDevice(ctx, actor, n)
		return d, err
	}
	taken := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, ownline.ErrConflict) || field(err) != "name" {
			t.Errorf("%s: %v, want a conflict about the name", what, err)
		}
	}
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	phone, err := add(h.ana, access.NewDevice{Name: "phone"})
	must("the first", err)
	_, err = add(h.ana, access.NewDevice{Name: "phone"})
	taken("another one", err)
	_, err = add(h.root, access.NewDevice{Name: "phone", User: h.ana.User.ID})
	taken("by an admin", err)
	_, err = add(h.root, access.NewDevice{Name: "phone", User: h.bob.User.ID})
	must("of another user", err)
	code := link.Code{Addr: "cabin:1", Pin: link.Pin(strings.Repeat("B", 42) + "A"), Token: "t"}.String()
	if cabin, err := h.PairSite(ctx, command, code, "cabin", "cabin.example.org"); err != nil {
		t.Error(err)
	} else {
		_, err = add(h.root, access.NewDevice{Name: "phone", User: h.ana.User.ID, Site: cabin.ID})
		must("at another site", err)
	}
	tablet, err := add(h.ana, access.NewDevice{Name: "tablet"})
	must("of another name", err)
	rename := func(d ownline.Device, name string) error {
		_, err := h.ChangeDevice(ctx, h.ana, d.ID, access.DeviceChange{Name: &name, RequireClaimedSource: new(true)})
		return err
	}
	taken("renamed to it", rename(tablet, "phone"))
	must("renamed to what it is", rename(phone, "phone"))
	if _, err := h.RevokeDevice(ctx, h.ana, phone.ID); err != nil {
		t.Fatal(err)
	}
	must("once the other is revoked", rename(tablet, "phone"))
	must("of one that is revoked", rename(phone, "tablet"))
	must("of one that is revoked, the same", rename(phone, "phone"))
}

func TestRefusals(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	s := h.open(h.ana, access.OpenAsk{Service: h.ssh.ID})
	d, _, err := h.AddDevice(ctx, h.ana, access.NewDevice{Site: h.site.ID, Name: "phone"})
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddrPort
	nobody, token := access.Actor{}, h.ana
	token.By, token.Scopes = access.ByToken, []string{"other"}
	str := func(s string) *string { return &s }
	yes, admin, bits := true, ownline.Role("king"), 200
	newService := func(change func(*access.NewService)) func() error {
		return func() error {
			n := access.NewService{Site: h.site.ID, Name: "new", Target4: addr("192.168.7.11:1")}
			change(&n)
			_, err := h.AddService(ctx, command, n)
			return err
		}
	}
	open := func(actor access.Actor, ask access.OpenAsk) func() error {
		return func() error { _, err := h.Open(ctx, actor, ask); return err }
	}
	before := h.count()
	for name, tc := range map[string]struct {
		do    func() error
		kind  error
		field string
	}{
		"nobody opens":              {open(nobody, access.OpenAsk{Service: h.ssh.ID}), ownline.ErrUnauthorized, ""},
		"a token without the scope": {open(token, access.OpenAsk{Service: h.ssh.ID}), ownline.ErrForbidden, ""},
		"a command opens":           {open(command, access.OpenAsk{Service: h.ssh.ID}), ownline.ErrForbidden, "user"},
		"not granted":               {open(h.bob, access.OpenAsk{Service: h.ssh.ID}), ownline.ErrNotFound, "service"},
		"no such service":           {open(h.ana, access.OpenAsk{Service: ownline.ServiceID{1}}), ownline.ErrNotFound, "service"},
		"another source":            {open(h.ana, access.OpenAsk{Service: h.ssh.ID, Source: bobAt}), ownline.ErrForbidden, "source"},
		"a private source":          {open(h.root, access.OpenAsk{Service: h.ssh.ID, Source: netip.MustParseAddr("10.0.0.1")}), ownline.ErrInvalid, "source"},
		"IPv6 for IPv4 only":        {open(h.root, access.OpenAsk{Service: h.ssh.ID, Source: netip.MustParseAddr("2a01::1")}), ownline.ErrInvalid, "source"},
		"a port out of range":       {open(h.ana, access.OpenAsk{Service: h.ssh.ID, PublicPort: 22}), ownline.ErrInvalid, "public_port"},
		"a duration below a second": {open(h.ana, access.OpenAsk{Service: h.ssh.ID, For: 1}), ownline.ErrInvalid, "for"},
		"another's session":         {func() error { _, err := h.Session(ctx, h.bob, s.ID); return err }, ownline.ErrNotFound, "session"},
		"closing another's":         {func() error { _, err := h.Close(ctx, h.bob, s.ID); return err }, ownline.ErrNotFound, "session"},
		"renewing another's":        {func() error { _, err := h.Renew(ctx, h.bob, s.ID, 0); return err }, ownline.ErrNotFound, "session"},
		"everybody's sessions":      {func() error { _, _, err := h.Sessions(ctx, h.bob, access.SessionsAsk{All: true}); return err }, ownline.ErrForbidden, "all"},
		"another user's sessions": {func() error {
			_, _, err := h.Sessions(ctx, h.bob, access.SessionsAsk{SessionQuery: ownline.SessionQuery{User: h.ana.User.ID}})
			return err
		}, ownline.ErrNotFound, "user"},
		"flushing everybody's": {func() error { _, err := h.Flush(ctx, h.bob, true, ownline.SiteID{}); return err }, ownline.ErrForbidden, "all"},
		"another's device":     {func() error { _, err := h.Device(ctx, h.bob, d.ID); return err }, ownline.ErrNotFound, "device"},
		"revoking another's":   {func() error { _, err := h.RevokeDevice(ctx, h.bob, d.ID); return err }, ownline.ErrNotFound, "device"},
		"rotating another's":   {func() error { _, _, err := h.RotateDevice(ctx, h.bob, d.ID); return err }, ownline.ErrNotFound, "device"},
		"a device for another": {func() error {
			_, _, err := h.AddDevice(ctx, h.bob, access.NewDevice{User: h.ana.User.ID, Site: h.site.ID, Name: "x"})
			return err
		}, ownline.ErrForbidden, "user"},
		"a device at no own site": {func() error {
			_, _, err := h.AddDevice(ctx, h.bob, access.NewDevice{Site: h.site.ID, Name: "x"})
			return err
		}, ownline.ErrNotFound, "site"},
		"a device without a name": {func() error { _, _, err := h.AddDevice(ctx, h.ana, access.NewDevice{Site: h.site.ID}); return err }, ownline.ErrInvalid, "name"},
		"users by a user":         {func() error { _, _, err := h.Users(ctx, h.ana, ownline.UserQuery{}); return err }, ownline.ErrForbidden, ""},
		"another user":            {func() error { _, err := h.User(ctx, h.ana, h.bob.User.ID); return err }, ownline.ErrNotFound, "user"},
		"a user by a user":        {func() error { _, err := h.AddUser(ctx, h.ana, access.NewUser{Name: "x", Password: "x"}); return err }, ownline.ErrForbidden, ""},
		"a bad user name": {func() error {
			_, err := h.AddUser(ctx, command, access.NewUser{Name: "A b", Password: "x"})
			return err
		}, ownline.ErrInvalid, "name"},
		"a taken user name": {func() error {
			_, err := h.AddUser(ctx, command, access.NewUser{Name: "ana", Password: "x"})
			return err
		}, ownline.ErrConflict, "name"},
		"a user called like an option": {func() error {
			_, err := h.AddUser(ctx, command, access.NewUser{Name: "-", Password: "x"})
			return err
		}, ownline.ErrInvalid, "name"},
		"a user called like a folder": {func() error {
			name := ".."
			_, err := h.ChangeUser(ctx, command, h.ana.User.ID, access.UserChange{Name: &name})
			return err
		}, ownline.ErrInvalid, "name"},
		"no password": {func() error { _, err := h.AddUser(ctx, command, access.NewUser{Name: "x"}); return err }, ownline.ErrInvalid, "password"},
		"an unknown role": {func() error {
			_, err := h.ChangeUser(ctx, command, h.ana.User.ID, access.UserChange{Role: &admin})
			return err
		}, ownline.ErrInvalid, "role"},
		"the last admin disabled": {func() error {
			_, err := h.ChangeUser(ctx, h.root, h.root.User.ID, access.UserChange{Disabled: &yes})
			return err
		}, ownline.ErrConflict, "disabled"},
		"the last admin removed": {func() error { return h.RemoveUser(ctx, command, h.root.User.ID) }, ownline.ErrConflict, "role"},
		"a service by a user":    {func() error { _, err := h.AddService(ctx, h.ana, access.NewService{Site: h.site.ID}); return err }, ownline.ErrForbidden, ""},
		"no target":              {newService(func(n *access.NewService) { n.Target4 = netip.AddrPort{} }), ownline.ErrInvalid, "target"},
		"a target outside":       {newService(func(n *access.NewService) { n.Target4 = addr("192.168.8.1:22") }), ownline.ErrInvalid, "target"},
		"a public target":        {newService(func(n *access.NewService) { n.Target4 = addr("8.8.8.8:53") }), ownline.ErrInvalid, "target"},
		"a loopback target":      {newService(func(n *access.NewService) { n.Target4 = addr("127.0.0.1:22") }), ownline.ErrInvalid, "target"},
		"an unspecified target":  {newService(func(n *access.NewService) { n.Target4 = addr("0.0.0.0:22") }), ownline.ErrInvalid, "target"},
		"no port":                {newService(func(n *access.NewService) { n.Target4 = addr("192.168.7.10:0") }), ownline.ErrInvalid, "target"},
		"IPv6 as IPv4":           {newService(func(n *access.NewService) { n.Target4 = addr("[fd00:7::1]:22") }), ownline.ErrInvalid, "target"},
		"mapped as IPv6":         {newService(func(n *access.NewService) { n.Target6 = addr("[::ffff:192.168.7.1]:22") }), ownline.ErrInvalid, "target6"},
		"IPv6 outside":           {newService(func(n *access.NewService) { n.Target6 = addr("[fd00:8::1]:22") }), ownline.ErrInvalid, "target6"},
		"a bad service name":     {newService(func(n *access.NewService) { n.Name = "-x" }), ownline.ErrInvalid, "name"},
		"a taken service name":   {newService(func(n *access.NewService) { n.Name = "ssh" }), ownline.ErrConflict, "name"},
		"a bad transport":        {newService(func(n *access.NewService) { n.Transport = "icmp" }), ownline.ErrInvalid, "transport"},
		"a kind of no kind":      {newService(func(n *access.NewService) { n.Kind = "tunnel" }), ownline.ErrInvalid, "kind"},
		"a name of web's own":    {newService(func(n *access.NewService) { n.Name = ownline.OwnService }), ownline.ErrInvalid, "name"},
		"the doorstep's name":    {newService(func(n *access.NewService) { n.Name = ownline.Doorstep }), ownline.ErrInvalid, "name"},
		"the broker's name":      {newService(func(n *access.NewService) { n.Kind, n.Name = ownline.Proxy, ownline.BrokerName }), ownline.ErrInvalid, "name"},
		"a proxied UDP service":  {newService(func(n *access.NewService) { n.Kind, n.Transport = ownline.Proxy, ownline.UDP }), ownline.ErrInvalid, "transport"},
		"a forward's options":    {newService(func(n *access.NewService) { n.Proxy.Scheme = "http" }), ownline.ErrInvalid, "options"},
		"a service at no site":   {newService(func(n *access.NewService) { n.Site = ownline.SiteID{} }), ownline.ErrNotFound, "site"},
		"another's service":      {func() error { _, err := h.Service(ctx, h.bob, h.ssh.ID); return err }, ownline.ErrNotFound, "service"},
		"a second grant": {func() error {
			_, err := h.AddGrant(ctx, command, access.NewGrant{User: h.ana.User.ID, Service: h.ssh.ID})
			return err
		}, ownline.ErrConflict, "service"},
		"a grant to nobody":  {func() error { _, err := h.AddGrant(ctx, command, access.NewGrant{Service: h.ssh.ID}); return err }, ownline.ErrNotFound, "user"},
		"a grant to nothing": {func() error { _, err := h.AddGrant(ctx, command, access.NewGrant{User: h.bob.User.ID}); return err }, ownline.ErrNotFound, "service"},
		"a grant of a reserved port": {func() error {
			_, err := h.AddGrant(ctx, command, access.NewGrant{User: h.bob.User.ID, Service: h.ssh.ID, PublicPort: 22})
			return err
		}, ownline.ErrConflict, "public_port"},
		"allow_reserved alone": {func() error {
			_, err := h.AddGrant(ctx, command, access.NewGrant{User: h.bob.User.ID, Service: h.ssh.ID, AllowReserved: true})
			return err
		}, ownline.ErrInvalid, "allow_reserved"},
		"a negative duration": {func() error {
			_, err := h.AddGrant(ctx, command, access.NewGrant{User: h.bob.User.ID, Service: h.ssh.ID, MaxDuration: -1})
			return err
		}, ownline.ErrInvalid, "max_duration"},
		"granting by a user": {func() error {
			_, err := h.AddGrant(ctx, h.ana, access.NewGrant{User: h.ana.User.ID, Service: h.web.ID})
			return err
		}, ownline.ErrForbidden, ""},
		"another's grant":      {func() error { _, err := h.Grant(ctx, h.bob, h.grant.ID); return err }, ownline.ErrNotFound, "grant"},
		"a site not one's own": {func() error { _, err := h.Site(ctx, h.bob, h.site.ID); return err }, ownline.ErrNotFound, "site"},
		"a site by a user":     {func() error { return h.RemoveSite(ctx, h.ana, h.site.ID) }, ownline.ErrForbidden, ""},
		"a bad host": {func() error {
			_, err := h.ChangeSite(ctx, command, h.site.ID, access.SiteChange{Host: str("a b")})
			return err
		}, ownline.ErrInvalid, "host"},
		"a bad prefix": {func() error {
			_, err := h.ChangeSite(ctx, command, h.site.ID, access.SiteChange{IPv6Prefix: &bits})
			return err
		}, ownline.ErrInvalid, "ipv6_prefix"},
		"a list that's too long": {func() error {
			_, _, err := h.Users(ctx, command, ownline.UserQuery{Page: ownline.Page{Limit: 1000}})
			return err
		}, ownline.ErrInvalid, "limit"},
	} {
		if err := tc.do(); !errors.Is(err, tc.kind) || field(err) != tc.field {
			t.Errorf("%s: %v; want %v about %q", name, err, tc.kind, tc.field)
		}
	}
	if after := h.count(); after != before {
		t.Errorf("something has changed:\n%s\n%s", before, after)
	}
}

func TestWhose(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	h.open(h.ana, access.OpenAsk{Service: h.ssh.ID})
	h.open(h.root, access.OpenAsk{Service: h.web.ID, Source: anaAt}) // an admin needs no grant and may choose
	if ss, _, err := h.Sessions(ctx, h.ana, access.SessionsAsk{}); err != nil || len(ss) != 1 || ss[0].UserName != "ana" {
		t.Errorf("ana sees %+v, %v", ss, err)
	}
	if ss, _, err := h.Sessions(ctx, h.root, access.SessionsAsk{}); err != nil || len(ss) != 1 {
		t.Errorf("root's own are %+v, %v", ss, err)
	}
	if ss, _, err := h.Services(ctx, h.ana, access.ServiceQuery{}); err != nil || len(ss) != 1 {
		t.Errorf("ana sees the services %+v, %v", ss, err)
	}
	if ss, err := h.Sites(ctx, h.ana); err != nil || len(ss) != 1 || ss[0].Pin != "" || ss[0].Health.Error != "" || !ss[0].Health.Connected {
		t.Errorf("ana sees the sites %+v, %v", ss, err)
	}
	if ss, err := h.Sites(ctx, h.bob); err != nil || len(ss) != 0 {
		t.Errorf("bob sees the sites %+v, %v", ss, err)
	}
	if n, err := h.Flush(ctx, h.ana, false, ownline.SiteID{}); err != nil || n != 1 || len(h.cores.open) != 1 {
		t.Errorf("Flush = %d, %v; open %v", n, err, h.cores.open)
	}
	if n, err := h.Flush(ctx, h.root, true, ownline.SiteID{}); err != nil || n != 1 || len(h.cores.open) != 0 {
		t.Errorf("Flush = %d, %v; open %v", n, err, h.cores.open)
	}
}

// Invariant 4: whatever takes a right away ends the sessions that came of it, at once.
func TestRevocation(t *testing.T) {
	yes, min := true, time.Minute
	target := netip.MustParseAddrPort("192.168.7.99:22")
	for name, revoke := range map[string]func(*house, context.Context) error{
		"grant removed": func(h *house, ctx context.Context) error { return h.RemoveGrant(ctx, command, h.grant.ID) },
		"grant shortened": func(h *house, ctx context.Context) error {
			_, err := h.ChangeGrant(ctx, command, h.grant.ID, access.GrantChange{MaxDuration: &min})
			return err
		},
		"user disabled": func(h *house, ctx context.Context) error {
			_, err := h.ChangeUser(ctx, command, h.ana.User.ID, access.UserChange{Disabled: &yes})
			return err
		},
		"user removed":    func(h *house, ctx context.Context) error { return h.RemoveUser(ctx, command, h.ana.User.ID) },
		"service removed": func(h *house, ctx context.Context) error { return h.RemoveService(ctx, command, h.ssh.ID) },
		"service moved": func(h *house, ctx context.Context) error {
			_, err := h.ChangeService(ctx, command, h.ssh.ID, access.ServiceChange{Target4: &target})
			return err
		},
		"site removed": func(h *house, ctx context.Context) error { return h.RemoveSite(ctx, command, h.site.ID) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			ctx := t.Context()
			s := h.open(h.ana, access.OpenAsk{Service: h.ssh.ID})
			rev := revision(t, h)
			if err := revoke(h, ctx); err != nil {
				t.Fatal(err)
			}
			got, err := h.Session(ctx, command, s.ID)
			if err != nil || got.State != ownline.Ended || got.Reason != ownline.Revoked || got.ServiceName != "ssh" || got.UserName != "ana" {
				t.Errorf("session = %+v, %v", got, err)
			}
			if now := revision(t, h); now <= rev {
				t.Errorf("revision stays %d", now)
			}
			st, _, err := h.Desired(ctx, h.site.ID)
			if err != nil || len(st.Sessions) != 0 {
				t.Errorf("desired = %+v, %v", st, err)
			}
			if name != "user disabled" && name != "user removed" && name != "site removed" && len(h.cores.open) != 0 {
				t.Errorf("core holds %v", h.cores.open)
			}
		})
	}
}

func revision(t *testing.T, h *house) uint64 {
	t.Helper()
	st, _, err := h.Desired(t.Context(), h.site.ID)
	if err != nil {
		t.Fatal(err)
	}
	return st.Revision.Revision
}

func TestIdempotency(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	ask := access.OpenAsk{Service: h.ssh.ID, IdempotencyKey: "k"}
	s := h.open(h.ana, ask)
	if _, err := h.Close(ctx, h.ana, s.ID); err != nil {
		t.Fatal(err)
	}
	if again := h.open(h.ana, ask); again.ID != s.ID || again.State != ownline.Ended {
		t.Errorf("the same key gave %+v, want the same session as it is now", again)
	}
	other := ask
	other.For = time.Hour
	if _, err := h.Open(ctx, h.ana, other); !errors.Is(err, ownline.ErrConflict) || field(err) != "Idempotency-Key" {
		t.Errorf("the key for something else: %v", err)
	}
	h.cores.down = true
	ask.IdempotencyKey = "down"
	if _, err := h.Open(ctx, h.ana, ask); !errors.Is(err, ownline.ErrUnavailable) {
		t.Errorf("Open = %v, want ErrUnavailable", err)
	}
	h.cores.down = false
	if s := h.open(h.ana, ask); s.State != ownline.Active {
		t.Errorf("another try = %+v", s)
	}
}
