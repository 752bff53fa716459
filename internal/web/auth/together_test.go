package auth

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// results is a reporter that counts how tries went.
type results struct {
	mu sync.Mutex
	n  map[ownline.LoginResult]int
}

func (r *results) LoginTried(a ownline.LoginAttempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n == nil {
		r.n = make(map[ownline.LoginResult]int)
	}
	r.n[a.Result] += a.Count
}

// together signs ana in with each password at once from a place that is new to her, and
// returns how each went.
func together(t *testing.T, a *Auth, passwords ...string) []error {
	errs := make([]error, len(passwords))
	var wg sync.WaitGroup
	for i, password := range passwords {
		wg.Go(func() { _, _, errs[i] = a.Check(t.Context(), "ana", password, Code{}, at(stranger)) })
	}
	wg.Wait()
	return errs
}

// A page that signs in by several requests, or a household behind one address, is no attack.
func TestRightPasswordsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, d, ana := newAuth(t)
		var seen results
		a.reporter = &seen
		var passwords []string
		for range 3 * freeTries {
			passwords = append(passwords, goodPassword)
		}
		for i := range freeTries - 1 { // some mistype
			passwords[3*i] = "a wrong password"
		}
		for _, where := range []string{"a new place", "a known place"} {
			if known, _ := a.cameFrom(t.Context(), ana.ID, stranger); known != (where == "a known place") {
				t.Fatal(where)
			}
			for i, err := range together(t, a, passwords...) {
				if passwords[i] == goodPassword && err != nil {
					t.Errorf("%s, try %d: %v", where, i, err)
				}
			}
			passwords = slices.Repeat([]string{goodPassword}, 3*freeTries)
		}
		if n := seen.n[ownline.Throttled]; n > 0 {
			t.Errorf("%d throttled", n)
		}
		if strings.Contains(strings.Join(d.audit, "\n"), "guessing") {
			t.Errorf("a false alarm: %q", d.audit)
		}
	})
}

// Invariant 9: wrong passwords at once are as few as one after another, and are reported.
func TestWrongPasswordsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, d, _ := newAuth(t)
		var seen results
		a.reporter = &seen
		looked := 0
		for _, err := range together(t, a, slices.Repeat([]string{"a wrong password"}, 1000)...) {
			if !errors.Is(err, ownline.ErrThrottled) {
				looked++
			}
		}
		if looked != freeTries || seen.n[ownline.WrongPassword] != freeTries || seen.n[ownline.Throttled] == 0 {
			t.Errorf("%d were looked at, reported %v", looked, seen.n)
		}
		if n := strings.Count(strings.Join(d.audit, "\n"), "guessing"); n != 1 {
			t.Errorf("the audit log has %q", d.audit)
		}
	})
}

// Whoever guesses in many requests at once for a day gets no more tries than by one.
func TestGuessesAtOnceGainNothing(t *testing.T) {
	guesses := func(lines int, enter func(*throttle, context.Context) (*try, error)) int64 {
		var n atomic.Int64
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
			defer cancel()
			var th throttle
			var wg sync.WaitGroup
			for range lines {
				wg.Go(func() {
					for ctx.Err() == nil {
						try, err := enter(&th, ctx)
						if throttled, ok := errors.AsType[*ThrottledError](err); ok {
							time.Sleep(throttled.RetryAfter)
						}
						if err != nil {
							continue
						}
						n.Add(1)
						time.Sleep(100 * time.Millisecond) // the hash
						try.wrong()
					}
				})
			}
			wg.Wait()
		})
		return n.Load()
	}
	for name, enter := range map[string]func(*throttle, context.Context) (*try, error){
		"a new place":   func(th *throttle, ctx context.Context) (*try, error) { return th.enter(ctx, "ana", stranger, false) },
		"a known place": func(th *throttle, ctx context.Context) (*try, error) { return th.enter(ctx, "ana", home, true) },
		"codes": func(th *throttle, ctx context.Context) (*try, error) {
			return th.enterCode(ctx, "ana", stranger, false)
		},
	} {
		one, many := guesses(1, enter), guesses(200, enter)
		if one <= freeTries || many > one {
			t.Errorf("%s: %d guesses one after another, %d at once", name, one, many)
		}
	}
}

// Tries stand in line behind those in flight, but not without end.
func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var th throttle
		enter := func(ctx context.Context) (*try, error) { return th.enter(ctx, "ana", stranger, false) }
		var flying []*try
		for range freeTries {
			try, err := enter(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			flying = append(flying, try)
		}
		ctx, cancel := context.WithCancel(t.Context())
		errs := make(chan error, maxQueue)
		for range maxQueue {
			go func() { _, err := enter(ctx); errs <- err }()
		}
		synctest.Wait()
		if _, err := enter(t.Context()); !errors.Is(err, ownline.ErrThrottled) {
			t.Errorf("the line has no end: %v", err)
		}
		cancel()
		for range maxQueue {
			if err := <-errs; !errors.Is(err, context.Canceled) {
				t.Errorf("a request that ended: %v", err)
			}
		}
		start := time.Now()
		if _, err := enter(t.Context()); !errors.Is(err, ownline.ErrThrottled) || time.Since(start) != maxQueueTime {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
		go func() { try, err := enter(t.Context()); try.right(); errs <- err }()
		synctest.Wait()
		flying[0].right()
		if err := <-errs; err != nil {
			t.Errorf("not let in when one had ended: %v", err)
		}
		for _, try := range flying[1:] {
			try.right()
		}
		if n := len(th.addresses.m) + len(th.accounts.m) + len(th.pairs.m); n > 0 {
			t.Errorf("%d records of nothing", n)
		}
	})
}
