package e2e

import (
	"context"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ownline/ownline/internal/config"
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
	for _, args := range firewall.commands("1. Connections that were translated") {
		s.nft(router, strings.Join(args[1:], " "))
	}
	s.nft(router, "insert rule inet filter input "+strings.Trim(block.FindString(firewall.section("2. Knocks")), "`\n"))

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
