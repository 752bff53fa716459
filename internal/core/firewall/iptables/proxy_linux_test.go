package iptables_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/iptables"
	"github.com/ownline/ownline/internal/core/loopback"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
)

// Invariants 1, 3 and 4: the proxy is reached by sessions, while they last, and from inside; by nobody
// else, whatever address they send to; and by everybody at a port that is public for a while.
func TestProxy(t *testing.T) {
	each(t, proxyIsReached)
}

func proxyIsReached(t *testing.T, b *bed.Bed, cfg iptables.Config) {
	const port, challenge = 9999, 8080
	s := settings
	s.Proxy = firewall.Proxy{Port: port, Addr4: loopback.Addr4, Addr6: loopback.Addr6, UDP: true, LocalNetworks: []netip.Prefix{b.LAN4, b.LAN6}}
	bedtest.ServeProxy(t, b, loopback.Add, []netip.Addr{loopback.Addr4, loopback.Addr6}, port, challenge)
	d := newDriver(t, b.Router, cfg)
	for _, side := range sides(b) {
		t.Run(side.Name, func(t *testing.T) { testProxy(t, b, d, s, side, challenge) })
	}
}

func testProxy(t *testing.T, b *bed.Bed, d *iptables.Driver, s firewall.Settings, side side, challenge uint16) {
	target := s.Proxy.Target(side.LAN)
	at, inside := netip.AddrPortFrom(side.Router, target.Port()), netip.AddrPortFrom(side.Inside, target.Port())
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
	closed("without a session", side.Client)
	f := forward(side.Addr(side.Client), ownline.TCP, target.Port(), target, time.Minute)
	g := f
	g.Transport = ownline.UDP
	sync(t, d, ruleset(s, f, g))
	for _, tr := range transports {
		if st := probe(side.Client, tr, at); st != bed.Open {
			t.Errorf("with a session, the port of %s is %s", tr, st)
		}
		for _, to := range []netip.AddrPort{at, inside} {
			if st := probe(b.Lan.From(side.LAN), tr, to); st != bed.Open {
				t.Errorf("from inside, %s of %s is %s", to, tr, st)
			}
		}
	}
	closed("a neighbour while there is a session", side.Neighbour)
	flow := startFlow(t, side.Client, ownline.TCP, at)
	now := time.Now()
	sync(t, d, ruleset(s))
	cut(t, flow, bed.Cut{How: bed.Reset}, now.Add(late))
	flow.Stop()
	closed("after the session", side.Client)
	if st := probe(b.Lan.From(side.LAN), ownline.TCP, at); st != bed.Open {
		t.Errorf("from inside after the session, the port is %s", st)
	}

	// For a while, everybody may come to one port, and stay a little longer.
	at80 := netip.AddrPortFrom(side.Router, challenge)
	if st := probe(side.Neighbour, ownline.TCP, at80); st != bed.Refused {
		t.Errorf("before it is public, the port of the challenge is %s", st)
	}
	public := s
	everybody := func(open, stay time.Duration) {
		now := time.Now()
		public.Proxy.Public = []firewall.Public{{AddrPort: netip.AddrPortFrom(target.Addr(), challenge), Until: now.Add(open), Stay: now.Add(stay)}}
		sync(t, d, ruleset(public))
	}
	everybody(time.Minute, time.Minute)
	if st := probe(side.Neighbour, ownline.TCP, at80); st != bed.Open {
		t.Errorf("while it is public, the port of the challenge is %s", st)
	}
	closed("while another port is public", side.Neighbour)
	stranger := startFlow(t, side.Neighbour, ownline.TCP, at80)
	defer stranger.Stop()
	everybody(0, time.Minute)
	if st := probe(side.Neighbour, ownline.TCP, at80); st != bed.Refused {
		t.Errorf("shut, but while others may go on, the port is %s", st)
	}
	if r := stranger.Report(); r.Cut != nil {
		t.Errorf("who may stay was cut: %+v", *r.Cut)
	}
	late4 := d.Ending().Promises().Late
	everybody(1500*time.Millisecond, 1500*time.Millisecond) // ends in the kernel alone
	end := public.Proxy.Public[0].Stay
	cut(t, stranger, bed.Cut{}, end.Add(late4+late))
	time.Sleep(time.Until(end.Add(late4 + late)))
	if st := probe(side.Neighbour, ownline.TCP, at80); st != bed.Refused {
		t.Errorf("after it was public, the port of the challenge is %s", st)
	}
	sync(t, d, ruleset(settings))
	if st := probe(b.Lan.From(side.LAN), ownline.TCP, at); st != bed.Refused {
		t.Errorf("from inside without a proxy, the port is %s", st)
	}
}

// Invariant 3: sessions arrive on the WAN only, where it is named, and are for the router's own
// addresses.
func TestWAN(t *testing.T) {
	each(t, func(t *testing.T, b *bed.Bed, cfg iptables.Config) {
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
		d := newDriver(t, b.Router, cfg)
		for i, tc := range []struct {
			wan  []string
			open bool
		}{{nil, true}, {[]string{"wan0"}, true}, {[]string{"ppp0", "wan*"}, true}, {[]string{"lan0"}, false}, {[]string{"wan"}, false}} {
			set := settings
			set.WAN = tc.wan
			for _, s := range sides(b) {
				f := forward(s.Addr(s.Client), ownline.TCP, uint16(24000+i), netip.AddrPortFrom(s.LAN, whoPort), time.Minute)
				g := forward(s.Addr(s.Client), ownline.UDP, whoPort, netip.AddrPortFrom(s.LAN, whoPort), time.Minute)
				sync(t, d, ruleset(set, f, g))
				if _, open := s.Client.AskWho(patience, "tcp", netip.AddrPortFrom(s.Router, f.Port)); open != tc.open {
					t.Errorf("with WAN %v the port is open: %v", tc.wan, open)
				}
				at := netip.AddrPortFrom(s.Other, whoPort)
				if who, ok := s.Client.AskWho(patience, "udp", at); !ok || who != at {
					t.Errorf("asking %s behind the router: %v answers (%v)", at, who, ok)
				}
			}
		}
	})
}

// Masquerading makes forwards work where the LAN has no way back, and their flows end, too.
func TestMasquerade(t *testing.T) {
	t.Parallel()
	for _, v := range variants {
		t.Run(v, func(t *testing.T) {
			t.Parallel()
			b := bedtest.New(t, bed.WithoutLANRoute())
			if _, err := b.StartServers(); err != nil {
				t.Fatal(err)
			}
			cfg := iptables.Config{Variant: v, Within: b.Router.Do}
			d := newDriver(t, b.Router, cfg)
			for _, s := range sides(b) {
				f := forward(s.Addr(s.Client), ownline.TCP, 24000, netip.AddrPortFrom(s.LAN, bed.EchoPort), time.Minute)
				at := netip.AddrPortFrom(s.Router, 24000)
				set := settings
				sync(t, d, ruleset(set, f))
				if st := s.Client.ConnectTCP(at, silence).State; st == bed.Open {
					t.Error("open without masquerade")
				}
				set.Masquerade = true
				sync(t, d, ruleset(set, f))
				flow := startFlow(t, s.Client, ownline.TCP, at)
				now := time.Now()
				sync(t, d, ruleset(set))
				cut(t, flow, bed.Cut{How: bed.Reset}, now.Add(late))
				flow.Stop()
			}
		})
	}
}
