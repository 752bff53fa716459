package firewalld_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/firewalld"
	"github.com/ownline/ownline/internal/core/loopback"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
)

// changed looks until firewalld's signals have told the driver, if they should.
func changed(t *testing.T, d *firewalld.Driver, want bool, when string) {
	t.Helper()
	got, err := d.Changed(t.Context())
	for end := time.Now().Add(patience); want && !got && err == nil && time.Now().Before(end); got, err = d.Changed(t.Context()) {
		time.Sleep(20 * time.Millisecond) // signals take a moment
	}
	if got != want || err != nil {
		t.Errorf("%s, Changed = %v, %v", when, got, err)
	}
}

func asks(h *bed.Host, tr ownline.Transport, at netip.AddrPort, wait time.Duration) bool {
	_, ok := h.AskWho(wait, string(tr), at)
	return ok
}

func opens(t *testing.T, h *bed.Host, tr ownline.Transport, at netip.AddrPort, when string) {
	t.Helper()
	if !asks(h, tr, at, patience) {
		t.Errorf("%s, %s does not get in at %s", when, h.Name, at)
	}
}

func shut(t *testing.T, h *bed.Host, tr ownline.Transport, at netip.AddrPort, when string) {
	t.Helper()
	if asks(h, tr, at, silence) {
		t.Errorf("%s, %s gets in at %s", when, h.Name, at)
	}
}

const listed = "--policy ownline --list-rich-rules"

// What firewalld refuses, sessions alone let in: no neighbour, no other port, and nobody who knows a way into the LAN.
// They are what its admin sees in its runtime configuration, and nothing of them is permanent. What else he said stays.
func TestSessionsAlone(t *testing.T) {
	b, f := start(t)
	bedtest.KnowTheLAN(t, b)
	if err := b.Router.ServeWho(whoPort); err != nil {
		t.Fatal(err)
	}
	f.Tell("--permanent --add-rich-rule 'rule family=ipv4 forward-port port=2222 protocol=tcp to-port=7000 to-addr=" + b.Lan.IPv4.String() + "'")
	f.Tell("--reload")
	d := newDriver(t, b.Router, firewalld.Config{Bus: f.Bus})
	sync(t, d, ruleset(settings))
	f.Tell("--add-port 9999/tcp") // not permanent: a reload would lose it
	for _, s := range bedtest.Sides(b) {
		for _, tr := range transports {
			t.Run(s.Name+" "+string(tr), func(t *testing.T) {
				at := netip.AddrPortFrom(s.Router, 24000)
				closed := func(when string) {
					t.Helper()
					for _, to := range []netip.AddrPort{at, netip.AddrPortFrom(s.LAN, whoPort), netip.AddrPortFrom(s.Router, whoPort)} {
						shut(t, s.Neighbour, tr, to, when)
						if to != at {
							shut(t, s.Client, tr, to, when)
						}
					}
				}
				shut(t, s.Client, tr, at, "without a session")
				closed("without a session")
				fw := forward(s.Addr(s.Client), tr, 24000, netip.AddrPortFrom(s.LAN, whoPort), time.Minute)
				change(t, d, []firewall.Forward{fw})
				opens(t, s.Client, tr, at, "with a session")
				closed("with a session")
				if got := f.Tell(listed); strings.Count(got, "\n") != 0 || !strings.Contains(got, `to-addr="`+s.LAN.String()+`"`) {
					t.Errorf("firewalld says %s", got)
				}
				change(t, d, nil, fw.Key)
				shut(t, s.Client, tr, at, "after the session")
				if got := f.Tell(listed); got != "" {
					t.Errorf("after the session, firewalld says %s", got)
				}
			})
		}
	}
	if got := f.Permanent(); strings.Contains(got, "24000") || !strings.Contains(got, "Ownline") {
		t.Errorf("permanent is\n%s", got)
	}
	opens(t, b.Client2.From(b.Client2.IPv4), ownline.TCP, netip.AddrPortFrom(b.Router.IPv4, 2222), "by somebody else's rule")
	if got := f.Tell("--list-ports"); got != "9999/tcp" {
		t.Errorf("the admin's own port: %s", got)
	}
}

