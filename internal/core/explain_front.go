//go:build !noproxy

package core

import (
	"fmt"
	"slices"
	"time"
)

// inFront tells what the router in front does with the port of a session.
func (e *explaining) inFront(s *Explained) {
	p := e.ports.status()
	if p == nil {
		return
	}
	what := fmt.Sprintf("The router in front, %s,", p.Router)
	if !p.Router.IsValid() {
		what = "The router in front"
	}
	port := fmt.Sprintf("port %d/%s", s.PublicPort, s.Transport)
	switch f := s.InFront; {
	case f == nil:
		e.note("%s is not asked for %s, as it is asked for IPv4 alone: should it let nothing in by IPv6, let the port through there by hand.", what, port)
	case f.Open:
		to := "everybody, as it can't be told who comes"
		if len(f.For) > 0 {
			to = fmt.Sprint(f.For[0])
			if n := len(f.For) - 1; n > 0 {
				to += fmt.Sprintf(" and %d more", n)
			}
			to += " alone"
		}
		e.note("%s has %s open to %s (%s), until %s unless that is renewed.", what, port, to, p.Protocol, f.Until.Local().Format(time.DateTime))
	case s.Traffic.DownPackets > 0:
		e.warn("%s does not open %s: %s. Packets of it got here all the same.", what, port, f.Error)
	default:
		e.problem("allow it there (PCP, NAT-PMP or UPnP), or forward the port there by hand", "%s does not open %s: %s.", what, port, f.Error)
	}
}

// guests tells if a session only leads a guest to the doorstep.
func (e *explaining) guests(s *Explained) bool {
	if s.Doorstep {
		e.note("A guest at %s is led to the doorstep, to see until when their session is open, for another %s.", s.Source, time.Until(s.Until).Round(time.Second))
	}
	return s.Doorstep
}

// open reports whether a session is, but for those.
func (e *explaining) open() bool {
	return slices.ContainsFunc(e.Sessions, func(s Explained) bool { return !s.Doorstep })
}
