package nft_test

import (
	"encoding/binary"
	"errors"
	"net/netip"
	gosync "sync"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/nft"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
)

// generation asks the kernel, by nobody's code but this.
func generation(tb testing.TB, h *bed.Host) uint32 {
	tb.Helper()
	var c *netlink.Conn
	if err := h.Do(func() (err error) { c, err = netlink.Dial(unix.NETLINK_NETFILTER, nil); return err }); err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	got, err := c.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETGEN, Flags: netlink.Request},
		Data:   make([]byte, 4),
	})
	if err != nil {
		tb.Fatal(err)
	}
	ad, err := netlink.NewAttributeDecoder(got[0].Data[4:])
	if err != nil {
		tb.Fatal(err)
	}
	ad.ByteOrder = binary.BigEndian
	for ad.Next() {
		if ad.Type() == unix.NFTA_GEN_ID {
			return ad.Uint32()
		}
	}
	tb.Fatal("no generation")
	return 0
}

// Invariant 5: a new daemon that wants what is there changes nothing, and one that has
// looked asks no more than for the generation.
func TestRestartChangesNothing(t *testing.T) {
	b := bedtest.New(t)
	servers(t, b)
	want := ruleset(settings)
	want.Hints = []firewall.Hint{{Value: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, Until: time.Now().Add(time.Hour)}}
	for _, s := range sides(b) {
		for _, tr := range transports {
			f := forward(s.Addr(s.Client), tr, 24000, netip.AddrPortFrom(s.LAN, bed.EchoPort), time.Hour)
			want.Forwards[f.Key] = f
		}
	}
	first := newDriver(t, b.Router, nft.Config{})
	sync(t, first, want)
	if st := probe(b.Client1, ownline.TCP, netip.AddrPortFrom(b.Router.IPv4, 24000)); st != bed.Open {
		t.Fatal(st)
	}
	before := counters(t, first)
	second := newDriver(t, b.Router, nft.Config{})
	if changed, err := second.Changed(t.Context()); !changed || err != nil {
		t.Errorf("a driver that never looked says %v, %v", changed, err)
	}
	gen := generation(t, b.Router)
	for range 3 {
		sync(t, second, want)
	}
	if now := generation(t, b.Router); now != gen {
		t.Errorf("the generation went from %d to %d", gen, now)
	}
	after := counters(t, second)
	if len(after) != 4 {
		t.Errorf("counters of %d sessions", len(after))
	}
	for k, v := range after {
		if v.UpPackets < before[k].UpPackets {
			t.Errorf("%s: %+v, was %+v", k, v, before[k])
		}
	}
	// What the new one adds, it adds to what is there.
	extra := forward(b.Client2.IPv4, ownline.TCP, 24000, netip.AddrPortFrom(b.Lan.IPv4, bed.EchoPort), time.Hour)
	change(t, second, []firewall.Forward{extra})
	if now := generation(t, b.Router); now != gen+1 {
		t.Errorf("the generation went from %d to %d by one change", gen, now)
	}
	if changed, err := second.Changed(t.Context()); changed || err != nil {
		t.Errorf("Changed = %v, %v after our own change", changed, err)
	}
	if changed, err := first.Changed(t.Context()); !changed || err != nil {
		t.Errorf("Changed = %v, %v after somebody else's change", changed, err)
	}
	if len(counters(t, second)) != 5 {
		t.Error("the new session is not there")
	}
}

