package sites_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/sites/coretest"
)

// steps are places at which something can happen between web and core.
var steps = []struct{ when, op string }{
	{"before", "state"},
	{"after", "state"},
	{"before", "put"},
	{"after", "put"},
	{"before", "end"},
	{"after", "end"},
	{"before", "verdict"},
	{"after", "verdict"},
}

// once makes hooks that run f at the first time that a step is reached.
func (w *world) once(when, op string, f func()) (reached *atomic.Bool) {
	reached = new(atomic.Bool)
	hook := func(got string) error {
		if got == op && reached.CompareAndSwap(false, true) {
			f()
			return errors.New("the connection broke")
		}
		return nil
	}
	if when == "before" {
		w.core.SetHooks(hook, nil)
	} else {
		w.core.SetHooks(nil, hook)
	}
	return reached
}

// story uses every kind of command; what fails on the way may fail.
func (w *world) story(ctx context.Context) {
	s, err := w.Open(ctx, w.ana, access.OpenAsk{Service: w.http.ID})
	if err == nil {
		_, _ = w.Renew(ctx, w.ana, s.ID, time.Hour)
	}
	if c, err := w.core.Knock(w.knocked(home)); err == nil {
		select {
		case <-c:
		case <-time.After(100 * time.Millisecond):
		}
	}
	if c, err := w.core.Knock(w.knocked(cafe)); err == nil {
		select {
		case <-c:
		case <-time.After(100 * time.Millisecond):
		}
	}
	if err == nil {
		_, _ = w.Close(ctx, w.ana, s.ID)
	}
	_, _, _ = w.AddDevice(ctx, w.ana, access.NewDevice{Site: w.site.ID, Name: "tablet"})
}

// Invariant 5: whatever breaks between any two steps, the two ends become equal again.
func TestConverge(t *testing.T) {
	breaks := map[string]func(*world) func(){
		"link cut":       func(w *world) func() { return w.core.Cut },
		"core rebooted":  func(w *world) func() { return func() { w.core.Forget(); w.core.Cut() } },
		"error returned": func(w *world) func() { return func() {} },
	}
	for name, what := range breaks {
		for _, at := range steps {
			t.Run(fmt.Sprintf("%s %s %s", name, at.when, at.op), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				reached := w.once(at.when, at.op, what(w))
				w.story(t.Context())
				w.until("the step is reached", reached.Load)
				began := time.Now()
				w.live()
				w.converge()
				if took := time.Since(began); took > 8*time.Second {
					t.Errorf("it took %s after the link was back", took)
				}
				// And it goes on.
				if s, err := w.Open(t.Context(), w.ana, access.OpenAsk{Service: w.http.ID}); err != nil {
					t.Errorf("Open afterwards = %+v, %v", s, err)
				}
				w.converge()
			})
		}
	}
}

// Web dies after any commit and starts again.
func TestWebRestarts(t *testing.T) {
	for _, at := range steps {
		t.Run(at.when+" "+at.op, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			stopped := make(chan struct{})
			old := w.web
			reached := w.once(at.when, at.op, func() {
				go func() { // the process ends while the command is on its way
					defer close(stopped)
					old.stop()
				}()
				time.Sleep(5 * time.Millisecond)
			})
			w.story(t.Context())
			w.until("the step is reached", reached.Load)
			<-stopped
			w.start()
			w.live()
			w.converge()
		})
	}
}

