// Package follow keeps what is made from the database as new as the database.
package follow

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/web/access"
)

const (
	lookEvery  = 10 * time.Second // for what no event tells: time passes, too
	retryAfter = time.Second
)

// Changes tells of what has changed.
type Changes interface {
	Next(context.Context) (access.Event, error)
}

// Run has look called at once, after every change of one of the kinds of resource, and every
// 10 seconds, until ctx ends; a second after it has failed, again.
func Run(ctx context.Context, changes Changes, look func(context.Context) error, log *slog.Logger, kinds ...string) {
	changed := make(chan struct{}, 1)
	var wg sync.WaitGroup
	wg.Go(func() { listen(ctx, changes, changed, kinds) })
	defer wg.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-timer.C:
		}
		wait := lookEvery
		if err := look(ctx); err != nil && ctx.Err() == nil {
			log.Error("the database can't be read; trying again", logging.Err, err)
			wait = retryAfter
		}
		timer.Reset(wait)
	}
}

// listen notes that something has changed.
func listen(ctx context.Context, changes Changes, changed chan<- struct{}, kinds []string) {
	for {
		ev, err := changes.Next(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !errors.Is(err, access.ErrMissed):
			select { // the timer of Run finds what is new meanwhile
			case <-time.After(lookEvery):
			case <-ctx.Done():
				return
			}
			continue
		case err == nil && !slices.Contains(kinds, ev.Kind):
			continue
		}
		select {
		case changed <- struct{}{}:
		default:
		}
	}
}
