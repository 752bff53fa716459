package access_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
)

func TestEnded(t *testing.T) {
	for name, tc := range map[string]struct {
		why   ownline.EndReason
		state ownline.SessionState
		want  ownline.EndReason
		again bool
	}{
		"before its time":          {ownline.Expired, ownline.Active, "", true},
		"flushed on the router":    {ownline.Flushed, ownline.Ended, ownline.Flushed, false},
		"something unheard of":     {"moon", ownline.Ended, ownline.Failed, false},
		"core could not go on":     {ownline.Failed, ownline.Ended, ownline.Failed, false},
		"a reason from the future": {"", ownline.Ended, ownline.Failed, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			s := h.open(h.ana, access.OpenAsk{Service: h.ssh.ID})
			rev := revision(t, h)
			counted := ownline.Traffic{UpBytes: 10, UpPackets: 1}
			again, err := h.Ended(t.Context(), h.site.ID, []link.Ended{
				{ID: ownline.NewID[ownline.Session](), Reason: ownline.Expired}, // of another web, long ago
				{ID: s.ID, Reason: tc.why, Traffic: counted},
			})
			if err != nil || again != tc.again {
				t.Errorf("Ended = %t, %v; want %t", again, err, tc.again)
			}
			got, err := h.Session(t.Context(), command, s.ID)
			if err != nil || got.State != tc.state || got.Reason != tc.want || got.Traffic != counted {
				t.Errorf("session = %+v, %v", got, err)
			}
			if tc.state == ownline.Ended && revision(t, h) <= rev {
				t.Error("a state that is on its way may open it again: the revision has not grown")
			}
			// A second report, and one of another site, change nothing.
			for _, site := range []ownline.SiteID{h.site.ID, ownline.NewID[ownline.Site]()} {
				if _, err := h.Ended(t.Context(), site, []link.Ended{{ID: s.ID, Reason: ownline.Closed}}); err != nil {
					t.Error(err)
				}
				if tc.state != ownline.Ended {
					break
				}
			}
			if after, _ := h.Session(t.Context(), command, s.ID); tc.state == ownline.Ended && after != got {
				t.Errorf("session = %+v, want %+v", after, got)
			}
		})
	}
}

func TestTraffic(t *testing.T) {
	h := newHouse(t)
	s := h.open(h.ana, access.OpenAsk{Service: h.ssh.ID})
	count := func(site ownline.SiteID, c ownline.Traffic) ownline.Traffic {
		t.Helper()
		if err := h.Traffic(t.Context(), site, []link.Traffic{{ID: s.ID, Traffic: c}, {ID: ownline.NewID[ownline.Session]()}}); err != nil {
			t.Fatal(err)
		}
		got, err := h.Session(t.Context(), command, s.ID)
		if err != nil {
			t.Fatal(err)
		}
		return got.Traffic
	}
	much := ownline.Traffic{UpBytes: 1000, UpPackets: 10, DownBytes: 5000, DownPackets: 20}
	if got := count(h.site.ID, much); got != much {
		t.Errorf("traffic = %+v", got)
	}
	if got := count(h.site.ID, ownline.Traffic{UpBytes: 1, UpPackets: 1}); got != much {
		t.Errorf("a router that counts from zero again left %+v", got)
	}
	if got := count(ownline.NewID[ownline.Site](), ownline.Traffic{UpBytes: 1 << 40, UpPackets: 1 << 20}); got != much {
		t.Errorf("another site's core left %+v", got)
	}
}

