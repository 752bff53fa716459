package access_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
)

// run runs the janitor in the bubble until the function that it returns is called.
func (h *house) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- h.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Errorf("Run = %v", err)
		}
	}
}

func (h *house) state(id ownline.SessionID) (ownline.SessionState, ownline.EndReason) {
	h.t.Helper()
	s, err := h.Session(h.t.Context(), command, id)
	if err != nil {
		h.t.Fatal(err)
	}
	return s.State, s.Reason
}

func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		defer h.run()()
		synctest.Wait() // it sleeps, and knows of nothing
		short := h.open(h.ana, access.OpenAsk{Service: h.ssh.ID, For: 10 * time.Second})
		long := h.open(h.root, access.OpenAsk{Service: h.web.ID, For: 10 * time.Hour})
		time.Sleep(time.Until(short.Expires) - time.Nanosecond)
		synctest.Wait()
		if s, _ := h.state(short.ID); s != ownline.Active {
			t.Errorf("a nanosecond before its end the session is %s", s)
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if s, why := h.state(short.ID); s != ownline.Ended || why != ownline.Expired {
			t.Errorf("after its end the session is %s %s", s, why)
		}
		if _, err := h.Renew(t.Context(), h.ana, short.ID, 0); !errors.Is(err, ownline.ErrConflict) {
			t.Errorf("Renew of an expired session = %v", err)
		}
		// Renewing moves the end.
		time.Sleep(5 * time.Hour)
		if _, err := h.Renew(t.Context(), h.root, long.ID, 10*time.Hour); err != nil {
			t.Fatal(err)
		}
		time.Sleep(9 * time.Hour)
		synctest.Wait()
		if s, _ := h.state(long.ID); s != ownline.Active {
			t.Errorf("a renewed session is %s", s)
		}
		time.Sleep(time.Hour + 2*time.Millisecond)
		synctest.Wait()
		if s, _ := h.state(long.ID); s != ownline.Ended {
			t.Errorf("a renewed session is %s after its end", s)
		}
	})
}

// knocker returns a knock from the first or the second address, which opens or renews one
// session.
func (h *house) knocker(d ownline.DeviceID) func(from int) ownline.SessionID {
	n := byte(0)
	return func(from int) ownline.SessionID {
		h.t.Helper()
		n++
		at := anaAt
		switch {
		case from == 2:
			at = bobAt
		case from > 2:
			at = netip.AddrFrom4([4]byte{198, 51, 100, byte(100 + from)})
		}
		ctx := h.t.Context()
		v, _, err := h.Knock(ctx, h.site.ID, link.Knocked{Device: d, Nonce: append(make([]byte, 11), n), Made: time.Now(), Source: at, Skew: time.Minute})
		if err != nil || v == nil || len(v.Sessions) != 1 {
			h.t.Fatalf("Knock = %+v, %v", v, err)
		}
		if err := h.Settle(ctx, h.site.ID, []ownline.SessionID{v.Sessions[0].ID}, nil); err != nil {
			h.t.Fatal(err)
		}
		return v.Sessions[0].ID
	}
}

// A device that moves leaves its old address after the overlap. One that comes back to it within that
// has a carrier who uses several: as many stay as its grant lets in.
func TestReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		defer h.run()()
		ctx := t.Context()
		d, _, err := h.AddDevice(ctx, h.ana, access.NewDevice{Site: h.site.ID, Name: "phone"})
		if err != nil {
			t.Fatal(err)
		}
		knock := h.knocker(d.ID)
		want := func(what string, id ownline.SessionID, state ownline.SessionState, why ownline.EndReason) {
			t.Helper()
			synctest.Wait()
			if s, r := h.state(id); s != state || r != why {
				t.Errorf("%s is %s %s, want %s %s", what, s, r, state, why)
			}
		}
		first, second := knock(1), knock(2)
		time.Sleep(59 * time.Second)
		want("the old session, within the overlap,", first, ownline.Active, "")
		time.Sleep(2 * time.Second)
		want("the old session, after the overlap,", first, ownline.Ended, ownline.Replaced)
		want("the new session", second, ownline.Active, "")

		third := knock(1)
		for range 3 { // used in turn
			time.Sleep(30 * time.Second)
			if id := knock(2); id != second {
				t.Errorf("back at the second address: session %s, want %s", id, second)
			}
			time.Sleep(5 * time.Minute)
			if id := knock(1); id != third {
				t.Errorf("back at the first address: session %s, want %s", id, third)
			}
		}
		time.Sleep(10 * time.Minute)
		want("the one", second, ownline.Active, "")
		want("and the other", third, ownline.Active, "")

		one := 1
		if _, err := h.ChangeGrant(ctx, command, h.grant.ID, access.GrantChange{MaxSources: &one}); err != nil {
			t.Fatal(err)
		}
		knock(2)
		time.Sleep(61 * time.Second)
		want("the other, with one allowed,", third, ownline.Ended, ownline.Replaced)
		want("the one", second, ownline.Active, "")
	})
}

