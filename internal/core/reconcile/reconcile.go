// Package reconcile makes it so: book → router, over and over. It declares the Firewall it
// wishes for, and is the only one to call it.
package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"reflect"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/session"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// Firewall makes the router's rules equal to what is wanted. After an error the rules from
// before are still in force. The Reconciler makes one call at a time.
type Firewall interface {
	// Sync reads what is there and writes the difference, in one transaction.
	Sync(ctx context.Context, want firewall.Ruleset) error
	// Change writes what changed since the last call, in one transaction. It fails with
	// firewall.ErrOutOfStep when the rules are not as it left them.
	Change(ctx context.Context, put []firewall.Forward, drop []firewall.Key) error
	// Counters returns what came through each hole since it was opened; at least of the given
	// ones, of all if none is given.
	Counters(ctx context.Context, of ...firewall.Key) (map[firewall.Key]ownline.Traffic, error)
	// Changed reports whether somebody else has changed the rules since the last Sync.
	Changed(ctx context.Context) (bool, error)
}

// How often the Reconciler looks by itself.
const (
	pollEvery  = 200 * time.Millisecond // for changes by others
	retryEvery = time.Second            // after a failure
	syncEvery  = time.Minute            // against everything that Changed can't see
	countEvery = time.Second
	// The kernel forgets what it counted when a session's time is over, so that is read so much earlier.
	lastLook = 50 * time.Millisecond
)

// Reconciler owns the firewall. Run it; the other methods are safe for concurrent use.
type Reconciler struct {
	book *session.Book
	fw   Firewall
	log  *slog.Logger
	tell func(link.Event)
	then func() // see OnApplied

	wake chan struct{} // a Sync is wanted

	turn sync.Mutex // held by whoever uses the firewall

	mu       sync.Mutex // guards the following
	settings firewall.Settings
	hints    []firewall.Hint
	adopt    bool   // the book does not know yet what must be open: keep what is
	done     uint64 // generation that the kernel holds
	err      error  // of the last try
}

// New makes a Reconciler. tell is called with every session that ends by itself and with
// counters; it must not block.
func New(book *session.Book, fw Firewall, settings firewall.Settings, tell func(link.Event), log *slog.Logger) *Reconciler {
	return &Reconciler{
		book: book, fw: fw, log: log, tell: tell, settings: settings, adopt: true,
		wake: make(chan struct{}, 1), then: func() {},
	}
}

// OnApplied has f called whenever the kernel was made to follow. It must not block. To be set before
// anything else is called.
func (r *Reconciler) OnApplied(f func()) { r.then = f }

// SetHints replaces the hints that the knock filter lets through.
func (r *Reconciler) SetHints(h []firewall.Hint) {
	r.mu.Lock()
	r.hints = h
	r.mu.Unlock()
	r.wakeUp()
}

// SetProxy replaces where the reverse proxy is, and who reaches it without a session.
func (r *Reconciler) SetProxy(p firewall.Proxy) {
	r.mu.Lock()
	was := r.settings.Proxy
	r.settings.Proxy = p
	r.mu.Unlock()
	if !reflect.DeepEqual(was, p) {
		r.wakeUp()
	}
}

// SetInside replaces what the local networks reach by the public name, and which addresses count as none of
// theirs.
func (r *Reconciler) SetInside(hairpins []firewall.Hairpin, gateways []netip.Addr) {
	r.mu.Lock()
	same := reflect.DeepEqual(r.settings.Hairpins, hairpins) && reflect.DeepEqual(r.settings.Gateways, gateways)
	r.settings.Hairpins, r.settings.Gateways = hairpins, gateways
	r.mu.Unlock()
	if !same {
		r.wakeUp()
	}
}

// Apply returns when the kernel holds what was set before.
func (r *Reconciler) Apply(ctx context.Context) error {
	r.turn.Lock()
	defer r.turn.Unlock()
	return r.sync(context.WithoutCancel(ctx))
}

