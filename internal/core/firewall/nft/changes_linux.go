package nft

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/ownline"
)

// gone is how long after its end an element is certainly no longer in the kernel, which
// rounds up to its clock's ticks.
const gone = time.Second

// changes is what to do to the elements in the kernel.
type changes struct {
	can abilities
	now time.Time

	put     []firewall.Forward // to write
	opened  []firewall.Key     // of those: were not there before
	remove  []removal          // before that
	strays  []stray            // likewise
	forget  []firewall.Key     // ended long ago, only our memory has them
	renewed []firewall.Key     // removed and put again, and their counters go on
	traffic map[firewall.Key]ownline.Traffic

	putTimed    []timedElement
	removeTimed []timed
}

// timed is an element with nothing but a time: a hint, or a port for everybody.
type timed struct{ set, key string }

type timedElement struct {
	timed
	until time.Time
}

// timedOf lists them all.
func timedOf(want firewall.Ruleset) []timedElement {
	var out []timedElement
	if want.KnockPort != 0 {
		for _, h := range want.Hints {
			out = append(out, timedElement{timed{setHints, string(h.Value[:])}, h.Until})
		}
	}
	for _, f := range families(128) {
		if !proxyAddress(want.Proxy, f).IsValid() {
			continue
		}
		for _, p := range want.Proxy.Public {
			if f.has(p.Addr()) {
				key := string(number(p.Port()))
				out = append(out, timedElement{timed{f.open, key}, p.Until}, timedElement{timed{f.stay, key}, p.Stay})
			}
		}
	}
	return out
}

// timedSets names the sets of such elements that there are.
func timedSets(s firewall.Settings) []string {
	var out []string
	if s.KnockPort != 0 {
		out = append(out, setHints)
	}
	for _, f := range families(128) {
		if proxyAddress(s.Proxy, f).IsValid() {
			out = append(out, f.open, f.stay)
		}
	}
	return out
}

type removal struct {
	key  firewall.Key
	held held
}

// difference compares what is there with the wish.
func difference(have view, want firewall.Ruleset, now time.Time, can abilities) changes {
	c := changes{can: can, now: now, strays: have.strays}
	for k := range have.held {
		if _, ok := want.Forwards[k]; !ok {
			c.drop(have.held, k)
		}
	}
	for _, f := range want.Forwards {
		c.putOne(have.held, f)
	}
	wanted := make(map[timed]time.Time, len(want.Hints))
	for _, e := range timedOf(want) {
		if milliseconds(e.until, now) > 0 && e.until.After(wanted[e.timed]) {
			wanted[e.timed] = e.until
		}
	}
	// Set by set, as they are written. Sorting them would take 25 KB of code, of which a small core has little.
	for _, set := range timedSets(want.Settings) {
		for e, end := range wanted {
			until, ok := have.timed[e]
			if e.set != set || ok && until.Sub(end).Abs() <= tolerance {
				continue
			}
			if ok {
				c.removeTimed = append(c.removeTimed, e)
			}
			c.putTimed = append(c.putTimed, timedElement{e, end})
		}
		for e := range have.timed {
			if e.set == set && wanted[e].IsZero() {
				c.removeTimed = append(c.removeTimed, e)
			}
		}
	}
	return c
}

func (c *changes) putAll(have map[firewall.Key]held, put []firewall.Forward) {
	for _, f := range put {
		c.putOne(have, f)
	}
}

// putOne decides what a forward needs.
func (c *changes) putOne(have map[firewall.Key]held, f firewall.Forward) {
	h, ok := have[f.Key]
	over := ok && !h.until.After(c.now) // perhaps not yet in the kernel
	switch {
	case !f.Until.After(c.now):
		c.drop(have, f.Key)
		return
	case !ok:
		c.opened = append(c.opened, f.Key)
	case over:
		c.remove = append(c.remove, removal{f.Key, h})
		c.opened = append(c.opened, f.Key)
	case h.target != f.Target, h.parts != whole:
		c.remove = append(c.remove, removal{f.Key, h})
	case h.ends(f.Until):
		return
	case !c.can.update:
		c.remove = append(c.remove, removal{f.Key, h})
		c.renewed = append(c.renewed, f.Key)
	}
	c.put = append(c.put, f)
}

func (c *changes) drop(have map[firewall.Key]held, k firewall.Key) {
	h, ok := have[k]
	switch {
	case !ok:
	case c.now.Sub(h.until) > gone:
		c.forget = append(c.forget, k)
	default:
		c.remove = append(c.remove, removal{k, h})
	}
}

// empty reports whether there is nothing to tell the kernel.
func (c *changes) empty() bool {
	return len(c.put)+len(c.remove)+len(c.strays)+len(c.putTimed)+len(c.removeTimed) == 0
}

// carry finds out what the counters of new elements begin with.
func (d *Driver) carry(c *changes, have view) error {
	c.traffic = have.traffic
	if len(c.renewed) == 0 {
		return nil
	}
	var err error
	c.traffic, err = d.trafficOf(have.held, c.renewed)
	return err
}

