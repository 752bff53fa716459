package auth

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// How guessing is slowed. The first few failures cost nothing: people mistype.
const (
	freeTries    = 5
	firstWait    = time.Second
	maxWait      = 15 * time.Minute // of an address
	maxSlow      = 5 * time.Second  // of an account, for those from a new address
	forgetAfter  = time.Hour        // without a failure
	maxRemembers = 20_000           // of each kind, so that a flood does not grow memory
	maxQueue     = 32               // tries at one spot that wait for others in flight
	maxQueueTime = 30 * time.Second
)

// ThrottledError says when to try again. It is an ownline.ErrThrottled.
type ThrottledError struct{ RetryAfter time.Duration }

// Error says how long to wait.
func (e *ThrottledError) Error() string {
	return fmt.Sprintf("too many tries; wait %s", max(e.RetryAfter.Round(time.Second), time.Second))
}

// Unwrap returns ownline.ErrThrottled.
func (e *ThrottledError) Unwrap() error { return ownline.ErrThrottled }

// throttle slows guessing without letting a stranger shut the owner out:
//
//   - An address that fails again and again must wait, ever longer.
//   - An account that is guessed at from many addresses makes everybody wait a little who
//     comes from an address that is new to it; nobody is refused for that.
//   - Who comes from where they signed in before is held only to what was tried for that
//     very account from there.
//   - Codes are short, so an account whose codes are guessed at waits ever longer, but for
//     where its user signed in before. No stranger can cause that: whoever gets to a code
//     has given the password.
//   - A passkey can't be guessed: the right one is never made to wait.
//
// Whether a try in flight fails is not known yet. Of those made at once as many are let in
// as may fail without a wait; the others stand in line until these have ended, and only then
// are let in or refused. So guesses made at once gain nothing, and right ones lose nothing.
type throttle struct {
	mu        sync.Mutex // guards all below
	addresses failures
	accounts  failures
	codes     failures // of accounts
	pairs     failures
	unseen    map[spot]unseen
}

// unseen is what was refused without a look at it since somebody was told.
type unseen struct {
	count int
	told  time.Time
}

const tellEvery = time.Minute

// spot is what failures are counted by: an address, an account, or an account at an address.
type spot struct {
	account string
	from    netip.Prefix
	code    bool // not a password
}

// neighbourhood is what one stranger holds: an IPv4 address, or the /56 of an IPv6 line.
func neighbourhood(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 56
	}
	p, _ := a.Prefix(bits) // the zero address stays the zero prefix: one place for all that have none
	return p
}

// counter is where a try counts.
type counter struct {
	in    *failures
	at    spot
	stops bool // refuses tries; else it only slows them
	tells bool // is worth telling of
}

// enter waits as long as it must before a try, or refuses it. Whoever is let in ends the
// try.
func (t *throttle) enter(ctx context.Context, account string, from netip.Addr, known bool) (*try, error) {
	pair := spot{account: strings.ToLower(account), from: neighbourhood(from)}
	y := &try{throttle: t, own: counter{in: &t.pairs, at: pair}}
	if known {
		y.counters = []counter{{&t.pairs, pair, true, true}}
	} else {
		y.counters = []counter{{&t.addresses, spot{from: pair.from}, true, true}, {&t.accounts, spot{account: pair.account}, false, true}}
	}
	return y, t.admit(ctx, y)
}

// enterCode is enter for a code after the right password.
func (t *throttle) enterCode(ctx context.Context, account string, from netip.Addr, known bool) (*try, error) {
	pair := spot{strings.ToLower(account), neighbourhood(from), true}
	y := &try{throttle: t, own: counter{in: &t.pairs, at: pair}, counters: []counter{{&t.pairs, pair, true, true}}}
	if !known {
		y.counters = append(y.counters, counter{&t.addresses, spot{from: pair.from}, true, false}, counter{&t.codes, spot{account: pair.account}, true, true})
	}
	return y, t.admit(ctx, y)
}

// failedPasskey counts a wrong passkey against its address, and says whether that has to
// wait.
func (t *throttle) failedPasskey(from netip.Addr) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	r := t.addresses.at(spot{from: neighbourhood(from)}, now)
	if wait := r.wait(now); wait > 0 {
		return &ThrottledError{RetryAfter: wait}
	}
	r.fail(now)
	return nil
}

