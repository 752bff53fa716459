package portmap

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// box is a router in front, as a protocol finds it.
type box struct {
	mu     sync.Mutex
	opened map[key]time.Time // until when
	told   map[key][]netip.Addr
	leases []time.Duration // every one that was asked for
	most   time.Duration   // of a lease; 0: any
	deny   map[key]bool
	lost   bool
	dead   bool
	hang   time.Duration
}

func newBox() *box {
	return &box{opened: map[key]time.Time{}, told: map[key][]netip.Addr{}, deny: map[key]bool{}}
}

func (b *box) look(context.Context, []key) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	lost := b.lost
	b.lost = false
	return lost, b.answer()
}

func (b *box) answer() error {
	if b.dead {
		return errSilent
	}
	return nil
}

func (b *box) open(_ context.Context, o *Opening, lease time.Duration) (grant, error) {
	time.Sleep(b.hang)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.deny[o.key()] {
		return grant{}, fmt.Errorf("open: %w", &refusal{"no"})
	}
	b.leases = append(b.leases, lease)
	if b.most != 0 {
		lease = min(lease, b.most)
	}
	b.opened[o.key()], b.told[o.key()] = time.Now().Add(lease), o.Sources
	return grant{lease, len(o.Sources) > 0}, b.answer()
}

func (b *box) shut(_ context.Context, k key) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.opened, k)
	return b.answer()
}

func (b *box) external() netip.Addr { return netip.Addr{} }

// isOpen reports whether a port leads here now: the box ends leases.
func (b *box) isOpen(k key) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Now().Before(b.opened[k])
}

func (b *box) change(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

// house is a Keeper in front of which is a box.
type house struct {
	*Keeper
	*box
	t      *testing.T
	mu     sync.Mutex
	want   []Opening
	router netip.Addr
	stop   func()
}

var (
	ana, bob = netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("198.51.100.8")
	tcp20000 = key{ownline.TCP, 20000}
	knocks   = key{ownline.UDP, 54754}
)

func live(t *testing.T, want ...Opening) *house {
	t.Helper()
	h := &house{box: newBox(), t: t, want: want, router: netip.MustParseAddr("192.168.1.1")}
	h.Keeper = New(Config{
		Protocol: ownline.AutoPorts, Logger: slog.New(slog.DiscardHandler),
		Router: func() netip.Addr {
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.router
		},
		Want: func() []Opening {
			h.mu.Lock()
			defer h.mu.Unlock()
			return slices.Clone(h.want)
		},
	})
	h.find = func(context.Context, string, netip.Addr, []byte) (string, protocol, error) {
		h.box.mu.Lock()
		defer h.box.mu.Unlock()
		return "pcp", h.box, h.answer()
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := h.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	h.stop = func() { cancel(); <-done }
	t.Cleanup(h.stop)
	synctest.Wait()
	return h
}

func (h *house) wants(want ...Opening) {
	h.mu.Lock()
	h.want = want
	h.mu.Unlock()
	h.Wake()
	synctest.Wait()
}

func (h *house) is(when string, k key, open bool) {
	h.t.Helper()
	if got := h.isOpen(k); got != open {
		h.t.Errorf("%s, %s is open: %v", when, k, got)
	}
}

func (h *house) says(when string, ok bool) {
	h.t.Helper()
	if s := h.Status(); s.OK != ok || (s.Error == "") != ok {
		h.t.Errorf("%s, the status is %+v", when, s)
	}
}

func session(source netip.Addr, d time.Duration) Opening {
	return Opening{ownline.TCP, 20000, []netip.Addr{source}, time.Now().Add(d)}
}

// A port is open while somebody wants it, and no lease lasts longer than that.
func TestOnlyWhileWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := live(t)
		h.is("at first", tcp20000, false)
		h.says("at first", true)
		h.wants(session(ana, 90*time.Second+300*time.Millisecond))
		h.is("wanted", tcp20000, true)
		if got := h.leases; !slices.Equal(got, []time.Duration{90 * time.Second}) {
			t.Errorf("the leases are %v", got)
		}
		if s := h.Status(); s.Opened != 1 || s.Narrow != 1 {
			t.Errorf("the status is %+v", s)
		}
		if p, asked := h.Port(ownline.TCP, 20000); !asked || !p.Open || !slices.Equal(p.For, []netip.Addr{ana}) || time.Until(p.Until) != 90*time.Second || p.Error != "" {
			t.Errorf("of the port it says %+v, %v", p, asked)
		}
		if p, asked := h.Port(ownline.UDP, 20000); asked {
			t.Errorf("of a port that nobody wanted it says %+v", p)
		}
		h.wants(session(ana, 10*time.Minute))
		time.Sleep(9 * time.Minute)
		h.is("extended", tcp20000, true)
		h.wants()
		h.is("not wanted", tcp20000, false)
		h.wants(session(ana, time.Minute))
		h.change(func() { h.dead = true }) // as if core were
		time.Sleep(time.Minute - time.Second)
		h.is("with core dead, just before the end", tcp20000, true)
		time.Sleep(time.Second)
		h.is("with core dead, after the end", tcp20000, false)
	})
}

