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
	const port, challenge = 9999, 8080
	b := bedtest.New(t)
	s := settings
	s.Proxy = firewall.Proxy{Port: port, Addr4: loopback.Addr4, Addr6: loopback.Addr6, LocalNetworks: []netip.Prefix{b.LAN4, b.LAN6}}
	bedtest.ServeProxy(t, b, loopback.Add, []netip.Addr{loopback.Addr4, loopback.Addr6}, port, challenge)
	d := newDriver(t, b.Router, cfg)
	for _, side := range sides(b) {
		t.Run(side.Name, func(t *testing.T) {
			target := s.Proxy.Target(side.LAN)
			at := netip.AddrPortFrom(side.Router, port)
			inside := netip.AddrPortFrom(side.Inside, port)
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
			f := forward(side.Addr(side.Client), ownline.TCP, port, target, time.Minute)
			sync(t, d, ruleset(s, f))
			if st := probe(side.Client, ownline.TCP, at); st != bed.Open {
				t.Errorf("with a session, the port is %s", st)
			}
			closed("a neighbour while there is a session", side.Neighbour)
			for _, to := range []netip.AddrPort{at, inside} {
				if st := probe(b.Lan.From(side.LAN), ownline.TCP, to); st != bed.Open {
					t.Errorf("from inside, %s is %s", to, st)
				}
			}
			flow := startFlow(t, side.Client, ownline.TCP, at)
			most, now := lag(t), time.Now()
			sync(t, d, ruleset(s))
			cutOnTime(t, flow, ownline.TCP, now, most)
			flow.Stop()
			closed("after the session", side.Client)
			if st := probe(b.Lan.From(side.LAN), ownline.TCP, at); st != bed.Open {
				t.Errorf("from inside after the session, the port is %s", st)
			}

			// For a while, everybody may come to one port.
			at80 := netip.AddrPortFrom(side.Router, challenge)
			if st := probe(side.Neighbour, ownline.TCP, at80); st != bed.Refused {
				t.Errorf("before it is public, the port of the challenge is %s", st)
			}
			public := s
			public.Proxy.Public = []firewall.Public{everybody(target.Addr(), challenge, time.Minute, time.Minute)}
			sync(t, d, ruleset(public))
			if st := probe(side.Neighbour, ownline.TCP, at80); st != bed.Open {
				t.Errorf("while it is public, the port of the challenge is %s", st)
			}
			closed("while another port is public", side.Neighbour)
			sync(t, d, ruleset(s))
			if st := probe(side.Neighbour, ownline.TCP, at80); st != bed.Refused {
				t.Errorf("after it was public, the port of the challenge is %s", st)
			}

			testEverybody(t, side, d, s, closed)

			sync(t, d, ruleset(settings))
			if st := probe(b.Lan.From(side.LAN), ownline.TCP, at); st != bed.Refused {
				t.Errorf("from inside without a proxy, the port is %s", st)
			}
		})
	}
}

// everybody is a port of the proxy that leads everybody there, so long, and lets them go on.
func everybody(addr netip.Addr, port uint16, open, stay time.Duration) firewall.Public {
	now := time.Now()
	return firewall.Public{AddrPort: netip.AddrPortFrom(addr, port), Until: now.Add(open), Stay: now.Add(stay)}
}

