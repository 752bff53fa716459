package agent

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ownline/ownline/internal/agent/schedule"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

const (
	// udpRound and brokerRound are how long one round of knocks is tried.
	udpRound    = 5 * time.Second
	brokerRound = 20 * time.Second
	// roundGrace is how much longer a round waits for the other family than a person would:
	// a lost packet is sent again meanwhile.
	roundGrace = 2500 * time.Millisecond
	// damagedAgain is how often a profile that can't be read is tried.
	damagedAgain = time.Minute
	// loadTurn is how long a profile is waited for before the next one is read: a keyring may be
	// asking somebody for its password.
	loadTurn = 2 * time.Second
)

// Profiles are what the agent knocks with.
type Profiles interface {
	Names() ([]string, error)
	Load(name string) (ownline.Profile, error)
}

// Watch tells when the network has changed, and when the machine has slept, until ctx ends.
type Watch interface {
	Run(ctx context.Context, tell func(schedule.Reason)) error
}

// Options are what an agent works with.
type Options struct {
	Profiles Profiles
	Only     []string // names of profiles; none: all that there are
	Watch    Watch
	Reload   <-chan struct{} // says that profiles may have changed
	ClaimBy  []string        // services that tell the machine's public address, see PublicAddress
	Keep     func(State) error
	Log      *slog.Logger

	// For tests; the defaults are Knock, time.Now and a random one.
	Knock  func(context.Context, Request) ([]Reply, error)
	Wall   func() time.Time
	Random func() float64
}

// Agent knocks at the sites of profiles, so that their automatic sessions never end.
type Agent struct {
	Options

	clock   clock
	entries map[string]*entry
	results chan result
	loads   chan []loaded
	loading map[string]bool // names of profiles that are being read; true: they are to be read once more
	rounds  sync.WaitGroup
	state   State
	dirty   bool // there is something in the state that was not kept yet
	unkept  bool // the last Keep failed
}

// entry is one profile.
type entry struct {
	name    string
	uri     ownline.Secret // what it was made of, to see it change
	profile ownline.Profile
	plan    *schedule.Plan
	running *flight
	claim   bool // name the address that the knock comes from
	shown   ProfileState
}

// flight is a round on its way.
type flight struct {
	round  schedule.Round
	cancel context.CancelFunc
}

type result struct {
	entry   *entry
	flight  *flight
	replies []Reply
	err     error
}

// New makes an agent, and starts nothing.
func New(o Options) *Agent {
	if o.Knock == nil {
		o.Knock = Knock
	}
	if o.Wall == nil {
		o.Wall = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	return &Agent{Options: o, entries: map[string]*entry{}, results: make(chan result), loads: make(chan []loaded), loading: map[string]bool{}}
}

// Run knocks until ctx ends, which is no error.
func (a *Agent) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	changes := make(chan schedule.Reason, 1)
	g.Go(func() error {
		return a.Watch.Run(ctx, func(r schedule.Reason) {
			select {
			case changes <- r:
			default: // one that waits stands for both
			}
		})
	})
	g.Go(func() error {
		defer a.rounds.Wait()
		a.loop(ctx, changes)
		return nil
	})
	return g.Wait()
}

func (a *Agent) loop(ctx context.Context, changes <-chan schedule.Reason) {
	a.clock = clock{wall: a.Wall}
	a.state = State{PID: os.Getpid(), Started: a.Wall().UTC()}
	a.dirty = true
	now, _ := a.clock.read()
	a.Log.Info("agent started", "profiles", a.load(ctx, now))
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		a.begin(ctx, now)
		a.keep(now)
		timer.Reset(a.idle(now))
		var change schedule.Reason
		var done *result
		var read []loaded
		reload := false
		select {
		case <-ctx.Done():
		case <-timer.C:
			reload = true
		case <-a.Reload:
			reload = true
		case change = <-changes:
		case r := <-a.results:
			done = &r
		case read = <-a.loads: // which follows what has woken us, at once as a rule: it is no wake-up of its own
		}
		if read == nil {
			a.state.Wakeups++
		}
		var jumped bool
		if now, jumped = a.clock.read(); jumped && change == "" {
			change = schedule.Wake
		}
		if change != "" {
			a.Log.Info("knocking at once", "reason", string(change))
			a.changed(now, change, nil)
		}
		if done != nil {
			a.done(now, *done)
		}
		for _, l := range read {
			a.loaded(ctx, now, l)
		}
		if reload {
			a.load(ctx, now)
		}
	}
	for _, e := range a.entries {
		e.shown.Next = time.Time{}
	}
	a.state.Stopped, a.dirty = a.Wall().UTC(), true
	a.keep(now)
}

// changed has all knock at once but one.
func (a *Agent) changed(now time.Time, why schedule.Reason, but *entry) {
	a.dirty = true
	for _, e := range a.entries {
		if e != but && e.plan != nil {
			e.plan.Changed(now, why)
		}
	}
}

// loaded is a profile, or why it can't be read.
type loaded struct {
	name    string
	profile ownline.Profile
	err     error
}

