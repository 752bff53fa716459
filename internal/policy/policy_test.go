package policy

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

var (
	now     = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	ana     = ownline.User{ID: ownline.UserID{1}, Name: "ana", Role: ownline.Person}
	root    = ownline.User{ID: ownline.UserID{2}, Name: "root", Role: ownline.Admin}
	nas     = ownline.Service{ID: ownline.ServiceID{3}, Name: "nas", Kind: ownline.Forward, Transport: ownline.TCP, Target4: netip.MustParseAddrPort("192.168.7.10:22"), Target6: netip.MustParseAddrPort("[fd00:7::10]:22")}
	only4   = ownline.Service{ID: ownline.ServiceID{4}, Name: "only4", Kind: ownline.Forward, Transport: ownline.TCP, Target4: netip.MustParseAddrPort("192.168.7.11:80")}
	home    = ownline.SiteProxy{Driver: "embedded", Domain: "home.example.org", Port: 9999}
	wiki    = ownline.Service{ID: ownline.ServiceID{8}, Name: "wiki", Kind: ownline.Proxy, Transport: ownline.TCP, Target4: netip.MustParseAddrPort("192.168.7.12:80"), SiteProxy: home}
	own     = ownline.Service{ID: ownline.ServiceID{9}, Name: ownline.OwnService, Kind: ownline.Proxy, Transport: ownline.TCP, Target4: netip.MustParseAddrPort("192.168.7.13:8080"), Everybody: true, SiteProxy: home}
	grant   = ownline.Grant{ID: ownline.GrantID{5}, User: ana.ID, Service: nas.ID}
	source  = netip.MustParseAddr("198.51.100.7")
	source6 = netip.MustParseAddr("2001:db8:7:1::5")
	limits  = Limits{Default: 30 * time.Minute, Max: 24 * time.Hour, Automatic: 20 * time.Minute, PortMin: 20000, PortMax: 20009}
)

func facts(edit ...func(*Facts)) Facts {
	f := Facts{User: ana, Service: nas, Grant: grant, Site: ownline.Site{IPv6Prefix: 64}, Limits: limits}
	for _, e := range edit {
		e(&f)
	}
	return f
}

// proxied are the facts about a proxied service, whose port is reserved as all that the router
// serves itself.
func proxied(edit ...func(*Facts)) Facts {
	return facts(append([]func(*Facts){func(f *Facts) {
		f.Service, f.Grant.Service, f.Site.Proxy, f.Site.ReservedPorts = wiki, wiki.ID, home, []uint16{home.Port}
	}}, edit...)...)
}

func everybody(f *Facts) { f.Service, f.Grant = own, ownline.Grant{} }

