package access

import (
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// What could not be written comes back to a tally that has gone on.
func TestTally(t *testing.T) {
	noon := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	old := ownline.Refusal{Reason: refusedReplay, Number: 2, First: noon, Latest: noon.Add(time.Minute)}
	newer := ownline.Refusal{Reason: refusedReplay, Number: 3, First: noon.Add(time.Hour), Latest: noon.Add(2 * time.Hour)}
	want := ownline.Refusal{Reason: refusedReplay, Number: 5, First: old.First, Latest: newer.Latest}
	for _, order := range [][]ownline.Refusal{{old, newer}, {newer, old}} {
		var all tally
		all.add(order...)
		if got := all.take(); len(got) != 1 || got[0] != want {
			t.Errorf("tally has %+v, want %+v", got, want)
		}
	}
}
