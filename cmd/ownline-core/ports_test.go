//go:build !noproxy

package main

import (
	"strings"
	"testing"

	"github.com/ownline/ownline/internal/link"
)

// Of the router in front is told if it is asked.
func TestStatusOfPorts(t *testing.T) {
	for want, p := range map[string]*link.Ports{
		"router in front pcp, ok\nopened there 3, of which 2 for their source alone\n": {Open: "auto", Protocol: "pcp", OK: true, Opened: 3, Narrow: 2},
		"router in front auto, FAILED: it does not answer\nopened there 0,":            {Open: "auto", Error: "it does not answer"},
		"": nil,
	} {
		var out strings.Builder
		if err := printStatus(&out, link.Status{Ports: p}); err != nil {
			t.Fatal(err)
		}
		var lines []string
		for line := range strings.Lines(out.String()) {
			lines = append(lines, strings.Join(strings.Fields(line), " ")+"\n")
		}
		if got := strings.Join(lines, ""); !strings.Contains(got, want) || p == nil && strings.Contains(got, "in front") {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
}
