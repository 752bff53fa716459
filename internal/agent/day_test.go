package agent

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ownline/ownline/internal/agent/schedule"
	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/ownline"
)

// seed makes the packets that get lost.
const seed = 1

// world is a device that moves about, and its sites. Timers of the device stand still while it
// sleeps, as they do on Linux; the wall clock goes on.
type world struct {
	mu      sync.Mutex
	random  map[string]*rand.Rand // a stream for each site and family, so that each run is like the last
	asleep  time.Duration         // so far
	at      map[string]netip.Addr // the device's public address by family; none: no network
	loss    float64
	session time.Duration
	down    bool // the sites answer nothing, and open nothing
	until   map[string]time.Time
	begun   []time.Time // rounds
	sent    int
	tell    func(schedule.Reason)
	ready   chan struct{}
}

func newWorld(session time.Duration) *world {
	return &world{
		random: map[string]*rand.Rand{}, session: session, until: map[string]time.Time{}, ready: make(chan struct{}),
		at: map[string]netip.Addr{"4": netip.MustParseAddr("198.51.100.1"), "6": netip.MustParseAddr("2001:db8::1")},
	}
}

func (w *world) wall() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now()
}

func (w *world) now() time.Time { return time.Now().Add(w.asleep) }

// Run is the watch.
func (w *world) Run(ctx context.Context, tell func(schedule.Reason)) error {
	w.tell = tell
	close(w.ready)
	<-ctx.Done()
	return nil
}

// lost reports whether a packet is lost.
func (w *world) lost(site, family string) bool {
	key := site + family
	if w.random[key] == nil {
		w.random[key] = rand.New(rand.NewPCG(uint64(crc32.ChecksumIEEE([]byte(key))), seed))
	}
	return w.random[key].Float64() < w.loss
}

// Names and Load are the profiles.
func (w *world) Names() ([]string, error) { return []string{"home", "office"}, nil }

func (w *world) Load(name string) (ownline.Profile, error) {
	p := ownline.Profile{Host: name + ".example.org", Port: 54754, Key: bytes.Repeat([]byte{1}, ownline.SecretSize)}
	copy(p.Site[:], name)
	return p, nil
}

// knock is Knock: one packet of each family every second, each and its answer lost now and then.
func (w *world) knock(ctx context.Context, r Request) ([]Reply, error) {
	w.mu.Lock()
	w.begun = append(w.begun, time.Now())
	w.mu.Unlock()
	replies := map[string]*Reply{}
	for _, f := range families(r) {
		replies[f] = &Reply{Family: f, Err: ErrNoAnswer}
	}
	for ctx.Err() == nil {
		w.mu.Lock()
		for f, reply := range replies {
			source := w.at[f]
			if !source.IsValid() || reply.Err == nil {
				continue
			}
			w.sent++
			reply.Sent++
			if w.lost(r.Profile.Host, f) || w.down {
				continue
			}
			key := r.Profile.Host + " " + source.String()
			status := knock.Opened
			if w.until[key].After(w.now()) {
				status = knock.Renewed
			}
			w.until[key] = w.now().Add(w.session)
			if w.lost(r.Profile.Host, f) {
				continue
			}
			skewed := w.now().Add(time.Hour)
			reply.Err, reply.Answer = nil, knock.Answer{Status: status, Sessions: 1, Time: skewed, Source: source, Expires: skewed.Add(w.session)}
		}
		w.mu.Unlock()
		answered, all := false, true
		for _, reply := range replies {
			answered, all = answered || reply.Err == nil, all && reply.Err == nil
		}
		if all {
			break
		}
		if answered {
			short, cancel := context.WithTimeout(ctx, r.Grace)
			defer cancel()
			ctx = short
		}
		pause(ctx, again+again/10) // so that the last one is not sent when the round ends
	}
	var out []Reply
	for _, f := range families(r) {
		out = append(out, *replies[f])
	}
	return out, nil
}

// open reports whether the device is let in at a site by a family, and whether it could be.
func (w *world) open(site, family string) (open, reachable bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	source := w.at[family]
	return w.until[site+".example.org "+source.String()].After(w.now()), source.IsValid() && !w.down
}

// do changes the world, and tells the agent what a real watch would.
func (w *world) do(why schedule.Reason, f func()) {
	w.mu.Lock()
	f()
	w.mu.Unlock()
	if why != "" {
		w.tell(why)
	}
}

// play runs an agent in the world while f goes on.
func (w *world) play(t *testing.T, f func()) State {
	t.Helper()
	var last State
	a := New(Options{
		Profiles: w, Watch: w, Log: slog.New(slog.DiscardHandler), Knock: w.knock, Wall: w.wall, Random: func() float64 { return 0.99 }, // the longest waits
		Keep: func(s State) error { last = s; return nil },
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	<-w.ready
	f()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	return last
}

// A day with 30 % of packets lost, networks that change, sleep, and a dead web for an hour.
func TestDay(t *testing.T) {
	for _, session := range []time.Duration{30 * time.Minute, 10 * time.Minute, 90 * time.Second} {
		t.Run(session.String(), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { day(t, session) }) })
	}
}

