package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core"
	"github.com/ownline/ownline/internal/ownline"
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

// wrapped is ownline-core that a script starts, whose last words are to be `exec "$core" "$@"`.
func wrapped(t *testing.T, script string) world.Programs {
	t.Helper()
	p := programs
	p.Core = filepath.Join(t.TempDir(), "core")
	must(t, os.WriteFile(p.Core, []byte("#!/bin/sh\ncore='"+programs.Core+"'\n"+script+"\n"), 0o755))
	return p
}

// quiet are sessions that nothing comes through but what is sent by and by, and what core says has come so far.
type quiet struct {
	*suite
	at   map[string]netip.AddrPort // by their IDs
	came map[string]ownline.Traffic
}

func (s *suite) newQuiet() *quiet {
	s.t.Helper()
	q := &quiet{s, map[string]netip.AddrPort{}, map[string]ownline.Traffic{}}
	for _, source := range []netip.Addr{s.Bed.Client1.IPv4, s.Bed.Client1.IPv6} {
		session := s.open(s.web, source, 10*time.Minute, 0)
		q.at[session.ID] = s.public(source.Is6(), session.PublicPort)
	}
	q.send()
	return q
}

// send has something come through each, and waits until web knows, too.
func (q *quiet) send() {
	q.t.Helper()
	before := q.came
	for _, at := range q.at {
		wantState(q.t, q.Bed.Client1, at, true)
	}
	q.counts("sent", func(id string, is ownline.Traffic) bool {
		return is.UpBytes > before[id].UpBytes && is.DownBytes > before[id].DownBytes
	})
	eventually(q.t, patience, "web knows of all that came", func() bool {
		n := 0
		for _, s := range q.sessions() {
			if is, ok := q.came[s.ID]; ok && s.Traffic.UpBytes >= is.UpBytes && s.Traffic.DownBytes >= is.DownBytes {
				n++
			}
		}
		return n == len(q.at)
	})
}

// goOn is whether what has come is still counted.
func (q *quiet) goOn(when string) {
	q.t.Helper()
	before := q.came
	q.counts(when+", what came before counts", func(id string, is ownline.Traffic) bool {
		was := before[id]
		return is.UpBytes >= was.UpBytes && is.UpPackets >= was.UpPackets && is.DownBytes >= was.DownBytes && is.DownPackets >= was.DownPackets
	})
}

// counts waits until all are counted so.
func (q *quiet) counts(what string, so func(id string, is ownline.Traffic) bool) {
	q.t.Helper()
	eventually(q.t, patience, what, func() bool {
		q.came = map[string]ownline.Traffic{}
		for _, source := range []netip.Addr{q.Bed.Client1.IPv4, q.Bed.Client1.IPv6} {
			out, _ := q.CoreCommand(q.t.Context(), "explain", "--json", source.String()) // it ends with what it has to say of others
			var e core.Explanation
			if err := json.Unmarshal(out, &e); err != nil {
				q.t.Fatalf("explain says %s: %v", out, err)
			}
			for _, s := range e.Sessions {
				if id := s.ID.String(); q.at[id].IsValid() && s.Live && so(id, s.Traffic) {
					q.came[id] = s.Traffic
				}
			}
		}
		return len(q.came) == len(q.at)
	})
}

// driving is a driver, and which iptables the host has core use.
type driving struct{ driver, variant string }

// holds is what the kernel has of it, as inForce tells.
func (d driving) holds() string {
	if d.driver == "nftables" {
		return "nftables"
	}
	return d.driver + "-" + d.variant
}

// inForce tells whose rules the kernel has.
func (s *suite) inForce() string {
	s.t.Helper()
	var all []string
	if strings.Contains(s.listing("/usr/sbin/nft", "list", "tables"), "inet ownline") {
		all = append(all, "nftables")
	}
	for _, variant := range []string{"nft", "legacy"} {
		saved := s.listing("/usr/sbin/iptables-"+variant+"-save") + s.listing("/usr/sbin/ip6tables-"+variant+"-save")
		switch {
		case strings.Contains(saved, "ownline-let"):
			all = append(all, "ufw-"+variant)
		case strings.Contains(saved, "ownline"):
			all = append(all, "iptables-"+variant)
		}
	}
	return strings.Join(all, " and ")
}

