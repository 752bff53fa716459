package acme_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/proxy/acme"
	"github.com/ownline/ownline/internal/core/proxy/acme/acmetest"
)

// worlds makes every domain another one: the library remembers by name what failed.
var worlds atomic.Int32

// within waits until a condition holds.
func within(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

func listens(addr netip.AddrPort) bool {
	c, err := net.DialTimeout("tcp", addr.String(), 5*time.Second)
	if err == nil {
		c.Close()
	}
	return err == nil
}

// hole counts, and checks that an open hole leads to the challenge.
type hole struct {
	t      *testing.T
	addr   netip.AddrPort
	refuse atomic.Bool

	mu           sync.Mutex
	opened, open int
}

func (h *hole) Open(_ context.Context, port uint16) (func(), error) {
	if h.refuse.Load() {
		return nil, errors.New("the firewall is away")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open > 0 {
		h.t.Error("two holes at once")
	}
	if port != h.addr.Port() || !listens(h.addr) {
		h.t.Errorf("a hole to port %d, where no challenge is answered", port)
	}
	h.opened++
	h.open++
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if !listens(h.addr) {
			h.t.Error("the challenge went before the hole")
		}
		h.open--
	}, nil
}

func (h *hole) count() (opened, open int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.opened, h.open
}

// world is an authority, and what a source needs for it.
type world struct {
	*acmetest.Authority
	addr netip.AddrPort
	hole *hole
	cfg  acme.Config
}

func newWorld(t *testing.T, challenge string, validity time.Duration) *world {
	t.Helper()
	w := &world{addr: acmetest.Addr(t)}
	w.Authority = acmetest.New(t, acmetest.Config{HTTPPort: int(w.addr.Port()), TLSPort: int(w.addr.Port()), Validity: validity})
	w.hole = &hole{t: t, addr: w.addr}
	w.cfg = acme.Config{
		Domain: fmt.Sprintf("home%d.example.org", worlds.Add(1)), Email: "me@example.org", Directory: w.Directory, Challenge: challenge, RootsFile: w.RootsFile,
		Dir: filepath.Join(t.TempDir(), "acme"), Hole: w.hole, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	if challenge != acme.DNS01 {
		w.cfg.Addrs = []netip.AddrPort{w.addr}
	}
	w.cfg.Hurry(100 * time.Millisecond)
	return w
}

// start runs a source for some services.
func (w *world) start(t *testing.T, services ...string) (s *acme.Source, stop func()) {
	t.Helper()
	s, err := acme.New(w.cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.Manage(services)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error("Run:", err)
		}
		if w.addr.IsValid() && listens(w.addr) {
			t.Error("it still listens after Run")
		}
	})
	t.Cleanup(stop)
	return s, stop
}

// shake makes a TLS connection as a browser would that trusts the authority alone.
func (w *world) shake(t *testing.T, s *acme.Source, name string) (*x509.Certificate, error) {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(w.Root) {
		t.Fatal("no root")
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	go func() {
		if err := tls.Server(b, &tls.Config{GetCertificate: s.Certificate}).Handshake(); err != nil {
			b.Close()
		}
	}()
	c := tls.Client(a, &tls.Config{RootCAs: roots, ServerName: name})
	_ = a.SetDeadline(time.Now().Add(30 * time.Second))
	if err := c.Handshake(); err != nil {
		return nil, err
	}
	return c.ConnectionState().PeerCertificates[0], nil
}

func (w *world) trusted(t *testing.T, s *acme.Source, name string) *x509.Certificate {
	t.Helper()
	c, err := w.shake(t, s, name)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return c
}
