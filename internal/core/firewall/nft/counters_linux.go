package nft

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/netlink"
	"github.com/ownline/ownline/internal/ownline"
)

// Counters returns what came through every live session, since it was first put there.
func (d *Driver) Counters(ctx context.Context) (map[firewall.Key]ownline.Traffic, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !d.known {
		return nil, firewall.ErrOutOfStep
	}
	all, err := d.readTraffic(d.settings.IPv6Prefix)
	return all, outOfStep(err)
}

// trafficOf reads the counters of a few sessions, one by one. Those that are not live are not
// in the result.
func (d *Driver) trafficOf(have map[firewall.Key]held, keys []firewall.Key) (map[firewall.Key]ownline.Traffic, error) {
	all := map[firewall.Key]ownline.Traffic{}
	fams := families(d.settings.IPv6Prefix)
	for _, k := range keys {
		h, ok := have[k]
		if !ok {
			continue
		}
		f, live := familyOf(fams, k), liveKey(k, h.target)
		up, err := d.readElement(f.up, live)
		down, err2 := d.readElement(f.down, live)
		switch err := errors.Join(err, err2); {
		case errors.Is(err, unix.ENOENT):
			continue
		case err != nil:
			return nil, err
		}
		all[k] = ownline.Traffic{UpBytes: up.bytes, UpPackets: up.packets, DownBytes: down.bytes, DownPackets: down.packets}
	}
	return all, nil
}

// KnockCounters returns what the knock filter did since this driver was made. It never goes back,
// whatever becomes of the table.
func (d *Driver) KnockCounters(ctx context.Context) (firewall.KnockCounts, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return firewall.KnockCounts{}, err
	}
	c, err := d.readKnocks()
	if err != nil {
		return firewall.KnockCounts{}, outOfStep(err)
	}
	d.seen = each(d.seen, c, higher)
	return d.counted(), nil
}

// countsBefore reads what a table has counted that outlived its driver.
func (d *Driver) countsBefore() (c firewall.KnockCounts, err error) {
	for range tries {
		if c, err = d.readKnocks(); !errors.Is(err, netlink.ErrInterrupted) {
			break
		}
	}
	if errors.Is(err, unix.ENOENT) { // there is none
		return firewall.KnockCounts{}, nil
	}
	return c, err
}

// countAnew notes that a new table counts, and what the one that it replaced had counted at last.
func (d *Driver) countAnew(last firewall.KnockCounts) {
	d.seen = each(d.seen, last, higher)
	d.lost, d.before, d.seen = d.counted(), firewall.KnockCounts{}, firewall.KnockCounts{}
}

func (d *Driver) counted() firewall.KnockCounts {
	return each(d.lost, each(d.seen, d.before, beyond), func(a, b uint64) uint64 { return a + b })
}

func each(a, b firewall.KnockCounts, f func(a, b uint64) uint64) firewall.KnockCounts {
	return firewall.KnockCounts{Passed: f(a.Passed, b.Passed), Limited: f(a.Limited, b.Limited), Garbage: f(a.Garbage, b.Garbage)}
}

func higher(a, b uint64) uint64 { return max(a, b) }

func beyond(a, b uint64) uint64 { return max(a, b) - b }

func familyOf(fams [2]family, k firewall.Key) family {
	if k.Source.Addr().Is4() {
		return fams[0]
	}
	return fams[1]
}