// flows starts one connection for each family and transport, each by a session that ends at until.
func flows(t *testing.T, b *bed.Bed, d *firewalld.Driver, until time.Time) (want firewall.Ruleset, all []*bed.Flow) {
	t.Helper()
	want = ruleset(settings)
	for _, s := range bedtest.Sides(b) {
		for _, tr := range transports {
			fw := forward(s.Addr(s.Client), tr, 24000, netip.AddrPortFrom(s.LAN, bed.EchoPort), 0)
			fw.Until = until
			want.Forwards[fw.Key] = fw
		}
	}
	sync(t, d, want)
	for _, s := range bedtest.Sides(b) {
		for _, tr := range transports {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			f, err := s.Client.StartFlow(ctx, string(tr), netip.AddrPortFrom(s.Router, 24000), bed.FlowOptions{Quiet: 5 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Stop() })
			all = append(all, f)
		}
	}
	return want, all
}

func probes(t *testing.T, b *bed.Bed, open bool, when string) {
	t.Helper()
	for _, s := range bedtest.Sides(b) {
		at := netip.AddrPortFrom(s.Router, 24000)
		if open {
			if st := s.Client.ConnectTCP(at, patience).State; st != bed.Open {
				t.Errorf("%s, the session at %s is %s", when, at, st)
			}
		} else if st := s.Client.ConnectTCP(at, silence).State; st == bed.Open {
			t.Errorf("%s, a session at %s is open", when, at)
		}
		if st := s.Neighbour.ConnectTCP(at, silence).State; st == bed.Open {
			t.Errorf("%s, a neighbour gets in at %s", when, at)
		}
	}
}

// Whatever becomes of firewalld, connections go on, nobody else comes in, and sessions are put back with the
// time that is left. What has been flushed behind firewalld's back comes back when it is started again.
func TestFirewalldComesAndGoes(t *testing.T) {
	b, f := start(t)
	if _, err := b.StartServers(); err != nil {
		t.Fatal(err)
	}
	d := newDriver(t, b.Router, firewalld.Config{Bus: f.Bus})
	want, all := flows(t, b, d, time.Now().Add(time.Hour))
	probes(t, b, true, "at first")
	changed(t, d, false, "after Sync")
	back := func(when string) {
		t.Helper()
		changed(t, d, true, when)
		if err := d.Change(t.Context(), []firewall.Forward{forward(b.Client2.IPv4, ownline.TCP, 24000, netip.AddrPortFrom(b.Lan.IPv4, bed.EchoPort), time.Hour)}, nil); !errors.Is(err, firewall.ErrOutOfStep) {
			t.Errorf("%s, Change = %v", when, err)
		}
		sync(t, d, want)
		changed(t, d, false, when+" and Sync")
		probes(t, b, true, when+" and Sync")
	}
	f.Tell("--reload")
	probes(t, b, false, "after a reload")
	back("after a reload")
	for r := range strings.Lines(f.Tell(listed)) {
		f.Tell("--policy ownline --remove-rich-rule '" + strings.TrimSpace(r) + "'")
		break
	}
	back("when somebody takes a rule away")
	f.Tell("--policy ownline --add-rich-rule 'rule family=ipv4 source address=203.0.113.77 drop'")
	back("when somebody adds a rule")
	if got := f.Tell(listed); strings.Contains(got, "203.0.113.77") || strings.Count(got, "\n") != 3 {
		t.Errorf("the policy holds %s", got)
	}
	f.Stop()
	probes(t, b, firewalld.Promised.WithoutHelp, "without firewalld")
	changed(t, d, true, "without firewalld")
	if err := d.Sync(t.Context(), want); err == nil || !strings.Contains(err.Error(), "firewalld does not run") {
		t.Errorf("without firewalld, Sync = %v", err)
	}
	f.Start()
	back("after a start")
	f.Kill() // its rules stay
	changed(t, d, true, "when firewalld is killed")
	probes(t, b, true, "when firewalld is killed")
	f.Start()
	back("after it was killed")
	for i, flow := range all {
		if r := flow.Stop(); r.Cut != nil {
			t.Errorf("flow %d was cut: %+v", i, *r.Cut)
		}
	}
	listing(t, b.Router, "flush", "ruleset")
	probes(t, b, false, "after a flush")
	changed(t, d, true, "after a flush")
	if err := d.Sync(t.Context(), want); err == nil || !strings.Contains(err.Error(), "restart firewalld") {
		t.Errorf("after a flush, Sync = %v", err)
	}
	probes(t, b, firewalld.Promised.Flushed, "after a flush and Sync")
	f.Kill()
	f.Start()
	back("after a flush and a start")
}

