package e2e

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
)

// tolerance is what invariant 4 leaves an established flow after its session's end.
const tolerance = 100 * time.Millisecond

// Invariant 4: access ends at expiry for new and established connections, core alive or
// killed, TCP and UDP, IPv4 and IPv6, also to a service on the router itself; and nothing
// revives it.
func TestEstablishedFlowsAreCut(t *testing.T) {
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprintf("core killed %v", killed), func(t *testing.T) {
			s := start(t, world.Options{})
			markEverything(t, s.Bed.Router)
			client := s.Bed.Client1
			const life = 2500 * time.Millisecond
			type watched struct {
				name    string
				flow    *bed.Flow
				session world.Session
				to      netip.AddrPort
			}
			var flows []watched
			port := uint16(20100)
			for _, v6 := range []bool{false, true} {
				source := client.IPv4
				if v6 {
					source = client.IPv6
				}
				for name, service := range map[string]string{"tcp": s.echo, "udp": s.udp, "udp to the router": s.routerEcho} {
					port++
					x := s.open(service, source, life, port)
					network := name[:3]
					f, err := client.StartFlow(t.Context(), network, s.public(v6, port), bed.FlowOptions{})
					if err != nil {
						t.Fatalf("%s over IPv6 %v: %v", name, v6, err)
					}
					flows = append(flows, watched{fmt.Sprintf("%s, IPv6 %v", name, v6), f, x, s.public(v6, port)})
				}
			}
			if killed {
				if err := s.Core.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			for _, w := range flows {
				cut, err := w.flow.WaitCut(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				late := cut.Last.Sub(w.session.Expires)
				if late > tolerance || late < -tolerance {
					t.Errorf("%s: the last echo came %v after the end (%v)", w.name, late, cut.How)
				}
				t.Logf("%s: last echo %v after the end, then %s", w.name, late.Round(time.Millisecond), cut.How)
			}
			// The LAN's host goes on sending to whom it knows.
			for range 10 {
				_ = s.Servers.UDP.Push(s.Servers.UDP.Peers()...)
				_ = s.Servers.TCP.Push(s.Servers.TCP.Peers()...)
				time.Sleep(20 * time.Millisecond)
			}
			if killed {
				if err := s.Core.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := s.WaitConnected(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			// A later session on the same ports to another target revives nothing.
			other := s.create("/services", world.Map{
				"site": s.Site, "name": "other", "kind": "forward", "transport": "udp",
				"target": netip.AddrPortFrom(s.Bed.Lan.IPv4s[1], bed.EchoPort).String(), "target6": netip.AddrPortFrom(s.Bed.Lan.IPv6s[1], bed.EchoPort).String(),
			})
			for _, w := range flows {
				if w.session.Target.Port() == bed.EchoPort && w.name[:3] == "udp" {
					s.open(other, w.session.Source.Addr(), 5*time.Second, w.session.PublicPort)
				}
			}
			time.Sleep(300 * time.Millisecond)
			for _, w := range flows {
				r := w.flow.Stop()
				if !r.Revived.IsZero() {
					t.Errorf("%s: revived %v after the end", w.name, r.Revived.Sub(w.session.Expires))
				}
				if r.LastUnasked.After(w.session.Expires.Add(tolerance)) {
					t.Errorf("%s: the LAN's host got through %v after the end", w.name, r.LastUnasked.Sub(w.session.Expires))
				}
				if w.name[:3] == "tcp" {
					wantState(t, client, w.to, false)
				}
			}
		})
	}
}

// markEverything is another program's table that writes connection marks, as those for
// several uplinks do.
func markEverything(t *testing.T, router *bed.Host) {
	t.Helper()
	err := router.Do(func() error {
		c, err := nftables.New()
		if err != nil {
			return err
		}
		table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "multiwan"})
		for _, hook := range []*nftables.ChainHook{nftables.ChainHookPrerouting, nftables.ChainHookForward, nftables.ChainHookOutput} {
			chain := c.AddChain(&nftables.Chain{
				Name: fmt.Sprintf("mark%d", *hook), Table: table, Type: nftables.ChainTypeFilter, Hooknum: hook,
				Priority: nftables.ChainPriorityMangle,
			})
			c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
				&expr.Immediate{Register: 1, Data: binaryutil.NativeEndian.PutUint32(0xffffffff)},
				&expr.Ct{Key: expr.CtKeyMARK, Register: 1, SourceRegister: true},
			}})
		}
		return c.Flush()
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Section 4, conntrack: a UDP client that tried too early gets through once it may.
func TestEarlyUDP(t *testing.T) {
	s := start(t, world.Options{})
	conn, err := s.Bed.Client1.Dial("udp", s.public(false, 20200), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	talk := func() bool {
		if _, err := conn.Write([]byte("hello")); err != nil {
			return false
		}
		if err := conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		_, err := conn.Read(make([]byte, 100))
		return err == nil
	}
	for range 3 {
		if talk() {
			t.Fatal("UDP gets through before a session is open")
		}
	}
	s.open(s.udp, s.Bed.Client1.IPv4, time.Minute, 20200)
	eventually(t, 20*time.Second, "the same UDP flow gets through after the session was opened", talk)
}

// Other people's port forwards keep working, before, during and after ours.
func TestForeignDNAT(t *testing.T) {
	s := start(t, world.Options{})
	err := s.Bed.Router.Do(func() error {
		c, err := nftables.New()
		if err != nil {
			return err
		}
		table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "theirs"})
		chain := c.AddChain(&nftables.Chain{
			Name: "pre", Table: table, Type: nftables.ChainTypeNAT, Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityNATDest,
		})
		to := s.Bed.Lan.IPv4s[2].As4()
		c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
			&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(8443)},
			&expr.Immediate{Register: 1, Data: to[:]},
			&expr.Immediate{Register: 2, Data: binaryutil.BigEndian.PutUint16(bed.EchoPort)},
			&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1, RegProtoMin: 2, Specified: true},
		}})
		return c.Flush()
	})
	if err != nil {
		t.Fatal(err)
	}
	theirs := s.public(false, 8443)
	flow, err := s.Bed.Client1.StartFlow(t.Context(), "tcp", theirs, bed.FlowOptions{})
	if err != nil {
		t.Fatalf("their forward does not work before ours: %v", err)
	}
	x := s.open(s.echo, s.Bed.Client1.IPv4, time.Minute, 20300)
	wantState(t, s.Bed.Client1, s.public(false, 20300), true)
	wantState(t, s.Bed.Client1, theirs, true)
	wantState(t, s.Bed.Stranger, theirs, true)
	s.close(x.ID)
	wantState(t, s.Bed.Client1, s.public(false, 20300), false)
	wantState(t, s.Bed.Client1, theirs, true)
	time.Sleep(300 * time.Millisecond)
	if r := flow.Stop(); r.Cut != nil {
		t.Errorf("their established flow was cut: %+v", r.Cut)
	}
}

