package access_test

import (
	"errors"
	"log/slog"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/knock/fwknop/fwknoptest"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
)

// knocking is a device of one kind that knocks.
type knocking func(at netip.Addr) (*link.Verdict, error)

func (h *house) native(d ownline.DeviceID) knocking {
	n := byte(0)
	return func(at netip.Addr) (*link.Verdict, error) {
		n++
		v, _, err := h.Knock(h.t.Context(), h.site.ID, link.Knocked{Device: d, Nonce: append(make([]byte, 11), n), Made: time.Now(), Source: at, Skew: time.Minute})
		return v, err
	}
}

// refusals counts by reason.
func (h *house) refusals() map[string]uint64 {
	h.t.Helper()
	all, err := h.Refusals(h.t.Context(), command, ownline.RefusalQuery{})
	if err != nil {
		h.t.Fatal(err)
	}
	out := map[string]uint64{}
	for _, r := range all {
		out[r.Reason] += r.Number
	}
	return out
}

// Every list narrows, for every kind of device and for people and guests; which one refused is in the
// counts and in the audit log.
func TestAllowedFrom(t *testing.T) {
	none, here := []string{}, []string{"198.51.100.7", "2001:db8::/32"}
	set := map[string]func(h *house, d ownline.DeviceID, words []string) error{
		"site": func(h *house, _ ownline.DeviceID, words []string) error {
			_, err := h.ChangeSite(h.t.Context(), h.root, h.site.ID, access.SiteChange{AllowedFrom: &words})
			return err
		},
		"grant": func(h *house, _ ownline.DeviceID, words []string) error {
			_, err := h.ChangeGrant(h.t.Context(), h.root, h.grant.ID, access.GrantChange{AllowedFrom: &words})
			return err
		},
		"device": func(h *house, d ownline.DeviceID, words []string) error {
			_, err := h.ChangeDevice(h.t.Context(), h.root, d, access.DeviceChange{AllowedFrom: &words})
			return err
		},
	}
	for list, set := range set {
		for _, kind := range []string{"native", "fwknop"} {
			t.Run(list+" "+kind, func(t *testing.T) {
				h := newHouse(t)
				ctx := t.Context()
				var d ownline.Device
				var do knocking
				if kind == "native" {
					var err error
					if d, _, err = h.AddDevice(ctx, h.ana, access.NewDevice{Site: h.site.ID, Name: "phone"}); err != nil {
						t.Fatal(err)
					}
					do = h.native(d.ID)
				} else {
					h.hears(t)
					port := uint16(20022)
					if _, err := h.ChangeGrant(ctx, command, h.grant.ID, access.GrantChange{PublicPort: &port}); err != nil {
						t.Fatal(err)
					}
					made, keys := h.fwknop(t, access.NewDevice{})
					d = made
					base, n := time.Now().Truncate(time.Second), 0
					do = func(at netip.Addr) (*link.Verdict, error) {
						n++
						m := fwknoptest.Message{Time: base, Access: "0.0.0.0,tcp/20022", Seconds: 60 + n}
						v, _, err := h.KnockFwknop(ctx, h.site.ID, link.Fwknop{Device: d.ID, Packet: string(fwknoptest.Seal(keys, fwknoptest.Plain(m))), Now: base, Source: at, Skew: 2 * time.Minute})
						return v, err
					}
				}
				expect := func(at netip.Addr, want knock.Status) {
					t.Helper()
					if v, err := do(at); err != nil || v == nil || v.Status != want || (v.Reason == link.RefusedPolicy) != (want == knock.Refused) {
						t.Errorf("a knock from %s: %+v, %v, want %s", at, v, err, want)
					}
				}
				expect(anaAt, knock.Opened)
				expect(bobAt, knock.Opened)
				if err := set(h, d.ID, here); err != nil {
					t.Fatal(err)
				}
				live, _, err := h.Sessions(ctx, command, access.SessionsAsk{All: true, SessionQuery: ownline.SessionQuery{Live: true}})
				if err != nil || len(live) != 1 || live[0].Source.Addr() != anaAt {
					t.Errorf("a narrower list leaves %+v, %v", live, err)
				}
				reason := "policy_" + list
				if v, err := do(bobAt); err != nil || v.Status != knock.Refused || v.Reason != link.RefusedPolicy ||
					!slices.Equal(v.Refused, []link.Refusal{{Service: "ssh", ServiceID: h.ssh.ID, Reason: reason}}) {
					t.Errorf("a knock from elsewhere: %+v, %v", v, err)
				}
				expect(anaAt, knock.Renewed)
				if n := h.refusals(); n[reason] != 1 || len(n) != 1 {
					t.Errorf("counted %v, want one %s", n, reason)
				}
				lines, _, err := h.Audit(ctx, command, ownline.AuditQuery{Action: "knock"})
				if err != nil || !strings.Contains(lines[1].Detail, "203.0.113.9 is refused by the list of the "+list) || lines[0].Detail != "renewed" {
					t.Errorf("audit %+v, %v", lines[:2], err)
				}
				far := h.ana
				far.Client = bobAt
				_, err = h.Open(ctx, far, access.OpenAsk{Service: h.ssh.ID})
				if list == "device" && err != nil || list != "device" && (!errors.Is(err, ownline.ErrForbidden) || field(err) != "source") {
					t.Errorf("a person elsewhere: %v", err)
				}
				if _, err = h.Renew(ctx, h.ana, live[0].ID, 0); err != nil {
					t.Errorf("extended: %v", err)
				}
				h.open(h.ana, access.OpenAsk{Service: h.ssh.ID})
				_, secret := h.invite(access.NewInvitation{Service: h.ssh.ID, Uses: 9})
				_, err = h.redeem(secret, guestAt)
				if list == "device" && err != nil || list != "device" && (!errors.Is(err, ownline.ErrForbidden) || strings.Contains(err.Error(), "198.51.100.7")) {
					t.Errorf("a guest elsewhere: %v", err)
				}
				if err := set(h, d.ID, none); err != nil {
					t.Fatal(err)
				}
				expect(bobAt, knock.Opened)

				before := h.count()
				for words, fix := range map[string]string{"ES": "policy.geoip_database", "AS3352": "policy.asn_database", "UK": "write GB", "x": "no country"} {
					err := set(h, d.ID, []string{words})
					if !errors.Is(err, ownline.ErrInvalid) || field(err) != "allowed_from" || !strings.Contains(err.Error(), fix) {
						t.Errorf("a list of %s: %v", words, err)
					}
				}
				if h.count() != before {
					t.Error("a refused list changes something")
				}
			})
		}
	}
}

