package udpknock

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/knock/fwknop"
	"github.com/ownline/ownline/internal/knock/fwknop/fwknoptest"
	"github.com/ownline/ownline/internal/link"
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
	if len(outcomes) != 3 || outcomes[0] != "time" || outcomes[1] != "replay" || outcomes[2] != "not_granted" {
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

// Who copies a hint, or a knock, neither washes away what became of genuine knocks nor is taken for their device.
func TestForgeriesDisplaceNothing(t *testing.T) {
	w := newWorld(t, nil)
	of := func() []Seen { return w.Recent(func(from netip.Addr) bool { return from == client.Addr() }) }
	p := w.knock(nil)
	copied := *p
	w.take(p, client, nil)
	for range 300 {
		again, forged := copied, copied
		forged[60] ^= 1
		w.take(&again, client, nil)
		w.take(&forged, client, nil)
	}
	all := of()
	for i, s := range all {
		if forged := s.Outcome == "seal"; forged != s.Device.IsZero() || forged != (s.Hint == w.device.ID) {
			t.Fatalf("taken for a device's: %+v", s)
		}
		if i > 0 && s.At.After(all[i-1].At) {
			t.Fatalf("not the newest first: %v, then %v", all[i-1].At, s.At)
		}
	}
	kinds := func(seen []Seen) map[string]int {
		n := make(map[string]int)
		for _, s := range seen {
			n[s.Outcome]++
		}
		return n
	}
	if got := kinds(all); got[Waiting] != 1 || got["replay"] != 256 || got["seal"] != 256 {
		t.Errorf("remembered are %v", got)
	}
	shown := Fair(all, 10)
	if got := kinds(shown); len(shown) != 10 || got[Waiting] != 1 || got["replay"] < 3 || got["seal"] < 3 || shown[0].Outcome != "seal" || shown[9].Outcome != Waiting {
		t.Errorf("picked are %v", got)
	}
	// The other way round: what came last is among ten, whatever is older.
	for range 20 {
		w.take(w.knock(nil), client, nil)
	}
	forged := copied
	forged[60] ^= 1
	w.take(&forged, client, nil)
	if shown := Fair(of(), 10); shown[0].Outcome != "seal" || kinds(shown)[Waiting] < 3 {
		t.Errorf("picked are %v, the first is %+v", kinds(shown), shown[0])
	}
	if got := Fair(of()[:2], 10); len(got) != 2 {
		t.Errorf("%d of 2 are picked", len(got))
	}
}

// What a key made that counts no more is told as that: of a device that is gone, and of one that has another key.
func TestRecentGone(t *testing.T) {
	w := newWorld(t, nil)
	keys := fwknop.Keys{Digest: fwknop.SHA256, Key: bytes.Repeat([]byte{1}, 32), HMAC: bytes.Repeat([]byte{2}, 64)}
	other := link.FwknopDevice{ID: ownline.NewID[ownline.Device](), Digest: keys.Digest, Key: keys.HMAC}
	w.cfg.DeliverFwknop = func(link.Fwknop) bool { return true }
	newKey := link.Device{ID: w.device.ID, Secret: bytes.Repeat([]byte{5}, knock.SecretSize)}
	newMAC := other
	newMAC.Key = bytes.Repeat([]byte{6}, 64)
	for _, tc := range []struct {
		name    string
		devices []link.Device
		fwknop  []link.FwknopDevice
		gone    []bool // the fwknop packet, then the knock
	}{
		{"all are there", []link.Device{w.device}, []link.FwknopDevice{other}, []bool{false, false}},
		{"the device has a new key", []link.Device{newKey}, []link.FwknopDevice{other}, []bool{false, true}},
		{"the fwknop client has a new key", []link.Device{w.device}, []link.FwknopDevice{newMAC}, []bool{true, false}},
		{"none is there", nil, nil, []bool{true, true}},
	} {
		if err := w.SetDevices(w.site, 64, []link.Device{w.device}, []link.FwknopDevice{other}); err != nil {
			t.Fatal(err)
		}
		w.take(w.knock(nil), client, nil)
		w.takeFwknop(fwknoptest.Seal(keys, tc.name+fwknoptest.Plain(fwknoptest.Message{Time: noon, Access: "0.0.0.0,tcp/22"})), client)
		if err := w.SetDevices(w.site, 64, tc.devices, tc.fwknop); err != nil {
			t.Fatal(err)
		}
		var gone []bool
		for _, s := range w.Recent(func(netip.Addr) bool { return true })[:2] {
			gone = append(gone, s.Gone)
		}
		if !slices.Equal(gone, tc.gone) {
			t.Errorf("%s: gone are %v, want %v", tc.name, gone, tc.gone)
		}
	}
}
