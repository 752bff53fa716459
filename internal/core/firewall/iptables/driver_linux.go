package iptables

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/flows"
	"github.com/ownline/ownline/internal/ownline"
)

const (
	// tolerance is how far a session's end in the kernel may be from the wish without being
	// written again.
	tolerance = 30 * time.Millisecond
	// liftEvery is how often our hooks are put before others' that came before them: those who
	// wish to be the first, too, are not to be fought.
	liftEvery = time.Minute
	// retryEvery is for what should have ended.
	retryEvery = time.Second
)

// Driver keeps our chains of one network namespace. All methods are safe for concurrent use; each
// takes its turn.
type Driver struct {
	log     *slog.Logger
	ending  Ending
	ufw     bool // is beside ufw
	variant string
	sides   []side
	run     programs
	watch   watch
	sweeper *flows.Sweeper
	wake    chan struct{} // what ends next may be something else now

	mu       sync.Mutex // guards all below
	known    bool       // whether what follows is true
	seen     generation // of the kernel's rules after our last change
	settings firewall.Settings
	static   [2][]chain
	held     map[firewall.Key]session
	lifted   time.Time
}

// New finds out what the host's programs and the kernel can do, with chains that no packet meets
// and that it deletes again. It leaves the rules that may be in force alone, and starts nothing.
func New(ctx context.Context, cfg Config) (_ *Driver, err error) {
	d := &Driver{log: cfg.Logger, run: programs{cfg.Within}, ufw: cfg.UFW != "", wake: make(chan struct{}, 1)}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	if d.ufw {
		if err = mayBeBeside(cfg.UFW); err != nil {
			return nil, err
		}
	}
	if d.sides, err = sides(cfg.Variant); err != nil {
		return nil, err
	}
	if d.variant, err = d.run.variant(ctx, d.sides[0]); err != nil {
		return nil, err
	}
	if d.ending, err = d.probe(ctx, cfg.Ending); err != nil {
		return nil, err
	}
	if d.sweeper, err = flows.NewSweeper(d.log, false); err != nil {
		return nil, err
	}
	if d.watch, err = newWatch(d.variant, d.sides); err != nil {
		return nil, errors.Join(err, d.sweeper.Close())
	}
	d.log.Info("iptables is there", "variant", d.variant, "ending", d.ending, "ipv6", len(d.sides) == 2, "without", d.ending.without())
	return d, nil
}

// Run does until ctx ends what is to be done at a later time: it takes away sessions that are
// over, and forgets UDP connections from before a session was open. At most one Run at a time.
func (d *Driver) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { d.sweeper.Run(ctx) })
	defer wg.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.wake:
		case <-timer.C:
		}
		if next := d.expire(ctx); !next.IsZero() {
			timer.Reset(time.Until(next))
		}
	}
}

// Close closes the sockets, after Run has returned. The chains stay, and end the sessions.
func (d *Driver) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known = false
	return errors.Join(d.watch.close(), d.sweeper.Close())
}

// expire takes away what is over, and returns when to come again; zero: not before something else is held.
func (d *Driver) expire(ctx context.Context) (next time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.known {
		return next // Sync leaves out what is over
	}
	now := time.Now()
	over := false
	look := func(t time.Time) {
		switch {
		case t.IsZero():
		case !t.After(now):
			over = true
		case next.IsZero() || t.Before(next):
			next = t
		}
	}
	for _, s := range d.held {
		look(s.Until)
	}
	for _, p := range d.settings.Proxy.Public {
		look(p.Until)
		look(p.Stay)
	}
	if over && d.apply(ctx, nil, nil) != nil {
		return now.Add(retryEvery)
	}
	return next
}

// Changed reports whether somebody else changed the host's rules since our last Sync. It costs a
// few system calls. Before the first Sync it is true.
func (d *Driver) Changed(ctx context.Context) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return true, err
	}
	return d.changed()
}

func (d *Driver) changed() (bool, error) {
	if !d.known {
		return true, nil
	}
	now, err := d.watch.look()
	return now != d.seen, err
}

// Change puts forwards, new ones, renewed ones and ones with another target, and drops others. No
// key may be in both lists, or twice in one. Dropping what is not there is no error. After
// firewall.ErrOutOfStep only a Sync can help.
func (d *Driver) Change(ctx context.Context, put []firewall.Forward, drop []firewall.Key) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, f := range put {
		if err := d.refuse(f, d.settings); d.known && err != nil {
			return fmt.Errorf("forward of %s: %w", f.Key, err)
		}
	}
	if changed, err := d.changed(); changed || err != nil {
		return errors.Join(firewall.ErrOutOfStep, err)
	}
	if err := d.apply(ctx, put, drop); err != nil {
		return fmt.Errorf("%w: %w", firewall.ErrOutOfStep, err)
	}
	return nil
}

// refuse returns why a forward can't be.
func (d *Driver) refuse(f firewall.Forward, s firewall.Settings) error {
	if err := f.Validate(s.IPv6Prefix); err != nil {
		return err
	}
	if !slices.ContainsFunc(d.sides, func(s side) bool { return s.has(f.Source.Addr()) }) {
		return ownline.Invalid("source", "this router has no IPv6")
	}
	return nil
}

