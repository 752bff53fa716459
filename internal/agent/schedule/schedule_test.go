package schedule

import (
	"testing"
	"time"
)

var begin = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// always is the chance that makes waits the longest.
func always() float64 { return 0.999999 }

// silent are families by which nothing came back.
func silent(families ...Family) (out []Answer) {
	for _, f := range families {
		out = append(out, Answer{Family: f, None: true})
	}
	return out
}

func let(left time.Duration, families ...Family) (out []Answer) {
	for _, f := range families {
		out = append(out, Answer{Family: f, OK: true, Left: left, Source: "source " + string(f)})
	}
	return out
}

// A round that is lost and its successor fit into what is left of a session.
func TestPeriod(t *testing.T) {
	const round, answer = 20 * time.Second, 5 * time.Second
	for _, session := range []time.Duration{time.Minute + 30*time.Second, 2 * time.Minute, 5 * time.Minute, 30 * time.Minute, 24 * time.Hour} {
		p := New(begin, always)
		now := begin
		p.Done(now, p.Take(), let(session, "4", "6"))
		if period := p.Next().Sub(now); period > Longest || period >= session || period > PeriodOf(session) || period < PeriodOf(session)/2 {
			t.Errorf("%s: the next round comes after %s", session, period)
		}
		now = p.Next().Add(round)
		p.Done(now, p.Take(), nil)
		if p.Take().Reason != Retry {
			t.Errorf("%s: %+v behind a lost round", session, p.Take())
		}
		if end := p.Next().Add(answer); !end.Before(begin.Add(session)) {
			t.Errorf("%s: after a lost round the next is through at %s", session, end.Sub(begin))
		}
	}
	for session, want := range map[time.Duration]time.Duration{0: Longest, time.Hour: Longest, 30 * time.Minute: Longest, 20 * time.Minute: 10 * time.Minute, 30 * time.Second: 10 * time.Second, time.Second: 3 * time.Second} {
		if got := PeriodOf(session); got != want {
			t.Errorf("PeriodOf(%s) = %s, want %s", session, got, want)
		}
	}
}

// Without an answer waits double up to five minutes, and are spread.
func TestBackoff(t *testing.T) {
	for _, tc := range []struct {
		answers []Answer
		want    []time.Duration
	}{
		{nil, []time.Duration{5, 10, 20, 40, 80, 160, 300, 300, 300}},
		{[]Answer{{Family: "4", Source: "x"}}, []time.Duration{60, 120, 240, 480, 900, 900}},
	} {
		p, early := New(begin, always), New(begin, func() float64 { return 0 })
		now, sooner := begin, begin
		for i, want := range tc.want {
			p.Done(now, p.Take(), tc.answers)
			early.Done(sooner, early.Take(), tc.answers)
			if got := p.Next().Sub(now).Round(time.Second); got != want*time.Second {
				t.Errorf("%v, %d: waits %s, want %ds", tc.answers, i, got, want)
			}
			if got := early.Next().Sub(sooner); got != want*time.Second/2 {
				t.Errorf("%v, %d: waits %s at least, want half of %ds", tc.answers, i, got, want)
			}
			now, sooner = p.Next(), early.Next()
		}
		for range 100 {
			p.Done(now, p.Take(), tc.answers)
		}
		if got := p.Next().Sub(now); got <= 0 || got > Longest {
			t.Errorf("after a hundred tries it waits %s", got)
		}
		p.Done(now, p.Take(), let(30*time.Minute, "4"))
		p.Done(now, p.Take(), nil)
		if got := p.Next().Sub(now); got > 5*time.Second {
			t.Errorf("after an answer it still waits %s", got)
		}
	}
}

