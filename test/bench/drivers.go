package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/firewalls"
)

// driver is a firewall driver of core, and what it finds on the host.
type driver struct {
	name    string
	setting string // firewall.driver
	variant string // of iptables: nft or legacy; "": whichever the host has
	beside  func(*bed.Bed) (*beside, error)
	env     []string // for core, to find what is beside it
	most    int      // sessions that it bears; 0: all of them
}

// beside is another firewall on the router, which knows the LAN and refuses all else.
type beside struct {
	env  []string // for who has to find it
	stop func() error
}

func besideUFW(w *bed.Bed) (*beside, error) {
	dir, err := os.MkdirTemp("", "ownline-bench-")
	if err != nil {
		return nil, err
	}
	u, err := firewalls.NewUFW(w.Router, dir)
	for _, words := range []string{"allow from " + w.LAN4.String(), "--force enable"} {
		if err == nil {
			_, err = u.Tell(words)
		}
	}
	return &beside{stop: func() error { return os.RemoveAll(dir) }}, err
}

func besideFirewalld(w *bed.Bed) (*beside, error) {
	f, err := firewalls.NewFirewalld(w.Router)
	if err != nil {
		return nil, err
	}
	if err = f.Start(); err == nil {
		_, err = f.Tell("--permanent --zone trusted --add-source " + w.LAN4.String())
	}
	if err == nil {
		_, err = f.Tell("--reload")
	}
	return &beside{[]string{"DBUS_SYSTEM_BUS_ADDRESS=" + f.Bus}, f.Close}, err
}

// driven is a core with one of the drivers, and what was measured of it.
type driven struct {
	*rig
	driver
	undo  []func() error
	own   link.Session // the one that connections go through
	opens []time.Duration
	rates []float64
}

// drivers measures what each firewall driver makes of few and of many sessions: how long it takes to open one
// more until its connection is there, and how many connections a second get through the one that is the last
// where rules are walked one by one. They take turns, so that what else the machine does hits all of them.
func (b *bench) drivers(ctx context.Context) error {
	var all []*driven
	defer func() {
		for _, d := range all {
			d.leave()
		}
	}()
	for _, d := range []driver{
		{name: "nftables", setting: ownline.NFTables},
		{name: "iptables_nft", setting: ownline.IPTables, variant: "nft"},
		{name: "iptables_legacy", setting: ownline.IPTables, variant: "legacy"},
		{name: "ufw", setting: ownline.UFW, beside: besideUFW},
		// firewalld compares each rule with all others: ten thousand take it hours.
		{name: "firewalld", setting: ownline.Firewalld, beside: besideFirewalld, most: 1000},
	} {
		one := &driven{driver: d}
		all = append(all, one)
		if err := one.start(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
	}
	for _, live := range []int{1, 100, 1000, 10_000} {
		all = slices.DeleteFunc(all, func(d *driven) bool {
			over := d.most > 0 && live > d.most
			if over {
				fmt.Printf("driver_%s_%d: left out, more than %d take it too long\n", d.name, live, d.most)
				d.leave() // the others have the machine for themselves
			}
			return over
		})
		for _, d := range all {
			took, err := d.fill(ctx, live)
			if err != nil {
				return fmt.Errorf("%s, %d sessions: %w", d.name, live, err)
			}
			if live > 1 {
				b.add(fmt.Sprintf("driver_%s_%d_at_once_s", d.name, live), took.Seconds(), "s")
			}
		}
		for range b.runs(15) {
			for _, d := range all {
				if err := d.turn(ctx); err != nil {
					return fmt.Errorf("%s, %d sessions: %w", d.name, live, err)
				}
			}
		}
		for _, d := range all {
			open, rate := percentile(d.opens, .5), median(d.rates)
			b.compare(fmt.Sprintf("driver_%s_%d_open_ms", d.name, live), open, "ms", "nftables", open/percentile(all[0].opens, .5))
			b.compare(fmt.Sprintf("driver_%s_%d_new_conn_per_s", d.name, live), rate, "1/s", "nftables", rate/median(all[0].rates))
		}
	}
	return nil
}

// start starts a core with the driver on a bed of its own. What there is then is undone by leave.
func (d *driven) start(ctx context.Context, b *bench) error {
	w, err := bed.New(ctx)
	if err != nil {
		return err
	}
	d.undo = append(d.undo, w.Close)
	if _, err := w.StartServers(); err != nil {
		return err
	}
	if d.beside != nil {
		other, err := d.beside(w)
		if other != nil {
			d.undo = append(d.undo, other.stop)
		}
		if err != nil {
			return err
		}
		d.env = append(os.Environ(), other.env...)
	}
	d.rig, err = b.startCore(ctx, w, d.driver, "")
	if err == nil {
		d.undo = append(d.undo, func() error { return os.RemoveAll(d.dir) }, d.core.Process.Kill)
	}
	return err
}

func (d *driven) leave() {
	for _, undo := range slices.Backward(d.undo) {
		if err := undo(); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", d.name, err)
		}
	}
}

// fill makes so many sessions the whole state, and tells how long that took.
func (d *driven) fill(ctx context.Context, live int) (time.Duration, error) {
	d.own, d.opens, d.rates = d.session(d.bed.Client1.IPv4, 29999), nil, nil
	began := time.Now()
	err := d.put(ctx, append(d.sessions(live-1), d.own))
	return time.Since(began), err
}

// turn opens and ends sessions beside those that live, and then connects for a while.
func (d *driven) turn(ctx context.Context) error {
	for range 4 {
		more := d.session(d.bed.Client1.IPv4, 29998)
		took, err := d.open(ctx, more)
		if err != nil {
			return err
		}
		d.opens = append(d.opens, took)
		if err := d.web.EndSession(ctx, d.stamp().Revision, more.ID); err != nil {
			return err
		}
	}
	rate, err := d.rate(d.own.PublicPort)
	d.rates = append(d.rates, rate)
	return err
}

// open opens a session, and tells when its first connection is there.
func (d *driven) open(ctx context.Context, s link.Session) (time.Duration, error) {
	began := time.Now()
	if err := d.web.PutSession(ctx, link.Put{Stamp: d.stamp(), Session: s}); err != nil {
		return 0, err
	}
	c, err := d.bed.Client1.Dial("tcp", netip.AddrPortFrom(d.bed.Router.IPv4, s.PublicPort), time.Second)
	if err != nil {
		return 0, err
	}
	took := time.Since(began)
	return took, c.Close()
}
