package nft_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/nft"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
)

// late is how long after its end a session's flows may live (invariant 4).
const late = 100 * time.Millisecond

// cutOnTime checks that a flow was cut in time, a TCP connection with a reset. The machine's
// own lateness counts three times: it may hit the ping, the echo, and whoever notes it.
func cutOnTime(t *testing.T, f *bed.Flow, transport ownline.Transport, until time.Time, most func() time.Duration) {
	t.Helper()
	ctx, cancel := context.WithDeadline(t.Context(), until.Add(patience))
	defer cancel()
	cut, err := f.WaitCut(ctx)
	if err != nil {
		t.Fatal(err)
	}
	slack := late + 3*most()
	// A ping may have been on its way.
	if d := cut.At.Sub(until); d < -late || d > slack {
		t.Errorf("cut (%s) %s after the end of the session, last echo %s after, of at most %s", cut.How, d, cut.Last.Sub(until), slack)
	}
	if transport == ownline.TCP && cut.How != bed.Reset {
		t.Errorf("a TCP connection ends %s", cut.How)
	}
}

// Invariant 4: the kernel alone cuts established flows when their session ends, to the LAN
// and to the router itself, and nothing brings them back: not the other end's next packet,
// not a later session on the same port to another target.
func TestEstablishedFlowsEndOnTime(t *testing.T) {
	for name, cfg := range map[string]nft.Config{"by label": {}, "by mark": {UseMark: true}, "old kernel": {OldKernel: true}} {
		t.Run(name, func(t *testing.T) { testEndOnTime(t, cfg, nil) })
	}
}

// Invariant 4, with another table that overwrites the marks of all connections.
func TestForeignMarksOpenNothing(t *testing.T) {
	testEndOnTime(t, nft.Config{}, func(b *bed.Bed) {
		alter(t, b.Router, func(c *nftables.Conn) error {
			write := func(v byte) []expr.Any {
				return []expr.Any{
					&expr.Immediate{Register: 1, Data: []byte{v, v, v, v}},
					&expr.Ct{Key: expr.CtKeyMARK, Register: 1, SourceRegister: true},
				}
			}
			baseChain(c, "before", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, *nftables.ChainPriorityMangle, write(0xff))
			baseChain(c, "after", nftables.ChainTypeFilter, nftables.ChainHookPostrouting, *nftables.ChainPriorityMangle, write(0))
			return nil
		})
	})
}

