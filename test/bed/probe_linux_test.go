package bed_test

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
)

func both(h *bed.Host, port uint16) []netip.AddrPort {
	return []netip.AddrPort{netip.AddrPortFrom(h.IPv4, port), netip.AddrPortFrom(h.IPv6, port)}
}

// waitFor is how long a probe waits that should find this.
func waitFor(s bed.State) time.Duration {
	if s == bed.Silent {
		return brief
	}
	return patience
}

func TestProbesTellStatesApart(t *testing.T) {
	b := bedtest.New(t)
	if _, err := b.Router.TCPEcho(bed.EchoPort); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Router.UDPEcho(bed.EchoPort); err != nil {
		t.Fatal(err)
	}
	dropPort(t, b.Router, 9)
	probe := func(at netip.AddrPort, tcp, udp bed.State) {
		t.Helper()
		if r := b.Client1.ConnectTCP(at, waitFor(tcp)); r.State != tcp {
			t.Errorf("TCP %s: %s, want %s", at, r, tcp)
		}
		if r := b.Client1.ProbeUDP(at, []byte("x"), waitFor(udp)); r.State != udp {
			t.Errorf("UDP %s: %s, want %s", at, r, udp)
		}
	}
	for i := range 2 {
		probe(both(b.Router, bed.EchoPort)[i], bed.Open, bed.Open)
		probe(both(b.Router, 8)[i], bed.Refused, bed.Refused)
		probe(both(b.Router, 9)[i], bed.Silent, bed.Silent)
		probe(both(b.Lan, bed.EchoPort)[i], bed.Unreachable, bed.Unreachable)
	}
	// Many closed ports in a row: the kernel must not begin to keep its errors to itself.
	for range 100 {
		for _, at := range both(b.Router, 8) {
			if r := b.Client1.ProbeUDP(at, []byte("x"), patience); r.State != bed.Refused {
				t.Fatalf("UDP %s: %s, want refused each time", at, r)
			}
		}
	}
}

func TestSweep(t *testing.T) {
	b := bedtest.New(t)
	want := []uint16{7, 1500, 2999}
	for _, p := range want {
		if _, err := b.Router.TCPEcho(p); err != nil {
			t.Fatal(err)
		}
	}
	dropPort(t, b.Router, 9)
	ports := make([]uint16, 3000)
	for i := range ports {
		ports[i] = uint16(i + 1)
	}
	for _, at := range []netip.Addr{b.Router.IPv4, b.Router.IPv6} {
		s := b.Stranger.SweepTCP(t.Context(), at, ports, 32, patience/4)
		open := s.Ports(bed.Open)
		slices.Sort(open)
		if !slices.Equal(open, want) || len(s.Ports(bed.Refused)) != 2996 || !slices.Equal(s.Ports(bed.Silent), []uint16{9}) {
			t.Errorf("%s: open %v, silent %v, %d refused", at, open, s.Ports(bed.Silent), len(s.Ports(bed.Refused)))
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if s := b.Stranger.SweepTCP(ended, b.Router.IPv4, ports, 32, patience); len(s) != 0 {
		t.Errorf("%d ports tried although the context had ended", len(s))
	}
}

// dropPort makes a host drop everything that comes to a TCP or UDP port, and returns what
// takes that away again.
func dropPort(t *testing.T, h *bed.Host, port uint16) (undo func()) {
	t.Helper()
	c, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	table := c.AddTable(&nftables.Table{Name: "test", Family: nftables.TableFamilyINet})
	for _, hook := range []*nftables.ChainHook{nftables.ChainHookInput, nftables.ChainHookForward} {
		chain := c.AddChain(&nftables.Chain{
			Name: "chain" + string(rune('0'+*hook)), Table: table, Hooknum: hook,
			Type: nftables.ChainTypeFilter, Priority: nftables.ChainPriorityFilter,
		})
		c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
			&expr.Cmp{Register: 1, Op: expr.CmpOpEq, Data: []byte{byte(port >> 8), byte(port)}},
			&expr.Verdict{Kind: expr.VerdictDrop},
		}})
	}
	if err := h.Do(c.Flush); err != nil { // opens its socket there
		t.Fatal(err)
	}
	return func() {
		c.DelTable(table)
		if err := h.Do(c.Flush); err != nil {
			t.Error(err)
		}
	}
}