// A change brings a round at once, and many changes do not bring many.
func TestChanges(t *testing.T) {
	p := New(begin, always)
	p.Done(begin, p.Take(), let(30*time.Minute, "4"))
	now := begin.Add(time.Minute)
	p.Changed(now, Network)
	if !p.Next().Equal(now) || p.Take().Reason != Network {
		t.Errorf("after a change: %+v in %s", p.Take(), p.Next().Sub(now))
	}
	p.Done(now, p.Take(), let(30*time.Minute, "4"))
	rounds := 0
	for range 3600 {
		now = now.Add(time.Second)
		p.Changed(now, Network)
		if !p.Next().After(now) {
			rounds++
			p.Done(now, p.Take(), nil)
		}
	}
	if rounds < 60 || rounds > 70 {
		t.Errorf("%d rounds in an hour of a network that flaps", rounds)
	}
	now = now.Add(calm + lastSpacing)
	p.Changed(now, Wake)
	if p.Next().After(now) {
		t.Errorf("after calm a change waits %s", p.Next().Sub(now))
	}
	// A change during a round: its result does not put the next one off.
	r := p.Take()
	p.Changed(now.Add(time.Second), Network)
	p.Done(now.Add(2*time.Second), r, let(30*time.Minute, "4"))
	if !p.Asking() || p.Take().Reason != Network || p.Next().Sub(now) > firstSpacing {
		t.Errorf("a change during a round was lost: %+v in %s", p.Take(), p.Next().Sub(now))
	}
}

// When one family has an answer and the other's packets were lost, it is tried again before its session
// ends, alone; the round of both comes as planned.
func TestMissing(t *testing.T) {
	p := New(begin, always)
	p.Done(begin, p.Take(), let(30*time.Minute, "4", "6"))
	now := p.Next()
	p.Done(now, p.Take(), append(silent("6"), let(30*time.Minute, "4")...))
	planned := p.regular
	for range tries + 1 {
		if r := p.Take(); r.Only != "6" || r.Reason != Retry {
			t.Fatalf("got %+v", r)
		}
		if p.Next().Sub(now) > lastRetry {
			t.Errorf("waits %s", p.Next().Sub(now))
		}
		now = p.Next()
		p.Done(now, p.Take(), silent("6"))
	}
	now = p.Next()
	p.Done(now, p.Take(), let(30*time.Minute, "6"))
	if r := p.Take(); r.Only != "" || r.Reason != Period || !p.Next().Equal(planned) {
		t.Errorf("got %+v in %s", r, p.Next().Sub(now))
	}

	// A session that lasts is no reason to try.
	p = New(begin, always)
	p.Done(begin, p.Take(), let(24*time.Hour, "4", "6"))
	p.Done(begin, p.Take(), append(silent("6"), let(24*time.Hour, "4")...))
	if r := p.Take(); r.Only != "" {
		t.Errorf("got %+v", r)
	}

	// A family without a session is tried some times: there may be no way for it. Where none is known
	// nothing is sent, and so it is not tried.
	p = New(begin, always)
	p.Done(begin, p.Take(), append(silent("6"), let(30*time.Minute, "4")...))
	n := 0
	for ; p.Take().Only == "6"; n++ {
		p.Done(p.Next(), p.Take(), silent("6"))
	}
	if n == 0 || n > tries || p.Next().Sub(begin) > Longest {
		t.Errorf("%d tries, then %+v at %s", n, p.Take(), p.Next().Sub(begin))
	}
	p = New(begin, always)
	p.Done(begin, p.Take(), let(30*time.Minute, "4"))
	if r := p.Take(); r.Only != "" {
		t.Errorf("got %+v", r)
	}
	// It may have come by the broker.
	p = New(begin, always)
	p.Done(begin, p.Take(), append(silent("4"), let(30*time.Minute, "4")...))
	if r := p.Take(); r.Only != "" {
		t.Errorf("got %+v", r)
	}
}

// Another address is news for the other sites, once.
func TestMoved(t *testing.T) {
	p := New(begin, always)
	if p.Done(begin, p.Take(), let(time.Hour, "4")) {
		t.Error("the first address is no news")
	}
	elsewhere := []Answer{{Family: "4", OK: true, Left: time.Hour, Source: "elsewhere"}}
	if !p.Done(begin, p.Take(), elsewhere) || p.Done(begin, p.Take(), elsewhere) {
		t.Error("another address is news, once")
	}
	p.Changed(begin, Moved)
	if p.Done(begin, p.Take(), let(time.Hour, "4")) {
		t.Error("two sites would call each other for ever")
	}
}

func TestSoon(t *testing.T) {
	p := New(begin, always)
	p.Done(begin, p.Take(), let(30*time.Minute, "4"))
	if p.Soon(begin.Add(13*time.Minute)) || !p.Soon(begin.Add(14*time.Minute)) {
		t.Error("a tenth of the period")
	}
	p.Done(begin, p.Take(), nil)
	if p.Soon(p.Next().Add(-time.Second)) || !p.Soon(p.Next()) {
		t.Error("a retry never comes early")
	}
}
