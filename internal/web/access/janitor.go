package access

import (
	"context"
	"math"
	"time"

	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

const (
	lookAgain  = 30 * time.Second // other processes change sessions, too
	sweepEvery = time.Minute
	retryAfter = time.Second
)

// wake has Run look again for what is due next, when a session that ends at that time ends
// before all that Run knows of.
func (a *Access) wake(at time.Time) {
	if at.UnixMilli() >= a.next.Load() {
		return
	}
	select {
	case a.due <- struct{}{}:
	default:
	}
}

// Run ends sessions when they are due and forgets what is no longer needed, until ctx ends.
// The doors themselves are shut by the router's kernel at the same moment; this is the book.
func (a *Access) Run(ctx context.Context) error {
	if err := a.abandon(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	var swept, forgot time.Time
	old := false // there may be something that need not be kept any more
	for {
		select {
		case <-ctx.Done():
			ctx, cancel := forCore(ctx)
			defer cancel()
			return a.writeRefusals(ctx)
		case <-a.due:
		case <-timer.C:
		}
		a.turned.Store(time.Now().UnixMilli())
		a.next.Store(math.MaxInt64) // from before it is read until it is known, everything counts
		wait, err := a.expire(ctx)
		if err == nil {
			err = a.keepDoorsteps(ctx)
		}
		if err == nil {
			err = a.writeRefusals(ctx)
		}
		if err == nil && now().Sub(swept) >= sweepEvery {
			swept = now()
			_, err = a.change(ctx, System(), func(c *change) error { return c.Sweep(c.now, c.now.Add(-keyAge)) })
		}
		if err == nil && (old || now().Sub(forgot) >= forgetEvery) {
			forgot = now()
			// A little at a time, and what is due first.
			if old, err = a.forget(ctx); old {
				wait = min(wait, forgetPause)
			}
		}
		if err != nil && ctx.Err() == nil {
			a.log.ErrorContext(ctx, "what is over could not be written so; trying again", logging.Err, err)
			wait = retryAfter
		}
		a.next.Store(now().Add(wait).UnixMilli())
		timer.Reset(wait)
	}
}

// Turned returns when Run last began to look for what is due, which it does every half
// minute at least; zero before it runs.
func (a *Access) Turned() time.Time {
	if ms := a.turned.Load(); ms != 0 {
		return time.UnixMilli(ms)
	}
	return time.Time{}
}

// expire ends what is due and returns how long to wait for the next.
func (a *Access) expire(ctx context.Context) (time.Duration, error) {
	var due []ownline.SessionInfo
	var next time.Time
	look := func(tx Tx) (err error) {
		if due, err = tx.DueSessions(now()); err != nil {
			return err
		}
		next, err = tx.NextExpiry()
		return err
	}
	if err := a.store.Read(ctx, look); err != nil {
		return 0, err
	}
	if len(due) > 0 {
		_, err := a.change(ctx, System(), func(c *change) error {
			due, err := c.DueSessions(c.now)
			for _, s := range due[:min(len(due), 100)] { // a few at a time: knocks wait for the same lock
				if _, err := c.over(s, expiredAs(s), ""); err != nil {
					return err
				}
			}
			return err
		})
		if err != nil {
			return 0, err
		}
		if err := a.store.Read(ctx, look); err != nil {
			return 0, err
		}
	}
	if next.IsZero() {
		return lookAgain, nil
	}
	// Times are kept in whole milliseconds: a moment later it is over for certain.
	return min(max(time.Until(next)+time.Millisecond, 0), lookAgain), nil
}

// abandon ends the sessions that people were waiting for when web stopped: nobody has been
// told that they are open, so they must not open later. Those of knocks stay.
func (a *Access) abandon(ctx context.Context) error {
	_, err := a.change(ctx, System(), func(c *change) error {
		live, err := c.LiveSessions(ownline.SessionQuery{})
		if err != nil {
			return err
		}
		for _, s := range live {
			if s.State == ownline.Opening && s.Device.IsZero() && s.Opened.Before(a.started) {
				if _, err := c.end(s, ownline.Failed, "web stopped before core had applied it"); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return err
}
