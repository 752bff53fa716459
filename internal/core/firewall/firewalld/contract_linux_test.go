package firewalld_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/ownline/ownline/internal/core/firewall/firewalld"
	"github.com/ownline/ownline/internal/core/firewall/fwtest"
	"github.com/ownline/ownline/internal/core/firewall/nft"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
)

// The contract holds where firewalld refuses all else. What is flushed is what firewalld forgets when it is
// reloaded.
func TestContract(t *testing.T) {
	for _, family := range []string{"IPv4", "IPv6"} {
		t.Run(family, func(t *testing.T) {
			b, f := start(t)
			cfg := firewalld.Config{Bus: f.Bus}
			fwtest.Parts(t, func(name string) bool { return strings.HasPrefix(name, family) }, func(t *testing.T, ipv6 bool, test func(*testing.T, fwtest.World)) {
				if err := firewalld.Remove(t.Context(), cfg); err != nil { // what the part before left
					t.Fatal(err)
				}
				if err := b.Router.Do(func() error { _, err := nft.Remove(); return err }); err != nil {
					t.Fatal(err)
				}
				s := bedtest.Sides(b)[0]
				if ipv6 {
					s = bedtest.Sides(b)[1]
				}
				hosts := map[netip.Prefix]*bed.Host{source(s.Addr(s.Client)): s.Client, source(s.Addr(s.Neighbour)): s.Neighbour}
				flush := func() error { _, err := f.Told("--reload"); return err }
				test(t, fwtest.World{
					Driver: newDriver(t, b.Router, cfg), Settings: settings, // exact, as Promised.Late says
					Client: source(s.Addr(s.Client)), Neighbour: source(s.Addr(s.Neighbour)),
					Target: netip.AddrPortFrom(s.LAN, whoPort), Other: netip.AddrPortFrom(s.Other, whoPort),
					Reach: func(from netip.Prefix, transport ownline.Transport, port uint16) (netip.AddrPort, bool) {
						return hosts[from].AskWho(patience, string(transport), netip.AddrPortFrom(s.Router, port))
					},
					LAN: s.Network(), LANHost: s.Third,
					FromLAN: func(from netip.Addr, transport ownline.Transport, port uint16) (netip.AddrPort, bool) {
						return b.Lan.From(from).AskWho(patience, string(transport), netip.AddrPortFrom(s.Router, port))
					},
					Flush: flush,
				})
			})
		})
	}
}