func (t *throttle) admit(ctx context.Context, y *try) error {
	patience := time.NewTimer(maxQueueTime)
	defer patience.Stop()
	for {
		slow, ahead, ended, err := t.look(y)
		switch {
		case err != nil:
			return err
		case ahead == nil && slow == 0:
			return nil
		case ahead == nil:
			return y.pause(ctx, slow)
		}
		select {
		case <-ended:
		case <-ctx.Done():
			err = ctx.Err()
		case <-patience.C:
			err = &ThrottledError{RetryAfter: firstWait}
		}
		t.mu.Lock()
		ahead.queue--
		t.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// look lets a try fly that may, after a pause; or says which line it stands in now, until one
// of those ahead has ended, or why it is refused.
func (t *throttle) look(y *try) (slow time.Duration, ahead *record, ended <-chan struct{}, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	var wait time.Duration
	records := make([]*record, len(y.counters))
	for i, c := range y.counters {
		r := c.in.at(c.at, now)
		records[i] = r
		switch {
		case !c.stops:
			slow = min(delay(r.count+r.flying), maxSlow)
		case r.flying > 0 && r.count+r.flying >= freeTries:
			ahead = r
		}
		if c.stops {
			wait = max(wait, r.wait(now))
		}
	}
	switch {
	case wait > 0:
		return 0, nil, nil, &ThrottledError{RetryAfter: wait}
	case ahead != nil && ahead.queue >= maxQueue:
		return 0, nil, nil, &ThrottledError{RetryAfter: firstWait}
	case ahead != nil:
		if ahead.ended == nil {
			ahead.ended = make(chan struct{})
		}
		ahead.queue++
		return 0, ahead, ahead.ended, nil
	}
	for _, r := range records {
		r.flying++
	}
	return slow, nil, nil, nil
}

// refused counts a try that enter refused. Once a minute it returns how many there were
// since it last did, else 0. account is "" for a name that nobody has, so that a stranger
// fills no memory with names.
func (t *throttle) refused(account string, from netip.Addr) int {
	p := spot{account: strings.ToLower(account), from: neighbourhood(from)}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	u, ok := t.unseen[p]
	if !ok && len(t.unseen) >= maxRemembers {
		for k, v := range t.unseen {
			if now.Sub(v.told) >= tellEvery {
				delete(t.unseen, k)
			}
		}
		if len(t.unseen) >= maxRemembers {
			return 0
		}
	}
	if t.unseen == nil {
		t.unseen = make(map[spot]unseen)
	}
	u.count++
	if now.Sub(u.told) < tellEvery {
		t.unseen[p] = u
		return 0
	}
	t.unseen[p] = unseen{told: now}
	return u.count
}

// failures counts by spot; the zero value is empty.
type failures struct{ m map[spot]*record }

// record is what is known of a spot.
type record struct {
	count  int       // failures
	last   time.Time // of them
	flying int       // tries in flight
	queue  int       // tries that wait for those
	ended  chan struct{}
}

func (r *record) busy() bool { return r.flying > 0 || r.queue > 0 }

// delay is the pause after so many failures.
func delay(count int) time.Duration {
	over := count - freeTries
	if over < 0 {
		return 0
	}
	return min(firstWait<<min(over, 20), maxWait)
}

// wait is what remains of the delay.
func (r *record) wait(now time.Time) time.Duration {
	return max(delay(r.count)-now.Sub(r.last), 0)
}

func (r *record) fail(now time.Time) {
	r.count++
	r.last = now
}

// land ends a try in flight and wakes those that wait for it.
func (r *record) land() {
	r.flying--
	if r.ended != nil {
		close(r.ended)
		r.ended = nil
	}
}

// at returns the record of a spot, which may be a new one.
func (f *failures) at(k spot, now time.Time) *record {
	r := f.m[k]
	if r == nil {
		if f.m == nil {
			f.m = make(map[spot]*record)
		}
		if len(f.m) >= maxRemembers {
			f.makeRoom(now)
		}
		r = new(record)
		f.m[k] = r
	}
	if now.Sub(r.last) > forgetAfter {
		r.count = 0
	}
	return r
}

// forget drops the record of a spot that has nothing to tell.
func (f *failures) forget(k spot) {
	if r := f.m[k]; r != nil && r.count == 0 && !r.busy() {
		delete(f.m, k)
	}
}

// makeRoom forgets what is over, and else the least guilty it meets: whoever floods with
// single tries only pushes out others of that kind. Tries in flight stay: there are no more
// of them than requests.
func (f *failures) makeRoom(now time.Time) {
	var victim spot
	least, looked := 0, 0 // no victim yet
	for k, r := range f.m {
		switch {
		case r.busy():
		case now.Sub(r.last) > forgetAfter:
			delete(f.m, k)
		case least == 0 || r.count < least:
			victim, least = k, r.count
		}
		if looked++; looked == 64 {
			break
		}
	}
	if least > 0 && len(f.m) >= maxRemembers {
		delete(f.m, victim)
	}
}
