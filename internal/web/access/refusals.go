package access

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/policy"
)

// Why web refuses knocks; the reasons of cores and of brokers come besides.
const (
	refusedUnknown    = link.IgnoredUnknown
	refusedRevoked    = link.IgnoredRevoked
	refusedClaim      = "claimed_source"
	refusedNoClaim    = link.RefusedNoClaim // by a grant alone
	refusedReplay     = link.RefusedReplay
	refusedTime       = link.RefusedTime
	refusedShape      = link.RefusedShape
	refusedNotGranted = link.RefusedNotGranted
	refusedSource     = link.RefusedSource
	refusedImpossible = link.RefusedImpossible
	refusedPolicy     = link.RefusedByList // and which list says so
)

// refused is a kind of refused knock, within a day.
type refused struct {
	day    time.Time
	site   ownline.SiteID
	device ownline.DeviceID
	reason string
}

// tally is what has been refused since it was last written down. There are as many kinds as devices,
// times reasons: a flood makes numbers grow, not the tally.
type tally struct {
	mu      sync.Mutex // guards what follows
	kinds   map[refused]ownline.Refusal
	doubted map[ownline.SiteID]bool // their cores have told what can't be
}

// doubt reports whether it is the first time that a site's core tells what can't be.
func (t *tally) doubt(site ownline.SiteID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.doubted == nil {
		t.doubted = make(map[ownline.SiteID]bool)
	}
	first := !t.doubted[site]
	t.doubted[site] = true
	return first
}

func (t *tally) add(rs ...ownline.Refusal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kinds == nil {
		t.kinds = make(map[refused]ownline.Refusal)
	}
	for _, r := range rs {
		kind := refused{r.Latest.Truncate(24 * time.Hour), r.Site, r.Device, r.Reason}
		if had, ok := t.kinds[kind]; ok {
			r.Number += had.Number
			if had.First.Before(r.First) {
				r.First = had.First
			}
			if had.Latest.After(r.Latest) {
				r.Latest = had.Latest
			}
		}
		t.kinds[kind] = r
	}
}

func (t *tally) take() []ownline.Refusal {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := slices.Collect(maps.Values(t.kinds))
	t.kinds = nil
	return all
}

// refuse counts a knock that is refused; it costs no transaction.
func (a *Access) refuse(site ownline.SiteID, device ownline.DeviceID, reason string) {
	at := now()
	a.tally.add(ownline.Refusal{Site: site, Device: device, Reason: reason, Number: 1, First: at, Latest: at})
}

// RefusedByBroker counts a message to the topic of knocks that was refused before it was known whose it is.
func (a *Access) RefusedByBroker(reason string) {
	a.refuse(ownline.SiteID{}, ownline.DeviceID{}, "broker_"+reason)
}

// whyRefused names what kept a service from being opened that is granted.
func whyRefused(err error) string {
	if by, ok := errors.AsType[*policy.RefusedByError](err); ok {
		return refusedPolicy + by.List
	}
	if _, ok := errors.AsType[*policy.UnclaimedError](err); ok {
		return refusedNoClaim
	}
	return refusedImpossible
}

// mostAtOnce bounds what one status adds, far above what any line carries: a core that lies must not make
// sums overflow, which would keep admins from seeing those of other sites.
const mostAtOnce = 1 << 40

// longestRun bounds the name of a core's run.
const longestRun = 64

// Counted takes over how often a site's core has refused knocks, by reasons that are its own: web knows
// better what became of knocks that it decided on, and keeps nothing under a name that a core made up.
func (a *Access) Counted(ctx context.Context, site ownline.SiteID, st link.Status) error {
	run := cmp.Or(st.Run, strconv.FormatInt(st.Started.UnixMilli(), 10)) // older cores tell the time alone
	if len(run) > longestRun {
		return fmt.Errorf("core names its run with %d bytes; at most %d are taken", len(run), longestRun)
	}
	var more []ownline.Refusal
	at := now()
	err := a.store.Write(ctx, func(tx Tx) error {
		more = nil
		for _, reason := range slices.Sorted(maps.Keys(st.Knocks.Dropped)) {
			number := min(st.Knocks.Dropped[reason], math.MaxInt64) // as far as databases count
			if number == 0 || !link.RefusedByCore(reason) {
				continue
			}
			n, err := tx.RefusedMore(site, run, reason, number, at)
			if err != nil {
				return err
			}
			if n > mostAtOnce && a.tally.doubt(site) {
				a.log.WarnContext(ctx, "a core says to have refused more knocks than can be; only so many are counted, now and whenever it says so again",
					logging.Site, site, "reason", reason, "says", n, "counted", mostAtOnce)
			}
			if n = min(n, mostAtOnce); n > 0 {
				more = append(more, ownline.Refusal{Site: site, Reason: reason, Number: n, First: at, Latest: at})
			}
		}
		return refuseAll(tx, more)
	})
	if err != nil {
		return err
	}
	a.countRefused(ctx, more)
	return nil
}

