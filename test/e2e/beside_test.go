package e2e

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/doctor"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
)

// hostFirewall is one that a router has besides Ownline's.
type hostFirewall struct {
	section string // of docs/how/host-firewall.md: what its admin has to add once
	service string // a shell script: what `service` does there, which $RULES names the rules for
	load    string // shell commands: loads the rules
	again   string // loads them anew
	chain   string // drops what Ownline lets in, before
	accepts string // the command that mends it
	knocks  bool   // it drops knocks, too
	forgets bool   // what was added, when its rules are loaded anew
}

var hostFirewalls = map[string]hostFirewall{
	"OpenWrt": {
		section: "OpenWrt",
		service: `test "$*" = "firewall reload" && exec /usr/sbin/nft -f "$RULES/fw4.nft"`,
		load:    "service firewall reload", again: "service firewall reload",
		chain: "inet fw4 forward", knocks: true,
		accepts: "echo 'ct status dnat accept' >> /usr/share/nftables.d/chain-pre/forward/ownline.nft && service firewall reload",
	},
	"Docker": {
		section: "Docker",
		load:    "iptables-restore --noflush $RULES/docker4.rules\nip6tables-restore --noflush $RULES/docker6.rules",
		// When it is started again, it puts its own jumps before all others.
		again:   "for t in iptables ip6tables; do for c in DOCKER-FORWARD DOCKER-USER; do while $t -D FORWARD -j $c; do :; done 2>/dev/null; $t -I FORWARD -j $c; done; done",
		chain:   "ip filter FORWARD",
		accepts: "iptables -A FORWARD -m conntrack --ctstate DNAT -j ACCEPT",
	},
	"rules of one's own": {
		section: "Rules of your own",
		load:    "nft flush ruleset\nnft -f $RULES/own.nft", again: "nft -f $RULES/own.nft",
		chain: "inet filter forward", knocks: true, forgets: true,
		accepts: "nft add rule inet filter forward ct status dnat accept",
	},
}

// admin runs commands on the router, whose /usr/share is a folder of the test, and on whose /etc nothing is left.
func (s *suite) admin(dir string, f hostFirewall, lines string) {
	s.t.Helper()
	rules, err := filepath.Abs("testdata/firewalls")
	must(s.t, err)
	for _, name := range []string{"etc", "share", "bin"} {
		must(s.t, os.MkdirAll(filepath.Join(dir, name), 0o755))
	}
	must(s.t, os.WriteFile(filepath.Join(dir, "bin/service"), []byte("#!/bin/sh\n"+f.service+"\n"), 0o755))
	view := "set -e\ncd '" + dir + "'\nmount -t tmpfs none etc\nmkdir etc/new etc/work\n" +
		"mount -t overlay none -o lowerdir=/etc,upperdir=etc/new,workdir=etc/work /etc\nmount --bind share /usr/share\nset -x\n" + lines
	cmd := s.Bed.Router.Command(s.t.Context(), "unshare", "-m", "sh", "-c", view)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.Env = append(os.Environ(), "PATH="+dir+"/bin:/usr/sbin:/usr/bin:/sbin:/bin", "RULES="+rules)
	if err := s.Bed.Router.Run(cmd); err != nil {
		s.t.Fatalf("%v: %s", err, &said)
	}
}

