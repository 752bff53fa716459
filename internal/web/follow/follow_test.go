package follow

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ownline/ownline/internal/web/access"
)

// told is what Next returns, one after the other.
type told chan any

func (c told) Next(ctx context.Context) (access.Event, error) {
	select {
	case v := <-c:
		if err, ok := v.(error); ok {
			return access.Event{}, err
		}
		return access.Event{Kind: v.(string)}, nil
	case <-ctx.Done():
		return access.Event{}, ctx.Err()
	}
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		changes := make(told)
		var looks atomic.Int32
		var fails atomic.Bool
		look := func(context.Context) error {
			looks.Add(1)
			if fails.Load() {
				return errors.New("no database")
			}
			return nil
		}
		var over sync.WaitGroup
		over.Go(func() { Run(ctx, changes, look, slog.New(slog.DiscardHandler), access.EventDevice, access.EventUser) })
		want := func(when string, n int32) {
			t.Helper()
			synctest.Wait()
			if got := looks.Swap(0); got != n {
				t.Errorf("%s: %d looks, want %d", when, got, n)
			}
		}
		want("at once", 1)
		changes <- access.EventDevice
		want("after a change", 1)
		changes <- access.EventUser
		want("after another one", 1)
		changes <- access.EventGrant
		want("after a change of another kind", 0)
		changes <- access.ErrMissed
		want("after changes that were missed", 1)
		time.Sleep(lookEvery - time.Millisecond)
		want("before 10 seconds without a change", 0)
		time.Sleep(time.Millisecond)
		want("after 10 seconds", 1)

		fails.Store(true)
		changes <- access.EventUser
		want("when it fails", 1)
		time.Sleep(retryAfter)
		want("a second after it failed", 1)
		fails.Store(false)
		time.Sleep(retryAfter)
		want("a second after it failed again", 1)
		time.Sleep(retryAfter)
		want("a second after it went well", 0)

		changes <- errors.New("no more events")
		want("when events can't be had", 0)
		time.Sleep(lookEvery - retryAfter)
		want("10 seconds after the last look", 1)
		time.Sleep(retryAfter) // the events are back
		changes <- access.EventUser
		want("after a change again", 1)

		cancel()
		over.Wait()
		want("after the end", 0)
	})
}