// Whose device it is may not widen what an admin has narrowed.
func TestAllowedFromByUser(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	d, _, err := h.AddDevice(ctx, h.root, access.NewDevice{User: h.ana.User.ID, Site: h.site.ID, Name: "phone", AllowedFrom: []string{"198.51.100.0/24"}})
	if err != nil || d.AllowedFrom != "198.51.100.0/24" {
		t.Fatal(d, err)
	}
	for _, words := range [][]string{{}, {"203.0.113.0/24"}} {
		if _, err := h.ChangeDevice(ctx, h.ana, d.ID, access.DeviceChange{AllowedFrom: &words}); !errors.Is(err, ownline.ErrForbidden) || field(err) != "allowed_from" {
			t.Errorf("its user sets %v: %v", words, err)
		}
	}
	if _, _, err := h.AddDevice(ctx, h.ana, access.NewDevice{Site: h.site.ID, Name: "other", AllowedFrom: []string{"203.0.113.0/24"}}); !errors.Is(err, ownline.ErrForbidden) {
		t.Errorf("a user makes one with a list: %v", err)
	}
	name := "telephone"
	if d, err = h.ChangeDevice(ctx, h.ana, d.ID, access.DeviceChange{Name: &name}); err != nil || d.AllowedFrom != "198.51.100.0/24" {
		t.Errorf("renamed: %+v, %v", d, err)
	}
	if d, _, err = h.RotateDevice(ctx, h.ana, d.ID); err != nil || d.AllowedFrom != "198.51.100.0/24" {
		t.Errorf("rotated: %+v, %v", d, err)
	}
}

