package nft_test

import (
	"context"
	"fmt"
	"net/netip"
	gosync "sync"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/nft"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed/bedtest"
)

// many makes n forwards, half of them IPv6, half of them UDP.
func many(n int, until time.Time) map[firewall.Key]firewall.Forward {
	all := make(map[firewall.Key]firewall.Forward, n)
	for i := range n {
		key := firewall.Key{Source: netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), 32), Transport: ownline.TCP, Port: uint16(20000 + i%10000)}
		target := netip.MustParseAddrPort("192.168.7.10:7")
		if i%2 == 1 {
			key.Source = netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 9, 0, byte(i >> 8), byte(i)}), 64)
			target = netip.MustParseAddrPort("[fd00:7::10]:7")
		}
		if i%4 > 1 {
			key.Transport = ownline.UDP
		}
		all[key] = firewall.Forward{Key: key, Target: target, Until: until}
	}
	return all
}

// BenchmarkSync prints how long it takes to put 10,000 forwards into an empty kernel, to
// look at them after a restart, after a stranger's change, and when nothing changed.
func BenchmarkSync(b *testing.B) {
	const n = 10_000
	world := bedtest.New(b)
	want := firewall.Ruleset{Settings: settings, Forwards: many(n, time.Now().Add(time.Hour))}
	b.Run("first", func(b *testing.B) {
		d := newDriver(b, world.Router, nft.Config{})
		for b.Loop() {
			b.StopTimer()
			if err := d.Remove(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			sync(b, d, want)
		}
	})
	b.Run("restarted", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			d := newDriver(b, world.Router, nft.Config{})
			b.StartTimer()
			sync(b, d, want)
		}
	})
	b.Run("unchanged", func(b *testing.B) {
		d := newDriver(b, world.Router, nft.Config{})
		for b.Loop() {
			sync(b, d, want)
		}
	})
	b.Run("renew-all", func(b *testing.B) {
		d := newDriver(b, world.Router, nft.Config{})
		for i := 0; b.Loop(); i++ {
			b.StopTimer()
			next := firewall.Ruleset{Settings: settings, Forwards: many(n, time.Now().Add(time.Hour+time.Duration(i)*time.Minute))}
			b.StartTimer()
			sync(b, d, next)
		}
	})
	b.Run("drop-all", func(b *testing.B) {
		d := newDriver(b, world.Router, nft.Config{})
		for b.Loop() {
			b.StopTimer()
			sync(b, d, want)
			b.StartTimer()
			sync(b, d, firewall.Ruleset{Settings: settings})
		}
	})
}

// BenchmarkChange prints how long one forward takes to open, renew and close, beside others.
func BenchmarkChange(b *testing.B) {
	for _, others := range []int{0, 10_000} {
		for _, transport := range []ownline.Transport{ownline.TCP, ownline.UDP} {
			for name, cfg := range map[string]nft.Config{"": {}, "/old-kernel": {OldKernel: true}} {
				b.Run(fmt.Sprintf("%s/%d-others%s", transport, others, name), func(b *testing.B) {
					world := bedtest.New(b)
					d := newDriver(b, world.Router, cfg)
					ctx, stop := context.WithCancel(b.Context())
					var run gosync.WaitGroup
					run.Go(func() { _ = d.Run(ctx) })
					defer run.Wait()
					defer stop()
					time.Sleep(10 * time.Millisecond) // it runs now
					if err := d.Sync(b.Context(), firewall.Ruleset{Settings: settings, Forwards: many(others, time.Now().Add(time.Hour))}); err != nil {
						b.Fatal(err)
					}
					key := firewall.Key{Source: netip.MustParsePrefix("203.0.113.77/32"), Transport: transport, Port: 4000}
					f := firewall.Forward{Key: key, Target: netip.MustParseAddrPort("192.168.7.10:7")}
					var took [3]time.Duration
					n := 0
					for b.Loop() {
						n++
						for i := range took {
							f.Until = time.Now().Add(time.Duration(i+1) * time.Minute)
							put, drop := []firewall.Forward{f}, []firewall.Key(nil)
							if i == 2 {
								put, drop = nil, []firewall.Key{key}
							}
							start := time.Now()
							if err := d.Change(b.Context(), put, drop); err != nil {
								b.Fatal(err)
							}
							took[i] += time.Since(start)
						}
					}
					for i, what := range []string{"open", "renew", "close"} {
						b.ReportMetric(float64(took[i].Microseconds())/float64(n), what+"-µs")
					}
				})
			}
		}
	}
}