// apply brings the kernel, which holds what is held, to what is wanted of some keys, and takes away
// what is over.
func (d *Driver) apply(ctx context.Context, put []firewall.Forward, drop []firewall.Key) error {
	now := time.Now()
	var batches [2]batch
	to := func(k firewall.Key) *batch {
		for i, s := range d.sides {
			if s.has(k.Source.Addr()) {
				return &batches[i]
			}
		}
		return &batch{}
	}
	next := map[firewall.Key]*session{} // nil: gone
	for k, h := range d.held {
		if !h.Until.After(now) {
			next[k] = nil
		}
	}
	for _, k := range drop {
		if _, ok := d.held[k]; ok {
			next[k] = nil
		}
	}
	var opened []firewall.Key
	for _, f := range put {
		h, have := d.held[f.Key]
		if !f.Until.After(now) {
			if have {
				next[f.Key] = nil
			}
			continue
		}
		s := d.ending.session(f, now)
		next[f.Key] = &s
		live := have && h.Until.After(now)
		switch {
		case !have:
			to(f.Key).open(d.ending, s)
		case h.name != s.name:
			to(f.Key).close(d.ending, h)
			to(f.Key).open(d.ending, s)
		case !live:
			to(f.Key).reopen(d.ending, s)
		case h.Until.Sub(f.Until).Abs() <= tolerance && !d.ending.jumped(h, s):
			delete(next, f.Key)
		default:
			to(f.Key).renew(d.ending, h, s)
		}
		if !live {
			opened = append(opened, f.Key)
		}
	}
	for k, s := range next {
		if s == nil {
			to(k).close(d.ending, d.held[k])
		}
	}
	var static [2][]chain
	for i, s := range d.sides {
		static[i] = d.chains(d.settings, s, now)
		for j, c := range static[i] {
			if !c.lead && !slices.Equal(c.rules, d.static[i][j].rules) {
				batches[i].fill(c)
			}
		}
	}
	if d.ending == BySet && len(put) > 0 {
		var all []session
		for k, s := range d.held {
			if _, changes := next[k]; !changes { // what is shortened must not stay as long as it had
				all = append(all, s)
			}
		}
		for _, s := range next {
			if s != nil {
				all = append(all, *s)
			}
		}
		if err := d.run.ipset(ctx, elements(all, now)); err != nil {
			return err
		}
	}
	if err := d.commit(ctx, &batches); err != nil {
		return err
	}
	for k, s := range next {
		if s == nil {
			delete(d.held, k)
		} else {
			d.held[k] = *s
		}
	}
	d.static = static
	d.later(opened)
	return nil
}

// commit has the programs do it. After an error nobody knows what is in the kernel.
func (d *Driver) commit(ctx context.Context, batches *[2]batch) error {
	ctx = context.WithoutCancel(ctx) // what has begun is finished
	for i, s := range d.sides {
		text := batches[i].String()
		if text == "" {
			continue
		}
		d.known = false
		if _, err := d.run.run(ctx, text, s.restore, "--noflush", "--counters", "--wait"); err != nil {
			return err
		}
	}
	var err error
	if d.seen, err = d.watch.look(); err != nil {
		return err
	}
	d.known = true
	return nil
}

// later has Run look after what was opened.
func (d *Driver) later(opened []firewall.Key) {
	d.sweeper.Forget(opened)
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// sessions lists those that are held of one side; nil: of both.
func (d *Driver) sessions(of *side) (all []session) {
	for _, s := range d.held {
		if of == nil || of.has(s.Source.Addr()) {
			all = append(all, s)
		}
	}
	return all
}

// Counters returns what came through every live session, since it was first put there.
func (d *Driver) Counters(ctx context.Context, _ ...firewall.Key) (map[firewall.Key]ownline.Traffic, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.known {
		return nil, firewall.ErrOutOfStep
	}
	all := map[firewall.Key]ownline.Traffic{}
	now := time.Now()
	for _, s := range d.sides {
		sessions := d.sessions(&s)
		if len(sessions) == 0 {
			continue
		}
		saved, err := d.run.run(ctx, "", s.save, "--counters", "--table", mangle)
		if err != nil {
			return nil, err
		}
		k := parse(saved)
		for _, s := range sessions {
			if t, ok := k.traffic[s.name]; ok && s.Until.After(now) {
				all[s.Key] = t
			}
		}
	}
	return all, nil
}

// KnockCounters returns nothing: there is no filter of knocks.
func (d *Driver) KnockCounters(context.Context) (firewall.KnockCounts, error) {
	return firewall.KnockCounts{}, nil
}

// Lacks tells what this driver does not do that nftables does.
func (d *Driver) Lacks() error { return errors.New(d.ending.without()) }

// Filters reports whether the filter of knocks is in force: it never is.
func (d *Driver) Filters() bool { return false }

// Ending tells how sessions end in the kernel.
func (d *Driver) Ending() Ending { return d.ending }

// IPv4Only reports whether the host has no IPv6, so that a ruleset with a forward of it is refused whole.
func (d *Driver) IPv4Only() bool { return len(d.sides) == 1 }

// Variant is "nft" or "legacy".
func (d *Driver) Variant() string { return d.variant }
