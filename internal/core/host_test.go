package core

import (
	"log/slog"
	"net/netip"
	"slices"
	"testing"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/hostinfo"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

func hostWith(seen hostinfo.Host, local ...netip.Prefix) *host {
	h := &host{cfg: config.Core{LocalNetworks: local}, log: slog.New(slog.DiscardHandler)}
	h.seen.Store(&seen)
	return h
}

var (
	lan7, lan8 = netip.MustParsePrefix("192.168.7.0/24"), netip.MustParsePrefix("192.168.8.0/24")
	twoLANs    = hostinfo.Host{
		LAN: []hostinfo.Address{
			{Addr: netip.MustParseAddr("192.168.7.1"), Network: lan7, Interface: "lan0"},
			{Addr: netip.MustParseAddr("192.168.8.1"), Network: lan8, Interface: "lan1"},
			{Addr: netip.MustParseAddr("fd00:7::1"), Network: netip.MustParsePrefix("fd00:7::/64"), Interface: "lan0"},
		},
		Served: []firewall.Port{{Transport: ownline.TCP, Number: 443}},
	}
)

// Invariant 3: the LAN is led to what is in the very network of who asks, and to no port that the router
// serves.
func TestHairpins(t *testing.T) {
	at := netip.MustParseAddrPort
	want := []link.Inside{
		{Transport: ownline.TCP, PublicPort: 20443, Target4: at("192.168.7.10:443"), Target6: at("[fd00:7::10]:443")},
		{Transport: ownline.UDP, PublicPort: 20443, Target4: at("192.168.8.10:53")},
		{Transport: ownline.TCP, PublicPort: 443, Target4: at("192.168.7.10:443")},   // the router's
		{Transport: ownline.TCP, PublicPort: 20444, Target4: at("203.0.113.77:443")}, // nowhere here
	}
	lead := []firewall.Hairpin{
		{Network: lan7, Transport: ownline.TCP, Port: 20443, Target: want[0].Target4},
		{Network: netip.MustParsePrefix("fd00:7::/64"), Transport: ownline.TCP, Port: 20443, Target: want[0].Target6},
		{Network: lan8, Transport: ownline.UDP, Port: 20443, Target: want[1].Target4},
	}
	if got := hostWith(twoLANs).hairpins(want); !slices.Equal(got, lead) {
		t.Errorf("hairpins = %+v, want %+v", got, lead)
	}
	// One network in the configuration does not make one of two.
	if got := hostWith(twoLANs, netip.MustParsePrefix("192.168.0.0/16")).hairpins(want); !slices.Equal(got, []firewall.Hairpin{lead[0], lead[2]}) {
		t.Errorf("hairpins = %+v", got)
	}
}

// Invariant 3: what comes from a gateway may come from anywhere, so it is let in as the LAN is only where the
// configuration names the very address.
func TestGatewayIsOutside(t *testing.T) {
	gateway, other := netip.MustParseAddr("192.168.7.254"), netip.MustParseAddr("192.168.7.20")
	seen := twoLANs
	seen.Gateways = []netip.Addr{gateway, netip.MustParseAddr("203.0.113.1"), gateway}
	for name, tc := range map[string]struct {
		local []netip.Prefix
		in    bool
	}{
		"by itself":    {nil, false},
		"its network":  {[]netip.Prefix{lan7}, false},
		"and it alone": {[]netip.Prefix{lan7, netip.PrefixFrom(gateway, 32)}, true},
	} {
		h := hostWith(seen, tc.local...)
		if h.enters(gateway) != tc.in || !h.enters(other) || h.enters(netip.MustParseAddr("198.51.100.7")) {
			t.Errorf("%s: the gateway enters: %v", name, h.enters(gateway))
		}
		if got := h.gateways(); (len(got) == 0) != tc.in || len(got) > 1 {
			t.Errorf("%s: gateways that are outside: %v", name, got)
		}
	}
}
