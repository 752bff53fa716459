package e2e

import (
	"context"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/doctor"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
	"github.com/ownline/ownline/test/world"
)

// Invariants 3, 4 and 5: on a host where firewalld refuses all, core has it let sessions in, and nothing else
// is. They are put back within a second when it is reloaded or started again, they end when core is dead,
// and whatever driver comes next takes them over, with nothing left behind.
func TestFirewalld(t *testing.T) {
	s := start(t, world.Options{CoreYAML: "firewall: {driver: auto}\n"})
	if got := s.status().Firewall.Driver; got != ownline.NFTables {
		t.Errorf("without firewalld, the driver is %s", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	moved := s.public(true, s.open(s.echo, s.Bed.Client1.IPv6, 10*time.Minute, 0).PublicPort)
	flow, err := s.Bed.Client1.StartFlow(ctx, "tcp", moved, bed.FlowOptions{Quiet: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	f := bedtest.NewFirewalld(t, s.Bed.Router)
	f.Start()
	p := newPatient(s)
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", f.Bus)
	for _, lan := range []netip.Prefix{s.Bed.LAN4, s.Bed.LAN6} {
		f.Tell("--permanent --zone trusted --add-source " + lan.String())
	}
	f.Tell("--reload")
	restart := func(driver string) {
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
		if got := s.status().Firewall.Driver; got != driver {
			t.Fatalf("the driver is %s, want %s", got, driver)
		}
	}
	restart(ownline.Firewalld)
	at := moved
	open := func() bool { return s.Bed.Client1.ConnectTCP(at, time.Second).State == bed.Open }
	opens := func(when string) {
		t.Helper()
		began := time.Now()
		eventually(t, patience, when+", the session at "+at.String()+" is open", open)
		t.Logf("%s, the session is open after %s", when, time.Since(began).Round(time.Millisecond))
		if s.Bed.Client2.ConnectTCP(at, 300*time.Millisecond).State == bed.Open {
			t.Errorf("%s, a neighbour gets in", when)
		}
	}
	opens("when core takes over")
	p.probed(`"echo"`, doctor.Good)
	p.probed("the knock port", doctor.Problem, "on its way there, by the chain inet firewalld")

	// What the doctor prints lets knocks in, and is what the docs say.
	fix := ""
	for _, found := range p.doctor().Findings {
		if found.Check != "host-rules" || found.Level == doctor.Good {
			continue
		}
		if !strings.Contains(found.Text, "knocks") || len(found.Fix) == 0 || fix != "" {
			t.Errorf("the doctor says %s: %s %q", found.Level, found.Text, found.Fix)
			continue
		}
		fix = strings.Join(found.Fix, "\n")
	}
	if docs := docLines(t, "firewalld"); fix != docs {
		t.Errorf("the doctor says %q, and the docs %q", fix, docs)
	}
	for command := range strings.Lines(fix) {
		words, ok := strings.CutPrefix(strings.TrimSpace(command), "firewall-cmd ")
		if !ok {
			t.Fatalf("the doctor's fix is %s", command)
		}
		f.Tell(words)
	}
	opens("when knocks are let in")
	p.passing(`"echo"`)
	s.knock(s.device(), s.Bed.Client1, false)
	for _, found := range p.doctor().Findings {
		if found.Check == "host-rules" && found.Level == doctor.Problem {
			t.Errorf("the doctor says %s: %s", found.Level, found.Text)
		}
	}

	at = s.public(false, s.open(s.web, s.Bed.Client1.IPv4, 10*time.Minute, 0).PublicPort)
	opens("a new one")
	f.Tell("--reload")
	opens("after a reload")
	f.Stop()
	f.Start()
	opens("after a restart of firewalld")
	if r := flow.Report(); r.Cut != nil {
		t.Errorf("the connection was cut: %+v", *r.Cut)
	}

	// Other drivers take over, and give back.
	path := s.Path("core.yaml")
	yaml, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	now := "auto"
	change := func(driver string) {
		t.Helper()
		yaml = []byte(strings.Replace(string(yaml), "driver: "+now, "driver: "+driver, 1))
		now = driver
		if err := os.WriteFile(path, yaml, 0o600); err != nil {
			t.Fatal(err)
		}
		restart(driver)
		opens("with " + driver)
		eventually(t, patience, driver+" alone holds the sessions", func() bool {
			rules, err := f.Told("--policy ownline --list-rich-rules")
			firewalld := err == nil && rules != "" || strings.Contains(f.Permanent(), "Ownline")
			ipt := strings.Contains(s.listing("/usr/sbin/iptables-save")+s.listing("/usr/sbin/ip6tables-save"), "ownline")
			nft := strings.Contains(s.listing("/usr/sbin/nft", "list", "tables"), "inet ownline")
			return firewalld == (driver == "firewalld") && ipt == (driver == "iptables") && nft == (driver != "iptables")
		})
		if r := flow.Report(); r.Cut != nil {
			t.Errorf("with %s, the connection was cut: %+v", driver, *r.Cut)
		}
	}
	q := s.newQuiet()
	for _, driver := range []string{"nftables", "firewalld", "iptables", "firewalld"} {
		change(driver)
		q.goOn("with " + driver)
	}
	flow.Stop()

	const short = 10 * time.Second
	at = s.public(false, s.open(s.echo, s.Bed.Client1.IPv4, short, 0).PublicPort)
	until := time.Now().Add(short)
	opens("a short one")
	if err := s.Core.Kill(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Until(until) + time.Second)
	if open() {
		t.Error("without core, the session is open after its time")
	}
}
