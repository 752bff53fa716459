package access

import (
	"context"
	"time"

	"github.com/ownline/ownline/internal/logging"
)

// lookElsewhere is how soon readers of events learn of what another process has changed: a
// command on this machine, or another replica.
const lookElsewhere = 250 * time.Millisecond

// learned is told how many changes there had been at some moment. When it is not as many
// as this process has made or heard of, the events of some were published elsewhere, and
// every reader here is sent to fetch everything again. The caller holds order.
func (a *Access) learned(changes int64) {
	if a.changes >= 0 && changes != a.changes {
		a.hub.forget()
	}
	a.changes = changes
}

// Follow looks for changes by other processes until ctx ends, so that readers of events
// learn of them.
func (a *Access) Follow(ctx context.Context) error {
	tick := time.NewTicker(lookElsewhere)
	defer tick.Stop()
	failing := false
	for {
		err := a.lookElsewhere(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			a.log.WarnContext(ctx, "changes by other processes can't be seen; trying again", logging.Err, err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (a *Access) lookElsewhere(ctx context.Context) error {
	// With order held, nothing of our own is committed but not yet published.
	a.order.Lock()
	defer a.order.Unlock()
	return a.store.Read(ctx, func(tx Tx) error {
		n, err := tx.Changes()
		if err == nil {
			a.learned(n)
		}
		return err
	})
}
