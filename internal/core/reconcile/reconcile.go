// Package reconcile makes it so: book → router, over and over. It declares the Firewall it
// wishes for, and is the only one to call it.
package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/session"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// Firewall makes the router's rules equal to what is wanted. After an error the rules from
// before are still in force. The Reconciler never calls it from two goroutines at once.
type Firewall interface {
	// Sync reads what is there and writes the difference, in one transaction.
	Sync(ctx context.Context, want firewall.Ruleset) error
	// Change writes what changed since the last call, in one transaction. It fails with
	// firewall.ErrOutOfStep when the rules are not as it left them.
	Change(ctx context.Context, put []firewall.Forward, drop []firewall.Key) error
	// Counters returns what came through each hole since it was opened.
	Counters(ctx context.Context) (map[firewall.Key]ownline.Traffic, error)
	// Changed reports whether somebody else has changed the rules since the last Sync.
	Changed(ctx context.Context) (bool, error)
}

// How often the Reconciler looks by itself.
const (
	pollEvery  = 200 * time.Millisecond // for changes by others
	retryEvery = time.Second            // after a failure
	syncEvery  = time.Minute            // against everything that Changed can't see
	countEvery = time.Second
)

// Reconciler owns the firewall. Run it; the other methods are safe for concurrent use.
type Reconciler struct {
	book *session.Book
	fw   Firewall
	log  *slog.Logger
	tell func(link.Event)

	wake chan struct{} // a Sync is wanted

	mu       sync.Mutex // guards the following
	settings firewall.Settings
	hints    []firewall.Hint
	adopt    bool   // the book does not know yet what must be open: keep what is
	done     uint64 // generation that the kernel holds
	err      error  // of the last try
	waiters  map[*waiter]struct{}
	syncers  []*waiter // want the next sync
}

type waiter struct {
	generation uint64
	result     chan error // buffered
}

// New makes a Reconciler. tell is called with every session that ends by itself and with
// counters; it must not block.
func New(book *session.Book, fw Firewall, settings firewall.Settings, tell func(link.Event), log *slog.Logger) *Reconciler {
	return &Reconciler{
		book: book, fw: fw, log: log, tell: tell, settings: settings, adopt: true,
		wake:    make(chan struct{}, 1),
		waiters: make(map[*waiter]struct{}),
	}
}

// SetHints replaces the hints that the knock filter lets through.
func (r *Reconciler) SetHints(h []firewall.Hint) {
	r.mu.Lock()
	r.hints = h
	r.mu.Unlock()
	r.wakeUp()
}

// Replaced says that the book holds the whole state now, with the site's IPv6 prefix: what
// the kernel still has from before core started, and the book has not, goes. It returns
// when the kernel holds the book.
func (r *Reconciler) Replaced(ctx context.Context, ipv6Prefix int) error {
	w := &waiter{result: make(chan error, 1)}
	r.mu.Lock()
	r.adopt = false
	r.settings.IPv6Prefix = ipv6Prefix
	r.syncers = append(r.syncers, w)
	r.mu.Unlock()
	r.wakeUp()
	return r.await(ctx, w)
}

// wakeUp asks for a whole comparison with the kernel.
func (r *Reconciler) wakeUp() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Err returns why the kernel does not hold the book, nil when it does.
func (r *Reconciler) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Wait returns nil once the kernel holds the book's generation, or the error of the
// transaction that should have brought it there.
func (r *Reconciler) Wait(ctx context.Context, generation uint64) error {
	w := &waiter{generation, make(chan error, 1)}
	r.mu.Lock()
	if generation <= r.done {
		r.mu.Unlock()
		return nil
	}
	r.waiters[w] = struct{}{}
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.waiters, w)
		r.mu.Unlock()
	}()
	return r.await(ctx, w)
}

func (r *Reconciler) await(ctx context.Context, w *waiter) error {
	select {
	case err := <-w.result:
		return err
	case <-ctx.Done():
		return fmt.Errorf("wait for the firewall: %w", ctx.Err())
	}
}

