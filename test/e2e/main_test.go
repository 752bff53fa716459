// Package e2e: journeys across the real binaries on a bed. Every test cites the invariant
// that it holds up (docs/explain/invariants.md).
package e2e

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
	"github.com/ownline/ownline/test/world/worldtest"
)

var programs world.Programs

func TestMain(m *testing.M) { worldtest.Main(m, &programs) }

// suite is a world with the services that most tests use, all granted to the admin.
type suite struct {
	*world.World
	t                          *testing.T
	echo, udp, web, routerEcho string // services: TCP and UDP echo, a web server, UDP echo on the router itself
	devices                    int    // that device made
}

// begin makes a world without services.
func begin(t *testing.T, o world.Options) *suite {
	t.Helper()
	if o.Programs == (world.Programs{}) {
		o.Programs = programs
	}
	return &suite{World: worldtest.New(t, o), t: t}
}

func start(t *testing.T, o world.Options) *suite {
	t.Helper()
	s := begin(t, o)
	w := s.World
	lan := w.Bed.Lan
	s.echo = s.service("echo", "tcp", lan, bed.EchoPort)
	s.udp = s.service("udp-echo", "udp", lan, bed.EchoPort)
	s.web = s.service("page", "tcp", lan, bed.HTTPPort)
	r := w.Bed.Router
	if _, err := r.UDPEcho(7007, r.IPv4s[1], r.IPv6s[1]); err != nil {
		t.Fatal(err)
	}
	s.routerEcho = s.create("/services", world.Map{
		"site": s.Site, "name": "router-echo", "kind": "forward", "transport": "udp",
		"target": netip.AddrPortFrom(r.IPv4s[1], 7007).String(), "target6": netip.AddrPortFrom(r.IPv6s[1], 7007).String(),
	})
	return s
}

func (s *suite) service(name, transport string, h *bed.Host, port uint16) string {
	s.t.Helper()
	return s.create("/services", world.Map{
		"site": s.Site, "name": name, "kind": "forward", "transport": transport,
		"target": netip.AddrPortFrom(h.IPv4, port).String(), "target6": netip.AddrPortFrom(h.IPv6, port).String(),
	})
}

func (s *suite) create(path string, in world.Map) string {
	s.t.Helper()
	id, err := s.API.Create(s.t.Context(), path, in)
	if err != nil {
		s.t.Fatal(err)
	}
	return id
}

func (s *suite) call(method, path string, in, out any) {
	s.t.Helper()
	if err := s.API.Call(s.t.Context(), method, path, in, out); err != nil {
		s.t.Fatal(err)
	}
}

// grant lets the admin use a service.
func (s *suite) grant(service string, more world.Map) string {
	s.t.Helper()
	var me struct{ ID string }
	s.call("GET", "/me", nil, &me)
	in := world.Map{"user": me.ID, "service": service}
	for k, v := range more {
		in[k] = v
	}
	return s.create("/grants", in)
}

// open opens a session for an address, as the admin.
func (s *suite) open(service string, source netip.Addr, d time.Duration, port uint16) world.Session {
	s.t.Helper()
	in := world.Map{"service": service, "source": source.String(), "for": d.String()}
	if port != 0 {
		in["public_port"] = port
	}
	var got world.Session
	s.call("POST", "/sessions", in, &got)
	if got.State != "active" {
		s.t.Fatalf("session is %+v, want it active", got)
	}
	return got
}

func (s *suite) close(id string) {
	s.t.Helper()
	s.call("DELETE", "/sessions/"+id, nil, nil)
}

// public is where clients connect to, for a session's port and a client's family.
func (s *suite) public(v6 bool, port uint16) netip.AddrPort {
	if v6 {
		return netip.AddrPortFrom(s.Bed.Router.IPv6, port)
	}
	return netip.AddrPortFrom(s.Bed.Router.IPv4, port)
}

func (s *suite) device() *world.Device {
	s.t.Helper()
	s.devices++
	d, err := s.NewDevice(s.t.Context(), fmt.Sprintf("phone %d", s.devices), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// knock sends a fresh knock until it is answered: a new device's hints take a moment to
// reach the router.
func (s *suite) knock(d *world.Device, h *bed.Host, v6 bool) knock.Answer {
	s.t.Helper()
	var err error
	for range 20 {
		var a knock.Answer
		if a, err = d.Send(h, s.KnockAddr(v6), d.Knock(), 500*time.Millisecond); err == nil {
			return a
		}
	}
	s.t.Fatalf("no knock was answered: %v", err)
	return knock.Answer{}
}

// eventually waits until a condition holds, at most for so long.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(within); ; time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, within)
		}
	}
}

// reach reports what a TCP client finds.
func reach(h *bed.Host, to netip.AddrPort) bed.State {
	return h.ConnectTCP(to, 300*time.Millisecond).State
}

func wantState(t *testing.T, h *bed.Host, to netip.AddrPort, open bool) {
	t.Helper()
	if got := reach(h, to); (got == bed.Open) != open {
		t.Errorf("%s finds %s %v, want open %v", h.Name, to, got, open)
	}
}
