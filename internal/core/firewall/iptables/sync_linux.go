package iptables

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/ownline/ownline/internal/core/firewall"
)

// Sync makes the kernel hold exactly want. Where somebody else changed the host's rules, it reads
// all that is ours first. Each table of each family is one transaction.
func (d *Driver) Sync(ctx context.Context, want firewall.Ruleset) error {
	if err := want.Validate(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, f := range want.Forwards {
		if err := d.refuse(f, want.Settings); err != nil {
			return fmt.Errorf("forward of %s: %w", f.Key, err)
		}
	}
	want.Settings = heeded(want.Settings)
	changed, err := d.changed()
	if err != nil {
		return err
	}
	if !changed && reflect.DeepEqual(d.settings, want.Settings) {
		return d.follow(ctx, want)
	}
	gen, err := d.watch.look() // before reading: what changes meanwhile is noticed later
	if err != nil {
		return err
	}
	var is [2]kernel
	there := false
	for i, s := range d.sides {
		if is[i], err = d.read(ctx, s); err != nil {
			return err
		}
		there = there || !is[i].empty()
	}
	if want.Adopt && there {
		return nil
	}
	if reflect.DeepEqual(d.settings, want.Settings) && d.agrees(is) { // others changed what is theirs
		d.known, d.seen = true, gen
		return d.follow(ctx, want)
	}
	return d.anew(ctx, want, is, gen)
}

// heeded leaves out the settings that this driver does nothing about.
func heeded(s firewall.Settings) firewall.Settings {
	s.WAN = slices.Clone(s.WAN)
	s.KnockPort, s.KnockLength, s.Fwknop = 0, 0, firewall.Shape{}
	return s
}

// follow goes from what is held to what is wanted.
func (d *Driver) follow(ctx context.Context, want firewall.Ruleset) error {
	var put []firewall.Forward
	var drop []firewall.Key
	for k := range d.held {
		if _, ok := want.Forwards[k]; !ok {
			drop = append(drop, k)
		}
	}
	for _, f := range want.Forwards {
		put = append(put, f)
	}
	return d.apply(ctx, put, drop)
}

// agrees reports whether the kernel has what is held. That our hooks are no longer where they belong
// is overlooked for a while.
func (d *Driver) agrees(is [2]kernel) bool {
	if d.held == nil {
		return false
	}
	for i, s := range d.sides {
		hooks := d.hooks(d.settings, is[i])
		if !is[i].same(d.ending, d.static[i], hooks, d.sessions(&s)) || !is[i].placed(hooks) && time.Since(d.lifted) > liftEvery {
			return false
		}
	}
	return true
}

// anew writes everything, unless the kernel has it already.
func (d *Driver) anew(ctx context.Context, want firewall.Ruleset, is [2]kernel, gen generation) error {
	now := time.Now()
	had := d.held
	d.settings, d.held = want.Settings, map[firewall.Key]session{}
	var opened []firewall.Key
	for k, f := range want.Forwards {
		if f.Until.After(now) {
			d.held[k] = d.ending.session(f, now)
		}
	}
	var batches [2]batch
	wrote := false
	for i, s := range d.sides {
		d.static[i] = d.chains(want.Settings, s, now)
		sessions := d.sessions(&s)
		hooks := d.hooks(want.Settings, is[i])
		if is[i].same(d.ending, d.static[i], hooks, sessions) && is[i].placed(hooks) {
			continue
		}
		for _, s := range sessions {
			if _, ok := is[i].chains[placedName{mangle, s.name}]; !ok {
				opened = append(opened, s.Key)
			} else if h, ok := had[s.Key]; ok && !h.Until.After(now) {
				delete(is[i].traffic, s.name) // it was over
			}
		}
		batches[i].all(d.ending, d.static[i], hooks, sessions, is[i].traffic, is[i])
		wrote = true
	}
	d.known, d.seen = !wrote, gen
	if d.ending == BySet {
		if err := d.run.ipset(ctx, elements(d.sessions(nil), now)); err != nil {
			return err
		}
	}
	if wrote {
		if err := d.commit(ctx, &batches); err != nil {
			return fmt.Errorf("apply the ruleset: %w", err)
		}
		d.lifted = now
		d.log.Info("made the firewall's chains", "variant", d.variant, "forwards", len(d.held))
	}
	d.later(opened)
	return nil
}

// read asks for the rules of a side.
func (d *Driver) read(ctx context.Context, s side) (kernel, error) {
	saved, err := d.run.run(ctx, "", s.save, "--counters")
	return parse(saved), err
}
