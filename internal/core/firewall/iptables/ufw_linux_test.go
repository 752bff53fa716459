package iptables_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/iptables"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
)

// beside runs a test beside an active ufw that refuses all, as it says itself: with an answer
// ("reject"), so that a test does not wait for what never comes, or without ("deny").
func beside(t *testing.T, how string) (*bed.Bed, *bedtest.UFW, iptables.Config) {
	t.Helper()
	t.Parallel()
	b := bedtest.New(t)
	u := bedtest.NewUFW(t, b.Router)
	u.Tell("default " + how + " incoming")
	u.Tell("default " + how + " routed")
	u.Tell("--force enable")
	return b, u, iptables.Config{UFW: u.Root, Within: b.Router.Do}
}

// The contract holds where ufw refuses all else.
func TestUFWContract(t *testing.T) {
	for _, family := range []string{"IPv4", "IPv6"} {
		t.Run(family, func(t *testing.T) {
			b, u, cfg := beside(t, "reject")
			short := []string{"IPv4 tcp/4 access ", "IPv6 udp/4 access ", "IPv4 udp/4 a renewal extends"}
			contractBeside(t, b, cfg, func(name string) bool {
				return strings.HasPrefix(name, family) && (long() || !strings.Contains(name, "/4 ") || slices.ContainsFunc(short, func(begin string) bool { return strings.HasPrefix(name, begin) }))
			}, func() error { _, err := u.Told("reload"); return err })
		})
	}
}

// The proxy is reached beside ufw as it is elsewhere.
func TestUFWProxy(t *testing.T) {
	b, _, cfg := beside(t, "reject")
	proxyIsReached(t, b, cfg)
}

// What ufw refuses, sessions alone let in: no neighbour, no other port, no translation of others, and
// not what ufw's admin denies.
func TestUFWLetsInSessionsAlone(t *testing.T) {
	b, u, cfg := beside(t, "deny")
	bedtest.KnowTheLAN(t, b)
	for _, h := range []*bed.Host{b.Lan, b.Router} {
		if err := h.ServeWho(whoPort); err != nil {
			t.Fatal(err)
		}
	}
	d := newDriver(t, b.Router, cfg)
	// Somebody else translates too, and leaves it to ufw to let it in.
	tell(t, b.Router, "", "iptables", strings.Fields("-t nat -A PREROUTING -p tcp --dport 2222 -j DNAT --to-destination "+netip.AddrPortFrom(b.Lan.IPv4, whoPort).String())...)
	for _, s := range sides(b) {
		for _, tr := range transports {
			t.Run(s.Name+" "+string(tr), func(t *testing.T) {
				for i, target := range []netip.Addr{s.LAN, s.Inside} {
					at := netip.AddrPortFrom(s.Router, uint16(24000+i))
					open := func(h *bed.Host, at netip.AddrPort, wait time.Duration) bool {
						_, ok := h.AskWho(wait, string(tr), at)
						return ok
					}
					shut := func(when string) {
						t.Helper()
						for _, to := range []netip.AddrPort{at, netip.AddrPortFrom(target, whoPort), netip.AddrPortFrom(s.Router, whoPort), netip.AddrPortFrom(s.Router, 2222)} {
							if open(s.Neighbour, to, silence) {
								t.Errorf("%s, a neighbour gets in at %s", when, to)
							}
							if to != at && open(s.Client, to, silence) {
								t.Errorf("%s, the client gets in at %s", when, to)
							}
						}
					}
					sync(t, d, ruleset(settings))
					shut("without a session")
					if open(s.Client, at, silence) {
						t.Error("open without a session")
					}
					f := forward(s.Addr(s.Client), tr, at.Port(), netip.AddrPortFrom(target, whoPort), time.Minute)
					sync(t, d, ruleset(settings, f))
					if !open(s.Client, at, patience) {
						t.Errorf("ufw drops what a session to %s lets in", target)
					}
					shut("with a session")
					// The admin's word counts.
					rule := "deny from " + s.Addr(s.Client).String()
					if target == s.LAN {
						rule = "route " + rule
					}
					u.Tell(rule)
					if open(s.Client, at, silence) {
						t.Errorf("open though ufw says %s", rule)
					}
					u.Tell(strings.Replace("delete "+rule, "delete route", "route delete", 1))
					sync(t, d, ruleset(settings, f))
					if !open(s.Client, at, patience) {
						t.Errorf("shut after ufw's %s is gone", rule)
					}
				}
			})
		}
	}
	u.Tell("route allow to " + b.Lan.IPv4.String() + " port 7000 proto tcp")
	if _, ok := b.Client2.AskWho(patience, "tcp", netip.AddrPortFrom(b.Router.IPv4, 2222)); !ok {
		t.Error("somebody else's translation is shut though ufw allows it")
	}
}