// docLines are the commands of a section of docs/how/host-firewall.md.
func docLines(t *testing.T, section string) string {
	t.Helper()
	b, err := os.ReadFile("../../docs/how/host-firewall.md")
	must(t, err)
	_, text, _ := strings.Cut(string(b), "\n## "+section+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	_, text, _ = strings.Cut(text, "\n```\n")
	text, _, found := strings.Cut(text, "\n```\n")
	if !found || text == "" {
		t.Fatalf("the docs have no commands in %q", section)
	}
	return text
}

// others lists all rules but Ownline's, without what they have counted.
func (s *suite) others() string {
	s.t.Helper()
	all := ""
	for table := range strings.SplitSeq(s.listing("/usr/sbin/nft", "-s", "list", "ruleset"), "\n}\n") {
		if !strings.HasPrefix(table, "table inet ownline ") {
			all += table + "\n}\n"
		}
	}
	return all
}

// besides is a router with a firewall of its own, and sessions.
type besides struct {
	*patient
	hostFirewall
	device *world.Device
	open   map[netip.AddrPort]string // where sessions of the client are, with "tcp" or "udp"
	dir    string
}

func newBesides(t *testing.T, f hostFirewall) *besides {
	s := start(t, world.Options{})
	b := &besides{newPatient(s), f, s.device(), map[netip.AddrPort]string{}, t.TempDir()}
	s.knock(b.device, s.Bed.Client1, false)
	for service, network := range map[string]string{s.echo: "tcp", s.udp: "udp", s.routerEcho: "udp"} {
		for _, a := range []netip.Addr{s.Bed.Client1.IPv4, s.Bed.Client1.IPv6} {
			b.open[s.public(a.Is6(), s.open(service, a, time.Hour, 0).PublicPort)] = network
		}
	}
	return b
}

// reaches is whether a session is open to a host.
func (b *besides) reaches(h *bed.Host, at netip.AddrPort, wait time.Duration) bool {
	if b.open[at] == "tcp" {
		return h.ConnectTCP(at, wait).State == bed.Open
	}
	return h.ProbeUDP(at, []byte("hello"), wait).State == bed.Open
}

// works is whether all sessions are open, to their client and nobody else, knocks are answered, and the doctor agrees.
func (b *besides) works(when string) {
	t := b.t
	t.Helper()
	for at, network := range b.open {
		eventually(t, patience, when+", "+network+" is open at "+at.String(), func() bool { return b.reaches(b.Bed.Client1, at, time.Second) })
	}
	for at, network := range b.open {
		if b.reaches(b.Bed.Client2, at, 300*time.Millisecond) {
			t.Errorf("%s, a neighbour gets in at %s of %s", when, at, network)
		}
	}
	b.well("host-rules")
	b.passing(`"echo"`)
	for _, v6 := range []bool{false, true} {
		b.knock(b.device, b.Bed.Client1, v6)
	}
}

// Invariants 1, 3, 4 and 5, beside the firewall that a host already has: Ownline says what is in its way, with
// the lines of the docs sessions and knocks pass it, and nobody else does; others' rules stay as they are,
// and when they are loaded anew, Ownline's are there all the same.
func TestBesideTheHostsFirewall(t *testing.T) {
	for name, f := range hostFirewalls {
		t.Run(name, func(t *testing.T) { testBeside(t, f) })
		t.Run(name+", by the doctor", func(t *testing.T) {
			b := newBesides(t, f)
			b.admin(b.dir, f, f.load)
			for _, f := range b.doctor().Findings {
				if f.Check == "host-rules" {
					b.admin(b.dir, b.hostFirewall, strings.Join(f.Fix, "\n"))
				}
			}
			b.works("with what the doctor says")
			if !f.forgets {
				b.admin(b.dir, f, f.again)
				b.works("loaded anew, with what the doctor says")
			}
		})
	}
}

func testBeside(t *testing.T, f hostFirewall) {
	b := newBesides(t, f)
	client := b.Bed.Client1
	page := b.public(false, b.suite.open(b.web, client.IPv4, time.Hour, 0).PublicPort)

	b.admin(b.dir, f, f.load)
	before := b.others()
	eventually(t, patience, "Ownline's own table is there", func() bool {
		return strings.Contains(b.listing("/usr/sbin/nft", "list", "ruleset"), "table inet ownline ")
	})
	wantState(t, client, page, false)
	b.finds("host-rules", doctor.Problem, f.chain+" drops connections to services in the LAN")
	b.probed(`"echo", 192.168.7.10`, doctor.Problem, "on its way there, by the chain")
	b.says([]string{client.IPv4.String(), "page"}, "host's own chain", b.accepts)
	if f.knocks {
		if _, err := b.device.Send(client, b.KnockAddr(false), b.device.Knock(), time.Second/2); err == nil {
			t.Error("a knock is answered, which the host's rules should drop")
		}
		b.finds("host-rules", doctor.Problem, "drops knocks")
	}
	if b.others() != before {
		t.Errorf("Ownline has changed what is not its own:\n%s", b.others())
	}

	b.admin(b.dir, f, docLines(t, f.section))
	after := b.others()
	if after == before {
		t.Fatal("the lines of the docs change nothing")
	}
	b.open[page] = "tcp"
	b.works("with the lines of the docs")

	// Its rules are loaded anew under live connections, which then end with their sessions.
	flows := map[string]*bed.Flow{}
	for _, a := range []netip.Addr{client.IPv4, client.IPv6} {
		for service, network := range map[string]string{b.echo: "tcp", b.udp: "udp"} {
			session := b.suite.open(service, a, time.Hour, 0)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			flow, err := client.StartFlow(ctx, network, b.public(a.Is6(), session.PublicPort), bed.FlowOptions{Quiet: 5 * time.Second})
			cancel()
			must(t, err)
			flows[session.ID] = flow
		}
	}
	b.admin(b.dir, f, f.again)
	if f.forgets {
		b.admin(b.dir, f, docLines(t, f.section))
	}
	b.works("loaded anew")
	must(t, b.Core.Kill())
	must(t, b.Core.Start(t.Context()))
	must(t, b.WaitConnected(t.Context()))
	b.works("with another core")
	for id, flow := range flows {
		if r := flow.Report(); r.Cut != nil {
			t.Errorf("a connection was cut before its session ended: %+v", *r.Cut)
		}
		b.close(id)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if _, err := flow.WaitCut(ctx); err != nil {
			t.Errorf("a connection outlives its session: %v", err)
		}
		cancel()
		if r := flow.Stop(); !r.Revived.IsZero() {
			t.Error("a connection was revived")
		}
	}
	b.call("DELETE", "/sessions", nil, nil)
	for at, network := range b.open {
		eventually(t, patience, network+" is shut at "+at.String(), func() bool { return !b.reaches(client, at, 300*time.Millisecond) })
	}
	if b.others() != after {
		t.Errorf("Ownline has changed what is not its own, or the firewall forgot it:\n%s\nwas:\n%s", b.others(), after)
	}
}
