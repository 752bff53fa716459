package bedtest

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/ownline/ownline/test/bed"
)

const (
	// Patience is for an answer that should come, or a refusal, under load too.
	Patience = 20 * time.Second
	// Silence without an answer is enough.
	Silence = 200 * time.Millisecond
	// WhoPort is where servers say their own address.
	WhoPort = 7000
)

// Side is the bed as one address family sees it.
type Side struct {
	Name              string
	Client, Neighbour *bed.Host  // they dial from Addr
	LAN, Other, Third netip.Addr // of the host in the LAN
	Router, Inside    netip.Addr // of the router: outside, and towards the LAN
}

// Sides are IPv4 and IPv6.
func Sides(b *bed.Bed) []Side {
	return []Side{
		{"IPv4", b.Client1.From(b.Client1.IPv4), b.Client2.From(b.Client2.IPv4), b.Lan.IPv4s[0], b.Lan.IPv4s[1], b.Lan.IPv4s[2], b.Router.IPv4, b.Router.IPv4s[1]},
		{"IPv6", b.Client1.From(b.Client1.IPv6), b.Client2.From(b.Client2.IPv6), b.Lan.IPv6s[0], b.Lan.IPv6s[1], b.Lan.IPv6s[2], b.Router.IPv6, b.Router.IPv6s[1]},
	}
}

// Addr is a host's address of the side's family.
func (s Side) Addr(h *bed.Host) netip.Addr {
	if s.LAN.Is4() {
		return h.IPv4
	}
	return h.IPv6
}

// Network is the LAN.
func (s Side) Network() netip.Prefix {
	bits := 24
	if s.LAN.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(s.LAN, bits).Masked()
}

// Probe is what a client finds at a port, of network "tcp" or "udp".
func Probe[N ~string](h *bed.Host, network N, at netip.AddrPort) bed.State {
	if network == "tcp" {
		return h.ConnectTCP(at, Patience).State
	}
	return h.ProbeUDP(at, []byte("hello"), Patience).State
}

// StartFlow opens a connection to an echo server that goes on until it is stopped.
func StartFlow[N ~string](t *testing.T, h *bed.Host, network N, at netip.AddrPort) *bed.Flow {
	t.Helper()
	return startFlow(t, h, string(network), at, bed.FlowOptions{})
}

// StartPatientFlow is StartFlow for one that is not called cut when a machine under load lets it wait for seconds.
func StartPatientFlow[N ~string](t *testing.T, h *bed.Host, network N, at netip.AddrPort) *bed.Flow {
	t.Helper()
	return startFlow(t, h, string(network), at, bed.FlowOptions{Quiet: 2 * time.Second})
}

func startFlow(t *testing.T, h *bed.Host, network string, at netip.AddrPort, opts bed.FlowOptions) *bed.Flow {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	f, err := h.StartFlow(ctx, network, at, opts)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// KnowTheLAN has the internet send to the router what is for the LAN, as whoever shares a cable with the router can.
// Without, it would get lost on its way, whatever the router lets through.
func KnowTheLAN(tb testing.TB, b *bed.Bed) {
	tb.Helper()
	for _, s := range Sides(b) {
		if err := b.Internet.AddRoute(s.Network(), s.Router); err != nil {
			tb.Fatal(err)
		}
	}
}

// Serves answers everyone who comes to WhoPort of a host with the address that they came to.
func Serves(tb testing.TB, h *bed.Host) {
	tb.Helper()
	if err := h.ServeWho(WhoPort); err != nil {
		tb.Fatal(err)
	}
}

// ServeProxy stands for a proxy on the router: echo servers at addresses that put adds to it, to which the
// internet knows a way.
func ServeProxy(tb testing.TB, b *bed.Bed, put func(netip.Addr) error, at []netip.Addr, ports ...uint16) {
	tb.Helper()
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	for _, a := range at {
		for range 2 { // it may be there
			must(b.Router.Do(func() error { return put(a) }))
		}
		for _, p := range ports {
			_, err := b.Router.TCPEcho(p, a)
			must(err)
			_, err = b.Router.UDPEcho(p, a)
			must(err)
		}
		via := b.Router.IPv4
		if a.Is6() {
			via = b.Router.IPv6
		}
		must(b.Internet.AddRoute(netip.PrefixFrom(a, a.BitLen()), via))
	}
}
