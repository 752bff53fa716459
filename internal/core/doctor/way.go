package doctor

import (
	"context"
	"net/netip"
	"slices"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/hostrules"
	"github.com/ownline/ownline/internal/core/session"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// Way is that of one source: of its knocks and sessions.
type Way struct {
	router *Router
	status link.Status
	rules  Rules
	source netip.Addr

	session *session.Session // that is looked at; nil: knocks
	lan     string           // interface that it leads to; "": none
}

// Way reads the rules; the daemon is as status says. The router is the way's from now on, and Close ends the reading.
func (r *Router) Way(ctx context.Context, status link.Status, source netip.Addr) *Way {
	w := &Way{router: r, status: status, source: source}
	var err error
	w.rules, err = r.Rules(ctx)
	r.Rules = func(context.Context) (Rules, error) {
		if w.rules == nil {
			return nil, err
		}
		return narrow{w}, err
	}
	return w
}

// Close ends the reading.
func (w *Way) Close() {
	if w.rules != nil {
		w.rules.Close()
	}
}

// Look makes the checks of what is in the way of a session, or with nil of knocks.
func (w *Way) Look(s *session.Session) []Finding {
	l := &looking{Router: w.router, runs: true, status: w.status}
	if w.session = s; s != nil {
		l.sessions = []session.Session{*s}
		if w.lan = l.toward(s); w.lan != "" {
			l.forwards(w.source.Is6())
		}
	}
	if w.source.Is4() {
		l.paths()
	}
	l.rules(context.Background())
	return l.found
}

// toward is the interface by which a session's target is reached; "": it is on the router.
func (l *looking) toward(s *session.Session) (name string) {
	if s.Kind != ownline.Forward || slices.Contains(l.Host.Own, s.Target.Addr()) {
		return ""
	}
	name = anyInterface
	for i := range l.Host.LAN {
		if l.Host.LAN[i].Network.Contains(s.Target.Addr()) {
			name = l.Host.LAN[i].Interface
		}
	}
	return name
}

const anyInterface = "*"

// narrow are the host's rules, as packets of a way meet them. What is asked of all packets is answered for those, of
// which more is known.
type narrow struct{ *Way }

// Obstacles implements Rules.
func (w narrow) Obstacles(p *hostrules.Packet) []hostrules.Obstacle {
	q, s := *p, w.session
	q.Source = w.source
	if p.Established || p.Hook == "output" {
		q.Source, q.Target = q.Target, q.Source
	}
	if p.IPv6 == w.source.Is4() || p.Translated != (s != nil) || s != nil && !w.of(&q) {
		return nil
	}
	return w.rules.Obstacles(&q)
}

// of reports whether a packet can be one of the session, and writes into it what is known of such.
func (w *Way) of(p *hostrules.Packet) bool {
	s, lan := w.session, p.Out
	if p.TCP != (s.Transport == ownline.TCP) {
		return false
	}
	switch {
	case p.Hook == "input":
		return w.lan == "" && p.To == s.Target.Port()
	case p.Established:
		p.Source, p.From, lan = s.Target.Addr(), s.Target.Port(), p.In
		if p.Hook == "prerouting" { // with masquerading, it is to the router
			p.Target = netip.Addr{}
		}
	case p.Hook == "forward":
		p.Target, p.To = s.Target.Addr(), s.Target.Port()
	default: // it was not led to the target yet
		p.To = s.PublicPort
		return true
	}
	return w.lan == lan || w.lan == anyInterface
}

// Unseen implements Rules: that is for those who ask of everything.
func (narrow) Unseen() []*firewall.Chain { return nil }

// Rewrites implements Rules, likewise.
func (narrow) Rewrites(*hostrules.Packet) *firewall.Chain { return nil }

// Close implements Rules: the way goes on.
func (narrow) Close() error { return nil }
