package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
)

// listing is what a program prints on the router; "" when it does not say it.
func (s *suite) listing(name string, args ...string) string {
	s.t.Helper()
	var out strings.Builder
	cmd := s.Bed.Router.Command(s.t.Context(), name, args...)
	cmd.Stdout = &out
	if err := s.Bed.Router.Run(cmd); err != nil {
		s.t.Fatalf("%s: %v", name, err)
	}
	return out.String()
}

// Invariants 3, 4 and 5: another driver takes over all sessions with the connections that are there, and
// nothing of the one before is left; what it took over ends with its session.
func TestAnotherFirewallDriver(t *testing.T) {
	for _, program := range []string{"/usr/sbin/iptables-save", "/usr/sbin/nft"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%v: run the tests by make test, which installs it", err)
		}
	}
	s := start(t, world.Options{CoreYAML: "firewall: {driver: nftables}\n"})
	held := func() (nft, ipt bool) {
		nft = strings.Contains(s.listing("/usr/sbin/nft", "list", "tables"), "inet ownline")
		ipt = strings.Contains(s.listing("/usr/sbin/iptables-save")+s.listing("/usr/sbin/ip6tables-save"), "ownline")
		return nft, ipt
	}
	change := func(from, to string) {
		t.Helper()
		path := s.Path("core.yaml")
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.Replace(string(b), "driver: "+from, "driver: "+to, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.Core.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := s.Core.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.WaitConnected(t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually(t, patience, to+" alone holds the sessions", func() bool {
			nft, ipt := held()
			return nft == (to == "nftables") && ipt == (to == "iptables")
		})
	}
	type session struct {
		world.Session
		flow *bed.Flow
		at   netip.AddrPort
	}
	var all []session
	round := 0
	open := func() {
		t.Helper()
		round++
		tcp := s.service(fmt.Sprintf("echo-%d", round), "tcp", s.Bed.Lan, bed.EchoPort)
		udp := s.service(fmt.Sprintf("udp-echo-%d", round), "udp", s.Bed.Lan, bed.EchoPort)
		for _, v6 := range []bool{false, true} {
			for i, service := range []string{tcp, udp} {
				source := s.Bed.Client1.IPv4
				if v6 {
					source = s.Bed.Client1.IPv6
				}
				got := session{Session: s.open(service, source, 10*time.Minute, 0)}
				got.at = s.public(v6, got.PublicPort)
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				var err error
				if got.flow, err = s.Bed.Client1.StartFlow(ctx, []string{"tcp", "udp"}[i], got.at, bed.FlowOptions{}); err != nil {
					t.Fatal(err)
				}
				all = append(all, got)
			}
		}
	}
	check := func(driver string) {
		t.Helper()
		for _, got := range all {
			if r := got.flow.Report(); r.Cut != nil {
				t.Errorf("with %s, a connection to %s was cut: %+v", driver, got.at, *r.Cut)
			}
		}
		for _, v6 := range []bool{false, true} {
			for _, got := range all {
				if got.at.Addr().Is6() == v6 && s.Bed.Client2.ConnectTCP(got.at, patience).State == bed.Open {
					t.Errorf("with %s, a neighbour gets in at %s", driver, got.at)
				}
			}
		}
	}
	end := func(n int) {
		t.Helper()
		for _, got := range all[:n] {
			s.close(got.ID)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			if _, err := got.flow.WaitCut(ctx); err != nil {
				t.Errorf("the connection to %s lives on after its session: %v", got.at, err)
			}
			cancel()
			if r := got.flow.Stop(); !r.Revived.IsZero() {
				t.Errorf("the connection to %s was revived", got.at)
			}
		}
		all = all[n:]
	}
	open()
	check("nftables")
	change("nftables", "iptables")
	open() // four that nftables has made, four that iptables has
	check("iptables")
	end(2)
	change("iptables", "nftables")
	check("nftables")
	end(2)
	open()
	check("nftables")
	change("nftables", "nftables") // no more than a restart
	check("nftables")
	end(len(all))
}
