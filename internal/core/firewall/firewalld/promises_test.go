package firewalld

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// What is promised is what the reference says.
func TestPromisesAreWritten(t *testing.T) {
	b, err := os.ReadFile("../../../../docs/reference/firewalls.md")
	if err != nil {
		t.Fatal(err)
	}
	yes := map[bool]string{true: "yes", false: "no"}
	for row, want := range map[string]string{
		"a session outlives its time by at most":                      fmt.Sprintf("%g s", Promised.Late.Seconds()),
		"it ends when neither core nor firewalld runs":                yes[Promised.AllAreDead],
		"it goes on for new connections while firewalld does not run": yes[Promised.WithoutHelp],
		"it comes back after `nft flush ruleset`":                     yes[Promised.Flushed],
	} {
		_, rest, found := strings.Cut(string(b), "| "+row+" | ")
		line, _, _ := strings.Cut(rest, "\n")
		if cells := strings.Split(line, " | "); !found || len(cells) != 2 || strings.TrimSuffix(cells[1], " |") != want {
			t.Errorf("the table says %q after %q, want %s", line, row, want)
		}
	}
}
