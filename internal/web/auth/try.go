package auth

import (
	"context"
	"time"
)

// try is one that the throttle let in. It is in flight until right or wrong says how it
// ended; only the first of them counts. For one goroutine.
type try struct {
	throttle *throttle
	own      counter // of the account at the address
	counters []counter
	ended    bool
}

// right ends a try and forgets the failures that the owner made from there, not those of
// others.
func (y *try) right() {
	y.throttle.mu.Lock()
	defer y.throttle.mu.Unlock()
	if y.ended {
		return
	}
	if r := y.own.in.m[y.own.at]; r != nil {
		r.count = 0
	}
	y.end(func(counter, *record) {})
	y.own.in.forget(y.own.at)
}

// wrong ends a try that failed, or of which nobody will know. It reports whether so much
// failed that the operator should read of it: once when the free tries are used up, then at
// every doubling.
func (y *try) wrong() (tell bool) {
	y.throttle.mu.Lock()
	defer y.throttle.mu.Unlock()
	if y.ended {
		return false
	}
	now, most := time.Now(), 0
	y.end(func(c counter, r *record) {
		r.fail(now)
		if c.tells {
			most = max(most, r.count)
		}
	})
	return most == freeTries || most > freeTries && most&(most-1) == 0
}

// end lands a try, with the throttle locked, after f did with each record what it has to.
func (y *try) end(f func(counter, *record)) {
	y.ended = true
	for _, c := range y.counters {
		r := c.in.m[c.at] // is there: what is in flight is not forgotten
		f(c, r)
		r.land()
		c.in.forget(c.at)
	}
}

// pause slows a try down.
func (y *try) pause(ctx context.Context, slow time.Duration) error {
	timer := time.NewTimer(slow)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		y.wrong()
		return ctx.Err()
	}
}
