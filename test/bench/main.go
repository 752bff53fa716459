// Command bench measures Ownline on a bed, prints the figures and writes them to
// bench-results.json. Every figure is a median of repeated runs unless its name says
// otherwise.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
)

// result is one line of bench-results.json.
type result struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Peer  string  `json:"peer"`  // what it is compared with; "": nothing
	Ratio float64 `json:"ratio"` // value over the peer's; 0: no peer
}

type bench struct {
	programs world.Programs
	quick    bool
	results  []result
}

func main() {
	programs := flag.String("programs", "bin", "folder of the three programs, the stripped core among them")
	out := flag.String("out", "bench-results.json", "file to write; \"\": none")
	only := flag.String("only", "", "measure just these: binary, history, knocks, core, drivers, flood, proxy or gate; nothing is written then")
	quick := flag.Bool("quick", false, "few repetitions: to see that it works")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := bed.Enter(); err != nil {
		fail(err)
	}
	p, err := world.In(*programs)
	if err != nil {
		fail(err)
	}
	b := &bench{programs: p, quick: *quick}
	for _, part := range []struct {
		name    string
		measure func(context.Context) error
	}{{"binary", b.binary}, {"history", b.history}, {"knocks", b.knocks}, {"core", b.core}, {"drivers", b.drivers}, {"flood", b.flood}, {"proxy", b.proxy}, {"gate", b.gate}} {
		if *only != "" && *only != part.name {
			continue
		}
		if err := part.measure(ctx); err != nil {
			fail(err)
		}
	}
	if *out == "" || *only != "" {
		return
	}
	j, err := json.MarshalIndent(b.results, "", "  ")
	if err == nil {
		err = os.WriteFile(*out, append(j, '\n'), 0o644)
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

// runs is how often to repeat what is usually repeated n times.
func (b *bench) runs(n int) int {
	if b.quick {
		return max(n/20, 2)
	}
	return n
}

func (b *bench) add(name string, value float64, unit string) { b.compare(name, value, unit, "", 0) }

func (b *bench) compare(name string, value float64, unit, peer string, ratio float64) {
	b.results = append(b.results, result{name, value, unit, peer, ratio})
	line := fmt.Sprintf("%-40s %10.3f %s", name, value, unit)
	if peer != "" {
		line += fmt.Sprintf("   %.3f × %s", ratio, peer)
	}
	fmt.Println(line)
}

func (b *bench) binary(context.Context) error {
	for name, file := range map[string]string{"core_binary_mb": b.programs.Core, "core_binary_noproxy_mb": b.programs.Core + "-noproxy"} {
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		b.add(name, float64(info.Size())/1e6, "MB")
	}
	return nil
}

// percentile of sorted or unsorted times, in milliseconds.
func percentile(times []time.Duration, p float64) float64 {
	s := slices.Sorted(slices.Values(times))
	i := min(int(p*float64(len(s))), len(s)-1)
	return float64(s[i].Nanoseconds()) / 1e6
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}
