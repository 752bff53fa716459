package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
)

// office is a second site: its router is behind the provider's, and dials web.
type office struct {
	house  *bed.House
	router *bed.Host // in the provider's LAN by eth0
	lan    *bed.Host
	core   *world.Daemon
	config string
	site   string
}

// open adds the office to a world whose web is in the LAN of the bed's router.
func (s *suite) office(guide *page) *office {
	s.t.Helper()
	house, err := s.Bed.AddHouse()
	must(s.t, err)
	s.provide(house)
	o := &office{house: house, router: house.Box, config: s.Path("office.yaml")}
	o.lan, err = s.Bed.AddHost("office-lan", false)
	must(s.t, err)
	inside := []netip.Prefix{netip.MustParsePrefix("192.168.9.1/24"), netip.MustParsePrefix("fd00:9::1/64")}
	must(s.t, o.router.Plug("lan0", inside, o.lan, "eth0",
		[]netip.Prefix{netip.MustParsePrefix("192.168.9.10/24"), netip.MustParsePrefix("fd00:9::10/64")}, inside[0].Addr(), inside[1].Addr()))
	_, err = o.lan.TCPEcho(bed.EchoPort)
	must(s.t, err)
	file := "state_dir: " + s.Path("office") + "\ncontrol_socket: " + s.Path("office.sock") + "\n" + guide.file("Each site", "/etc/ownline/core.yaml")
	must(s.t, os.WriteFile(o.config, []byte(file), 0o600))
	o.core, err = s.StartOn(s.t.Context(), o.router, "office", programs.Core, "run", "--config", o.config)
	must(s.t, err)
	return o
}

// command runs ownline-core on the office's router.
func (o *office) command(ctx context.Context, args ...string) ([]byte, error) {
	return world.RunOn(ctx, o.router, "", programs.Core, append(args, "--config", o.config)...)
}

// connected reports whether its core says that web commands it.
func (o *office) connected(ctx context.Context) bool {
	out, err := o.command(ctx, "status", "--json")
	var status struct{ Connected bool }
	return err == nil && json.Unmarshal(out, &status) == nil && status.Connected
}

