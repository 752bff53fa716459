package e2e

import (
	"context"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/core/doctor"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
)

// What the pages about the three deployments (docs/start) call the things of a house.
const publicName = "home.example.org"

var profileLine = regexp.MustCompile(`ownline://\S+`)

// nft gives commands of nft on a host, each a line.
func (s *suite) nft(h *bed.Host, lines string) {
	s.t.Helper()
	if _, err := world.RunOn(s.t.Context(), h, lines, "/usr/sbin/nft", "-f", "-"); err != nil {
		s.t.Fatalf("%v: run the tests by make test, which installs nft", err)
	}
}

// does gives the commands of a section as its page says. Those of ownline are given on a machine that finds
// the public name at these addresses; a profile that ownline-web prints is what the next enrol reads.
func (s *suite) does(p *page, heading string, from *bed.Host, dir string, public ...netip.Addr) {
	s.t.Helper()
	profile := ""
	for _, args := range p.commands(heading) {
		switch args[0] {
		case "ownline-web":
			out, err := s.WebCommand(s.t.Context(), "", args[1:]...)
			if err != nil {
				s.t.Fatalf("%s: %v", heading, err)
			}
			if line := profileLine.FindString(string(out)); line != "" {
				profile = line
			}
		case "ownline":
			if len(args) > 2 && strings.HasPrefix(args[2], "--qr") || len(args) > 2 && args[2] == "--new" {
				continue
			}
			s.ownline(from, profile, dir, public, args[1:]...)
		default:
			s.t.Fatalf("%s: who gives %v?", heading, args)
		}
	}
}

// ownline runs the command line on a machine that finds the public name at some addresses.
func (s *suite) ownline(h *bed.Host, stdin, dir string, public []netip.Addr, args ...string) string {
	s.t.Helper()
	if args[0] == "enroll" {
		args = append(args, "--keyring", "off")
	}
	out, err := named(s.t, h.Run, stdin, publicName, public, programs.CLI, append(args, "--config-dir", dir)...)
	if err != nil {
		s.t.Fatalf("ownline %v: %v: %s", args, err, out)
	}
	return string(out)
}

// pairs has core and web paired by the code that core prints and the command that a page says.
func pairs(p *page, heading string) func(context.Context, *world.World) error {
	return func(ctx context.Context, w *world.World) error {
		code, err := w.PairingCode(ctx)
		if err != nil {
			return err
		}
		for _, args := range p.commands(heading) {
			if args[0] != "ownline-web" {
				continue
			}
			for i, a := range args {
				if strings.HasPrefix(a, "ownline-core://") {
					args[i] = code
				}
			}
			if _, err := w.WebCommand(ctx, "", args[1:]...); err != nil {
				return err
			}
		}
		return nil
	}
}

// only is the one live session.
func (s *suite) only() world.Session {
	s.t.Helper()
	var live []world.Session
	eventually(s.t, patience, "one session is live", func() bool {
		live = s.sessions()
		return len(live) == 1 && live[0].State == "active"
	})
	return live[0]
}

