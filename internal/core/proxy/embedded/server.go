// Package embedded: reverse proxy inside core. A connection is bound to one service by the
// name in its TLS hello, before a certificate is shown, and ends with the session that admits
// its source. HTTP/2 is net/http's server; HTTP/1.1 is a loop of our own around net/http's
// readers, which judges every head by stricter rules than they do. What reaches the
// service is written anew, never passed on as it came.
package embedded

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ownline/ownline/internal/core/proxy"
	"github.com/ownline/ownline/internal/core/proxy/login"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/logging"
)

// Config is what a Server is made of.
type Config struct {
	Settings     proxy.Settings
	Listen       []netip.AddrPort // core's own addresses, where the kernel leads sessions
	Certificates proxy.Certificates
	Admit        proxy.Admission
	Logins       Logins       // nil: services that require a login are refused to everybody
	HTTP3        bool         // as well, where the build has it
	AccessLog    *slog.Logger // a line per request; nil: none
	Logger       *slog.Logger
}

// Logins stand in front of services that require one.
type Logins interface {
	// Admit judges a request. Its connection is cut when live ends; otherwise instead is answered.
	Admit(login.Request) (live context.Context, instead *login.Reply)
}

const (
	handshakeTimeout = 10 * time.Second
	headTimeout      = 10 * time.Second // from the first byte of a request's head to its last
	idleTimeout      = 3 * time.Minute  // between requests; nothing limits a request
	pingAfter        = time.Minute      // of silence on HTTP/2: is the client still there?
	maxHead          = 64 << 10         // bytes of a request's head
	maxStreams       = 250              // requests at a time on one HTTP/2 connection
)

// Server is the driver. It listens from New on, and serves while it runs.
type Server struct {
	Config
	table     atomic.Pointer[table]
	listeners []net.Listener
	next      chan net.Conn // for a goroutine that has greeted one
	done      chan struct{} // closed with the server
	greeting  *tls.Config   // until the hello is read
	open      *tls.Config   // for whom a service is known and admitted
	shut      *tls.Config   // for everybody else: ends in an alert
	http2     *http.Server
	handover  *handover // connections that agreed on HTTP/2
	quic      *overQUIC // nil: no HTTP/3
	alt       []string  // Alt-Svc; nil: no HTTP/3

	mu     sync.Mutex
	conns  map[*conn]struct{} // nil once closed
	loops  sync.WaitGroup     // of connections and listeners
	busy   sync.RWMutex       // read-held by each request over HTTP/2 and HTTP/3
	closed atomic.Bool
}

// New listens. A server that is never run has to be closed.
func New(c Config) (*Server, error) {
	s := &Server{Config: c, conns: map[*conn]struct{}{}, handover: newHandover(), next: make(chan net.Conn), done: make(chan struct{})}
	s.table.Store(new(table))
	s.open = &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: c.Certificates.Certificate,
		// Small records at first help a page begin to show over a slow line by some
		// milliseconds, and cost a third of the throughput of a download.
		DynamicRecordSizingDisabled: true,
	}
	s.shut = &tls.Config{
		MinVersion:             tls.VersionTLS12,
		SessionTicketsDisabled: true,                                                                     // a ticket from before would spare the certificate, and the alert
		GetCertificate:         func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }, // alert unrecognized_name
	}
	s.greeting = &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: s.configure}
	var two http.Protocols
	two.SetUnencryptedHTTP2(true) // TLS is ended here; net/http never sees it
	s.http2 = &http.Server{
		Handler:           http.HandlerFunc(s.serveStream),
		Protocols:         &two,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHead,
		ReadHeaderTimeout: headTimeout, // of the preface
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          maxStreams,
			MaxReadFrameSize:              maxFrame,
			MaxReceiveBufferPerConnection: 2 << 20,
			MaxReceiveBufferPerStream:     1 << 20,
			SendPingTimeout:               pingAfter,
		},
		ErrorLog:    slog.NewLogLogger(c.Logger.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return withConn(ctx, tcpOf(c)) },
	}
	lc := listening()
	for _, addr := range c.Listen {
		l, err := lc.Listen(context.Background(), "tcp", addr.String())
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("listen for proxied services: %w", err)
		}
		s.listeners = append(s.listeners, l)
	}
	if c.HTTP3 {
		var err error
		if s.quic, err = newOverQUIC(s); err != nil {
			s.Close()
			return nil, err
		}
		s.alt = []string{altSvc(c.Settings.Port)}
	}
	return s, nil
}