func TestFlow(t *testing.T) {
	b := bedtest.New(t)
	tcp, err := b.Router.TCPEcho(bed.EchoPort)
	if err != nil {
		t.Fatal(err)
	}
	udp, err := b.Router.UDPEcho(bed.EchoPort)
	if err != nil {
		t.Fatal(err)
	}
	for _, network := range []string{"tcp", "udp"} {
		for _, at := range both(b.Router, bed.EchoPort) {
			t.Run(network+" "+at.String(), func(t *testing.T) {
				opts := bed.FlowOptions{Quiet: time.Second} // a busy machine pauses for less
				f, err := b.Client1.StartFlow(t.Context(), network, at, opts)
				if err != nil {
					t.Fatal(err)
				}
				push := tcp.Push
				if network == "udp" {
					push = udp.Push
				}
				if n := push(f.Local()); n != 1 {
					t.Errorf("pushed to %d peers, want 1", n)
				}
				eventually(t, "echoes and what was pushed", func() bool {
					r := f.Report()
					return r.Echoes > 20 && r.Unasked == 1
				})
				if r := f.Report(); r.Cut != nil || !r.Revived.IsZero() {
					t.Errorf("a running flow reports %+v", r)
				}

				dropped := time.Now()
				undo := dropPort(t, b.Router, bed.EchoPort)
				cut := waitCut(t, f)
				if late := cut.At.Sub(dropped); cut.How != bed.Silent || late < -50*time.Millisecond || late > 2*time.Second {
					t.Errorf("cut %+v, %s after the port was dropped", cut, late)
				}
				if cut.Last.After(cut.At) || cut.At.Sub(cut.Last) > time.Second {
					t.Errorf("last echo %s before the cut", cut.At.Sub(cut.Last))
				}
				undone := time.Now()
				undo()
				eventually(t, "revived", func() bool { return !f.Report().Revived.IsZero() })
				if r := f.Stop(); r.Revived.Before(undone) || r.Cut == nil || *r.Cut != cut {
					t.Errorf("revived %s, undone %s, cut %+v", r.Revived, undone, r.Cut)
				}
			})
		}
	}
	t.Run("udp port closed", func(t *testing.T) {
		f := startFlow(t, b.Client1, "udp", both(b.Router, bed.EchoPort)[0])
		if err := udp.Close(); err != nil {
			t.Fatal(err)
		}
		if cut := waitCut(t, f); cut.How != bed.Refused {
			t.Errorf("cut %+v, want refused", cut)
		}
	})
	t.Run("tcp closed", func(t *testing.T) {
		f := startFlow(t, b.Client1, "tcp", both(b.Router, bed.EchoPort)[1])
		if err := tcp.Close(); err != nil {
			t.Fatal(err)
		}
		// With a ping unread the kernel resets, else it closes in order.
		if cut := waitCut(t, f); cut.How != bed.Closed && cut.How != bed.Reset {
			t.Errorf("cut %+v, want closed or reset", cut)
		}
	})
	t.Run("tcp reset", func(t *testing.T) {
		l, err := b.Router.ListenTCP(netip.AddrPortFrom(b.Router.IPv4, 8))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		conns := make(chan *net.TCPConn, 1)
		go func() {
			c, err := l.AcceptTCP()
			if err != nil {
				return
			}
			buf := make([]byte, 16)
			if _, err := c.Read(buf); err == nil {
				_, _ = c.Write(buf)
			}
			conns <- c
		}()
		f := startFlow(t, b.Client1, "tcp", both(b.Router, 8)[0])
		c := <-conns
		if err := c.SetLinger(0); err != nil {
			t.Fatal(err)
		}
		c.Close()
		if cut := waitCut(t, f); cut.How != bed.Reset {
			t.Errorf("cut %+v, want reset", cut)
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		if f, err := b.Client1.StartFlow(t.Context(), "udp", both(b.Router, 8)[0], bed.FlowOptions{}); err == nil {
			t.Errorf("a flow started to a closed port: %+v", f.Report())
		}
		ctx, cancel := context.WithTimeout(t.Context(), brief)
		defer cancel()
		dropPort(t, b.Router, 9)
		if f, err := b.Client1.StartFlow(ctx, "udp", both(b.Router, 9)[0], bed.FlowOptions{}); err == nil {
			t.Errorf("a flow started to a silent port: %+v", f.Report())
		}
	})
}

func startFlow(t *testing.T, h *bed.Host, network string, at netip.AddrPort) *bed.Flow {
	t.Helper()
	f, err := h.StartFlow(t.Context(), network, at, bed.FlowOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Stop() })
	return f
}

