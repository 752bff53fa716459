package nft_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/nft"
	"github.com/ownline/ownline/internal/core/loopback"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
)

// Invariants 1, 3 and 4: the proxy is reached by sessions, while they last, and from inside;
// by nobody else, whatever address they send to.
func TestProxy(t *testing.T) {
	for name, cfg := range map[string]nft.Config{"by label": {}, "by mark": {UseMark: true}} {
		t.Run(name, func(t *testing.T) { testProxy(t, cfg) })
	}
}

func testProxy(t *testing.T, cfg nft.Config) {
	const port = 9999
	b := bedtest.New(t)
	s := settings
	s.Proxy = firewall.Proxy{Port: port, Addr4: loopback.Addr4, Addr6: loopback.Addr6, LocalNetworks: []netip.Prefix{b.LAN4, b.LAN6}}

	for _, a := range []netip.Addr{loopback.Addr4, loopback.Addr6} {
		for range 2 { // it may be there
			if err := b.Router.Do(func() error { return loopback.Add(a) }); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := b.Router.TCPEcho(port, a); err != nil {
			t.Fatal(err)
		}
		via := b.Router.IPv4
		if a.Is6() {
			via = b.Router.IPv6
		}
		if err := b.Internet.AddRoute(netip.PrefixFrom(a, a.BitLen()), via); err != nil {
			t.Fatal(err)
		}
	}
	d := newDriver(t, b.Router, cfg)
	for _, side := range sides(b) {
		t.Run(side.name, func(t *testing.T) {
			target := s.Proxy.Target(side.lan)
			at := netip.AddrPortFrom(side.router, port)
			inside := netip.AddrPortFrom(side.inside, port)
			closed := func(when string, from *bed.Host) {
				t.Helper()
				if st := probe(from, ownline.TCP, at); st != bed.Refused {
					t.Errorf("%s, the port is %s", when, st)
				}
				if st := from.ConnectTCP(target, silence).State; st == bed.Open {
					t.Errorf("%s, the proxy's own address is open", when)
				}
			}
			sync(t, d, ruleset(s))
			closed("without a session", side.client)
			f := forward(side.addr(side.client), ownline.TCP, port, target, time.Minute)
			sync(t, d, ruleset(s, f))
			if st := probe(side.client, ownline.TCP, at); st != bed.Open {
				t.Errorf("with a session, the port is %s", st)
			}
			closed("a neighbour while there is a session", side.neighbour)
			for _, to := range []netip.AddrPort{at, inside} {
				if st := probe(b.Lan.From(side.lan), ownline.TCP, to); st != bed.Open {
					t.Errorf("from inside, %s is %s", to, st)
				}
			}
			flow := startFlow(t, side.client, ownline.TCP, at)
			most, now := lag(t), time.Now()
			sync(t, d, ruleset(s))
			cutOnTime(t, flow, ownline.TCP, now, most)
			flow.Stop()
			closed("after the session", side.client)
			if st := probe(b.Lan.From(side.lan), ownline.TCP, at); st != bed.Open {
				t.Errorf("from inside after the session, the port is %s", st)
			}

			// For a while, everybody may come to one port.
			const challenge = 8080
			challenger, err := b.Router.TCPEcho(challenge, target.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer challenger.Close()
			at80 := netip.AddrPortFrom(side.router, challenge)
			if st := probe(side.neighbour, ownline.TCP, at80); st != bed.Refused {
				t.Errorf("before it is public, the port of the challenge is %s", st)
			}
			public := s
			public.Proxy.Public = []netip.AddrPort{netip.AddrPortFrom(target.Addr(), challenge)}
			sync(t, d, ruleset(public))
			if st := probe(side.neighbour, ownline.TCP, at80); st != bed.Open {
				t.Errorf("while it is public, the port of the challenge is %s", st)
			}
			closed("while another port is public", side.neighbour)
			sync(t, d, ruleset(s))
			if st := probe(side.neighbour, ownline.TCP, at80); st != bed.Refused {
				t.Errorf("after it was public, the port of the challenge is %s", st)
			}

			sync(t, d, ruleset(settings))
			if st := probe(b.Lan.From(side.lan), ownline.TCP, at); st != bed.Refused {
				t.Errorf("from inside without a proxy, the port is %s", st)
			}
		})
	}
}