// Invariant 5: whatever somebody does to our table is noticed and repaired, and does no
// harm to others' tables.
func TestRepair(t *testing.T) {
	b := bedtest.New(t)
	servers(t, b)
	d := newDriver(t, b.Router, nft.Config{})
	ours := &nftables.Table{Name: "ownline", Family: nftables.TableFamilyINet}
	f := forward(b.Client1.IPv4, ownline.TCP, 24000, netip.AddrPortFrom(b.Lan.IPv4, bed.EchoPort), time.Hour)
	g := forward(b.Client2.IPv4, ownline.TCP, 24000, netip.AddrPortFrom(b.Lan.IPv4, bed.EchoPort), time.Hour)
	want := ruleset(settings, f)
	want.Hints = []firewall.Hint{{Value: [8]byte{1}, Until: time.Now().Add(time.Hour)}}
	at := netip.AddrPortFrom(b.Router.IPv4, 24000)
	chains := []string{"take", "nat_in", "gate_forward", "gate_input", "gate_output", "knock_valid", "knock_closed"}

	deeds := map[string]func(c *nftables.Conn) error{
		"flush the ruleset": func(c *nftables.Conn) error { c.FlushRuleset(); return nil },
		"delete our table":  func(c *nftables.Conn) error { c.DelTable(ours); return nil },
		"empty our table":   func(c *nftables.Conn) error { c.FlushTable(ours); return nil },
		"empty a map":       func(c *nftables.Conn) error { c.FlushSet(&nftables.Set{Table: ours, Name: "dnat4"}); return nil },
		"empty a live set":  func(c *nftables.Conn) error { c.FlushSet(&nftables.Set{Table: ours, Name: "down4"}); return nil },
		"empty the hints":   func(c *nftables.Conn) error { c.FlushSet(&nftables.Set{Table: ours, Name: "hints"}); return nil },
		"add a chain":       func(c *nftables.Conn) error { c.AddChain(&nftables.Chain{Table: ours, Name: "extra"}); return nil },
		"add a rule": func(c *nftables.Conn) error {
			c.InsertRule(&nftables.Rule{Table: ours, Chain: &nftables.Chain{Name: "gate"}, Exprs: []expr.Any{&expr.Verdict{Kind: expr.VerdictReturn}}})
			return nil
		},
		"empty the gate": func(c *nftables.Conn) error {
			c.FlushChain(&nftables.Chain{Table: ours, Name: "gate"})
			return nil
		},
		"drop by policy": func(c *nftables.Conn) error {
			policy := nftables.ChainPolicyDrop
			c.AddChain(&nftables.Chain{
				Table: ours, Name: "gate_forward", Type: nftables.ChainTypeFilter, Policy: &policy,
				Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityRef(-10),
			})
			return nil
		},
	}
	for _, name := range chains {
		deeds["delete a rule of "+name] = func(c *nftables.Conn) error {
			rules, err := c.GetRules(ours, &nftables.Chain{Table: ours, Name: name})
			if err != nil {
				return err
			}
			return c.DelRule(rules[len(rules)-1])
		}
	}
	for name, deed := range deeds {
		t.Run(name, func(t *testing.T) {
			alter(t, b.Router, func(c *nftables.Conn) error {
				c.AddTable(&nftables.Table{Name: "other", Family: nftables.TableFamilyINet})
				return nil
			})
			sync(t, d, want)
			alter(t, b.Router, deed)
			// Our own changes in between must not hide it. Some fail, as they have to.
			if err := d.Change(t.Context(), []firewall.Forward{g}, nil); err != nil && !errors.Is(err, firewall.ErrOutOfStep) {
				t.Error(err)
			}
			if changed, err := d.Changed(t.Context()); !changed || err != nil {
				t.Errorf("Changed = %v, %v", changed, err)
			}
			sync(t, d, want)
			if changed, err := d.Changed(t.Context()); changed || err != nil {
				t.Errorf("Changed = %v, %v after the repair", changed, err)
			}
			if st := probe(b.Client1, ownline.TCP, at); st != bed.Open {
				t.Errorf("the session is %s", st)
			}
			if st := probe(b.Client2, ownline.TCP, at); st != bed.Refused {
				t.Errorf("the neighbour finds it %s", st)
			}
			// All is as a fresh table would be: a new driver finds nothing to do.
			settled(t, b.Router, want)
			if name == "flush the ruleset" {
				return
			}
			alter(t, b.Router, func(c *nftables.Conn) error {
				_, err := c.ListTableOfFamily("other", nftables.TableFamilyINet)
				return err
			})
		})
	}
}

// Invariant 3 and 5: changed settings replace the table at one stroke: flows live on, their
// counters too, and the gate is never away.
func TestChangedSettings(t *testing.T) {
	b := bedtest.New(t)
	servers(t, b)
	d := newDriver(t, b.Router, nft.Config{})
	s := sides(b)[0]
	f := forward(b.Client1.IPv4, ownline.TCP, 24000, netip.AddrPortFrom(b.Lan.IPv4, bed.EchoPort), time.Hour)
	sync(t, d, ruleset(settings, f))
	flow := startFlow(t, s.Client, ownline.TCP, netip.AddrPortFrom(b.Router.IPv4, 24000))
	before := counters(t, d)[f.Key]
	for _, other := range []firewall.Settings{
		{IPv6Prefix: 56}, {IPv6Prefix: 64, Masquerade: true}, {IPv6Prefix: 64, WAN: []string{"wan0"}}, {IPv6Prefix: 64, KnockPort: 1, KnockLength: 64},
	} {
		sync(t, d, ruleset(other, f))
		if after := counters(t, d)[f.Key]; after.UpPackets < before.UpPackets {
			t.Errorf("%+v: %+v, was %+v", other, after, before)
		}
	}
	time.Sleep(50 * time.Millisecond)
	if r := flow.Report(); r.Cut != nil {
		t.Errorf("the flow was cut: %+v", *r.Cut)
	}
	most, now := lag(t), time.Now()
	sync(t, d, ruleset(settings))
	cutOnTime(t, flow, ownline.TCP, now, most)
	flow.Stop()
	if err := d.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.Remove(t.Context()); err != nil {
		t.Errorf("removing what is not there: %v", err)
	}
	if err := d.Change(t.Context(), []firewall.Forward{f}, nil); !errors.Is(err, firewall.ErrOutOfStep) {
		t.Errorf("Change = %v after Remove", err)
	}
}

