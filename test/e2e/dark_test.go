package e2e

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
)

// usedPorts are those that anything of Ownline's uses, and the sessions' range's beginning.
func usedPorts(more ...uint16) []uint16 {
	ports := []uint16{22, 80, 443, 7, 7007, 8080, 9999, 57329, world.KnockPort, world.KnockPort + 1}
	return append(append(ports, slices.Collect(portRange(20000, 20050))...), more...)
}

func portRange(from, to uint16) func(func(uint16) bool) {
	return func(yield func(uint16) bool) {
		for p := from; p < to; p++ {
			if !yield(p) {
				return
			}
		}
	}
}

// Invariant 1: dark, before, during and after.
func TestStrangerSeesNothing(t *testing.T) {
	s := start(t, world.Options{})
	s.grant(s.echo, world.Map{"automatic": true})
	s.grant(s.udp, world.Map{"automatic": true})
	d := s.device()
	var ports []uint16
	look := func(when string) {
		t.Helper()
		for _, v6 := range []bool{false, true} {
			router := s.public(v6, 0).Addr()
			sweep := s.Bed.Stranger.SweepTCP(t.Context(), router, usedPorts(ports...), 32, 400*time.Millisecond)
			if open := sweep.Ports(bed.Open); len(open) > 0 {
				t.Errorf("%s: the stranger finds TCP ports %v of %s open", when, open, router)
			}
			knockPort := s.Bed.Stranger.ProbeUDP(s.KnockAddr(v6), make([]byte, knock.Size), 300*time.Millisecond)
			closed := s.Bed.Stranger.ProbeUDP(s.public(v6, world.KnockPort+7), make([]byte, knock.Size), 300*time.Millisecond)
			if knockPort.State != closed.State {
				t.Errorf("%s: the knock port of %s is %v to the stranger, a closed port %v", when, router, knockPort, closed)
			}
			for _, p := range ports {
				if got := s.Bed.Stranger.ProbeUDP(s.public(v6, p), []byte("hello"), 300*time.Millisecond); got.State == bed.Open {
					t.Errorf("%s: the stranger gets an answer from UDP port %d", when, p)
				}
			}
		}
	}
	look("before")
	for _, v6 := range []bool{false, true} {
		if a := s.knock(d, s.Bed.Client1, v6); a.Status != knock.Opened || a.Sessions != 2 {
			t.Fatalf("answer %+v, want two sessions opened", a)
		}
	}
	live, err := s.API.Live(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range live {
		ports = append(ports, x.PublicPort)
		if x.Service == s.echo {
			wantState(t, s.Bed.Client1, s.public(x.Source.Addr().Is6(), x.PublicPort), true)
		}
	}
	if len(ports) != 4 {
		t.Fatalf("%d sessions are live, want 4", len(ports))
	}
	look("during")
	s.call("DELETE", "/sessions?all=true", nil, nil)
	for _, x := range live {
		wantState(t, s.Bed.Client1, s.public(x.Source.Addr().Is6(), x.PublicPort), false)
	}
	look("after")
}

// Invariants 1 and 2: a knock counts once, and nobody answers a replay.
func TestReplay(t *testing.T) {
	s := start(t, world.Options{})
	s.grant(s.echo, world.Map{"automatic": true})
	d := s.device()
	s.knock(d, s.Bed.Client1, false) // the device's hints have arrived

	capture, err := s.Bed.Client1.Capture(s.Bed.Client1.Link, bed.Filter{Protocol: bed.UDP, Port: world.KnockPort})
	if err != nil {
		t.Fatal(err)
	}
	defer capture.Close()
	if a := s.knock(d, s.Bed.Client1, false); a.Status != knock.Renewed {
		t.Fatalf("answer %+v, want a renewal", a)
	}
	packet, err := capture.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	recorded := packet.Payload
	if len(recorded) != knock.Size {
		t.Fatalf("recorded %d bytes", len(recorded))
	}
	before := s.sessions()
	replayed := func(when string) {
		t.Helper()
		for _, h := range []*bed.Host{s.Bed.Stranger, s.Bed.Client2, s.Bed.Client1} {
			if got := h.ProbeUDP(s.KnockAddr(false), recorded, 200*time.Millisecond); got.State == bed.Open {
				t.Errorf("%s: a replay from %s was answered", when, h.Name)
			}
		}
		if now := s.sessions(); !slices.EqualFunc(now, before, func(a, b world.Session) bool { return a.ID == b.ID && a.Expires.Equal(b.Expires) }) {
			t.Errorf("%s: a replay changed the sessions from %+v to %+v", when, before, now)
		}
	}
	replayed("at once")

	ctx := t.Context()
	if err := s.Core.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.Core.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.WaitConnected(ctx); err != nil {
		t.Fatal(err)
	}
	s.waitHolds(len(before))
	replayed("after a restart of core")

	if err := s.Web.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.Web.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.WaitConnected(ctx); err != nil {
		t.Fatal(err)
	}
	replayed("after a restart of web")

	if err := s.Core.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.Web.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.Core.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Web.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.WaitConnected(ctx); err != nil {
		t.Fatal(err)
	}
	s.waitHolds(len(before))
	replayed("after a restart of both")
	if a := s.knock(d, s.Bed.Client1, false); a.Status != knock.Renewed {
		t.Errorf("a fresh knock after all that: %+v, want a renewal", a)
	}
}

// sessions lists the live ones.
func (s *suite) sessions() []world.Session {
	s.t.Helper()
	l, err := s.API.Live(context.WithoutCancel(s.t.Context()))
	if err != nil {
		s.t.Fatal(err)
	}
	return l
}

// Bad knocks are dropped silently and counted; honest ones get through in between.
func TestBadKnocks(t *testing.T) {
	s := start(t, world.Options{})
	s.grant(s.echo, world.Map{"automatic": true})
	d := s.device()
	s.knock(d, s.Bed.Client1, false)
	good := func() []byte { p := d.Seal(d.Knock()); return p[:] }
	at := func(dt time.Duration) []byte {
		n := d.Knock()
		n.Time = n.Time.Add(dt)
		p := d.Seal(n)
		return p[:]
	}
	claiming := func(a string) []byte {
		n := d.Knock()
		n.Claimed = netip.MustParseAddr(a)
		p := d.Seal(n)
		return p[:]
	}
	flipped := func(i int) []byte { b := good(); b[i] ^= 0x10; return b }
	// Another device's key: the hint is nobody's here. And the right hint over it.
	stranger, err := knock.DeriveKeys(make([]byte, knock.SecretSize), ownline.NewID[ownline.Site]())
	if err != nil {
		t.Fatal(err)
	}
	wrongKey := stranger.Seal(d.Knock())
	rightHint := wrongKey
	copy(rightHint[:knock.HintSize], good())
	before := s.dropped()
	packets := map[string][]byte{
		"empty": {}, "truncated": good()[:127], "oversized": append(good(), 0), "half": good()[:64],
		"hint flipped": flipped(0), "ciphertext flipped": flipped(50), "tag flipped": flipped(127),
		"too old": at(-61 * time.Second), "from the future": at(62 * time.Second),
		"wrong key": wrongKey[:], "wrong key behind the right hint": rightHint[:],
		"claims another source": claiming("192.0.2.1"), "zeros": make([]byte, knock.Size),
	}
	for name, p := range packets {
		if got := s.Bed.Stranger.ProbeUDP(s.KnockAddr(false), p, 100*time.Millisecond); got.State == bed.Open {
			t.Errorf("%s: answered", name)
		}
	}
	if after := s.dropped(); after-before < uint64(len(packets)) {
		t.Errorf("%d of %d bad knocks were counted", after-before, len(packets))
	}
	if a := s.knock(d, s.Bed.Client1, false); a.Status != knock.Renewed {
		t.Errorf("an honest knock: %+v", a)
	}
}

// A device that is told to prove its source is refused without it.
func TestRequireClaimedSource(t *testing.T) {
	s := start(t, world.Options{})
	s.grant(s.echo, world.Map{"automatic": true})
	d, err := s.NewDevice(t.Context(), "phone", world.Map{"require_claimed_source": true})
	if err != nil {
		t.Fatal(err)
	}
	claiming := func() knock.Knock {
		n := d.Knock()
		n.Claimed = s.Bed.Client1.IPv4
		return n
	}
	eventually(t, 20*time.Second, "a knock with its claimed source is answered", func() bool {
		a, err := d.Send(s.Bed.Client1, s.KnockAddr(false), claiming(), 200*time.Millisecond)
		return err == nil && a.Status == knock.Opened
	})
	if _, err := d.Send(s.Bed.Client1, s.KnockAddr(false), d.Knock(), 300*time.Millisecond); err == nil {
		t.Error("a knock without a claimed source was answered")
	}
	if a, err := d.Send(s.Bed.Client1, s.KnockAddr(false), claiming(), time.Second); err != nil || a.Status != knock.Renewed {
		t.Errorf("with its claimed source: %+v, %v", a, err)
	}
}