// Addresses that knock in turn, each within the overlap, are let in as many as may be at once, and one that
// was left last: or a device's secret would do for any number of them.
func TestManySourcesInTurn(t *testing.T) {
	for most, want := range map[int]int{1: 2, 2: 3} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t)
			defer h.run()()
			d, _, err := h.AddDevice(t.Context(), h.ana, access.NewDevice{Site: h.site.ID, Name: "phone"})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := h.ChangeGrant(t.Context(), command, h.grant.ID, access.GrantChange{MaxSources: &most}); err != nil {
				t.Fatal(err)
			}
			knock := h.knocker(d.ID)
			last := map[int]ownline.SessionID{}
			for i := range 20 {
				source := 1 + i%5
				last[source] = knock(source)
				time.Sleep(2 * time.Second)
				synctest.Wait()
				live := 0
				for _, id := range last {
					if s, _ := h.state(id); s == ownline.Active {
						live++
					}
				}
				if s, _ := h.state(last[source]); s != ownline.Active {
					t.Errorf("the newest session is %s", s)
				}
				if live > want {
					t.Errorf("%d addresses are let in at once, want at most %d with max_sources %d", live, want, most)
				}
			}
		})
	}
}

func TestReplacedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.overlap = 0
		h.Access = h.with(h.cores)
		defer h.run()()
		d, _, err := h.AddDevice(t.Context(), h.ana, access.NewDevice{Site: h.site.ID, Name: "phone"})
		if err != nil {
			t.Fatal(err)
		}
		knock := h.knocker(d.ID)
		first := knock(1)
		second := knock(2)
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if s, why := h.state(first); s != ownline.Ended || why != ownline.Replaced {
			t.Errorf("without an overlap the old session is %s %s", s, why)
		}
		if s, _ := h.state(second); s != ownline.Active {
			t.Errorf("the new session is %s", s)
		}
	})
}

// What somebody was waiting for when web stopped does not open later.
func TestAbandoned(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	d, _, err := h.AddDevice(ctx, h.ana, access.NewDevice{Site: h.site.ID, Name: "phone"})
	if err != nil {
		t.Fatal(err)
	}
	v, _, err := h.Knock(ctx, h.site.ID, link.Knocked{Device: d.ID, Nonce: make([]byte, 12), Made: time.Now(), Source: anaAt, Skew: time.Minute})
	if err != nil || v == nil {
		t.Fatal(v, err)
	}
	stuck := &stuckCores{fakeCores: h.cores, stop: make(chan struct{}), began: make(chan ownline.SessionID, 1)}
	a := h.with(stuck)
	go a.Open(ctx, h.ana, access.OpenAsk{Service: h.ssh.ID})
	id := <-stuck.began
	defer close(stuck.stop)

	time.Sleep(2 * time.Millisecond)
	b := h.with(h.cores) // the process that comes after
	ctx2, cancel := context.WithCancel(ctx)
	done := make(chan error)
	go func() { done <- b.Run(ctx2) }()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if s, why := h.state(id); s == ownline.Ended && why == ownline.Failed {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the session that nobody was told of still opens")
		}
	}
	if s, _ := h.state(v.Sessions[0].ID); s != ownline.Opening {
		t.Errorf("the knock's session is %s", s)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// stuckCores never answers a Put.
type stuckCores struct {
	*fakeCores
	began chan ownline.SessionID
	stop  chan struct{}
}

func (s *stuckCores) Put(_ context.Context, _ ownline.SiteID, _ uint64, l link.Session) error {
	s.began <- l.ID
	<-s.stop
	return ownline.ErrUnavailable
}
