package fwtest_test

import (
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/fwtest"
	"github.com/ownline/ownline/internal/ownline"
)

func TestFakePassesTheContract(t *testing.T) {
	fwtest.Contract(t, func(t *testing.T, ipv6 bool, test func(*testing.T, fwtest.World)) {
		synctest.Test(t, func(t *testing.T) {
			f := &fwtest.Fake{}
			w := fwtest.World{
				Driver:    f,
				Settings:  firewall.Settings{IPv6Prefix: 64},
				Client:    netip.MustParsePrefix("198.51.100.7/32"),
				Neighbour: netip.MustParsePrefix("198.51.100.8/32"),
				Target:    netip.MustParseAddrPort("192.168.7.10:7"),
				Other:     netip.MustParseAddrPort("192.168.7.11:7"),
				Reach: func(from netip.Prefix, transport ownline.Transport, port uint16) (netip.AddrPort, bool) {
					return f.Reach(from.Addr(), transport, port)
				},
				LAN:     netip.MustParsePrefix("192.168.7.0/24"),
				LANHost: netip.MustParseAddr("192.168.7.12"),
				FromLAN: f.FromLAN,
				Flush:   func() error { f.Flush(); return nil },
			}
			if ipv6 {
				w.Client = netip.MustParsePrefix("2001:db8:1:1::/64")
				w.Neighbour = netip.MustParsePrefix("2001:db8:1:2::/64")
				w.Target = netip.MustParseAddrPort("[fd00:7::10]:7")
				w.Other = netip.MustParseAddrPort("[fd00:7::11]:7")
				w.LAN, w.LANHost = netip.MustParsePrefix("fd00:7::/64"), netip.MustParseAddr("fd00:7::12")
			}
			test(t, w)
		})
	})
}

func TestFakeFails(t *testing.T) {
	f := &fwtest.Fake{}
	f.Fail(ownline.ErrUnavailable)
	want := firewall.Ruleset{Settings: firewall.Settings{IPv6Prefix: 64}}
	if err := f.Sync(t.Context(), want); !errors.Is(err, ownline.ErrUnavailable) {
		t.Errorf("Sync = %v", err)
	}
	f.Fail(nil)
	if err := f.Sync(t.Context(), want); err != nil || f.Calls().Syncs != 2 {
		t.Errorf("Sync = %v, calls %+v", err, f.Calls())
	}
}
