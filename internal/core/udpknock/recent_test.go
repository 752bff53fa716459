package udpknock

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/ownline"
)

// What became of a device's knocks is known after a flood of strangers, too.
func TestRecent(t *testing.T) {
	w := newWorld(t, nil)
	before := time.Now()
	p := w.knock(func(n *knock.Knock) { n.Time = noon.Add(7 * time.Second) })
	again := *p
	w.take(p, client, nil)
	of := func(a netip.AddrPort) []Seen {
		return w.Recent(func(from netip.Addr) bool { return from == a.Addr() })
	}
	if got := of(client); len(got) != 1 || got[0].Outcome != Waiting || got[0].Device != w.device.ID || got[0].Skew != 7*time.Second || got[0].At.Before(before) {
		t.Fatalf("before web's word: %+v", got)
	}
	if err := w.Verdict((<-w.delivered).Seq, knock.NothingGranted, "", 0, time.Time{}); err != nil {
		t.Fatal(err)
	}
	w.take(&again, client, nil)
	w.take(w.knock(func(n *knock.Knock) { n.Time = noon.Add(-2 * time.Minute) }), client, nil)
	for range 1000 {
		w.take(new(knock.Packet), client6, nil)
	}
	var outcomes []string
	for _, s := range of(client) {
		outcomes = append(outcomes, s.Outcome)
	}
	if len(outcomes) != 3 || outcomes[0] != "time" || outcomes[1] != "replay" || outcomes[2] != "nothing granted" {
		t.Errorf("newest first: %q", outcomes)
	}
	if got := of(client6); len(got) != 256 || got[0].Outcome != "unknown_hint" || !got[0].Device.IsZero() {
		t.Errorf("%d strangers, the first is %+v", len(got), got[0])
	}
	// Web's reason to ignore one is told, its device is not; it is counted as any that is ignored.
	w.take(w.knock(nil), client, nil)
	ignores := (<-w.delivered).Seq
	w.Judge(ignores, []Judged{{Service: "nas", Refused: "policy_grant"}})
	w.Ignore(ignores, "claimed_source_missing")
	w.Ignore(ignores, "replay")
	if got, n := of(client)[0], w.Counts(); got.Outcome != "claimed_source_missing" || len(got.Services) != 1 || n.Dropped["ignored"] != 1 || n.Dropped["claimed_source_missing"] != 0 {
		t.Errorf("ignored for a reason: %+v, %+v", got, n)
	}
	if err := w.Verdict(ignores, knock.Opened, "", 1, time.Time{}); !errors.Is(err, ownline.ErrNotFound) {
		t.Errorf("a word on what was ignored: %v", err)
	}
	// Of more services than there is room for, those of the newest knocks are kept.
	for _, services := range [][]Judged{make([]Judged, 3000), make([]Judged, 3000), make([]Judged, 5000), {{Service: "nas"}}} {
		w.take(w.knock(nil), client, nil)
		w.Judge((<-w.delivered).Seq, services)
	}
	var kept []int
	for _, s := range of(client)[:5] {
		kept = append(kept, len(s.Services))
	}
	if !slices.Equal(kept, []int{1, 0, 0, 0, 0}) {
		t.Errorf("%v services are kept, the newest first", kept)
	}
	w.take(w.knock(nil), client, nil)
	w.forget(time.Now().Add(verdictWithin + time.Second))
	if got := of(client); got[0].Outcome != "ignored" {
		t.Errorf("without a word of web: %+v", got[0])
	}
}