// settled checks that a new driver finds nothing to do, and returns it. A machine under load
// may write ends so slowly that they come late; then the next one corrects them.
func settled(t *testing.T, h *bed.Host, want firewall.Ruleset) *nft.Driver {
	t.Helper()
	var did uint32
	for end := time.Now().Add(patience); time.Now().Before(end); {
		fresh := newDriver(t, h, nft.Config{})
		gen := generation(t, h)
		sync(t, fresh, want)
		if did = generation(t, h) - gen; did == 0 {
			return fresh
		}
	}
	t.Fatalf("a new driver still finds something to do, in %d transactions", did)
	return nil
}

// Many forwards fit into one transaction. Where the socket's buffer is small and may not be
// enlarged, as in some user namespaces, they take several, and all get there.
func TestSyncOfMany(t *testing.T) {
	b := bedtest.New(t)
	want := firewall.Ruleset{Settings: settings, Forwards: many(3000, time.Now().Add(time.Hour))}
	for _, room := range []int{0, 200_000} {
		d := newDriver(t, b.Router, nft.Config{})
		if room > 0 {
			d.LimitTransactions(room)
		}
		gen := generation(t, b.Router)
		sync(t, d, want)
		// A few more than one may be corrections of what was written late.
		if n := generation(t, b.Router) - gen; room > 0 && n < 5 {
			t.Errorf("all in %d transactions", n)
		}
		if changed, err := d.Changed(t.Context()); changed || err != nil {
			t.Errorf("Changed = %v, %v", changed, err)
		}
		if n := len(counters(t, d)); n != 3000 {
			t.Errorf("%d forwards are there", n)
		}
		fresh := settled(t, b.Router, want)
		sync(t, fresh, ruleset(settings))
		if n := len(counters(t, fresh)); n != 0 {
			t.Errorf("%d forwards are left", n)
		}
	}
}

// Invariant 5: others who change the ruleset all the time, ours too, delay us at most. All
// methods may be called at once.
func TestAmongOthers(t *testing.T) {
	b := bedtest.New(t)
	d := newDriver(t, b.Router, nft.Config{})
	want := firewall.Ruleset{Settings: settings, Forwards: many(200, time.Now().Add(time.Hour))}
	sync(t, d, want)
	until := time.Now().Add(500 * time.Millisecond)
	var all gosync.WaitGroup
	while := func(do func()) {
		all.Go(func() {
			for time.Now().Before(until) {
				do()
			}
		})
	}
	while(func() {
		err := altered(b.Router, func(c *nftables.Conn) error {
			table := c.AddTable(&nftables.Table{Name: "other", Family: nftables.TableFamilyINet})
			c.FlushSet(&nftables.Set{Table: &nftables.Table{Name: "ownline", Family: nftables.TableFamilyINet}, Name: "up4"})
			c.DelTable(table)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		time.Sleep(3 * time.Millisecond)
	})
	while(func() {
		f := forward(b.Client1.IPv4, ownline.TCP, 24000, netip.AddrPortFrom(b.Lan.IPv4, bed.EchoPort), time.Hour)
		if err := d.Change(t.Context(), []firewall.Forward{f}, nil); err != nil && !errors.Is(err, firewall.ErrOutOfStep) {
			t.Errorf("Change = %v", err)
		}
		if err := d.Change(t.Context(), nil, []firewall.Key{f.Key}); err != nil && !errors.Is(err, firewall.ErrOutOfStep) {
			t.Errorf("Change = %v", err)
		}
	})
	while(func() {
		if err := d.Sync(t.Context(), want); err != nil {
			t.Errorf("Sync = %v", err)
		}
	})
	while(func() {
		if _, err := d.Counters(t.Context()); err != nil && !errors.Is(err, firewall.ErrOutOfStep) {
			t.Errorf("Counters = %v", err)
		}
		if _, err := d.Changed(t.Context()); err != nil {
			t.Errorf("Changed = %v", err)
		}
	})
	all.Wait()
	sync(t, d, want)
	settled(t, b.Router, want)
}
