package access_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
)

// The LAN is told of what is granted at a port of its own, unless two services are at the same; and core of
// every change of that.
func TestInside(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	var at uint64
	expect := func(what string, bumped bool, want ...link.Inside) {
		t.Helper()
		st, _, err := h.Desired(ctx, h.site.ID)
		if err != nil || !slices.Equal(st.Inside, want) {
			t.Errorf("%s: %+v, %v; want %+v", what, st.Inside, err, want)
		}
		if rev := revision(t, h); (rev > at) != bumped {
			t.Errorf("%s: revision %d after %d", what, rev, at)
		}
		at = revision(t, h)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	at = revision(t, h)
	expect("at any port", false)
	ssh := link.Inside{Transport: ownline.TCP, PublicPort: 20022, Target4: h.ssh.Target4}
	port := func(g ownline.GrantID, n uint16) {
		t.Helper()
		_, err := h.ChangeGrant(ctx, command, g, access.GrantChange{PublicPort: &n})
		must(err)
	}
	port(h.grant.ID, 20022)
	expect("at one of its own", true, ssh)
	bobs, err := h.AddGrant(ctx, command, access.NewGrant{User: h.bob.User.ID, Service: h.ssh.ID, PublicPort: 20022})
	must(err)
	expect("for two users", true, ssh)
	other, err := h.AddGrant(ctx, command, access.NewGrant{User: h.bob.User.ID, Service: h.web.ID, PublicPort: 20022})
	must(err)
	expect("two services at one port", true)
	port(other.ID, 20080)
	web := link.Inside{Transport: ownline.TCP, PublicPort: 20080, Target4: h.web.Target4}
	expect("each at its own", true, ssh, web)
	automatic := true
	_, err = h.ChangeGrant(ctx, command, other.ID, access.GrantChange{Automatic: &automatic})
	must(err)
	expect("another change", false, ssh, web)
	to := netip.MustParseAddrPort("192.168.7.99:22")
	_, err = h.ChangeService(ctx, command, h.ssh.ID, access.ServiceChange{Target4: &to})
	must(err)
	ssh.Target4 = to
	expect("another target", true, ssh, web)
	must(h.RemoveGrant(ctx, command, h.grant.ID))
	expect("without the first grant", true, ssh, web)
	must(h.RemoveGrant(ctx, command, bobs.ID))
	expect("without any", true, web)
	must(h.RemoveService(ctx, command, h.web.ID))
	expect("without the service", true)
}