// Of one port there is one lease, for all who come by it.
func TestManyOfOnePort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := live(t)
		h.wants(session(bob, time.Minute), session(ana, time.Hour), session(bob, time.Second))
		if got := h.told[tcp20000]; !slices.Equal(got, []netip.Addr{ana, bob}) {
			t.Errorf("it was told %v", got)
		}
		if got := h.leases; !slices.Equal(got, []time.Duration{time.Hour}) {
			t.Errorf("the leases are %v", got)
		}
		h.wants(session(ana, time.Hour))
		if got := h.told[tcp20000]; !slices.Equal(got, []netip.Addr{ana}) {
			t.Errorf("when one went, it was told %v", got)
		}
		h.wants(session(ana, time.Hour), Opening{Transport: ownline.TCP, Port: 20000, Until: time.Now().Add(time.Minute)})
		if got := h.told[tcp20000]; len(got) != 0 {
			t.Errorf("with everybody, it was told %v", got)
		}
		if p, _ := h.Port(ownline.TCP, 20000); !p.Open || len(p.For) != 0 {
			t.Errorf("with everybody, it says %+v", p)
		}
		h.change(func() { h.deny[tcp20000] = true })
		h.wants(session(bob, time.Hour))
		if p, asked := h.Port(ownline.TCP, 20000); !asked || p.Open || !strings.Contains(p.Error, "the router refuses: no") {
			t.Errorf("refused, it says %+v, %v", p, asked)
		}
	})
}

// A router that gives less than was asked for is asked again in time, and the ports of knocks are
// given back when core ends; those of sessions outlive it.
func TestRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := live(t)
		h.change(func() { h.most = 2 * time.Minute })
		h.wants(Opening{Transport: ownline.UDP, Port: 54754}, session(ana, time.Hour))
		for range 50 {
			time.Sleep(time.Minute)
			h.is("meanwhile", knocks, true)
			h.is("meanwhile", tcp20000, true)
		}
		synctest.Wait() // what is due at this very minute is over then
		if n := len(h.leases); n < 100 || n > 110 {
			t.Errorf("it was asked %d times", n)
		}
		h.stop()
		h.is("without core", knocks, false)
		h.is("without core", tcp20000, true)
	})
}

// What a router refuses is told, and asked again; the rest is opened all the same.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := live(t)
		h.change(func() { h.deny[tcp20000] = true })
		h.wants(session(ana, time.Hour), Opening{Transport: ownline.UDP, Port: 54754})
		h.says("refused", false)
		if s := h.Status(); !slices.Equal(s.Refused, []string{"20000/tcp"}) || s.Error != "20000/tcp: open: the router refuses: no" {
			t.Errorf("the status is %+v", s)
		}
		h.is("refused", knocks, true)
		h.change(func() { h.deny[tcp20000] = false })
		time.Sleep(lookEvery)
		synctest.Wait()
		h.is("asked again", tcp20000, true)
		h.says("asked again", true)
	})
}