func TestTold(t *testing.T) {
	h := newHouse(t)
	st := link.Status{KnockPort: 1234, ReservedPorts: []uint16{22, 80}, LocalNetworks: h.site.LocalNetworks}
	if err := h.Told(t.Context(), h.site.ID, st); err != nil {
		t.Fatal(err)
	}
	s, err := h.Site(t.Context(), command, h.site.ID)
	if err != nil || s.KnockPort != 1234 || len(s.ReservedPorts) != 2 {
		t.Errorf("site = %+v, %v", s, err)
	}
	epoch := func() string {
		d, _, err := h.Desired(t.Context(), h.site.ID)
		if err != nil {
			t.Fatal(err)
		}
		return d.Epoch
	}
	before := epoch()
	st.Applied = link.Revision{Epoch: before, Revision: revision(t, h)}
	if err := h.Told(t.Context(), h.site.ID, st); err != nil || epoch() != before {
		t.Errorf("a core that is up to date began a new epoch, %v", err)
	}
	st.Applied.Revision++
	if err := h.Told(t.Context(), h.site.ID, st); err != nil || epoch() == before {
		t.Errorf("a core that is ahead of the database began no new epoch, %v", err)
	}
}

// What a knock may not do: only those in order get a word. Core is told why the others do not, and so is
// the log.
func TestKnockRefusals(t *testing.T) {
	h := newHouse(t)
	var log strings.Builder
	h.log = slog.NewTextHandler(&log, nil)
	h.Access = h.with(h.cores)
	ctx := t.Context()
	add := func(name string, claimed bool) ownline.Device {
		d, _, err := h.AddDevice(ctx, h.ana, access.NewDevice{Site: h.site.ID, Name: name, RequireClaimedSource: claimed})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	d, strict, revoked := add("phone", false), add("strict", true), add("revoked", false)
	if _, err := h.RevokeDevice(ctx, h.ana, revoked.ID); err != nil {
		t.Fatal(err)
	}
	n := byte(0)
	knocked := func(d ownline.DeviceID) link.Knocked {
		n++
		return link.Knocked{Device: d, Nonce: append(make([]byte, 11), n), Made: time.Now(), Source: anaAt, Skew: time.Minute}
	}
	wrongSource, rightSource := knocked(d.ID), knocked(strict.ID)
	wrongSource.Claimed, rightSource.Claimed = bobAt, anaAt
	for name, tc := range map[string]struct {
		k    link.Knocked
		site ownline.SiteID
		why  string
	}{
		"unknown device":               {knocked(ownline.NewID[ownline.Device]()), h.site.ID, "unknown_device"},
		"revoked device":               {knocked(revoked.ID), h.site.ID, "device_revoked"},
		"another site's core":          {knocked(d.ID), ownline.NewID[ownline.Site](), "device_revoked"},
		"claims another source":        {wrongSource, h.site.ID, "claimed_source_differs"},
		"claims none although it must": {knocked(strict.ID), h.site.ID, "claimed_source_missing"},
		"claims the right one":         {rightSource, h.site.ID, ""},
		"in order":                     {knocked(d.ID), h.site.ID, ""},
	} {
		log.Reset()
		v, later, err := h.Knock(ctx, tc.site, tc.k)
		if err != nil || v == nil || v.Ignored != tc.why || (v.Status == 0) != (tc.why != "") || tc.why != "" && len(v.Sessions) > 0 || len(later) != 0 {
			t.Errorf("%s: Knock = %+v, %v", name, v, err)
		}
		line := log.String()
		if tc.why == "" && line != "" || tc.why != "" && (!strings.Contains(line, "a knock was refused") || !strings.Contains(line, "device="+tc.k.Device.String()) ||
			!strings.Contains(line, "source="+anaAt.String()) || !strings.Contains(line, "reason="+tc.why)) {
			t.Errorf("%s: the log says %q", name, line)
		}
	}
	bad := knocked(d.ID)
	bad.Skew = time.Hour
	if v, _, err := h.Knock(ctx, h.site.ID, bad); v != nil || err == nil {
		t.Errorf("a core that accepts everything: %+v, %v", v, err)
	}
	// A user who is disabled: their devices open nothing.
	yes := true
	if _, err := h.ChangeUser(ctx, command, h.ana.User.ID, access.UserChange{Disabled: &yes}); err != nil {
		t.Fatal(err)
	}
	if v, _, err := h.Knock(ctx, h.site.ID, knocked(d.ID)); err != nil || v.Ignored != "device_revoked" {
		t.Errorf("disabled: Knock = %+v, %v", v, err)
	}
}
