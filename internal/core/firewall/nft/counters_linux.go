package nft

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/ownline"
)

// oneByOne is how many counters are rather read by reading all there are.
const oneByOne = 100

// Counters returns what came through the given live sessions, or all, since they were first put there.
func (d *Driver) Counters(ctx context.Context, of ...firewall.Key) (map[firewall.Key]ownline.Traffic, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !d.known {
		return nil, firewall.ErrOutOfStep
	}
	if n := len(of); n > 0 && n < oneByOne {
		some, err := d.trafficOf(d.held, of)
		return some, outOfStep(err)
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
	d.count(c)
	return d.counts, nil
}

// count takes over what the present table has counted.
func (d *Driver) count(c firewall.KnockCounts) {
	step(&d.counts.Passed, &d.seen.Passed, c.Passed)
	step(&d.counts.Limited, &d.seen.Limited, c.Limited)
	step(&d.counts.Garbage, &d.seen.Garbage, c.Garbage)
}

func step(all, seen *uint64, now uint64) {
	if now > *seen {
		*all, *seen = *all+now-*seen, now
	}
}

func familyOf(fams [2]family, k firewall.Key) family {
	if k.Source.Addr().Is4() {
		return fams[0]
	}
	return fams[1]
}
