//go:build http3

package embedded

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// HTTP3 reports whether this build speaks it.
const HTTP3 = true

const (
	manyHello = 64  // handshakes under way, above which a source has to show that it is where it says
	mostHello = 512 // and above which there are no more
)

// overQUIC serves HTTP/3. As over TCP, a connection is bound to one service by its hello, and
// ends with what admits its source; requests are judged and relayed by the same code.
type overQUIC struct {
	s          *Server
	http       *http3.Server
	transports []*quic.Transport
	listeners  []*quic.Listener
	ctx        context.Context
	end        context.CancelFunc

	hellos atomic.Int64 // handshakes under way
}

func newOverQUIC(s *Server) (*overQUIC, error) {
	q := &overQUIC{s: s, http: &http3.Server{
		Handler: http.HandlerFunc(s.serveStream), MaxHeaderBytes: maxHead, IdleTimeout: idleTimeout,
		Logger: slog.New(slog.DiscardHandler), // strangers may not fill the log
	}}
	q.ctx, q.end = context.WithCancel(context.Background())
	open := s.open.Clone()
	open.MinVersion, open.NextProtos = tls.VersionTLS13, []string{http3.NextProtoH3}
	shut := s.shut.Clone()
	shut.MinVersion, shut.NextProtos = tls.VersionTLS13, open.NextProtos
	greeting := &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: open.NextProtos}
	greeting.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if s.bind(connOf(hello.Context()), hello.ServerName) {
			return open, nil
		}
		return shut, nil
	}
	for _, addr := range s.Listen {
		socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
		if err != nil {
			q.close()
			return nil, fmt.Errorf("listen for HTTP/3: %w", err)
		}
		// Whoever sends packets in the name of an admitted source costs no more than a few handshakes.
		suspect := func(net.Addr) bool { return q.hellos.Load() >= manyHello }
		t := &quic.Transport{Conn: socket, ConnContext: q.begin, VerifySourceAddress: suspect}
		q.transports = append(q.transports, t)
		// Listen takes no data before the handshake is over: it could be sent again by others.
		l, err := t.Listen(greeting, &quic.Config{
			HandshakeIdleTimeout: handshakeTimeout, MaxIdleTimeout: idleTimeout, KeepAlivePeriod: pingAfter,
			MaxIncomingStreams: maxStreams, MaxStreamReceiveWindow: 1 << 20, MaxConnectionReceiveWindow: 2 << 20,
		})
		if err != nil {
			q.close()
			return nil, fmt.Errorf("listen for HTTP/3: %w", err)
		}
		q.listeners = append(q.listeners, l)
	}
	return q, nil
}

// begin keeps a connection from its first packet to its end.
func (q *overQUIC) begin(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	if q.hellos.Add(1) > mostHello {
		q.hellos.Add(-1)
		return nil, errors.New("too many handshakes at a time")
	}
	raw := &quicConn{remote: info.RemoteAddr, greeted: sync.OnceFunc(func() { q.hellos.Add(-1) })}
	c := newConn(raw)
	if !q.s.track(c) {
		raw.greeted()
		return nil, net.ErrClosed
	}
	context.AfterFunc(ctx, func() {
		raw.greeted()
		q.s.untrack(c)
	})
	return withConn(ctx, c), nil
}

// run serves until close.
func (q *overQUIC) run() error {
	var all sync.WaitGroup
	defer all.Wait()
	failed := make(chan error, len(q.listeners))
	for _, l := range q.listeners {
		all.Go(func() { failed <- q.accept(l, &all) })
	}
	err := <-failed
	q.close()
	return err
}

func (q *overQUIC) accept(l *quic.Listener, all *sync.WaitGroup) error {
	for {
		conn, err := l.Accept(q.ctx)
		if err != nil {
			return err
		}
		c := connOf(conn.Context())
		if c != nil {
			c.Conn.(*quicConn).greeted()
		}
		if c == nil || c.route == nil || !c.Conn.(*quicConn).is(conn) {
			conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
			continue
		}
		all.Go(func() { _ = q.http.ServeQUICConn(conn) }) // how it ended is of no concern
	}
}

// close ends all connections.
func (q *overQUIC) close() {
	q.end()
	for _, l := range q.listeners {
		l.Close()
	}
	for _, t := range q.transports {
		t.Close()
		t.Conn.Close()
	}
	q.http.Close()
}

// quicConn is what a conn needs of a QUIC connection: where it is from, and that it can be
// closed, also while it is not known yet.
type quicConn struct {
	net.Conn // none
	remote   net.Addr
	greeted  func() // its handshake is over

	mu     sync.Mutex
	conn   *quic.Conn // nil before the handshake is over
	closed bool
}

// RemoteAddr is where the first packet came from. The kernel lets nothing through from where
// nobody is admitted, should the connection move.
func (c *quicConn) RemoteAddr() net.Addr { return c.remote }

// is reports whether the connection may still be served.
func (c *quicConn) is(conn *quic.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = conn
	return !c.closed
}

// Close ends the connection at once.
func (c *quicConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.conn == nil {
		return nil
	}
	return c.conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
}

// bodyOf finds out whether a request without a length has a body: over HTTP/3 nothing else
// tells. Those that begin by their method with the answer are not waited for.
func bodyOf(r *http.Request) error {
	if r.ProtoMajor != 3 || r.ContentLength >= 0 || !again(r.Method) {
		return nil
	}
	var first [1]byte
	switch n, err := io.ReadFull(r.Body, first[:]); {
	case n == 1:
		r.Body = &peeked{r.Body, first[:]}
	case errors.Is(err, io.EOF):
		r.ContentLength, r.Body = 0, http.NoBody
	default:
		return err
	}
	return nil
}

// peeked is a body whose first byte has been read.
type peeked struct {
	io.ReadCloser
	first []byte
}

func (p *peeked) Read(b []byte) (int, error) {
	if len(p.first) > 0 && len(b) > 0 {
		n := copy(b, p.first)
		p.first = p.first[n:]
		return n, nil
	}
	return p.ReadCloser.Read(b)
}

// altSvc tells browsers that they may come by HTTP/3, for a day (RFC 7838).
func altSvc(port uint16) string {
	return fmt.Sprintf(`h3=":%d"; ma=%d`, port, int((24 * time.Hour).Seconds()))
}