func refuseAll(tx Tx, rs []ownline.Refusal) error {
	for _, r := range rs {
		if err := tx.Refuse(r); err != nil {
			return err
		}
	}
	return nil
}

// writeRefusals writes the tally down.
func (a *Access) writeRefusals(ctx context.Context) error {
	all := a.tally.take()
	if len(all) == 0 {
		return nil
	}
	if err := a.store.Write(ctx, func(tx Tx) error { return refuseAll(tx, all) }); err != nil {
		a.tally.add(all...)
		return err
	}
	a.countRefused(ctx, all)
	a.tellRefused(ctx, all)
	return nil
}

// tellRefused tells the owners of devices, and admins. As much is written down at once, a flood of knocks
// makes few events. One that has counted before is no news: a device that knocks in two ways sends such.
func (a *Access) tellRefused(ctx context.Context, rs []ownline.Refusal) {
	var evs []Event
	err := a.store.Read(ctx, func(tx Tx) error {
		evs = nil
		for _, r := range rs {
			if r.Device.IsZero() || r.Reason == refusedReplay {
				continue
			}
			info, err := refusalInfo(tx, r)
			switch {
			case errors.Is(err, ownline.ErrNotFound): // gone meanwhile
			case err != nil:
				return err
			default:
				evs = append(evs, Event{Kind: EventRefusal, Owner: info.User, Resource: info})
			}
		}
		return nil
	})
	if err != nil {
		a.log.DebugContext(ctx, "nobody is told of refused knocks", logging.Err, err)
		return
	}
	a.hub.publish(evs...)
}

func refusalInfo(tx Tx, r ownline.Refusal) (ownline.RefusalInfo, error) {
	d, err := tx.Device(r.Device)
	if err != nil {
		return ownline.RefusalInfo{}, err
	}
	u, err := tx.User(d.User)
	if err != nil {
		return ownline.RefusalInfo{}, err
	}
	site, err := tx.Site(d.Site)
	return ownline.RefusalInfo{Refusal: r, SiteName: site.Name, DeviceName: d.Name, User: u.ID, UserName: u.Name}, err
}

// countRefused tells the meter, which knows sites by their names.
func (a *Access) countRefused(ctx context.Context, rs []ownline.Refusal) {
	if len(rs) == 0 {
		return
	}
	names := make(map[ownline.SiteID]string)
	err := a.store.Read(ctx, func(tx Tx) error {
		sites, err := tx.Sites()
		for _, s := range sites {
			names[s.ID] = s.Name
		}
		return err
	})
	if err != nil {
		a.log.DebugContext(ctx, "refusals are counted without their sites", logging.Err, err)
	}
	for _, r := range rs {
		a.meter.Refused(names[r.Site], r.Reason, r.Number)
	}
}

// mostRefusals bounds a list of them.
const mostRefusals = 200

// Refusals lists how often knocks were refused and why, all of one kind in one line, the latest
// first (admin).
func (a *Access) Refusals(ctx context.Context, actor Actor, q ownline.RefusalQuery) (rs []ownline.RefusalInfo, err error) {
	if err := actor.MustAdmin(ownline.ScopeRead); err != nil {
		return nil, err
	}
	if err := a.writeRefusals(ctx); err != nil {
		return nil, err
	}
	q.Limit = mostRefusals
	err = a.store.Read(ctx, func(tx Tx) error {
		if !q.Site.IsZero() {
			if _, err := tx.Site(q.Site); err != nil {
				return err
			}
		}
		rs, err = tx.Refusals(q)
		return err
	})
	return rs, err
}
