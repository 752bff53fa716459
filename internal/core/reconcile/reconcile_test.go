package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/fwtest"
	"github.com/ownline/ownline/internal/core/session"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

var (
	source = netip.MustParsePrefix("198.51.100.7/32")
	target = netip.MustParseAddrPort("192.168.7.10:22")
)

// room is a running Reconciler on a fake firewall.
type room struct {
	*Reconciler
	book *session.Book
	fake *fwtest.Fake

	mu     sync.Mutex
	events []link.Event
	last   map[ownline.SessionID]ownline.Traffic // what was told, but when a session ended
}

func (r *room) told() []link.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events
}

// bubble runs a test with a Reconciler whose book holds an empty state.
func bubble(t *testing.T, test func(t *testing.T, r *room)) {
	synctest.Test(t, func(t *testing.T) {
		r := &room{book: session.New(func(s link.Session) (link.Session, error) { return s, nil }), fake: new(fwtest.Fake), last: map[ownline.SessionID]ownline.Traffic{}}
		r.Reconciler = New(r.book, r.fake, firewall.Settings{IPv6Prefix: 64}, func(ev link.Event) {
			r.mu.Lock()
			defer r.mu.Unlock()
			if ev.Type == link.EventTraffic { // the fake counts every Reach
				for _, l := range ev.Traffic {
					r.last[l.ID] = l.Traffic
				}
				return
			}
			r.events = append(r.events, ev)
		}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := r.Run(ctx); err != nil {
				t.Errorf("Run = %v", err)
			}
		})
		if _, _, err := r.book.Replace(rev(1), nil, nil); err != nil {
			t.Fatal(err)
		}
		if err := r.Replaced(ctx, 64); err != nil {
			t.Fatalf("Replaced = %v", err)
		}
		test(t, r)
		cancel()
		wg.Wait()
	})
}

func rev(n uint64) link.Revision { return link.Revision{Epoch: "e", Revision: n} }

func (r *room) open(t *testing.T, n uint64, port uint16, until time.Time) (ownline.SessionID, func(), error) {
	t.Helper()
	s := link.Session{ID: ownline.NewID[ownline.Session](), Source: source, Transport: ownline.TCP, PublicPort: port, Target: target}
	generation, undo, err := r.book.Put(rev(n), s, until)
	if err != nil {
		t.Fatal(err)
	}
	return s.ID, undo, r.Wait(t.Context(), generation)
}

func (r *room) reaches(port uint16) bool {
	_, ok := r.fake.Reach(source.Addr(), ownline.TCP, port)
	return ok
}

// Invariant 4: sessions end on time, and web is told.
func TestOpenUntilExpiry(t *testing.T) {
	bubble(t, func(t *testing.T, r *room) {
		end := time.Now().Add(time.Minute)
		id, _, err := r.open(t, 2, 20000, end)
		if err != nil || !r.reaches(20000) {
			t.Fatalf("open = %v, reaches %v", err, r.reaches(20000))
		}
		time.Sleep(time.Until(end) - 1)
		synctest.Wait()
		if !r.reaches(20000) || len(r.told()) != 0 {
			t.Errorf("a nanosecond before the end: reaches %v, told %v", r.reaches(20000), r.told())
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if r.reaches(20000) {
			t.Error("open after its end")
		}
		if ev := r.told(); len(ev) != 1 || ev[0].Ended == nil || ev[0].Ended.ID != id || ev[0].Ended.Reason != ownline.Expired {
			t.Errorf("told %+v, want the end of the session", ev)
		}
	})
}

// Invariant 6: a refusal of the kernel reaches whoever waits, and the Reconciler tries
// again with what is left.
func TestKernelRefuses(t *testing.T) {
	bubble(t, func(t *testing.T, r *room) {
		boom := errors.New("no memory")
		r.fake.Fail(boom)
		_, undo, err := r.open(t, 2, 20000, time.Now().Add(time.Minute))
		if !errors.Is(err, boom) || !errors.Is(r.Err(), boom) {
			t.Fatalf("open = %v, Err = %v; want the kernel's", err, r.Err())
		}
		undo()
		r.fake.Fail(nil)
		time.Sleep(2 * retryEvery)
		synctest.Wait()
		if r.Err() != nil || r.reaches(20000) {
			t.Errorf("later: Err = %v, reaches %v; want neither", r.Err(), r.reaches(20000))
		}
	})
}

// Invariant 5: a flush by somebody else is repaired within a second.
func TestFlushedBehindOurBack(t *testing.T) {
	bubble(t, func(t *testing.T, r *room) {
		if _, _, err := r.open(t, 2, 20000, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		r.fake.Flush()
		if r.reaches(20000) {
			t.Fatal("the fake does not flush")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if !r.reaches(20000) {
			t.Error("not repaired after a second")
		}
		r.fake.Flush()
		if _, _, err := r.open(t, 3, 20001, time.Now().Add(time.Hour)); err != nil || !r.reaches(20000) || !r.reaches(20001) {
			t.Errorf("open after a flush = %v, reaches %v and %v", err, r.reaches(20000), r.reaches(20001))
		}
	})
}

// Many changes at once take few transactions.
func TestFolding(t *testing.T) {
	bubble(t, func(t *testing.T, r *room) {
		before := r.fake.Calls()
		var last uint64
		for i := range 500 {
			s := link.Session{ID: ownline.NewID[ownline.Session](), Source: source, Transport: ownline.TCP, PublicPort: uint16(20000 + i), Target: target}
			generation, _, err := r.book.Put(rev(uint64(2+i)), s, time.Now().Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			last = generation
		}
		if err := r.Wait(t.Context(), last); err != nil {
			t.Fatal(err)
		}
		if after := r.fake.Calls(); after.Changes-before.Changes > 400 || !r.reaches(20499) {
			t.Errorf("%d transactions for 500 sessions", after.Changes-before.Changes)
		}
	})
}

// A daemon that has just started leaves alone what it does not know yet.
func TestAdopt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := new(fwtest.Fake)
		key := firewall.Key{Source: source, Transport: ownline.TCP, Port: 20000}
		was := firewall.Ruleset{Settings: firewall.Settings{IPv6Prefix: 64}, Forwards: map[firewall.Key]firewall.Forward{
			key: {Key: key, Target: target, Until: time.Now().Add(time.Hour)},
		}}
		if err := fake.Sync(t.Context(), was); err != nil {
			t.Fatal(err)
		}
		book := session.New(func(s link.Session) (link.Session, error) { return s, nil })
		r := New(book, fake, was.Settings, func(link.Event) {}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = r.Run(ctx) })
		time.Sleep(10 * time.Second)
		if _, ok := fake.Reach(source.Addr(), ownline.TCP, 20000); !ok {
			t.Error("a restart ended a session before web has said anything")
		}
		if _, _, err := book.Replace(rev(1), nil, nil); err != nil {
			t.Fatal(err)
		}
		if err := r.Replaced(ctx, 64); err != nil {
			t.Fatal(err)
		}
		if _, ok := fake.Reach(source.Addr(), ownline.TCP, 20000); ok {
			t.Error("a session that web does not want is still open")
		}
		cancel()
		wg.Wait()
	})
}