// A site's sources can't get larger than a network in a list there: nobody would be let in from it, and
// an export could not be imported.
func TestPrefixFitsLists(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	d, _, err := h.AddDevice(ctx, h.root, access.NewDevice{User: h.ana.User.ID, Site: h.site.ID, Name: "phone", AllowedFrom: []string{"2001:db8:0:30::/62", "198.51.100.7"}})
	if err != nil {
		t.Fatal(err)
	}
	site := func(prefix int, words []string) error {
		c := access.SiteChange{IPv6Prefix: &prefix}
		if words != nil {
			c.AllowedFrom = &words
		}
		_, err := h.ChangeSite(ctx, h.root, h.site.ID, c)
		return err
	}
	grant := func(words ...string) error {
		_, err := h.ChangeGrant(ctx, h.root, h.grant.ID, access.GrantChange{AllowedFrom: &words})
		return err
	}
	if err := errors.Join(site(64, []string{"198.51.100.0/24", "2001:db8:0:10::/60", "2001:db8::/32"}), grant("2001:db8:0:20::/64", "2001:db8:0:40::/60")); err != nil {
		t.Fatal(err)
	}
	before := h.count()
	err = site(56, nil)
	if !errors.Is(err, ownline.ErrInvalid) || field(err) != "ipv6_prefix" {
		t.Fatalf("shorter: %v", err)
	}
	for _, want := range []string{"2001:db8:0:10::/60 in that of the site;", "2001:db8:0:20::/64, 2001:db8:0:40::/60 in that of the grant of ana for ssh;", "2001:db8:0:30::/62 in that of the device phone of ana;", "of 56 bits or fewer"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	if h.count() != before {
		t.Error("a refused prefix changes something")
	}
	// With a list of its own that fits, the others still count.
	if err := site(56, []string{"2001:db8::/56"}); field(err) != "ipv6_prefix" || strings.Contains(err.Error(), "of the site;") {
		t.Errorf("with another list: %v", err)
	}
	if err := grant("2001:db8:0:20::/60"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.ChangeDevice(ctx, h.root, d.ID, access.DeviceChange{AllowedFrom: &[]string{}}); err != nil {
		t.Fatal(err)
	}
	if err := site(60, nil); err != nil {
		t.Errorf("when they fit: %v", err)
	}
	if err := site(128, nil); err != nil {
		t.Errorf("longer: %v", err)
	}
}

// Neither can it than a network in the list of web.yaml; one that is there already is in the log of the start.
func TestPrefixFitsPolicy(t *testing.T) {
	h := newHouse(t)
	var log strings.Builder
	h.log = slog.NewTextHandler(&log, nil)
	h.origins = "198.51.100.0/24 2001:db8:0:10::/60 2001:db8::/32"
	h.Access = h.with(h.cores)
	site := func(prefix int) error {
		_, err := h.ChangeSite(t.Context(), h.root, h.site.ID, access.SiteChange{IPv6Prefix: &prefix})
		return err
	}
	if err := site(60); err != nil {
		t.Errorf("as long as the longest: %v", err)
	}
	err := site(56)
	if !errors.Is(err, ownline.ErrInvalid) || field(err) != "ipv6_prefix" || !strings.Contains(err.Error(), "in nobody: 2001:db8:0:10::/60; name networks of 56 bits or fewer") {
		t.Errorf("shorter: %v", err)
	}
	if err := h.CheckLists(t.Context()); err != nil || log.Len() > 0 {
		t.Errorf("a start with lists that fit: %v, %s", err, log.String())
	}
	h.origins = "2001:db8:0:10::/61"
	if err := h.with(h.cores).CheckLists(t.Context()); err != nil || !strings.Contains(log.String(), "2001:db8:0:10::/61") || !strings.Contains(log.String(), "site="+h.site.ID.String()) {
		t.Errorf("a start with a list that does not: %v, %s", err, log.String())
	}
}

// Web does not start without the databases that lists need, and says whose lists.
func TestCheckLists(t *testing.T) {
	h := newHouse(t)
	h.countries, h.asns = atlas{}, systems{}
	h.Access = h.with(h.cores)
	ctx := t.Context()
	_, grantErr := h.ChangeGrant(ctx, h.root, h.grant.ID, access.GrantChange{AllowedFrom: &[]string{"ES", "AS3352"}})
	_, _, deviceErr := h.AddDevice(ctx, h.root, access.NewDevice{User: h.ana.User.ID, Site: h.site.ID, Name: "phone", AllowedFrom: []string{"PT"}})
	_, siteErr := h.ChangeSite(ctx, h.root, h.site.ID, access.SiteChange{AllowedFrom: &[]string{"198.51.100.0/24"}})
	if err := errors.Join(grantErr, deviceErr, siteErr, h.CheckLists(ctx)); err != nil {
		t.Fatal(err)
	}
	h.countries = nil
	err := h.with(h.cores).CheckLists(ctx)
	const want = "policy.geoip_database: is not set, but countries are in the allowed_from of the grant of ana for ssh; the device phone of ana; name a database"
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "asn_database") || strings.Contains(err.Error(), "site home") {
		t.Errorf("without countries: %v", err)
	}
	h.asns = nil
	if err := h.with(h.cores).CheckLists(ctx); err == nil || !strings.Contains(err.Error(), "policy.asn_database: is not set, but autonomous systems are in the allowed_from of the grant of ana for ssh;") {
		t.Errorf("without both: %v", err)
	}
}

// Core is told of each service that a knock did not open, whatever became of the others.
func TestRefusedByService(t *testing.T) {
	h := newHouse(t)
	d, _, err := h.AddDevice(t.Context(), h.ana, access.NewDevice{Site: h.site.ID, Name: "phone"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.AddGrant(t.Context(), command, access.NewGrant{User: h.ana.User.ID, Service: h.web.ID, Automatic: true, AllowedFrom: []string{anaAt.String() + "/32"}}); err != nil {
		t.Fatal(err)
	}
	do := h.native(d.ID)
	if v, err := do(anaAt); err != nil || v.Status != knock.Opened || len(v.Sessions) != 2 || len(v.Refused) != 0 {
		t.Errorf("where both are let in: %+v, %v", v, err)
	}
	if v, err := do(bobAt); err != nil || v.Status != knock.Opened || v.Reason != "" || len(v.Sessions) != 1 || v.Sessions[0].ServiceID != h.ssh.ID ||
		!slices.Equal(v.Refused, []link.Refusal{{Service: h.web.Name, ServiceID: h.web.ID, Reason: "policy_grant"}}) {
		t.Errorf("where one is: %+v, %v", v, err)
	}
}

// What cores count is folded, and what web knows better is not counted twice.
func TestCounted(t *testing.T) {
	h := newHouse(t)
	meter := &counted{n: map[string]int{}}
	h.meter = meter
	h.Access = h.with(h.cores)
	ctx := t.Context()
	d, _, err := h.AddDevice(ctx, h.ana, access.NewDevice{Site: h.site.ID, Name: "phone"})
	if err != nil {
		t.Fatal(err)
	}
	started := time.Unix(0, 0) // a router without a clock always starts then
	tell := func(run string, dropped map[string]uint64) {
		t.Helper()
		if err := h.Counted(ctx, h.site.ID, link.Status{Run: run, Started: started, Knocks: link.Knocks{Dropped: dropped}}); err != nil {
			t.Fatal(err)
		}
	}
	first := map[string]uint64{"replay": 0, "unknown_hint": 1 << 33, "kernel_garbage": 5, "ignored": 3, "policy": 1, "refused": 1, "not_granted": 1}
	tell("first", first)
	tell("first", first) // by another process, say
	tell("second", map[string]uint64{"unknown_hint": 2, "kernel_garbage": 6})
	tell("second", map[string]uint64{"unknown_hint": 1, "kernel_garbage": 4})        // late
	tell("first", first)                                                             // later than core's next run
	tell("first", map[string]uint64{"unknown_hint": 1<<33 + 1, "kernel_garbage": 5}) // likewise, and its last word
	tell("second", map[string]uint64{"unknown_hint": 2, "kernel_garbage": 6})
	// Cores of before runs had names have the time of their start for one.
	for _, n := range []uint64{1, 3, 2} {
		tell("", map[string]uint64{"seal": n})
	}
	started = started.Add(time.Hour)
	tell("", map[string]uint64{"seal": 1})
	if err := h.Counted(ctx, h.site.ID, link.Status{Run: strings.Repeat("x", 65), Knocks: link.Knocks{Dropped: first}}); err == nil || !strings.Contains(err.Error(), "65 bytes") {
		t.Errorf("a run with a long name: %v", err)
	}
	do := h.native(d.ID)
	if _, err := do(anaAt); err != nil {
		t.Fatal(err)
	}
	if _, err := h.RevokeDevice(ctx, h.ana, d.ID); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if v, err := do(anaAt); err != nil || v.Ignored != "device_revoked" {
			t.Errorf("a revoked device gets %+v, %v", v, err)
		}
	}
	h.RefusedByBroker("noise")
	want := map[string]uint64{"unknown_hint": 1<<33 + 3, "kernel_garbage": 11, "seal": 4, "device_revoked": 3, "broker_noise": 1}
	got := h.refusals()
	for reason, n := range want {
		if got[reason] != n || meter.n["refused "+reason] != int(n) {
			t.Errorf("%s: %d, and by the meter %d, want %d", reason, got[reason], meter.n["refused "+reason], n)
		}
	}
	if len(got) != len(want) {
		t.Errorf("counted %v", got)
	}
	if _, err := h.Refusals(ctx, h.ana, ownline.RefusalQuery{}); !errors.Is(err, ownline.ErrForbidden) {
		t.Errorf("a user sees them: %v", err)
	}
}

// A core that lies adds no rows of its own making, and no numbers that keep admins from seeing the rest. That
// it lies is in the log once.
func TestCountedLies(t *testing.T) {
	h := newHouse(t)
	var log strings.Builder
	h.log = slog.NewTextHandler(&log, nil)
	meter := &counted{n: map[string]int{}}
	h.meter = meter
	h.Access = h.with(h.cores)
	st := link.Status{Knocks: link.Knocks{Dropped: map[string]uint64{
		"replay": math.MaxInt64, "seal": math.MaxUint64, "busy": 1 << 40, "policy_web": 1, "made up": 1, "\x1b[2J": 1, "": 1, "broker_noise": 1, "kernel_panic": 1,
	}}}
	for i := range 3 {
		st.Run = strconv.Itoa(i)
		if err := h.Counted(t.Context(), h.site.ID, st); err != nil {
			t.Fatal(err)
		}
	}
	got := h.refusals()
	if len(got) != 3 || got["replay"] != 3<<40 || got["seal"] != 3<<40 || got["busy"] != 3<<40 {
		t.Errorf("counted %v", got)
	}
	if len(meter.n) != 3 {
		t.Errorf("the meter has %v", meter)
	}
	if lines := strings.Count(log.String(), "level=WARN"); lines != 1 || !strings.Contains(log.String(), "site="+h.site.ID.String()) {
		t.Errorf("the log says %s", &log)
	}
}