// remember takes over what was written.
func (d *Driver) remember(c changes) {
	for _, k := range c.forget {
		delete(d.held, k)
	}
	for _, r := range c.remove {
		delete(d.held, r.key)
	}
	for _, f := range c.put {
		d.held[f.Key] = held{target: f.Target, until: f.Until, parts: whole}
	}
	for _, e := range c.removeTimed {
		delete(d.timed, e)
	}
	for _, e := range c.putTimed {
		d.timed[e.timed] = e.until
	}
}

// setsOf names the sets of a family, and the key in each.
func setsOf(f family, k firewall.Key, h held) [3]stray {
	live := liveKey(k, h.target)
	return [3]stray{{f.dnat, mapKey(k), mapValue(h.target)}, {f.up, live, nil}, {f.down, live, nil}}
}

// writeRemovals writes removals that don't mind when an element ended a moment ago.
func (c *changes) writeRemovals(t *transaction) {
	fams := families(128) // names and lengths only
	for i := range 3 {
		for v4 := range 2 {
			c.writeOut(t, func(yield func(stray)) {
				for _, r := range c.remove {
					if f := fams[v4]; r.key.Source.Addr().Is4() == (v4 == 0) && r.held.parts&(1<<i) != 0 {
						yield(setsOf(f, r.key, r.held)[i])
					}
				}
			})
		}
	}
	for _, s := range c.strays {
		c.writeOut(t, func(yield func(stray)) { yield(s) })
	}
	c.writeOut(t, func(yield func(stray)) {
		for _, e := range c.removeTimed {
			yield(stray{e.set, []byte(e.key), nil})
		}
	})
}

// writeOut removes the elements that each yields, all of one set. Kernels that can't remove
// what is not there are first told to add it.
func (c *changes) writeOut(t *transaction, each func(yield func(stray))) {
	if c.can.destroy {
		each(func(s stray) { t.remove(destroySetElem, s.set, s.key) })
		return
	}
	each(func(s stray) { t.add(s.set, element{key: s.key, data: s.data, timeout: 1000}) })
	each(func(s stray) { t.remove(unix.NFT_MSG_DELSETELEM, s.set, s.key) })
}

// writeForwards writes the elements of forwards, set by set.
func (c *changes) writeForwards(t *transaction, put []firewall.Forward) {
	for i, f := range families(128) {
		for _, fw := range put {
			if fw.Source.Addr().Is4() == (i == 0) {
				t.add(f.dnat, element{key: mapKey(fw.Key), data: mapValue(fw.Target), timeout: milliseconds(fw.Until, c.now)})
			}
		}
		for j, set := range []string{f.up, f.down} {
			for _, fw := range put {
				if fw.Source.Addr().Is4() != (i == 0) {
					continue
				}
				had := c.traffic[fw.Key]
				if j == 1 {
					had = ownline.Traffic{UpBytes: had.DownBytes, UpPackets: had.DownPackets}
				}
				t.add(set, element{key: liveKey(fw.Key, fw.Target), timeout: milliseconds(fw.Until, c.now), traffic: ownline.Traffic{UpBytes: had.UpBytes, UpPackets: had.UpPackets}})
			}
		}
	}
}

func (c *changes) writeTimed(t *transaction) {
	for _, e := range c.putTimed {
		t.add(e.set, element{key: []byte(e.key), timeout: milliseconds(e.until, c.now)})
	}
}

// perForward is more than the messages of one forward take: 250 bytes for IPv6, and 90 for
// counters that go on.
const perForward = 400

// commit writes the changes behind what t holds already, and tells how many transactions it
// took: one, wherever the socket's buffer can be made large enough.
func (d *Driver) commit(t *transaction, c changes) (commits int, err error) {
	c.writeRemovals(t)
	c.writeTimed(t)
	rest := c.put
	for {
		room := d.conn.Room(min(d.room, t.m.Len()+perForward*(len(rest)+2)))
		n := (room - t.m.Len() - 2*perForward) / perForward
		n = max(min(n, len(rest)), min(1, len(rest)))
		t.m.Grow(perForward * n)
		c.writeForwards(t, rest[:n])
		if err := d.conn.Batch(t.message()); err != nil {
			return commits, err
		}
		commits++
		if rest = rest[n:]; len(rest) == 0 {
			return commits, nil
		}
		t = newTransaction(d.table, 0)
	}
}

// correctAtOnce is how many forwards one transaction corrects.
const correctAtOnce = 256

// correct writes the ends of forwards again that were written so slowly that they come late:
// the kernel counts an element's time from when it reads it, and ten thousand forwards in
// one transaction are read in a tenth of a second.
func (d *Driver) correct(c changes) error {
	if time.Since(c.now) <= tolerance {
		return nil
	}
	for put := range slices.Chunk(c.put, correctAtOnce) {
		now := time.Now()
		// What ends about now is not worth it, and what has ended can't be written any more.
		put = slices.DeleteFunc(slices.Clone(put), func(f firewall.Forward) bool { return f.Until.Sub(now) <= tolerance })
		if len(put) == 0 {
			continue
		}
		again := changes{can: d.can, now: now, put: put}
		if !d.can.update {
			for _, f := range put {
				again.remove = append(again.remove, removal{f.Key, d.held[f.Key]})
				again.renewed = append(again.renewed, f.Key)
			}
		}
		err := d.carry(&again, view{held: d.held})
		if err == nil {
			err = d.change(again)
		}
		if err != nil {
			return err
		}
		d.gen = next(d.gen)
	}
	return nil
}