// Apply makes the server serve exactly the given services. Connections of those that are gone
// or changed are closed; all others notice nothing.
func (s *Server) Apply(_ context.Context, services []link.Service) error {
	old := s.table.Load()
	next, err := s.build(services, old)
	if err != nil {
		return err
	}
	s.table.Store(next)
	for host, r := range old.hosts {
		if next.hosts[host] != r {
			r.close()
		}
	}
	return nil
}

// Run serves until ctx ends, and closes all connections then.
func (s *Server) Run(ctx context.Context) error {
	defer s.Close()
	failed := make(chan error, len(s.listeners)+2)
	for _, l := range s.listeners {
		s.loops.Go(func() { failed <- s.accept(l) })
	}
	s.loops.Go(func() { failed <- s.http2.Serve(s.handover) })
	if s.quic != nil {
		s.loops.Go(func() { failed <- s.quic.run() })
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return fmt.Errorf("serve proxied services: %w", err)
	}
}

// Close ends everything that was begun, and waits for it.
func (s *Server) Close() error {
	if !s.closed.Swap(true) {
		close(s.done)
	}
	for _, l := range s.listeners {
		l.Close()
	}
	s.mu.Lock()
	conns := s.conns
	s.conns = nil
	s.mu.Unlock()
	for c := range conns {
		c.cut()
	}
	s.handover.Close()
	s.http2.Close()
	if s.quic != nil {
		s.quic.close()
	}
	s.loops.Wait()
	s.busy.Lock() // every request is over
	defer s.busy.Unlock()
	for _, r := range s.table.Swap(new(table)).hosts {
		r.close()
	}
	return nil
}

func (s *Server) accept(l net.Listener) error {
	const shortest, longest = 5 * time.Millisecond, time.Second
	for wait := shortest; ; {
		c, err := l.Accept()
		if err == nil {
			wait = shortest
			select {
			case s.next <- c:
			default:
				s.loops.Go(func() { s.work(c) })
			}
			continue
		}
		if s.closed.Load() || errors.Is(err, net.ErrClosed) {
			return err
		}
		s.Logger.Warn("connection not accepted", logging.Err, err) // too many open files
		time.Sleep(wait)
		wait = min(2*wait, longest)
	}
}

// lull is how long a goroutine without a connection waits for one.
const lull = time.Second

// work greets one connection after the other. A handshake needs much of a stack, which a new
// goroutine would get in many steps, each a copy: a sixteenth of all that a handshake costs. What
// follows needs little, which is why a connection goes on in a goroutine of its own.
func (s *Server) work(c net.Conn) {
	idle := time.NewTimer(lull)
	defer idle.Stop()
	for {
		s.greet(c)
		idle.Reset(lull)
		select {
		case c = <-s.next:
		case <-idle.C:
			return
		case <-s.done:
			return
		}
	}
}

// greet brings a connection from its hello to where it is served.
func (s *Server) greet(tcp net.Conn) {
	c := newConn(tcp)
	if !s.track(c) {
		c.Close()
		return
	}
	t := tls.Server(c, s.greeting)
	t.SetDeadline(time.Now().Add(handshakeTimeout))
	if err := t.Handshake(); err != nil {
		s.Logger.Debug("handshake ended", logging.Source, c.source, logging.Err, err)
		c.Close()
		s.untrack(c)
		return
	}
	t.SetDeadline(time.Time{})
	s.loops.Go(func() {
		defer s.untrack(c)
		if t.ConnectionState().NegotiatedProtocol == "h2" {
			s.handover.give(newGuard(t))
			<-c.done
			return
		}
		newHTTP1(s, c, t).serve()
	})
}

func (s *Server) track(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		return false
	}
	s.conns[c] = struct{}{}
	return true
}

func (s *Server) untrack(c *conn) {
	c.release()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// serveStream handles one request over HTTP/2 or HTTP/3.
func (s *Server) serveStream(w http.ResponseWriter, r *http.Request) {
	s.busy.RLock()
	defer s.busy.RUnlock()
	c := connOf(r.Context())
	if s.closed.Load() || c == nil || bodyOf(r) != nil {
		panic(http.ErrAbortHandler)
	}
	if !s.handle(w, r, c) {
		panic(http.ErrAbortHandler) // resets the stream: what was sent is not the whole
	}
}

// handover is a listener that gives connections to net/http's server.
type handover struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newHandover() *handover {
	return &handover{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (h *handover) give(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.done:
		c.Close()
	}
}

// Accept returns the next connection that was given.
func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close lets nobody wait any longer.
func (h *handover) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

// Addr says nothing: there is no such address.
func (h *handover) Addr() net.Addr { return &net.TCPAddr{} }
