package sites_test

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
)

func TestOpenRenewClose(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	s, err := w.Open(ctx, w.ana, access.OpenAsk{Service: w.http.ID, For: time.Minute})
	if err != nil || s.State != ownline.Active {
		t.Fatalf("Open = %+v, %v", s, err)
	}
	if l, ok := w.core.Sessions()[s.ID]; !ok || l.Source.Addr() != home || l.Target != w.http.Target4 || l.PublicPort != s.PublicPort {
		t.Fatalf("core has %+v, want %+v", l, s)
	}
	again, err := w.Open(ctx, w.ana, access.OpenAsk{Service: w.http.ID, For: time.Hour})
	if err != nil || again.ID != s.ID || !again.Expires.After(s.Expires) {
		t.Fatalf("second Open = %+v, %v; want the same session, renewed", again, err)
	}
	renewed, err := w.Renew(ctx, w.ana, s.ID, 2*time.Hour)
	if err != nil || !renewed.Expires.After(again.Expires) || !w.core.Sessions()[s.ID].Expires.Equal(renewed.Expires) {
		t.Fatalf("Renew = %+v, %v", renewed, err)
	}
	closed, err := w.Close(ctx, w.ana, s.ID)
	if err != nil || closed.State != ownline.Ended || closed.Reason != ownline.Closed || len(w.core.Sessions()) != 0 {
		t.Fatalf("Close = %+v, %v; core has %v", closed, err, w.core.Sessions())
	}
	if n := w.core.Carried("state"); n > 5 {
		t.Errorf("%d whole states were sent: single commands should do", n)
	}
}

func TestKnock(t *testing.T) {
	w := newWorld(t)
	k := w.knocked(home)
	a := w.knock(k)
	if a == nil || a.Status != knock.Opened || len(a.Sessions) != 1 || a.Sessions[0].Service != "ssh" {
		t.Fatalf("first knock = %+v", a)
	}
	w.converge()
	id := a.Sessions[0].ID

	// Invariant 2: the same knock never counts again, from nowhere, after no restart.
	if !w.ignored(k) {
		t.Errorf("replay = %+v, want silence", a)
	}
	k2 := k
	k2.Source = cafe
	if !w.ignored(k2) {
		t.Errorf("replay from another address = %+v, want silence", a)
	}
	w.restart()
	w.live()
	if !w.ignored(k) {
		t.Errorf("replay after a restart = %+v, want silence", a)
	}
	if a := w.knock(w.knocked(home)); a == nil || a.Status != knock.Renewed || a.Sessions[0].ID != id {
		t.Errorf("second knock = %+v, want the same session renewed", a)
	}
	old := w.knocked(home)
	old.Made = old.Made.Add(-3 * time.Minute)
	if !w.ignored(old) {
		t.Errorf("knock below the floor = %+v, want silence", a)
	}
	w.until("core is told why", func() bool { return slices.Equal(w.core.Ignored(), slices.Repeat([]string{"replay"}, 4)) })
	inside := w.knocked(home)
	inside.Inside = true
	if a := w.knock(inside); a == nil || a.Status != knock.Inside || len(a.Sessions) != 0 {
		t.Errorf("knock from inside = %+v", a)
	}
	w.converge()
	if n := len(w.sessions()); n != 1 {
		t.Errorf("%d sessions, want 1", n)
	}
}

// A core that is too old to be told why something is refused is told the rest, and no other core twice.
func TestKnockOfOldCore(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	from := []string{"192.0.2.0/24"}
	grants, _, err := w.Grants(ctx, access.Command(), ownline.GrantQuery{})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range grants {
		if g.Service == w.http.ID {
			yes := true
			if _, err := w.ChangeGrant(ctx, access.Command(), g.ID, access.GrantChange{Automatic: &yes, AllowedFrom: &from}); err != nil {
				t.Fatal(err)
			}
		}
	}
	verdicts, old := 0, false
	var mu sync.Mutex
	w.core.SetHooks(func(op string) error {
		mu.Lock()
		defer mu.Unlock()
		if op == "verdict" {
			verdicts++
		}
		if old && (op == "ignored" || op == "verdict" && verdicts == 1) {
			return ownline.Invalid("body", `unknown field "refused"`)
		}
		return nil
	}, nil)
	for want, is := range map[int]bool{1: false, 2: true} {
		mu.Lock()
		verdicts, old = 0, is
		mu.Unlock()
		k := w.knocked(home)
		if a := w.knock(k); a == nil || len(a.Sessions) != 1 || a.Sessions[0].Service != "ssh" {
			t.Errorf("an old core %v: %+v", is, a)
		}
		mu.Lock()
		if verdicts != want {
			t.Errorf("an old core %v gets %d verdicts, want %d", is, verdicts, want)
		}
		mu.Unlock()
		if !w.ignored(k) {
			t.Error("a replay is answered")
		}
	}
	w.converge()
}

