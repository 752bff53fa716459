package e2e

import (
	"encoding/json"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/doctor"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
)

// Deployment A: the provider gives the router another address while a session is live. It goes on at the new
// one, for its source and nobody else, knocks come in there, and what the router takes for itself follows.
func TestAddressChanges(t *testing.T) {
	const port = 20070
	s := start(t, world.Options{})
	router, client := s.Bed.Router, s.Bed.Client1
	s.call("PATCH", "/sites/"+s.Site, world.Map{"host": publicName}, nil)
	s.grant(s.echo, world.Map{"automatic": true, "public_port": port})
	laptop := filepath.Join(t.TempDir(), "laptop")
	d := s.device()
	s.knock(d, client, false) // the router knows the device from here on
	s.ownline(client, d.Profile, laptop, []netip.Addr{router.IPv4}, "enroll", "-", "--name", "home")
	session := s.only()
	var told struct {
		Status  string
		Replies []struct{ Source string }
	}
	wantState(t, client, s.public(false, port), true)

	was, is := netip.PrefixFrom(router.IPv4, 24), netip.MustParsePrefix("203.0.113.99/24")
	was6, is6 := netip.PrefixFrom(router.IPv6, 64), netip.MustParsePrefix("2001:db8:7:1::99/64")
	readdress(t, router, was, is)
	readdress(t, router, was6, is6)
	at := netip.AddrPortFrom(is.Addr(), port)
	wantState(t, client, at, true)
	for _, h := range []*bed.Host{s.Bed.Client2, s.Bed.Stranger} {
		wantState(t, h, at, false)
	}
	wantState(t, client, s.public(false, port), false)

	// A device goes by the name, and renews what it has.
	out := s.ownline(client, "", laptop, []netip.Addr{is.Addr()}, "knock", "--profile", "home", "--timeout", "20s", "--json")
	if err := json.Unmarshal([]byte(out), &told); err != nil || told.Status != "renewed" || len(told.Replies) != 1 || told.Replies[0].Source != client.IPv4.String() {
		t.Errorf("ownline knock by the name: %v: %s", err, out)
	}
	if again := s.only(); again.ID != session.ID {
		t.Errorf("the session is %s, was %s", again.ID, session.ID)
	}
	if a, err := d.Send(client, netip.AddrPortFrom(is6.Addr(), world.KnockPort), d.Knock(), patience); err != nil || a.Source != client.IPv6 {
		t.Errorf("a knock at the new IPv6 address: %+v, %v", a, err)
	}
	wantState(t, client, netip.AddrPortFrom(is6.Addr(), port), true)

	// The new address is the router's own now, and the old one is anybody's.
	eventually(t, patience, "a session for the router's new address is refused", func() bool {
		var got world.Session
		err := s.API.Call(t.Context(), "POST", "/sessions", world.Map{"service": s.udp, "source": is.Addr().String()}, &got)
		if err == nil && got.State == "active" {
			s.close(got.ID)
			return false
		}
		return true
	})
	eventually(t, patience, "one for the old is not", func() bool {
		var got world.Session
		return s.API.Call(t.Context(), "POST", "/sessions", world.Map{"service": s.udp, "source": was.Addr().String()}, &got) == nil && got.State == "active"
	})
	newPatient(s).finds("address", doctor.Good, is.Addr().String())

	// Where a site goes by an address and not by a name, it has to be said, and is told from then on.
	s.call("PATCH", "/sites/"+s.Site, world.Map{"host": is.Addr().String()}, nil)
	var sessions world.List[struct{ Address string }]
	s.call("GET", "/sessions?state=live&all=true", nil, &sessions)
	for _, l := range sessions.Items {
		if !strings.HasPrefix(l.Address, is.Addr().String()+":") {
			t.Errorf("a session is said to be at %s", l.Address)
		}
	}
	if fresh := s.device(); !strings.Contains(fresh.Profile, is.Addr().String()) {
		t.Errorf("a new device's profile has another address")
	}
}

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
