// Package fwtest: a firewall that is a small working model, and the contract that it and
// every driver pass.
package fwtest

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/ownline"
)

// Fake is a firewall in memory. It keeps time by package time, so it works in a synctest
// bubble. Its methods may be called from several goroutines at once; the zero value is ready.
type Fake struct {
	mu       sync.Mutex // guards all below
	synced   bool
	changed  bool
	settings firewall.Settings
	forwards map[firewall.Key]firewall.Forward
	hints    []firewall.Hint
	traffic  map[firewall.Key]ownline.Traffic
	fail     error
	calls    Calls
}

// Calls counts what was asked of a Fake.
type Calls struct{ Syncs, Changes int }

// Sync makes want the rules in force.
func (f *Fake) Sync(ctx context.Context, want firewall.Ruleset) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls.Syncs++
	if err := f.ready(ctx); err != nil {
		return err
	}
	if err := want.Validate(); err != nil {
		return err
	}
	if want.Adopt && f.forwards != nil {
		return nil
	}
	old := f.forwards
	f.forwards = map[firewall.Key]firewall.Forward{}
	for _, fw := range want.Forwards {
		f.put(old, fw)
	}
	f.settings, f.hints = want.Settings, append([]firewall.Hint(nil), want.Hints...)
	f.synced, f.changed = true, false
	return nil
}

// Change puts and drops single forwards.
func (f *Fake) Change(ctx context.Context, put []firewall.Forward, drop []firewall.Key) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls.Changes++
	if err := f.ready(ctx); err != nil {
		return err
	}
	if !f.synced {
		return firewall.ErrOutOfStep
	}
	for _, fw := range put {
		if err := fw.Validate(f.settings.IPv6Prefix); err != nil {
			return err
		}
	}
	for _, k := range drop {
		f.end(k)
	}
	for _, fw := range put {
		f.put(f.forwards, fw)
	}
	return nil
}

// put makes one forward live; old are those from before.
func (f *Fake) put(old map[firewall.Key]firewall.Forward, fw firewall.Forward) {
	was, ok := old[fw.Key]
	if !ok || was.Target != fw.Target || !was.Until.After(time.Now()) {
		delete(f.traffic, fw.Key)
	}
	if fw.Until.After(time.Now()) {
		f.forwards[fw.Key] = fw
	} else {
		f.end(fw.Key)
	}
}

func (f *Fake) end(k firewall.Key) {
	delete(f.forwards, k)
	delete(f.traffic, k)
}

func (f *Fake) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return f.fail
}

// Changed reports whether Flush was called since the last Sync.
func (f *Fake) Changed(ctx context.Context) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.synced || f.changed, f.ready(ctx)
}

// Counters returns what Reach let through.
func (f *Fake) Counters(ctx context.Context, _ ...firewall.Key) (map[firewall.Key]ownline.Traffic, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.ready(ctx); err != nil {
		return nil, err
	}
	if !f.synced {
		return nil, firewall.ErrOutOfStep
	}
	all := map[firewall.Key]ownline.Traffic{}
	for k, fw := range f.forwards {
		if fw.Until.After(time.Now()) {
			all[k] = f.traffic[k]
		}
	}
	return all, nil
}

// Reach sends a packet of 100 bytes from an address to a public port and gets one back. It
// reports where it went, and whether it got through.
func (f *Fake) Reach(from netip.Addr, transport ownline.Transport, port uint16) (netip.AddrPort, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for k, fw := range f.forwards {
		if k.Transport == transport && k.Port == port && k.Source.Contains(from) && fw.Until.After(time.Now()) {
			if f.traffic == nil {
				f.traffic = map[firewall.Key]ownline.Traffic{}
			}
			f.traffic[k] = f.traffic[k].Add(ownline.Traffic{UpBytes: 100, UpPackets: 1, DownBytes: 100, DownPackets: 1})
			return fw.Target, true
		}
	}
	return netip.AddrPort{}, false
}

// FromLAN sends a packet from a local network to a public port, and reports where it went.
func (f *Fake) FromLAN(from netip.Addr, transport ownline.Transport, port uint16) (netip.AddrPort, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, h := range f.settings.Hairpins {
		if h.Transport == transport && h.Port == port && h.Network.Contains(from) && !slices.Contains(f.settings.Gateways, from) {
			return h.Target, true
		}
	}
	return netip.AddrPort{}, false
}

// Flush does what `nft flush ruleset` does: nothing of ours is left.
func (f *Fake) Flush() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.synced, f.changed = false, true
	f.forwards, f.traffic, f.hints, f.settings = nil, nil, nil, firewall.Settings{}
}

// Fail makes all calls fail with err, until Fail(nil). They change nothing then.
func (f *Fake) Fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = err
}

// Live returns the rules in force: without forwards and hints whose time is over.
func (f *Fake) Live() firewall.Ruleset {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	r := firewall.Ruleset{Settings: f.settings, Forwards: maps.Clone(f.forwards)}
	maps.DeleteFunc(r.Forwards, func(_ firewall.Key, fw firewall.Forward) bool { return !fw.Until.After(now) })
	for _, h := range f.hints {
		if h.Until.After(now) {
			r.Hints = append(r.Hints, h)
		}
	}
	return r
}

// Calls returns how often Sync and Change were called.
func (f *Fake) Calls() Calls {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}
