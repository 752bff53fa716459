package access_test

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
)

// next returns the next event, or nil when none comes soon.
func next(t *testing.T, s *access.Stream) *access.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	ev, err := s.Next(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return &ev
}

func TestEvents(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	root, ana, bob := h.Subscribe(h.root, 0), h.Subscribe(h.ana, 0), h.Subscribe(h.bob, 0)
	s := h.open(h.ana, access.OpenAsk{Service: h.ssh.ID})
	var last uint64
	for _, want := range []ownline.SessionState{ownline.Opening, ownline.Active} {
		for who, stream := range map[string]*access.Stream{"root": root, "ana": ana} {
			ev := next(t, stream)
			if ev == nil || ev.Kind != access.EventSession {
				t.Fatalf("%s: %+v", who, ev)
			}
			got := ev.Resource.(ownline.SessionInfo)
			if got.ID != s.ID || got.State != want || got.UserName != "ana" {
				t.Errorf("%s: %+v, want state %s", who, got, want)
			}
			last = ev.Seq
		}
	}
	if ev := next(t, bob); ev != nil {
		t.Errorf("bob learns of ana's session: %+v", ev)
	}
	// Whoever comes back goes on where they were.
	if _, err := h.Close(ctx, h.ana, s.ID); err != nil {
		t.Fatal(err)
	}
	if ev := next(t, h.Subscribe(h.ana, last)); ev == nil || ev.Seq <= last || ev.Resource.(ownline.SessionInfo).Reason != ownline.Closed {
		t.Errorf("after %d comes %+v", last, ev)
	}
	for _, after := range []uint64{1, last + 1_000_000} {
		if _, err := h.Subscribe(h.ana, after).Next(ctx); !errors.Is(err, access.ErrMissed) {
			t.Errorf("after %d: %v, want ErrMissed", after, err)
		}
	}
	next(t, ana) // the close

	// Rights are judged for every event.
	if err := h.RemoveService(ctx, command, h.ssh.ID); err != nil {
		t.Fatal(err)
	}
	if ev := next(t, ana); ev == nil || ev.Kind != access.EventService || !ev.Removed {
		t.Errorf("ana does not learn that her service is gone: %+v", ev)
	}
	name := "villa"
	if _, err := h.ChangeSite(ctx, command, h.site.ID, access.SiteChange{Name: &name}); err != nil {
		t.Fatal(err)
	}
	if ev := next(t, ana); ev != nil {
		t.Errorf("ana has nothing at the site any more, but sees %+v", ev)
	}
	yes := true
	if _, err := h.ChangeUser(ctx, command, h.bob.User.ID, access.UserChange{Disabled: &yes}); err != nil {
		t.Fatal(err)
	}
	if _, err := bob.Next(ctx); !errors.Is(err, ownline.ErrForbidden) {
		t.Errorf("a disabled user's stream goes on: %v", err)
	}
}

// Who looks at a device learns of its knocks, whatever they open.
func TestKnockIsTold(t *testing.T) {
	h := newHouse(t)
	d, _, err := h.AddDevice(t.Context(), h.ana, access.NewDevice{Site: h.site.ID, Name: "phone"})
	if err != nil {
		t.Fatal(err)
	}
	ana, bob := h.Subscribe(h.ana, 0), h.Subscribe(h.bob, 0)
	k := link.Knocked{Device: d.ID, Nonce: make([]byte, 12), Made: time.Now(), Source: anaAt, Skew: time.Minute}
	for range 2 { // the second is a repeated one, which is no knock
		if _, _, err := h.Knock(t.Context(), h.site.ID, k); err != nil {
			t.Fatal(err)
		}
	}
	ev := next(t, ana)
	if ev == nil || ev.Kind != access.EventDevice {
		t.Fatalf("ana learns of %+v", ev)
	}
	if got := ev.Resource.(ownline.Device); got.ID != d.ID || got.LastKnock.IsZero() || got.LastSource.Addr() != anaAt || got.Secret != nil {
		t.Errorf("the device is %+v", got)
	}
	if more, theirs := next(t, ana), next(t, bob); more != nil || theirs != nil {
		t.Errorf("and then of %+v; bob of %+v", more, theirs)
	}
}

