package bed_test

import (
	"net/netip"
	"testing"

	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
)

func everywhere(h *bed.Host) (at []netip.AddrPort) {
	for _, a := range append(append([]netip.Addr(nil), h.IPv4s...), h.IPv6s...) {
		at = append(at, netip.AddrPortFrom(a, 7000))
	}
	return at
}

// The hosts of a house are neighbours, reach the internet's hosts by the provider's router, which
// nobody there can look behind.
func TestHouse(t *testing.T) {
	b := bedtest.New(t)
	h, err := b.AddHouse()
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []*bed.Host{h.Provider, h.Box, h.NAS, h.Tablet, b.Stranger, b.Router} {
		if err := to.ServeWho(7000); err != nil {
			t.Fatal(err)
		}
	}
	reaches := func(from, to *bed.Host, want bool) {
		t.Helper()
		for _, at := range everywhere(to) {
			wait := brief
			if want {
				wait = patience
			}
			if _, ok := from.AskWho(wait, "tcp", at); ok != want {
				t.Errorf("%s reaches %s of %s: %v", from.Name, at, to.Name, ok)
			}
		}
	}
	for _, from := range []*bed.Host{h.Box, h.NAS, h.Tablet, h.Provider} {
		for _, to := range []*bed.Host{h.Box, h.NAS, h.Tablet, h.Provider} {
			reaches(from, to, true)
		}
	}
	for _, from := range []*bed.Host{b.Client1, b.Stranger, b.Router} {
		for _, at := range everywhere(h.NAS) {
			want, wait := h.LAN6.Contains(at.Addr()), brief
			if want {
				wait = patience
			}
			if _, ok := from.AskWho(wait, "tcp", at); ok != want {
				t.Errorf("%s reaches %s: %v", from.Name, at, ok)
			}
		}
	}
	reaches(h.Provider, b.Stranger, true)
	if s := b.Stranger.ConnectTCP(everywhere(h.Provider)[0], patience).State; s != bed.Open {
		t.Errorf("the stranger finds the provider's router %s", s)
	}
	// The LAN's own addresses are not known outside, so nothing comes back.
	if _, ok := h.NAS.AskWho(brief, "tcp", everywhere(b.Stranger)[0]); ok {
		t.Error("an answer came back to an address of the LAN, without a NAT")
	}
}
