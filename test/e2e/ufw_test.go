package e2e

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/doctor"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
	"github.com/ownline/ownline/test/world"
)

// Invariants 3, 4 and 5: on a host where ufw refuses all, core takes the driver that is beside it. Its
// sessions are let in and nothing else is, they go on whatever ufw is told, they come back when all
// rules are flushed, and the kernel ends them when core is dead.
func TestUFW(t *testing.T) {
	s := start(t, world.Options{CoreYAML: "firewall: {driver: auto}\n"})
	if got := s.status().Firewall.Driver; got != ownline.NFTables {
		t.Errorf("without ufw, the driver is %s", got)
	}
	moved := s.open(s.echo, s.Bed.Client1.IPv6, 10*time.Minute, 0)
	u := bedtest.NewUFW(t, s.Bed.Router)
	for _, lan := range []netip.Prefix{s.Bed.LAN4, s.Bed.LAN6} {
		u.Tell("allow from " + lan.String())
	}
	u.Tell("--force enable")

	// By nftables' driver, the doctor says to change it; and to let knocks in as the docs say.
	p := newPatient(s)
	says := func(what string, want ...string) {
		t.Helper()
		driver, fixes := 0, []string{}
		for _, found := range p.doctor().Findings {
			switch {
			case found.Check != "host-rules":
			case len(found.Fix) == 0 && strings.Contains(found.Hint, "`firewall: {driver: ufw}`"):
				driver++
			default:
				if fixes = append(fixes, found.Fix...); found.Hint != "" {
					t.Errorf("%s, beside %q the doctor says %s", what, found.Fix, found.Hint)
				}
			}
		}
		if driver != 1 || !slices.Equal(fixes, want) {
			t.Errorf("%s, the doctor says %d times to change the driver, and else %q, want %q", what, driver, fixes, want)
		}
	}
	knocks, answers := docLines(t, "ufw"), "ufw allow out proto udp from any port 54754"
	says("ufw refuses what comes", knocks)
	u.Tell("default deny outgoing")
	says("ufw refuses what goes, too", knocks, answers)
	u.Tell(strings.TrimPrefix(knocks, "ufw "))
	u.Tell(strings.TrimPrefix(answers, "ufw "))
	says("with that")
	u.Tell("default allow outgoing")
	restart := func() {
		t.Helper()
		if err := s.Core.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := s.Core.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.WaitConnected(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	restart()
	if got := s.status().Firewall.Driver; got != ownline.UFW {
		t.Fatalf("beside ufw, the driver is %s", got)
	}
	open := func(h *bed.Host, at netip.AddrPort) bool { return h.ConnectTCP(at, time.Second).State == bed.Open }
	opens := func(what string, at netip.AddrPort) {
		t.Helper()
		began := time.Now()
		eventually(t, patience, what+", the session at "+at.String()+" is open", func() bool { return open(s.Bed.Client1, at) })
		t.Logf("%s, the session is open after %s", what, time.Since(began).Round(time.Millisecond))
	}
	opens("when core takes over", s.public(true, moved.PublicPort))
	s.knock(s.device(), s.Bed.Client1, false)

	at := s.public(false, s.open(s.echo, s.Bed.Client1.IPv4, 10*time.Minute, 0).PublicPort)
	opens("beside ufw", at)
	connect := func() *bed.Flow {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		f, err := s.Bed.Client1.StartFlow(ctx, "tcp", at, bed.FlowOptions{Quiet: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	flow := connect()
	neighbour := func(when string) {
		t.Helper()
		if s.Bed.Client2.ConnectTCP(at, 300*time.Millisecond).State == bed.Open {
			t.Errorf("%s, a neighbour gets in", when)
		}
	}
	for _, words := range []string{"reload", "disable", "--force enable"} {
		u.Tell(words)
		opens("after ufw "+words, at)
		idle := slices.ContainsFunc(p.doctor().Findings, func(f doctor.Finding) bool {
			return f.Level == doctor.Warning && strings.Contains(f.Text, "but ufw is not active")
		})
		if idle != (words == "disable") {
			t.Errorf("after ufw %s, the doctor says that ufw is not active: %v", words, idle)
		}
		neighbour("after ufw " + words)
	}
	p.well("host-rules")
	p.passing("")
	if r := flow.Stop(); r.Cut != nil {
		t.Errorf("the connection was cut: %+v", *r.Cut)
	}
	const all = "*filter\n:FORWARD ACCEPT\nCOMMIT\n*mangle\n:FORWARD ACCEPT\nCOMMIT\n*nat\n:PREROUTING ACCEPT\nCOMMIT\n"
	flush := s.Bed.Router.Command(t.Context(), "/usr/sbin/iptables-restore")
	flush.Stdin = strings.NewReader(all)
	if err := s.Bed.Router.Run(flush); err != nil {
		t.Fatal(err)
	}
	u.Tell("reload")
	opens("after a flush and ufw reload", at)
	neighbour("after a flush")
	const short = 10 * time.Second
	at = s.public(false, s.open(s.web, s.Bed.Client1.IPv4, short, 0).PublicPort)
	until := time.Now().Add(short)
	opens("a short one", at)
	if err := s.Core.Kill(); err != nil {
		t.Fatal(err)
	}
	u.Tell("reload")
	time.Sleep(time.Until(until) + 2*time.Second)
	if open(s.Bed.Client1, at) {
		t.Error("without core, the session is open after its time")
	}
}
