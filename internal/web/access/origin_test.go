package access_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
)

type systems map[netip.Addr]uint32

func (s systems) ASN(at netip.Addr) (uint32, string, bool) { n, ok := s[at]; return n, "", ok }

// People, devices and guests are let in from where the policy says only, whatever they have been granted.
func TestOrigins(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	d, _, err := h.AddDevice(ctx, h.ana, access.NewDevice{Name: "phone", Site: h.site.ID})
	if err != nil {
		t.Fatal(err)
	}
	_, secret := h.invite(access.NewInvitation{Service: h.ssh.ID, Uses: 9})
	was := h.open(h.ana, access.OpenAsk{Service: h.ssh.ID})

	h.countries = atlas{otherAt: "ES", anaAt: "FR"}
	h.asns = systems{guestAt: 3352}
	h.origins = "ES AS3352"
	h.Access = h.with(h.cores)
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, ownline.ErrForbidden) || field(err) != "source" {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = h.Open(ctx, h.ana, access.OpenAsk{Service: h.ssh.ID})
	refused("renewed from another country", err)
	_, err = h.Renew(ctx, h.ana, was.ID, 0)
	refused("extended from another country", err)
	_, err = h.redeem(secret, anaAt)
	refused("a guest from another country", err)
	_, err = h.Open(ctx, h.root, access.OpenAsk{Service: h.web.ID, Source: netip.MustParseAddr("198.51.100.99")})
	refused("an admin, for an address that nobody knows", err)
	n := byte(0)
	for at, want := range map[netip.Addr]knock.Status{anaAt: knock.Refused, otherAt: knock.Opened, guestAt: knock.Opened} {
		n++
		k := link.Knocked{Device: d.ID, Nonce: append(make([]byte, 11), n), Made: time.Now(), Source: at, Skew: time.Minute}
		if v, _, err := h.Knock(ctx, h.site.ID, k); err != nil || v == nil || v.Status != want {
			t.Errorf("a knock from %s: %+v, %v, want %s", at, v, err, want)
		}
	}
	if _, err := h.redeem(secret, guestAt); err != nil {
		t.Errorf("a guest by a provider that is let in: %v", err)
	}
	near := h.ana
	near.Client = otherAt
	h.open(near, access.OpenAsk{Service: h.ssh.ID})
}