// Changes that another process makes on the same database take effect.
func TestTwoProcesses(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	if a := w.knock(w.knocked(home)); a == nil {
		t.Fatal("no answer")
	}
	w.converge()
	command := w.process(false)
	defer command.stop()
	began := time.Now()
	if _, err := command.RevokeDevice(ctx, access.Command(), w.phone.ID); err != nil {
		t.Fatal(err)
	}
	w.until("the device is gone from core", func() bool { return len(w.core.Devices()) == 0 && len(w.core.Sessions()) == 0 })
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("it took %s", took)
	}
	s := w.sessions()
	if len(s) != 0 {
		t.Errorf("live sessions: %+v", s)
	}
	// Both write at once.
	var wg sync.WaitGroup
	for i, p := range []*web{w.web, command} {
		wg.Go(func() {
			for n := range 30 {
				if _, err := p.AddUser(ctx, access.Command(), access.NewUser{Name: fmt.Sprintf("u%d-%d", i, n), Password: "x"}); err != nil {
					t.Error(err)
				}
				host := fmt.Sprintf("h%d-%d.example.org", i, n)
				if _, err := p.ChangeSite(ctx, access.Command(), w.site.ID, access.SiteChange{Host: &host}); err != nil { // reads, then writes
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	us, _, err := w.Users(ctx, access.Command(), ownline.UserQuery{Page: ownline.Page{Limit: ownline.MaxLimit}})
	if err != nil || len(us) != 61 {
		t.Errorf("%d users, %v; want 61", len(us), err)
	}
}

// Two requests with one key, and many knocks at once, while devices come and go.
func TestAtOnce(t *testing.T) {
	w := newWorld(t)
	w.live()
	ctx := t.Context()
	var wg sync.WaitGroup
	got := make([]ownline.SessionID, 8)
	for i := range got {
		wg.Go(func() {
			s, err := w.Open(ctx, w.ana, access.OpenAsk{Service: w.http.ID, IdempotencyKey: "key"})
			if err != nil || s.State != ownline.Active {
				t.Errorf("Open = %+v, %v", s, err)
			}
			got[i] = s.ID
		})
	}
	wg.Wait()
	for _, id := range got {
		if id != got[0] {
			t.Errorf("one key gave the sessions %v", got)
			break
		}
	}
	const knocks = 25 // two of each, and fewer than 64, more of which a device may not have waiting
	var answered atomic.Int64
	same := w.knocked(home)
	copies := make([]<-chan coretest.Answer, knocks)
	for i := range knocks {
		wg.Go(func() {
			var err error
			if copies[i], err = w.core.Knock(same); err != nil {
				t.Error(err)
			}
			var a [16]byte
			a[0], a[1], a[7] = 0x2a, 1, byte(i)
			if a := w.knock(w.knocked(netip.AddrFrom16(a))); a != nil && a.Status == knock.Opened {
				answered.Add(1)
			}
		})
		if i%10 == 0 {
			wg.Go(func() {
				if _, _, err := w.AddDevice(ctx, w.ana, access.NewDevice{Site: w.site.ID, Name: fmt.Sprint("other ", i)}); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	if answered.Load() != knocks {
		t.Errorf("%d of %d knocks were answered rightly", answered.Load(), knocks)
	}
	accepted := 0
	count := func() bool {
		for _, c := range copies {
			select {
			case <-c:
				accepted++
			default:
			}
		}
		return accepted > 0
	}
	for end := time.Now().Add(patience); !count() && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	// A device's knocks are decided on one after the other, so by now those before this one are.
	if a := w.knock(w.knocked(home)); a == nil {
		t.Error("no answer to the last knock")
	}
	count()
	if accepted != 1 {
		t.Errorf("one knock was accepted %d times", accepted)
	}
	w.converge()
}

// A database that was restored from a copy is behind core: a new epoch puts that right.
func TestRestoredDatabase(t *testing.T) {
	w := newWorld(t)
	w.halt()
	copyDB(t, w.dir)
	w.start()
	w.live()
	for range 5 {
		if a := w.knock(w.knocked(home)); a == nil {
			t.Fatal("no answer")
		}
	}
	w.converge()
	w.halt()
	restoreDB(t, w.dir)
	w.start()
	w.live()
	w.converge()
	if n := len(w.core.Sessions()); n != 0 {
		t.Errorf("core still holds %d sessions that the restored database does not know", n)
	}
	if a := w.knock(w.knocked(home)); a == nil {
		t.Error("no answer after the new epoch")
	}
	w.converge()
}

func TestRemovedSiteIsCleared(t *testing.T) {
	w := newWorld(t)
	if a := w.knock(w.knocked(home)); a == nil {
		t.Fatal("no answer")
	}
	w.core.Stop()
	w.until("the link is down", func() bool { return !w.cores.Health(w.site.ID).Connected })
	if err := w.RemoveSite(t.Context(), access.Command(), w.site.ID); err != nil {
		t.Fatal(err)
	}
	w.core.Start()
	w.until("core holds nothing", func() bool { return len(w.core.Sessions())+len(w.core.Devices()) == 0 })
	w.until("the site is not commanded any more", func() bool {
		ss, err := w.Commanded(t.Context())
		return err == nil && len(ss) == 0
	})
	w.core.NewToken("token")
	s, err := w.PairSite(t.Context(), access.Command(), w.core.Code("token"), "home", "home.example.org")
	if err != nil || s.ID == w.site.ID {
		t.Errorf("pairing again = %+v, %v", s, err)
	}
}

// A device that knocks twice in a row is told the truth both times, also when the first
// verdict is slow.
func TestOneDeviceInOrder(t *testing.T) {
	w := newWorld(t)
	var slow atomic.Bool
	w.core.SetHooks(func(op string) error {
		if op == "verdict" && slow.CompareAndSwap(false, true) {
			time.Sleep(50 * time.Millisecond)
		}
		return nil
	}, nil)
	first, err := w.core.Knock(w.knocked(home))
	if err != nil {
		t.Fatal(err)
	}
	second, err := w.core.Knock(w.knocked(home))
	if err != nil {
		t.Fatal(err)
	}
	a, b := <-first, <-second
	if a.Status+b.Status != knock.Opened+knock.Renewed {
		t.Errorf("answers %s and %s, want one opened and one renewed", a.Status, b.Status)
	}
	w.converge()
}