// The kernel alone ends sessions and cuts their connections, with core and firewalld dead and a rule of
// firewalld's still there.
func TestCoreAndFirewalldAreDead(t *testing.T) {
	b, f := start(t)
	if _, err := b.StartServers(); err != nil {
		t.Fatal(err)
	}
	d := newDriver(t, b.Router, firewalld.Config{Bus: f.Bus})
	until := time.Now().Add(4 * time.Second)
	_, all := flows(t, b, d, until)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	f.Kill()
	for _, flow := range all {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		c, err := flow.WaitCut(ctx)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if late := c.Last.Sub(until); late > firewalld.Promised.Late {
			t.Errorf("the last echo came %s after the end", late)
		}
	}
	if rules := listing(t, b.Router, "list", "table", "inet", "firewalld"); !strings.Contains(rules, "24000") {
		t.Errorf("firewalld's rules have gone: this test shows nothing\n%s", rules)
	}
	probes(t, b, !firewalld.Promised.AllAreDead, "after the end")
	for _, flow := range all {
		if r := flow.Stop(); !r.Revived.IsZero() {
			t.Error("a connection was revived")
		}
	}
	// A core that starts does not let them in either, before it knows what is wanted or after.
	f.Start()
	d = newDriver(t, b.Router, firewalld.Config{Bus: f.Bus})
	sync(t, d, firewall.Ruleset{Settings: settings, Adopt: true})
	probes(t, b, false, "after a start")
	sync(t, d, ruleset(settings))
	probes(t, b, false, "after a Sync")
	f.Tell("--reload") // only this takes the rules away that the dead one has left
	sync(t, d, ruleset(settings))
	probes(t, b, false, "after a reload")
	for _, set := range []string{"asked4", "asked6"} {
		if got := listing(t, b.Router, "list", "set", "inet", "ownline", set); strings.Contains(got, "24000") {
			t.Errorf("after a reload, our table still knows\n%s", got)
		}
	}
}

func listing(t *testing.T, h *bed.Host, args ...string) string {
	t.Helper()
	out, err := output(h, h.Command(t.Context(), "/usr/sbin/nft", args...))
	if err != nil {
		t.Errorf("nft %s: %v", strings.Join(args, " "), err)
	}
	return out
}

func output(h *bed.Host, cmd *exec.Cmd) (string, error) {
	var out strings.Builder
	cmd.Stdout = &out
	err := h.Run(cmd)
	return out.String(), err
}

