package coretest

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/test/freeport"
)

// Server serves a Core over a real link on loopback.
type Server struct {
	*Core
	t    testing.TB
	id   *link.Identity
	addr string
	stop func()

	mu    sync.Mutex // guards conns
	conns map[net.Conn]struct{}
}

// Identity makes a link identity.
func Identity(t testing.TB) *link.Identity {
	t.Helper()
	pem, err := link.GenerateIdentity()
	if err != nil {
		t.Fatal(err)
	}
	id, err := link.ParseIdentity(pem)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Serve starts serving a core until the test ends.
func Serve(t testing.TB, c *Core) *Server {
	t.Helper()
	s := &Server{Core: c, t: t, id: Identity(t), addr: freeport.Addr(t).String(), conns: make(map[net.Conn]struct{})}
	s.Start()
	t.Cleanup(s.Stop)
	return s
}

// Code returns a pairing code with that token.
func (s *Server) Code(token string) string {
	return link.Code{Addr: s.addr, Pin: s.id.Pin(), Token: token}.String()
}

// Start serves again after Stop, at the same address.
func (s *Server) Start() {
	s.t.Helper()
	l, err := net.Listen("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	server := link.NewServer(s.id, s.Core, slog.New(slog.DiscardHandler))
	server.Certifies(s.Core)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := server.Serve(ctx, &listener{l, s}); err != nil {
			s.t.Errorf("serve the core: %v", err)
		}
	})
	s.stop = func() {
		cancel()
		s.Cut()
		wg.Wait()
	}
}

// Stop ends the core's process; what it holds stays, as in a kernel.
func (s *Server) Stop() {
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
}

// Cut breaks every connection in the middle of whatever it does.
func (s *Server) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.Close()
	}
	clear(s.conns)
}

// listener remembers its connections.
type listener struct {
	net.Listener
	s *Server
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.s.mu.Lock()
		l.s.conns[c] = struct{}{}
		l.s.mu.Unlock()
	}
	return c, err
}