func testEndOnTime(t *testing.T, cfg nft.Config, meddle func(*bed.Bed)) {
	b := bedtest.New(t)
	lan := servers(t, b)
	if meddle != nil {
		meddle(b)
	}
	localTCP, err := b.Router.TCPEcho(bed.EchoPort)
	if err != nil {
		t.Fatal(err)
	}
	localUDP, err := b.Router.UDPEcho(bed.EchoPort)
	if err != nil {
		t.Fatal(err)
	}
	d := newDriver(t, b.Router, cfg)
	type flow struct {
		*bed.Flow
		forward firewall.Forward
		side    side
	}
	var flows []flow
	want := ruleset(settings)
	most := lag(t)
	until := time.Now().Add(2 * time.Second)
	for _, s := range sides(b) {
		for _, tr := range transports {
			for i, target := range []netip.Addr{s.LAN, s.Inside} {
				f := forward(s.Addr(s.Client), tr, uint16(24000+i), netip.AddrPortFrom(target, bed.EchoPort), 0)
				f.Until = until
				want.Forwards[f.Key] = f
				flows = append(flows, flow{forward: f, side: s})
			}
		}
	}
	sync(t, d, want)
	for i, f := range flows {
		flows[i].Flow = startFlow(t, f.side.Client, f.forward.Transport, netip.AddrPortFrom(f.side.Router, f.forward.Port))
		if s := probe(f.side.Neighbour, f.forward.Transport, netip.AddrPortFrom(f.side.Router, f.forward.Port)); s != bed.Refused {
			t.Errorf("a neighbour finds port %d %s", f.forward.Port, s)
		}
	}
	if err := d.Close(); err != nil { // the daemon is dead from here on
		t.Fatal(err)
	}
	for _, f := range flows {
		t.Run(f.side.Name+" "+f.forward.Key.String(), func(t *testing.T) { cutOnTime(t, f.Flow, f.forward.Transport, until, most) })
	}

	// Nothing of what the clients still send arrives.
	time.Sleep(time.Until(until.Add(late)))
	got := -1 // what came before is still being counted
	for now := lan.UDP.Got() + localUDP.Got(); now != got; now = lan.UDP.Got() + localUDP.Got() {
		got = now
		time.Sleep(late + 3*most())
	}
	push := func() {
		for range 3 {
			lan.TCP.Push()
			lan.UDP.Push()
			localTCP.Push()
			localUDP.Push()
			time.Sleep(30 * time.Millisecond)
		}
	}
	push()
	if now := lan.UDP.Got() + localUDP.Got(); now != got {
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
		if !r.Revived.IsZero() || r.LastUnasked.After(until.Add(late+3*most())) {
			t.Errorf("%s to %s: revived %v, last unasked %v, end %v", f.forward.Key, f.forward.Target, r.Revived, r.LastUnasked, until)
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

// Invariant 4: closing cuts at once, a retarget cuts what went to the old target, and a
// renewal keeps flows and their counters.
func TestCloseRetargetRenew(t *testing.T) {
	for name, cfg := range map[string]nft.Config{"": {}, "old kernel": {OldKernel: true}} {
		t.Run(name, func(t *testing.T) {
			b := bedtest.New(t)
			servers(t, b)
			d := newDriver(t, b.Router, cfg)
			sync(t, d, ruleset(settings))
			each(t, b, func(t *testing.T, s side, tr ownline.Transport) {
				at := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(s.Router, port) }
				target := netip.AddrPortFrom(s.LAN, bed.EchoPort)
				closed := forward(s.Addr(s.Client), tr, 24001, target, time.Minute)
				moved := forward(s.Addr(s.Client), tr, 24002, target, time.Minute)
				change(t, d, []firewall.Forward{closed, moved})
				first := startFlow(t, s.Client, tr, at(24001))
				second := startFlow(t, s.Client, tr, at(24002))
				kept, third, before, end := renewed(t, d, s, tr, target)
				defer third.Stop()
				after := counters(t, d)[kept.Key]
				if before.UpPackets == 0 || after.UpPackets < before.UpPackets || after.DownBytes < before.DownBytes {
					t.Errorf("counted %+v before and %+v after a renewal", before, after)
				}

				most, now := lag(t), time.Now()
				moved.Target = netip.AddrPortFrom(s.Other, bed.EchoPort)
				change(t, d, []firewall.Forward{moved}, closed.Key)
				cutOnTime(t, first, tr, now, most)
				cutOnTime(t, second, tr, now, most)
				if st := probe(s.Client, tr, at(24001)); st != bed.Refused {
					t.Errorf("the closed port is %s", st)
				}
				if st := probe(s.Client, tr, at(24002)); st != bed.Open {
					t.Errorf("the other target is %s", st)
				}
				time.Sleep(time.Until(end.Add(late)))
				for _, f := range []*bed.Flow{first, second} {
					if r := f.Stop(); !r.Revived.IsZero() {
						t.Error("a flow revived")
					}
				}
				if r := third.Report(); r.Cut != nil {
					t.Errorf("a renewed flow was cut: %+v", *r.Cut)
				}
				change(t, d, nil, moved.Key, kept.Key)
			})
		})
	}
}

// renewed starts a flow and renews its session at a time when it has not ended: a machine
// under load needs more for that. It returns what was counted before, and the first end.
func renewed(t *testing.T, d *nft.Driver, s side, tr ownline.Transport, target netip.AddrPort) (f firewall.Forward, flow *bed.Flow, before ownline.Traffic, end time.Time) {
	t.Helper()
	for last := 300 * time.Millisecond; last < patience; last *= 2 {
		f = forward(s.Addr(s.Client), tr, 24003, target, last)
		end = f.Until
		change(t, d, []firewall.Forward{f})
		ctx, cancel := context.WithTimeout(t.Context(), last)
		flow, err := s.Client.StartFlow(ctx, string(tr), netip.AddrPortFrom(s.Router, 24003), bed.FlowOptions{})
		cancel()
		if err != nil {
			continue
		}
		before = counters(t, d)[f.Key]
		f.Until = time.Now().Add(time.Hour)
		change(t, d, []firewall.Forward{f})
		if time.Now().Before(end) {
			return f, flow, before, end
		}
		flow.Stop()
	}
	t.Fatal("this machine is too slow to renew a session before it ends")
	return f, nil, before, end
}

func counters(t *testing.T, d *nft.Driver) map[firewall.Key]ownline.Traffic {
	t.Helper()
	all, err := d.Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Counters are right to the packet and byte, per direction.
func TestCounters(t *testing.T) {
	b := bedtest.New(t)
	servers(t, b)
	d := newDriver(t, b.Router, nft.Config{})
	sync(t, d, ruleset(settings))
	for _, s := range sides(b) {
		f := forward(s.Addr(s.Client), ownline.UDP, 24000, netip.AddrPortFrom(s.LAN, bed.EchoPort), time.Minute)
		change(t, d, []firewall.Forward{f})
		c, err := s.Client.Dial("udp", netip.AddrPortFrom(s.Router, 24000), patience)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(patience))
		const sent, size = 5, 100
		for range sent {
			if _, err := c.Write(make([]byte, size)); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Read(make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
		}
		_ = c.Close()
		head := uint64(20 + 8)
		if s.LAN.Is6() {
			head = 40 + 8
		}
		want := ownline.Traffic{UpPackets: sent, DownPackets: sent, UpBytes: sent * (size + head), DownBytes: sent * (size + head)}
		if got := counters(t, d)[f.Key]; got != want {
			t.Errorf("%s: %+v, want %+v", s.Name, got, want)
		}
	}
}

// Errors about packets of a session come through, path MTU discovery needs them.
func TestErrorsOfTheNetworkPass(t *testing.T) {
	b := bedtest.New(t)
	d := newDriver(t, b.Router, nft.Config{})
	sync(t, d, ruleset(settings))
	each(t, b, func(t *testing.T, s side, tr ownline.Transport) {
		f := forward(s.Addr(s.Client), tr, 24000, netip.AddrPortFrom(s.LAN, 9), time.Minute)
		change(t, d, []firewall.Forward{f})
		drop := toPort(tr, 9)
		alter(t, b.Router, func(c *nftables.Conn) error { // so that the answer can only be the session's
			baseChain(c, "input", nftables.ChainTypeFilter, nftables.ChainHookInput, *nftables.ChainPriorityFilter,
				append(toPort(tr, 24000), &expr.Verdict{Kind: expr.VerdictDrop}), append(drop, &expr.Verdict{Kind: expr.VerdictDrop}))
			return nil
		})
		if st := probe(s.Client, tr, netip.AddrPortFrom(s.Router, 24000)); st != bed.Refused {
			t.Errorf("a closed port of the LAN is %s", st)
		}
	})
}

// Invariant 4 and 3: a UDP client that tried before its session was open, and so left a
// connection that is not ours, gets through on the same socket once it is open. A neighbour
// that tried the same does not.
func TestEarlyUDPClient(t *testing.T) {
	for _, background := range []bool{false, true} {
		b := bedtest.New(t)
		servers(t, b)
		d := newDriver(t, b.Router, nft.Config{})
		sync(t, d, ruleset(settings))
		if background {
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- d.Run(ctx) }()
			t.Cleanup(func() {
				stop()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		}
		var put []firewall.Forward
		early := map[string][2]interface {
			Write([]byte) (int, error)
			Read([]byte) (int, error)
			SetReadDeadline(time.Time) error
		}{}
		for _, s := range sides(b) {
			at := netip.AddrPortFrom(s.Router, 24000)
			// Somebody listens there, and does not answer: the entry of the connection lives.
			u, err := b.Router.ListenUDP(at)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = u.Close() }()
			conns := early[s.Name]
			for i, h := range []*bed.Host{s.Client, s.Neighbour} {
				c, err := h.Dial("udp", at, patience)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = c.Close() }()
				if _, err := c.Write([]byte("early")); err != nil {
					t.Fatal(err)
				}
				conns[i] = c
				_ = u.SetReadDeadline(time.Now().Add(patience))
				if _, _, err := u.ReadFromUDPAddrPort(make([]byte, 100)); err != nil {
					t.Fatal(err) // the entry is there once the packet is
				}
			}
			early[s.Name] = conns
			put = append(put, forward(s.Addr(s.Client), ownline.UDP, 24000, netip.AddrPortFrom(s.LAN, bed.EchoPort), time.Minute))
		}
		change(t, d, put)
		for family, conns := range early {
			for i, c := range conns {
				tries := 1
				if i == 0 && background { // which comes a moment later
					tries = int(patience / silence)
				}
				got, err := false, error(nil)
				for n := 0; tries > 0 && !got; tries-- {
					_, _ = c.Write([]byte("again"))
					wait := silence
					if i == 0 && !background {
						wait = patience
					}
					_ = c.SetReadDeadline(time.Now().Add(wait))
					n, err = c.Read(make([]byte, 100))
					got = n == 5 && err == nil
				}
				if got != (i == 0) {
					t.Errorf("%s, in the background %v: client %d got an answer: %v, %v", family, background, i, got, err)
				}
			}
		}
	}
}