func TestDecide(t *testing.T) {
	for name, tc := range map[string]struct {
		ask   Ask
		facts Facts
		last  time.Duration // how long it may stay; checked when there is no error
		err   error
		field string
	}{
		"the default":                       {ask: Ask{Source: source}, facts: facts(), last: limits.Default},
		"a knock's default":                 {ask: Ask{Source: source, Knocked: true}, facts: facts(), last: limits.Automatic},
		"as long as asked for":              {ask: Ask{Source: source, For: time.Hour}, facts: facts(), last: time.Hour},
		"longer than anybody may":           {ask: Ask{Source: source, For: 25 * time.Hour}, facts: facts(), err: ownline.ErrInvalid, field: "for"},
		"longer than the grant allows":      {ask: Ask{Source: source, For: time.Hour}, facts: facts(func(f *Facts) { f.Grant.MaxDuration = time.Minute }), err: ownline.ErrInvalid, field: "for"},
		"a knock gets what the grant has":   {ask: Ask{Source: source, For: time.Hour, Knocked: true}, facts: facts(func(f *Facts) { f.Grant.MaxDuration = time.Minute }), last: time.Minute},
		"the default, cut by the grant":     {ask: Ask{Source: source}, facts: facts(func(f *Facts) { f.Grant.MaxDuration = time.Minute }), last: time.Minute},
		"less than a second":                {ask: Ask{Source: source, For: time.Millisecond}, facts: facts(), err: ownline.ErrInvalid, field: "for"},
		"negative":                          {ask: Ask{Source: source, For: -time.Hour}, facts: facts(), err: ownline.ErrInvalid, field: "for"},
		"no grant":                          {ask: Ask{Source: source}, facts: facts(func(f *Facts) { f.Grant = ownline.Grant{} }), err: ownline.ErrNotFound, field: "service"},
		"an admin needs no grant":           {ask: Ask{Source: source}, facts: facts(func(f *Facts) { f.User, f.Grant = root, ownline.Grant{} }), last: limits.Default},
		"an admin's device needs one":       {ask: Ask{Source: source, Knocked: true}, facts: facts(func(f *Facts) { f.User, f.Grant = root, ownline.Grant{} }), err: ownline.ErrNotFound, field: "service"},
		"another's grant":                   {ask: Ask{Source: source}, facts: facts(func(f *Facts) { f.Grant.User = root.ID }), err: ownline.ErrForbidden, field: "grant"},
		"another service's grant":           {ask: Ask{Source: source}, facts: facts(func(f *Facts) { f.Grant.Service = only4.ID }), err: ownline.ErrForbidden, field: "grant"},
		"disabled":                          {ask: Ask{Source: source}, facts: facts(func(f *Facts) { f.User.Disabled = true }), err: ownline.ErrForbidden, field: "user"},
		"nobody":                            {ask: Ask{Source: source}, facts: facts(func(f *Facts) { f.User = ownline.User{} }), err: ownline.ErrForbidden, field: "user"},
		"another source, by a user":         {ask: Ask{Source: source, Chosen: true}, facts: facts(), err: ownline.ErrForbidden, field: "source"},
		"another source, by an admin":       {ask: Ask{Source: source, Chosen: true}, facts: facts(func(f *Facts) { f.User, f.Grant = root, ownline.Grant{} }), last: limits.Default},
		"a private source":                  {ask: Ask{Source: netip.MustParseAddr("10.0.0.1")}, facts: facts(), err: ownline.ErrInvalid, field: "source"},
		"carrier NAT":                       {ask: Ask{Source: netip.MustParseAddr("100.64.0.1")}, facts: facts(), err: ownline.ErrInvalid, field: "source"},
		"a public address inside the site":  {ask: Ask{Source: source6}, facts: facts(func(f *Facts) { f.Site.LocalNetworks = []netip.Prefix{netip.MustParsePrefix("2001:db8:7:1::/64")} }), err: ownline.ErrInvalid, field: "source"},
		"no source":                         {ask: Ask{}, facts: facts(), err: ownline.ErrInvalid, field: "source"},
		"IPv6":                              {ask: Ask{Source: source6}, facts: facts(), last: limits.Default},
		"IPv6 for an IPv4-only forward":     {ask: Ask{Source: source6}, facts: facts(func(f *Facts) { f.User, f.Grant, f.Service = root, ownline.Grant{}, only4 }), err: ownline.ErrInvalid, field: "source"},
		"a proxied service, no proxy":       {ask: Ask{Source: source}, facts: proxied(func(f *Facts) { f.Site.Proxy.Driver = ownline.NoProxy }), err: ownline.ErrConflict, field: "service"},
		"a proxied service, no domain":      {ask: Ask{Source: source}, facts: proxied(func(f *Facts) { f.Site.Proxy.Domain = "" }), err: ownline.ErrConflict, field: "service"},
		"a proxied service, core is silent": {ask: Ask{Source: source}, facts: proxied(func(f *Facts) { f.Site.Proxy = ownline.SiteProxy{} }), err: ownline.ErrConflict, field: "service"},
		"a proxied service, over IPv4":      {ask: Ask{Source: source}, facts: proxied(), last: limits.Default},
		"a proxied service, over IPv6":      {ask: Ask{Source: source6}, facts: proxied(), last: limits.Default},
		"a proxied service at another port": {ask: Ask{Source: source, Port: 20001}, facts: proxied(), err: ownline.ErrInvalid, field: "public_port"},
		"for everybody, without a grant":    {ask: Ask{Source: source, Knocked: true}, facts: proxied(everybody), last: limits.Automatic},
		"for everybody, but disabled":       {ask: Ask{Source: source}, facts: proxied(everybody, func(f *Facts) { f.User.Disabled = true }), err: ownline.ErrForbidden, field: "user"},
		"for everybody, but not for guests": {ask: Ask{Source: source, Invited: true}, facts: proxied(everybody), err: ownline.ErrNotFound, field: "service"},
		"a port out of the range":           {ask: Ask{Source: source, Port: 80}, facts: facts(), err: ownline.ErrInvalid, field: "public_port"},
		"a port that the router serves":     {ask: Ask{Source: source, Port: 20001}, facts: facts(func(f *Facts) { f.Site.ReservedPorts = []uint16{20001} }), err: ownline.ErrConflict, field: "public_port"},
		"another port than the grant fixes": {ask: Ask{Source: source, Port: 20001}, facts: facts(func(f *Facts) { f.Grant.PublicPort = 443 }), err: ownline.ErrInvalid, field: "public_port"},
		"a fixed port that is reserved":     {ask: Ask{Source: source}, facts: facts(func(f *Facts) { f.Grant.PublicPort, f.Site.ReservedPorts = 443, []uint16{443} }), err: ownline.ErrConflict, field: "public_port"},
		"a fixed port, reserved but allowed": {ask: Ask{Source: source}, facts: facts(func(f *Facts) {
			f.Grant.PublicPort, f.Grant.AllowReserved, f.Site.ReservedPorts = 443, true, []uint16{443}
		}), last: limits.Default},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := Decide(tc.ask, tc.facts, now)
			if tc.err != nil {
				var fe *ownline.FieldError
				if !errors.Is(err, tc.err) || !errors.As(err, &fe) || fe.Field != tc.field {
					t.Fatalf("Decide = %v, want %v about %s", err, tc.err, tc.field)
				}
				return
			}
			if err != nil || !o.Until.Equal(now.Add(tc.last)) {
				t.Fatalf("Decide = until %v, %v; want %v", o.Until, err, now.Add(tc.last))
			}
			want, _ := tc.facts.Service.Target(tc.ask.Source)
			if tc.facts.Service.Kind == ownline.Proxy {
				want = netip.AddrPort{}
				if o.PublicPort != home.Port || o.AllowReserved {
					t.Errorf("Decide = port %d, reserved %v; want that of the proxy", o.PublicPort, o.AllowReserved)
				}
			}
			if o.Target != want || !o.Source.Contains(tc.ask.Source) {
				t.Errorf("Decide = %+v, want the target %v and the source in it", o, want)
			}
		})
	}
}