// Deployment C: one web commands two sites, as its page says: one whose core it reaches in its own LAN, and one
// behind a NAT, whose core dials. What is for the one is no good at the other.
func TestManySites(t *testing.T) {
	guide := readPage(t, "start/c-many-sites.md", "web.example.org:57330", "203.0.113.2:57330", "https://ownline.example.org", "http://127.0.0.1:8080", "--name ana", "--name "+world.AdminName)
	router := readPage(t, "start/a-router-and-server.md", "192.168.1.1", "192.168.7.1", "eth0", "wan0")
	s := begin(t, world.Options{Place: func(b *bed.Bed) (world.Place, error) {
		return world.Place{
			Core: b.Router, Web: b.Lan, WebAt: netip.MustParseAddrPort(config.DefaultWeb().Listen), Name: "home", Host: b.Router.IPv4.String(),
			CoreFile: router.file("On the router", "/etc/ownline/core.yaml"),
			WebFile:  strings.Replace(guide.file("Web", "/etc/ownline/web.yaml"), "http://127.0.0.1:8080", "https://ownline.example.org", 1),
		}, nil
	}})
	s.nft(s.Bed.Router, `
add table inet admin
add chain inet admin arriving { type nat hook prerouting priority dstnat; }
add rule inet admin arriving iifname wan0 ip daddr 203.0.113.2 tcp dport 57330 dnat ip to 192.168.7.10
`)
	o := s.office(guide)
	home := s.Site
	s.pairOffice(guide, o)
	public := o.house.Provider.IPv4

	// A service of the same name at both, and a device for each.
	client := s.Bed.Client1
	services, devices, at := map[string]string{}, map[string]*world.Device{}, map[string]netip.AddrPort{}
	for site, target := range map[string]netip.Addr{home: s.Bed.Lan.IPv4, o.site: o.lan.IPv4} {
		services[site] = s.create("/services", world.Map{"site": site, "name": "echo", "kind": "forward", "transport": "tcp", "target": netip.AddrPortFrom(target, bed.EchoPort).String()})
		s.grant(services[site], world.Map{"automatic": true})
		d, err := s.NewDevice(t.Context(), "phone", world.Map{"site": site})
		must(t, err)
		devices[site] = d
	}
	at[home], at[o.site] = s.KnockAddr(false), netip.AddrPortFrom(public, world.KnockPort)
	live := func() map[string]world.Session {
		t.Helper()
		all := map[string]world.Session{}
		for _, l := range s.sessions() {
			all[l.Service] = l
		}
		return all
	}
	knock := func(site string) world.Session {
		t.Helper()
		eventually(t, patience, "the knock is answered", func() bool {
			a, err := devices[site].Send(client, at[site], devices[site].Knock(), time.Second/2)
			return err == nil && a.Status.String() != "refused"
		})
		var got world.Session
		eventually(t, patience, "the session is live", func() bool { got = live()[services[site]]; return got.State == "active" })
		return got
	}
	first := knock(home)
	if l := live(); len(l) != 1 {
		t.Errorf("a knock at home opened %+v", l)
	}
	second := knock(o.site)
	door := func(site string, l world.Session) netip.AddrPort {
		return netip.AddrPortFrom(at[site].Addr(), l.PublicPort)
	}
	wantState(t, client, door(home, first), true)
	wantState(t, client, door(o.site, second), true)
	wantState(t, s.Bed.Stranger, door(home, first), false)
	wantState(t, s.Bed.Stranger, door(o.site, second), false)
	for site, other := range map[string]string{home: o.site, o.site: home} {
		if _, err := devices[site].Send(client, at[other], devices[site].Knock(), time.Second/2); !errors.Is(err, world.ErrNoAnswer) {
			t.Errorf("a device of one site is answered at the other: %v", err)
		}
	}

	// The office is cut off. What was open stays so until its time; what is closed meanwhile is
	// closed there as soon as the link is back, and nothing can be opened that would not be.
	s.nft(o.house.Provider, "add chain inet isp cut { type filter hook forward priority -1; }\nadd rule inet isp cut tcp dport 57330 drop\nadd rule inet isp cut tcp sport 57330 drop\n")
	wantState(t, client, door(o.site, second), true)
	eventually(t, time.Minute, "web notices that the office is gone", func() bool {
		var site struct{ Connected bool }
		s.call("GET", "/sites/"+o.site, nil, &site)
		return !site.Connected
	})
	s.close(second.ID)
	var got world.Session
	if err := s.API.Call(t.Context(), "POST", "/sessions", world.Map{"service": services[o.site], "source": s.Bed.Client2.IPv4.String()}, &got); err == nil && got.State == "active" {
		t.Errorf("a session is said to be open at a site that can't be reached: %+v", got)
	}
	wantState(t, client, door(home, first), true)
	s.nft(o.house.Provider, "delete chain inet isp cut\n")
	must(t, s.WaitConnected(t.Context()))
	eventually(t, patience, "the office closes what was closed", func() bool { return reach(client, door(o.site, second)) != bed.Open })
	wantState(t, client, door(o.site, knock(o.site)), true)

	// Web is killed, and the office dials again.
	must(t, s.Web.Kill())
	must(t, s.Web.Start(t.Context()))
	must(t, s.WaitConnected(t.Context()))
	eventually(t, patience, "the office's core is commanded", func() bool { return o.connected(t.Context()) })
	if l := live(); len(l) != 2 {
		t.Errorf("live are %+v", l)
	}
	wantState(t, client, door(o.site, live()[services[o.site]]), true)

	// The office gets another address, and the link finds its way from there.
	readdress(t, o.house.Provider, netip.PrefixFrom(public, 25), netip.MustParsePrefix("192.0.2.199/25"))
	s.nft(o.house.Provider, "add rule inet isp arriving iifname wan0 ip daddr 192.0.2.199 tcp dport 20000-29999 dnat ip to 192.168.8.2\n")
	var other world.Session
	eventually(t, time.Minute, "a session opens at the office again", func() bool {
		in := world.Map{"service": services[o.site], "source": s.Bed.Client2.IPv4.String()}
		return s.API.Call(t.Context(), "POST", "/sessions", in, &other) == nil && other.State == "active"
	})
	wantState(t, s.Bed.Client2, netip.AddrPortFrom(netip.MustParseAddr("192.0.2.199"), other.PublicPort), true)
}

// pairOffice pairs with the office's core as the page says for a server that runs.
func (s *suite) pairOffice(guide *page, o *office) {
	s.t.Helper()
	var code struct{ Code string }
	eventually(s.t, patience, "the office's core prints a code", func() bool {
		out, err := o.command(s.t.Context(), "pair", "--json")
		return err == nil && json.Unmarshal(out, &code) == nil
	})
	dir := filepath.Join(s.t.TempDir(), "admin")
	for _, args := range guide.commands("Pair") {
		if args[0] != "ownline" {
			continue
		}
		for i, a := range args {
			if strings.HasPrefix(a, "ownline-core://dial?") {
				args[i] = code.Code
			}
		}
		if args[1] == "login" {
			args = append(args, "--plain")
		}
		s.ownline(s.Bed.Lan, world.AdminPassword, dir, nil, args[1:]...)
	}
	must(s.t, s.WaitConnected(s.t.Context()))
	var sites world.List[struct{ ID, Name string }]
	s.call("GET", "/sites", nil, &sites)
	for _, site := range sites.Items {
		if site.Name == "office" {
			o.site = site.ID
		}
	}
	if o.site == "" {
		s.t.Fatalf("sites are %+v", sites.Items)
	}
}

// readdress gives an interface another address of the same network, as a provider does.
func readdress(t *testing.T, h *bed.Host, was, is netip.Prefix) {
	t.Helper()
	must(t, h.AddAddr(h.Link, is))
	must(t, h.DelAddr(h.Link, was))
}