// That no router opens ports is logged at once, and then only what changes.
func TestLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		why, found := errSilent, newBox()
		k := New(Config{
			Protocol: ownline.AutoPorts, Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Router: func() netip.Addr { return netip.MustParseAddr("192.168.1.1") },
			Want:   func() []Opening { return nil },
		})
		k.find = func(context.Context, string, netip.Addr, []byte) (string, protocol, error) { return "pcp", found, why }
		k.turn(t.Context())
		logged := func(when string, lines int, words string) {
			t.Helper()
			if got := log.String(); strings.Count(got, "\n") != lines || !strings.Contains(got, words) {
				t.Errorf("%s, the log is\n%s", when, got)
			}
			log.Reset()
		}
		again := func() {
			for range 5 {
				time.Sleep(retryEvery)
				k.turn(t.Context())
			}
		}
		logged("at first", 1, "level=WARN msg=\"the router in front does not open what is wanted, so who comes by it does not get here\" router=192.168.1.1 protocol=\"\" err=\"the router does not answer\"")
		again()
		logged("still without an answer", 0, "")
		why = &refusal{"no"}
		again()
		logged("refused", 1, "the router refuses: no")
		why = nil
		again()
		logged("with an answer", 2, "has opened what is wanted")
	})
}

// Of ports that are refused, it is logged that there are more; not that another is the first, as sessions end.
func TestFewerRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		h, want := newBox(), []Opening(nil)
		k := New(Config{
			Protocol: ownline.AutoPorts, Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Router: func() netip.Addr { return netip.MustParseAddr("192.168.1.1") },
			Want:   func() []Opening { return want },
		})
		k.find = func(context.Context, string, netip.Addr, []byte) (string, protocol, error) { return "pcp", h, nil }
		ports := []Opening{{Transport: ownline.TCP, Port: 20000}, {Transport: ownline.TCP, Port: 20001}, {Transport: ownline.TCP, Port: 20002}}
		for i := range ports {
			h.deny[ports[i].key()] = true
		}
		for _, tc := range []struct {
			want   []Opening
			warned bool
		}{{ports[1:], true}, {ports[2:], false}, {ports[1:2], false}, {ports, true}, {ports[1:], false}} {
			log.Reset()
			want = tc.want
			k.turn(t.Context())
			if got := strings.Contains(log.String(), "level=WARN"); got != tc.warned {
				t.Errorf("with %v, the log is %q", tc.want, &log)
			}
		}
	})
}

// A router that starts anew has everything put back; so has one that did not answer, and another
// in its place.
func TestPutBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := live(t, Opening{Transport: ownline.UDP, Port: 54754})
		h.wants(session(ana, time.Hour), Opening{Transport: ownline.UDP, Port: 54754})
		forget := func() { clear(h.opened) }
		back := func(when string) {
			t.Helper()
			time.Sleep(lookEvery)
			synctest.Wait()
			h.is(when, tcp20000, true)
			h.is(when, knocks, true)
			h.says(when, true)
		}
		h.change(func() { forget(); h.lost = true })
		back("after a restart")

		h.change(func() { forget(); h.dead = true })
		time.Sleep(lookEvery)
		synctest.Wait()
		h.says("without an answer", false)
		h.wants(session(bob, time.Hour), Opening{Transport: ownline.UDP, Port: 54754})
		h.says("asked without an answer", false)
		h.change(func() { h.dead = false })
		back("with an answer again")

		h.mu.Lock()
		h.router = netip.MustParseAddr("192.168.1.254")
		h.mu.Unlock()
		h.change(forget)
		back("with another router")
		h.change(forget) // unseen
		time.Sleep(renewEvery)
		back("after a while")
		h.mu.Lock()
		h.router = netip.Addr{}
		h.mu.Unlock()
		time.Sleep(lookEvery)
		synctest.Wait()
		h.says("without a router", false)
	})
}