// Statistics that fail keep no command from core, and are tried again.
func TestCountingFails(t *testing.T) {
	w := newWorld(t)
	w.halt()
	var failing atomic.Bool
	var tries atomic.Int64
	failing.Store(true)
	w.counting = func() error {
		if tries.Add(1); failing.Load() {
			return errors.New("the disk is full")
		}
		return nil
	}
	w.core.SetDropped(map[string]uint64{"replay": 7})
	w.lookEvery = 10 * time.Millisecond
	w.start()
	w.until("it was tried thrice", func() bool { return tries.Load() > 3 })
	before := w.core.Carried("state")
	w.until("it was tried again", func() bool { return tries.Load() > 8 })
	if n := w.core.Carried("state"); !w.cores.Health(w.site.ID).Connected || n > before+2 {
		t.Errorf("the link is %+v, %d states more were sent", w.cores.Health(w.site.ID), n-before)
	}
	if s, err := w.Open(t.Context(), w.ana, access.OpenAsk{Service: w.http.ID, For: time.Minute}); err != nil || s.State != ownline.Active {
		t.Errorf("Open = %+v, %v", s, err)
	}
	failing.Store(false)
	w.until("it is counted", func() bool {
		rs, err := w.Refusals(t.Context(), access.Command(), ownline.RefusalQuery{})
		return err == nil && len(rs) == 1 && rs[0].Reason == "replay" && rs[0].Number == 7
	})
}

// What the router's kernel does not take is told while it is so.
func TestHealthTellsLacks(t *testing.T) {
	w := newWorld(t)
	w.halt()
	w.core.SetLacks("no filter")
	w.lookEvery = 10 * time.Millisecond
	w.start()
	w.until("it is told", func() bool {
		h := w.cores.Health(w.site.ID)
		return h.Connected && h.Lacks == "no filter" && h.Firewall == ""
	})
	w.core.SetLacks("")
	w.until("that is over", func() bool { return w.cores.Health(w.site.ID).Lacks == "" })
}

// That a router without a clock knows no time is over with the first whole state, and so is the alarm.
func TestHealthAfterFirstState(t *testing.T) {
	w := newWorld(t)
	w.halt()
	w.core.Forget()
	w.core.SetClockless()
	w.start()
	w.live()
	began := time.Now()
	w.until("there is a time", func() bool { return w.cores.Health(w.site.ID).Clock == "" })
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it was told after %s, with a status as they come by themselves", took)
	}
}

func TestKnockFromNewAddress(t *testing.T) {
	w := newWorld(t)
	first := w.knock(w.knocked(home))
	second := w.knock(w.knocked(cafe))
	if first == nil || second == nil || second.Status != knock.Opened || second.Sessions[0].ID == first.Sessions[0].ID {
		t.Fatalf("knocks = %+v, %+v", first, second)
	}
	if len(second.Sessions) != 1 {
		t.Errorf("the answer is about %d sessions, want the new one only", len(second.Sessions))
	}
	w.converge()
	old, err := w.Session(t.Context(), w.ana, first.Sessions[0].ID)
	if err != nil || time.Until(old.Expires) > w.overlap || old.Successor != second.Sessions[0].ID {
		t.Errorf("old session = %+v, %v; want it shortened", old, err)
	}
	if l := w.core.Sessions()[old.ID]; !l.Expires.Equal(old.Expires) {
		t.Errorf("core lets it go on until %s, want %s", l.Expires, old.Expires)
	}
}

// Invariant 6: what could not be applied is not reported as open, and opens no later.
func TestUnavailable(t *testing.T) {
	w := newWorld(t)
	w.core.Stop()
	w.until("the link is down", func() bool { return !w.cores.Health(w.site.ID).Connected })
	if s, err := w.Open(t.Context(), w.ana, access.OpenAsk{Service: w.http.ID, IdempotencyKey: "k"}); !errors.Is(err, ownline.ErrUnavailable) {
		t.Fatalf("Open = %+v, %v; want ErrUnavailable", s, err)
	}
	w.core.Start()
	w.live()
	w.converge()
	if n := len(w.core.Sessions()); n != 0 {
		t.Errorf("core holds %d sessions, want none", n)
	}
	if s, err := w.Open(t.Context(), w.ana, access.OpenAsk{Service: w.http.ID, IdempotencyKey: "k"}); err != nil || s.State != ownline.Active {
		t.Errorf("Open with the same key = %+v, %v; want another try", s, err)
	}
}

func TestRefusedByCore(t *testing.T) {
	w := newWorld(t)
	s, err := w.Open(t.Context(), w.ana, access.OpenAsk{Service: w.http.ID})
	if err != nil {
		t.Fatal(err)
	}
	w.core.SetHooks(func(op string) error {
		if op == "put" || op == "verdict" {
			return ownline.Conflict("public_port", "no")
		}
		return nil
	}, nil)
	if _, err := w.Renew(t.Context(), w.ana, s.ID, time.Hour); !errors.Is(err, ownline.ErrConflict) {
		t.Errorf("Renew = %v, want ErrConflict", err)
	}
	w.converge()
	if got := w.sessions()[0]; !got.Expires.Equal(s.Expires) {
		t.Errorf("after a refused renewal it ends at %s, want %s", got.Expires, s.Expires)
	}
	other := w.ana
	other.Client = cafe
	if _, err := w.Open(t.Context(), other, access.OpenAsk{Service: w.http.ID}); !errors.Is(err, ownline.ErrConflict) {
		t.Errorf("Open = %v, want ErrConflict", err)
	}
	w.converge()
	if n := len(w.sessions()); n != 1 {
		t.Errorf("%d sessions live, want 1", n)
	}
}
