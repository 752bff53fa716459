package e2e

import (
	"testing"
	"time"

	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
	"github.com/ownline/ownline/test/world/worldtest"
)

// front is what serves the names: a driver of core, and the server that it commands.
type front struct {
	core  string                       // core.yaml
	start func(s *suite) *world.Daemon // of the server, when core runs; nil: core serves by itself
	kill  func(*world.Daemon) error    // nil: as any other
}

// fronts are all of them. What one needs is made anew for each test.
var fronts = map[string]func(t *testing.T) front{
	"embedded": func(*testing.T) front { return front{core: world.ProxyYAML} },
	"caddy":    caddyFront,
	"nginx":    nginxFront,
}

// patience is for what a server of somebody else's does in its own time.
const patience = 20 * time.Second

// Invariants 3 and 5: core is killed while names are served. Until it is back nobody gets in;
// then its names are served again, to whom they were, and to nobody else. The server may be
// killed, too.
func TestProxyKilled(t *testing.T) {
	for name, made := range fronts {
		t.Run(name, func(t *testing.T) {
			f := made(t)
			s := start(t, world.Options{CoreYAML: f.core})
			var server *world.Daemon
			if f.start != nil {
				server = f.start(s)
				t.Cleanup(func() {
					if t.Failed() {
						t.Logf("%s says:\n%s", name, worldtest.Tail(server.Log()))
					}
				})
			}
			id, err := s.AddProxied(t.Context(), "cloud", bed.HTTPPort)
			if err != nil {
				t.Fatal(err)
			}
			client, neighbour, lan := s.browser(s.Bed.Client1), s.browser(s.Bed.Client2), s.browser(s.Bed.Lan)
			session := s.open(id, s.Bed.Client1.IPv4, 10*time.Minute, 0)
			served := func() {
				t.Helper()
				eventually(t, patience, "the name is served", func() bool { _, err := get(client, "cloud", "/"); return err == nil })
				if _, err := get(neighbour, "cloud", "/"); err == nil {
					t.Error("a neighbour got the service")
				}
				eventually(t, patience, "the LAN is served", func() bool { _, err := get(lan, "cloud", "/"); return err == nil })
			}
			served()
			for range 3 {
				if err := s.Core.Kill(); err != nil {
					t.Fatal(err)
				}
				if p, err := get(client, "cloud", "/"); err == nil {
					t.Errorf("with core dead, the service is served: %+v", p)
				}
				if err := s.Core.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := s.WaitConnected(t.Context()); err != nil {
					t.Fatal(err)
				}
				served()
			}
			if server != nil {
				kill := server.Kill
				if f.kill != nil {
					kill = func() error { return f.kill(server) }
				}
				if err := kill(); err != nil {
					t.Fatal(err)
				}
				if err := server.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				served()
			}
			s.close(session.ID)
			eventually(t, soon, "the session's end is felt", func() bool { _, err := get(client, "cloud", "/"); return err != nil })
			if _, err := get(lan, "cloud", "/"); err != nil {
				t.Errorf("the LAN, after the session: %v", err)
			}
		})
	}
}
