//go:build !noproxy

package nft

import (
	"time"

	"github.com/ownline/ownline/internal/core/firewall"
)

// mayBeElsewhere is false in the small core, whose firewall translates always.
const mayBeElsewhere = true

// newLayoutElsewhere is newLayout where another firewall translates.
func newLayoutElsewhere(s firewall.Settings, how marking, filter filtering) layout {
	return (&builder{mark: how, elsewhere: true}).table(s, filter)
}

// forever is how long the kernel keeps what another firewall may translate, should nobody tell it otherwise.
const forever = 10 * 365 * 24 * time.Hour

// Ask says what another firewall may translate, for the Change or Sync that comes next: these keys, besides
// what was said before, or with only, no others. Connections of such a key begin while it has a forward,
// and are kept from the other when it has none, so that the other may be late to take its rule away. What the kernel's
// table has from an earlier Driver is kept until only is said.
func (d *Driver) Ask(keys []firewall.Key, only bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if only || d.asks == nil {
		d.asks = map[timed]bool{}
	}
	d.asksOnly = d.asksOnly || only
	fams := families(128)
	for _, k := range keys {
		f := fams[0]
		if !f.has(k.Source.Addr()) {
			f = fams[1]
		}
		d.asks[timed{f.asked, string(mapKey(k))}] = true
	}
}

// askedSets names the sets that Ask fills.
func (d *Driver) askedSets() []string {
	if !d.elsewhere {
		return nil
	}
	return []string{setAsked4, setAsked6}
}

// keepAsked takes over what an earlier Driver was asked.
func (d *Driver) keepAsked(is kernelTable) error {
	for _, set := range d.askedSets() {
		if is.sets[set].keyLen == 0 || d.asksOnly {
			continue
		}
		if d.asks == nil {
			d.asks = map[timed]bool{}
		}
		if err := d.readElements(set, func(e kernelElement) { d.asks[timed{set, string(e.key)}] = true }); err != nil {
			return err
		}
	}
	return nil
}

// ask adds what the kernel does not have yet, and takes away what is not asked any more.
func (c *changes) ask(d *Driver, have map[timed]time.Time) {
	for _, set := range d.askedSets() {
		for e := range d.asks {
			if _, ok := have[e]; e.set == set && !ok {
				c.putTimed = append(c.putTimed, timedElement{e, c.now.Add(forever)})
			}
		}
		for e := range have {
			if e.set == set && !d.asks[e] {
				c.removeTimed = append(c.removeTimed, e)
			}
		}
	}
}
