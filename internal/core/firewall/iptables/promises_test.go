package iptables

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// What is promised is what the reference says.
func TestPromisesAreWritten(t *testing.T) {
	b, err := os.ReadFile("../../../../docs/reference/firewalls.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]func(Promises) string{
		"a session ends after its time by at most":              func(p Promises) string { return fmt.Sprintf("%g s", p.Late.Seconds()) },
		"it ends when core does not run":                        func(p Promises) string { return yes(p.CoreIsDead) },
		"it ends in time when the host's clock is set":          func(p Promises) string { return yes(p.Clock) },
		"it ends apart from one of the same source to the same": func(p Promises) string { return yes(p.Apart) },
		"garbage for the knock ports dies in the kernel":        func(p Promises) string { return yes(p.Filter) },
	}
	endings := []Ending{ByTime, BySet, ByCore}
	var columns []string
	for line := range strings.Lines(string(b)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i, c := range cells {
			cells[i] = strings.TrimSpace(c)
		}
		if strings.Contains(line, "iptables, time") {
			columns = cells
		}
		for name, of := range rows {
			if columns == nil || !strings.HasPrefix(cells[0], name) {
				continue
			}
			delete(rows, name)
			for _, e := range endings {
				i := slices.Index(columns, "iptables, "+string(e))
				if i < 0 || i >= len(cells) || cells[i] != of(e.Promises()) {
					t.Errorf("%q of %s: want %q in %q", name, e, of(e.Promises()), line)
				}
			}
		}
	}
	for name := range rows {
		t.Errorf("the table does not say whether %s", name)
	}
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
