package iptables_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/iptables"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
)

// late is what a test sees later than the kernel did it, on a machine under load.
const late = 500 * time.Millisecond

// cut checks that a flow is cut, and how. After the time that is given nothing may have come back.
func cut(t *testing.T, f *bed.Flow, how bed.Cut, after time.Time) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Until(after)+patience)
	defer cancel()
	got, err := f.WaitCut(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if how.How != "" && got.How != how.How {
		t.Errorf("cut %s, want %s", got.How, how.How)
	}
	if d := got.Last.Sub(after); d > late {
		t.Errorf("the last echo came %s after the end", d)
	}
}

// Invariant 4: the kernel alone cuts established flows when their session ends, to the LAN and to
// the router itself, and nothing brings them back: not the other end's next packet, not a later
// session on the same port to another target.
func TestEstablishedFlowsEndOnTime(t *testing.T) {
	each(t, func(t *testing.T, b *bed.Bed, cfg iptables.Config) {
		endOnTime(t, b, cfg)
	})
}

func endOnTime(t *testing.T, b *bed.Bed, cfg iptables.Config) {
	lan, err := b.StartServers()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Router.TCPEcho(bed.EchoPort); err != nil {
		t.Fatal(err)
	}
	local, err := b.Router.UDPEcho(bed.EchoPort)
	if err != nil {
		t.Fatal(err)
	}
	d := newDriver(t, b.Router, cfg)
	promises := d.Ending().Promises()
	if !promises.CoreIsDead {
		run(t, d)
	}
	type flow struct {
		*bed.Flow
		forward firewall.Forward
		side    side
	}
	var flows []flow
	want := ruleset(settings)
	most := bedtest.Lag(t)
	for _, s := range sides(b) {
		for _, tr := range transports {
			for i, target := range []netip.Addr{s.LAN, s.Inside} {
				f := forward(s.Addr(s.Client), tr, uint16(24000+i), netip.AddrPortFrom(target, bed.EchoPort), time.Hour)
				want.Forwards[f.Key] = f
				flows = append(flows, flow{forward: f, side: s})
			}
		}
	}
	sync(t, d, want)
	for i, f := range flows {
		at := netip.AddrPortFrom(f.side.Router, f.forward.Port)
		flows[i].Flow = startLong(t, f.side.Client, f.forward.Transport, at)
		if s := probe(f.side.Neighbour, f.forward.Transport, at); s != bed.Refused {
			t.Errorf("a neighbour finds port %d %s", f.forward.Port, s)
		}
	}
	// Only now, however long that took, they get their end.
	until := time.Now().Add(3 * time.Second)
	for k, f := range want.Forwards {
		f.Until = until
		want.Forwards[k] = f
	}
	sync(t, d, want)
	end := until.Add(promises.Late + time.Since(until.Add(-3*time.Second))) // an ipset counts from when it is told
	if promises.CoreIsDead {
		if err := d.Close(); err != nil { // the daemon is dead from here on
			t.Fatal(err)
		}
	}
	for _, f := range flows {
		how := bed.Cut{}
		if f.forward.Transport == ownline.TCP {
			how.How = bed.Reset
		}
		cut(t, f.Flow, how, end.Add(3*most()))
		if r := f.Report(); r.Cut != nil && r.Cut.At.Before(until.Add(-late-3*most())) {
			t.Errorf("%s was cut %s before its end", f.forward.Key, until.Sub(r.Cut.At))
		}
	}
	time.Sleep(time.Until(end.Add(late)))
	got := -1 // what came before is still being counted
	for now := lan.UDP.Got() + local.Got(); now != got; now = lan.UDP.Got() + local.Got() {
		got = now
		time.Sleep(100*time.Millisecond + 3*most())
	}
	push := func() {
		for range 3 {
			lan.TCP.Push()
			lan.UDP.Push()
			local.Push()
			time.Sleep(30 * time.Millisecond)
		}
	}
	push()
	if now := lan.UDP.Got() + local.Got(); now != got {
		t.Errorf("%d datagrams came in after the end", now-got)
	}
	// A new daemon, and sessions on the same ports to other targets.
	d = newDriver(t, b.Router, cfg)
	again := ruleset(settings)
	for _, f := range flows {
		f.forward.Target = netip.AddrPortFrom(f.side.Other, bed.EchoPort)
		f.forward.Until = time.Now().Add(time.Minute)
		again.Forwards[f.forward.Key] = f.forward
	}
	sync(t, d, again)
	push()
	for _, f := range flows {
		r := f.Stop()
		// Before, one echo may have taken long.
		if over := end.Add(late + 3*most()); r.Revived.After(over) || r.LastUnasked.After(over) {
			t.Errorf("%s to %s: revived at %v, last unasked %v, end %v", f.forward.Key, f.forward.Target, r.Revived, r.LastUnasked, until)
		}
		// The port works for what is new.
		at := netip.AddrPortFrom(f.side.Router, f.forward.Port)
		if s := probe(f.side.Client, f.forward.Transport, at); s != bed.Open {
			t.Errorf("%s is %s for a new connection", f.forward.Key, s)
		}
		if s := probe(f.side.Neighbour, f.forward.Transport, at); s != bed.Refused {
			t.Errorf("a neighbour finds %s %s", at, s)
		}
	}
}