// Replaced says that the book holds the whole state now, with the site's IPv6 prefix: what
// the kernel still has from before core started, and the book has not, goes. It returns
// when the kernel holds the book.
func (r *Reconciler) Replaced(ctx context.Context, ipv6Prefix int) error {
	r.mu.Lock()
	r.adopt = false
	r.settings.IPv6Prefix = ipv6Prefix
	r.mu.Unlock()
	r.turn.Lock()
	defer r.turn.Unlock()
	return r.sync(context.WithoutCancel(ctx)) // whoever asked may go, the rules are wanted
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
// transaction that should have brought it there. It does not wait for Run: whoever comes
// first writes what all have changed, and the others find it done.
func (r *Reconciler) Wait(ctx context.Context, generation uint64) error {
	r.turn.Lock()
	defer r.turn.Unlock()
	r.mu.Lock()
	done := generation <= r.done
	r.mu.Unlock()
	if done {
		return nil
	}
	return r.change(context.WithoutCancel(ctx)) // what has begun is finished
}

// finish notes what a transaction came to, and passes its error on.
func (r *Reconciler) finish(generation uint64, err error) error {
	if err == nil {
		defer r.then()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if (err == nil) != (r.err == nil) {
		if err != nil {
			r.log.Error("firewall refused the rules; the old ones stay", logging.Err, err)
		} else {
			r.log.Info("firewall holds what is wanted")
		}
	}
	r.err = err
	if err == nil {
		r.done = max(r.done, generation)
	}
	return err
}

// Run works until ctx ends. It leaves the kernel's rules as they are: sessions outlive the
// daemon.
func (r *Reconciler) Run(ctx context.Context) error {
	lastSync, lastCount := time.Now(), time.Now()
	compare := func() {
		r.turn.Lock()
		defer r.turn.Unlock()
		_ = r.sync(ctx) // Err tells, and the next look tries again
		lastSync = time.Now()
	}
	compare()
	poll, count := time.NewTicker(pollEvery), time.NewTicker(countEvery)
	defer poll.Stop()
	defer count.Stop()
	expiry := time.NewTimer(time.Hour)
	defer expiry.Stop()
	countPause := countEvery
	var looked time.Time // at what ends until then
	for {
		if next := r.expire(); !next.IsZero() {
			if now := time.Now(); next.After(looked) && !next.After(now.Add(lastLook)) {
				end := now.Add(2 * lastLook) // so that those right behind it are not looked at too late
				r.count(ctx, r.book.Ending(looked, end)...)
				looked = end
			}
			if next.After(looked) {
				next = next.Add(-lastLook)
			}
			expiry.Reset(time.Until(next))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.book.Changed():
			r.follow(ctx)
		case <-r.wake:
			compare()
		case <-expiry.C:
		case <-poll.C:
			if r.stale(ctx, time.Since(lastSync)) {
				compare()
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

// follow writes what changed in the book, unless somebody who waits has done so already.
func (r *Reconciler) follow(ctx context.Context) {
	r.turn.Lock()
	defer r.turn.Unlock()
	_ = r.change(ctx) // Err tells, and the next look tries again
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
	r.turn.Lock()
	changed, err := r.fw.Changed(ctx)
	r.turn.Unlock()
	if changed {
		r.log.Debug("somebody changed the host's rules; comparing")
	}
	return changed || err != nil
}

// change is the short way: what changed in the book goes to the kernel. It is called with
// the turn held.
func (r *Reconciler) change(ctx context.Context) error {
	r.mu.Lock()
	failing, adopt, proxy := r.err != nil, r.adopt, r.settings.Proxy
	r.mu.Unlock()
	if failing || adopt {
		return r.sync(ctx)
	}
	put, drop, generation := r.book.Take()
	if len(put)+len(drop) == 0 {
		return r.finish(generation, nil)
	}
	put, drop = withTwins(proxy, put, drop)
	r.countGone(ctx, proxy)
	err := r.fw.Change(ctx, put, drop)
	if errors.Is(err, firewall.ErrOutOfStep) {
		return r.sync(ctx)
	}
	return r.finish(generation, err)
}

// sync is the long way: everything is compared. It is called with the turn held.
func (r *Reconciler) sync(ctx context.Context) error {
	r.mu.Lock()
	want := firewall.Ruleset{Settings: r.settings, Hints: r.hints, Adopt: r.adopt}
	r.mu.Unlock()
	var generation uint64
	want.Forwards, generation = r.book.TakeAll()
	addTwins(want.Proxy, want.Forwards)
	r.countGone(ctx, want.Proxy)
	return r.finish(generation, r.fw.Sync(ctx, want))
}

// count tells what came through the holes of the given keys, of all if none is given.
func (r *Reconciler) count(ctx context.Context, of ...firewall.Key) {
	r.turn.Lock()
	counters, _ := r.counters(ctx, r.proxy(), of)
	changed := r.book.Count(counters) // before anybody reads newer ones
	r.turn.Unlock()
	if len(changed) > 0 {
		r.tell(link.Event{Type: link.EventTraffic, Traffic: changed})
	}
}

// countGone tells what came through the sessions that the kernel is about to shut. That it can't
// be read keeps none of them open. It is called with the turn held.
func (r *Reconciler) countGone(ctx context.Context, proxy firewall.Proxy) {
	gone := r.book.TakeGone()
	if len(gone) == 0 {
		return
	}
	keys := make([]firewall.Key, len(gone))
	for i, s := range gone {
		keys[i] = s.Key()
	}
	counters, _ := r.counters(ctx, proxy, keys)
	var last []link.Traffic
	for i := range gone {
		s := &gone[i]
		if t, ok := counters[s.Key()]; ok && s.Count(t) {
			last = append(last, link.Traffic{ID: s.ID, Traffic: s.Traffic})
		}
	}
	if len(last) > 0 {
		r.tell(link.Event{Type: link.EventTraffic, Traffic: last})
	}
}

func (r *Reconciler) proxy() firewall.Proxy {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.settings.Proxy
}

// Counters returns what came through at least the holes of the given keys, of all if none is given, as sessions of the book
// take it. Those that were listed before it is called have counted nothing later.
func (r *Reconciler) Counters(ctx context.Context, of ...firewall.Key) (map[firewall.Key]ownline.Traffic, error) {
	r.turn.Lock()
	defer r.turn.Unlock()
	return r.counters(ctx, r.proxy(), of)
}

// counters reads what the firewall counted, twins with their sessions. It is called with the turn held.
func (r *Reconciler) counters(ctx context.Context, proxy firewall.Proxy, of []firewall.Key) (map[firewall.Key]ownline.Traffic, error) {
	for _, k := range of {
		if t, ok := twin(proxy, k); ok {
			of = append(of, t)
		}
	}
	counters, err := r.fw.Counters(ctx, of...)
	if err != nil {
		r.log.Debug("counters not read", logging.Err, err)
		return nil, err
	}
	countTwins(proxy, counters)
	return counters, nil
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