// Invariants 1, 3 and 4: while the proxy's own port is open to everybody, sessions end with their
// own time, and outlive it; the kernel shuts the port by itself, then cuts who is still there.
func testEverybody(t *testing.T, side side, d *nft.Driver, s firewall.Settings, closed func(string, *bed.Host)) {
	t.Helper()
	target := s.Proxy.Target(side.LAN)
	at := netip.AddrPortFrom(side.Router, target.Port())
	session := forward(side.Addr(side.Client), ownline.TCP, target.Port(), target, time.Minute)
	door := s
	door.Proxy.Public = []firewall.Public{everybody(target.Addr(), target.Port(), time.Minute, time.Minute)}
	sync(t, d, ruleset(door, session))
	if st := probe(side.Neighbour, ownline.TCP, at); st != bed.Open {
		t.Errorf("while it is open to everybody, the port is %s", st)
	}
	if st := side.Neighbour.ConnectTCP(target, silence).State; st == bed.Open {
		t.Error("while the port is open to everybody, the proxy's own address is, too")
	}
	ours, strangers := startFlow(t, side.Client, ownline.TCP, at), startFlow(t, side.Neighbour, ownline.TCP, at)
	defer ours.Stop()
	defer strangers.Stop()

	// Shut, with a moment left for who is there.
	most := lag(t)
	end := time.Now().Add(2 * time.Second)
	door.Proxy.Public[0].Until, door.Proxy.Public[0].Stay = time.Now(), end
	sync(t, d, ruleset(door, session))
	if st := probe(side.Neighbour, ownline.TCP, at); st != bed.Refused {
		t.Errorf("shut, but while others may go on, the port is %s", st)
	}
	cutOnTime(t, strangers, "", end, most) // silently: it has no session that could have ended
	closed("after it was open to everybody", side.Neighbour)
	if st := probe(side.Client, ownline.TCP, at); st != bed.Open {
		t.Errorf("with a session, after it was open to everybody, the port is %s", st)
	}
	if cut := ours.Report().Cut; cut != nil {
		t.Error("the session's connection ended with those of everybody")
	}

	// By the kernel alone.
	door.Proxy.Public[0] = everybody(target.Addr(), target.Port(), 1500*time.Millisecond, 2*time.Second)
	until := door.Proxy.Public[0].Until
	sync(t, d, ruleset(door, session))
	if st := probe(side.Neighbour, ownline.TCP, at); st != bed.Open && time.Now().Before(until) {
		t.Errorf("open to everybody again, the port is %s", st)
	}
	time.Sleep(time.Until(until) + 100*time.Millisecond + 3*most())
	closed("after the kernel's own time", side.Neighbour)
	now := time.Now()
	sync(t, d, ruleset(s))
	cutOnTime(t, ours, ownline.TCP, now, most)
}

// Where the proxy speaks HTTP/3, the same goes for UDP.
func TestProxyOverUDP(t *testing.T) {
	const port = 9999
	b := bedtest.New(t)
	s := settings
	s.Proxy = firewall.Proxy{Port: port, Addr4: loopback.Addr4, Addr6: loopback.Addr6, UDP: true, LocalNetworks: []netip.Prefix{b.LAN4, b.LAN6}}
	bedtest.ServeProxy(t, b, loopback.Add, []netip.Addr{loopback.Addr4, loopback.Addr6}, port)
	d := newDriver(t, b.Router, nft.Config{})
	for _, side := range sides(b) {
		t.Run(side.Name, func(t *testing.T) {
			at := netip.AddrPortFrom(side.Router, port)
			open := func(from *bed.Host) bool { return probe(from, ownline.UDP, at) == bed.Open }
			sync(t, d, ruleset(s))
			if open(side.Client) || open(side.Neighbour) {
				t.Error("without a session, the port is open")
			}
			if !open(b.Lan.From(side.LAN)) {
				t.Error("from inside, the port is not open")
			}
			sync(t, d, ruleset(s, forward(side.Addr(side.Client), ownline.UDP, port, s.Proxy.Target(side.LAN), time.Minute)))
			if !open(side.Client) || open(side.Neighbour) {
				t.Error("with a session, the port is shut, or open to a neighbour")
			}
			flow := startFlow(t, side.Client, ownline.UDP, at)
			most, now := lag(t), time.Now()
			sync(t, d, ruleset(s))
			cutOnTime(t, flow, ownline.UDP, now, most)
			flow.Stop()
			s := s
			s.Proxy.UDP = false
			sync(t, d, ruleset(s))
			if open(b.Lan.From(side.LAN)) {
				t.Error("without HTTP/3, the port is open from inside")
			}
		})
	}
}
