package core

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/doctor"
	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/reconcile"
	"github.com/ownline/ownline/internal/core/session"
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
		"no filter: the kernel…": {{Warning: true, Text: "The kernel has Ownline's rules, but with no filter: the kernel…."}},
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

// onward is a firewall whose counters the book reads right after each that explain reads.
type onward struct {
	reconcile.Firewall
	book *session.Book
	n    uint64
	size uint64 // of what goes back
	of   []firewall.Key
}

func (o *onward) Counters(_ context.Context, of ...firewall.Key) (map[firewall.Key]ownline.Traffic, error) {
	o.of = of
	is := func() map[firewall.Key]ownline.Traffic {
		o.n++
		return map[firewall.Key]ownline.Traffic{of[0]: {UpPackets: o.n, DownPackets: o.n, DownBytes: o.n * o.size}}
	}
	got := is()
	o.book.Count(is())
	return got, nil
}

// What explain reads while the book counts on does not seem to have begun anew.
func TestExplainsTraffic(t *testing.T) {
	book := session.New(func(s link.Session) (link.Session, error) { return s, nil })
	source := netip.MustParsePrefix("198.51.100.7/32")
	s := link.Session{ID: ownline.NewID[ownline.Session](), Source: source, Target: netip.MustParseAddrPort("192.168.1.2:80"), PublicPort: 80, Transport: ownline.TCP}
	lost := s
	lost.ID, lost.PublicPort, lost.Counted = ownline.NewID[ownline.Session](), 81, ownline.Traffic{UpPackets: 5, DownPackets: 5}
	other := s
	other.ID, other.Source = ownline.NewID[ownline.Session](), netip.MustParsePrefix("198.51.100.8/32")
	if _, _, err := book.Replace(link.Revision{Epoch: "1", Revision: 1}, []link.Session{s, lost, other}, func(s link.Session) time.Time { return time.Now().Add(time.Duration(s.PublicPort) * time.Minute) }); err != nil {
		t.Fatal(err)
	}
	fw := &onward{book: book, n: 98}
	e := explaining{Core: &Core{book: book, reconciler: reconcile.New(book, fw, firewall.Settings{}, nil, slog.New(slog.DiscardHandler))}, Explanation: Explanation{Source: source.Addr()}}
	e.sessions(t.Context())
	if len(e.Sessions) != 2 || e.Sessions[0].Traffic.UpPackets != 99 {
		t.Fatalf("%+v", e.Sessions)
	}
	e.watch(t.Context())
	if x := &e.Sessions[0]; x.Traffic.UpPackets != 99 || x.now.UpPackets < 101 || len(fw.of) != 2 {
		t.Errorf("then %d, now %d packets; asked for %v", x.Traffic.UpPackets, x.now.UpPackets, fw.of)
	}
	if x := &e.Sessions[1]; x.Live || x.flows() {
		t.Errorf("what the kernel does not have: %+v", x)
	}
}

