package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/nftables"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
)

// soon is the second of invariant 5, and what a machine that runs other tests beside may be
// late by.
const soon = 4 * time.Second

// Invariant 3: two clients on one public port reach two services, each its own.
func TestTwoClientsOnePort(t *testing.T) {
	s := start(t, world.Options{})
	const port = 20600
	for _, v6 := range []bool{false, true} {
		a, b := s.Bed.Client1, s.Bed.Client2
		sourceA, sourceB := a.IPv4, b.IPv4
		if v6 {
			sourceA, sourceB = a.IPv6, b.IPv6
		}
		s.open(s.echo, sourceA, time.Minute, port)
		s.open(s.web, sourceB, time.Minute, port)
		to := s.public(v6, port)
		if f, err := a.StartFlow(t.Context(), "tcp", to, bed.FlowOptions{}); err != nil {
			t.Errorf("IPv6 %v: the first client does not reach the echo: %v", v6, err)
		} else {
			f.Stop()
		}
		page, err := b.Get(to, time.Second)
		if err != nil {
			t.Errorf("IPv6 %v: the second client does not reach the page: %v", v6, err)
		} else if page.Client.Addr().Unmap() != sourceB {
			t.Errorf("IPv6 %v: the server sees %s, not the client", v6, page.Client)
		}
		wantState(t, s.Bed.Stranger, to, false)
		// A neighbour in the same /64 shares the session; one with another IPv4 address does not.
		if v6 {
			wantState(t, a.From(a.IPv6s[1]), to, true)
		} else {
			wantState(t, a.From(a.IPv4s[1]), to, false)
		}
	}
}

