package core

import (
	"context"
	"strings"

	"github.com/ownline/ownline/internal/core/doctor"
	"github.com/ownline/ownline/internal/link"
)

// ways has the doctor look what is in the way of knocks from there and of each session: rules and settings as they are
// now.
func (e *explaining) ways(ctx context.Context, status link.Status) {
	r, err := router(ctx, &e.cfg, "core.yaml")
	if err != nil {
		e.problem("mend what the error says", "What is in the way on this router was not looked at: %v.", err)
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

// obstacles tells what the doctor found in the way of somebody's packets, and what becomes of them. What flows all the same has
// the better of it, but may be of a connection that was made before.
func (e *explaining) obstacles(who, at, but string, found []doctor.Finding, flows bool) {
next:
	for i := range found {
		f := &found[i]
		if f.Level == doctor.Good {
			continue
		}
		told := Finding{Problem: f.Level == doctor.Problem, Warning: true, Text: f.Text, Fix: "`" + strings.Join(f.Fix, " && ") + "`"}
		switch {
		case len(f.Fix) == 0:
			told.Fix = f.Hint
		case f.Hint != "":
			told.Fix += "; " + f.Hint
		}
		switch {
		case told.Problem && flows:
			told.Problem, told.Text = false, at+", and packets come and go, if only of a connection that was made before. What may stop others: "+f.Text
		case told.Problem:
			for i := range e.Findings {
				if is := &e.Findings[i]; is.cause == f.Text {
					is.Text += " It stops " + who + ", too."
					continue next
				}
			}
			told.Warning, told.Text, told.cause = false, at+but+f.Text, f.Text
		}
		for i := range e.notes {
			if e.notes[i].Text == told.Text { // it is of several
				continue next
			}
		}
		e.add(told)
	}
}
