package firewall

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// Invariant 3: a session admits its source to its service on its port, nothing else; and
// the router's own ports and addresses are never part of one.
func TestRules(t *testing.T) {
	rules := Rules{
		Own:           []netip.Addr{netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("2001:db8:f::1")},
		Gateways:      []netip.Addr{netip.MustParseAddr("203.0.113.254")},
		LocalNetworks: []netip.Prefix{netip.MustParsePrefix("192.168.7.0/24"), netip.MustParsePrefix("fd00:7::/64")},
		IPv6Prefix:    64,
		Reserved:      []Port{{ownline.TCP, 22}, {"", 9999}},
	}
	good4 := Forward{
		Key:    Key{netip.MustParsePrefix("198.51.100.7/32"), ownline.TCP, 20000},
		Target: netip.MustParseAddrPort("192.168.7.10:22"), Until: time.Now().Add(time.Hour),
	}
	good6 := good4
	good6.Source, good6.Target = netip.MustParsePrefix("2001:db8:7:1::/64"), netip.MustParseAddrPort("[fd00:7::10]:22")
	edit := func(f Forward, change func(*Forward)) Forward { change(&f); return f }
	only4 := rules
	only4.IPv4Only = true
	if err := only4.Check(good4, false); err != nil {
		t.Errorf("IPv4 on a router of IPv4 alone: %v", err)
	}
	for _, err := range []error{only4.Check(good6, false), only4.CheckProxied(good6)} {
		var fe *ownline.FieldError
		if !errors.As(err, &fe) || fe.Field != "source" {
			t.Errorf("IPv6 on a router of IPv4 alone: %v", err)
		}
	}
	for name, tc := range map[string]struct {
		f     Forward
		allow bool
		field string
		kind  error
	}{
		"IPv4":                           {f: good4},
		"IPv6":                           {f: good6},
		"UDP port that only TCP serves":  {f: edit(good4, func(f *Forward) { f.Transport, f.Port = ownline.UDP, 22 })},
		"reserved but allowed":           {f: edit(good4, func(f *Forward) { f.Port = 22 }), allow: true},
		"reserved":                       {f: edit(good4, func(f *Forward) { f.Port = 22 }), field: "public_port", kind: ownline.ErrConflict},
		"reserved for both transports":   {f: edit(good4, func(f *Forward) { f.Transport, f.Port = ownline.UDP, 9999 }), field: "public_port", kind: ownline.ErrConflict},
		"port 0":                         {f: edit(good4, func(f *Forward) { f.Port = 0 }), field: "public_port"},
		"own address":                    {f: edit(good4, func(f *Forward) { f.Source = netip.MustParsePrefix("203.0.113.1/32") }), field: "source"},
		"own network":                    {f: edit(good6, func(f *Forward) { f.Source = netip.MustParsePrefix("2001:db8:f::/64") }), field: "source"},
		"gateway":                        {f: edit(good4, func(f *Forward) { f.Source = netip.MustParsePrefix("203.0.113.254/32") }), field: "source"},
		"private source":                 {f: edit(good4, func(f *Forward) { f.Source = netip.MustParsePrefix("10.1.2.3/32") }), field: "source"},
		"carrier NAT":                    {f: edit(good4, func(f *Forward) { f.Source = netip.MustParsePrefix("100.64.0.1/32") }), field: "source"},
		"loopback source":                {f: edit(good4, func(f *Forward) { f.Source = netip.MustParsePrefix("127.0.0.1/32") }), field: "source"},
		"a whole IPv4 network":           {f: edit(good4, func(f *Forward) { f.Source = netip.MustParsePrefix("198.51.100.0/24") }), field: "source"},
		"an IPv6 network too wide":       {f: edit(good6, func(f *Forward) { f.Source = netip.MustParsePrefix("2001:db8::/48") }), field: "source"},
		"target outside":                 {f: edit(good4, func(f *Forward) { f.Target = netip.MustParseAddrPort("192.168.8.10:22") }), field: "target"},
		"target loopback":                {f: edit(good4, func(f *Forward) { f.Target = netip.MustParseAddrPort("127.0.0.1:22") }), field: "target"},
		"target port 0":                  {f: edit(good4, func(f *Forward) { f.Target = netip.MustParseAddrPort("192.168.7.10:0") }), field: "target"},
		"IPv6 source for an IPv4 target": {f: edit(good6, func(f *Forward) { f.Target = good4.Target }), field: "target"},
	} {
		t.Run(name, func(t *testing.T) {
			err := rules.Check(tc.f, tc.allow)
			if tc.field == "" {
				if err != nil {
					t.Errorf("Check = %v, want nil", err)
				}
				return
			}
			if tc.kind == nil {
				tc.kind = ownline.ErrInvalid
			}
			var fe *ownline.FieldError
			if !errors.As(err, &fe) || fe.Field != tc.field || !errors.Is(err, tc.kind) {
				t.Errorf("Check = %v, want %v about %s", err, tc.kind, tc.field)
			}
		})
	}
}