// load has the profiles read anew, of which there may be more or fewer, with other secrets in them,
// and returns how many there are. It does not wait for them.
func (a *Agent) load(ctx context.Context, now time.Time) int {
	names := a.Only
	if len(names) == 0 {
		var err error
		if names, err = a.Profiles.Names(); err != nil {
			a.Log.Error("profiles can't be listed", logging.Err, err)
			return 0
		}
	}
	for name, e := range a.entries {
		if !slices.Contains(names, name) {
			a.Log.Info("profile is gone", logging.Profile, name)
			e.stop()
			delete(a.entries, name)
			a.dirty = true
		}
	}
	var due []string
	for _, name := range names {
		if a.entries[name] == nil {
			a.entries[name] = &entry{name: name, shown: ProfileState{Name: name}}
		}
		if _, busy := a.loading[name]; busy {
			a.loading[name] = true
			continue
		}
		a.loading[name] = false
		due = append(due, name)
	}
	if len(due) > 0 {
		a.rounds.Go(func() { a.read(ctx, due) })
	}
	return len(names)
}

// read reads profiles one after the other, because the keyring takes one question at a time, and
// tells the loop of those that come in time together. A slow one holds up no other, and is told of
// when it comes.
func (a *Agent) read(ctx context.Context, names []string) {
	var quick []loaded
	for _, name := range names {
		got := make(chan loaded, 1)
		late := make(chan struct{})
		a.rounds.Go(func() {
			p, err := a.Profiles.Load(name)
			got <- loaded{name, p, err}
			select {
			case <-late:
				select {
				case l := <-got:
					a.tell(ctx, []loaded{l})
				default: // it was in time after all
				}
			case <-ctx.Done():
			}
		})
		timer := time.NewTimer(loadTurn)
		select {
		case l := <-got:
			quick = append(quick, l)
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		close(late)
	}
	if len(quick) > 0 {
		a.tell(ctx, quick)
	}
}

func (a *Agent) tell(ctx context.Context, l []loaded) {
	select {
	case a.loads <- l:
	case <-ctx.Done():
	}
}

// loaded takes a profile that was read.
func (a *Agent) loaded(ctx context.Context, now time.Time, l loaded) {
	again := a.loading[l.name]
	delete(a.loading, l.name)
	if again {
		a.load(ctx, now)
	}
	e := a.entries[l.name]
	if e == nil {
		return // gone meanwhile
	}
	if errors.Is(l.err, ownline.ErrUnavailable) && e.plan != nil {
		return // the keyring is locked for a while, as with the screen
	}
	if l.err != nil {
		if text := l.err.Error(); e.shown.Error != text {
			a.Log.Error("profile can't be read", logging.Profile, l.name, logging.Err, l.err)
			e.stop()
			*e = entry{name: l.name, shown: ProfileState{Name: l.name, Error: text}}
			a.dirty = true
		}
		return
	}
	if uri := ownline.Secret(l.profile.URI()); string(uri) != string(e.uri) {
		a.Log.Info("profile is kept open", logging.Profile, l.name, logging.Site, l.profile.Host)
		e.stop()
		a.dirty = true
		*e = entry{name: l.name, uri: uri, profile: l.profile, plan: schedule.New(now, a.Random), shown: ProfileState{Name: l.name, Host: l.profile.Host, Site: l.profile.Name}}
	}
}

func (e *entry) stop() {
	if e.running != nil {
		e.running.cancel()
	}
}

// idle is how long there is nothing to do, if nothing happens.
func (a *Agent) idle(now time.Time) time.Duration {
	wait := schedule.Longest
	for _, e := range a.entries {
		switch {
		case e.plan == nil:
			wait = min(wait, damagedAgain)
		case e.running == nil || e.plan.Asking():
			wait = min(wait, e.plan.Next().Sub(now))
		}
	}
	return max(wait, 0)
}

// begin begins the rounds that are due.
func (a *Agent) begin(ctx context.Context, now time.Time) {
	due := false
	for _, e := range a.entries {
		due = due || e.free() && !e.plan.Next().After(now)
	}
	if !due {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(a.entries)) {
		if e := a.entries[name]; e.free() && e.plan.Soon(now) {
			a.knock(ctx, e)
		}
	}
}

// free reports whether a round may begin.
func (e *entry) free() bool { return e.plan != nil && (e.running == nil || e.plan.Asking()) }

// knock begins a round, instead of one that runs.
func (a *Agent) knock(ctx context.Context, e *entry) {
	e.stop()
	f := &flight{round: e.plan.Take()}
	r := Request{Profile: e.profile, Only4: f.round.Only == "4", Only6: f.round.Only == "6", Grace: roundGrace}
	if e.claim {
		r.ClaimBy = a.claimBy(e.profile)
	}
	limit := udpRound
	if e.profile.Broker.URL != "" {
		limit = brokerRound
	}
	round, cancel := context.WithTimeout(ctx, limit)
	f.cancel = cancel
	e.running = f
	a.rounds.Go(func() {
		defer f.cancel()
		replies, err := a.Knock(round, r)
		select {
		case a.results <- result{e, f, replies, err}:
		case <-ctx.Done():
		}
	})
}

func (a *Agent) claimBy(p ownline.Profile) []string {
	return slices.Concat(a.ClaimBy, p.Broker.AddressURLs)
}
