package embedded

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
)

// conn is the connection of a client, of TCP below TLS, or of QUIC. From the hello on it belongs to one
// route, and ends with that or with what admits its source.
type conn struct {
	net.Conn
	source netip.Addr
	route  *route // nil before the hello
	live   context.Context
	// ctx ends with the connection, and with what admits it.
	ctx  context.Context
	end  context.CancelFunc
	stop []func() bool

	heard atomic.Pointer[told] // of the last request

	held *held // nil: what is written goes out at once
	out  sync.Mutex

	once sync.Once
	done chan struct{} // closed with the connection
}

func newConn(tcp net.Conn) *conn {
	c := &conn{Conn: tcp, done: make(chan struct{})}
	c.ctx, c.end = context.WithCancel(withConn(context.Background(), c))
	if a, ok := tcp.RemoteAddr().(interface{ AddrPort() netip.AddrPort }); ok {
		c.source = a.AddrPort().Addr().Unmap().WithZone("")
	}
	return c
}

// configure binds a connection to the service that its hello names, if that is admitted to its
// source. Everybody else gets the same alert, whether there is such a service or not.
func (s *Server) configure(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if c, _ := hello.Conn.(*conn); s.bind(c, hello.ServerName) {
		return s.open, nil
	}
	return s.shut, nil
}

func (s *Server) bind(c *conn, name string) bool {
	r := s.table.Load().hosts[lower(name)]
	if c == nil || r == nil {
		return false
	}
	live, ok := s.Admit(r.service.ID, c.source)
	if !ok {
		return false
	}
	c.route, c.live = r, live
	c.stop = []func() bool{context.AfterFunc(live, c.cut), context.AfterFunc(r.ctx, c.cut)}
	return true
}

// held are records of TLS that wait to be written in one go.
type held struct{ b []byte }

var helds = sync.Pool{New: func() any { return &held{make([]byte, 0, room)} }}

// hold keeps what is written until send: TLS writes each of its records, 16 KB, by itself, and
// the calls to the kernel are most of the cost of a download.
func (c *conn) hold() {
	c.out.Lock()
	c.held = helds.Get().(*held)
	c.out.Unlock()
}

func (c *conn) send() error {
	c.out.Lock()
	defer c.out.Unlock()
	h := c.held
	c.held = nil
	_, err := c.Conn.Write(h.b)
	h.b = h.b[:0]
	helds.Put(h)
	return err
}

// Write writes what TLS has made.
func (c *conn) Write(p []byte) (int, error) {
	c.out.Lock()
	defer c.out.Unlock()
	if c.held != nil {
		c.held.b = append(c.held.b, p...)
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// cut ends the connection at once: what is still in the send buffer is thrown away.
func (c *conn) cut() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	c.Close()
	c.end()
}

// Close closes the connection; its owner learns it.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { close(c.done) })
	return err
}

// release lets go of what the connection holds on to.
func (c *conn) release() {
	for _, stop := range c.stop {
		stop()
	}
	c.end()
}

type connKey struct{}

func withConn(ctx context.Context, c *conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

func connOf(ctx context.Context) *conn {
	c, _ := ctx.Value(connKey{}).(*conn)
	return c
}

// tcpOf returns what lies below HTTP/2 and TLS.
func tcpOf(c net.Conn) *conn {
	if g, ok := c.(*guard); ok {
		if t, ok := g.Conn.(*tls.Conn); ok {
			below, _ := t.NetConn().(*conn)
			return below
		}
	}
	return nil
}

// told is what the proxy tells a service about its client: the same for all requests of a
// connection that name the same port.
type told struct {
	port                                   string // as the client wrote it
	host                                   string // that the client sees
	source, proto, hosts, ports, forwarded []string
}

func (c *conn) tell(port string) *told {
	if t := c.heard.Load(); t != nil && t.port == port {
		return t
	}
	t := &told{port: port, host: c.route.host, proto: []string{"https"}, ports: []string{"443"}}
	if port != "" {
		t.host += ":" + port
		t.ports = []string{port}
	}
	source := c.source.String()
	node := source
	if strings.Contains(source, ":") {
		node = `"[` + source + `]"` // RFC 7239, section 6
	}
	t.source, t.hosts = []string{source}, []string{t.host}
	t.forwarded = []string{"for=" + node + `;host="` + t.host + `";proto=https`}
	c.heard.Store(t)
	return t
}
