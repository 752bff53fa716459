package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/store"
)

func testRetention(t *testing.T, open func(testing.TB) *store.Store) {
	s := open(t)
	f := Fill(t, s)
	// Identifiers tell when they were made: now. What is over is over since a while.
	past := time.Now().UTC().Truncate(time.Millisecond)
	over := make([]ownline.Session, 5)
	must(t, s.Write(t.Context(), func(tx *store.Tx) error {
		for i := range over {
			e := f.NewSession()
			e.State, e.Reason, e.EndedAt = ownline.Ended, ownline.Expired, past.Add(time.Duration(i)*time.Hour)
			over[i] = e
			err := errors.Join(tx.AddSession(e), tx.KeepIdempotent(f.User.ID, e.ID.String(), "ask", e.ID, T0))
			if err != nil {
				return err
			}
		}
		return nil
	}))
	forget := func(before time.Time, atMost int) (n int) {
		t.Helper()
		must(t, s.Write(t.Context(), func(tx *store.Tx) (err error) {
			n, err = tx.ForgetSessions(before, atMost)
			return err
		}))
		return n
	}
	left := func() int {
		return len(read(t, s, func(tx *store.Tx) ([]ownline.SessionInfo, error) {
			ss, _, err := tx.Sessions(ownline.SessionQuery{})
			return ss, err
		}))
	}
	if n := forget(past, 10); n != 0 {
		t.Errorf("%d sessions deleted that are not older", n)
	}
	limit := past.Add(4 * time.Hour)
	for i, want := range []int{3, 1, 0} {
		if n := forget(limit, 3); n != want {
			t.Errorf("turn %d deleted %d, want %d", i, n, want)
		}
	}
	if n := left(); n != 2 { // the fixture's, which lives, and the newest
		t.Errorf("%d sessions left, want 2", n)
	}
	for i, e := range over {
		err := s.Read(t.Context(), func(tx *store.Tx) error { _, err := tx.Session(e.ID); return err })
		if gone := errors.Is(err, ownline.ErrNotFound); gone != (i < 4) {
			t.Errorf("session %d: %v", i, err)
		}
	}
	must(t, s.AddAttempt(t.Context(), ownline.LoginAttempt{ID: ownline.NewID[ownline.LoginAttempt](), At: past, Latest: past, Count: 1, Result: ownline.LoginOK}))
	for i, want := range []int{0, 1, 0} {
		var n int
		must(t, s.Write(t.Context(), func(tx *store.Tx) (err error) {
			n, err = tx.ForgetAttempts(past.Add(time.Duration(i)*time.Hour), 10)
			return err
		}))
		if n != want {
			t.Errorf("turn %d forgot %d tries to sign in, want %d", i, n, want)
		}
	}
	if live := read(t, s, func(tx *store.Tx) ([]ownline.LiveCount, error) { return tx.LiveCounts() }); len(live) != 1 ||
		live[0] != (ownline.LiveCount{Site: "home", State: ownline.Opening, Number: 1}) {
		t.Errorf("LiveCounts = %+v", live)
	}
	if n, err := s.Size(t.Context()); n < 4096 || err != nil {
		t.Errorf("Size = %d, %v", n, err)
	}
}

// The audit log is shortened from its old end alone, and says so itself; nothing else can
// take anything from it.
func testAuditRetention(t *testing.T, open func(testing.TB) *store.Store) {
	s := open(t)
	for i := range 10 {
		must(t, s.Audit(t.Context(), ownline.AuditEntry{At: T0.Add(time.Duration(i) * time.Hour), By: "command", Action: fmt.Sprint("test.", i)}))
	}
	refused := func(what string) {
		t.Helper()
		for _, q := range []string{
			"UPDATE audit SET action = ''", "DELETE FROM audit WHERE id = (SELECT max(id) FROM audit)", "DELETE FROM audit WHERE action = 'test.8'",
			"DELETE FROM audit_cut", "UPDATE audit_cut SET line = line - 1", "UPDATE audit_cut SET line = line", "UPDATE audit_cut SET line = 1000000",
			"INSERT INTO audit_cut (one, line, at) VALUES (2, 1000000, 0)",
			"INSERT INTO audit (id, at, actor, how, client, action, subject, site, detail) SELECT id, at, '', '', '', '', '', '', '' FROM audit WHERE action = 'test.8'",
		} {
			if err := s.Exec(t.Context(), q); err == nil {
				t.Errorf("%s: %s was not refused", what, q)
			}
		}
	}
	lines := func(action string) int {
		t.Helper()
		return read(t, s, func(tx *store.Tx) (int, error) { return tx.CountAudit(action) })
	}
	forget := func() (n int) {
		t.Helper()
		must(t, s.Write(t.Context(), func(tx *store.Tx) (err error) {
			n, err = tx.ForgetAudit(4)
			return err
		}))
		return n
	}
	cut := func(before, now time.Time) {
		t.Helper()
		must(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.CutAudit(before, now, 24*time.Hour) }))
	}
	refused("before")
	now := T0.Add(1000 * time.Hour)
	cut(T0, now)
	if forget() != 0 || lines("audit.shorten") != 0 {
		t.Error("shortened although nothing is older")
	}
	cut(T0.Add(6*time.Hour), now)
	if n := lines("audit.shorten"); n != 1 {
		t.Errorf("%d lines tell of the cut, want 1", n)
	}
	for i, want := range []int{4, 2, 0} {
		if n := forget(); n != want {
			t.Errorf("turn %d deleted %d, want %d", i, n, want)
		}
	}
	for i := range 10 {
		if n := lines(fmt.Sprint("test.", i)); (n == 1) != (i >= 6) {
			t.Errorf("line %d is there %d times", i, n)
		}
	}
	refused("after")
	cut(T0.Add(8*time.Hour), now.Add(23*time.Hour))
	if forget() != 0 {
		t.Error("shortened again within a day")
	}
	cut(T0.Add(8*time.Hour), now.Add(24*time.Hour))
	if n := forget(); n != 2 {
		t.Errorf("the day after %d were deleted, want 2", n)
	}
	// Even when all is old, the line about it stays.
	cut(now.Add(1000*time.Hour), now.Add(1000*time.Hour))
	for forget() > 0 {
	}
	if n := lines("audit.shorten"); n != 1 {
		t.Errorf("%d lines of cuts left, want the last", n)
	}
}
