package bed

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
)

// Ports of the servers that StartServers starts.
const (
	EchoPort uint16 = 7
	HTTPPort uint16 = 80
)

// Server is a set of sockets on one host, one for each address, all serving the same. It
// ends with Close or with the bed.
type Server struct {
	Addrs []netip.AddrPort // where it listens, in the order of the addresses it was given

	wg   sync.WaitGroup
	once sync.Once
	end  func() error
}

// Close ends the server, cuts its connections and waits for its goroutines.
func (s *Server) Close() error {
	var err error
	s.once.Do(func() {
		err = s.end()
		s.wg.Wait()
	})
	return err
}

// Servers are those of the LAN, on all its addresses.
type Servers struct {
	TCP  *TCPEcho // EchoPort
	UDP  *UDPEcho // EchoPort
	HTTP *Server  // HTTPPort; see Host.HTTP
}

// StartServers starts the usual servers on the LAN.
func (b *Bed) StartServers() (*Servers, error) {
	tcp, err := b.Lan.TCPEcho(EchoPort)
	if err != nil {
		return nil, err
	}
	udp, err := b.Lan.UDPEcho(EchoPort)
	if err != nil {
		return nil, err
	}
	web, err := b.Lan.HTTP(HTTPPort)
	if err != nil {
		return nil, err
	}
	return &Servers{TCP: tcp, UDP: udp, HTTP: web}, nil
}

// frameSize is the length of what flows and Push send; see Flow.
const frameSize = 16

// unasked is what Push sends: data that no client has asked for.
var unasked = [frameSize]byte([]byte("bed: not asked.\n"))

// TCPEcho sends back what it gets, byte for byte.
type TCPEcho struct {
	Server
	mu    sync.Mutex
	conns map[netip.AddrPort]net.Conn
}

// TCPEcho starts a TCP echo server on a port of the addresses given, or on all of the host.
func (h *Host) TCPEcho(port uint16, at ...netip.Addr) (*TCPEcho, error) {
	s := &TCPEcho{conns: make(map[netip.AddrPort]net.Conn)}
	listeners, err := h.listenAll(port, at)
	if err != nil {
		return nil, fmt.Errorf("start TCP echo: %w", err)
	}
	for _, l := range listeners {
		s.Addrs = append(s.Addrs, addrPort(l.Addr()))
		s.wg.Go(func() { s.accept(l) })
	}
	s.end = func() error {
		err := closeAll(listeners)
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, c := range s.conns {
			_ = c.Close() // may have ended by itself
		}
		s.conns = nil
		return err
	}
	return s, h.bed.own(s.Close)
}

func (s *TCPEcho) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return // closed
		}
		s.mu.Lock()
		if s.conns == nil {
			s.mu.Unlock()
			_ = c.Close()
			return
		}
		s.conns[addrPort(c.RemoteAddr())] = c
		s.wg.Go(func() { s.echo(c) })
		s.mu.Unlock()
	}
}

func (s *TCPEcho) echo(c net.Conn) {
	_, _ = io.Copy(c, c) // ends with the connection, in whatever way
	_ = c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if peer := addrPort(c.RemoteAddr()); s.conns[peer] == c {
		delete(s.conns, peer)
	}
}

// Peers returns the clients of the open connections, as the server sees them.
func (s *TCPEcho) Peers() []netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	return keys(s.conns)
}

// Push sends 16 bytes that were not asked for to the peers given, or to all, and reports to
// how many. A Flow counts them apart from its echoes.
func (s *TCPEcho) Push(peers ...netip.AddrPort) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, p := range orAll(peers, s.conns) {
		if c := s.conns[p]; c != nil {
			if _, err := c.Write(unasked[:]); err == nil {
				n++
			}
		}
	}
	return n
}

// UDPEcho sends back every datagram from the address that it was sent to.
type UDPEcho struct {
	Server
	mu    sync.Mutex
	peers map[netip.AddrPort]*net.UDPConn // which socket last heard of a peer
	got   int
}

// UDPEcho starts a UDP echo server on a port of the addresses given, or on all of the host.
func (h *Host) UDPEcho(port uint16, at ...netip.Addr) (*UDPEcho, error) {
	s := &UDPEcho{peers: make(map[netip.AddrPort]*net.UDPConn)}
	var socks []*net.UDPConn
	for _, a := range h.addrs(at) {
		c, err := h.ListenUDP(netip.AddrPortFrom(a, port))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("start UDP echo: %w", err), closeAll(socks))
		}
		socks = append(socks, c)
		s.Addrs = append(s.Addrs, addrPort(c.LocalAddr()))
	}
	for _, c := range socks {
		s.wg.Go(func() { s.echo(c) })
	}
	s.end = func() error { return closeAll(socks) }
	return s, h.bed.own(s.Close)
}

func (s *UDPEcho) echo(c *net.UDPConn) {
	buf := make([]byte, 1<<16)
	for {
		n, peer, err := c.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error for an earlier answer
		}
		s.mu.Lock()
		s.peers[peer] = c
		s.got++
		s.mu.Unlock()
		_, _ = c.WriteToUDPAddrPort(buf[:n], peer) // UDP promises nothing
	}
}

// Got returns the number of datagrams received so far.
func (s *UDPEcho) Got() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got
}

// Peers returns everyone who has sent something, as the server sees them.
func (s *UDPEcho) Peers() []netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	return keys(s.peers)
}

// Push sends a datagram of 16 bytes that was not asked for to the peers given, or to all,
// each from the socket that heard of it, and reports to how many. A Flow counts them apart
// from its echoes.
func (s *UDPEcho) Push(peers ...netip.AddrPort) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, p := range orAll(peers, s.peers) {
		if c := s.peers[p]; c != nil {
			if _, err := c.WriteToUDPAddrPort(unasked[:], p); err == nil {
				n++
			}
		}
	}
	return n
}

// listenAll listens on a port of every address; on an error it listens on none.
func (h *Host) listenAll(port uint16, at []netip.Addr) ([]*net.TCPListener, error) {
	var ls []*net.TCPListener
	for _, a := range h.addrs(at) {
		l, err := h.ListenTCP(netip.AddrPortFrom(a, port))
		if err != nil {
			return nil, errors.Join(err, closeAll(ls))
		}
		ls = append(ls, l)
	}
	return ls, nil
}

func closeAll[C io.Closer](cs []C) error {
	var errs []error
	for _, c := range cs {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

func keys[V any](m map[netip.AddrPort]V) []netip.AddrPort {
	out := make([]netip.AddrPort, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	return out
}

func orAll[V any](peers []netip.AddrPort, m map[netip.AddrPort]V) []netip.AddrPort {
	if len(peers) > 0 {
		return peers
	}
	return keys(m)
}

// addrPort is the address of a TCP or UDP socket, IPv4 as such.
func addrPort(a net.Addr) netip.AddrPort {
	p := netip.MustParseAddrPort(a.String())
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}
