package main

import (
	"context"
	"fmt"
	"slices"
)

// gate compares what the nginx driver writes with the same without the gate, and that with a twin of it. The
// three take turns, in another order each time, so that a machine that becomes slower meets all of them; a ratio
// is the median of the turns' ratios. The gate costs what the driver's ratio is below the twin's.
func (b *bench) gate(ctx context.Context) error {
	return b.inRing(ctx, func(ctx context.Context, r *ring) error {
		const driver, ungated, twin = "nginx_driver", "nginx_ungated", "nginx_twin"
		turn := slices.DeleteFunc(slices.Clone(r.rivals), func(p rival) bool {
			return p.name != driver && p.name != ungated && p.name != twin
		})
		for _, path := range []string{"/1k", "/1m"} {
			rates, cpus := map[string][]float64{}, map[string][]float64{}
			for range b.runs(15) {
				turn = append(turn[1:], turn[0])
				now, cpu := map[string]float64{}, map[string]float64{}
				for _, p := range turn {
					l, err := p.wrk(ctx, r.dir, path)
					if err != nil {
						return fmt.Errorf("%s: %w", p.name, err)
					}
					now[p.name], cpu[p.name] = l.perSecond, l.cpuMicros
				}
				for _, p := range turn {
					rates[p.name] = append(rates[p.name], now[p.name]/now[ungated])
					cpus[p.name] = append(cpus[p.name], cpu[p.name]/cpu[ungated])
				}
			}
			for _, name := range []string{driver, twin} {
				slices.Sort(rates[name])
				own := "gate_" + name + "_" + path[1:]
				b.compare(own+"_rate", 100*median(rates[name]), "%", ungated, median(rates[name]))
				b.compare(own+"_cpu", 100*median(cpus[name]), "%", ungated, median(cpus[name]))
				b.add(own+"_rate_lowest", 100*rates[name][0], "%")
				b.add(own+"_rate_highest", 100*rates[name][len(rates[name])-1], "%")
			}
		}
		return nil
	})
}
