package iptables

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/ownline/ownline/internal/core/firewall"
)

// needs are the parts of the kernel and of iptables without which this driver is nothing: one rule
// for each table, of everything.
var needs = []chain{
	{nat, chainProbe, []rule{
		does("-p tcp -m tcp --dport 1 -m addrtype --dst-type LOCAL -m limit --limit 50/sec ", "CONNMARK --set-xmark 0x0/"+bit(ours)),
		does("-m connmark --mark 0x1 -m conntrack --ctorigdstport 1 --ctdir ORIGINAL ", "RETURN"),
	}, false},
	{mangle, chainProbe, []rule{does("-p udp -m udp --sport 1 -m conntrack --ctstate DNAT ", "DROP")}, false},
	{filter, chainProbe, []rule{does("-p tcp ", "REJECT --reject-with tcp-reset")}, false},
}

// probe tries it all in chains that no packet meets. want is an ending that is asked for.
func (d *Driver) probe(ctx context.Context, want Ending) (Ending, error) {
	try := func(s side, chains ...chain) error {
		var b, undo batch
		for _, c := range chains {
			b.fill(c)
			undo.declare(c.table, c.name)
			undo.line(c.table, "-X", c.name)
		}
		_, err := d.run.run(ctx, b.String(), s.restore, "--noflush", "--wait")
		_, _ = d.run.run(ctx, undo.String(), s.restore, "--noflush", "--wait") // where it failed, nothing is there
		return err
	}
	for _, s := range d.sides {
		to := "192.0.2.1:1"
		if !s.v4 {
			to = "[2001:db8::1]:1"
		}
		all := slices.Clone(needs)
		all = append(all, chain{nat, chainProbe + "2", []rule{does("-p tcp ", "DNAT --to-destination "+to)}, false})
		if err := try(s, all...); err != nil {
			return "", fmt.Errorf("iptables can't do here what Ownline needs (the matches addrtype, comment, connmark, conntrack, limit; the targets CONNMARK, DNAT, REJECT): %w", err)
		}
	}
	endings := []Ending{ByTime, BySet, ByCore}
	if want != "" {
		endings = []Ending{want}
	}
	var err error
	for _, e := range endings {
		if err = d.probeEnding(ctx, e, try); err == nil {
			return e, nil
		}
		d.log.Debug("iptables lacks a means to end sessions", "ending", e, "err", err)
	}
	return "", fmt.Errorf("sessions can't end by %s here: %w", want, err)
}

func (d *Driver) probeEnding(ctx context.Context, e Ending, try func(side, ...chain) error) error {
	now := time.Now()
	if e == BySet {
		if err := d.run.ipset(ctx, elements(nil, now)); err != nil {
			return err
		}
	}
	for _, s := range d.sides {
		own := e.session(probeForward(s, now), now).own(e)
		own[0].name, own[1].name = chainProbe, chainProbe
		own[0].rules = slices.DeleteFunc(own[0].rules, func(r rule) bool { return r == goes("", chainEnded) })
		if err := try(s, own[:]...); err != nil {
			return err
		}
	}
	return nil
}

// probeForward is of nobody.
func probeForward(s side, now time.Time) firewall.Forward {
	f := firewall.Forward{Until: now.Add(time.Hour)}
	f.Transport, f.Port = "tcp", 1
	if s.v4 {
		f.Source, f.Target = netip.MustParsePrefix("192.0.2.2/32"), netip.MustParseAddrPort("192.0.2.1:1")
	} else {
		f.Source, f.Target = netip.MustParsePrefix("2001:db8::/64"), netip.MustParseAddrPort("[2001:db8::1]:1")
	}
	return f
}