// Invariant 4: closing cuts at once, a retarget cuts what went to the old target, and a renewal
// keeps flows and their counters.
func TestCloseRetargetRenew(t *testing.T) {
	each(t, func(t *testing.T, b *bed.Bed, cfg iptables.Config) {
		if _, err := b.StartServers(); err != nil {
			t.Fatal(err)
		}
		d := newDriver(t, b.Router, cfg)
		for _, s := range sides(b) {
			for _, tr := range transports {
				t.Run(s.Name+" "+string(tr), func(t *testing.T) {
					sync(t, d, ruleset(settings))
					at := netip.AddrPortFrom(s.Router, 24000)
					f := forward(s.Addr(s.Client), tr, 24000, netip.AddrPortFrom(s.LAN, bed.EchoPort), time.Minute)
					change(t, d, []firewall.Forward{f})
					flow := startFlow(t, s.Client, tr, at)
					before := counters(t, d)[f.Key]
					f.Until = time.Now().Add(time.Hour)
					change(t, d, []firewall.Forward{f})
					time.Sleep(late)
					if r := flow.Report(); r.Cut != nil {
						t.Fatalf("a renewal cuts: %+v", *r.Cut)
					}
					if now := counters(t, d)[f.Key]; now.UpPackets <= before.UpPackets || now.DownPackets <= before.DownPackets {
						t.Errorf("after a renewal %+v, before %+v", now, before)
					}
					f.Target = netip.AddrPortFrom(s.Other, bed.EchoPort)
					now := time.Now()
					change(t, d, []firewall.Forward{f})
					cut(t, flow, bed.Cut{}, now.Add(late))
					flow.Stop()
					second := startFlow(t, s.Client, tr, at)
					now = time.Now()
					change(t, d, nil, f.Key)
					cut(t, second, bed.Cut{}, now.Add(late))
					second.Stop()
				})
			}
		}
	})
}

func counters(t *testing.T, d *iptables.Driver) map[firewall.Key]ownline.Traffic {
	t.Helper()
	all, err := d.Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// What a client tried too early does not stand in its way later.
func TestEarlyUDPClient(t *testing.T) {
	each(t, func(t *testing.T, b *bed.Bed, cfg iptables.Config) {
		serveWho(t, b.Lan)
		d := newDriver(t, b.Router, cfg)
		run(t, d)
		sync(t, d, ruleset(settings))
		for _, s := range sides(b) {
			// The host's own rules are silent about what is closed, so that the entry stays.
			for _, family := range []string{"iptables-", "ip6tables-"} {
				tell(t, b.Router, "", family+cfg.Variant, "-A", "INPUT", "-p", "udp", "--dport", "24000", "-j", "ACCEPT")
			}
			silent, err := b.Router.ListenUDP(netip.AddrPortFrom(s.Router, 24000))
			if err != nil {
				t.Fatal(err)
			}
			conn, err := s.Client.Dial("udp", netip.AddrPortFrom(s.Router, 24000), patience)
			if err != nil {
				t.Fatal(err)
			}
			ask := func() bool {
				_, _ = conn.Write([]byte("who?"))
				_ = conn.SetReadDeadline(time.Now().Add(silence))
				_, err := conn.Read(make([]byte, 100))
				return err == nil
			}
			if ask() {
				t.Fatal("open without a session")
			}
			sync(t, d, ruleset(settings, forward(s.Addr(s.Client), ownline.UDP, 24000, netip.AddrPortFrom(s.LAN, whoPort), time.Minute)))
			for end := time.Now().Add(patience); !ask(); {
				if time.Now().After(end) {
					t.Fatalf("%s: a client that tried too early stays out", s.Name)
				}
			}
			_ = conn.Close()
			_ = silent.Close()
		}
	})
}
