package core

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/ownline/ownline/internal/core/doctor"
	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/session"
	"github.com/ownline/ownline/internal/core/udpknock"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// Explanation is what `ownline-core explain` prints: why an address gets in, or does not.
type Explanation struct {
	Source   netip.Addr      `json:"source"`
	Service  string          `json:"service,omitempty"` // name or ID; empty: all
	Findings []Finding       `json:"findings"`          // what matters most first; never empty
	Knocks   []udpknock.Seen `json:"knocks"`            // from there, newest first, at most 10
	Sessions []Explained     `json:"sessions"`
}

// Finding is one thing that core found, and what to do about it.
type Finding struct {
	Problem bool   `json:"problem"`
	Warning bool   `json:"warning,omitempty"` // keeps nobody out now, but may
	Text    string `json:"text"`
	Fix     string `json:"fix,omitempty"`

	cause string // of a problem that several may have
}

// Explained is a session of the source, and what the kernel has of it.
type Explained struct {
	Listed
	Live bool `json:"live"` // in the kernel

	now     ownline.Traffic  // as Traffic, a moment later
	again   bool             // something came, and a good while later again
	way     []doctor.Finding // what is in its packets' way on this router
	failure string           // of its target, tried from the router
}

const mostKnocks = 10

// Explain answers why somebody at an address gets in, or does not: to a service, by its name or ID, or
// to any if that is empty.
func (c *Core) Explain(ctx context.Context, source netip.Addr, service string) (Explanation, error) {
	source = source.Unmap()
	if !source.IsValid() || source.Zone() != "" {
		return Explanation{}, ownline.Invalid("source", "is no address; give the one that the client has on the internet, like 198.51.100.7")
	}
	e := &explaining{Core: c, Explanation: Explanation{Source: source, Service: service, Knocks: []udpknock.Seen{}, Sessions: []Explained{}}}
	status := e.Status(ctx)
	e.router(status)
	usable := e.address()
	e.sessions(ctx)
	if usable {
		e.ways(ctx, status)
		e.access(ctx)
		e.knocks(ctx)
	}
	if err := ctx.Err(); err != nil {
		return Explanation{}, err
	}
	e.Findings = append(e.Findings, e.notes...)
	return e.Explanation, nil
}

// explaining is an Explanation that grows.
type explaining struct {
	*Core
	Explanation
	notes   []Finding        // come after the problems
	counted bool             // what came through the kernel is known
	way     []doctor.Finding // what is in the way of knocks on this router
}

// add keeps what is wrong apart from what is not.
func (e *explaining) add(f Finding) {
	all := &e.notes
	if f.Problem {
		all = &e.Findings
	}
	*all = append(*all, f)
}

func (e *explaining) problem(fix, format string, args ...any) {
	e.add(Finding{Problem: true, Text: fmt.Sprintf(format, args...), Fix: fix})
}

func (e *explaining) note(format string, args ...any) {
	e.add(Finding{Text: fmt.Sprintf(format, args...)})
}

func (e *explaining) warn(format string, args ...any) {
	e.add(Finding{Warning: true, Text: fmt.Sprintf(format, args...)})
}

// router tells what keeps everybody out.
func (e *explaining) router(s link.Status) {
	switch {
	case !s.Paired:
		e.problem("run `ownline-core pair`, and give the code to ownline-web", "No ownline-web is paired: nobody can be let in.")
	case !s.Connected:
		e.problem("see that ownline-web runs, and that it and this router reach each other (link in core.yaml)", "ownline-web is not connected: no knock is answered, and no new session comes.")
	}
	if !s.Firewall.OK {
		e.problem("mend what the error says; core tries again by itself", "The kernel does not have Ownline's rules: %s.", s.Firewall.Error)
	} else if s.Firewall.Lacks != "" {
		e.warn("The kernel has Ownline's rules, but with %s.", s.Firewall.Lacks)
	}
	if s.Clock.Now.IsZero() {
		e.problem("let the router's clock be synchronised (NTP), or wait until ownline-web connects", "No clock is known: %s.", s.Clock.Why)
	}
	if s.Proxy.Domain != "" && !s.Proxy.OK {
		e.problem("mend what the error says", "The reverse proxy does not serve: %s.", s.Proxy.Error)
	}
}