// Who waits gets an open port, but not at any price.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := live(t)
		took := func(what string, d time.Duration) {
			t.Helper()
			began := time.Now()
			h.Wait(t.Context())
			if got := time.Since(began); got != d {
				t.Errorf("%s, it took %v", what, got)
			}
		}
		wants := func(o ...Opening) {
			h.mu.Lock()
			h.want = o
			h.mu.Unlock()
		}
		h.change(func() { h.hang = 10 * time.Millisecond })
		wants(session(ana, time.Hour))
		took("with a router", 10*time.Millisecond)
		h.is("after the wait", tcp20000, true)
		took("with nothing to do", 0)
		h.change(func() { h.hang = time.Minute })
		wants(session(bob, time.Hour))
		took("with a slow router", patience)
		time.Sleep(time.Minute)
		h.change(func() { h.hang, h.dead = 0, true })
		time.Sleep(lookEvery)
		synctest.Wait()
		took("without an answer", 0)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		h.Wait(ctx)
	})
}

func TestEpoch(t *testing.T) {
	began := time.Now()
	for name, tc := range map[string]struct {
		before, after uint32
		elapsed       time.Duration
		lost          bool
	}{
		"as much later":           {100, 160, time.Minute, false},
		"a second back":           {100, 99, 0, false},
		"begins anew":             {100, 3, time.Minute, true},
		"began anew, long after":  {100, 120, 10 * time.Minute, true},
		"a clock that runs ahead": {100, 163, time.Minute, false},
		"far ahead":               {100, 1000, time.Minute, true},
		"wraps":                   {1<<32 - 10, 5, 15 * time.Second, true}, // after 136 years
	} {
		var e epoch
		if e.lost(tc.before, began) {
			t.Errorf("%s: lost when first heard", name)
		}
		if got := e.lost(tc.after, began.Add(tc.elapsed)); got != tc.lost {
			t.Errorf("%s: lost is %v", name, got)
		}
	}
}

// The first that answers is taken, unless one is set; why none does is told of each.
func TestFind(t *testing.T) {
	were := spoken
	defer func() { spoken = were }()
	if got := []string{were[0].name, were[1].name, were[2].name}; !slices.Equal(got, []string{ownline.PCPPorts, ownline.UPnPPorts, ownline.NATPMPPorts}) {
		t.Errorf("they are asked in the order %v", got)
	}
	answers := map[string]error{}
	for i := range spoken {
		name := spoken[i].name
		spoken[i].dial = func(context.Context, netip.Addr, []byte) (protocol, error) { return newBox(), answers[name] }
	}
	for _, tc := range []struct {
		setting, silent, want string
	}{
		{ownline.AutoPorts, "", ownline.PCPPorts},
		{ownline.AutoPorts, ownline.PCPPorts, ownline.UPnPPorts},
		{ownline.NATPMPPorts, "", ownline.NATPMPPorts},
		{ownline.PCPPorts, ownline.PCPPorts, ""},
		{ownline.AutoPorts, "old", ownline.NATPMPPorts},
		{ownline.AutoPorts, "starting", ownline.PCPPorts},
		{ownline.AutoPorts, "all", ""},
	} {
		clear(answers)
		answers[tc.silent] = errSilent
		says := "pcp: the router does not answer"
		if tc.silent == "all" { // in one line, for tables
			for _, s := range spoken {
				answers[s.name] = errSilent
			}
			says += "; upnp: the router does not answer; nat-pmp: the router does not answer"
		}
		if tc.want == ownline.NATPMPPorts {
			answers[ownline.UPnPPorts] = errSilent
		}
		asked := 0
		spoken[0].dial = func(context.Context, netip.Addr, []byte) (protocol, error) {
			if asked++; tc.silent == "old" {
				return nil, errPCPVersion
			} else if tc.silent == "starting" && asked == 1 {
				answers[ownline.UPnPPorts] = errSilent
				return nil, errSilent
			}
			return newBox(), answers[ownline.PCPPorts]
		}
		name, _, err := find(t.Context(), tc.setting, ana, nil)
		if name != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("%+v: %q, %v", tc, name, err)
		}
		if err != nil && err.Error() != "the router in front, 198.51.100.7, opens no ports: "+says {
			t.Error(err)
		}
	}
}