// Deployment A: core on a router with rules of its own, web on another box, as its page says.
func TestRouterAndServer(t *testing.T) {
	guide := readPage(t, "start/a-router-and-server.md",
		"192.168.1.10:22", "192.168.7.10:7", "192.168.1.1", "192.168.7.1", "eth0", "wan0", " ana", " "+world.AdminName)
	s := begin(t, world.Options{Place: func(b *bed.Bed) (world.Place, error) {
		return world.Place{
			Core: b.Router, Web: b.Lan, WebAt: netip.MustParseAddrPort(config.DefaultWeb().Listen),
			CoreFile: guide.file("On the router", "/etc/ownline/core.yaml"),
			Pair:     pairs(guide, "Pair them"),
		}, nil
	}})
	router, client := s.Bed.Router, s.Bed.Client1
	s.nft(router, `
add table inet filter
add chain inet filter input { type filter hook input priority filter; policy drop; }
add rule inet filter input ct state established,related accept
add rule inet filter input iifname { lo, lan0 } accept
add rule inet filter input meta l4proto ipv6-icmp accept
add chain inet filter forward { type filter hook forward priority filter; policy drop; }
add rule inet filter forward ct state established,related accept
add rule inet filter forward iifname lan0 oifname wan0 accept
add chain inet filter leaving { type nat hook postrouting priority srcnat; }
add rule inet filter leaving oifname wan0 masquerade
`)
	firewall := readPage(t, "how/host-firewall.md")
	for _, args := range firewall.commands("Rules of your own") {
		s.nft(router, strings.Join(args[1:], " "))
	}

	dir := filepath.Join(t.TempDir(), "laptop")
	s.does(guide, "Open something", client, dir, router.IPv4)
	session := s.only()
	at := s.public(false, session.PublicPort)
	wantState(t, client, at, true)
	wantState(t, s.Bed.Client2, at, false)
	wantState(t, s.Bed.Stranger, at, false)
	if out, err := s.CoreCommand(t.Context(), "sessions"); err != nil || !strings.Contains(string(out), client.IPv4.String()) {
		t.Errorf("ownline-core sessions: %v: %s", err, out)
	}
	// Services see who comes, and the LAN's way to the internet is as it was.
	peers := s.Servers.TCP.Peers
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	flow, err := client.StartFlow(ctx, "tcp", at, bed.FlowOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "the service sees the client", func() bool {
		return len(peers()) == 1 && peers()[0].Addr() == client.IPv4
	})
	if err := s.Bed.Stranger.ServeWho(7000); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Bed.Lan.AskWho(patience, "tcp", netip.AddrPortFrom(s.Bed.Stranger.IPv4, 7000)); !ok {
		t.Error("the LAN does not reach the internet")
	}
	s.close(session.ID)
	ctx, cancel = context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := flow.WaitCut(ctx); err != nil {
		t.Error(err)
	}
	flow.Stop()
	wantState(t, client, at, false)
	newPatient(s).well("")
}

// provide sets up a provider's router as people do: a NAT for the LAN, ports forwarded to the box, and over
// IPv6 the same ports let through to it. Sources survive.
func (s *suite) provide(h *bed.House) {
	s.t.Helper()
	readPage(s.t, "start/b-one-box.md").says("On the provider's router", "UDP 54754", "TCP and UDP, 20000 to 29999", "TCP 8443")
	s.nft(h.Provider, `
add table inet isp
add chain inet isp arriving { type nat hook prerouting priority dstnat; }
add rule inet isp arriving iifname wan0 ip daddr 192.0.2.130 udp dport { 54754, 20000-29999 } dnat ip to 192.168.8.2
add rule inet isp arriving iifname wan0 ip daddr 192.0.2.130 tcp dport { 8443, 20000-29999 } dnat ip to 192.168.8.2
add chain inet isp leaving { type nat hook postrouting priority srcnat; }
add rule inet isp leaving oifname wan0 ip saddr 192.168.8.0/24 masquerade
add chain inet isp forward { type filter hook forward priority filter; policy drop; }
add rule inet isp forward ct state established,related accept
add rule inet isp forward iifname lan0 accept
add rule inet isp forward ct status dnat accept
add rule inet isp forward meta l4proto ipv6-icmp accept
add rule inet isp forward ip6 daddr 2001:db8:8:2::2 udp dport { 54754, 20000-29999 } accept
add rule inet isp forward ip6 daddr 2001:db8:8:2::2 tcp dport { 8443, 20000-29999 } accept
`)
}

// oneBox is deployment B as its page says; more is what else is in core.yaml.
func oneBox(t *testing.T, more func(guide *page) string) (*suite, *bed.House) {
	t.Helper()
	dir := t.TempDir()
	guide := readPage(t, "start/b-one-box.md", "/run/ownline-pair", filepath.Join(dir, "pair"), "192.168.1.", "192.168.8.")
	var house *bed.House
	s := begin(t, world.Options{Dir: dir, Place: func(b *bed.Bed) (p world.Place, err error) {
		house, err = b.AddHouse()
		if err != nil {
			return p, err
		}
		web := guide.file("On the box", "/etc/ownline/web.yaml")
		return world.Place{
			Core: house.Box, Web: house.Box, WebAt: netip.MustParseAddrPort(listens.FindStringSubmatch(web)[1]), PairFile: true,
			CoreFile: guide.file("On the box", "/etc/ownline/core.yaml") + more(guide), WebFile: web,
		}, nil
	}})
	s.provide(house)
	return s, house
}