// finish tells everybody who waits for a generation up to the given one.
func (r *Reconciler) finish(generation uint64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if (err == nil) != (r.err == nil) {
		if err != nil {
			r.log.Error("firewall refused the rules; the old ones stay", "err", err)
		} else {
			r.log.Info("firewall holds what is wanted")
		}
	}
	r.err = err
	if err == nil {
		r.done = max(r.done, generation)
	}
	for w := range r.waiters {
		if w.generation <= generation {
			w.result <- err
			delete(r.waiters, w)
		}
	}
}

// Run works until ctx ends. It leaves the kernel's rules as they are: sessions outlive the
// daemon.
func (r *Reconciler) Run(ctx context.Context) error {
	r.sync(ctx)
	poll, count := time.NewTicker(pollEvery), time.NewTicker(countEvery)
	defer poll.Stop()
	defer count.Stop()
	expiry := time.NewTimer(time.Hour)
	defer expiry.Stop()
	lastSync, lastCount := time.Now(), time.Now()
	countPause := countEvery
	for {
		if next := r.expire(); !next.IsZero() {
			expiry.Reset(time.Until(next))
		}
		select {
		case <-ctx.Done():
			return nil // whoever waits has a context that ends, too
		case <-r.book.Changed():
			r.change(ctx)
		case <-r.wake:
			r.sync(ctx)
			lastSync = time.Now()
		case <-expiry.C:
		case <-poll.C:
			if r.stale(ctx, time.Since(lastSync)) {
				r.sync(ctx)
				lastSync = time.Now()
			}
		case <-count.C:
			if time.Since(lastCount) < countPause {
				continue
			}
			began := time.Now()
			r.count(ctx)
			lastCount = time.Now()
			// Reading 10,000 counters takes a while on a small router: spend 2 % on it at most.
			countPause = max(countEvery-pollEvery, 50*lastCount.Sub(began))
		}
	}
}

// stale reports whether the kernel has to be compared with the book.
func (r *Reconciler) stale(ctx context.Context, since time.Duration) bool {
	r.mu.Lock()
	slowly := r.adopt || r.err != nil
	r.mu.Unlock()
	if slowly {
		return since > retryEvery
	}
	if since > syncEvery {
		return true
	}
	changed, err := r.fw.Changed(ctx)
	if changed {
		r.log.Debug("somebody changed the host's rules; comparing")
	}
	return changed || err != nil
}

// change is the short way: what changed in the book goes to the kernel.
func (r *Reconciler) change(ctx context.Context) {
	r.mu.Lock()
	failing, adopt := r.err != nil, r.adopt
	r.mu.Unlock()
	if failing || adopt {
		r.sync(ctx)
		return
	}
	put, drop, generation := r.book.Take()
	if len(put)+len(drop) == 0 {
		r.finish(generation, nil)
		return
	}
	err := r.fw.Change(ctx, put, drop)
	switch {
	case err == nil:
		r.finish(generation, nil)
	case errors.Is(err, firewall.ErrOutOfStep):
		r.sync(ctx)
	default:
		r.finish(generation, err)
	}
}

// sync is the long way: everything is compared.
func (r *Reconciler) sync(ctx context.Context) {
	r.mu.Lock()
	want := firewall.Ruleset{Settings: r.settings, Hints: r.hints, Adopt: r.adopt}
	syncers := r.syncers
	r.syncers = nil
	r.mu.Unlock()
	var generation uint64
	want.Forwards, generation = r.book.TakeAll()
	err := r.fw.Sync(ctx, want)
	r.finish(generation, err)
	for _, w := range syncers {
		w.result <- err
	}
}

func (r *Reconciler) count(ctx context.Context) {
	counters, err := r.fw.Counters(ctx)
	if err != nil {
		r.log.Debug("counters not read", "err", err)
		return
	}
	if changed := r.book.Count(counters); len(changed) > 0 {
		r.tell(link.Event{Type: link.EventTraffic, Traffic: changed})
	}
}

// expire takes what is over out of the book; the kernel has shut it already. It returns
// when the next session ends, zero if none does.
func (r *Reconciler) expire() time.Time {
	expired, next := r.book.Expire(time.Now())
	for _, s := range expired {
		r.log.Info("session ended", "session", s.ID, "source", s.Source, "service", s.Service, "reason", ownline.Expired)
		r.tell(link.Event{Type: link.EventEnded, Ended: &link.Ended{ID: s.ID, Reason: ownline.Expired, Traffic: s.Traffic}})
	}
	return next
}
