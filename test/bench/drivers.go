package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
)

// driver is a firewall driver of core, and which iptables it finds.
type driver struct {
	name    string
	setting string // firewall.driver
	variant string // of iptables: nft or legacy; "": whichever the host has
}

// command starts a program where iptables is of that variant, for it alone.
func (d driver) command(program ...string) []string {
	other := map[string]string{"nft": "legacy", "legacy": "nft"}[d.variant]
	if other == "" {
		return program
	}
	multi := func(variant string) string { return "/usr/sbin/xtables-" + variant + "-multi" }
	return append([]string{
		"/usr/bin/unshare", "-m", "/bin/sh", "-c", `mount --bind "$1" "$2" && shift 2 && exec "$@"`, "sh",
		multi(d.variant), multi(other),
	}, program...)
}

// driven is a core with one of the drivers, and what was measured of it.
type driven struct {
	*rig
	name  string
	own   link.Session // the one that connections go through
	opens []time.Duration
	rates []float64
}

// drivers measures what each firewall driver makes of few and of many sessions: how long it takes to open one
// more until its connection is there, and how many connections a second get through the one that is the last
// where rules are walked one by one. They take turns, so that what else the machine does hits all of them. ufw's
// is the driver for iptables with two chains more, whatever the number of sessions.
func (b *bench) drivers(ctx context.Context) error {
	var all []*driven
	for _, d := range []driver{
		{"nftables", ownline.NFTables, ""},
		{"iptables_nft", ownline.IPTables, "nft"},
		{"iptables_legacy", ownline.IPTables, "legacy"},
	} {
		w, err := bed.New(ctx)
		if err != nil {
			return err
		}
		defer w.Close()
		if _, err := w.StartServers(); err != nil {
			return err
		}
		r, err := b.startCore(ctx, w, d, "")
		if err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
		defer os.RemoveAll(r.dir)
		all = append(all, &driven{rig: r, name: d.name})
	}
	for _, live := range []int{1, 100, 1000, 10_000} {
		for _, d := range all {
			d.own, d.opens, d.rates = d.session(d.bed.Client1.IPv4, 29999), nil, nil
			if err := d.put(ctx, append(d.sessions(live-1), d.own)); err != nil {
				return fmt.Errorf("%s, %d sessions: %w", d.name, live, err)
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