func nothing(*page) string { return "" }

// Deployment B: core and web on one box behind the provider's router, as its page says. Two NATs are in the
// way of every packet: the provider's forward to the box, and the box's own with its masquerade.
func TestOneBox(t *testing.T) {
	open := readPage(t, "start/a-router-and-server.md", "192.168.1.10:22", "192.168.8.10:7", " ana", " "+world.AdminName)
	s, house := oneBox(t, nothing)
	nas, client, public := house.NAS, s.Bed.Client1, house.Provider.IPv4
	echo, err := nas.TCPEcho(bed.EchoPort)
	must(t, err)
	udp, err := nas.UDPEcho(bed.EchoPort)
	must(t, err)

	// The name is that of public_url, and needs not be said again.
	laptop := filepath.Join(t.TempDir(), "laptop")
	s.does(open, "Open something", client, laptop, public)
	session := s.only()
	if session.Source.Addr() != client.IPv4 {
		t.Errorf("the session is for %s, not for %s", session.Source, client.IPv4)
	}
	at := netip.AddrPortFrom(public, session.PublicPort)
	wantState(t, client, at, true)
	wantState(t, s.Bed.Client2, at, false)
	wantState(t, s.Bed.Stranger, at, false)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	flow, err := client.StartFlow(ctx, "tcp", at, bed.FlowOptions{})
	must(t, err)
	eventually(t, patience, "the service sees the box", func() bool {
		peers := echo.Peers()
		return len(peers) == 1 && peers[0].Addr() == house.Box.IPv4
	})
	s.close(session.ID)
	if _, err := flow.WaitCut(ctx); err != nil {
		t.Error(err)
	}
	flow.Stop()
	wantState(t, client, at, false)

	// UDP, and IPv6, which the provider's router does not translate.
	both := s.create("/services", world.Map{
		"site": s.Site, "name": "udp-echo", "kind": "forward", "transport": "udp",
		"target": netip.AddrPortFrom(nas.IPv4, bed.EchoPort).String(), "target6": netip.AddrPortFrom(nas.IPv6s[1], bed.EchoPort).String(),
	})
	for source, to := range map[netip.Addr]netip.Addr{client.IPv4: public, client.IPv6: house.Box.IPv6} {
		session := s.open(both, source, time.Minute, 0)
		at := netip.AddrPortFrom(to, session.PublicPort)
		if got := client.ProbeUDP(at, []byte("hello"), patience).State; got != bed.Open {
			t.Errorf("%s finds UDP at %s %s", source, at, got)
		}
		for _, h := range []*bed.Host{s.Bed.Client2, s.Bed.Stranger} {
			if got := h.ProbeUDP(at, []byte("hello"), 300*time.Millisecond).State; got == bed.Open {
				t.Errorf("%s finds UDP at %s open", h.Name, at)
			}
		}
		s.close(session.ID)
		if got := client.ProbeUDP(at, []byte("hello"), 300*time.Millisecond).State; got == bed.Open {
			t.Errorf("%s finds UDP at %s open after the session", source, at)
		}
	}
	for _, peer := range udp.Peers() {
		if a := peer.Addr(); a != house.Box.IPv4 && !slices.Contains(house.Box.IPv6s, a) {
			t.Errorf("the service was asked by %s, which is not the box", a)
		}
	}
	for _, f := range newPatient(s).doctor().Findings {
		if f.Level == doctor.Problem {
			t.Errorf("ownline-core doctor: %s: %s", f.Check, f.Text)
		}
	}
}

var listens = regexp.MustCompile(`listen: (\S+)`)
