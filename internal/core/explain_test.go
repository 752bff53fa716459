package core

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/udpknock"
	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
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

// What became of a knock is told of the service that is asked for, whatever became of others.
func TestExplainsService(t *testing.T) {
	camera := ownline.NewID[ownline.Service]()
	knocks := map[string]udpknock.Seen{
		"mixed": {Outcome: "opened", Services: []udpknock.Judged{
			{Service: "camera", ServiceID: camera, Refused: "policy_grant"}, {Service: "nas"}, {Service: "dns", Refused: "not_possible"}, {Service: "git", Refused: notApplied},
		}},
		"web's list": {Outcome: "policy", Services: []udpknock.Judged{{Service: "camera", ServiceID: camera, Refused: "policy_web"}}},
		"late":       {Outcome: "ignored", Services: []udpknock.Judged{{Service: "nas"}}},
		"ssh":        {Outcome: "opened", Services: []udpknock.Judged{{Service: "ssh"}}},
		"time":       {Outcome: "time", Skew: 2 * time.Hour},
	}
	open := []Explained{{}}
	for name, tc := range map[string]struct {
		service  string
		came     []string // the newest first
		sessions []Explained
		problems []string
		notes    []string
	}{
		"it is refused":                       {"camera", []string{"mixed"}, nil, []string{`did not open "camera": the allow list of its grant`}, nil},
		"by its ID":                           {camera.String(), []string{"mixed"}, nil, []string{`did not open "camera": the allow list of its grant`}, nil},
		"by web.yaml":                         {"camera", []string{"web's list", "mixed"}, nil, []string{`did not open "camera": the allow list of its server`}, nil},
		"it is opened":                        {"nas", []string{"mixed"}, open, nil, []string{`opened "nas"`}},
		"it is opened too late for an answer": {"nas", []string{"late"}, open, nil, []string{`opened "nas"`}},
		"it was not possible":                 {"dns", []string{"mixed"}, nil, []string{`did not open "dns": no port is free`}, nil},
		"the kernel could not":                {"git", []string{"mixed"}, nil, []string{`did not open "git": this router could not`}, nil},
		"every one": {"", []string{"mixed"}, open, []string{
			`did not open "camera"`, `did not open "dns"`, `did not open "git"`,
		}, []string{`opened "nas"`}},
		"a knock for another":                   {"nas", []string{"ssh"}, nil, []string{`was not about "nas"`}, nil},
		"a knock for another, and it is open":   {"nas", []string{"ssh"}, open, nil, []string{`was not about "nas"`}},
		"a knock for another after its own":     {"nas", []string{"ssh", "mixed"}, open, nil, []string{`opened "nas"`}},
		"one that did not come to its services": {"nas", []string{"time", "mixed"}, nil, []string{"refused for its time (its clock differs by 2h0m0s)"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			e := explaining{Core: new(Core), Explanation: Explanation{Service: tc.service, Sessions: tc.sessions}}
			for _, k := range tc.came {
				seen := knocks[k]
				seen.At = time.Now()
				e.Knocks = append(e.Knocks, seen)
			}
			e.judge()
			for what, f := range map[string]struct {
				got  []Finding
				want []string
			}{"problems": {e.Findings, tc.problems}, "notes": {e.notes, tc.notes}} {
				ok := len(f.got) == len(f.want)
				for i := 0; ok && i < len(f.want); i++ {
					ok = strings.Contains(f.got[i].Text, f.want[i]) && f.got[i].Problem == (f.got[i].Fix != "")
				}
				if !ok {
					t.Errorf("%s: %+v, want %q", what, f.got, f.want)
				}
			}
		})
	}
}

// Whatever may become of a datagram, explain has words for it.
func TestEveryOutcomeHasAMeaning(t *testing.T) {
	outcomes := []string{udpknock.Waiting}
	for _, why := range []string{
		link.IgnoredUnknown, link.IgnoredRevoked, link.IgnoredMessage, link.RefusedTime, link.RefusedClaim, link.RefusedNoClaim, link.RefusedReplay,
	} {
		if outcomeOf(why) != why {
			t.Errorf("web ignores a knock for %q, and that is told as %q", why, outcomeOf(why))
		}
	}
	if got := outcomeOf("of a newer web"); got != link.RefusedIgnored {
		t.Errorf("a reason that is unknown is told as %q", got)
	}
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
