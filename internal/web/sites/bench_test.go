package sites_test

import (
	"context"
	"crypto/rand"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
)

func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// BenchmarkKnockDecision is one transaction: is the knock new, who is it, what is granted,
// open or renew, commit. Set TMPDIR to choose the file system.
func BenchmarkKnockDecision(b *testing.B) {
	w := newWorld(b)
	w.live()
	ctx := context.Background()
	var took []time.Duration
	for b.Loop() {
		k := w.knocked(home)
		began := time.Now()
		if v, _, err := w.Knock(ctx, w.site.ID, k); err != nil || v == nil {
			b.Fatal(v, err)
		}
		took = append(took, time.Since(began))
	}
	report(b, took)
}

// BenchmarkKnockThroughLink is from core's event to core having applied the verdict.
func BenchmarkKnockThroughLink(b *testing.B) {
	for name, opens := range map[string]bool{"renew": false, "open": true} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b)
			w.live()
			var took []time.Duration
			from := home
			for b.Loop() {
				if opens {
					var a [16]byte
					a[0], a[1] = 0x2a, 0x01
					rand.Read(a[2:8])
					from = netip.AddrFrom16(a)
				}
				k := w.knocked(from)
				began := time.Now()
				c, err := w.core.Knock(k)
				if err != nil {
					b.Fatal(err)
				}
				a := <-c
				took = append(took, a.At.Sub(began))
				if opens {
					if _, err := w.Flush(b.Context(), access.Command(), true, ownline.SiteID{}); err != nil {
						b.Fatal(err)
					}
				}
			}
			report(b, took)
		})
	}
}
