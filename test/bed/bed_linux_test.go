package bed_test

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
)

const (
	patience = 20 * time.Second       // for what must happen, under load too
	brief    = 150 * time.Millisecond // for what must not
)

func TestWhoReachesWhom(t *testing.T) {
	b := bedtest.New(t)
	servers := make(map[*bed.Host]*bed.UDPEcho)
	for _, h := range b.Hosts() {
		if _, err := h.TCPEcho(bed.EchoPort); err != nil {
			t.Fatal(err)
		}
		udp, err := h.UDPEcho(bed.EchoPort)
		if err != nil {
			t.Fatal(err)
		}
		servers[h] = udp
	}
	for _, from := range b.Hosts() {
		t.Run(from.Name, func(t *testing.T) {
			t.Parallel()
			reaches(t, b, from, servers)
		})
	}
}

func reaches(t *testing.T, b *bed.Bed, from *bed.Host, servers map[*bed.Host]*bed.UDPEcho) {
	for _, to := range b.Hosts() {
		for _, at := range servers[to].Addrs {
			stray := private(b, at.Addr()) && from != b.Lan && from != b.Router
			lost := from == b.Lan && to != b.Lan && to != b.Router
			wait := patience
			if stray {
				wait = brief
			} else if lost {
				wait = brief / 3 // for each of some twenty addresses
			}
			tcp := from.ConnectTCP(at, wait)
			udp := from.ProbeUDP(at, []byte("hello"), wait)
			// A LAN address is known behind the router alone; the router reaches it.
			if stray {
				// For IPv4 routes that are missing Linux sends few errors; then it is silent.
				for _, r := range []bed.Result{tcp, udp} {
					if r.State != bed.Unreachable && (r.State != bed.Silent || at.Addr().Is6()) {
						t.Errorf("%s to %s of %s: %s; want unreachable", from.Name, at, to.Name, r)
					}
				}
				continue
			}
			// The LAN hosts' own addresses mean nothing outside, so no answer finds back.
			if lost {
				if tcp.State == bed.Open || udp.State == bed.Open {
					t.Errorf("%s to %s of %s: TCP %s, UDP %s; want no answer", from.Name, at, to.Name, tcp, udp)
				}
				continue
			}
			if tcp.State != bed.Open || udp.State != bed.Open || string(udp.Answer) != "hello" {
				t.Errorf("%s to %s of %s: TCP %s, UDP %s %q; want open", from.Name, at, to.Name, tcp, udp, udp.Answer)
			}
		}
	}
}

func private(b *bed.Bed, a netip.Addr) bool { return b.LAN4.Contains(a) || b.LAN6.Contains(a) }

func TestAddresses(t *testing.T) {
	b := bedtest.New(t)
	six := b.Client1.IPv6s
	if len(b.Client1.IPv4s) < 2 || len(six) < 3 {
		t.Fatalf("client1 has %v and %v, want 2 and 3 addresses", b.Client1.IPv4s, six)
	}
	net := netip.PrefixFrom(six[0], 64).Masked()
	if !net.Contains(six[1]) || net.Contains(six[2]) {
		t.Errorf("client1 has %v, want two in one /64 and the third in another", six)
	}
	if b.Router.IPv4s[1] != netip.MustParseAddr("192.168.7.1") || b.Router.IPv6s[1] != netip.MustParseAddr("fd00:7::1") {
		t.Errorf("router has %v and %v, want the addresses of lan0 second", b.Router.IPv4s, b.Router.IPv6s)
	}
	if b.Router.Link != "wan0" || b.Client1.Link != "eth0" || b.Lan.Link != "eth0" {
		t.Errorf("links %q, %q, %q", b.Router.Link, b.Client1.Link, b.Lan.Link)
	}
	if _, err := b.Router.HTTP(8080); err != nil {
		t.Fatal(err)
	}
	for _, h := range []*bed.Host{b.Client1, b.Client2, b.Stranger, b.Lan} {
		for i, want := range []netip.Addr{h.IPv4, h.IPv6} {
			page, err := h.Get(both(b.Router, 8080)[i], patience)
			if err != nil || page.Client.Addr() != want {
				t.Errorf("%s is seen as %s, %v; want %s", h.Name, page.Client, err, want)
			}
		}
		for _, a := range append(h.IPv4s, h.IPv6s...) {
			to := b.Router.IPv4
			if a.Is6() {
				to = b.Router.IPv6
			}
			page, err := h.From(a).Get(netip.AddrPortFrom(to, 8080), patience)
			if err != nil || page.Client.Addr() != a {
				t.Errorf("%s from %s: seen as %s, %v", h.Name, a, page.Client, err)
			}
		}
	}
}

func TestServers(t *testing.T) {
	b := bedtest.New(t)
	s, err := b.StartServers()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(s.HTTP.Addrs); n != 6 {
		t.Fatalf("%d web servers, want one for each of 6 addresses", n)
	}
	for _, at := range s.HTTP.Addrs {
		page, err := b.Router.Get(at, patience)
		if err != nil || page.Server != at || !private(b, page.Client.Addr()) || page.Path != "/" {
			t.Errorf("page of %s: %+v, %v", at, page, err)
		}
	}
	at := s.HTTP.Addrs[0].String()
	for name, tc := range map[string]struct {
		query  string
		bytes  int
		least  time.Duration
		status int
	}{
		"at once":       {query: "?bytes=100000", bytes: 100000, status: 200},
		"slowly":        {query: "?bytes=10000&rate=20000", bytes: 10000, least: 450 * time.Millisecond, status: 200},
		"nothing":       {query: "", status: 200},
		"not a number":  {query: "?bytes=many", bytes: -1, status: 400},
		"less than one": {query: "?rate=-1", bytes: -1, status: 400},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			res, err := b.Router.HTTPClient(patience).Get("http://" + at + "/stream" + tc.query)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			var body bytes.Buffer
			if _, err := body.ReadFrom(res.Body); err != nil {
				t.Fatal(err)
			}
			took := time.Since(start)
			if res.StatusCode != tc.status || tc.bytes >= 0 && body.Len() != tc.bytes || took < tc.least {
				t.Errorf("status %d, %d bytes in %s", res.StatusCode, body.Len(), took)
			}
		})
	}
	if err := s.HTTP.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if r := b.Router.ConnectTCP(s.HTTP.Addrs[0], patience); r.State != bed.Refused {
		t.Errorf("a closed server is %s, want refused", r)
	}
}

