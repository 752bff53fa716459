package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// ForgetSessions deletes some sessions that ended before, and what hangs on them; the
// oldest first. It returns how many.
func (t *Tx) ForgetSessions(before time.Time, atMost int) (int, error) {
	// Identifiers begin with the time at which they were made: only what was opened before
	// is looked at, which needs no index of its own.
	ids, err := all(t, func(scan scanner) (id string, err error) { err = scan(&id); return id, err },
		"SELECT id FROM sessions WHERE id < ? AND state = 'ended' AND ended < ? ORDER BY id LIMIT ?", firstID(before), ms(before), atMost)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		if err := t.exec("DELETE FROM idempotency WHERE session_id = ?", id); err != nil {
			return 0, err
		}
		if err := t.exec("DELETE FROM sessions WHERE id = ?", id); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}

// ForgetAttempts deletes some tries to sign in, the latest of which was made before; the
// oldest first. It returns how many rows.
func (t *Tx) ForgetAttempts(before time.Time, atMost int) (int, error) {
	n, err := t.c.exec("DELETE FROM login_attempts WHERE id IN (SELECT id FROM login_attempts WHERE id < ? AND latest < ? ORDER BY id LIMIT ?)",
		firstID(before), ms(before), atMost)
	return int(n), err
}

// firstID is below every identifier that was made at that time or later (UUID version 7,
// RFC 9562, section 5.7), and above all made before.
func firstID(at time.Time) string {
	n := at.UnixMilli()
	return fmt.Sprintf("%08x-%04x-7000-8000-000000000000", n>>16, n&0xffff)
}

// LiveCounts counts the live sessions by site and state.
func (t *Tx) LiveCounts() ([]ownline.LiveCount, error) {
	return all(t, func(scan scanner) (n ownline.LiveCount, err error) {
		err = scan(&n.Site, &n.State, &n.Number)
		return n, err
	},
		`SELECT t.name, e.state, count(*) FROM sessions e JOIN sites t ON t.id = e.site_id
			WHERE e.state <> 'ended' GROUP BY t.name, e.state ORDER BY t.name, e.state`)
}

// CutAudit lets ForgetAudit delete the lines before, unless it did so less than every ago.
// The database itself adds a line that says so.
func (t *Tx) CutAudit(before, now time.Time, every time.Duration) error {
	var line, at int64
	if err := t.one("SELECT line, at FROM audit_cut", nil, &line, &at); err != nil {
		return err
	}
	if at > now.Add(-every).UnixMilli() {
		return nil
	}
	var last int64
	err := t.one("SELECT id FROM audit WHERE id > ? AND at < ? ORDER BY id LIMIT 1", []any{line, ms(before)}, &last)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	} else if err != nil {
		return err
	}
	// Up to the first line that is to be kept: lines are numbered in the order of their
	// times, but for clocks that were set.
	err = t.one("SELECT id FROM audit WHERE id > ? AND at >= ? ORDER BY id LIMIT 1", []any{line, ms(before)}, &last)
	if errors.Is(err, sql.ErrNoRows) {
		err = t.one("SELECT max(id) + 1 FROM audit", nil, &last)
	}
	if err != nil || last-1 <= line {
		return err
	}
	return t.exec("UPDATE audit_cut SET line = ?, at = ?", last-1, ms(now))
}

// ForgetAudit deletes some of the lines that CutAudit has let go, the oldest first, and
// returns how many.
func (t *Tx) ForgetAudit(atMost int) (int, error) {
	n, err := t.c.exec("DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE id <= (SELECT line FROM audit_cut) ORDER BY id LIMIT ?)", atMost)
	return int(n), err
}

// CountAudit counts the lines of the audit log about one action.
func (t *Tx) CountAudit(action string) (n int, err error) {
	err = t.one("SELECT count(*) FROM audit WHERE action = ?", []any{action}, &n)
	return n, err
}

// Size returns how large the database is, in bytes.
func (s *Store) Size(ctx context.Context) (n int64, err error) {
	err = s.Read(ctx, func(t *Tx) error { return t.one(s.dialect.size, nil, &n) })
	return n, err
}
