package agent

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ownline/ownline/internal/agent/schedule"
	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/ownline"
)

// table is what one agent works with: profiles that may change, and answers that are made up.
type table struct {
	t      *testing.T
	mu     sync.Mutex
	named  map[string]any // ownline.Profile or error
	answer func(r Request) ([]Reply, error)
	asked  []Request
	seen   int // of those
	state  State
	off    time.Duration // of the wall clock
	said   strings.Builder
	slow   map[string]time.Duration // how long it takes to read a profile
	tell   func(schedule.Reason)
	reload chan struct{}
}

func (b *table) Names() ([]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for name := range b.named {
		out = append(out, name)
	}
	slices.Sort(out)
	return out, nil
}

func (b *table) Load(name string) (ownline.Profile, error) {
	b.mu.Lock()
	slow := b.slow[name]
	b.mu.Unlock()
	time.Sleep(slow)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch v := b.named[name].(type) {
	case ownline.Profile:
		return v, nil
	case error:
		return ownline.Profile{}, v
	}
	return ownline.Profile{}, ownline.NotFound("profile", name)
}

func (b *table) Run(ctx context.Context, tell func(schedule.Reason)) error {
	b.mu.Lock()
	b.tell = tell
	b.mu.Unlock()
	<-ctx.Done()
	return nil
}

func (b *table) knock(_ context.Context, r Request) ([]Reply, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, r)
	return b.answer(r)
}

// Write takes what the agent logs.
func (b *table) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.said.Write(p)
}

// since waits, and returns the hosts that were knocked at since it was asked last.
func (b *table) since(d time.Duration) (hosts []string) {
	time.Sleep(d)
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.asked[b.seen:] {
		hosts = append(hosts, r.Profile.Host)
	}
	b.seen = len(b.asked)
	slices.Sort(hosts)
	return hosts
}

// change changes something on the table.
func (b *table) change(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

// of returns what is told about a profile.
func (b *table) of(name string) ProfileState {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.state.Profiles {
		if p.Name == name {
			return p
		}
	}
	b.t.Errorf("nothing is told about %s", name)
	return ProfileState{}
}

func profileAt(host string) ownline.Profile { return ownline.Profile{Host: host, Port: 54754} }

func reply(status knock.Status, source string, left time.Duration) Reply {
	at := time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC) // the site's clock is another
	a := knock.Answer{Status: status, Time: at, Sessions: 1, Source: netip.MustParseAddr(source)}
	if left > 0 {
		a.Expires = at.Add(left)
	}
	return Reply{Family: "4", Answer: a}
}

func opened(Request) ([]Reply, error) {
	return []Reply{reply(knock.Opened, "198.51.100.7", 30*time.Minute)}, nil
}