// Invariants 3, 4 and 5: another driver takes over all sessions with the connections that are there, and
// nothing of the one before is left; what it took over ends with its session. So does the other variant of
// iptables.
func TestAnotherFirewallDriver(t *testing.T) {
	for _, program := range []string{"/usr/sbin/iptables-nft-save", "/usr/sbin/iptables-legacy-save", "/usr/sbin/nft"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%v: run the tests by make test, which installs it", err)
		}
	}
	// What is in here comes before what the host calls iptables.
	local := t.TempDir()
	s := start(t, world.Options{
		CoreYAML: "firewall: {driver: nftables}\n",
		Programs: wrapped(t, `exec unshare -m sh -ec 'mount --bind "$0" /usr/local/sbin; exec "$@"' '`+local+`' "$core" "$@"`),
	})
	now := driving{"nftables", ""}
	change := func(to driving) {
		t.Helper()
		path := s.Path("core.yaml")
		b, err := os.ReadFile(path)
		must(t, err)
		must(t, os.WriteFile(path, []byte(strings.Replace(string(b), "driver: "+now.driver, "driver: "+to.driver, 1)), 0o600))
		must(t, s.Core.Kill())
		for _, program := range []string{"iptables-save", "iptables-restore", "ip6tables-save", "ip6tables-restore"} {
			link := filepath.Join(local, program)
			if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			if to.variant != "" {
				family, what, _ := strings.Cut(program, "-")
				must(t, os.Symlink("/usr/sbin/"+family+"-"+to.variant+"-"+what, link))
			}
		}
		must(t, s.Core.Start(t.Context()))
		must(t, s.WaitConnected(t.Context()))
		now = to
		eventually(t, patience, to.holds()+" alone holds the sessions", func() bool { return s.inForce() == to.holds() })
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
	check := func() {
		t.Helper()
		driver := now.holds()
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
	check()
	q := s.newQuiet()
	for _, to := range []driving{{"iptables", "nft"}, {"iptables", "legacy"}, {"ufw", "nft"}, {"nftables", ""}, {"ufw", "legacy"}, {"iptables", "nft"}} {
		change(to)
		q.goOn("with " + to.holds())
		open() // four more, beside those that the ones before have made
		check()
		end(2)
	}
	q.send()
	change(now) // no more than a restart
	check()
	change(driving{"nftables", ""})
	q.goOn("in the end")
	check()
	end(len(all))
}

// On a kernel whose nftables does not work, auto takes iptables; where that is not there either, core does
// not start, and says what it lacks of both.
func TestAutoWithoutNFTables(t *testing.T) {
	p := wrapped(t, `exec unshare --pid --fork --kill-child "$core" "$@"`)
	s := start(t, world.Options{CoreYAML: "firewall: {driver: auto}\n", Programs: p})
	if got := s.status().Firewall.Driver; got != ownline.NFTables {
		t.Fatalf("with both, the driver is %s", got)
	}
	must(t, s.Core.Kill())
	// Somebody owns the table by which core finds out what nftables can do, so it can't.
	owner := s.Bed.Router.Command(t.Context(), "/usr/sbin/nft", "-i")
	in, err := owner.StdinPipe()
	must(t, err)
	must(t, s.Bed.Router.Start(owner))
	defer func() { _ = owner.Wait() }()
	defer in.Close()
	_, err = in.Write([]byte("add table inet ownline_probe_1 { flags owner; }\n"))
	must(t, err)
	eventually(t, patience, "the table is owned", func() bool {
		return strings.Contains(s.listing("/usr/sbin/nft", "list", "tables"), "ownline_probe_1")
	})
	must(t, s.Core.Start(t.Context()))
	must(t, s.WaitConnected(t.Context()))
	if got := s.status().Firewall.Driver; got != ownline.IPTables {
		t.Errorf("without nftables, the driver is %s", got)
	}
	at := s.public(false, s.open(s.web, s.Bed.Client1.IPv4, time.Minute, 0).PublicPort)
	wantState(t, s.Bed.Client1, at, true)
	wantState(t, s.Bed.Client2, at, false)

	must(t, s.Core.Kill()) // what it runs in does not pass on that it is to stop
	out, err := runOn(s.Bed.Router, "unshare", "-m", "sh", "-ec", `for p in nft legacy; do mount --bind /dev/null /usr/sbin/xtables-$p-multi; done; exec "$@"`, "sh", p.Core, "run", "--config", s.Path("core.yaml"))
	if err == nil || !strings.Contains(out, "find out what nftables can do here") || !strings.Contains(out, "iptables-save and iptables-restore are not installed here") {
		t.Errorf("without either, core ends with %v: %s", err, out)
	}
}

// runOn returns what a program prints on a host.
func runOn(h *bed.Host, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var out strings.Builder
	cmd := h.Command(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	err := h.Run(cmd)
	return out.String(), err
}
