package link

import (
	"net"
	"net/netip"
	"sync"
)

// Of the link's connections, a site needs one: what goes beyond these limits is nobody's
// loss but a stranger's, who could otherwise fill memory or keep everybody else out.
const (
	crowdTotal     = 512
	crowdPerSource = 4
)

// crowd counts who is at the door. One source, an IPv4 address or an IPv6 /64, can't take
// the place of others.
type crowd struct {
	mu     sync.Mutex // guards the following
	total  int
	source map[netip.Prefix]int
}

func newCrowd() *crowd { return &crowd{source: make(map[netip.Prefix]int)} }

// enter reports whether there is room; leave must be called once then.
func (c *crowd) enter(from net.Addr) (leave func(), ok bool) {
	source := sourceOf(from)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.total >= crowdTotal || c.source[source] >= crowdPerSource {
		return nil, false
	}
	c.total++
	c.source[source]++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.total--
		if c.source[source]--; c.source[source] == 0 {
			delete(c.source, source)
		}
	}, true
}

func sourceOf(from net.Addr) netip.Prefix {
	a, ok := from.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	addr := a.AddrPort().Addr().Unmap().WithZone("")
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	p, _ := addr.Prefix(bits) // fails only for lengths that no address has
	return p
}

// crowdedListener closes connections for which there is no room.
type crowdedListener struct {
	net.Listener
	crowd *crowd
}

// Accept returns the next connection that has room.
func (l crowdedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if leave, ok := l.crowd.enter(conn.RemoteAddr()); ok {
			return &crowdedConn{Conn: conn, leave: sync.OnceFunc(leave)}, nil
		}
		conn.Close()
	}
}

// crowdedConn makes room when it is closed.
type crowdedConn struct {
	net.Conn
	leave func()
}

// Close closes the connection; it may be called more than once.
func (c *crowdedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
