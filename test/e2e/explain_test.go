package e2e

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
)

// explain asks the router why somebody can't get in.
func (s *suite) explain(args ...string) core.Explanation {
	s.t.Helper()
	out, err := s.CoreCommand(s.t.Context(), append([]string{"explain", "--json"}, args...)...)
	var e core.Explanation
	if bad := json.Unmarshal(out, &e); bad != nil {
		s.t.Fatalf("explain %v: %v, %v: %s", args, err, bad, out)
	}
	if (err == nil) != (e.Problems() == 0) {
		s.t.Errorf("explain %v ends with %v and %d problems", args, err, e.Problems())
	}
	return e
}

// says waits until something that explain finds has all the words.
func (s *suite) says(args []string, words ...string) {
	s.t.Helper()
	eventually(s.t, patience, "explain says "+strings.Join(words, " … "), func() bool {
	next:
		for _, f := range s.explain(args...).Findings {
			for _, w := range words {
				if !strings.Contains(f.Text+" → "+f.Fix, w) {
					continue next
				}
			}
			return true
		}
		return false
	})
}

// The router tells its admin why somebody can't get in, and what to do; and that they can, when they can.
func TestExplain(t *testing.T) {
	s := start(t, world.Options{})
	client, stranger := s.Bed.Client1, s.Bed.Stranger
	explain, says := s.explain, s.says
	from := []string{client.IPv4.String()}

	nas := s.service("nas", "tcp", s.Bed.Lan, bed.HTTPPort)
	s.grant(nas, world.Map{"automatic": true})
	says([]string{stranger.IPv4.String()}, "No session is open", "knock from there")
	says([]string{stranger.IPv4.String()}, "No knock from there has reached core", "/udp")
	says([]string{s.Bed.Lan.IPv4.String()}, "in a local network", "needs no session")
	says([]string{s.Bed.Router.IPv4.String()}, "router's own address")
	says([]string{"100.64.1.1"}, "carrier's NAT")

	device := s.device()
	s.knock(device, client, false)
	says(from, `"nas" is open`, "not one packet", "forwards port")
	says(from, "last knock from there", "opened")
	says(append(from, "camera"), `No session for "camera"`)
	says(append(from, "camera"), "last knock from there", `was not about "camera"`)
	open := explain(from...).Sessions
	if len(open) != 1 || !open[0].Live || open[0].Service != "nas" {
		t.Fatalf("open are %+v", open)
	}
	at := s.public(false, open[0].PublicPort)

	// A service that nobody has used yet keeps nobody out; who asks for it has a reason to.
	if e := explain(from...); e.Problems() != 0 {
		t.Errorf("problems with what was not used yet: %+v", e.Findings)
	}
	if e := explain(append(from, "nas")...); e.Problems() != 1 {
		t.Errorf("a service of which nothing comes is asked for: %+v", e.Findings)
	}

	// The host's own firewall drops what it does not know.
	p := newPatient(s)
	p.nft("add table inet host; add chain inet host f { type filter hook forward priority filter; policy drop; }")
	client.ConnectTCP(at, 500*time.Millisecond)
	says(from, `"nas" is open`, "packets of it do not pass", "inet host f drops", "nft add rule inet host f ct status dnat accept")
	p.nft("delete table inet host")
	client.ConnectTCP(at, 500*time.Millisecond)
	wantState(t, client, at, true)
	while := func(ask func()) { // the client tries
		var trying sync.WaitGroup
		done := make(chan struct{})
		trying.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					_, _ = client.Get(at, 300*time.Millisecond) // what becomes of it, explain has to see
				}
			}
		})
		defer trying.Wait()
		defer close(done)
		ask()
	}
	works := func() {
		t.Helper()
		while(func() {
			says(append(from, "nas"), "so it works")
			if e := explain(append(from, "nas")...); e.Problems() != 0 {
				t.Errorf("problems with what works: %+v", e.Findings)
			}
		})
	}
	works()

	// What came before proves nothing: rules, settings and hosts count as they are now.
	past := func() (e core.Explanation) {
		t.Helper()
		eventually(t, patience, "it sees that nothing comes now", func() bool { // but for the end of a connection
			e = explain(append(from, "nas")...)
			return !slices.ContainsFunc(e.Findings, func(f core.Finding) bool { return strings.Contains(f.Text, "so it works") })
		})
		return e
	}
	if e := past(); e.Problems() != 0 {
		t.Errorf("problems with what nobody uses at present: %+v", e.Findings)
	}
	says(from, `"nas" is open`, "Before, ", "went back")
	shut := func(words ...string) {
		t.Helper()
		all := past().Findings
		if slices.ContainsFunc(all, func(f core.Finding) bool { return strings.Contains(f.Text, "is in its way on this router") }) {
			t.Errorf("it is shut, and nothing is said to be in its way: %+v", all)
		}
		for _, f := range all {
			if text := f.Text + " → " + f.Fix; f.Problem && strings.HasPrefix(text, `"nas" is open`) && strings.Contains(text, "packets of it do not pass. ") &&
				!slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) }) {
				return
			}
		}
		t.Errorf("it does not say %q", words)
	}
	for _, rule := range []string{
		"chain inet host f { policy drop; }; add rule inet host f ct state established accept; add rule inet host f ip daddr != 192.168.7.10 accept",
		"add rule inet host f ip saddr " + client.IPv4.String() + " drop",
		"add rule inet host f tcp sport 80 drop",
	} {
		p.nft("add table inet host; add chain inet host f { type filter hook forward priority filter; }; " + rule)
		wantState(t, client, at, false)
		shut("inet host f drops")
		p.nft("delete table inet host")
	}
	p.nft("add table inet host; add chain inet host f { type filter hook forward priority filter; }; add rule inet host f ip saddr " + stranger.IPv4.String() + " drop")
	if e := explain(append(from, "nas")...); e.Problems() != 0 {
		t.Errorf("problems with what is refused to another: %+v", e.Findings)
	}
	p.nft("delete table inet host")
	// The host is there, but its answers go elsewhere.
	elsewhere := func(verb string) {
		t.Helper()
		must(t, s.Bed.Lan.Run(s.Bed.Lan.Command(t.Context(), "ip", "route", verb, "blackhole", client.IPv4.String())))
	}
	elsewhere("add")
	while(func() { says(append(from, "nas"), "packets come, but nothing goes back", "masquerade") })
	elsewhere("del")
	legacy := func(args ...string) {
		t.Helper()
		must(t, s.Bed.Router.Run(s.Bed.Router.Command(t.Context(), "/usr/sbin/iptables-legacy", args...)))
	}
	for _, rule := range [][]string{{"FORWARD", "-j", "DROP"}, {"FORWARD", "-s", client.IPv4.String(), "-j", "DROP"}} {
		legacy(append([]string{"-A"}, rule...)...)
		wantState(t, client, at, false)
		shut("ip filter FORWARD drops", "iptables-legacy -I FORWARD -m conntrack --ctstate DNAT -j ACCEPT")
		legacy(append([]string{"-D"}, rule...)...)
	}
	p.sysctl("net/ipv4/ip_forward", "0")
	wantState(t, client, at, false)
	shut("does not forward IPv4", "sysctl -w net.ipv4.ip_forward=1")
	p.sysctl("net/ipv4/ip_forward", "1")
	works()
	box := netip.MustParsePrefix("192.168.7.77/24")
	must(t, s.Bed.Lan.AddAddr("eth0", box))
	tcp, err := s.Bed.Lan.TCPEcho(7077, box.Addr())
	must(t, err)
	defer tcp.Close()
	udp, err := s.Bed.Lan.UDPEcho(7077, box.Addr())
	must(t, err)
	defer udp.Close()
	var opened []string
	for _, transport := range []string{"tcp", "udp"} {
		off := s.create("/services", world.Map{"site": s.Site, "name": transport, "kind": "forward", "transport": transport, "target": netip.AddrPortFrom(box.Addr(), 7077).String()})
		s.grant(off, nil)
		session := s.open(off, client.IPv4, time.Hour, 0)
		opened = append(opened, session.ID)
		at := s.public(false, session.PublicPort)
		if transport == "tcp" {
			wantState(t, client, at, true)
		} else if got := client.ProbeUDP(at, []byte("hello"), patience); got.State != bed.Open {
			t.Errorf("by udp: %v", got)
		}
		if e := explain(append(from, transport)...); e.Problems() != 0 {
			t.Errorf("problems with %s: %+v", transport, e.Findings)
		}
	}
	must(t, s.Bed.Lan.DelAddr("eth0", box))
	must(t, s.Bed.Router.Run(s.Bed.Router.Command(t.Context(), "ip", "neigh", "del", box.Addr().String(), "dev", "lan0"))) // as after a minute
	absent := explain(from...)
	for _, transport := range []string{"udp", "tcp"} {
		if !slices.ContainsFunc(absent.Findings, func(f core.Finding) bool {
			return f.Problem && strings.HasPrefix(f.Text, `"`+transport+`" is open`) && strings.Contains(f.Text, "the router itself can't reach "+box.Addr().String())
		}) {
			t.Errorf("nobody is at the target by %s, and it finds %+v", transport, absent.Findings)
		}
	}
	for _, id := range opened {
		s.close(id)
	}

	// What drops knocks is told, whatever came before.
	for _, drop := range []func(bool){
		func(on bool) {
			if on {
				p.nft("add table inet host; add chain inet host i { type filter hook input priority filter; }; add rule inet host i udp dport 54754 drop")
			} else {
				p.nft("delete table inet host")
			}
		},
		func(on bool) {
			legacy(map[bool]string{true: "-A", false: "-D"}[on], "INPUT", "-p", "udp", "--dport", "54754", "-j", "DROP")
		},
	} {
		drop(true)
		says(from, "Knocks from there do not get in", "drops knocks", "dport 54754")
		says([]string{stranger.IPv4.String()}, "Knocks from there do not get in", "drops knocks")
		drop(false)
	}
	if e := past(); e.Problems() != 0 {
		t.Errorf("problems when all is well: %+v", e.Findings)
	}

	// One service opens, and another is refused by a list: each is told.
	camera := s.service("camera", "tcp", s.Bed.Lan, bed.HTTPPort)
	s.grant(camera, world.Map{"automatic": true, "allowed_from": []string{"192.0.2.0/24"}})
	s.knock(device, client, false)
	says(append(from, "camera"), "last knock from there", `did not open "camera"`, "allow list of its grant", "audit log")
	says(append(from, "nas"), "last knock from there", `renewed "nas"`)
	if e := explain(append(from, "nas")...); e.Problems() != 0 {
		t.Errorf("problems with nas: %+v", e.Findings)
	}
	says(from, `did not open "camera"`)

	// Nothing listens at the target.
	dead := s.service("dead", "tcp", s.Bed.Lan, 9)
	s.grant(dead, nil)
	s.open(dead, client.IPv4, time.Minute, 0)
	says(append(from, "dead"), "nothing listens at", "start the service")

	// A device that web no longer knows is a stranger.
	s.call("DELETE", "/devices/"+device.ID, nil, nil)
	says(append(from, "nas"), "No session")
	says(append(from, "nas"), `last knock from there`, `renewed "nas", which was ended since: revoked`, "enrol it anew")
	if e := explain(from...); len(e.Knocks) != 2 || !e.Knocks[0].Gone {
		t.Errorf("knocks of a device that is gone: %+v", e.Knocks)
	}
	says([]string{stranger.IPv4.String(), "nas"}, "No knock from there")

	if err := s.Web.Kill(); err != nil {
		t.Fatal(err)
	}
	says(from, "ownline-web is not connected")
	if _, err := s.CoreCommand(t.Context(), "explain", "nobody"); err == nil || !strings.Contains(err.Error(), "no address") {
		t.Errorf("explain nobody: %v", err)
	}
}
