package bed

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// Host is one network namespace of a bed.
type Host struct {
	Name string // client1, router, …
	Link string // its interface towards the internet; on internet itself: empty

	IPv4, IPv6   netip.Addr   // the addresses it uses unless told otherwise
	IPv4s, IPv6s []netip.Addr // all of them, the above first

	bed  *Bed
	ns   *namespace
	from netip.Addr // set by From
}

// From returns a view of the same host whose dials, probes and flows of a's family use a as
// their source address, and whose IPv4 or IPv6 is a. The host must own a (see AddAddr).
func (h *Host) From(a netip.Addr) *Host {
	view := *h
	view.from = a
	if a.Is4() {
		view.IPv4 = a
	} else {
		view.IPv6 = a
	}
	return &view
}

// Do runs fn on an operating system thread that lives in the host's namespace, and returns
// its error. Sockets and processes made by fn itself, not by goroutines that it starts,
// belong to the namespace for good and may be used anywhere. Several calls run at the same
// time, each on a thread of its own. The threads live until Close, so a child's Pdeathsig
// works as if the process as a whole were its parent. A panic in fn ends the program; fn
// must not call runtime.Goexit, which t.FailNow does.
func (h *Host) Do(fn func() error) error { return h.ns.do(fn) }

// DialContext connects to address, which must be a literal address with a port, from a
// socket on this host. It fits http.Transport.
func (h *Host) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial from %s: %w", h.Name, err)
	}
	return h.dial(ctx, network, netip.AddrPort{}, to)
}

// Dial connects to an address over network "tcp" or "udp", waiting at most for timeout.
func (h *Host) Dial(network string, to netip.AddrPort, timeout time.Duration) (net.Conn, error) {
	return h.DialFrom(network, netip.AddrPort{}, to, timeout)
}

// DialFrom is Dial with a chosen source address and port. The zero address means the host's
// choice, the port 0 the kernel's.
func (h *Host) DialFrom(network string, from, to netip.AddrPort, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return h.dial(ctx, network, from, to)
}

func (h *Host) dial(ctx context.Context, network string, from, to netip.AddrPort) (net.Conn, error) {
	return h.dialWith(ctx, net.Dialer{}, network, from, to)
}

func (h *Host) dialWith(ctx context.Context, d net.Dialer, network string, from, to netip.AddrPort) (conn net.Conn, err error) {
	d.KeepAlive = -1 // what crosses the wire is only what the test sends
	if !from.Addr().IsValid() && h.from.IsValid() && h.from.Is4() == to.Addr().Is4() {
		from = netip.AddrPortFrom(h.from, from.Port())
	}
	if from.IsValid() {
		switch network {
		case "tcp", "tcp4", "tcp6":
			d.LocalAddr = net.TCPAddrFromAddrPort(from)
		default:
			d.LocalAddr = net.UDPAddrFromAddrPort(from)
		}
	}
	err = h.Do(func() error {
		conn, err = d.DialContext(ctx, network, to.String())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("from %s: %w", h.Name, err)
	}
	return conn, nil
}

// ListenTCP listens on the host. Port 0 lets the kernel choose.
func (h *Host) ListenTCP(at netip.AddrPort) (*net.TCPListener, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // a server like any other
	var l net.Listener
	err := h.Do(func() (err error) {
		l, err = lc.Listen(context.Background(), "tcp", at.String())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("on %s: %w", h.Name, err)
	}
	return l.(*net.TCPListener), nil
}

// ListenUDP makes an unconnected UDP socket on the host. Port 0 lets the kernel choose.
func (h *Host) ListenUDP(at netip.AddrPort) (*net.UDPConn, error) {
	return h.listenUDP(net.ListenConfig{}, at)
}

func (h *Host) listenUDP(lc net.ListenConfig, at netip.AddrPort) (*net.UDPConn, error) {
	var c net.PacketConn
	err := h.Do(func() (err error) {
		c, err = lc.ListenPacket(context.Background(), "udp", at.String())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("on %s: %w", h.Name, err)
	}
	return c.(*net.UDPConn), nil
}

// SendUDP sends one datagram from the host, from a fresh port of its own, and does not wait
// for an answer.
func (h *Host) SendUDP(to netip.AddrPort, payload []byte) error {
	conn, err := h.dial(context.Background(), "udp", netip.AddrPort{}, to)
	if err != nil {
		return err
	}
	_, err = conn.Write(payload)
	if cerr := conn.Close(); err == nil {
		err = cerr
	}
	return err
}

// addrs returns those given, or all addresses of the host if there are none.
func (h *Host) addrs(given []netip.Addr) []netip.Addr {
	if len(given) > 0 {
		return given
	}
	return append(append([]netip.Addr(nil), h.IPv4s...), h.IPv6s...)
}
