package iptables_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/iptables"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
)

// Invariant 5: whatever somebody does to our chains is noticed and repaired, and does no harm to
// what is others'.
func TestRepair(t *testing.T) {
	each(t, func(t *testing.T, b *bed.Bed, cfg iptables.Config) {
		if _, err := b.StartServers(); err != nil {
			t.Fatal(err)
		}
		const others = "-A FORWARD -s 203.0.113.77/32 -j ACCEPT"
		program := "iptables-" + cfg.Variant
		admin := func(t *testing.T, words string) {
			t.Helper()
			tell(t, b.Router, "", program, strings.Fields(words)...)
		}
		saved := func(t *testing.T) string {
			t.Helper()
			return tell(t, b.Router, "", program+"-save")
		}
		d := newDriver(t, b.Router, cfg)
		f := forward(b.Client1.IPv4, ownline.TCP, 24000, netip.AddrPortFrom(b.Lan.IPv4, bed.EchoPort), time.Hour)
		// In the middle of a second: rules say whole ones, and the clocks that they are computed from are
		// not read at the same moment.
		f.Until = f.Until.Add(1500*time.Millisecond - time.Duration(f.Until.Nanosecond()))
		want := ruleset(settings, f)
		at := netip.AddrPortFrom(b.Router.IPv4, 24000)
		admin(t, others)
		deeds := map[string][]string{
			"flush a hook's chain":      {"-t mangle -F FORWARD"},
			"flush nat":                 {"-t nat -F"},
			"flush the filter's hook":   {"-F FORWARD", others},
			"empty the gate":            {"-t mangle -F ownline-gate"},
			"empty what leads to it":    {"-t mangle -F ownline-up"},
			"a session's rule":          {"-t mangle -D ownline-up 1"},
			"where a session leads":     {"-t nat -D ownline-dnat 1"},
			"a rule before ours":        {"-t mangle -I FORWARD -j ACCEPT"},
			"a rule in the gate":        {"-t mangle -I ownline-gate -j ACCEPT"},
			"a second hook":             {"-t nat -I PREROUTING -j ownline-in"},
			"a chain that is not known": {"-t nat -N ownline-0123456789abcdef"},
			"flush everything":          {"-t nat -F", "-t nat -X", "-t mangle -F", "-t mangle -X", "-F", "-X", others},
		}
		for name, deed := range deeds {
			t.Run(name, func(t *testing.T) {
				sync(t, d, want)
				d.LiftNow()
				for _, words := range deed {
					admin(t, words)
				}
				if changed, err := d.Changed(t.Context()); !changed || err != nil {
					t.Errorf("Changed = %v, %v", changed, err)
				}
				g := f
				g.Port++
				if err := d.Change(t.Context(), []firewall.Forward{g}, nil); !errors.Is(err, firewall.ErrOutOfStep) {
					t.Errorf("Change = %v", err)
				}
				sync(t, d, want)
				if changed, err := d.Changed(t.Context()); changed || err != nil {
					t.Errorf("Changed = %v, %v after the repair", changed, err)
				}
				if st := probe(b.Client1, ownline.TCP, at); st != bed.Open {
					t.Errorf("the session is %s", st)
				}
				if st := probe(b.Client2, ownline.TCP, at); st != bed.Refused {
					t.Errorf("the neighbour finds it %s", st)
				}
				now := saved(t)
				if !strings.Contains(now, others+"\n") {
					t.Error("the rule of somebody else is gone")
				}
				// All is as a fresh driver would make it: one finds nothing to do.
				fresh := newDriver(t, b.Router, cfg)
				fresh.LiftNow()
				sync(t, fresh, want)
				if again := saved(t); plain(again) != plain(now) {
					t.Errorf("a new driver made\n%s\nof\n%s", again, now)
				}
			})
		}
	})
}

// plain is what was saved, without what is counted and when.
func plain(saved string) string {
	var b strings.Builder
	for l := range strings.Lines(saved) {
		if strings.HasPrefix(l, "-A") || strings.HasPrefix(l, "*") {
			b.WriteString(l)
		}
	}
	return b.String()
}

