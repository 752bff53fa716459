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
)

// ThrottledError says when to try again. It is an ownline.ErrThrottled.
type ThrottledError struct{ RetryAfter time.Duration }

// Error says how long to wait.
func (e *ThrottledError) Error() string {
	return fmt.Sprintf("too many tries; wait %s", e.RetryAfter.Round(time.Second))
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
type throttle struct {
	mu        sync.Mutex // guards all below
	addresses failures[netip.Prefix]
	accounts  failures[string]
	codes     failures[string] // of accounts
	pairs     failures[pair]
	unseen    map[pair]unseen
}

// unseen is what was refused without a look at it since somebody was told.
type unseen struct {
	count int
	told  time.Time
}

const tellEvery = time.Minute

type pair struct {
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

// enter waits as long as it must before a try, or refuses it. Each try that was let in
// counts as failed until succeeded says otherwise, so that tries made at once gain nothing.
func (t *throttle) enter(ctx context.Context, account string, from netip.Addr, known bool) error {
	account, where := strings.ToLower(account), neighbourhood(from)
	t.mu.Lock()
	now := time.Now()
	var wait, slow time.Duration
	if known {
		wait = t.pairs.wait(pair{account, where, false}, now)
	} else {
		wait = t.addresses.wait(where, now)
		slow = min(t.accounts.delay(account, now), maxSlow)
	}
	if wait > 0 {
		t.mu.Unlock()
		return &ThrottledError{RetryAfter: wait}
	}
	if known {
		t.pairs.add(pair{account, where, false}, now)
	} else {
		t.addresses.add(where, now)
		t.accounts.add(account, now)
	}
	t.mu.Unlock()
	if slow == 0 {
		return nil
	}
	timer := time.NewTimer(slow)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// succeeded forgets the failures that the owner made from there, not those of others.
func (t *throttle) succeeded(account string, from netip.Addr, known bool) {
	account, where := strings.ToLower(account), neighbourhood(from)
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.pairs.m, pair{account, where, false})
	if !known {
		t.addresses.takeBack(where)
		t.accounts.takeBack(account)
	}
}

// enterCode is enter for a code after the right password.
func (t *throttle) enterCode(account string, from netip.Addr, known bool) error {
	p := pair{strings.ToLower(account), neighbourhood(from), true}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	wait := t.pairs.wait(p, now)
	if !known {
		wait = max(wait, t.addresses.wait(p.from, now), t.codes.wait(p.account, now))
	}
	if wait > 0 {
		return &ThrottledError{RetryAfter: wait}
	}
	t.pairs.add(p, now)
	if !known {
		t.addresses.add(p.from, now)
		t.codes.add(p.account, now)
	}
	return nil
}

// codeSucceeded is succeeded for a code.
func (t *throttle) codeSucceeded(account string, from netip.Addr, known bool) {
	p := pair{strings.ToLower(account), neighbourhood(from), true}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.pairs.m, p)
	if !known {
		t.addresses.takeBack(p.from)
		t.codes.takeBack(p.account)
	}
}

// failedPasskey counts a wrong passkey against its address, and says whether that has to
// wait.
func (t *throttle) failedPasskey(from netip.Addr) error {
	where := neighbourhood(from)
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if wait := t.addresses.wait(where, now); wait > 0 {
		return &ThrottledError{RetryAfter: wait}
	}
	t.addresses.add(where, now)
	return nil
}

// suspiciousCode is suspicious for codes.
func (t *throttle) suspiciousCode(account string, from netip.Addr) bool {
	p := pair{strings.ToLower(account), neighbourhood(from), true}
	t.mu.Lock()
	defer t.mu.Unlock()
	return worthTelling(max(t.codes.m[p.account].count, t.pairs.m[p].count))
}

// suspicious reports whether so much was tried that the operator should read of it: once
// when the free tries are used up, then at every doubling.
func (t *throttle) suspicious(account string, from netip.Addr) bool {
	account, where := strings.ToLower(account), neighbourhood(from)
	t.mu.Lock()
	defer t.mu.Unlock()
	n := max(t.accounts.m[account].count, t.addresses.m[where].count, t.pairs.m[pair{account, where, false}].count)
	return worthTelling(n)
}

func worthTelling(n int) bool { return n == freeTries || n > freeTries && n&(n-1) == 0 }

// refused counts a try that enter refused. Once a minute it returns how many there were
// since it last did, else 0. account is "" for a name that nobody has, so that a stranger
// fills no memory with names.
func (t *throttle) refused(account string, from netip.Addr) int {
	p := pair{strings.ToLower(account), neighbourhood(from), false}
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
		t.unseen = make(map[pair]unseen)
	}
	u.count++
	if now.Sub(u.told) < tellEvery {
		t.unseen[p] = u
		return 0
	}
	t.unseen[p] = unseen{told: now}
	return u.count
}

type failed struct {
	count int
	last  time.Time
}

// failures counts by key; the zero value is empty.
type failures[K comparable] struct{ m map[K]failed }

func (f *failures[K]) get(k K, now time.Time) failed {
	e := f.m[k]
	if now.Sub(e.last) > forgetAfter {
		return failed{}
	}
	return e
}

// delay is the pause after the failures so far.
func (f *failures[K]) delay(k K, now time.Time) time.Duration {
	over := f.get(k, now).count - freeTries
	if over < 0 {
		return 0
	}
	return min(firstWait<<min(over, 20), maxWait)
}

// wait is what remains of the delay.
func (f *failures[K]) wait(k K, now time.Time) time.Duration {
	return max(f.delay(k, now)-now.Sub(f.m[k].last), 0)
}

func (f *failures[K]) add(k K, now time.Time) {
	if f.m == nil {
		f.m = make(map[K]failed)
	}
	e := f.get(k, now)
	if _, known := f.m[k]; !known && len(f.m) >= maxRemembers {
		f.makeRoom(now)
	}
	f.m[k] = failed{e.count + 1, now}
}

func (f *failures[K]) takeBack(k K) {
	e, ok := f.m[k]
	if e.count--; ok && e.count > 0 {
		f.m[k] = e
	} else {
		delete(f.m, k)
	}
}

// makeRoom forgets what is over, and else the least guilty it meets: whoever floods with
// single tries only pushes out others of that kind.
func (f *failures[K]) makeRoom(now time.Time) {
	var victim K
	least, looked := int(^uint(0)>>1), 0
	for k, e := range f.m {
		if now.Sub(e.last) > forgetAfter {
			delete(f.m, k)
			continue
		}
		if e.count < least {
			victim, least = k, e.count
		}
		if looked++; looked == 64 {
			break
		}
	}
	if len(f.m) >= maxRemembers {
		delete(f.m, victim)
	}
}
