package agent

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/ownline/ownline/internal/agent/schedule"
	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/logging"
)

// State is what an agent tells about itself. There is no secret in it.
type State struct {
	PID      int            `json:"pid"`
	Started  time.Time      `json:"started"`
	Stopped  time.Time      `json:"stopped,omitzero"` // of its own accord; zero: it runs, or was killed
	Wakeups  int            `json:"wakeups"`          // how often it had something to do or to look at
	Profiles []ProfileState `json:"profiles"`
}

// ProfileState is how things stand with one profile.
type ProfileState struct {
	Name  string    `json:"name"`
	Host  string    `json:"host,omitempty"`
	Site  string    `json:"site_name,omitempty"`
	Error string    `json:"error,omitempty"`     // why the profile can't be used
	Last  *Knocked  `json:"last,omitempty"`      // round of knocks
	Open  []Open    `json:"open"`                // what the site has opened, as far as is known
	Next  time.Time `json:"next_knock,omitzero"` // planned
}

// Knocked is what became of one round of knocks.
type Knocked struct {
	Time   time.Time `json:"time"`
	Reason string    `json:"reason"`          // why then: see package schedule
	Status string    `json:"status"`          // of the best answer, or "no answer"
	Way    string    `json:"way,omitempty"`   // "udp" or "mqtt"
	Error  string    `json:"error,omitempty"` // why nothing could be sent
	Failed int       `json:"failed"`          // rounds without an answer, up to this one
}

// Open is what is open by one address family.
type Open struct {
	Family   string    `json:"family"` // "4" or "6"
	Source   string    `json:"source"` // for that address
	Sessions uint16    `json:"sessions"`
	Until    time.Time `json:"until,omitzero"` // when the first of them ends unless it is renewed, by this machine's clock
}

// done takes what became of a round.
func (a *Agent) done(now time.Time, r result) {
	e := r.entry
	if e.running != r.flight || a.entries[e.name] != e {
		return // another round took its place
	}
	e.running, a.dirty = nil, true
	before := e.shown.Last
	k := Knocked{Time: a.Wall().UTC(), Reason: string(r.flight.round.Reason), Status: "no answer"}
	var answers []schedule.Answer
	var problems []error
	best := -1
	for i, reply := range r.replies {
		if reply.Err != nil {
			if !errors.Is(reply.Err, ErrNoAnswer) && !errors.Is(reply.Err, ErrNoFamily) {
				problems = append(problems, reply.Err)
			} else if reply.Sent > 0 {
				answers = append(answers, schedule.Answer{Family: schedule.Family(reply.Family), None: true})
			}
			continue
		}
		answers = append(answers, a.answer(e, reply))
		if best < 0 || reply.OK() && !r.replies[best].OK() {
			best = i
		}
	}
	switch {
	case best >= 0:
		k.Status, k.Way = r.replies[best].Answer.Status.String(), "udp"
		if r.replies[best].Broker != "" {
			k.Way = "mqtt"
		}
	case r.flight.round.Only != "":
		a.Log.Debug("no answer by one family", logging.Profile, e.name, "family", string(r.flight.round.Only))
		e.plan.Done(now, r.flight.round, answers)
		return
	default:
		if err := cmp.Or(r.err, errors.Join(problems...)); err != nil {
			k.Error = err.Error()
		}
		// A device that must name its address gets no answer without.
		e.claim = !e.claim && len(a.claimBy(e.profile)) > 0
		if k.Failed = 1; before != nil {
			k.Failed += before.Failed
		}
	}
	e.shown.Last = &k
	moved := e.plan.Done(now, r.flight.round, answers)
	a.report(e, before, k, moved)
	if moved {
		a.changed(now, schedule.Moved, e)
	}
}

// answer keeps what is open by one family.
func (a *Agent) answer(e *entry, r Reply) schedule.Answer {
	out := schedule.Answer{Family: schedule.Family(r.Family), OK: r.OK()}
	e.shown.Open = slices.DeleteFunc(slices.Clone(e.shown.Open), func(o Open) bool { return o.Family == r.Family })
	if r.Answer.Source.IsValid() {
		out.Source = r.Answer.Source.String()
	}
	if !r.OK() || r.Answer.Status == knock.Inside {
		return out
	}
	o := Open{Family: r.Family, Source: out.Source, Sessions: r.Answer.Sessions}
	if !r.Answer.Expires.IsZero() {
		out.Left = max(r.Answer.Expires.Sub(r.Answer.Time), time.Second) // both by the site's clock
		o.Until = a.Wall().Add(out.Left).UTC()
	}
	e.shown.Open = append(e.shown.Open, o)
	slices.SortFunc(e.shown.Open, func(x, y Open) int { return cmp.Compare(x.Family, y.Family) })
	return out
}

// report logs what is news.
func (a *Agent) report(e *entry, before *Knocked, k Knocked, moved bool) {
	log := a.Log.With(logging.Profile, e.name)
	was := ""
	if before != nil {
		was = before.Status
	}
	renewed, opened := knock.Renewed.String(), knock.Opened.String()
	good := k.Status == renewed || k.Status == opened || k.Status == knock.Inside.String()
	switch {
	case k.Failed == 1:
		log.Warn("no answer", logging.Site, e.profile.Host, logging.Err, k.Error)
	case k.Failed > 1:
		log.Debug("no answer", logging.Site, e.profile.Host, logging.Err, k.Error, "rounds", k.Failed)
	case good && slices.Contains([]schedule.Reason{schedule.Network, schedule.Wake, schedule.Moved}, schedule.Reason(k.Reason)):
		// That it knocks at once was said as well.
		log.Info("let in", "status", k.Status, "way", k.Way, "reason", k.Reason, "open", len(e.shown.Open))
	case k.Status == renewed && (was == renewed || was == opened) && !moved:
		log.Debug("renewed", "way", k.Way)
	case k.Status == was:
		log.Debug("same answer", "status", k.Status)
	case good:
		log.Info("let in", "status", k.Status, "way", k.Way, "reason", k.Reason, "open", len(e.shown.Open))
	default:
		log.Warn("not let in", "status", k.Status, "way", k.Way)
	}
	for _, o := range e.shown.Open {
		log.Debug("open", logging.Source, o.Source, "sessions", o.Sessions, "until", o.Until)
	}
}

// keep hands the state out.
func (a *Agent) keep(now time.Time) {
	if !a.dirty {
		return
	}
	a.dirty = false
	wall := a.Wall()
	s := a.state
	s.Profiles = []ProfileState{}
	for _, name := range slices.Sorted(maps.Keys(a.entries)) {
		e := a.entries[name]
		shown := e.shown
		shown.Open = []Open{}
		for _, o := range e.shown.Open {
			if o.Until.IsZero() || o.Until.After(wall) {
				shown.Open = append(shown.Open, o)
			}
		}
		if e.plan != nil && s.Stopped.IsZero() {
			shown.Next = wall.Add(max(e.plan.Next().Sub(now), 0)).UTC().Truncate(time.Second)
		}
		s.Profiles = append(s.Profiles, shown)
	}
	err := a.Keep(s)
	if err != nil && !a.unkept {
		a.Log.Error("state can't be kept for `ownline agent status`", logging.Err, err)
	}
	a.unkept = err != nil
}
