package e2e

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
)

// loop has the provider's router lead its LAN back to the box, by the public address; as is what its LAN is
// seen as then.
func (s *suite) loop(h *bed.House, as string) {
	s.t.Helper()
	s.nft(h.Provider, `
add rule inet isp arriving iifname lan0 ip daddr 192.0.2.130 udp dport { 54754, 20000-29999 } dnat ip to 192.168.8.2
add rule inet isp arriving iifname lan0 ip daddr 192.0.2.130 tcp dport { 8443, 20000-29999 } dnat ip to 192.168.8.2
add rule inet isp leaving oifname lan0 ip saddr 192.168.8.0/24 ct status dnat `+as+"\n")
}

// Deployment B: the LAN comes to the box by the public name in one of three ways, as the page says.
func TestHairpinOfOneBox(t *testing.T) {
	const port = 20007
	prepare := func(t *testing.T, more func(*page) string) (*suite, *bed.House, *world.Device) {
		s, house := oneBox(t, more)
		_, err := house.NAS.TCPEcho(bed.EchoPort)
		must(t, err)
		service := s.create("/services", world.Map{"site": s.Site, "name": "echo", "kind": "forward", "transport": "tcp", "target": netip.AddrPortFrom(house.NAS.IPv4, bed.EchoPort).String()})
		s.grant(service, world.Map{"automatic": true, "public_port": port})
		d := s.device()
		eventually(t, patience, "a knock is answered", func() bool {
			_, err := d.Send(house.Tablet, netip.AddrPortFrom(house.Box.IPv4, world.KnockPort), d.Knock(), time.Second/2)
			return err == nil
		})
		return s, house, d
	}
	knocks := func(t *testing.T, d *world.Device, h *bed.Host, at netip.Addr) knock.Answer {
		t.Helper()
		a, err := d.Send(h, netip.AddrPortFrom(at, world.KnockPort), d.Knock(), patience)
		must(t, err)
		return a
	}

	t.Run("a name of its own in the LAN, and a router that hides who comes", func(t *testing.T) {
		s, house, d := prepare(t, nothing)
		at := netip.AddrPortFrom(house.Box.IPv4, port)
		eventually(t, patience, "the LAN finds the service at the box", func() bool { return reach(house.Tablet, at) == bed.Open })
		if a := knocks(t, d, house.Tablet, house.Box.IPv4); a.Status != knock.Inside {
			t.Errorf("a knock from the LAN is answered %v", a.Status)
		}
		// What comes from the provider's router is not taken for the LAN: it may be the whole internet.
		s.loop(house, "masquerade")
		s.nft(house.Provider, "add rule inet isp leaving oifname lan0 ct status dnat masquerade\n")
		public := netip.AddrPortFrom(house.Provider.IPv4, port)
		for _, h := range []*bed.Host{house.Tablet, s.Bed.Client1, s.Bed.Stranger} {
			wantState(t, h, public, false)
		}
		wantState(t, house.Tablet, at, true)
	})

	t.Run("a router that leads back in its own name", func(t *testing.T) {
		s, house, d := prepare(t, func(guide *page) string { return guide.file("From inside", "core.yaml") })
		s.loop(house, "masquerade")
		public := netip.AddrPortFrom(house.Provider.IPv4, port)
		eventually(t, patience, "the LAN finds the service by the public address", func() bool { return reach(house.Tablet, public) == bed.Open })
		if a := knocks(t, d, house.Tablet, public.Addr()); a.Status != knock.Inside {
			t.Errorf("a knock from the LAN is answered %v", a.Status)
		}
		wantState(t, s.Bed.Client1, public, false)
		wantState(t, s.Bed.Stranger, public, false)
		if a := knocks(t, d, s.Bed.Client1, public.Addr()); a.Status != knock.Opened {
			t.Errorf("a knock from the internet is answered %v", a.Status)
		}
		wantState(t, s.Bed.Client1, public, true)
		wantState(t, s.Bed.Stranger, public, false)
	})

	t.Run("a router that leads back by the public address", func(t *testing.T) {
		s, house, d := prepare(t, nothing)
		s.loop(house, "snat ip to 192.0.2.130")
		public := netip.AddrPortFrom(house.Provider.IPv4, port)
		wantState(t, house.Tablet, public, false)
		if a := knocks(t, d, house.Tablet, public.Addr()); a.Status != knock.Opened || a.Source != house.Provider.IPv4 {
			t.Errorf("a knock from the LAN is answered %+v", a)
		}
		wantState(t, house.Tablet, public, true)
		wantState(t, s.Bed.Stranger, public, false)
	})
}