// Invariant 3: sessions that share source, protocol and public port share the target.
func TestPort(t *testing.T) {
	o := Opening{Source: netip.PrefixFrom(source, 32), Transport: ownline.TCP, Target: nas.Target4}
	first, err := Port(0, o, facts())
	if err != nil || first < limits.PortMin || first > limits.PortMax {
		t.Fatalf("Port = %d, %v", first, err)
	}
	if again, _ := Port(0, o, facts()); again != first {
		t.Errorf("the same user and service get port %d, then %d", first, again)
	}
	hole := func(edit func(*Hole)) func(*Facts) {
		return func(f *Facts) {
			h := Hole{Source: o.Source, Transport: ownline.TCP, Port: first, Target: only4.Target4}
			edit(&h)
			f.Holes = append(f.Holes, h)
		}
	}
	for name, tc := range map[string]struct {
		facts Facts
		moves bool
	}{
		"to another target":    {facts(hole(func(*Hole) {})), true},
		"to the same target":   {facts(hole(func(h *Hole) { h.Target = o.Target })), false},
		"of another source":    {facts(hole(func(h *Hole) { h.Source = netip.MustParsePrefix("198.51.100.8/32") })), false},
		"of another transport": {facts(hole(func(h *Hole) { h.Transport = ownline.UDP })), false},
		"served by the router": {facts(func(f *Facts) { f.Site.ReservedPorts = []uint16{first} }), true},
	} {
		got, err := Port(0, o, tc.facts)
		if err != nil || (got != first) != tc.moves || got < limits.PortMin || got > limits.PortMax {
			t.Errorf("with a hole %s: port %d, %v; the first was %d", name, got, err, first)
		}
		if _, err := Port(first, o, tc.facts); (err != nil) != tc.moves {
			t.Errorf("asked for with a hole %s: %v", name, err)
		}
	}
	full := facts()
	for p := limits.PortMin; p <= limits.PortMax; p++ {
		full.Holes = append(full.Holes, Hole{Source: o.Source, Transport: ownline.TCP, Port: p, Target: only4.Target4})
	}
	if _, err := Port(0, o, full); !errors.Is(err, ownline.ErrConflict) {
		t.Errorf("a full range: %v, want ErrConflict", err)
	}
	if p, err := Port(0, o, facts(func(f *Facts) { f.Limits.PortMin, f.Limits.PortMax = 65530, 65535 })); err != nil || p < 65530 {
		t.Errorf("a range that ends at 65535: %d, %v", p, err)
	}
}