// What flows has the better of what seems to be in the way: answers to connections that do not come about are no such thing.
// And what is in the way of several is told once.
func TestExplainsObstacles(t *testing.T) {
	const rule, other = "A rule drops it.", "Another does."
	for name, tc := range map[string]struct {
		up, size  uint64 // packets that came, and bytes of each that went back
		transport ownline.Transport
		want      []string // problems, then notes
		problems  int
	}{
		"data flow":         {2, 1000, ownline.TCP, []string{"\"nas\" is open, and packets come and go, if only of a connection that was made before. What may stop others: " + rule}, 0},
		"only answers":      {2, 60, ownline.TCP, []string{"\"nas\" is open, but packets of it do not pass. " + rule}, 1},
		"sent again":        {0, 1000, ownline.TCP, []string{"\"nas\" is open, but packets of it do not pass. " + rule}, 1},
		"by UDP, who knows": {2, 1000, ownline.UDP, []string{"\"nas\" is open, but packets of it do not pass. " + rule}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := Explained{Listed: Listed{}, now: ownline.Traffic{UpPackets: tc.up, DownPackets: 3, DownBytes: 3 * tc.size}, way: []doctor.Finding{{Level: doctor.Problem, Text: rule, Fix: []string{"mend it"}}}}
			plain(&s.Listed).Transport = tc.transport
			var e explaining
			e.obstacles("nas", `"nas" is open`, ", but packets of it do not pass. ", s.way, s.flows())
			var got []string
			for _, f := range append(slices.Clone(e.Findings), e.notes...) {
				got = append(got, f.Text)
				if f.Problem == f.Warning || f.Fix != "`mend it`" {
					t.Errorf("%+v", f)
				}
			}
			if !slices.Equal(got, tc.want) || len(e.Findings) != tc.problems {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
	var e explaining
	e.Sessions = []Explained{{Listed: Listed{}, way: []doctor.Finding{{Level: doctor.Problem}}}}
	plain(&e.Sessions[0].Listed).Traffic.UpPackets = 1
	if !e.waits(0) || e.waits(moment) {
		t.Error("of what seems to be shut, it is not watched for a moment whether it flows")
	}
	e.obstacles("nas", "nas", " is shut. ", []doctor.Finding{{Level: doctor.Problem, Text: rule}}, false)
	e.obstacles("cam", "cam", " is shut. ", []doctor.Finding{{Level: doctor.Problem, Text: rule}, {Level: doctor.Problem, Text: other}}, false)
	if f := e.Findings; len(f) != 2 || f[0].Text != "nas is shut. "+rule+" It stops cam, too." || f[1].Text != "cam is shut. "+other {
		t.Errorf("%+v", f)
	}
}

// What became of a knock is told of the service that is asked for, whatever became of others.
func TestExplainsService(t *testing.T) {
	camera, device := ownline.NewID[ownline.Service](), ownline.NewID[ownline.Device]()
	knocks := map[string]udpknock.Seen{
		"mixed": {Outcome: "opened", Services: []udpknock.Judged{
			{Service: "camera", ServiceID: camera, Refused: "policy_grant"}, {Service: "nas"}, {Service: "dns", Refused: "not_possible"}, {Service: "git", Refused: notApplied}, {Service: "mail", Refused: link.RefusedNoClaim},
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
		"it wants a claim":                    {"mail", []string{"mixed"}, nil, []string{`did not open "mail": it did not say which address it comes from, as its grant requires`}, nil},
		"every one": {"", []string{"mixed"}, open, []string{
			`did not open "camera"`, `did not open "dns"`, `did not open "git"`, `did not open "mail"`,
		}, []string{`opened "nas"`}},
		"a knock for another":                   {"nas", []string{"ssh"}, nil, []string{`was not about "nas"`}, nil},
		"a knock for another, and it is open":   {"nas", []string{"ssh"}, open, nil, []string{`was not about "nas"`}},
		"a knock for another after its own":     {"nas", []string{"ssh", "mixed"}, open, nil, []string{`opened "nas"`}},
		"one that did not come to its services": {"nas", []string{"time", "mixed"}, nil, []string{"refused for its time (its clock differs by 2h0m0s)"}, []string{`opened "nas"`}},
	} {
		t.Run(name, func(t *testing.T) {
			e := explaining{Core: new(Core), Explanation: Explanation{Service: tc.service, Sessions: tc.sessions}}
			for _, k := range tc.came {
				seen := knocks[k]
				seen.Device = device
				seen.At = time.Now()
				e.Knocks = append(e.Knocks, seen)
			}
			e.judge(e.Knocks)
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

// What came last is told as last, whoever sent it; and with what anybody may have sent, the last that was genuine.
func TestExplainsLast(t *testing.T) {
	device := ownline.NewID[ownline.Device]()
	book := session.New(func(s link.Session) (link.Session, error) { return s, nil })
	rev := link.Revision{Epoch: "1", Revision: 1}
	state := link.Session{ID: ownline.NewID[ownline.Session](), Source: netip.MustParsePrefix("198.51.100.7/32"), Target: netip.MustParseAddrPort("192.168.1.2:80"), PublicPort: 80, Transport: ownline.TCP}
	flushed := state
	flushed.ID, flushed.PublicPort = ownline.NewID[ownline.Session](), 81
	later := time.Now().Add(time.Hour)
	until := func(link.Session) time.Time { return later }
	if _, _, err := book.Replace(rev, []link.Session{flushed}, until); err != nil {
		t.Fatal(err)
	}
	book.FlushHere()
	rev.Revision++
	if _, _, err := book.Put(rev, state, later); err != nil {
		t.Fatal(err)
	}
	opened := func(id ownline.SessionID, until time.Time) udpknock.Seen {
		return udpknock.Seen{Device: device, Outcome: "opened", Services: []udpknock.Judged{{Service: "page", Session: id, Until: until}}}
	}
	gone := func(s udpknock.Seen) udpknock.Seen { s.Gone = true; return s }
	is, was := opened(state.ID, later), opened(ownline.NewID[ownline.Session](), later)
	mac := udpknock.Seen{Outcome: link.RefusedMAC}
	seal := udpknock.Seen{Outcome: link.RefusedSeal, Hint: device}
	replay := udpknock.Seen{Outcome: link.RefusedReplay, Device: device}
	shape := udpknock.Seen{Outcome: link.RefusedShape}
	late := udpknock.Seen{Outcome: link.RefusedTime, Device: device}
	noWeb := udpknock.Seen{Outcome: link.RefusedNoWeb, Device: device}
	open := []Explained{{}}
	for name, tc := range map[string]struct {
		came     []udpknock.Seen // the newest first
		sessions []Explained
		want     []string // problems, then notes
		problems int
	}{
		"it is open":           {[]udpknock.Seen{is}, open, []string{`The last knock from there, 0s ago, opened "page".`}, 0},
		"an old stanza's":      {[]udpknock.Seen{mac, gone(was), was}, nil, []string{"The last knock from there, 0s ago, was of no fwknop client", `The last that was genuine and new from there, 0s ago, opened "page", which was ended since: revoked, or`}, 2},
		"under a replay":       {[]udpknock.Seen{replay, mac, gone(was)}, nil, []string{"The last knock from there, 0s ago, had come before", "Another from there, 0s ago, was of no fwknop client", "since: revoked"}, 3},
		"revoked, ended":       {[]udpknock.Seen{gone(was)}, nil, []string{`The last knock from there, 0s ago, opened "page", which was ended since: revoked`}, 1},
		"a new key, open":      {[]udpknock.Seen{gone(is)}, open, []string{`opened "page", but its device's key counts no more`}, 1},
		"refused, and revoked": {[]udpknock.Seen{gone(noWeb)}, nil, []string{"not connected, but its device's key counts no more"}, 1},
		"flushed":              {[]udpknock.Seen{opened(flushed.ID, later)}, nil, []string{"ended since: flushed on this router"}, 1},
		"expired":              {[]udpknock.Seen{opened(ownline.NewID[ownline.Session](), time.Now())}, nil, []string{"ended since: expired"}, 1},
		"ended by web":         {[]udpknock.Seen{was}, nil, []string{"ended since: by ownline-web"}, 1},
		"forged":               {[]udpknock.Seen{seal, seal, seal, is}, open, []string{"carries the hint of " + device.String() + ", as anybody's may, and is not genuine: it was changed on the way, or forged (3 such came)", `The last that was genuine and new from there, 0s ago, opened "page".`}, 1},
		"forged before it":     {[]udpknock.Seen{is, seal}, open, []string{`The last knock from there, 0s ago, opened "page".`}, 0},
		"forged alone":         {[]udpknock.Seen{seal}, nil, []string{"carries the hint of"}, 1},
		"a replay":             {[]udpknock.Seen{replay}, nil, []string{"had come before"}, 1},
		"a replay, it is open": {[]udpknock.Seen{replay, is}, open, []string{"had come before", `The last that was genuine and new from there, 0s ago, opened "page".`}, 0},
		"recorded":             {[]udpknock.Seen{late, late, is}, open, []string{"refused for its time (2 such came)", `The last that was genuine and new from there, 0s ago, opened "page".`}, 1},
		"late, and revoked":    {[]udpknock.Seen{gone(late)}, nil, []string{"refused for its time, but its device's key counts no more"}, 1},
		"noise, it is open":    {[]udpknock.Seen{shape, is}, open, []string{"was no packet of an fwknop client", `opened "page"`}, 0},
		"no packet":            {[]udpknock.Seen{shape}, nil, []string{"was no packet of an fwknop client"}, 1},
		"no web":               {[]udpknock.Seen{noWeb}, nil, []string{"came when ownline-web was not connected"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			e := explaining{Core: &Core{book: book}, Explanation: Explanation{Sessions: tc.sessions}}
			for i := range tc.came {
				tc.came[i].At = time.Now()
			}
			e.judge(tc.came)
			problems := len(e.Findings)
			got := append(e.Findings, e.notes...)
			ok := len(got) == len(tc.want) && problems == tc.problems
			for i := 0; ok && i < len(got); i++ {
				ok = strings.Contains(got[i].Text, tc.want[i]) && got[i].Problem == (got[i].Fix != "")
				if strings.Contains(got[i].Text, "revoked, or") || strings.Contains(got[i].Text, "counts no more") {
					ok = ok && got[i].Fix == enrolAnew
				}
			}
			if !ok {
				t.Errorf("%+v, want %d problems of %q", got, tc.problems, tc.want)
			}
		})
	}
}

// Where nothing was heard, every port is named at which knocks are.
func TestExplainsUnheard(t *testing.T) {
	if got := unheard(54754, 0); !strings.Contains(got, "54754/udp,") || strings.Contains(got, "fwknop") {
		t.Error(got)
	}
	if got := unheard(54754, 62201); !strings.Contains(got, "54754/udp") || !strings.Contains(got, "fwknop client: at port 62201/udp") {
		t.Error(got)
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
		if why != "read_error" { // no datagram
			outcomes = append(outcomes, why)
		}
	}
	for s := knock.Opened; s.String() != "unknown"; s++ {
		if s != knock.NothingGranted { // told as not_granted
			outcomes = append(outcomes, s.String())
		}
	}
	if len(outcomes) < 20 {
		t.Fatalf("only %q", outcomes)
	}
	for _, o := range outcomes {
		if meaning(o)[0] == "" {
			t.Errorf("%q has none", o)
		}
	}
}