// address judges the source; false: no session can be for it.
func (e *explaining) address() bool {
	host := e.host.seen.Load()
	switch a := e.Source; {
	case slices.Contains(host.Own, a):
		e.problem("use the address that the client has on the internet", "%s is the router's own address.", a)
	case slices.Contains(host.Gateways, a):
		e.show(e.door.Recent(func(from netip.Addr) bool { return from == a }))
		e.problem("let the box in front forward ports without rewriting their sources", "%s is the router's gateway: a session for it would let in everybody behind it.", a)
	case e.host.inside(a):
		e.note("%s is in a local network: it needs no session, its knocks are answered by \"inside\", and proxied services are open to it.", a)
	case ownline.KindOf(a) == ownline.SourceCarrierNAT:
		e.problem("use the address that the client has on the internet: it is behind its carrier's NAT", "%s is one that carriers use inside; none is ever let in.", a)
	case ownline.KindOf(a) != ownline.SourcePublic:
		e.problem("use the address that the client has on the internet, or add its network to local_networks in core.yaml", "%s is not public and in none of the local networks; none such is ever let in.", a)
	default:
		return true
	}
	return false
}

// sessions reads what is open for the source, in the book and in the kernel.
func (e *explaining) sessions(ctx context.Context) {
	for _, s := range e.list() {
		if s.Source.Contains(e.Source) && (e.Service == "" || e.Service == s.Service || e.Service == s.ServiceID.String()) {
			e.Sessions = append(e.Sessions, Explained{Listed: s})
		}
	}
	live, err := e.counters(ctx)
	if err != nil {
		e.problem("mend what the error says", "The kernel's sessions can't be read: %v.", err)
	}
	e.counted = err == nil
	for i := range e.Sessions {
		s := &e.Sessions[i]
		if t, ok := live[s.Key()]; ok {
			s.Live = true
			s.Count(t)
		}
		s.now = s.Traffic
	}
}

// counters reads what the kernel has of the sessions: after they were listed, as the book counts on meanwhile.
func (e *explaining) counters(ctx context.Context) (map[firewall.Key]ownline.Traffic, error) {
	if len(e.Sessions) == 0 {
		return nil, nil // to ask for none would read all
	}
	keys := make([]firewall.Key, len(e.Sessions))
	for i := range e.Sessions {
		keys[i] = e.Sessions[i].Key()
	}
	return e.reconciler.Counters(ctx, keys...)
}

// access judges what is open by what comes through now: what came before proves nothing of the rules and hosts of today.
func (e *explaining) access(ctx context.Context) {
	if !e.open() {
		what := "No session"
		if e.Service != "" {
			what = fmt.Sprintf("No session for %q", e.Service)
		}
		e.problem("knock from there, or open it in Ownline's app, from that very address", "%s is open for %s.", what, e.Source)
		return
	}
	e.try(ctx)
	e.watch(ctx)
	for i := range e.Sessions {
		s := &e.Sessions[i]
		if e.guests(s) {
			continue
		}
		at := fmt.Sprintf("%q is open at port %d/%s for %s, for another %s", s.Service, s.PublicPort, s.Transport, s.Source, time.Until(s.Until).Round(time.Second))
		e.obstacles(fmt.Sprintf("%q at port %d/%s", s.Service, s.PublicPort, s.Transport), at, ", but packets of it do not pass. ", s.way, s.flows())
		switch t, now := &s.Traffic, &s.now; {
		case !e.counted:
			e.unreachable(at, s)
		case !s.Live:
			e.problem("look at firewall in `ownline-core status`", "%s, but the kernel does not have it.", at)
		case e.unreachable(at, s) || shut(s.way):
		case s.flows():
			e.note("%s: %d packets came and %d went back while this looked, so it works.", at, now.UpPackets-t.UpPackets, now.DownPackets-t.DownPackets)
		case t.UpPackets == 0 && now.UpPackets == 0:
			e.unused(at, s)
		case now.DownPackets == 0 || s.again && now.DownPackets == t.DownPackets && s.Transport == ownline.TCP: // by UDP, some say nothing back
			e.silent(at, s)
		default:
			last := ""
			if !s.Answered.IsZero() {
				last = ", the last at " + s.Answered.Local().Format(time.DateTime)
			}
			e.note("%s. Nothing that this looks at is in its way on this router, but no data went back meanwhile: ask again while somebody uses it. Before, %d packets came and %d went back%s.", at, t.UpPackets, t.DownPackets, last)
		}
		e.inFront(s)
	}
}