func TestSlowReader(t *testing.T) {
	h := newHouse(t)
	stream := h.Subscribe(h.root, 0)
	for range 5000 {
		if err := h.HealthChanged(t.Context(), h.site.ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := stream.Next(t.Context()); !errors.Is(err, access.ErrMissed) {
		t.Errorf("Next = %v, want ErrMissed", err)
	}
	if err := h.HealthChanged(t.Context(), h.site.ID); err != nil {
		t.Fatal(err)
	}
	if ev := next(t, stream); ev == nil || ev.Kind != access.EventSite {
		t.Errorf("reading on gives %+v", ev)
	}
}

// What a command or another replica changes sends the readers here to look again; what a
// process changes itself, and counters, do not.
func TestChangesElsewhere(t *testing.T) {
	h := newHouse(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- h.Follow(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	reader := h.Subscribe(h.root, 0)
	s := h.open(h.ana, access.OpenAsk{Service: h.ssh.ID})
	for range 2 { // opening, active
		if ev := next(t, reader); ev == nil || ev.Kind != access.EventSession {
			t.Fatalf("%+v", ev)
		}
	}
	other := h.with(h.cores)
	if err := other.Traffic(ctx, h.site.ID, []link.Traffic{{ID: s.ID, Traffic: ownline.Traffic{UpBytes: 7}}}); err != nil {
		t.Fatal(err)
	}
	wait, stop := context.WithTimeout(ctx, 600*time.Millisecond)
	defer stop()
	if ev, err := reader.Next(wait); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("after counters by another process: %+v, %v", ev, err)
	}
	if _, err := other.AddUser(ctx, access.Command(), access.NewUser{Name: "eva", Password: "x"}); err != nil {
		t.Fatal(err)
	}
	wait, stop = context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	if ev, err := reader.Next(wait); !errors.Is(err, access.ErrMissed) {
		t.Fatalf("after a change by another process: %+v, %v; want ErrMissed", ev, err)
	}
	// A change of our own right behind one elsewhere hides nothing.
	if _, err := other.AddUser(ctx, access.Command(), access.NewUser{Name: "fay", Password: "x"}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Close(ctx, h.ana, s.ID); err != nil {
		t.Fatal(err)
	}
	if ev, err := reader.Next(wait); !errors.Is(err, access.ErrMissed) {
		t.Fatalf("after a change by both: %+v, %v; want ErrMissed", ev, err)
	}
}

// The app says these details in its own words: stores/auditWords.ts reads them by their form.
func TestAuditForms(t *testing.T) {
	h := newHouse(t)
	s := h.open(h.ana, access.OpenAsk{Service: h.ssh.ID})
	if _, err := h.Renew(t.Context(), h.ana, s.ID, time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Close(t.Context(), h.ana, s.ID); err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, secret := h.invite(access.NewInvitation{For: time.Hour, Uses: 2})
	h.mustRedeem(secret, guestAt)
	revoked, _ := h.invite(access.NewInvitation{For: time.Hour})
	_, err := h.RevokeInvitation(t.Context(), h.ana, revoked.ID)
	must(err)
	grants, _, err := h.Grants(t.Context(), h.root, ownline.GrantQuery{User: h.ana.User.ID})
	must(err)
	_, err = h.ChangeGrant(t.Context(), command, grants[0].ID, access.GrantChange{AllowedFrom: &[]string{"198.51.100.0/24", "203.0.113.0/24"}})
	must(err)
	_, err = h.ChangeGrant(t.Context(), command, grants[0].ID, access.GrantChange{AllowedFrom: &[]string{}, MaxDuration: new(time.Hour)})
	must(err)
	d, _, err := h.AddDevice(t.Context(), h.root, access.NewDevice{User: h.ana.User.ID, Site: h.site.ID, Name: "phone", AllowedFrom: []string{"198.51.100.0/24"}})
	must(err)
	_, err = h.ChangeDevice(t.Context(), h.root, d.ID, access.DeviceChange{AllowedFrom: &[]string{"198.51.100.0/24", "2001:db8::/32"}})
	must(err)
	_, err = h.ChangeDevice(t.Context(), h.root, d.ID, access.DeviceChange{Name: new("telephone")})
	must(err)
	_, err = h.ChangeDevice(t.Context(), h.root, d.ID, access.DeviceChange{Name: new("x; allowed_from ES -> anywhere")})
	must(err)
	_, err = h.ChangeDevice(t.Context(), h.root, d.ID, access.DeviceChange{Name: new("telephone")})
	must(err)
	must(h.ChangeRestored(t.Context(), command, d.ID, access.DeviceChange{AllowedFrom: &[]string{}}))
	_, err = h.ChangeSite(t.Context(), h.root, h.site.ID, access.SiteChange{AllowedFrom: &[]string{"203.0.113.0/24"}})
	must(err)
	must(h.RemoveGrant(t.Context(), command, grants[0].ID))
	target := netip.MustParseAddrPort("192.168.7.11:22")
	_, err = h.ChangeService(t.Context(), command, h.ssh.ID, access.ServiceChange{Target4: &target})
	must(err)
	_, err = h.ChangeUser(t.Context(), command, h.bob.User.ID, access.UserChange{
		Name: new("rob"), Role: new(ownline.Admin), Disabled: new(true), Password: new("another"),
	})
	must(err)
	lines, _, err := h.Audit(t.Context(), h.root, ownline.AuditQuery{})
	must(err)
	said, all := map[string]string{}, map[string]bool{}
	for _, l := range lines {
		said[l.Action] = l.Detail // the first of its kind
		all[l.Action+" "+l.Detail] = true
	}
	for _, line := range []string{
		"grant.change ana may use ssh; automatic true, port 0, reserved false, 2 sources of a device, from 198.51.100.0/24 and 203.0.113.0/24 only; allowed_from anywhere -> 198.51.100.0/24, 203.0.113.0/24",
		"grant.change ana may use ssh; automatic true, port 0, reserved false, at most 1h0m0s, 2 sources of a device; allowed_from 198.51.100.0/24, 203.0.113.0/24 -> anywhere",
		"grant.remove ana may use ssh; automatic true, port 0, reserved false, at most 1h0m0s, 2 sources of a device",
		"device.add phone; allowed_from anywhere -> 198.51.100.0/24",
		"device.change phone; allowed_from 198.51.100.0/24 -> 198.51.100.0/24, 2001:db8::/32",
		"device.change telephone",
		`device.change "x; allowed_from ES -> anywhere"`,
		"device.change telephone; allowed_from 198.51.100.0/24, 2001:db8::/32 -> anywhere",
		"site.change home; allowed_from anywhere -> 203.0.113.0/24",
	} {
		if !all[line] {
			t.Errorf("no %q among %q", line, slices.Sorted(maps.Keys(all)))
		}
	}
	for action, form := range map[string]string{
		"session.open":  `^\S+ for \S+, port \d+/\w+ to .+ until \S+Z$`,
		"session.renew": `^until \S+Z$`,
		"session.end":   `^closed$`,
		"grant.add":     `^\S+ may use \S+; automatic (true|false), port \d+, reserved (true|false)(, at most \S+)?, \d+ sources of a device$`,
		"grant.change":  `^\S+ may use \S+; automatic .*, \d+ sources of a device, from 198.51.100.0/24 and 203.0.113.0/24 only; allowed_from anywhere -> .*$`,
		"user.add":      `^\S+ as (admin|user)$`,
		"user.change":   `^rob, renamed from bob, now admin, disabled, new password$`,

		"service.add":       `^\S+: tcp 192.168.7.10:\d+$`,
		"service.change":    `^ssh: tcp 192.168.7.10:22 -> ssh: tcp 192.168.7.11:22$`,
		"invitation.add":    `^\S+, \d+ times for \S+ each, until \S+Z$`,
		"invitation.redeem": `^use 1 of 2, in the guest's browser$`,
		"invitation.revoke": `^\S+; sessions ended: \d+$`,
	} {
		if !regexp.MustCompile(form).MatchString(said[action]) {
			t.Errorf("%s says %q, not %s", action, said[action], form)
		}
	}
}

// Who took a session away is told; what ended by itself nobody did.
func TestEndedBy(t *testing.T) {
	h := newHouse(t)
	for name, tc := range map[string]struct {
		end  func(ownline.SessionID) error
		want string
	}{
		"closed by its user": {func(id ownline.SessionID) error { _, err := h.Close(t.Context(), h.ana, id); return err }, "ana"},
		"closed by an admin": {func(id ownline.SessionID) error { _, err := h.Close(t.Context(), h.root, id); return err }, "root"},
		"flushed by an admin": {func(ownline.SessionID) error {
			_, err := h.Flush(t.Context(), h.root, true, ownline.SiteID{})
			return err
		}, "root"},
		"flushed by a command": {func(ownline.SessionID) error {
			_, err := h.Flush(t.Context(), access.Command(), true, ownline.SiteID{})
			return err
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := h.open(h.ana, access.OpenAsk{Service: h.ssh.ID})
			if err := tc.end(s.ID); err != nil {
				t.Fatal(err)
			}
			got, err := h.Session(t.Context(), h.ana, s.ID)
			if err != nil || got.EndedByName != tc.want || got.EndedBy.IsZero() != (tc.want == "") {
				t.Errorf("ended by %q (%s), %v; want %q", got.EndedByName, got.EndedBy, err, tc.want)
			}
		})
	}
}

// Whose device was refused is told, once for many knocks, and nobody else; what counted before is no news.
func TestEventsOfRefusals(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	d, _, err := h.AddDevice(ctx, h.ana, access.NewDevice{Site: h.site.ID, Name: "phone"})
	if err == nil {
		_, err = h.ChangeDevice(ctx, h.root, d.ID, access.DeviceChange{AllowedFrom: &[]string{"198.51.100.7"}})
	}
	if err != nil {
		t.Fatal(err)
	}
	do := h.native(d.ID)
	root, ana, bob := h.Subscribe(h.root, 0), h.Subscribe(h.ana, 0), h.Subscribe(h.bob, 0)
	refusals := func(s *access.Stream) (rs []ownline.RefusalInfo) {
		for ev := next(t, s); ev != nil; ev = next(t, s) {
			if ev.Kind == access.EventRefusal {
				rs = append(rs, ev.Resource.(ownline.RefusalInfo))
			}
		}
		return rs
	}
	for range 3 {
		if v, err := do(bobAt); err != nil || v.Status != knock.Refused {
			t.Fatalf("a knock from elsewhere: %+v, %v", v, err)
		}
	}
	same := link.Knocked{Device: d.ID, Nonce: make([]byte, 12), Made: time.Now(), Source: anaAt, Skew: time.Minute}
	for range 2 { // as by two ways
		if _, _, err := h.Knock(ctx, h.site.ID, same); err != nil {
			t.Fatal(err)
		}
	}
	h.refusals()
	for who, stream := range map[string]*access.Stream{"root": root, "ana": ana} {
		rs := refusals(stream)
		if len(rs) != 1 || rs[0].Device != d.ID || rs[0].DeviceName != "phone" || rs[0].User != h.ana.User.ID || rs[0].SiteName != "home" || rs[0].Reason != "policy_device" || rs[0].Number != 3 {
			t.Errorf("%s is told %+v", who, rs)
		}
	}
	if rs := refusals(bob); len(rs) > 0 {
		t.Errorf("bob is told %+v", rs)
	}
}
