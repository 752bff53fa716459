package e2e

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
)

// Deployment A: hosts of the LAN find by the public name what is granted at a port of its own, without a
// session. Nobody else does, and it leads into no network that they are not in themselves.
func TestHairpin(t *testing.T) {
	const port = 20080
	for _, driver := range []string{"nftables", "iptables"} {
		t.Run(driver, func(t *testing.T) {
			s := start(t, world.Options{CoreYAML: "firewall: {driver: " + driver + ", wan_interfaces: [wan0]}\n"})
			router := s.Bed.Router
			guests, err := s.Bed.AddHost("guests", false)
			must(t, err)
			gate := []netip.Prefix{netip.MustParsePrefix("192.168.9.1/24"), netip.MustParsePrefix("fd00:9::1/64")}
			must(t, router.Plug("lan1", gate, guests, "eth0", []netip.Prefix{netip.MustParsePrefix("192.168.9.10/24"), netip.MustParsePrefix("fd00:9::10/64")}, gate[0].Addr(), gate[1].Addr()))
			inside := map[bool]*bed.Host{false: s.Bed.Lan.From(s.Bed.Lan.IPv4s[1]), true: s.Bed.Lan.From(s.Bed.Lan.IPv6s[1])}
			find := func(open bool) {
				t.Helper()
				for v6, h := range inside {
					eventually(t, patience, "the LAN finds the service or not", func() bool { return (reach(h, s.public(v6, port)) == bed.Open) == open })
					for _, other := range []*bed.Host{guests, s.Bed.Client1, s.Bed.Stranger} {
						wantState(t, other, s.public(v6, port), false)
					}
				}
			}
			find(false)
			grant := s.grant(s.web, world.Map{"public_port": port})
			find(true)
			for v6, h := range inside {
				page, err := h.Get(s.public(v6, port), patience)
				if a := page.Client.Addr().Unmap(); err != nil || a != router.IPv4s[1] && a != router.IPv6s[1] {
					t.Errorf("the service sees %s, %v; want the router's address in the LAN", a, err)
				}
			}
			// A session at that port is another matter, and leads where it leads.
			s.open(s.web, s.Bed.Client1.IPv4, time.Minute, port)
			page, err := s.Bed.Client1.Get(s.public(false, port), patience)
			if err != nil || page.Client.Addr().Unmap() != s.Bed.Client1.IPv4 {
				t.Errorf("by its session the client is seen as %s, %v", page.Client, err)
			}
			s.call("DELETE", "/sessions", nil, nil)
			// It is there over restarts, and as long as it is granted.
			must(t, s.Core.Kill())
			find(true)
			must(t, s.Core.Start(t.Context()))
			must(t, s.WaitConnected(t.Context()))
			find(true)
			s.call("DELETE", "/grants/"+grant, nil, nil)
			find(false)
		})
	}
}
