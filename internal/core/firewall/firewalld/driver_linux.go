package firewalld

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/netlink"
	"github.com/ownline/ownline/internal/core/firewall/nft"
)

// Driver keeps a policy of firewalld's, and the table of package nft behind it. All methods are safe for
// concurrent use.
type Driver struct {
	*nft.Driver
	log *slog.Logger

	mu       sync.Mutex // guards all below
	bus      bus
	conn     *netlink.Conn
	known    bool // whether what follows is what firewalld holds
	prefix6  int
	forwards map[firewall.Key]firewall.Forward
	stale    bool // the kernel has rules of firewalld's that it does not know
	seen     bool // the kernel had what firewalld was told

	strict atomic.Bool // firewalld has StrictForwardPorts
}

// New finds out whether firewalld runs and knows policies, and what the kernel of the calling thread's network
// namespace can do. It changes nothing.
func New(ctx context.Context, cfg Config) (*Driver, error) {
	d := &Driver{log: cfg.Logger, bus: bus{address: cfg.Bus}}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	runs, err := d.bus.runs(ctx)
	if err == nil && !runs {
		err = errNotRunning
	}
	if err == nil {
		if err = d.bus.call(ctx, servicePath, policyMethods+"getPolicies", nil, new([]string)); err != nil {
			err = fmt.Errorf("policies, of version 0.9 and later: %w", err)
		}
	}
	if err == nil {
		d.Driver, err = nft.New(nft.Config{Logger: cfg.Logger, UseMark: cfg.UseMark, Elsewhere: true})
	}
	if err == nil {
		if d.conn, err = netlink.Dial(unix.NETLINK_NETFILTER); err != nil {
			err = errors.Join(err, d.Driver.Close())
		}
	}
	if err != nil {
		d.bus.close()
		return nil, err
	}
	return d, nil
}

// Close closes the connections, after Run has returned. The rules stay; the table ends the sessions on time.
func (d *Driver) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known = false
	d.bus.close()
	return errors.Join(d.conn.Close(), d.Driver.Close())
}

// Changed reports whether firewalld was reloaded, started or stopped since our last Sync, or somebody else
// changed the ruleset; and whether firewalld holds a rule that is over.
func (d *Driver) Changed(ctx context.Context) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.listen()
	if !d.known {
		return true, ctx.Err()
	}
	for _, f := range d.forwards {
		if !f.Until.After(time.Now()) {
			return true, nil
		}
	}
	return d.Driver.Changed(ctx)
}

// listen takes what signals tell.
func (d *Driver) listen() {
	if d.bus.told() {
		d.known, d.seen = false, false
	}
}

// live are the forwards whose time is not over.
func live(all map[firewall.Key]firewall.Forward) map[firewall.Key]firewall.Forward {
	now := time.Now()
	out := maps.Clone(all)
	maps.DeleteFunc(out, func(_ firewall.Key, f firewall.Forward) bool { return !f.Until.After(now) })
	return out
}

func entries(forwards map[firewall.Key]firewall.Forward) map[entry]bool {
	all := map[entry]bool{}
	for k, f := range forwards {
		all[entry{k, f.Target}] = true
	}
	return all
}

func keysOf(forwards map[firewall.Key]firewall.Forward) (all []firewall.Key) {
	for k := range forwards {
		all = append(all, k)
	}
	return all
}

