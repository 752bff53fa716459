package nft

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/flows"
	"github.com/ownline/ownline/internal/core/firewall/netlink"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// tolerance is how far an element's end in the kernel may be from the wish without being
// written again: what the kernel's clock ticks (10 ms where HZ is 100) and rounding lose.
const tolerance = 30 * time.Millisecond

// tries is how often a Sync starts over when others change the ruleset under its hands.
const tries = 8

// Driver keeps one network namespace's table. All methods are safe for concurrent use; each
// takes its turn. A context is looked at before the kernel is asked, not while it works.
type Driver struct {
	log   *slog.Logger
	table string
	can   abilities
	room  int                                                // bytes that one transaction may have, where the socket allows them
	plan  func(firewall.Settings, marking, filtering) layout // newLayout, or another

	elsewhere bool // another firewall translates

	sweeper *flows.Sweeper

	mu       sync.Mutex // guards all below
	conn     *netlink.Conn
	filter   filtering         // what the kernel takes
	lacks    error             // why not all of it; nil: it does, or was not asked yet
	known    bool              // whether what follows is true
	gen      uint32            // of the kernel's ruleset after our last change, had nobody else made one
	settings firewall.Settings // of the table
	held     map[firewall.Key]held
	timed    map[timed]time.Time
	asks     map[timed]bool       // see Ask
	asksOnly bool                 // no others
	counts   firewall.KnockCounts // since New
	seen     firewall.KnockCounts // what the present table had counted when it was last read
}

// New opens a netlink socket in the network namespace of the calling thread and finds out
// what the kernel can do, with a table that it deletes again. It leaves the rules that may
// be in force alone, and starts nothing.
func New(cfg Config) (*Driver, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, err
	}
	d := &Driver{log: cfg.Logger, conn: conn, table: tableName, room: math.MaxInt32, plan: newLayout}
	if d.elsewhere = mayBeElsewhere && cfg.Elsewhere; d.elsewhere {
		d.plan = newLayoutElsewhere
	}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	if d.can, err = d.probe(); err != nil {
		return nil, errors.Join(fmt.Errorf("find out what nftables can do here: %w", err), conn.Close())
	}
	d.can.restrict(cfg)
	if is, err := d.readTable(); err == nil {
		if _, ok := is.chains[chainByMark]; ok {
			d.can.mark = byMark
		}
	}
	for range tries {
		if d.seen, err = d.readKnocks(); !errors.Is(err, netlink.ErrInterrupted) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read what the table has counted: %w", err), conn.Close())
	}
	if d.sweeper, err = flows.NewSweeper(d.log, d.can.mark == byLabel); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	d.log.Debug("nftables is there", "labels", d.can.mark == byLabel, "renew_in_place", d.can.update, "destroy", d.can.destroy)
	return d, nil
}

// Run does until ctx ends what may happen a moment after Change and Sync: it forgets UDP
// connections from before a session was open. While it does not run, Change and Sync do it
// themselves, which takes up to 10 ms. At most one Run at a time.
func (d *Driver) Run(ctx context.Context) error {
	d.sweeper.Run(ctx)
	return nil
}

// Close closes the sockets, after Run has returned. The table stays, and ends the sessions
// on time.
func (d *Driver) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known = false
	return errors.Join(d.conn.Close(), d.sweeper.Close())
}

// Changed reports whether somebody else changed the ruleset, any table of it, since our
// last Sync. It costs one system call. Before the first Sync it is true.
func (d *Driver) Changed(ctx context.Context) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := ctx.Err(); err != nil || !d.known {
		return true, err
	}
	gen, err := d.conn.Generation()
	return gen != d.gen, err
}

// outOfStep translates what the kernel says when something of ours is not as we left it.
func outOfStep(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EEXIST) || errors.Is(err, netlink.ErrInterrupted) {
		return fmt.Errorf("%w: %w", firewall.ErrOutOfStep, err)
	}
	return err
}

