// Package schedule decides when a device knocks at one site. It is told the time and what
// happened, and does nothing by itself: a day of it is played in milliseconds.
package schedule

import (
	"slices"
	"time"
)

const (
	// Longest is the longest time from one round of knocks to the next.
	Longest = 15 * time.Minute
	// reserve is what is kept of a session for a round that gets lost: its own time, the
	// wait behind it and the next round.
	reserve = 45 * time.Second
	// oneMore is what a round that gets lost, and the wait behind it, take at least.
	oneMore = 15 * time.Second
	// shortest keeps sessions of seconds from making a flood.
	shortest = 3 * time.Second

	// firstRetry is waited for behind a round without an answer; the wait doubles to lastRetry, or a
	// third of the period if that is less.
	firstRetry = 5 * time.Second
	lastRetry  = 5 * time.Minute
	// tries is how often a family without a session is tried alone.
	tries = 4
	// firstRefused is the same behind an answer that refuses; it doubles to Longest.
	firstRefused = time.Minute

	// firstSpacing lies between two rounds that something outside asked for; it doubles to
	// lastSpacing as long as the network has not been calm.
	firstSpacing = 5 * time.Second
	lastSpacing  = time.Minute
	calm         = 5 * time.Minute
)

// Reason is why a round of knocks begins.
type Reason string

// The reasons.
const (
	Start   Reason = "start"   // the agent, or the profile, is new
	Period  Reason = "period"  // it is time
	Retry   Reason = "retry"   // the last round, or one family of it, had no answer
	Network Reason = "network" // the network has changed
	Wake    Reason = "wake"    // the machine has slept, or its clock was set
	Moved   Reason = "moved"   // another site saw the device at a new address
)

// Family is an address family: "4" or "6".
type Family string

// Round is one knock by one or both families, tried for some seconds.
type Round struct {
	Reason Reason
	Only   Family // "": both
}

// Answer is what a site said by one family. Of a family by which nothing can be sent there is none.
type Answer struct {
	Family Family
	None   bool          // knocks were sent, and nothing came back; the rest is zero
	OK     bool          // the device is let in, or needs not be
	Left   time.Duration // of the session that ends first; 0: there is none
	Source string        // the device's address as the site saw it
}

// Plan is the schedule of one profile. Its times are all by one clock, which never goes back.
type Plan struct {
	random func() float64 // 0 ≤ x < 1

	due     time.Time // of the next round
	round   Round     // what that will be
	regular time.Time // of the next round by both families; due may be earlier
	asking  bool      // something outside asked for a round, and it was not taken yet
	period  time.Duration

	failed  int // rounds without an answer, in a row
	refused int // refusals, in a row
	alone   int // tries of one family alone, in a row

	asked   time.Time // when something outside last asked for a round
	spacing time.Duration

	live   map[Family]time.Time // until when there are sessions
	source map[Family]string
}

// New returns a plan whose first round is due at once. Random spreads the rounds of many devices.
func New(now time.Time, random func() float64) *Plan {
	return &Plan{
		random: random, due: now, round: Round{Reason: Start}, period: Longest,
		live: map[Family]time.Time{}, source: map[Family]string{},
	}
}

// Next is when the next round is due.
func (p *Plan) Next() time.Time { return p.due }

// Soon reports whether the next round may be had now, so that the machine wakes up once for
// several profiles.
func (p *Plan) Soon(now time.Time) bool {
	return !p.due.After(now) || p.round.Reason == Period && !p.due.After(now.Add(p.period/10))
}

// Take returns the round to do now.
func (p *Plan) Take() Round {
	p.asking = false
	return p.round
}

// Asking reports whether a round was asked for by Changed that is not taken yet: then it takes the
// place of one that runs.
func (p *Plan) Asking() bool { return p.asking }

