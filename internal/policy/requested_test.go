package policy

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/ownline/ownline/internal/ownline"
)

func TestRequested(t *testing.T) {
	with := func(s ownline.Service, edit ...func(*ownline.Grant)) Offer {
		g := ownline.Grant{ID: ownline.GrantID{5, s.ID[0]}, User: ana.ID, Service: s.ID}
		for _, e := range edit {
			e(&g)
		}
		return Offer{s, g}
	}
	fixed := func(port uint16) func(*ownline.Grant) { return func(g *ownline.Grant) { g.PublicPort = port } }
	dns := ownline.Service{ID: ownline.ServiceID{7}, Name: "dns", Kind: ownline.Forward, Transport: ownline.UDP, Target4: netip.MustParseAddrPort("192.168.7.10:53")}
	offers := []Offer{with(nas, fixed(20005)), with(only4), with(dns, fixed(20005)), with(wiki), {Service: own}}
	f := facts(func(f *Facts) { f.Site.Proxy, f.Service, f.Grant = home, ownline.Service{}, ownline.Grant{} })
	usual, err := Decide(Ask{Source: source, Knocked: true}, Facts{User: ana, Service: only4, Grant: with(only4).Grant, Site: f.Site, Limits: limits}, now)
	if err != nil {
		t.Fatal(err)
	}
	other := limits.PortMin
	for slices.Contains([]uint16{usual.PublicPort, 20005}, other) {
		other++
	}
	tcp := func(port uint16) Request { return Request{Transport: ownline.TCP, Port: port} }
	named := func(r Request, name string) Request { r.Name = name; return r }
	to := func(r Request, target string) Request { r.Target = netip.MustParseAddrPort(target); return r }
	for name, tc := range map[string]struct {
		requests []Request
		from     netip.Addr // zero: source
		live     map[ownline.ServiceID]uint16
		want     []string
	}{
		"nothing":                                {nil, source, nil, nil},
		"the port of a grant":                    {[]Request{tcp(20005)}, source, nil, []string{"nas", "ownline"}},
		"of the other transport":                 {[]Request{{Transport: ownline.UDP, Port: 20005}}, source, nil, []string{"dns", "ownline"}},
		"both":                                   {[]Request{tcp(20005), {Transport: ownline.UDP, Port: 20005}}, source, nil, []string{"nas", "dns", "ownline"}},
		"one of two":                             {[]Request{tcp(20005), tcp(other)}, source, nil, nil},
		"the same twice":                         {[]Request{tcp(20005), tcp(20005)}, source, nil, []string{"nas", "ownline"}},
		"the port that it would get":             {[]Request{tcp(usual.PublicPort)}, source, nil, []string{"only4", "ownline"}},
		"a port that it would not get":           {[]Request{tcp(other)}, source, nil, nil},
		"the port that it has":                   {[]Request{tcp(other)}, source, map[ownline.ServiceID]uint16{only4.ID: other}, []string{"only4", "ownline"}},
		"not the one that it would get then":     {[]Request{tcp(usual.PublicPort)}, source, map[ownline.ServiceID]uint16{only4.ID: other}, nil},
		"by name, at any port of the range":      {[]Request{named(tcp(other), "only4")}, source, nil, []string{"only4", "ownline"}},
		"by name, beyond the range":              {[]Request{named(tcp(80), "only4")}, source, nil, nil},
		"by name, at another than the grant's":   {[]Request{named(tcp(other), "nas")}, source, nil, nil},
		"by target":                              {[]Request{to(tcp(20005), "192.168.7.10:22")}, source, nil, []string{"nas", "ownline"}},
		"by another target":                      {[]Request{to(tcp(20005), "192.168.7.10:23")}, source, nil, nil},
		"by target, over IPv6":                   {[]Request{to(tcp(20005), "192.168.7.10:22")}, source6, nil, []string{"nas", "ownline"}},
		"over IPv6, where it has no target":      {[]Request{named(tcp(other), "only4")}, source6, nil, nil},
		"every proxied one, by the proxy's port": {[]Request{tcp(home.Port)}, source, nil, []string{"wiki", "ownline"}},
		"a proxied one by name":                  {[]Request{named(tcp(home.Port), "wiki")}, source, nil, []string{"wiki", "ownline"}},
		"a proxied one at another port":          {[]Request{named(tcp(other), "wiki")}, source, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			picks := Requested(tc.requests, Ask{Source: tc.from, Knocked: true}, f, tc.live, offers, now)
			var got []string
			for _, p := range picks {
				got = append(got, p.Service.Name)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}