// Invariants 3 and 5: changed settings replace the chains, flows live on, and their counters too. What
// is taken away leaves nothing of ours and all of others'.
func TestChangedSettings(t *testing.T) {
	each(t, func(t *testing.T, b *bed.Bed, cfg iptables.Config) {
		if _, err := b.StartServers(); err != nil {
			t.Fatal(err)
		}
		before := plain(tell(t, b.Router, "", "iptables-"+cfg.Variant+"-save"))
		d := newDriver(t, b.Router, cfg)
		s := sides(b)[0]
		f := forward(b.Client1.IPv4, ownline.TCP, 24000, netip.AddrPortFrom(b.Lan.IPv4, bed.EchoPort), time.Hour)
		sync(t, d, ruleset(settings, f))
		flow := startFlow(t, s.Client, ownline.TCP, netip.AddrPortFrom(b.Router.IPv4, 24000))
		had := counters(t, d)[f.Key]
		for _, other := range []firewall.Settings{{IPv6Prefix: 56}, {IPv6Prefix: 64, Masquerade: true}, {IPv6Prefix: 64, WAN: []string{"wan0"}}} {
			sync(t, d, ruleset(other, f))
			now := counters(t, d)[f.Key]
			if now.UpPackets < had.UpPackets || now.DownPackets < had.DownPackets {
				t.Errorf("%+v: %+v, was %+v", other, now, had)
			}
			had = now
		}
		if r := flow.Report(); r.Cut != nil {
			t.Errorf("the flow was cut: %+v", *r.Cut)
		}
		now := time.Now()
		sync(t, d, ruleset(settings))
		cut(t, flow, bed.Cut{How: bed.Reset}, now.Add(late))
		flow.Stop()
		found, err := iptables.Remove(t.Context(), cfg, "")
		if !found || err != nil {
			t.Errorf("Remove = %v, %v", found, err)
		}
		if left := plain(tell(t, b.Router, "", "iptables-"+cfg.Variant+"-save")); strings.Contains(left, "ownline") || strings.ReplaceAll(left, "*", "") == "" && before != "" {
			t.Errorf("left:\n%s", left)
		}
		if found, err := iptables.Remove(t.Context(), cfg, ""); found || err != nil {
			t.Errorf("Remove again = %v, %v", found, err)
		}
		if iptables.Left(t.Context(), cfg, "") {
			t.Error("something is left")
		}
		if err := d.Change(t.Context(), []firewall.Forward{f}, nil); !errors.Is(err, firewall.ErrOutOfStep) {
			t.Errorf("Change = %v after Remove", err)
		}
	})
}

// A thousand sessions, written at once and one by one, of which one ends at a time.
func TestManySessions(t *testing.T) {
	each(t, func(t *testing.T, b *bed.Bed, cfg iptables.Config) {
		serveWho(t, b.Lan)
		const many = 1000
		d := newDriver(t, b.Router, cfg)
		want := ruleset(settings)
		for _, s := range sides(b) {
			for i := range many / 2 {
				f := forward(s.Addr(s.Client), transports[i%2], uint16(20000+i), netip.AddrPortFrom(s.LAN, whoPort), time.Hour)
				want.Forwards[f.Key] = f
			}
		}
		sync(t, d, want)
		if n := len(counters(t, d)); n != many {
			t.Fatalf("%d sessions are there", n)
		}
		for _, s := range sides(b) {
			for _, i := range []int{0, 1, many/2 - 2, many/2 - 1} {
				tr, at := transports[i%2], netip.AddrPortFrom(s.Router, uint16(20000+i))
				if who, ok := s.Client.AskWho(patience, string(tr), at); !ok || who.Addr() != s.LAN {
					t.Errorf("%s %s leads to %v, %v", tr, at, who, ok)
				}
				if _, ok := s.Neighbour.AskWho(patience, string(tr), at); ok {
					t.Errorf("a neighbour gets in at %s %s", tr, at)
				}
				f := forward(s.Addr(s.Client), tr, at.Port(), netip.AddrPortFrom(s.LAN, whoPort), time.Hour)
				change(t, d, nil, f.Key)
				if _, ok := s.Client.AskWho(patience, string(tr), at); ok {
					t.Errorf("%s %s is open after its session", tr, at)
				}
				change(t, d, []firewall.Forward{f})
				if _, ok := s.Client.AskWho(patience, string(tr), at); !ok {
					t.Errorf("%s %s is shut with a session", tr, at)
				}
			}
		}
		fresh := newDriver(t, b.Router, cfg)
		sync(t, fresh, ruleset(settings))
		if n := len(counters(t, fresh)); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
		if saved := tell(t, b.Router, "", fmt.Sprintf("iptables-%s-save", cfg.Variant)); strings.Count(saved, "\n") > 150 {
			t.Errorf("left:\n%.2000s", saved)
		}
	})
}
