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
	startLong  = bedtest.StartPatientFlow[ownline.Transport]
)

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

// contract has the parts of the contract pass that are wanted, all on one bed.
func contract(t *testing.T, b *bed.Bed, cfg iptables.Config, wanted func(name string) bool) {
	t.Helper()
	contractBeside(t, b, cfg, wanted, func() error { return nil })
}

// contractBeside is contract where somebody puts back rules of his own when all are flushed.
func contractBeside(t *testing.T, b *bed.Bed, cfg iptables.Config, wanted func(name string) bool, then func() error) {
	t.Helper()
	serveWho(t, b.Lan)
	fwtest.Parts(t, wanted, func(t *testing.T, ipv6 bool, test func(*testing.T, fwtest.World)) {
		s := sides(b)[0]
		if ipv6 {
			s = sides(b)[1]
		}
		if _, err := iptables.Remove(t.Context(), cfg, ""); err != nil { // what the part before left
			t.Fatal(err)
		}
		hosts := map[netip.Prefix]*bed.Host{source(s.Addr(s.Client)): s.Client, source(s.Addr(s.Neighbour)): s.Neighbour}
		d := newDriver(t, b.Router, cfg)
		promises := d.Ending().Promises()
		if !promises.CoreIsDead {
			run(t, d)
		}
		test(t, fwtest.World{
			Driver: d, Settings: settings, Late: promises.Late,
			Client: source(s.Addr(s.Client)), Neighbour: source(s.Addr(s.Neighbour)),
			Target: netip.AddrPortFrom(s.LAN, whoPort), Other: netip.AddrPortFrom(s.Other, whoPort),
			Reach: func(from netip.Prefix, transport ownline.Transport, port uint16) (netip.AddrPort, bool) {
				return hosts[from].AskWho(patience, string(transport), netip.AddrPortFrom(s.Router, port))
			},
			LAN: s.Network(), LANHost: s.Third,
			FromLAN: func(from netip.Addr, transport ownline.Transport, port uint16) (netip.AddrPort, bool) {
				return b.Lan.From(from).AskWho(bedtest.Patience, string(transport), netip.AddrPortFrom(s.Router, port))
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
