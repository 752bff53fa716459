package e2e

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/web"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
)

// linkKey asks how far the rotation of the link key is.
func (s *suite) linkKey() (k web.LinkKey) {
	s.t.Helper()
	s.webJSON(&k, "key", "status")
	return k
}

func (s *suite) webJSON(v any, args ...string) {
	s.t.Helper()
	out, err := s.WebCommand(context.WithoutCancel(s.t.Context()), "", append(args, "--json")...)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := json.Unmarshal(out, v); err != nil {
		s.t.Fatal(err)
	}
}

// coreObeys reads which keys of web are on core's disk.
func (s *suite) coreObeys() (web, next string) {
	s.t.Helper()
	b, err := os.ReadFile(s.Path("core/core.json"))
	if err != nil {
		s.t.Fatal(err)
	}
	var saved struct {
		Web     string
		NextWeb string `json:"next_web"`
	}
	if err := json.Unmarshal(b, &saved); err != nil {
		s.t.Fatal(err)
	}
	return saved.Web, saved.NextWeb
}

// commanded opens a session for the second client and closes it, with packets.
func (s *suite) commanded(what string) {
	s.t.Helper()
	const port = 20811
	x := s.open(s.web, s.Bed.Client2.IPv4, time.Minute, port)
	wantState(s.t, s.Bed.Client2, s.public(false, port), true)
	s.close(x.ID)
	wantState(s.t, s.Bed.Client2, s.public(false, port), false)
	if !s.converged() {
		s.t.Errorf("%s: core and web differ", what)
	}
}

// Invariants 5 and 7: web's link key is replaced while a connection goes through the router,
// which is not disturbed; killed anywhere on the way, both ends come to agree on the new key,
// and core refuses the old one.
func TestRotateLinkKey(t *testing.T) {
	for name, dial := range map[string]bool{"web dials": false, "core dials": true} {
		t.Run(name, func(t *testing.T) {
			s := start(t, world.Options{Dial: dial})
			ctx := context.WithoutCancel(t.Context())
			const port = 20810
			s.open(s.echo, s.Bed.Client1.IPv4, 10*time.Minute, port)
			flow, err := s.Bed.Client1.StartFlow(t.Context(), "tcp", s.public(false, port), bed.FlowOptions{Quiet: 2 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			defer flow.Stop()
			rotated := func(what, before string) {
				t.Helper()
				var k web.LinkKey
				eventually(t, 20*time.Second, what+": the new key is used", func() bool {
					k = s.linkKey()
					return k.Next == "" && k.Pin != before
				})
				if err := s.WaitConnected(ctx); err != nil {
					t.Fatal(err)
				}
				eventually(t, 20*time.Second, what+": core obeys it", func() bool {
					web, next := s.coreObeys()
					return web == k.Pin && next == ""
				})
				s.commanded(what)
			}

			before := s.linkKey().Pin
			backup := s.Path("before-rotation")
			if _, err := s.WebCommand(ctx, "", "backup", backup); err != nil {
				t.Fatal(err)
			}
			s.webJSON(&web.LinkKey{}, "key", "rotate", "--link")
			rotated("undisturbed", before)

			// The axe falls anywhere on the way.
			for _, victim := range []*world.Daemon{s.Core, s.Web} {
				for _, delay := range []time.Duration{0, 100 * time.Millisecond, 250 * time.Millisecond, 300 * time.Millisecond, 400 * time.Millisecond, 600 * time.Millisecond} {
					before := s.linkKey().Pin
					done := make(chan error, 1)
					go func() {
						_, err := s.WebCommand(ctx, "", "key", "rotate", "--link", "--json")
						done <- err
					}()
					time.Sleep(delay)
					if err := victim.Kill(); err != nil {
						t.Fatal(err)
					}
					if err := victim.Start(ctx); err != nil {
						t.Fatal(err)
					}
					if err := <-done; err != nil {
						t.Fatal(err)
					}
					rotated("killed after "+delay.String(), before)
				}
			}
			if r := flow.Report(); r.Cut != nil {
				t.Errorf("the connection was disturbed: %+v", r)
			}
			wantState(t, s.Bed.Client1, s.public(false, port), true)

			// The old key: a web that has it is not obeyed.
			if err := s.Web.Stop(10 * time.Second); err != nil {
				t.Fatal(err)
			}
			if _, err := s.WebCommand(ctx, "", "restore", "--force", backup); err != nil {
				t.Fatal(err)
			}
			if err := s.Web.Start(ctx); err != nil {
				t.Fatal(err)
			}
			if err := s.Web.Until(ctx, "answer", func(ctx context.Context) error { return s.API.Login(ctx, world.AdminName, world.AdminPassword) }); err != nil {
				t.Fatal(err)
			}
			eventually(t, 20*time.Second, "the old key is refused", func() bool {
				var sites world.List[struct{ Error string }]
				s.call("GET", "/sites", nil, &sites)
				return len(sites.Items) == 1 && strings.Contains(sites.Items[0].Error, "does not obey this web any more")
			})
			if err := s.API.Call(ctx, "POST", "/sessions", world.Map{"service": s.web, "source": s.Bed.Client2.IPv4.String(), "for": "1m"}, nil); err == nil {
				t.Error("core obeys the old key")
			}
			wantState(t, s.Bed.Client1, s.public(false, port), true) // ends on time, not because web changed

			// Paired again, the site is the one it was.
			code, err := s.PairingCode(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if dial { // the server has the door
				if err := s.Web.Stop(10 * time.Second); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := s.WebCommand(ctx, "", "site", "pair", "home", code); err != nil {
				t.Fatal(err)
			}
			if dial {
				if err := s.Web.Start(ctx); err != nil {
					t.Fatal(err)
				}
			}
			site := s.Site
			if err := s.WaitConnected(ctx); err != nil {
				t.Fatal(err)
			}
			if s.Site != site {
				t.Error("it is another site")
			}
			s.commanded("paired again")
		})
	}
}