// Whatever ufw is told, sessions go on as they were, and nothing else comes in: its hooks stay, so that
// it is so while core is dead, too. What ufw's admin said stays as well, and the kernel ends the session.
func TestUFWIsTold(t *testing.T) {
	b, u, cfg := beside(t, "deny")
	if _, err := b.StartServers(); err != nil {
		t.Fatal(err)
	}
	u.Tell("allow from 203.0.113.77")
	u.Tell("route allow from 203.0.113.77")
	rules := u.Rules()
	d := newDriver(t, b.Router, cfg)
	wanted := func(until time.Time) firewall.Ruleset {
		all := ruleset(settings)
		for _, s := range sides(b) {
			for _, tr := range transports {
				f := forward(s.Addr(s.Client), tr, 24000, netip.AddrPortFrom(s.LAN, bed.EchoPort), 0)
				f.Until = until
				all.Forwards[f.Key] = f
			}
		}
		return all
	}
	sync(t, d, wanted(time.Now().Add(time.Hour)))
	had := ownRules(t, b.Router)
	var flows []*bed.Flow
	for _, s := range sides(b) {
		for _, tr := range transports {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			f, err := s.Client.StartFlow(ctx, string(tr), netip.AddrPortFrom(s.Router, 24000), bed.FlowOptions{Quiet: 5 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			flows = append(flows, f)
		}
	}
	if err := d.Close(); err != nil { // the daemon is dead from here on
		t.Fatal(err)
	}
	for _, words := range []string{"reload", "disable", "--force enable", "reload"} {
		u.Tell(words)
		if now := ownRules(t, b.Router); now != had {
			t.Errorf("after ufw %s, our rules are\n%s\nwere\n%s", words, now, had)
		}
		for _, s := range sides(b) {
			at := netip.AddrPortFrom(s.Router, 24000)
			if st := probe(s.Client, ownline.TCP, at); st != bed.Open {
				t.Errorf("after ufw %s, the session at %s is %s", words, at, st)
			}
			if st := s.Neighbour.ConnectTCP(at, silence).State; st == bed.Open {
				t.Errorf("after ufw %s, a neighbour gets in at %s", words, at)
			}
		}
	}
	if now := u.Rules(); now != rules {
		t.Errorf("ufw's rules are\n%s\nwere\n%s", now, rules)
	}
	for i, f := range flows {
		if r := f.Report(); r.Cut != nil {
			t.Errorf("flow %d was cut: %+v", i, *r.Cut)
		}
	}
	d = newDriver(t, b.Router, cfg)
	until := time.Now().Add(3 * time.Second)
	sync(t, d, wanted(until))
	if err := d.Close(); err != nil { // once more
		t.Fatal(err)
	}
	u.Tell("reload")
	for _, f := range flows {
		cut(t, f, bed.Cut{}, until.Add(d.Ending().Promises().Late))
		f.Stop()
	}
}

// ownRules are ours as both programs show them, without what is counted, and the rules around them.
func ownRules(t *testing.T, h *bed.Host) string {
	t.Helper()
	var b strings.Builder
	for _, program := range []string{"iptables-save", "ip6tables-save"} {
		for l := range strings.Lines(tell(t, h, "", program)) {
			if strings.HasPrefix(l, "-A ") && (strings.Contains(l, "ownline-") || strings.HasPrefix(l, "-A FORWARD") || strings.HasPrefix(l, "-A INPUT")) {
				b.WriteString(l)
			}
		}
	}
	return b.String()
}

// A ufw that is enabled after core has started is noticed, and so is one that others' deeds have put in
// another order. Removal takes all away that is ours, and nothing that is not.
func TestUFWComesLater(t *testing.T) {
	t.Parallel()
	b := bedtest.New(t)
	serveWho(t, b.Lan)
	u := bedtest.NewUFW(t, b.Router)
	cfg := iptables.Config{UFW: u.Root, Within: b.Router.Do}
	active := func(want bool) {
		t.Helper()
		if got := iptables.UFWActive(t.Context(), cfg); got != want {
			t.Errorf("ufw is active: %v", got)
		}
	}
	active(false)
	d := newDriver(t, b.Router, cfg)
	f := forward(b.Client1.IPv4, ownline.TCP, 24000, netip.AddrPortFrom(b.Lan.IPv4, whoPort), time.Hour)
	want := ruleset(settings, f)
	check := func(when string) {
		t.Helper()
		sync(t, d, want)
		if changed, err := d.Changed(t.Context()); changed || err != nil {
			t.Errorf("%s, Changed = %v, %v after Sync", when, changed, err)
		}
		if _, ok := b.Client1.AskWho(patience, "tcp", netip.AddrPortFrom(b.Router.IPv4, 24000)); !ok {
			t.Errorf("%s, the session is shut", when)
		}
	}
	between := func(when string) {
		t.Helper()
		saved := ownRules(t, b.Router)
		for _, rules := range []string{
			"-A FORWARD -j ufw-before-forward\n-A FORWARD -m conntrack --ctstate DNAT -j ownline-let\n-A FORWARD -j ufw-after-forward\n",
			"-A INPUT -j ufw-before-input\n-A INPUT -j ownline-let-in\n-A INPUT -j ufw-after-input\n",
			"-A INPUT -j ufw6-before-input\n-A INPUT -j ownline-let-in\n-A INPUT -j ufw6-after-input\n",
		} {
			if !strings.Contains(saved, rules) {
				t.Errorf("%s, there is no\n%s\nin\n%s", when, rules, saved)
			}
		}
	}
	check("without ufw")
	u.Tell("--force enable")
	active(true)
	if changed, err := d.Changed(t.Context()); !changed || err != nil {
		t.Errorf("Changed = %v, %v when ufw comes", changed, err)
	}
	check("when ufw comes")
	between("when ufw comes")
	tell(t, b.Router, "", "iptables", "-D", "FORWARD", "-j", "ufw-before-forward")
	sync(t, d, want)
	tell(t, b.Router, "", "iptables", "-I", "FORWARD", "1", "-s", "203.0.113.77", "-j", "ACCEPT")
	tell(t, b.Router, "", "iptables", "-I", "FORWARD", "2", "-j", "ufw-before-forward")
	check("in another order")
	next := func(when string) {
		t.Helper()
		saved := ownRules(t, b.Router)
		if !strings.Contains(saved, "-A FORWARD -j ufw-before-forward\n-A FORWARD -m conntrack --ctstate DNAT -j ownline-let\n-A FORWARD -j ufw-before-logging-forward\n") {
			t.Errorf("%s, our hook is not where it belongs:\n%s", when, saved)
		}
	}
	next("in another order")
	tell(t, b.Router, "", "iptables", "-D", "FORWARD", "-j", "ownline-let", "-m", "conntrack", "--ctstate", "DNAT")
	tell(t, b.Router, "", "iptables", "-A", "FORWARD", "-j", "ownline-let", "-m", "conntrack", "--ctstate", "DNAT")
	d.LiftNow()
	check("behind ufw's")
	next("behind ufw's")
	tell(t, b.Router, "", "iptables", "-D", "FORWARD", "-s", "203.0.113.77", "-j", "ACCEPT")
	// Another driver of the same chains has none of these.
	other := newDriver(t, b.Router, iptables.Config{Within: b.Router.Do})
	sync(t, other, want)
	if saved := ownRules(t, b.Router); strings.Contains(saved, "ownline-let") || !strings.Contains(saved, "ownline-gate") {
		t.Errorf("without ufw, our rules are\n%s", saved)
	}
	sync(t, d, want)
	if found, err := iptables.Remove(t.Context(), cfg, ""); !found || err != nil {
		t.Errorf("Remove = %v, %v", found, err)
	}
	if iptables.Left(t.Context(), cfg, "") {
		t.Error("something is left")
	}
	if saved := ownRules(t, b.Router); strings.Contains(saved, "ownline") || strings.Count(saved, "-A FORWARD -j ufw") != 12 {
		t.Errorf("after Remove:\n%s", saved)
	}
	u.Tell("disable")
	active(false)
}

// A ufw that empties the chains of all others, the gate among them, is not one to be beside.
func TestUFWThatManagesAll(t *testing.T) {
	t.Parallel()
	b := bedtest.New(t)
	u := bedtest.NewUFW(t, b.Router)
	u.Default(`MANAGE_BUILTINS="yes"`)
	err := b.Router.Do(func() error {
		_, err := iptables.New(t.Context(), iptables.Config{UFW: u.Root, Within: b.Router.Do})
		return err
	})
	if named := new(ownline.FieldError); !errors.As(err, &named) || named.Field != "firewall.driver" || !strings.Contains(err.Error(), "MANAGE_BUILTINS=no") {
		t.Errorf("New = %v", err)
	}
}
