package e2e

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
)

// Deployment B: the provider's router gets another address. The box need not know it, and everything goes on.
func TestAddressOfTheProviderChanges(t *testing.T) {
	const port = 20070
	s, house := oneBox(t, nothing)
	_, err := house.NAS.TCPEcho(bed.EchoPort)
	must(t, err)
	service := s.create("/services", world.Map{"site": s.Site, "name": "echo", "kind": "forward", "transport": "tcp", "target": netip.AddrPortFrom(house.NAS.IPv4, bed.EchoPort).String()})
	s.grant(service, world.Map{"automatic": true, "public_port": port})
	d, client := s.device(), s.Bed.Client1
	was, is := netip.PrefixFrom(house.Provider.IPv4, 25), netip.MustParsePrefix("192.0.2.199/25")
	knock := func(at netip.Addr) {
		t.Helper()
		eventually(t, patience, "a knock is answered", func() bool {
			a, err := d.Send(client, netip.AddrPortFrom(at, world.KnockPort), d.Knock(), time.Second/2)
			return err == nil && a.Source == client.IPv4
		})
	}
	knock(was.Addr())
	session := s.only()
	wantState(t, client, netip.AddrPortFrom(was.Addr(), port), true)
	readdress(t, house.Provider, was, is)
	s.nft(house.Provider, `
add rule inet isp arriving iifname wan0 ip daddr 192.0.2.199 udp dport { 54754, 20000-29999 } dnat ip to 192.168.8.2
add rule inet isp arriving iifname wan0 ip daddr 192.0.2.199 tcp dport { 8443, 20000-29999 } dnat ip to 192.168.8.2
`)
	at := netip.AddrPortFrom(is.Addr(), port)
	wantState(t, client, at, true)
	wantState(t, s.Bed.Client2, at, false)
	wantState(t, s.Bed.Stranger, at, false)
	knock(is.Addr())
	if again := s.only(); again.ID != session.ID || !again.Expires.After(session.Expires) {
		t.Errorf("the session was not renewed: %+v, was %+v", again, session)
	}
}
