package nft_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/nft"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
)

// Invariant 3: sessions arrive on the WAN only, where it is named.
func TestWAN(t *testing.T) {
	b := bedtest.New(t)
	serveWho(t, b.Lan)
	d := newDriver(t, b.Router, nft.Config{})
	for i, tc := range []struct {
		wan  []string
		open bool
	}{{nil, true}, {[]string{"wan0"}, true}, {[]string{"ppp0", "wan*"}, true}, {[]string{"lan0"}, false}, {[]string{"wan"}, false}} {
		s := settings
		s.WAN = tc.wan
		port := uint16(24000 + i) // a flow of the case before lives on, should its own port be drawn again
		each(t, b, func(t *testing.T, side side, tr ownline.Transport) {
			f := forward(side.Addr(side.Client), tr, port, netip.AddrPortFrom(side.LAN, whoPort), time.Minute)
			sync(t, d, ruleset(s, f))
			if _, open := askWho(side.Client, tr, netip.AddrPortFrom(side.Router, port)); open != tc.open {
				t.Errorf("with WAN %v the port is open: %v", tc.wan, open)
			}
		})
	}
}

// Invariant 3: a session is for a port of the router, not of whoever lies behind it.
func TestOnlyForTheRouter(t *testing.T) {
	b := bedtest.New(t)
	serveWho(t, b.Lan)
	for _, lan := range []netip.Prefix{b.LAN4, b.LAN6} {
		far := b.Router.IPv4
		if lan.Addr().Is6() {
			far = b.Router.IPv6
		}
		if err := b.Internet.AddRoute(lan, far); err != nil {
			t.Fatal(err)
		}
	}
	d := newDriver(t, b.Router, nft.Config{})
	each(t, b, func(t *testing.T, s side, tr ownline.Transport) {
		f := forward(s.Addr(s.Client), tr, whoPort, netip.AddrPortFrom(s.LAN, whoPort), time.Minute)
		sync(t, d, ruleset(settings, f))
		for _, at := range []netip.AddrPort{netip.AddrPortFrom(s.Other, whoPort), netip.AddrPortFrom(s.LAN, whoPort)} {
			if who, ok := askWho(s.Client, tr, at); !ok || who != at {
				t.Errorf("asking %s: %v answers (%v)", at, who, ok)
			}
		}
		for _, at := range []netip.Addr{s.Router, s.Inside} {
			if who, ok := askWho(s.Client, tr, netip.AddrPortFrom(at, whoPort)); !ok || who != f.Target {
				t.Errorf("asking the router at %s: %v answers (%v)", at, who, ok)
			}
		}
	})
}

// Masquerading makes forwards work where the LAN has no way back, and only the forwarded.
func TestMasquerade(t *testing.T) {
	b := bedtest.New(t, bed.WithoutLANRoute())
	serveWho(t, b.Lan)
	local, err := b.Router.UDPEcho(bed.EchoPort)
	if err != nil {
		t.Fatal(err)
	}
	d := newDriver(t, b.Router, nft.Config{})
	for _, masquerade := range []bool{false, true} {
		s := settings
		s.Masquerade = masquerade
		each(t, b, func(t *testing.T, side side, tr ownline.Transport) {
			f := forward(side.Addr(side.Client), tr, 24000, netip.AddrPortFrom(side.LAN, whoPort), time.Minute)
			g := forward(side.Addr(side.Client), ownline.UDP, 24001, netip.AddrPortFrom(side.Inside, bed.EchoPort), time.Minute)
			sync(t, d, ruleset(s, f, g))
			wait := silence
			if masquerade {
				wait = patience
			}
			if _, open := askWhoFor(wait, side.Client, tr, netip.AddrPortFrom(side.Router, 24000)); open != masquerade {
				t.Errorf("with masquerade %v the port is open: %v", masquerade, open)
			}
			if st := probe(side.Client, ownline.UDP, netip.AddrPortFrom(side.Router, 24001)); st != bed.Open {
				t.Errorf("a service of the router is %s", st)
			}
		})
	}
	for _, p := range local.Peers() {
		if a := p.Addr().Unmap(); a != b.Client1.IPv4 && a != b.Client1.IPv6 {
			t.Errorf("a service of the router was asked by %s", a)
		}
	}
	// The flow of a session ends on time behind a masquerade, too.
	lan, err := b.Lan.TCPEcho(bed.EchoPort)
	if err != nil {
		t.Fatal(err)
	}
	s := settings
	s.Masquerade = true
	f := forward(b.Client1.IPv4, ownline.TCP, 24000, netip.AddrPortFrom(b.Lan.IPv4, bed.EchoPort), 2*time.Second)
	most := lag(t)
	sync(t, d, ruleset(s, f))
	flow := startFlow(t, b.Client1, ownline.TCP, netip.AddrPortFrom(b.Router.IPv4, 24000))
	defer flow.Stop()
	if c := counters(t, d)[f.Key]; c.UpPackets == 0 || c.DownPackets == 0 {
		t.Errorf("%+v", c)
	}
	cutOnTime(t, flow, ownline.TCP, f.Until, most)
	lan.Push()
	time.Sleep(20 * time.Millisecond)
	if r := flow.Report(); r.Unasked != 0 {
		t.Error("the LAN still gets through")
	}
}