// A firewalld that hangs keeps nothing open: the table goes first, for what core is told and for what ends.
func TestFirewalldHangs(t *testing.T) {
	b, f := start(t)
	if _, err := b.StartServers(); err != nil {
		t.Fatal(err)
	}
	d := newDriver(t, b.Router, firewalld.Config{Bus: f.Bus})
	want, all := flows(t, b, d, time.Now().Add(time.Hour))
	d.Wait(300 * time.Millisecond)
	f.Signal(syscall.SIGSTOP)
	s := bedtest.Sides(b)[0]
	if err := d.Change(t.Context(), nil, []firewall.Key{{Source: source(s.Addr(s.Client)), Transport: ownline.TCP, Port: 24000}}); !errors.Is(err, firewall.ErrOutOfStep) {
		t.Errorf("Change = %v", err)
	}
	for i, flow := range all {
		if i == 1 {
			if err := d.Sync(t.Context(), ruleset(settings)); err == nil {
				t.Error("Sync says that firewalld did it")
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if _, err := flow.WaitCut(ctx); err != nil {
			t.Error(err)
		}
		cancel()
	}
	probes(t, b, false, "while firewalld hangs")
	// Another core after it, with other settings, does not let them in either.
	d2 := newDriverWhile(t, b, f)
	d2.Wait(300 * time.Millisecond)
	other := ruleset(settings)
	other.Masquerade = true
	if err := d2.Sync(t.Context(), other); err == nil {
		t.Error("Sync says that firewalld did it")
	}
	probes(t, b, false, "while firewalld hangs, with another core")
	f.Signal(syscall.SIGCONT)
	d.Wait(0)
	sync(t, d, want)
	probes(t, b, true, "when firewalld goes on")
}

// newDriverWhile makes a driver while firewalld hangs: it answers just long enough.
func newDriverWhile(t *testing.T, b *bed.Bed, f *bedtest.Firewalld) *firewalld.Driver {
	t.Helper()
	f.Signal(syscall.SIGCONT)
	d := newDriver(t, b.Router, firewalld.Config{Bus: f.Bus})
	f.Signal(syscall.SIGSTOP)
	return d
}

// A rule whose session is over goes, and so do those of a core that was killed.
func TestWhatIsOverGoes(t *testing.T) {
	b, f := start(t)
	d := newDriver(t, b.Router, firewalld.Config{Bus: f.Bus})
	s := bedtest.Sides(b)[0]
	at := netip.AddrPortFrom(s.Router, 24000)
	short := forward(s.Addr(s.Client), ownline.TCP, 24000, netip.AddrPortFrom(s.LAN, whoPort), 300*time.Millisecond)
	sync(t, d, ruleset(settings, short))
	time.Sleep(time.Until(short.Until) + 500*time.Millisecond) // the kernel counts from when it is told
	changed(t, d, true, "after its end")
	shut(t, s.Client, ownline.TCP, at, "after its end")
	if got := f.Tell(listed); got == "" {
		t.Error("the rule is gone before core has taken it away: this test shows nothing")
	}
	sync(t, d, ruleset(settings, short)) // the book may be late
	if got := f.Tell(listed); got != "" {
		t.Errorf("firewalld says %s", got)
	}
	long := forward(s.Addr(s.Client), ownline.TCP, 24000, netip.AddrPortFrom(s.LAN, whoPort), time.Hour)
	change2 := forward(s.Addr(s.Neighbour), ownline.TCP, 24000, netip.AddrPortFrom(s.Other, whoPort), time.Hour)
	sync(t, d, ruleset(settings, long, change2))
	if err := d.Close(); err != nil { // killed
		t.Fatal(err)
	}
	d = newDriver(t, b.Router, firewalld.Config{Bus: f.Bus})
	sync(t, d, firewall.Ruleset{Settings: settings, Adopt: true})
	opens(t, s.Client, ownline.TCP, at, "while core does not know what is wanted")
	sync(t, d, ruleset(settings, change2))
	shut(t, s.Client, ownline.TCP, at, "when it is not wanted")
	opens(t, s.Neighbour, ownline.TCP, at, "when it is wanted")
	if got := f.Tell(listed); strings.Contains(got, "\n") || !strings.Contains(got, s.Other.String()) {
		t.Errorf("firewalld says %s", got)
	}
}

// Removal leaves nothing behind, and reloads nothing. A driver that comes back needs no reload either.
func TestRemove(t *testing.T) {
	b, f := start(t)
	cfg := firewalld.Config{Bus: f.Bus}
	if !firewalld.Runs(t.Context(), cfg) || firewalld.Left(t.Context(), cfg) {
		t.Error("a firewalld that was just started has a policy of ours, or does not run")
	}
	before := f.Permanent()
	d := newDriver(t, b.Router, cfg)
	if firewalld.Left(t.Context(), cfg) {
		t.Error("New makes a policy")
	}
	s := bedtest.Sides(b)[1]
	at := netip.AddrPortFrom(s.Router, 24000)
	fw := forward(s.Addr(s.Client), ownline.TCP, 24000, netip.AddrPortFrom(s.LAN, whoPort), time.Hour)
	sync(t, d, ruleset(settings, fw))
	f.Tell("--add-port 9999/tcp") // not permanent: a reload would lose it
	for range 2 {
		if !firewalld.Left(t.Context(), cfg) {
			t.Error("nothing is left")
		}
		if err := firewalld.Remove(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		if firewalld.Left(t.Context(), cfg) {
			t.Error("something is left")
		}
		if got := f.Permanent(); got != before {
			t.Errorf("permanent is\n%s\nwas\n%s", got, before)
		}
		if got := f.Tell(listed); got != "" {
			t.Errorf("firewalld says %s", got)
		}
		shut(t, s.Client, ownline.TCP, at, "after Remove")
		sync(t, d, ruleset(settings, fw))
		opens(t, s.Client, ownline.TCP, at, "after Sync")
	}
	if got := f.Tell("--list-ports"); got != "9999/tcp" {
		t.Errorf("the admin's own port: %s", got)
	}
	f.Stop()
	if firewalld.Runs(t.Context(), cfg) || firewalld.Left(t.Context(), cfg) || firewalld.Remove(t.Context(), cfg) != nil {
		t.Error("a firewalld that was stopped runs, or has something")
	}
	err := b.Router.Do(func() error { _, err := firewalld.New(t.Context(), cfg); return err })
	if err == nil || !strings.Contains(err.Error(), "firewalld does not run") {
		t.Errorf("New = %v", err)
	}
}

// Where no interface is named in a zone, firewalld from 2.0 on asks no policy for all of them: core names one that
// no host has. Where one is, it does not.
func TestNobody(t *testing.T) {
	b, f := start(t)
	cfg := firewalld.Config{Bus: f.Bus}
	d := newDriver(t, b.Router, cfg)
	named := func(when, want string) {
		t.Helper()
		if got := f.Tell("--list-interfaces"); got != want {
			t.Errorf("%s, in the default zone is %q, want %q", when, got, want)
		}
	}
	sync(t, d, ruleset(settings))
	named("where no interface is named", "ownline0")
	f.Tell("--reload") // may forget it
	sync(t, d, ruleset(settings))
	named("after a reload", "ownline0")
	if err := firewalld.Remove(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	named("after Remove", "")
	f.Tell("--zone trusted --add-interface lan0")
	sync(t, d, ruleset(settings))
	f.Tell("--zone trusted --remove-interface lan0") // else firewall-cmd warns
	named("beside another interface", "")
	if got := f.Permanent(); strings.Contains(got, "ownline0") {
		t.Errorf("permanent is\n%s", got)
	}
}

// Sessions of proxied services lead to the proxy's address on the router itself.
func TestProxy(t *testing.T) {
	const port = 9999
	b, f := start(t)
	with := settings
	with.Proxy = firewall.Proxy{Port: port, Addr4: loopback.Addr4, Addr6: loopback.Addr6, LocalNetworks: []netip.Prefix{b.LAN4, b.LAN6}}
	for _, a := range []netip.Addr{with.Proxy.Addr4, with.Proxy.Addr6} {
		if err := b.Router.Do(func() error { return loopback.Add(a) }); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Router.TCPEcho(port, a); err != nil {
			t.Fatal(err)
		}
	}
	d := newDriver(t, b.Router, firewalld.Config{Bus: f.Bus})
	for _, s := range bedtest.Sides(b) {
		t.Run(s.Name, func(t *testing.T) {
			at := netip.AddrPortFrom(s.Router, port)
			is := func(h *bed.Host, open bool, when string) {
				t.Helper()
				wait := silence
				if open {
					wait = patience
				}
				if st := h.ConnectTCP(at, wait).State; (st == bed.Open) != open {
					t.Errorf("%s, for %s the proxy is %s", when, h.Name, st)
				}
			}
			sync(t, d, ruleset(with))
			is(s.Client, false, "without a session")
			is(b.Lan.From(s.LAN), true, "without a session")
			target := with.Proxy.Target(s.LAN)
			sync(t, d, ruleset(with, forward(s.Addr(s.Client), ownline.TCP, port, target, time.Minute)))
			is(s.Client, true, "with a session")
			is(s.Neighbour, false, "with a session")
			public := with
			public.Proxy.Public = []firewall.Public{{AddrPort: target, Until: time.Now().Add(time.Minute), Stay: time.Now().Add(time.Minute)}}
			sync(t, d, ruleset(public))
			is(s.Neighbour, true, "while it is public")
			sync(t, d, ruleset(with))
			is(s.Client, false, "after the session")
			is(s.Neighbour, false, "after it was public")
		})
	}
}

// Many sessions are all there, and end together. How long firewalld takes for a thousand is in the reference. On a
// busy machine it may be too late with an answer: core tries again then, and goes on where it was.
func TestManySessions(t *testing.T) {
	many := 100
	if os.Getenv("OWNLINE_SOAK") != "" {
		many = 1000
	}
	b, f := start(t)
	d := newDriver(t, b.Router, firewalld.Config{Bus: f.Bus})
	s := bedtest.Sides(b)[0]
	want := ruleset(settings)
	for i := range many {
		fw := forward(netip.MustParseAddr(fmt.Sprintf("203.0.%d.%d", 112+i/250, 1+i%250)), ownline.TCP, 24000, netip.AddrPortFrom(s.LAN, whoPort), time.Hour)
		want.Forwards[fw.Key] = fw
	}
	follow := func(what string, try func() error) {
		t.Helper()
		began := time.Now()
		for err := try(); err != nil; err = d.Sync(t.Context(), want) { // as package reconcile does
			t.Logf("%s, after %s: %v", what, time.Since(began).Round(time.Millisecond), err)
			if time.Since(began) > 20*time.Minute {
				t.Fatal("it does not get further")
			}
		}
		t.Logf("%s after %s", what, time.Since(began).Round(time.Millisecond))
	}
	follow(fmt.Sprintf("%d sessions", many), func() error { return d.Sync(t.Context(), want) })
	fw := forward(s.Addr(s.Client), ownline.TCP, 24000, netip.AddrPortFrom(s.LAN, whoPort), time.Hour)
	want.Forwards[fw.Key] = fw
	follow("one more", func() error { return d.Change(t.Context(), []firewall.Forward{fw}, nil) })
	opens(t, s.Client, ownline.TCP, netip.AddrPortFrom(s.Router, 24000), "after many")
	shut(t, s.Neighbour, ownline.TCP, netip.AddrPortFrom(s.Router, 24000), "after many")
	if got := strings.Count(f.Tell(listed), "\n") + 1; got != many+1 {
		t.Errorf("firewalld has %d sessions", got)
	}
	clear(want.Forwards)
	follow("none", func() error { return d.Sync(t.Context(), want) })
	if got := f.Tell(listed); got != "" {
		t.Errorf("firewalld says %s", got)
	}
	shut(t, s.Client, ownline.TCP, netip.AddrPortFrom(s.Router, 24000), "at the end")
}
