package iptables_test

import (
	"context"
	"errors"
	"flag"
	"net/netip"
	"os"
	"slices"
	"strings"
	gosync "sync"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/fwtest"
	"github.com/ownline/ownline/internal/core/firewall/iptables"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
)

// TestMain has more tests run at once than there are processors: most of the time they wait for seconds
// to pass.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	bedtest.Main(m)
}

const (
	patience = 20 * time.Second       // for an answer that should come, or a refusal, under load too
	silence  = 200 * time.Millisecond // without an answer is enough
	whoPort  = 7000                   // servers there say their own address
)

var settings = firewall.Settings{IPv6Prefix: 64, KnockPort: 54754, KnockLength: 128}

// variants are the two kinds of iptables, which Debian's package has both.
var variants = []string{"nft", "legacy"}

// each runs a test for both variants, at the same time and on beds of their own.
func each(t *testing.T, test func(t *testing.T, b *bed.Bed, cfg iptables.Config)) {
	t.Parallel()
	for _, v := range variants {
		t.Run(v, func(t *testing.T) {
			t.Parallel()
			b := bedtest.New(t)
			test(t, b, iptables.Config{Variant: v, Within: b.Router.Do})
		})
	}
}

func newDriver(tb testing.TB, h *bed.Host, cfg iptables.Config) *iptables.Driver {
	tb.Helper()
	var d *iptables.Driver
	if err := h.Do(func() (err error) { d, err = iptables.New(tb.Context(), cfg); return err }); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := d.Close(); err != nil {
			tb.Error(err)
		}
	})
	return d
}

// run has a driver run until the end of the test.
func run(t *testing.T, d *iptables.Driver) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg gosync.WaitGroup
	wg.Go(func() { _ = d.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
}

// tell runs a program on a host as its admin would.
func tell(tb testing.TB, h *bed.Host, input, name string, args ...string) string {
	tb.Helper()
	out, err := told(h, input, name, args...)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func told(h *bed.Host, input, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := h.Command(ctx, "/usr/sbin/"+name, args...)
	var out strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, os.Stderr
	err := h.Run(cmd)
	return out.String(), err
}

// flush empties all tables of a variant, as other programs do.
func flush(h *bed.Host, variant string) error {
	const all = "*filter\n:FORWARD ACCEPT\nCOMMIT\n*mangle\n:FORWARD ACCEPT\nCOMMIT\n*nat\n:PREROUTING ACCEPT\nCOMMIT\n"
	for _, family := range []string{"iptables-", "ip6tables-"} {
		if _, err := told(h, all, family+variant+"-restore"); err != nil {
			return err
		}
	}
	return nil
}

func ruleset(s firewall.Settings, forwards ...firewall.Forward) firewall.Ruleset {
	r := firewall.Ruleset{Settings: s, Forwards: map[firewall.Key]firewall.Forward{}}
	for _, f := range forwards {
		r.Forwards[f.Key] = f
	}
	return r
}

func sync(tb testing.TB, d *iptables.Driver, want firewall.Ruleset) {
	tb.Helper()
	if err := d.Sync(tb.Context(), want); err != nil {
		tb.Fatal(err)
	}
}

func change(tb testing.TB, d *iptables.Driver, put []firewall.Forward, drop ...firewall.Key) {
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

func probe(h *bed.Host, transport ownline.Transport, at netip.AddrPort) bed.State {
	if transport == ownline.TCP {
		return h.ConnectTCP(at, patience).State
	}
	return h.ProbeUDP(at, []byte("hello"), patience).State
}

// contract has the parts of the contract pass that are wanted, all on one bed.
func contract(t *testing.T, b *bed.Bed, cfg iptables.Config, wanted func(name string) bool) {
	t.Helper()
	contractBeside(t, b, cfg, wanted, func() error { return nil })
}

// contractBeside is contract where somebody puts back rules of his own when all are flushed.
func contractBeside(t *testing.T, b *bed.Bed, cfg iptables.Config, wanted func(name string) bool, then func() error) {
	t.Helper()
	if err := b.Lan.ServeWho(whoPort); err != nil {
		t.Fatal(err)
	}
	fwtest.Parts(t, wanted, func(t *testing.T, ipv6 bool, test func(*testing.T, fwtest.World)) {
		s := sides(b)[0]
		if ipv6 {
			s = sides(b)[1]
		}
		if _, err := iptables.Remove(t.Context(), cfg, ""); err != nil { // what the part before left
			t.Fatal(err)
		}
		hosts := map[netip.Prefix]*bed.Host{source(s.addr(s.client)): s.client, source(s.addr(s.neighbour)): s.neighbour}
		d := newDriver(t, b.Router, cfg)
		promises := d.Ending().Promises()
		if !promises.CoreIsDead {
			run(t, d)
		}
		test(t, fwtest.World{
			Driver: d, Settings: settings, Late: promises.Late,
			Client: source(s.addr(s.client)), Neighbour: source(s.addr(s.neighbour)),
			Target: netip.AddrPortFrom(s.lan, whoPort), Other: netip.AddrPortFrom(s.other, whoPort),
			Reach: func(from netip.Prefix, transport ownline.Transport, port uint16) (netip.AddrPort, bool) {
				return hosts[from].AskWho(patience, string(transport), netip.AddrPortFrom(s.router, port))
			},
			Flush: func() error { return errors.Join(flush(b.Router, d.Variant()), then()) },
		})
	})
}

// long reports whether there is time for everything.
func long() bool { return os.Getenv("OWNLINE_SOAK") != "" }

// Both variants keep the contract. What waits for time to pass, which rules here count in whole
// seconds, is tried at length in make soak.
func TestContract(t *testing.T) {
	short := map[string][]string{
		"nft":    {"IPv4 tcp/4 access ", "IPv6 udp/4 access ", "IPv4 tcp/4 a renewal extends", "IPv6 udp/4 a renewal may shorten"},
		"legacy": {"IPv4 udp/4 access ", "IPv6 tcp/4 access ", "IPv6 udp/4 a renewal by"},
	}
	t.Parallel()
	for _, variant := range variants {
		for _, family := range []string{"IPv4", "IPv6"} {
			t.Run(variant+" "+family, func(t *testing.T) {
				t.Parallel()
				b := bedtest.New(t)
				contract(t, b, iptables.Config{Variant: variant, Ending: iptables.ByTime, Within: b.Router.Do}, func(name string) bool {
					if !strings.HasPrefix(name, family) {
						return false
					}
					return long() || !strings.Contains(name, "/4 ") ||
						slices.ContainsFunc(short[variant], func(begin string) bool { return strings.HasPrefix(name, begin) })
				})
			})
		}
	}
}