// Change puts forwards, new ones, renewed ones and ones with another target, and drops
// others, in one transaction and without reading the kernel. No key may be in both lists, or
// twice in one. Dropping what is not there is no error. An error means that nothing was
// changed; if it is firewall.ErrOutOfStep, only a Sync can help.
func (d *Driver) Change(ctx context.Context, put []firewall.Forward, drop []firewall.Key) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if !d.known {
		return firewall.ErrOutOfStep
	}
	for _, f := range put {
		if err := f.Validate(d.settings.IPv6Prefix); err != nil {
			return fmt.Errorf("forward of %s: %w", f.Key, err)
		}
	}
	now := time.Now()
	c := changes{can: d.can, now: now}
	c.putAll(d.held, put)
	for _, k := range drop {
		c.drop(d.held, k)
	}
	c.ask(d, d.timed)
	if c.empty() {
		d.remember(c)
		return nil
	}
	err := d.carry(&c, view{held: d.held})
	if err == nil {
		err = d.change(c)
	}
	if err = outOfStep(err); err != nil {
		d.known = d.known && !errors.Is(err, firewall.ErrOutOfStep)
		return err
	}
	d.gen = next(d.gen)
	d.remember(c)
	d.sweeper.Forget(c.opened)
	if err := d.correct(c); err != nil {
		d.known = false
		return fmt.Errorf("%w: %w", firewall.ErrOutOfStep, err)
	}
	return nil
}

// change writes changes of forwards in one transaction.
func (d *Driver) change(c changes) error {
	t := newTransaction(d.table, 0)
	c.writeRemovals(t)
	c.writeTimed(t)
	c.writeForwards(t, c.put)
	err := d.conn.Batch(t.message())
	if errors.Is(err, netlink.ErrTooBig) {
		return fmt.Errorf("%w: %w", firewall.ErrOutOfStep, err) // Sync knows how to cut it up
	}
	return err
}

