package nft_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/fwtest"
	"github.com/ownline/ownline/internal/core/firewall/nft"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
)

func TestMain(m *testing.M) { bedtest.Main(m) }

const (
	patience = 20 * time.Second       // for an answer that should come, or a refusal, under load too
	silence  = 200 * time.Millisecond // without an answer is enough
	whoPort  = 7000                   // servers there say their own address
)

var settings = firewall.Settings{IPv6Prefix: 64, KnockPort: 54754, KnockLength: 128}

func newDriver(tb testing.TB, h *bed.Host, cfg nft.Config) *nft.Driver {
	tb.Helper()
	var d *nft.Driver
	if err := h.Do(func() (err error) { d, err = nft.New(cfg); return err }); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := d.Close(); err != nil {
			tb.Error(err)
		}
	})
	return d
}

func ruleset(s firewall.Settings, forwards ...firewall.Forward) firewall.Ruleset {
	r := firewall.Ruleset{Settings: s, Forwards: map[firewall.Key]firewall.Forward{}}
	for _, f := range forwards {
		r.Forwards[f.Key] = f
	}
	return r
}

func sync(tb testing.TB, d *nft.Driver, want firewall.Ruleset) {
	tb.Helper()
	if err := d.Sync(tb.Context(), want); err != nil {
		tb.Fatal(err)
	}
}

func change(tb testing.TB, d *nft.Driver, put []firewall.Forward, drop ...firewall.Key) {
	tb.Helper()
	if err := d.Change(tb.Context(), put, drop); err != nil {
		tb.Fatal(err)
	}
}

// source is the network of a host's address that a session would admit.
func source(a netip.Addr) netip.Prefix {
	p, err := ownline.SourceOf(a, settings.IPv6Prefix)
	if err != nil { // documentation addresses are public to us
		panic(err)
	}
	return p
}

func forward(a netip.Addr, transport ownline.Transport, port uint16, target netip.AddrPort, last time.Duration) firewall.Forward {
	return firewall.Forward{
		Key:    firewall.Key{Source: source(a), Transport: transport, Port: port},
		Target: target, Until: time.Now().Add(last),
	}
}

// side is the bed as one address family sees it.
type side struct {
	name              string
	client, neighbour *bed.Host // they dial from addr
	lan, other        netip.Addr
	router, inside    netip.Addr // of the router: outside, and towards the LAN
}

func sides(b *bed.Bed) []side {
	return []side{
		{"IPv4", b.Client1.From(b.Client1.IPv4), b.Client2.From(b.Client2.IPv4), b.Lan.IPv4s[0], b.Lan.IPv4s[1], b.Router.IPv4, b.Router.IPv4s[1]},
		{"IPv6", b.Client1.From(b.Client1.IPv6), b.Client2.From(b.Client2.IPv6), b.Lan.IPv6s[0], b.Lan.IPv6s[1], b.Router.IPv6, b.Router.IPv6s[1]},
	}
}

func (s side) addr(h *bed.Host) netip.Addr {
	if s.lan.Is4() {
		return h.IPv4
	}
	return h.IPv6
}

var transports = []ownline.Transport{ownline.TCP, ownline.UDP}

// each runs a test for both families and transports, on one bed.
func each(t *testing.T, b *bed.Bed, test func(t *testing.T, s side, transport ownline.Transport)) {
	for _, s := range sides(b) {
		for _, tr := range transports {
			t.Run(s.name+" "+string(tr), func(t *testing.T) { test(t, s, tr) })
		}
	}
}

func servers(tb testing.TB, b *bed.Bed) *bed.Servers {
	tb.Helper()
	s, err := b.StartServers()
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// serveWho answers everyone who comes to whoPort of the host with the address that they
// came to.
func serveWho(t *testing.T, h *bed.Host) {
	t.Helper()
	if err := h.ServeWho(whoPort); err != nil {
		t.Fatal(err)
	}
}

// askWho reports which server of serveWho answers on an address.
func askWho(h *bed.Host, transport ownline.Transport, at netip.AddrPort) (netip.AddrPort, bool) {
	return askWhoFor(patience, h, transport, at)
}

func askWhoFor(wait time.Duration, h *bed.Host, transport ownline.Transport, at netip.AddrPort) (netip.AddrPort, bool) {
	return h.AskWho(wait, string(transport), at)
}

func probe(h *bed.Host, transport ownline.Transport, at netip.AddrPort) bed.State {
	if transport == ownline.TCP {
		return h.ConnectTCP(at, patience).State
	}
	return h.ProbeUDP(at, []byte("hello"), patience).State
}

// alter lets a test change the host's ruleset as another program would.
func alter(tb testing.TB, h *bed.Host, with func(c *nftables.Conn) error) {
	tb.Helper()
	if err := altered(h, with); err != nil {
		tb.Fatal(err)
	}
}

func altered(h *bed.Host, with func(c *nftables.Conn) error) error {
	return h.Do(func() error { // not WithNetNSFd: only root of the machine may go there
		c, err := nftables.New(nftables.AsLasting())
		if err != nil {
			return err
		}
		err = with(c)
		if err == nil {
			err = c.Flush()
		}
		return errors.Join(err, c.CloseLasting())
	})
}

func flush(h *bed.Host) error {
	return altered(h, func(c *nftables.Conn) error { c.FlushRuleset(); return nil })
}

// baseChain adds a chain of somebody else's table, with the rules given.
func baseChain(c *nftables.Conn, name string, kind nftables.ChainType, hook *nftables.ChainHook, priority nftables.ChainPriority, rules ...[]expr.Any) {
	table := c.AddTable(&nftables.Table{Name: "other", Family: nftables.TableFamilyINet})
	chain := c.AddChain(&nftables.Chain{Name: name, Table: table, Type: kind, Hooknum: hook, Priority: &priority})
	for _, r := range rules {
		c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: r})
	}
}

// toPort matches a transport and its destination port.
func toPort(transport ownline.Transport, port uint16) []expr.Any {
	proto := byte(unix.IPPROTO_TCP)
	if transport == ownline.UDP {
		proto = unix.IPPROTO_UDP
	}
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{proto}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{byte(port >> 8), byte(port)}},
	}
}

func TestContract(t *testing.T) {
	for name, cfg := range map[string]nft.Config{"plain": {}, "old kernel": {OldKernel: true}, "by mark": {UseMark: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fwtest.Contract(t, func(t *testing.T, ipv6 bool, test func(*testing.T, fwtest.World)) {
				b := bedtest.New(t)
				serveWho(t, b.Lan)
				s := sides(b)[0]
				if ipv6 {
					s = sides(b)[1]
				}
				hosts := map[netip.Prefix]*bed.Host{source(s.addr(s.client)): s.client, source(s.addr(s.neighbour)): s.neighbour}
				test(t, fwtest.World{
					Driver:   newDriver(t, b.Router, cfg),
					Settings: settings,
					Client:   source(s.addr(s.client)), Neighbour: source(s.addr(s.neighbour)),
					Target: netip.AddrPortFrom(s.lan, whoPort), Other: netip.AddrPortFrom(s.other, whoPort),
					Reach: func(from netip.Prefix, transport ownline.Transport, port uint16) (netip.AddrPort, bool) {
						return askWho(hosts[from], transport, netip.AddrPortFrom(s.router, port))
					},
					Flush: func() error { return flush(b.Router) },
				})
			})
		})
	}
}
