package sites

import (
	"sync"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// book is what is known of how far a core is behind what it should hold.
type book struct {
	mu      sync.Mutex // guards what follows
	changed chan struct{}

	live    bool // on the present connection the whole state was applied
	tried   bool // a connection was tried
	wanted  uint64
	applied uint64              // everything up to here is applied
	done    map[uint64]struct{} // revisions above that, which are applied
	flight  map[uint64]int      // commands on their way, by revision
	state   uint64              // revision of the newest whole state that was applied
	epoch   string              // of that state
	refused map[ownline.SessionID]*link.Problem
	resend  bool      // the whole state is to be sent whatever is known
	next    announced // what core is to be told of web's keys
	since   time.Time // when a revision was first seen uncovered; zero: all are covered
	health  ownline.LinkHealth
}

// grace is how long a revision may be uncovered before the whole state is sent: its command
// may be about to begin.
const grace = 50 * time.Millisecond

func newBook() *book {
	return &book{changed: make(chan struct{}), done: make(map[uint64]struct{}), flight: make(map[uint64]int)}
}

// tell wakes who waits for a change. Call it with mu held.
func (b *book) tell() {
	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *book) with(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
	b.tell()
}

// begin notes that a command for the revision is on its way; call the result with whether
// it was applied.
func (b *book) begin(rev uint64) (end func(applied bool)) {
	b.with(func() {
		b.wanted = max(b.wanted, rev)
		b.flight[rev]++
	})
	return func(applied bool) {
		b.with(func() {
			if b.flight[rev]--; b.flight[rev] <= 0 {
				delete(b.flight, rev)
			}
			if !applied && rev > b.applied {
				b.resend = true
			}
			if applied && rev > b.applied {
				b.done[rev] = struct{}{}
				b.advance()
			}
		})
	}
}

// advance moves applied over what is done without a gap. Call it with mu held.
func (b *book) advance() {
	for {
		if _, ok := b.done[b.applied+1]; !ok {
			return
		}
		b.applied++
		delete(b.done, b.applied)
	}
}

// stated notes that a whole state was applied, but for the sessions that were refused, and
// reports whether it was the first of its connection.
func (b *book) stated(at link.Revision, results []link.Result) (first bool) {
	b.with(func() {
		rev := at.Revision
		first = !b.live
		b.live, b.tried, b.state, b.applied, b.epoch, b.health.Error = true, true, rev, rev, at.Epoch, ""
		b.refused = make(map[ownline.SessionID]*link.Problem)
		for _, r := range results {
			if r.Problem != nil {
				b.refused[r.ID] = r.Problem
			}
		}
		for d := range b.done {
			if d <= rev {
				delete(b.done, d)
			}
		}
		b.advance()
		b.since = time.Time{}
	})
	return first
}

// due reports whether the whole state is to be sent now, or else when to ask again (0:
// after a change) and how to learn of a change. When it reports true, a resend that was
// asked for counts as begun.
func (b *book) due(now time.Time) (send bool, again time.Duration, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.resend || !b.live {
		b.resend = false
		return true, 0, b.changed
	}
	covered := b.applied
	for rev := range b.done {
		if rev > b.applied {
			covered++
		}
	}
	for rev := range b.flight {
		if _, ok := b.done[rev]; !ok && rev > b.applied {
			covered++
		}
	}
	switch {
	case covered >= b.wanted:
		b.since = time.Time{}
		return false, 0, b.changed
	case b.since.IsZero():
		b.since = now
	}
	if left := grace - now.Sub(b.since); left > 0 {
		return false, left, b.changed
	}
	return true, 0, b.changed
}

// lost notes that the connection is gone.
func (b *book) lost(why string) (was bool) {
	b.with(func() {
		was = b.live || b.health.Error != why
		b.live, b.tried, b.health.Error = false, true, why
	})
	return was
}