// Closing, like expiry, cuts what is established.
func TestCloseCuts(t *testing.T) {
	s := start(t, world.Options{})
	x := s.open(s.echo, s.Bed.Client1.IPv4, time.Minute, 20400)
	flow, err := s.Bed.Client1.StartFlow(t.Context(), "tcp", s.public(false, 20400), bed.FlowOptions{})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	began := time.Now()
	s.close(x.ID)
	took := time.Since(began)
	cut, err := flow.WaitCut(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if cut.Last.After(began.Add(took + tolerance)) {
		t.Errorf("the last echo came %v after the close was asked for", cut.Last.Sub(began))
	}
	wantState(t, s.Bed.Client1, s.public(false, 20400), false)
}

// A renewal keeps the flow, its port and its counters.
func TestRenewKeepsFlow(t *testing.T) {
	s := start(t, world.Options{})
	x := s.open(s.echo, s.Bed.Client1.IPv4, 1500*time.Millisecond, 20500)
	flow, err := s.Bed.Client1.StartFlow(t.Context(), "tcp", s.public(false, 20500), bed.FlowOptions{})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond)
	var renewed world.Session
	s.call("POST", "/sessions/"+x.ID+"/renew", world.Map{"for": "1m"}, &renewed)
	if renewed.PublicPort != 20500 || !renewed.Expires.After(x.Expires) {
		t.Errorf("renewed: %+v", renewed)
	}
	time.Sleep(2 * time.Second)
	if r := flow.Report(); r.Cut != nil {
		t.Errorf("a renewed session's flow was cut: %+v", r.Cut)
	}
	var seen uint64
	eventually(t, 20*time.Second, "counters", func() bool {
		now, err := s.API.Session(t.Context(), x.ID)
		if err != nil {
			t.Fatal(err)
		}
		seen = now.Traffic.UpBytes
		return seen > 0 && now.Traffic.DownBytes > 0
	})
	flow.Stop()
	t.Logf("%d bytes went up", seen)
}