// Invariant 5: a flushed ruleset comes back, and established flows with it.
func TestFlushedRuleset(t *testing.T) {
	s := start(t, world.Options{})
	s.open(s.echo, s.Bed.Client1.IPv4, time.Minute, 20700)
	to := s.public(false, 20700)
	wantState(t, s.Bed.Client1, to, true)
	for i := range 3 {
		if err := s.Bed.Router.Do(func() error {
			c, err := nftables.New()
			if err != nil {
				return err
			}
			c.FlushRuleset()
			return c.Flush()
		}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		eventually(t, soon, "the ruleset is back", func() bool { return reach(s.Bed.Client1, to) == bed.Open })
		t.Logf("flush %d: back after %v", i, time.Since(began).Round(time.Millisecond))
	}
	wantState(t, s.Bed.Stranger, to, false)
}

// Invariant 5: killed between any two steps, the two converge within a second of the link
// being back: every session that web calls live gets through, nothing else does.
func TestKillAnywhere(t *testing.T) {
	s := start(t, world.Options{})
	s.grant(s.echo, world.Map{"automatic": true})
	d := s.device()
	s.knock(d, s.Bed.Client1, false)
	s.call("DELETE", "/sessions?all=true", nil, nil)
	ctx := context.WithoutCancel(t.Context())
	delays := []time.Duration{0, 200 * time.Microsecond, 500 * time.Microsecond, time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond}
	for _, victim := range []string{"core", "web"} {
		daemon := s.Core
		if victim == "web" {
			daemon = s.Web
		}
		for i, delay := range delays {
			// Alternate between an open by knock and one by the API, with the axe falling anywhere.
			done := make(chan error, 1)
			go func() {
				if i%2 == 0 {
					_, err := d.Send(s.Bed.Client1, s.KnockAddr(false), d.Knock(), 300*time.Millisecond)
					done <- err
					return
				}
				done <- s.API.Call(ctx, "POST", "/sessions", world.Map{"service": s.web, "source": s.Bed.Client2.IPv4.String(), "for": "1m"}, nil)
			}()
			time.Sleep(delay)
			if err := daemon.Kill(); err != nil {
				t.Fatal(err)
			}
			said := <-done
			if err := daemon.Start(ctx); err != nil {
				t.Fatal(err)
			}
			if err := s.WaitConnected(ctx); err != nil {
				t.Fatal(err)
			}
			what := fmt.Sprintf("%s killed after %v (the opener heard %v)", victim, delay, said)
			eventually(t, soon, what, func() bool { return s.converged() })
			s.call("DELETE", "/sessions?all=true", nil, nil)
			if !s.converged() {
				t.Errorf("%s: after the flush something is left", what)
			}
		}
	}
}

// converged reports whether core holds exactly what web calls live, and packets agree.
func (s *suite) converged() bool {
	s.t.Helper()
	want := map[string]world.Session{}
	for _, x := range s.sessions() {
		if x.State != "active" {
			return false
		}
		want[x.ID] = x
	}
	held := s.held()
	if len(held) != len(want) {
		return false
	}
	for _, h := range held {
		if _, ok := want[h.ID.String()]; !ok {
			return false
		}
	}
	for _, x := range want {
		client := s.Bed.Client1
		if x.Source.Addr() == s.Bed.Client2.IPv4 {
			client = s.Bed.Client2
		}
		if reach(client, s.public(false, x.PublicPort)) != bed.Open {
			return false
		}
		if reach(s.Bed.Stranger, s.public(false, x.PublicPort)) == bed.Open {
			s.t.Errorf("the stranger is let in to port %d", x.PublicPort)
		}
	}
	return true
}

// Web and core start in any order, and sessions outlive both.
func TestRestartInAnyOrder(t *testing.T) {
	s := start(t, world.Options{})
	ctx := context.WithoutCancel(t.Context())
	s.open(s.echo, s.Bed.Client1.IPv4, time.Minute, 20800)
	to := s.public(false, 20800)
	flow, err := s.Bed.Client1.StartFlow(t.Context(), "tcp", to, bed.FlowOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, order := range [][]*world.Daemon{{s.Core, s.Web}, {s.Web, s.Core}} {
		for _, x := range order {
			if err := x.Stop(5 * time.Second); err != nil {
				t.Fatal(err)
			}
		}
		wantState(t, s.Bed.Client1, to, true) // nobody is there but the kernel
		for _, x := range order {
			if err := x.Start(ctx); err != nil {
				t.Fatal(err)
			}
			time.Sleep(150 * time.Millisecond)
		}
		if err := s.WaitConnected(ctx); err != nil {
			t.Fatal(err)
		}
		eventually(t, soon, "converge", s.converged)
	}
	if r := flow.Stop(); r.Cut != nil {
		t.Errorf("the flow was cut by restarts: %+v", r.Cut)
	}
}

// A device that roams gets a session for its new address, and the old one ends.
func TestRoaming(t *testing.T) {
	s := start(t, world.Options{WebYAML: "sessions: {roaming_overlap: 1s}\n"})
	s.grant(s.echo, world.Map{"automatic": true})
	d := s.device()
	s.knock(d, s.Bed.Client1, false)
	first := s.sessions()
	if len(first) != 1 {
		t.Fatalf("sessions %+v", first)
	}
	if a := s.knock(d, s.Bed.Client2, false); a.Status != knock.Opened {
		t.Errorf("knock from a new address: %+v", a)
	}
	wantState(t, s.Bed.Client1, s.public(false, first[0].PublicPort), true) // the overlap
	eventually(t, 20*time.Second, "the old session ends as replaced", func() bool {
		x, err := s.API.Session(t.Context(), first[0].ID)
		return err == nil && x.State == "ended" && x.Reason == "replaced"
	})
	wantState(t, s.Bed.Client1, s.public(false, first[0].PublicPort), false)
	if now := s.sessions(); len(now) != 1 || now[0].Source.Addr() != s.Bed.Client2.IPv4 {
		t.Errorf("sessions are %+v, want one of the new address", now)
	}
}

// Invariant 4: what a device has left with no time to stay is shut by the kernel at once, established
// connections, too: the source that it used longest ago, when it knocks from more than may be and one, and
// every other without an overlap. The rest of its sources go on.
func TestLeftAtOnce(t *testing.T) {
	const port = 20451
	for name, tc := range map[string]struct {
		overlap string
		sources int
	}{"more sources than may be": {"1h", 3}, "no overlap": {"0s", 2}} {
		t.Run(name, func(t *testing.T) {
			s := start(t, world.Options{WebYAML: "sessions: {automatic: 2h, roaming_overlap: " + tc.overlap + "}\n"})
			s.grant(s.echo, world.Map{"automatic": true, "public_port": port, "max_sources": 1})
			d, door := s.device(), s.public(false, port)
			client := s.Bed.Client1
			sources := []*bed.Host{client, client.From(client.IPv4s[1]), s.Bed.Client2}[:tc.sources]
			var flows []*bed.Flow
			var first world.Session
			for i, from := range sources {
				wantState(t, from, door, false)
				if a := s.knock(d, from, false); a.Status != knock.Opened {
					t.Fatalf("knock from source %d: %+v", i, a)
				}
				f, err := from.StartFlow(t.Context(), "tcp", door, bed.FlowOptions{Quiet: patience})
				if err != nil {
					t.Fatal(err)
				}
				flows = append(flows, f)
				if i == 0 {
					first = s.sessions()[0]
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if cut, err := flows[0].WaitCut(ctx); err != nil || cut.How != bed.Reset {
				t.Errorf("the first source: %+v, %v", cut, err)
			}
			wantState(t, sources[0], door, false)
			for i, from := range sources[1:] {
				wantState(t, from, door, true)
				if r := flows[i+1].Report(); r.Cut != nil {
					t.Errorf("source %d was cut: %+v", i+1, r.Cut)
				}
			}
			s.waitHolds(len(sources) - 1)
			eventually(t, patience, "the session of the first is over as replaced", func() bool {
				x, err := s.API.Session(t.Context(), first.ID)
				return err == nil && x.State == "ended" && x.Reason == "replaced"
			})
			if r := flows[0].Stop(); !r.Revived.IsZero() {
				t.Errorf("the first source is back: %+v", r)
			}
		})
	}
}

// The other ways to pair and to be connected.
func TestPairings(t *testing.T) {
	t.Run("pair file, no hands", func(t *testing.T) {
		s := start(t, world.Options{PairFile: true})
		s.open(s.echo, s.Bed.Client1.IPv4, time.Minute, 20900)
		wantState(t, s.Bed.Client1, s.public(false, 20900), true)
	})
	t.Run("core dials web", func(t *testing.T) {
		s := start(t, world.Options{Dial: true})
		s.open(s.echo, s.Bed.Client1.IPv4, time.Minute, 20900)
		wantState(t, s.Bed.Client1, s.public(false, 20900), true)
		if err := s.Core.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := s.Core.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.WaitConnected(t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually(t, soon, "converge", s.converged)
	})
}

// Deployment B: hosts of the LAN do not route back through this router.
func TestMasquerade(t *testing.T) {
	s := start(t, world.Options{
		Bed:      []bed.Option{bed.WithoutLANRoute()},
		CoreYAML: "firewall: {wan_interfaces: [wan0], masquerade: true}\n",
	})
	for _, v6 := range []bool{false, true} {
		source := s.Bed.Client1.IPv4
		if v6 {
			source = s.Bed.Client1.IPv6
		}
		s.open(s.web, source, time.Minute, 21000)
		page, err := s.Bed.Client1.Get(s.public(v6, 21000), time.Second)
		if err != nil {
			t.Errorf("IPv6 %v: %v", v6, err)
		} else if page.Client.Addr().Unmap() != s.Bed.Router.IPv4s[1] && page.Client.Addr() != s.Bed.Router.IPv6s[1] {
			t.Errorf("IPv6 %v: the server sees %s, want the router's own address", v6, page.Client)
		}
	}
}
