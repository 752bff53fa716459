package core

import (
	"context"
	"strings"

	"github.com/ownline/ownline/internal/core/doctor"
	"github.com/ownline/ownline/internal/core/firewall/hostinfo"
	"github.com/ownline/ownline/internal/link"
)

// ways has the doctor look what is in the way of knocks from there and of each session: rules and settings as they are
// now.
func (e *explaining) ways(ctx context.Context, status link.Status) {
	r := doctor.Router{Config: &e.cfg, File: "core.yaml", Rules: hostRules, Host: *e.host.seen.Load(), Root: "/"}
	var err error
	if r.Uplinks, err = hostinfo.Uplinks(); err != nil {
		e.problem("mend what the error says", "The router's routes can't be read: %v.", err)
		return
	}
	w := r.Way(ctx, status, e.Source)
	defer w.Close()
	e.way = w.Look(nil)
	for i := range e.Sessions {
		s := &e.Sessions[i]
		s.way = w.Look(plain(&s.Listed))
	}
}

// shut reports whether something that the doctor found keeps packets out.
func shut(way []doctor.Finding) bool { return doctor.Problems(way) > 0 }

// obstacles tells what the doctor found.
func (e *explaining) obstacles(what string, found []doctor.Finding) {
next:
	for i := range found {
		f := &found[i]
		fix := f.Hint
		if len(f.Fix) > 0 {
			fix = "`" + strings.Join(f.Fix, " && ") + "`; " + fix
		}
		switch f.Level {
		case doctor.Problem:
			e.problem(fix, "%s%s", what, f.Text)
		case doctor.Warning:
			for i := range e.notes {
				if e.notes[i].Text == f.Text { // it is of several
					continue next
				}
			}
			e.notes = append(e.notes, Finding{Warning: true, Text: f.Text, Fix: fix})
		}
	}
}