func waitCut(t *testing.T, f *bed.Flow) bed.Cut {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cut, err := f.WaitCut(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return cut
}

// A datagram of one host, recorded on its way, is sent again by another.
func TestCapture(t *testing.T) {
	b := bedtest.New(t)
	server, err := b.Router.UDPEcho(54754)
	if err != nil {
		t.Fatal(err)
	}
	for i, at := range both(b.Router, 54754) {
		tap, err := b.Router.Capture("wan0", bed.Filter{Protocol: bed.UDP, Port: 54754})
		if err != nil {
			t.Fatal(err)
		}
		// Not wanted: another port, another protocol.
		b.Client1.ProbeUDP(both(b.Router, 8)[i], []byte("noise"), patience)
		b.Client1.ConnectTCP(at, patience)
		if err := b.Client1.SendUDP(at, []byte("knock")); err != nil {
			t.Fatal(err)
		}
		p, err := tap.Next(t.Context())
		client := []netip.Addr{b.Client1.IPv4, b.Client1.IPv6}[i]
		if err != nil || string(p.Payload) != "knock" || p.Src.Addr() != client || p.Dst != at {
			t.Fatalf("recorded %+v, %v", p, err)
		}
		if r := b.Stranger.ProbeUDP(at, p.Payload, patience); r.State != bed.Open || string(r.Answer) != "knock" {
			t.Errorf("sent again by the stranger: %s", r)
		}
		if peers := server.Peers(); len(peers) != 2*(i+1) {
			t.Errorf("the server has heard of %v", peers)
		}
		// The answer to the client, the stranger's datagram, and the answer to that.
		var more []bed.Packet
		eventually(t, "three more packets", func() bool {
			got, err := tap.Drain()
			if err != nil {
				t.Fatal(err)
			}
			more = append(more, got...)
			return len(more) >= 3
		})
		for _, m := range more {
			if string(m.Payload) != "knock" || m.Protocol != bed.UDP {
				t.Errorf("recorded %+v", m)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if p, err := tap.Next(ctx); err == nil {
			t.Errorf("recorded %+v, want nothing", p)
		}
		cancel()
		if err := tap.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestSpoof(t *testing.T) {
	b := bedtest.New(t)
	for i, at := range both(b.Router, 9) {
		claimed := netip.AddrPortFrom([]netip.Addr{b.Client2.IPv4, b.Client2.IPv6}[i], 4000)
		c, err := b.Router.ListenUDP(at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := b.Stranger.SpoofUDP(claimed, at, []byte("it is me")); err != nil {
			t.Fatal(err)
		}
		if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil || from != claimed || string(buf[:n]) != "it is me" {
			t.Errorf("got %q from %s, %v; want it from %s", buf[:n], from, err, claimed)
		}
	}
}

// What one host does concurrently stays on that host, and off the host around the bed.
func TestDoStaysInItsNamespace(t *testing.T) {
	b := bedtest.New(t)
	inode := func() uint64 {
		var st unix.Stat_t
		if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
			t.Error(err)
		}
		return st.Ino
	}
	outside := inode()
	seen := make(map[uint64]string)
	for _, h := range b.Hosts() {
		want := uint64(0)
		_ = h.Do(func() error { want = inode(); return nil })
		if other, ok := seen[want]; ok || want == outside {
			t.Errorf("%s shares a namespace with %q", h.Name, other)
		}
		seen[want] = h.Name
		// All at once: each waits until the last has begun.
		const n = 8
		begun := make(chan struct{}, n)
		all := make(chan struct{})
		errs := make(chan error, n)
		for range n {
			go func() {
				errs <- h.Do(func() error {
					begun <- struct{}{}
					<-all
					if got := inode(); got != want {
						t.Errorf("%s: namespace %d, want %d", h.Name, got, want)
					}
					return nil
				})
			}()
		}
		for range n {
			<-begun
		}
		close(all)
		for range n {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	}
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/net", &st); err != nil || st.Ino != outside {
		t.Errorf("the process's namespace is %d, %v; was %d", st.Ino, err, outside)
	}
}

// What runs on a host does not find the message bus of the machine, where its firewall could be asked to change.
func TestNoMessageBus(t *testing.T) {
	b := bedtest.New(t)
	var out strings.Builder
	cmd := b.Router.Command(t.Context(), "/bin/sh", "-c", "echo $DBUS_SYSTEM_BUS_ADDRESS")
	cmd.Stdout = &out
	if err := b.Router.Run(cmd); err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(out.String()); got != "unix:path=/nonexistent" {
		t.Errorf("the bus is at %q", got)
	}
}