// Sync makes the kernel hold exactly want. Where somebody else changed the ruleset, it reads
// all that is ours first. All is one transaction; on an error the rules from before are in
// force. (Only where the socket's buffer is too small and may not be enlarged, in a user
// namespace, more than some hundred new forwards take several transactions.) A kernel that does not
// have what the filter of knocks needs gets the table without: see Lacks.
func (d *Driver) Sync(ctx context.Context, want firewall.Ruleset) error {
	if err := want.Validate(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	filter := d.filter
	refused, err := d.syncWithin(ctx, want)
	switch {
	case err != nil:
		d.filter = filter
		if refused != nil && errors.Is(err, errRefused) { // it was not the filter, or not the filter alone
			err = fmt.Errorf("apply the ruleset to table inet %s: %w", d.table, refused)
		}
	case refused != nil:
		if d.lacks == nil || d.filter != filter {
			d.log.Warn("the kernel refuses the filter of knocks; working without", "without", d.filter.without(), logging.Err, refused)
		}
		d.lacks = fmt.Errorf("%s: %w", d.filter.without(), refused)
	case d.lacks != nil && d.filter == filterAll:
		d.lacks = nil
		d.log.Info("the kernel takes the whole filter of knocks now")
	}
	return err
}

// syncWithin tries until it succeeds, with less of the filter each time that the kernel refuses the
// table; where the table is made anew, it begins with the whole filter. It returns the first refusal, too.
func (d *Driver) syncWithin(ctx context.Context, want firewall.Ruleset) (refused, err error) {
	less := false // whether the kernel was asked for more of the filter
	for try := range tries {
		if err := ctx.Err(); err != nil {
			return refused, err
		}
		// Where others never rest, the last try does not insist that nothing changed since it
		// looked. What it missed, the next Changed tells.
		err = d.sync(want, try < tries-1, less)
		switch {
		case err == nil:
			return refused, nil
		case errors.Is(err, errAnew):
			d.filter, d.known = filterAll, false
		case errors.Is(err, errRefused) && want.KnockPort != 0 && d.filter < filterNone:
			if refused == nil {
				refused = err
			}
			d.filter++
			d.known, less = false, true
		case errors.Is(err, unix.ERESTART), errors.Is(outOfStep(err), firewall.ErrOutOfStep) && !errors.Is(err, errRefused):
			d.known = false // somebody was faster: look again
		default:
			d.known = false
			return refused, fmt.Errorf("apply the ruleset to table inet %s: %w", d.table, err)
		}
	}
	return refused, fmt.Errorf("apply the ruleset to table inet %s: others change the ruleset all the time: %w", d.table, err)
}

// view is what the kernel holds of ours.
type view struct {
	held    map[firewall.Key]held
	timed   map[timed]time.Time
	strays  []stray
	traffic map[firewall.Key]ownline.Traffic // of a table that is about to be replaced
	knocks  firewall.KnockCounts             // likewise
}

// sync is one try of Sync. With exact, it fails with ERESTART when the ruleset changed after
// it was read, and with errRefused when the kernel does not take the table. Unless it may make the
// table with less than the whole filter, it fails with errAnew where it would.
func (d *Driver) sync(want firewall.Ruleset, exact, less bool) error {
	want.Settings = d.filter.of(want.Settings)
	gen, err := d.conn.Generation()
	if err != nil {
		return err
	}
	have := view{held: d.held, timed: d.timed}
	var build *layout // the table to make; nil: the one that is there will do
	var is kernelTable
	if !d.known || gen != d.gen || !reflect.DeepEqual(d.settings, want.Settings) {
		if build, is, err = d.inspect(want.Settings); err != nil {
			return err
		}
		if want.Adopt && is.exists {
			return nil
		}
		if exact && !less && build != nil && d.filter != filterAll {
			return errAnew
		}
		if err := d.keepAsked(is); err != nil {
			return err
		}
		if have, err = d.read(want.Settings, is, build != nil); err != nil {
			return err
		}
	}
	now := time.Now()
	c := difference(have, want, now, d.can)
	c.ask(d, have.timed)
	if build == nil && c.empty() {
		if err := d.found(gen, exact, want.Settings, have); err != nil {
			return err
		}
		d.remember(c)
		return nil
	}
	if err := d.carry(&c, have); err != nil {
		return err
	}
	only := gen
	if !exact {
		only = 0
	}
	t := newTransaction(d.table, only)
	if is.exists && build != nil {
		t.deleteTable()
	}
	if build != nil {
		t.create(*build)
	}
	commits, err := d.commit(t, c)
	if exact && build != nil && commits == 0 && refuses(err) {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	if err != nil {
		return err
	}
	if build != nil {
		d.log.Info("made the firewall table", "table", d.table, "replaced", is.exists, "forwards", len(c.put))
		d.count(have.knocks)
		d.seen = firewall.KnockCounts{}
	}
	for range commits {
		gen = next(gen)
	}
	d.gen, d.settings, d.known = gen, copied(want.Settings), true
	d.held, d.timed = have.held, have.timed
	d.remember(c)
	d.sweeper.Forget(c.opened)
	return d.correct(c)
}

// inspect compares the kernel's table with what it has to be. If it has to be made anew, it
// returns how.
func (d *Driver) inspect(s firewall.Settings) (*layout, kernelTable, error) {
	l := d.plan(s, d.can.mark, d.filter)
	is, err := d.readTable()
	if err != nil || l.same(is) {
		return nil, is, err
	}
	return &l, is, nil
}

// read reads the table's elements, or, when the table is to be made anew, what outlives it.
func (d *Driver) read(s firewall.Settings, is kernelTable, anew bool) (v view, err error) {
	v.held, v.timed = map[firewall.Key]held{}, map[timed]time.Time{}
	if anew {
		if is.hasForwards() {
			v.traffic, err = d.readTraffic(s.IPv6Prefix)
		}
		if is.exists && err == nil {
			v.knocks, err = d.readKnocks()
		}
		return v, err
	}
	if v.held, v.strays, err = d.readForwards(s.IPv6Prefix); err == nil {
		err = d.readTimed(v.timed, append(timedSets(s), d.askedSets()...))
	}
	return v, err
}

// found ends a Sync that has nothing to do, unless the ruleset changed while it looked.
func (d *Driver) found(gen uint32, exact bool, s firewall.Settings, v view) error {
	now, err := d.conn.Generation()
	if err != nil {
		return err
	}
	if exact && now != gen {
		return unix.ERESTART
	}
	d.gen, d.settings, d.known = gen, copied(s), true
	d.held, d.timed = v.held, v.timed
	return nil
}

func copied(s firewall.Settings) firewall.Settings {
	s.WAN = slices.Clone(s.WAN)
	return s
}

// next is the generation that follows: 0 is never used.
func next(gen uint32) uint32 { return max(gen+1, 1) }