// Proxied services share the proxy's port; a forward has it only from another source.
func TestProxyPort(t *testing.T) {
	o := Opening{Source: netip.PrefixFrom(source, 32), Transport: ownline.TCP}
	hole := Hole{Source: o.Source, Transport: ownline.TCP, Port: home.Port}
	if p, err := Port(0, o, proxied(func(f *Facts) { f.Holes = []Hole{hole} })); p != home.Port || err != nil {
		t.Errorf("beside another proxied service: port %d, %v", p, err)
	}
	hole.Target = nas.Target4
	if _, err := Port(0, o, proxied(func(f *Facts) { f.Holes = []Hole{hole} })); !errors.Is(err, ownline.ErrConflict) {
		t.Errorf("where a forward has the port: %v", err)
	}
	hole.Target = netip.AddrPort{}
	forward := facts(func(f *Facts) {
		f.Grant.PublicPort, f.Grant.AllowReserved, f.Holes = home.Port, true, []Hole{hole}
	})
	o.Target = nas.Target4
	if _, err := Port(0, o, forward); !errors.Is(err, ownline.ErrConflict) {
		t.Errorf("a forward where a proxied service has the port: %v", err)
	}
}

func TestRenew(t *testing.T) {
	end := now.Add(10 * time.Minute)
	if got, err := Renew(Ask{Source: source, For: time.Hour}, facts(), end, now); err != nil || !got.Equal(now.Add(time.Hour)) {
		t.Errorf("longer: until %v, %v", got, err)
	}
	if got, err := Renew(Ask{Source: source, For: time.Minute}, facts(), end, now); err != nil || !got.Equal(end) {
		t.Errorf("a renewal shortened the session to %v, %v", got, err)
	}
	if _, err := Renew(Ask{Source: source}, facts(func(f *Facts) { f.Grant = ownline.Grant{} }), end, now); !errors.Is(err, ownline.ErrNotFound) {
		t.Errorf("without a grant any more: %v", err)
	}
}

func TestKnocked(t *testing.T) {
	auto := Offer{nas, ownline.Grant{ID: grant.ID, Automatic: true}}
	auto4 := Offer{only4, ownline.Grant{ID: ownline.GrantID{6}, Automatic: true}}
	manual := Offer{ownline.Service{ID: ownline.ServiceID{7}, Target4: nas.Target4}, ownline.Grant{ID: ownline.GrantID{7}}}
	offers := []Offer{auto, auto4, manual}
	page := Offer{wiki, ownline.Grant{ID: ownline.GrantID{8}, Automatic: true}}
	dark := page
	dark.Service.ID, dark.Service.SiteProxy = ownline.ServiceID{10}, ownline.SiteProxy{Driver: ownline.NoProxy}
	ours := Offer{Service: own}
	for name, tc := range map[string]struct {
		named   ownline.ServiceID
		source4 bool
		more    []Offer
		want    []Offer
	}{
		"proxied ones have both families":    {more: []Offer{page}, want: []Offer{auto, page}},
		"where there is no proxy":            {more: []Offer{dark}, want: []Offer{auto}},
		"named where there is no proxy":      {named: dark.Service.ID, more: []Offer{dark}, want: []Offer{dark}},
		"what is for everybody":              {more: []Offer{ours, page}, want: []Offer{auto, page, ours}},
		"with one by name":                   {named: nas.ID, more: []Offer{ours}, want: []Offer{auto, ours}},
		"with one that is not granted":       {named: ownline.ServiceID{99}, more: []Offer{ours}},
		"what is for everybody, by its name": {named: own.ID, more: []Offer{ours}, want: []Offer{ours}},
		"everything automatic over IPv4":     {source4: true, want: []Offer{auto, auto4}},
		"over IPv6 what has IPv6":            {want: []Offer{auto}},
		"one by name":                        {named: nas.ID, source4: true, want: []Offer{auto}},
		"one by name that is not automatic":  {named: manual.Service.ID, source4: true, want: []Offer{manual}},
		"one by name of the other family":    {named: only4.ID, want: []Offer{auto4}},
		"one that is not granted":            {named: ownline.ServiceID{99}, source4: true},
	} {
		if got := Knocked(tc.named, tc.source4, append(slices.Clone(offers), tc.more...)); !slices.EqualFunc(got, tc.want, func(a, b Offer) bool { return a.Service.ID == b.Service.ID && a.Grant == b.Grant }) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}
