package nft_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall/fwtest"
	"github.com/ownline/ownline/internal/core/firewall/nft"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
)

func TestMain(m *testing.M) { bedtest.Main(m) }

// What tests of all drivers share, by short names.
const (
	patience = bedtest.Patience
	silence  = bedtest.Silence
	whoPort  = bedtest.WhoPort
)

type side = bedtest.Side

var (
	settings   = fwtest.Settings
	transports = fwtest.Transports
	source     = fwtest.Source
	forward    = fwtest.Forward
	ruleset    = fwtest.Ruleset
	sync       = fwtest.Sync
	change     = fwtest.Change
	sides      = bedtest.Sides
	serveWho   = bedtest.Serves
	probe      = bedtest.Probe[ownline.Transport]
	startFlow  = bedtest.StartFlow[ownline.Transport]
	lag        = bedtest.Lag
)

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

// each runs a test for both families and transports, on one bed.
func each(t *testing.T, b *bed.Bed, test func(t *testing.T, s side, transport ownline.Transport)) {
	for _, s := range sides(b) {
		for _, tr := range transports {
			t.Run(s.Name+" "+string(tr), func(t *testing.T) { test(t, s, tr) })
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

// askWho reports which server of serveWho answers on an address.
func askWho(h *bed.Host, transport ownline.Transport, at netip.AddrPort) (netip.AddrPort, bool) {
	return askWhoFor(patience, h, transport, at)
}

func askWhoFor(wait time.Duration, h *bed.Host, transport ownline.Transport, at netip.AddrPort) (netip.AddrPort, bool) {
	return h.AskWho(wait, string(transport), at)
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
				hosts := map[netip.Prefix]*bed.Host{source(s.Addr(s.Client)): s.Client, source(s.Addr(s.Neighbour)): s.Neighbour}
				test(t, fwtest.World{
					Driver:   newDriver(t, b.Router, cfg),
					Settings: settings,
					Client:   source(s.Addr(s.Client)), Neighbour: source(s.Addr(s.Neighbour)),
					Target: netip.AddrPortFrom(s.LAN, whoPort), Other: netip.AddrPortFrom(s.Other, whoPort),
					Reach: func(from netip.Prefix, transport ownline.Transport, port uint16) (netip.AddrPort, bool) {
						return askWho(hosts[from], transport, netip.AddrPortFrom(s.Router, port))
					},
					LAN: s.Network(), LANHost: s.Third,
					FromLAN: func(from netip.Addr, transport ownline.Transport, port uint16) (netip.AddrPort, bool) {
						return b.Lan.From(from).AskWho(bedtest.Patience, string(transport), netip.AddrPortFrom(s.Router, port))
					},
					Flush: func() error { return flush(b.Router) },
				})
			})
		})
	}
}
