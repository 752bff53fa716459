package access

import (
	"context"
	"time"
)

// Retention is how long what is over is kept; 0: for ever.
type Retention struct {
	History time.Duration // sessions, from their end, and refused knocks
	Audit   time.Duration // lines of the audit log, and a day more
	Logins  time.Duration // tries to sign in, from the latest of those that are alike
}

const (
	// forgetAtOnce and forgetPause: knocks wait for the same lock.
	forgetAtOnce = 200
	forgetPause  = 100 * time.Millisecond
	forgetEvery  = time.Hour
	// cutEvery is how often the audit log is shortened: each time adds a line to it.
	cutEvery = 24 * time.Hour
)

// forget deletes a little of what need not be kept any more, and reports whether there may
// be more.
func (a *Access) forget(ctx context.Context) (more bool, err error) {
	at := now()
	err = a.store.Write(ctx, func(tx Tx) error {
		if keep := a.retention.History; keep > 0 {
			n, err := tx.ForgetSessions(at.Add(-keep), forgetAtOnce)
			if err != nil {
				return err
			}
			more = more || n == forgetAtOnce
			if n, err = tx.ForgetRefusals(at.Add(-keep), forgetAtOnce); err != nil {
				return err
			}
			more = more || n == forgetAtOnce
		}
		if keep := a.retention.Logins; keep > 0 {
			n, err := tx.ForgetAttempts(at.Add(-keep), forgetAtOnce)
			if err != nil {
				return err
			}
			more = more || n == forgetAtOnce
		}
		if keep := a.retention.Audit; keep > 0 {
			if err := tx.CutAudit(at.Add(-keep), at, cutEvery); err != nil {
				return err
			}
		}
		n, err := tx.ForgetAudit(forgetAtOnce)
		more = more || n == forgetAtOnce
		return err
	})
	return more, err
}
