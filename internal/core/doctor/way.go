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
	unread error // of rules
	source netip.Addr

	session  *session.Session // that is looked at; nil: knocks
	wan, lan string           // interfaces that it comes by, and leads to; "": none
}

// Way reads the rules; the daemon is as status says. Close ends the reading.
func (r *Router) Way(ctx context.Context, status link.Status, source netip.Addr) *Way {
	w := &Way{router: r, status: status, source: source}
	w.rules, w.unread = r.Rules(ctx)
	return w
}

// Close ends the reading.
func (w *Way) Close() {
	if w.rules != nil {
		w.rules.Close()
	}
}

// Look makes the checks of what is in the way of a session, or with nil of knocks. By which interface the source comes
// nobody knows; so a problem is what holds by all of them, or by that which answers leave by.
func (w *Way) Look(s *session.Session) []Finding {
	l := &looking{Router: w.router, runs: true, status: w.status}
	wan := l.wan()
	if len(wan) == 0 {
		wan = []string{""}
	}
	back, _ := l.Route("", netip.Addr{}, w.source) // without a route it is none
	if i := slices.Index(wan, back); i > 0 {
		wan[0], wan[i] = wan[i], wan[0]
	}
	if w.session, w.lan = s, ""; s != nil {
		l.sessions = []session.Session{*s}
		if s.Kind == ownline.Forward && !slices.Contains(l.Host.Own, s.Target.Addr()) {
			w.lan = l.toward(s.Target.Addr(), w.source, wan[0])
			l.forwards(w.source.Is6())
		}
		for all, i := l.led(), 0; i < len(all) && !all[i].made; i++ {
			l.route(&all[i])
		}
	}
	l.way = w
	everywhere := true
	for i := range wan {
		n := len(l.found)
		if w.wan = wan[i]; w.source.Is4() {
			l.paths()
		}
		l.drops(narrow{w}, w.unread)
		everywhere = everywhere && Problems(l.found[n:]) > 0
		for n < len(l.found) && w.wan != back {
			l.found[n].by = w.wan
			n++
		}
	}
	var out []Finding
next:
	for i := range l.found {
		f := &l.found[i]
		for j := range out {
			if out[j].Text == f.Text {
				continue next
			}
		}
		if f.by != "" && f.Level == Problem && !everywhere {
			f.Level, f.Hint = Warning, "so it is by "+f.by+"; "+f.Hint
		}
		out = append(out, *f)
	}
	return out
}

// toward is the interface by which a target is reached.
func (l *looking) toward(target, source netip.Addr, wan string) string {
	name, err := l.Route(wan, source, target)
	if err != nil { // the way in is shut, or there is none: then it is that which the router itself would take
		name, _ = l.Route("", netip.Addr{}, target) // that there is none either, routes tells
	}
	return name
}

// narrow are the host's rules, as packets of a way meet them. What is asked of all packets is answered for those, of
// which more is known.
type narrow struct{ *Way }

// Obstacles implements Rules.
func (w narrow) Obstacles(p *hostrules.Packet) []hostrules.Obstacle {
	q, s := *p, w.session
	q.Source = w.source
	if p.Established || p.Hook == "output" || s == nil && p.Hook == "postrouting" {
		q.Source, q.Target = q.Target, q.Source
	}
	if p.IPv6 == w.source.Is4() || p.Translated != (s != nil) || s != nil && !w.of(&q) {
		return nil
	}
	return w.rules.Obstacles(&q)
}

// of reports whether a packet can be one of the session, and writes into it what is known of such.
func (w *Way) of(p *hostrules.Packet) bool {
	s := w.session
	switch {
	case p.TCP != (s.Transport == ownline.TCP):
		return false
	case p.Hook == "input":
		return w.lan == "" && p.To == s.Target.Port()
	case p.Established:
		p.Source, p.From = s.Target.Addr(), s.Target.Port()
		if p.Hook == "prerouting" { // with masquerading, it is to the router
			p.Target = netip.Addr{}
		}
	case p.Hook == "forward" || p.Hook == "postrouting":
		p.Target, p.To = s.Target.Addr(), s.Target.Port()
	default: // it was not led to the target yet
		p.To = s.PublicPort
	}
	return true
}

// Unseen implements Rules: that is for those who ask of everything.
func (narrow) Unseen() []*firewall.Chain { return nil }

// Rewrites implements Rules, likewise.
func (narrow) Rewrites(*hostrules.Packet) *firewall.Chain { return nil }

// Close implements Rules: the way goes on.
func (narrow) Close() error { return nil }