func TestWithoutLANRoute(t *testing.T) {
	b := bedtest.New(t, bed.WithoutLANRoute())
	s, err := b.StartServers()
	if err != nil {
		t.Fatal(err)
	}
	// As if a forward had sent it there: the internet knows the way in, the LAN none out.
	if err := b.Internet.AddRoute(b.LAN4, b.Router.IPv4); err != nil {
		t.Fatal(err)
	}
	if r := b.Client1.ProbeUDP(s.UDP.Addrs[0], []byte("x"), brief); r.State != bed.Silent || s.UDP.Got() != 1 {
		t.Errorf("probe %s, server got %d; want silence although the server got it", r, s.UDP.Got())
	}
	if r := b.Router.ProbeUDP(s.UDP.Addrs[0], []byte("x"), patience); r.State != bed.Open {
		t.Errorf("from the router: %s, want open", r)
	}
}

func TestChangeLinksAndAddresses(t *testing.T) {
	b := bedtest.New(t)
	if _, err := b.Router.UDPEcho(bed.EchoPort); err != nil {
		t.Fatal(err)
	}
	for _, at := range []netip.AddrPort{
		netip.AddrPortFrom(b.Router.IPv4, bed.EchoPort), netip.AddrPortFrom(b.Router.IPv6, bed.EchoPort),
	} {
		extra, bits := netip.MustParseAddr("198.51.100.77"), 25
		if at.Addr().Is6() {
			extra, bits = netip.MustParseAddr("2001:db8:1:1::77"), 64
		}
		probe := func() bed.State { return b.Client1.From(extra).ProbeUDP(at, []byte("x"), patience).State }
		if got := probe(); got != bed.Failed {
			t.Errorf("from %s before it is there: %s", extra, got)
		}
		if err := b.Client1.AddAddr("eth0", netip.PrefixFrom(extra, bits)); err != nil {
			t.Fatal(err)
		}
		if got := probe(); got != bed.Open {
			t.Errorf("from %s: %s, want open", extra, got)
		}
		if err := b.Client1.DelAddr("eth0", netip.PrefixFrom(extra, bits)); err != nil {
			t.Fatal(err)
		}
		if got := probe(); got != bed.Failed {
			t.Errorf("from %s after it has gone: %s", extra, got)
		}
	}
	// Moving on: the first address goes, the second takes over.
	for i, p := range []netip.Prefix{
		netip.PrefixFrom(b.Client1.IPv4, 25), netip.PrefixFrom(b.Client1.IPv6, 64),
	} {
		to := both(b.Router, bed.EchoPort)[i]
		if err := b.Client1.DelAddr("eth0", p); err != nil {
			t.Fatal(err)
		}
		if r := b.Client1.ProbeUDP(to, []byte("x"), patience); r.State != bed.Open {
			t.Errorf("without %s: %s, want open", p, r)
		}
	}
	if err := b.Client2.SetLink("eth0", false); err != nil {
		t.Fatal(err)
	}
	to := netip.AddrPortFrom(b.Router.IPv4, bed.EchoPort)
	if r := b.Client2.ProbeUDP(to, nil, patience); r.State != bed.Unreachable {
		t.Errorf("with its link down client2 finds the router %s, want unreachable", r)
	}
	err := b.Client1.SetLink("eth7", true)
	if err == nil || !strings.Contains(err.Error(), "client1: bring up eth7") {
		t.Errorf("an unknown link gives %v", err)
	}
}

func TestSysctlStaysInside(t *testing.T) {
	b := bedtest.New(t)
	for _, name := range []string{"kernel/hostname", "net/../kernel/hostname", "/net/ipv4/ip_forward", "net"} {
		if err := b.Router.Sysctl(name, "x"); err == nil || !strings.Contains(err.Error(), "only settings below net/") {
			t.Errorf("%s gives %v, want a refusal", name, err)
		}
	}
	s, err := b.StartServers()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Internet.AddRoute(b.LAN4, b.Router.IPv4); err != nil {
		t.Fatal(err)
	}
	if r := b.Client1.ProbeUDP(s.UDP.Addrs[0], nil, brief); r.State == bed.Failed {
		t.Fatal(r)
	}
	got := s.UDP.Got()
	if err := b.Router.Sysctl("net/ipv4/ip_forward", "0"); err != nil {
		t.Fatal(err)
	}
	if r := b.Client1.ProbeUDP(s.UDP.Addrs[0], []byte("x"), brief); r.State == bed.Open || s.UDP.Got() != got {
		t.Errorf("with forwarding off: %s, server got %d more", r, s.UDP.Got()-got)
	}
}

func BenchmarkNew(b *testing.B) {
	bedtest.Need(b)
	for b.Loop() {
		w, err := bed.New(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