func day(t *testing.T, session time.Duration) {
	w := newWorld(session)
	w.loss = 0.3
	period := schedule.PeriodOf(session)
	shut := map[string]time.Duration{} // by site and family: how long it has been shut though it could be open
	worst, total := time.Duration(0), time.Duration(0)
	pass := func(d time.Duration) {
		const look = 2 * time.Second
		for range d / look {
			time.Sleep(look)
			for _, site := range []string{"home", "office"} {
				for _, f := range []string{"4", "6"} {
					key := site + f
					if open, reachable := w.open(site, f); open || !reachable {
						shut[key] = 0
					} else {
						shut[key] += look
						total += look
						worst = max(worst, shut[key])
					}
				}
			}
		}
	}
	nobody := netip.Addr{}
	move := func(four, six netip.Addr) {
		w.do(schedule.Network, func() { w.at = map[string]netip.Addr{"4": four, "6": six} })
	}
	addr := func(format string, n int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf(format, n)) }
	start := time.Now()
	state := w.play(t, func() {
		for hour := range 24 {
			switch {
			case hour%6 == 1: // on the way: seven networks, some of IPv4 alone, and tunnels between
				for i := range 7 {
					move(nobody, nobody)
					pass(100 * time.Second)
					six := nobody
					if i%2 == 0 {
						six = addr("2001:db8:5::%d", i+1)
					}
					move(addr("203.0.113.%d", hour+i+1), six)
					pass(400 * time.Second)
				}
				pass(100 * time.Second)
			case hour%6 == 3: // asleep
				w.do("", func() { w.asleep += 50 * time.Minute })
				w.do(schedule.Wake, func() {})
				pass(10 * time.Minute)
			case hour == 14: // dead
				w.do("", func() { w.down = true })
				pass(time.Hour)
				w.do("", func() { w.down = false })
			case hour == 16: // the provider gives out another address behind a router that does not say so
				w.do("", func() { w.at["4"] = netip.MustParseAddr("198.51.100.77") })
				pass(time.Hour)
			case hour == 17: // a cable that makes and breaks contact
				for i := range 1800 {
					move(addr("198.51.100.%d", 1+i%2), addr("2001:db8::%d", 1+i%2))
					time.Sleep(time.Second)
				}
				pass(30 * time.Minute)
			default:
				pass(time.Hour)
			}
		}
	})
	t.Logf("period %s: %d rounds, %d packets, %d wake-ups; shut for %s at most, %s in all of %s",
		period, len(w.begun), w.sent, state.Wakeups, worst, total, 4*time.Since(start))
	if worst > period {
		t.Errorf("shut for %s though the site could be reached, more than a period of %s", worst, period)
	}
	if awake := time.Since(start); total > 4*awake/50 {
		t.Errorf("shut for %s of %s, more than 2 %%", total, 4*awake)
	}
	// No storm: not in any minute, and not over the day.
	first := 0
	for i, at := range w.begun {
		for ; at.Sub(w.begun[first]) >= time.Minute; first++ {
		}
		if n := i - first + 1; n > 24 {
			t.Fatalf("%d rounds in a minute", n)
		}
	}
	if most := int(3 * 2 * 24 * time.Hour / period); len(w.begun) > most+600 {
		t.Errorf("%d rounds in a day", len(w.begun))
	}
	if state.Stopped.IsZero() || len(state.Profiles) != 2 || !state.Profiles[0].Next.IsZero() {
		t.Errorf("left %+v", state)
	}
}

// On a calm day the agent wakes up once a period, for all of its sites together, and for the answers.
func TestCalmDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(30 * time.Minute)
		state := w.play(t, func() { time.Sleep(24 * time.Hour) })
		t.Logf("%d rounds, %d wake-ups", len(w.begun), state.Wakeups)
		if n := len(w.begun); n > 2*24*6 || n < 2*24*4 {
			t.Errorf("%d rounds", n)
		}
		if state.Wakeups > 24*6*3 {
			t.Errorf("%d wake-ups", state.Wakeups)
		}
	})
}

// What is open ends once the agent stops.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(30 * time.Minute)
		w.play(t, func() { time.Sleep(time.Hour) })
		if open, _ := w.open("home", "4"); !open {
			t.Error("shut at once")
		}
		time.Sleep(30 * time.Minute)
		if open, _ := w.open("home", "4"); open {
			t.Error("open for ever")
		}
	})
}