// moment is for how long traffic is watched; where packets come and none goes back, longer, until they come again.
const moment = time.Second

// watch sees what comes through now.
func (e *explaining) watch(ctx context.Context) {
	past := time.Duration(0)
	for began := time.Now(); e.waits(past); past = time.Since(began) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(moment / 4):
		}
		live, err := e.counters(ctx)
		if err != nil {
			return
		}
		for i := range e.Sessions {
			s := &e.Sessions[i]
			if t, ok := live[s.Key()]; ok {
				later := *plain(&s.Listed)
				later.Count(t)
				// What came since then is not the end of what was answered before.
				s.again = s.again || past > moment/2 && later.Traffic.UpPackets > s.now.UpPackets
				s.now = later.Traffic
			}
		}
	}
}

// mostBare is how large a packet of TCP may be that brings nothing: one of IPv6 with all options.
const mostBare = 100

// flows reports whether packets came and went back while this looked. Answers may get lost behind where they are counted:
// only data tells that a connection by TCP came about, and by UDP nothing does where something seems to be in the way.
func (s *Explained) flows() bool {
	packets, bytes := s.now.DownPackets-s.Traffic.DownPackets, s.now.DownBytes-s.Traffic.DownBytes
	if s.Transport == ownline.TCP {
		return s.now.UpPackets > s.Traffic.UpPackets && bytes > mostBare*packets
	}
	return packets > 0 && !shut(s.way)
}

// waits is whether something may still come back of a session that was used before.
func (e *explaining) waits(past time.Duration) bool {
	for i := range e.Sessions {
		s := &e.Sessions[i]
		if s.Traffic.UpPackets > 0 && !s.flows() && s.failure == "" && (past < moment || !shut(s.way) && s.now.UpPackets > s.Traffic.UpPackets && !s.again && past < 3*moment) {
			return true
		}
	}
	return false
}

// try looks for the targets of the sessions from here.
func (e *explaining) try(ctx context.Context) {
	sessions := make([]session.Session, len(e.Sessions))
	for i := range sessions {
		sessions[i] = *plain(&e.Sessions[i].Listed)
	}
	for i, failure := range doctor.Reach(answers).Targets(ctx, sessions) {
		e.Sessions[i].failure = failure
	}
}

// unreachable tells when the target of a session can't be reached from here.
func (e *explaining) unreachable(at string, s *Explained) bool {
	switch s.failure {
	case link.ReachRefused:
		e.problem("start the service there, or correct its address and port in Ownline", "%s, but nothing listens at %s.", at, s.Target)
	case link.ReachSilent, link.ReachNoRoute:
		e.problem("see that it is switched on, has this address, and that its own firewall lets the router in", "%s, but the router itself can't reach %s.", at, s.Target)
	default:
		return false
	}
	return true
}

// unused tells of a session that nobody has used. That keeps nobody out, unless they have tried: who asks for one service
// has a reason to.
func (e *explaining) unused(at string, s *Explained) {
	e.add(Finding{
		Problem: e.Service != "", Text: at + ", but not one packet of it has come.",
		Fix: fmt.Sprintf("if somebody has tried: see that the client really comes from %s (not from an address of another family, or through a VPN), and that a box in front of this router forwards port %d/%s", s.Source, s.PublicPort, s.Transport),
	})
}

// silent tells that nothing comes back, though nothing that is known on this router is in the way.
func (e *explaining) silent(at string, s *Explained) {
	fix := "let the target answer by way of this router (its default route), or set firewall.masquerade in core.yaml; see that ufw or firewalld, where it is active, does not refuse it"
	if s.Kind == ownline.Proxy {
		fix = "see the log of core"
	}
	e.problem(fix, "%s, and packets come, but nothing goes back.", at)
}

// Problems counts the findings that keep somebody out.
func (e Explanation) Problems() int {
	n := 0
	for _, f := range e.Findings {
		if f.Problem {
			n++
		}
	}
	return n
}
