package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/store"
)

func testRefusals(t *testing.T, open func(testing.TB) *store.Store) {
	s := open(t)
	f := Fill(t, s)
	refuse := func(device ownline.DeviceID, reason string, n uint64, first, latest time.Time) {
		t.Helper()
		must(t, s.Write(t.Context(), func(tx *store.Tx) error {
			return tx.Refuse(ownline.Refusal{Site: f.Site.ID, Device: device, Reason: reason, Number: n, First: first, Latest: latest})
		}))
	}
	list := func(q ownline.RefusalQuery) []ownline.RefusalInfo {
		t.Helper()
		return read(t, s, func(tx *store.Tx) ([]ownline.RefusalInfo, error) { return tx.Refusals(q) })
	}
	nobody, day := ownline.DeviceID{}, 24*time.Hour
	refuse(f.Device.ID, "policy_grant", 2, T0, T0.Add(time.Minute))
	refuse(f.Device.ID, "policy_grant", 1, T0.Add(-time.Minute), T0)
	refuse(f.Device.ID, "policy_grant", 1, T0.Add(-day), T0.Add(-day))
	refuse(nobody, "unknown_hint", 1<<40, T0, T0)
	must(t, s.Write(t.Context(), func(tx *store.Tx) error {
		return tx.Refuse(ownline.Refusal{Reason: "broker_noise", Number: 1, First: T0.Add(-2 * day), Latest: T0.Add(-2 * day)})
	}))
	info := func(r ownline.Refusal) ownline.RefusalInfo {
		i := ownline.RefusalInfo{Refusal: r}
		if !r.Site.IsZero() {
			i.SiteName = f.Site.Name
		}
		if !r.Device.IsZero() {
			i.DeviceName, i.User, i.UserName = f.Device.Name, f.User.ID, f.User.Name
		}
		return i
	}
	grant := info(ownline.Refusal{Site: f.Site.ID, Device: f.Device.ID, Reason: "policy_grant", Number: 4, First: T0.Add(-day), Latest: T0.Add(time.Minute)})
	hint := info(ownline.Refusal{Site: f.Site.ID, Reason: "unknown_hint", Number: 1 << 40, First: T0, Latest: T0})
	noise := info(ownline.Refusal{Reason: "broker_noise", Number: 1, First: T0.Add(-2 * day), Latest: T0.Add(-2 * day)})
	equal(t, "all", list(ownline.RefusalQuery{Limit: 10}), []ownline.RefusalInfo{grant, hint, noise})
	equal(t, "the latest", list(ownline.RefusalQuery{Limit: 1}), []ownline.RefusalInfo{grant})
	equal(t, "of the site", list(ownline.RefusalQuery{Site: f.Site.ID, Limit: 10}), []ownline.RefusalInfo{grant, hint})
	today := grant
	today.Number, today.First = 3, T0.Add(-time.Minute)
	equal(t, "of today", list(ownline.RefusalQuery{Since: T0.Add(time.Hour), Limit: 10}), []ownline.RefusalInfo{today, hint})

	at := T0
	more := func(run, reason string, number uint64) (n uint64) {
		t.Helper()
		at = at.Add(time.Minute)
		must(t, s.Write(t.Context(), func(tx *store.Tx) (err error) {
			n, err = tx.RefusedMore(f.Site.ID, run, reason, number, at)
			return err
		}))
		return n
	}
	for i, c := range []struct {
		run, reason  string
		number, want uint64
	}{
		{"a", "replay", 5, 5},
		{"a", "replay", 7, 2},
		{"a", "replay", 7, 0},
		{"a", "replay", 6, 0}, // told late
		{"a", "seal", 1, 1},
		{"b", "replay", 3, 3}, // core was started anew
		{"a", "replay", 6, 0}, // what it had said before, late
		{"a", "replay", 8, 1}, // and what it had not
		{"b", "replay", 4, 1},
	} {
		if n := more(c.run, c.reason, c.number); n != c.want {
			t.Errorf("%d: %d more of %d, want %d", i, n, c.number, c.want)
		}
	}
	// Runs are forgotten, the one first that has said nothing for the longest time.
	for i := range 6 {
		more(fmt.Sprint("run", i), "replay", 1)
	}
	if a, b := more("a", "replay", 8), more("b", "replay", 4); a != 0 || b != 0 {
		t.Errorf("of 8 runs two are forgotten: %d and %d more", a, b)
	}
	more("run6", "replay", 1)
	if b, a := more("b", "replay", 4), more("a", "replay", 8); b != 0 || a != 8 {
		t.Errorf("after the ninth run: %d more of the last but one and %d of the first, want 0 and 8", b, a)
	}
	at = T0.Add(-day) // a clock that was set back forgets no run that speaks
	if n, again := more("run7", "replay", 2), more("run7", "replay", 2); n != 2 || again != 0 {
		t.Errorf("with an early clock: %d and %d more, want 2 and 0", n, again)
	}

	forget := func(before time.Time, atMost int) (n int) {
		t.Helper()
		must(t, s.Write(t.Context(), func(tx *store.Tx) (err error) {
			n, err = tx.ForgetRefusals(before, atMost)
			return err
		}))
		return n
	}
	if a, b, c := forget(T0, 1), forget(T0, 9), forget(T0, 9); a != 1 || b != 1 || c != 0 {
		t.Errorf("%d, %d and %d rows forgotten, want 1, 1 and 0", a, b, c)
	}
	equal(t, "what is left", list(ownline.RefusalQuery{Limit: 10}), []ownline.RefusalInfo{today, hint})
}