// Other people's port forwards work beside ours, before, during and after a session on the
// very same port, and their flows survive all of it.
func TestForeignDNAT(t *testing.T) {
	b := bedtest.New(t)
	serveWho(t, b.Lan)
	echo := servers(t, b)
	alter(t, b.Router, func(c *nftables.Conn) error {
		var rules [][]expr.Any
		for _, s := range sides(b) {
			family, n := uint32(unix.NFPROTO_IPV4), net.IP(s.Other.AsSlice())
			if s.Other.Is6() {
				family = unix.NFPROTO_IPV6
			}
			for _, tr := range transports {
				for port, to := range map[uint16]uint16{24000: whoPort, 24001: bed.EchoPort} {
					rules = append(rules, append([]expr.Any{
						&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
						&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{byte(family)}},
						&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1},
						&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: append([]byte("wan0"), make([]byte, 12)...)},
					}, append(toPort(tr, port),
						&expr.Immediate{Register: 1, Data: n},
						&expr.Immediate{Register: 2, Data: binaryutil.BigEndian.PutUint16(to)},
						&expr.NAT{Type: expr.NATTypeDestNAT, Family: family, RegAddrMin: 1, RegProtoMin: 2, Specified: true})...))
				}
			}
		}
		baseChain(c, "forwards", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, *nftables.ChainPriorityNATDest, rules...)
		return nil
	})
	d := newDriver(t, b.Router, nft.Config{})
	each(t, b, func(t *testing.T, s side, tr ownline.Transport) {
		sync(t, d, ruleset(settings))
		at := netip.AddrPortFrom(s.Router, 24000)
		theirs, mine := netip.AddrPortFrom(s.Other, whoPort), netip.AddrPortFrom(s.LAN, whoPort)
		flow := startFlow(t, s.Client, tr, netip.AddrPortFrom(s.Router, 24001))
		defer flow.Stop()
		expect := func(h *bed.Host, want netip.AddrPort) {
			t.Helper()
			if got, ok := askWho(h, tr, at); !ok || got != want {
				t.Errorf("reaches %v, %v; want %s", got, ok, want)
			}
		}
		expect(s.Client, theirs)
		expect(s.Neighbour, theirs)
		f := forward(s.Addr(s.Client), tr, 24000, mine, time.Minute)
		change(t, d, []firewall.Forward{f})
		expect(s.Client, mine)
		expect(s.Neighbour, theirs)
		change(t, d, nil, f.Key)
		expect(s.Client, theirs)
		expect(s.Neighbour, theirs)
		if err := d.Remove(t.Context()); err != nil {
			t.Fatal(err)
		}
		expect(s.Client, theirs)
		if r := flow.Report(); r.Cut != nil {
			t.Errorf("their flow was cut: %+v", *r.Cut)
		}
	})
	_ = echo
}
