package udpknock

import (
	"testing"
	"time"
)

// Invariant 11: a flood at the port of fwknop's clients takes half of a processor at most, and what
// comes now and then is never kept waiting.
func TestPace(t *testing.T) {
	for name, tc := range map[string]struct{ work, idle time.Duration }{
		"a flood":           {50 * time.Microsecond, 0},
		"many devices":      {20 * time.Millisecond, 0},
		"a third":           {100 * time.Microsecond, 200 * time.Microsecond},
		"hardly any":        {100 * time.Microsecond, 10 * time.Millisecond},
		"the clock stopped": {0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			now, worked, longest := began, time.Duration(0), time.Duration(0)
			var p pace
			for range 100_000 {
				from := now
				now = now.Add(tc.work)
				worked += tc.work
				rest := p.worked(from, now)
				longest = max(longest, rest)
				now = now.Add(rest + tc.idle)
			}
			total := now.Sub(began)
			if worked*100 > total*51 {
				t.Errorf("worked %v of %v", worked, total)
			}
			if tc.idle >= tc.work && longest > 0 {
				t.Errorf("rested for %v", longest)
			}
			if longest > tc.work+restAfter {
				t.Errorf("rested for %v at once", longest)
			}
		})
	}
}
