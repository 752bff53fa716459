package hostinfo

import (
	"net/netip"
	"testing"
)

// Invariant 3: a network of others never counts as the LAN, whatever is misspelt or renamed.
func TestFacing(t *testing.T) {
	uplinks := []Uplink{{Interface: "wan0"}, {Interface: "wan1", IPv6: true, Metric: 7}}
	public, private, private6, linkLocal := netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("192.168.7.1"), netip.MustParseAddr("fd00:7::1"), netip.MustParseAddr("fe80::1")
	named, misnamed, unnamed := facing{[]string{"wan0"}, true, uplinks}, facing{[]string{"wann"}, false, uplinks}, facing{nil, false, uplinks}
	for _, tc := range []struct {
		name      string
		f         facing
		iface     string
		addr      netip.Addr
		wantInLAN bool
	}{
		{"named", named, "wan0", private, false},
		{"another uplink, by the LAN", named, "wan1", private, true},
		{"another uplink's address of the internet", named, "wan1", public, false},
		{"the LAN", named, "lan0", private, true},
		{"the LAN's address of the internet", named, "lan0", public, true},
		{"link-local", named, "lan0", linkLocal, false},
		{"misnamed, the uplink", misnamed, "wan0", public, false},
		{"misnamed, behind another router", misnamed, "wan0", private, true},
		{"misnamed, the LAN", misnamed, "lan0", private6, true},
		{"renamed, and its route is gone", facing{[]string{"wan0"}, false, nil}, "wan9", public, false},
		{"one box", unnamed, "wan0", private, true},
		{"an address of the internet", unnamed, "wan0", public, false},
	} {
		if got := tc.f.inside(tc.iface, tc.addr); got != tc.wantInLAN {
			t.Errorf("%s: %s at %s is inside: %v", tc.name, tc.addr, tc.iface, got)
		}
	}
}
