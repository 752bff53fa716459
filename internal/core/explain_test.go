package core

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/udpknock"
	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/link"
)

// What the kernel does not take of the filter is told, but keeps nobody out by itself.
func TestExplainsFilter(t *testing.T) {
	status := link.Status{Paired: true, Connected: true, Clock: link.Clock{Now: time.Now()}, Firewall: link.Firewall{OK: true, Filter: true}}
	for lacks, want := range map[string][]Finding{
		"":                       nil,
		"no filter: the kernel…": {{Text: "The kernel has Ownline's rules, but with no filter: the kernel…."}},
	} {
		var e explaining
		status.Firewall.Lacks = lacks
		if e.router(status); len(e.Findings) > 0 || !slices.Equal(e.notes, want) {
			t.Errorf("lacks %q: findings %v, notes %v, want %v", lacks, e.Findings, e.notes, want)
		}
	}
	status.Firewall = link.Firewall{Error: "no table", Lacks: "no filter"}
	var e explaining
	if e.router(status); len(e.Findings) != 1 || !strings.Contains(e.Findings[0].Text, "no table") || len(e.notes) > 0 {
		t.Errorf("no table: findings %v, notes %v", e.Findings, e.notes)
	}
}

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