// Sync makes the kernel and firewalld hold exactly want. The table goes first: what is over is shut, whatever
// becomes of firewalld.
func (d *Driver) Sync(ctx context.Context, want firewall.Ruleset) error {
	if err := want.Validate(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.listen()
	d.known = false
	if want.Adopt {
		return d.Driver.Sync(ctx, want)
	}
	forwards := live(want.Forwards)
	d.Ask(keysOf(forwards), false)
	if err := d.Driver.Sync(ctx, want); err != nil {
		return err
	}
	have, err := d.look(ctx)
	if err != nil {
		return err
	}
	entries := entries(forwards)
	if !have.is(entries) {
		// What is there from before must not get in meanwhile.
		d.Ask(have.keys(), false)
		if err := d.Driver.Sync(ctx, want); err != nil {
			return err
		}
		if err := d.bus.write(ctx, have, entries); err != nil {
			return err
		}
	}
	if err := d.compare(ctx, len(entries)); err != nil {
		return err
	}
	d.Ask(keysOf(forwards), !d.stale)
	if err := d.Driver.Sync(ctx, want); err != nil {
		return err
	}
	d.forwards, d.prefix6, d.known = forwards, want.IPv6Prefix, true
	return nil
}

// look asks what the policy holds, and makes it where there is none.
func (d *Driver) look(ctx context.Context) (held, error) {
	applies, have, err := d.bus.settings(ctx)
	switch {
	case err == nil && !applies: // see Remove
		if err = d.bus.add(ctx); err == nil {
			err = d.bus.apply(ctx, []string{"ANY"})
		}
	case errors.Is(err, errNoPolicy):
		if err := d.bus.add(ctx); err != nil {
			return held{}, err
		}
		d.log.Info("made a policy of firewalld's; it reloads, and forgets what was not made permanent", "policy", policy)
		if err := d.bus.reload(ctx); err != nil {
			return held{}, err
		}
		_, have, err = d.bus.settings(ctx)
	}
	if err == nil {
		err = d.bus.dispatch(ctx)
	}
	d.strict.Store(d.bus.says(ctx, "StrictForwardPorts") == "yes")
	return have, err
}

// compare looks at what firewalld has in the kernel, which is not always what it says: others may have flushed
// its table, which it does not notice; and one that was killed and started again leaves there what it had
// before, besides what it makes. What that would translate stays known to our table.
func (d *Driver) compare(ctx context.Context, rules int) error {
	at, nftables := byIPTables, d.bus.says(ctx, "FirewallBackend") == "nftables"
	if nftables {
		at = byNFTables
	}
	all, ours, err := count(d.conn, at)
	if err != nil {
		return fmt.Errorf("look at firewalld's rules: %w", err)
	}
	was := d.stale
	d.stale = ours > rules
	switch {
	case nftables && all == 0, d.seen && ours < rules:
		// Told to reload, it would fail.
		return errors.New("somebody has taken firewalld's rules out of the kernel; restart it: systemctl restart firewalld")
	case d.stale && !was:
		d.log.Warn("a firewalld that was killed has left rules in the kernel; take them away by firewall-cmd --reload")
	}
	d.seen = rules > 0 && ours >= rules
	return nil
}

// errStrict is what it costs that firewalld lets through only what it has translated itself, and that to other hosts.
var errStrict = errors.New("no way to the reverse proxy, nor to anything by the public name from inside, as firewalld's StrictForwardPorts refuses both")

// Lacks is that of package nft, and what firewalld refuses.
func (d *Driver) Lacks() error {
	lacks := d.Driver.Lacks()
	switch {
	case !d.strict.Load():
		return lacks
	case lacks == nil:
		return errStrict
	}
	return fmt.Errorf("%w; and with %w", lacks, errStrict)
}

// Change puts forwards and drops others. See nft.Driver.Change; here, too, what has failed half is for a Sync.
func (d *Driver) Change(ctx context.Context, put []firewall.Forward, drop []firewall.Key) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.listen()
	if !d.known {
		return firewall.ErrOutOfStep
	}
	next := maps.Clone(d.forwards)
	for _, k := range drop {
		delete(next, k)
	}
	for _, f := range put {
		if err := f.Validate(d.prefix6); err != nil {
			return fmt.Errorf("forward of %s: %w", f.Key, err)
		}
		next[f.Key] = f
	}
	next = live(next)
	// What ends does not wait for firewalld.
	if err := d.Driver.Change(ctx, nil, drop); err != nil {
		d.known = d.known && !errors.Is(err, firewall.ErrOutOfStep)
		return err
	}
	had, want := entries(d.forwards), entries(next)
	var have held
	var err error
	if !maps.Equal(had, want) { // a renewal is nothing to firewalld
		if _, have, err = d.bus.settings(ctx); err != nil || !have.is(had) {
			return d.outOfStep(err)
		}
	}
	d.Ask(keysOf(next), false)
	if err := d.Driver.Change(ctx, put, nil); err != nil {
		return d.outOfStep(err)
	}
	d.forwards = next
	if maps.Equal(had, want) {
		return nil
	}
	if err = d.bus.write(ctx, have, want); err == nil {
		d.Ask(keysOf(next), !d.stale)
		err = d.Driver.Change(ctx, nil, nil)
	}
	if err != nil {
		return d.outOfStep(err)
	}
	return nil
}

func (d *Driver) outOfStep(err error) error {
	d.known = false
	if err == nil {
		return firewall.ErrOutOfStep
	}
	return fmt.Errorf("%w: %w", firewall.ErrOutOfStep, err)
}
