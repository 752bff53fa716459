package core

import (
	"testing"

	"github.com/ownline/ownline/internal/core/udpknock"
	"github.com/ownline/ownline/internal/knock"
)

// Whatever may become of a datagram, explain has words for it.
func TestEveryOutcomeHasAMeaning(t *testing.T) {
	outcomes := []string{udpknock.Waiting}
	for why := range new(udpknock.Door).Counts().Dropped {
		if why != "read_error" && why != "not_granted" { // no datagram; told as the answer has it
			outcomes = append(outcomes, why)
		}
	}
	for s := knock.Opened; s.String() != "unknown"; s++ {
		outcomes = append(outcomes, s.String())
	}
	if len(outcomes) < 20 {
		t.Fatalf("only %q", outcomes)
	}
	for _, o := range outcomes {
		if meaning[o][0] == "" {
			t.Errorf("%q has none", o)
		}
	}
}