// with runs an agent with a table, in a bubble.
func with(t *testing.T, named map[string]any, f func(t *testing.T, b *table)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &table{t: t, named: named, answer: opened, reload: make(chan struct{}, 1)}
		a := New(Options{
			Profiles: b, Watch: b, Reload: b.reload, Knock: b.knock, Log: slog.New(slog.NewTextHandler(b, nil)), ClaimBy: []string{"stun:stun.example.org:3478"}, Random: func() float64 { return 0.5 },
			Keep: func(s State) error { b.change(func() { b.state = s }); return nil },
			Wall: func() (at time.Time) { b.change(func() { at = time.Now().Add(b.off) }); return at },
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- a.Run(ctx) }()
		b.since(time.Second)
		f(t, b)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func wantHosts(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: knocked at %q, want %q", what, got, want)
	}
}

// Profiles come, change and go while the agent runs; one that is damaged disturbs no other.
func TestProfiles(t *testing.T) {
	with(t, map[string]any{"a": profileAt("a"), "bad": ownline.Invalid("profile", "the key is damaged")}, func(t *testing.T, b *table) {
		if e := b.of("bad").Error; e != "profile: the key is damaged" {
			t.Errorf("bad: %q", e)
		}
		if p := b.of("a"); p.Last == nil || p.Last.Status != "opened" || p.Last.Reason != "start" || p.Next.IsZero() {
			t.Errorf("a: %+v", p)
		}
		b.change(func() { b.named["b"] = profileAt("b"); b.reload <- struct{}{} })
		wantHosts(t, "one came", b.since(time.Second), "b")
		b.change(func() { b.named["b"] = profileAt("b2"); b.reload <- struct{}{} })
		wantHosts(t, "one changed", b.since(time.Second), "b2")
		b.change(func() { b.reload <- struct{}{} })
		wantHosts(t, "nothing changed", b.since(time.Second))
		b.change(func() { b.named["bad"] = profileAt("good") })
		wantHosts(t, "one was repaired, and nobody told", b.since(time.Minute), "good")
		b.change(func() { delete(b.named, "b"); b.named["a"] = errors.New("gone bad"); b.reload <- struct{}{} })
		wantHosts(t, "one is left", b.since(16*time.Minute), "good")
		b.change(func() {
			b.named["bad"] = &ownline.FieldError{Kind: ownline.ErrUnavailable, Detail: "the keyring is locked"}
		})
		wantHosts(t, "the keyring is locked", b.since(16*time.Minute), "good")
	})
}

// A device that must name its address gets no answer without: then it is named, for as long as that helps.
func TestClaim(t *testing.T) {
	with(t, map[string]any{"a": profileAt("a")}, func(t *testing.T, b *table) {
		b.change(func() {
			b.answer = func(r Request) ([]Reply, error) {
				if len(r.ClaimBy) == 0 {
					return []Reply{{Family: "4", Err: ErrNoAnswer}}, nil
				}
				return opened(r)
			}
			b.tell(schedule.Network)
		})
		b.since(10 * time.Second)
		if p := b.of("a"); p.Last.Status != "opened" || p.Last.Failed != 0 {
			t.Errorf("got %+v", p.Last)
		}
		b.change(func() { b.asked, b.seen = nil, 0 })
		b.since(time.Hour)
		b.change(func() {
			for _, r := range b.asked {
				if len(r.ClaimBy) == 0 {
					t.Error("it forgot that its address has to be named")
				}
			}
		})
	})
}

// When one site sees the machine at a new address, the others are told at once, and nobody for ever.
func TestMovedAway(t *testing.T) {
	with(t, map[string]any{"a": profileAt("a"), "b": profileAt("b"), "c": profileAt("c")}, func(t *testing.T, b *table) {
		source := "198.51.100.7"
		b.change(func() {
			b.answer = func(r Request) ([]Reply, error) {
				if r.Profile.Host != "a" {
					return opened(r)
				}
				return []Reply{reply(knock.Renewed, source, 2*time.Minute)}, nil
			}
			b.tell(schedule.Network)
		})
		wantHosts(t, "sessions of a are short", b.since(30*time.Second), "a", "b", "c")
		b.change(func() { source = "203.0.113.2" })
		wantHosts(t, "a saw another address", b.since(30*time.Second), "a", "b", "c")
	})
	with(t, map[string]any{"a": profileAt("a"), "b": profileAt("b"), "c": profileAt("c")}, func(t *testing.T, b *table) {
		at := 0
		b.change(func() {
			b.answer = func(r Request) ([]Reply, error) { // another address for each knock
				at++
				return []Reply{reply(knock.Renewed, netip.AddrFrom4([4]byte{203, 0, 113, byte(at)}).String(), time.Hour)}, nil
			}
		})
		if got := b.since(time.Hour); len(got) > 4*4*3 {
			t.Errorf("%d knocks in an hour", len(got))
		}
		if p := b.of("a"); len(p.Open) != 1 {
			t.Errorf("open %+v", p.Open)
		}
	})
}

// The site's name can't be found for an hour: the knocks get rare, and come back within minutes.
func TestNoName(t *testing.T) {
	with(t, map[string]any{"a": profileAt("a")}, func(t *testing.T, b *table) {
		b.change(func() {
			b.answer = func(Request) ([]Reply, error) { return nil, errors.New("find a: no such host") }
		})
		if n := len(b.since(2 * time.Hour)); n > 40 {
			t.Errorf("%d rounds in two hours", n)
		}
		p := b.of("a")
		if p.Last.Status != "no answer" || p.Last.Error != "find a: no such host" || p.Last.Failed < 10 || len(p.Open) != 0 {
			t.Errorf("told is %+v", p)
		}
		b.change(func() { b.answer = opened })
		if len(b.since(5*time.Minute)) == 0 || b.of("a").Last.Status != "opened" {
			t.Errorf("five minutes later: %+v", b.of("a").Last)
		}
	})
}

// The wall clock is set back a day and forward again: knocks come at once, and no later than before.
func TestClockSet(t *testing.T) {
	with(t, map[string]any{"a": profileAt("a")}, func(t *testing.T, b *table) {
		for _, by := range []time.Duration{-24 * time.Hour, 24 * time.Hour, -time.Minute} {
			b.change(func() { b.off += by; b.tell(schedule.Wake) })
			if n := len(b.since(10 * time.Second)); n != 1 {
				t.Errorf("%s: %d knocks at once", by, n)
			}
			if n := len(b.since(time.Hour)); n < 4 || n > 6 {
				t.Errorf("%s: %d knocks in an hour", by, n)
			}
			// Nobody tells, but it is seen when something else happens.
			b.change(func() { b.off += by; b.reload <- struct{}{} })
			if n := len(b.since(10 * time.Second)); n != 1 {
				t.Errorf("%s, not told: %d knocks at once", by, n)
			}
			b.since(20 * time.Minute)
		}
	})
}

// Refusals are told, and asked about again more and more seldom; inside needs no session.
func TestAnswers(t *testing.T) {
	for status, most := range map[knock.Status]int{knock.NothingGranted: 14, knock.Refused: 14, knock.Inside: 13} {
		with(t, map[string]any{"a": profileAt("a")}, func(t *testing.T, b *table) {
			b.change(func() {
				b.answer = func(Request) ([]Reply, error) { return []Reply{reply(status, "192.0.2.7", 0)}, nil }
				b.tell(schedule.Network)
			})
			n := len(b.since(2 * time.Hour))
			if p := b.of("a"); n < 8 || n > most || p.Last.Status != status.String() || len(p.Open) != 0 || strings.Contains(p.Last.Status, "unknown") {
				t.Errorf("%s: %d rounds, told is %+v", status, n, p)
			}
		})
	}
}

// The log says how it ended when it said that it knocks at once, though nothing is new.
func TestLogAfterChange(t *testing.T) {
	with(t, map[string]any{"a": profileAt("a")}, func(t *testing.T, b *table) {
		b.change(func() {
			b.answer = func(Request) ([]Reply, error) {
				return []Reply{reply(knock.Renewed, "198.51.100.7", 30*time.Minute)}, nil
			}
		})
		b.since(time.Hour)
		b.change(b.said.Reset)
		b.since(time.Hour)
		b.change(func() {
			if b.said.Len() > 0 {
				t.Errorf("renewing as always is no news: %s", b.said.String())
			}
			b.tell(schedule.Network)
		})
		b.since(10 * time.Second)
		b.change(func() {
			for _, want := range []string{`msg="knocking at once" reason=network`, `msg="let in" profile=a status=renewed way=udp reason=network`} {
				if !strings.Contains(b.said.String(), want) {
					t.Errorf("said is %q, and not %s", b.said.String(), want)
				}
			}
		})
	})
}

// A keyring that asks for its password holds up nobody else's knocks, nor what is read after it.
func TestSlowProfile(t *testing.T) {
	with(t, map[string]any{"b": profileAt("b")}, func(t *testing.T, b *table) {
		b.change(func() {
			b.asked, b.seen = nil, 0
			b.named["a"], b.named["c"] = profileAt("a"), profileAt("c")
			b.slow = map[string]time.Duration{"a": time.Minute}
			b.reload <- struct{}{}
		})
		wantHosts(t, "the next one is read", b.since(5*time.Second), "c")
		b.change(func() { b.tell(schedule.Network) })
		wantHosts(t, "the network has changed", b.since(5*time.Second), "b", "c")
		b.change(func() { b.named["a"] = profileAt("a2"); b.reload <- struct{}{} })
		wantHosts(t, "it waits still", b.since(5*time.Second))
		wantHosts(t, "it was read at last", b.since(time.Minute), "a2")
		b.since(2 * time.Minute)
	})
}
