package access_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/knock/fwknop/fwknoptest"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
)

// A grant that requires a claim opens nothing to knocks without one, whatever else they open; people need
// none, and what is open stays until its time.
func TestGrantRequiresClaim(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	d, _, err := h.AddDevice(ctx, h.ana, access.NewDevice{Site: h.site.ID, Name: "phone"})
	if err != nil {
		t.Fatal(err)
	}
	n := byte(0)
	do := func(claimed netip.Addr, named ownline.ServiceID) *link.Verdict {
		t.Helper()
		n++
		v, _, err := h.Knock(ctx, h.site.ID, link.Knocked{
			Device: d.ID, Nonce: append(make([]byte, 11), n), Made: time.Now(), Source: anaAt, Claimed: claimed, Service: named, Skew: time.Minute,
		})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	require := func(id ownline.GrantID, on bool) {
		t.Helper()
		if g, err := h.ChangeGrant(ctx, command, id, access.GrantChange{RequireClaimedSource: &on}); err != nil || g.RequireClaimedSource != on {
			t.Fatalf("%+v, %v", g, err)
		}
	}
	audited := func() string {
		t.Helper()
		lines, _, err := h.Audit(ctx, command, ownline.AuditQuery{Action: "knock"})
		if err != nil || len(lines) == 0 {
			t.Fatal(err)
		}
		return lines[0].Detail
	}
	nothing, any := netip.Addr{}, ownline.ServiceID{}
	lacks := []link.Refusal{{Service: "ssh", ServiceID: h.ssh.ID, Reason: "claimed_source_missing"}}
	const told = "198.51.100.7 is not named by the knock, as the grant requires"

	if v := do(nothing, any); v.Status != knock.Opened || len(v.Sessions) != 1 || len(v.Refused) != 0 {
		t.Fatalf("where none is required: %+v", v)
	}
	require(h.grant.ID, true)
	live, _, err := h.Sessions(ctx, command, access.SessionsAsk{All: true, SessionQuery: ownline.SessionQuery{Live: true}})
	if err != nil || len(live) != 1 {
		t.Fatalf("what was open: %+v, %v", live, err)
	}
	if _, err := h.Renew(ctx, h.ana, live[0].ID, time.Hour); err != nil {
		t.Errorf("its user may extend it: %v", err)
	}
	for name, service := range map[string]ownline.ServiceID{"every one": any, "by name": h.ssh.ID} {
		if v := do(nothing, service); v.Status != knock.Refused || v.Reason != "" || v.Ignored != "" || len(v.Sessions) != 0 || !slices.Equal(v.Refused, lacks) {
			t.Errorf("without a claim, %s: %+v", name, v)
		}
		if got := audited(); got != "refused: source: "+told {
			t.Errorf("audited %q", got)
		}
		if v := do(anaAt, service); v.Status != knock.Renewed || len(v.Sessions) != 1 || len(v.Refused) != 0 {
			t.Errorf("with a claim, %s: %+v", name, v)
		}
	}
	if n := h.refusals(); n["claimed_source_missing"] != 2 || len(n) != 1 {
		t.Errorf("counted %v", n)
	}

	// Another grant requires none.
	other, err := h.AddGrant(ctx, command, access.NewGrant{User: h.ana.User.ID, Service: h.web.ID, Automatic: true})
	if err != nil {
		t.Fatal(err)
	}
	if v := do(nothing, any); v.Status != knock.Opened || len(v.Sessions) != 1 || v.Sessions[0].ServiceID != h.web.ID || !slices.Equal(v.Refused, lacks) {
		t.Errorf("one of two requires a claim: %+v", v)
	}
	if got := audited(); !strings.HasPrefix(got, "opened: ") || !strings.Contains(got, told) {
		t.Errorf("audited %q", got)
	}
	if v := do(anaAt, any); v.Status != knock.Renewed || len(v.Sessions) != 2 || len(v.Refused) != 0 {
		t.Errorf("both, with a claim: %+v", v)
	}

	// A list that refuses matters more, whichever comes first.
	require(other.ID, true)
	for _, id := range []ownline.GrantID{h.grant.ID, other.ID} {
		list, none := []string{"203.0.113.0/24"}, []string{}
		if _, err := h.ChangeGrant(ctx, command, id, access.GrantChange{AllowedFrom: &list}); err != nil {
			t.Fatal(err)
		}
		if v := do(nothing, any); v.Status != knock.Refused || v.Reason != link.RefusedPolicy || len(v.Refused) != 2 {
			t.Errorf("a list and a claim: %+v", v)
		}
		if _, err := h.ChangeGrant(ctx, command, id, access.GrantChange{AllowedFrom: &none}); err != nil {
			t.Fatal(err)
		}
	}
	if n := h.refusals(); n["policy_grant"] != 2 || n["claimed_source_missing"] != 3 {
		t.Errorf("counted %v", n)
	}
	h.open(h.ana, access.OpenAsk{Service: h.ssh.ID})
	require(h.grant.ID, false)
	if v := do(nothing, h.ssh.ID); v.Status != knock.Opened || len(v.Refused) != 0 {
		t.Errorf("required no more: %+v", v)
	}
}

func TestGrantRequiresClaimOfFwknop(t *testing.T) {
	h := newHouse(t)
	h.hears(t)
	ctx := t.Context()
	port, yes := uint16(20022), true
	if _, err := h.ChangeGrant(ctx, command, h.grant.ID, access.GrantChange{PublicPort: &port, RequireClaimedSource: &yes}); err != nil {
		t.Fatal(err)
	}
	d, keys := h.fwknop(t, access.NewDevice{})
	base := time.Now().Truncate(time.Second)
	do := func(asks string) *link.Verdict {
		t.Helper()
		packet := fwknoptest.Seal(keys, fwknoptest.Plain(fwknoptest.Message{Time: base, Access: asks}))
		v, _, err := h.KnockFwknop(ctx, h.site.ID, link.Fwknop{Device: d.ID, Packet: string(packet), Now: base, Source: anaAt, Skew: 2 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	lacks := []link.Refusal{{Service: "ssh", ServiceID: h.ssh.ID, Reason: "claimed_source_missing"}}
	if v := do("0.0.0.0,tcp/20022"); v.Status != knock.Refused || len(v.Sessions) != 0 || !slices.Equal(v.Refused, lacks) {
		t.Errorf("without its address: %+v", v)
	}
	if v := do(anaAt.String() + ",tcp/20022"); v.Status != knock.Opened || len(v.Sessions) != 1 {
		t.Errorf("with it: %+v", v)
	}
	if v := do("0.0.0.0,tcp/20022"); v.Status != knock.Refused || len(v.Sessions) != 0 || !slices.Equal(v.Refused, lacks) {
		t.Errorf("while it is open: %+v", v)
	}
	if n := h.refusals(); n["claimed_source_missing"] != 2 || len(n) != 1 {
		t.Errorf("counted %v", n)
	}
}