// Changed asks for a round as soon as may be.
func (p *Plan) Changed(now time.Time, why Reason) {
	p.failed, p.refused, p.alone = 0, 0, 0
	p.round = Round{Reason: why}
	if p.asking {
		return
	}
	p.asking = true
	if now.Sub(p.asked) > calm {
		p.spacing = 0
	}
	if at := p.asked.Add(p.spacing); at.After(now) {
		now = at
	}
	p.asked, p.spacing = now, min(max(2*p.spacing, firstSpacing), lastSpacing, p.period)
	p.due = now
}

// Done takes what became of a round. It reports whether the device was seen at another
// address than before, which the other sites will want to know.
func (p *Plan) Done(now time.Time, r Round, answers []Answer) (moved bool) {
	answered, ok := false, false
	var left time.Duration
	for _, a := range answers {
		if a.None {
			continue
		}
		answered = true
		if before := p.source[a.Family]; a.Source != "" {
			moved = moved || before != "" && before != a.Source
			p.source[a.Family] = a.Source
		}
		delete(p.live, a.Family)
		if !a.OK {
			continue
		}
		ok = true
		if a.Left > 0 {
			p.live[a.Family] = now.Add(a.Left)
			if left == 0 || a.Left < left {
				left = a.Left
			}
		}
	}
	switch {
	case !answered && r.Only != "":
		p.alone++
	case !answered:
		p.failed++
		p.regular, p.alone = now.Add(p.wait(firstRetry, p.lastRetry(), p.failed)), 0
	case !ok:
		p.refused++
		p.regular, p.failed, p.alone = now.Add(p.wait(firstRefused, Longest, p.refused)), 0, 0
	default:
		p.period = PeriodOf(left)
		// An address can change with nothing here to see it: a round and a retry fit into the period, too.
		longest := p.period - min(oneMore, p.period/3)
		regular := now.Add(time.Duration(float64(longest) * (0.8 + 0.2*p.random())))
		if r.Only == "" || regular.Before(p.regular) {
			p.regular = regular
		}
		p.failed, p.refused, p.alone = 0, 0, 0
	}
	moved = moved && r.Reason != Moved
	if p.asking {
		return moved
	}
	p.due, p.round = p.regular, Round{Reason: Period}
	if p.failed > 0 || p.refused > 0 {
		p.round.Reason = Retry
	} else if only := p.missing(now, answers); only != "" {
		p.alone = max(p.alone, 1)
		if at := now.Add(p.wait(firstRetry, p.lastRetry(), p.alone)); at.Before(p.due) {
			p.due, p.round = at, Round{Reason: Retry, Only: only}
		}
	}
	return moved
}

// missing is a family of which all packets were lost while the other had an answer, so that it is tried again
// alone: until its session ends, if it has one that ends before the next round is surely through, and some times if
// it has none, because there may be no way for it.
func (p *Plan) missing(now time.Time, answers []Answer) Family {
	for _, a := range answers {
		until := p.live[a.Family]
		switch {
		case !a.None || slices.ContainsFunc(answers, func(b Answer) bool { return b.Family == a.Family && !b.None }):
		case !until.After(now) && p.alone < tries, until.After(now) && until.Before(p.regular.Add(reserve)):
			return a.Family
		}
	}
	return ""
}

func (p *Plan) lastRetry() time.Duration { return min(lastRetry, p.period/3) }

// wait doubles from first to last with the number of the try, and is spread over its later half.
func (p *Plan) wait(first, last time.Duration, n int) time.Duration {
	wait := last
	if n < 20 {
		wait = min(first<<(n-1), last)
	}
	return time.Duration(float64(wait) * (0.5 + 0.5*p.random()))
}

// PeriodOf is the longest time between rounds when sessions last that long: one round may get
// lost, and the next still comes before they end. 0: nothing ends.
func PeriodOf(session time.Duration) time.Duration {
	if session <= 0 {
		return Longest
	}
	period := min(Longest, session/2)
	if session-period < reserve {
		period = session / 3
	}
	return max(period, shortest)
}
