package acme_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/proxy"
	"github.com/ownline/ownline/internal/core/proxy/acme"
	"github.com/ownline/ownline/internal/core/proxy/acme/acmetest"
	"github.com/ownline/ownline/internal/ownline"
)

var _ proxy.Certificates = (*acme.Source)(nil)

const domain = "home.example.org"

// within waits until a condition holds.
func within(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// port returns an address of loopback that nothing listens at.
func port(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String())
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
	w := &world{addr: port(t)}
	w.Authority = acmetest.New(t, acmetest.Config{HTTPPort: int(w.addr.Port()), TLSPort: int(w.addr.Port()), Validity: validity})
	w.hole = &hole{t: t, addr: w.addr}
	w.cfg = acme.Config{
		Domain: domain, Email: "me@example.org", Directory: w.Directory, Challenge: challenge, RootsFile: w.RootsFile,
		Dir: filepath.Join(t.TempDir(), "acme"), Hole: w.hole, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	switch challenge {
	case acme.HTTP01:
		w.cfg.HTTPAddr = w.addr
	case acme.TLSALPN01:
		w.cfg.TLSAddr = w.addr
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

// A certificate for every service, by the challenges that come in by a port.
func TestPort(t *testing.T) {
	for _, challenge := range []string{acme.HTTP01, acme.TLSALPN01} {
		t.Run(challenge, func(t *testing.T) {
			w := newWorld(t, challenge, 0)
			if listens(w.addr) {
				t.Fatal("something listens already")
			}
			s, stop := w.start(t, "nas", "wiki")
			within(t, "two certificates", func() bool { return s.Err() == nil })
			if opened, open := w.hole.count(); opened != 2 || open != 0 || listens(w.addr) {
				t.Errorf("afterwards: %d holes were opened, %d are, listens: %v; want 2, 0, false", opened, open, listens(w.addr))
			}
			first := w.trusted(t, s, "nas."+domain)
			w.trusted(t, s, "wiki."+domain)
			if _, err := w.shake(t, s, "tv."+domain); err == nil {
				t.Error("a certificate for what is no service")
			}
			if end := s.Expires(); end.Before(time.Now().Add(80*24*time.Hour)) || end.After(first.NotAfter.Add(time.Hour)) {
				t.Errorf("expires %s; want about %s", end, first.NotAfter)
			}

			s.Manage([]string{"nas", "tv"})
			within(t, "a certificate for the new service", func() bool { _, err := w.shake(t, s, "tv."+domain); return err == nil })
			if _, err := w.shake(t, s, "wiki."+domain); err == nil || s.Err() != nil {
				t.Errorf("what is no service any more: %v; Err = %v", err, s.Err())
			}
			stop()
			if got := w.trusted(t, s, "nas."+domain); !got.Equal(first) {
				t.Error("after Run another certificate is served")
			}

			// The certificates are there after a restart, without the authority.
			w.Stop()
			s, stop = w.start(t, "nas", "tv")
			within(t, "the stored certificates", func() bool { return s.Err() == nil })
			if got := w.trusted(t, s, "nas."+domain); !got.Equal(first) {
				t.Error("another certificate after a restart")
			}
			if opened, open := w.hole.count(); opened != 3 || open != 0 {
				t.Errorf("in all %d holes were opened, %d are; want 3, 0", opened, open)
			}
			stop()
			secret(t, w.cfg.Dir)
		})
	}
}

// secret sees that nobody else can read what is in a folder.
func secret(t *testing.T, dir string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		i, err := d.Info()
		if err == nil && i.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: mode %v", name, i.Mode())
		}
		files++
		return err
	})
	if err != nil || files < 5 {
		t.Errorf("%d files, %v", files, err)
	}
}

// While the hole is open, strangers find nothing behind it.
func TestStrangers(t *testing.T) {
	w := newWorld(t, acme.HTTP01, 0)
	looked := false
	w.cfg.Hole = holeFunc(func() {
		looked = true
		for _, path := range []string{"/", "/.well-known/acme-challenge/", "/.well-known/acme-challenge/x"} {
			if r, err := http.Get("http://" + w.addr.String() + path); err == nil {
				r.Body.Close()
				t.Errorf("%s: %s", path, r.Status)
			}
		}
	})
	s, _ := w.start(t, "nas")
	within(t, "a certificate", func() bool { return s.Err() == nil })

	v := newWorld(t, acme.TLSALPN01, 0)
	v.cfg.Hole = holeFunc(func() {
		for name, c := range map[string]*tls.Config{
			"a browser":    {ServerName: "nas." + domain},
			"another name": {ServerName: "x." + domain, NextProtos: []string{"acme-tls/1"}},
		} {
			c.InsecureSkipVerify = true
			if conn, err := tls.Dial("tcp", v.addr.String(), c); err == nil {
				conn.Close()
				t.Errorf("%s is let in", name)
			}
		}
	})
	s, _ = v.start(t, "nas")
	within(t, "a certificate", func() bool { return s.Err() == nil })
	if !looked {
		t.Error("nobody looked")
	}
}

type holeFunc func()

func (f holeFunc) Open(context.Context, uint16) (func(), error) { f(); return func() {}, nil }

// A port that somebody else has is never opened: the world would see the router's own pages.
func TestTakenPort(t *testing.T) {
	w := newWorld(t, acme.HTTP01, 0)
	l, err := net.Listen("tcp", w.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	s, _ := w.start(t, "nas")
	within(t, "an error that names the address", func() bool { return s.Err() != nil && strings.Contains(s.Err().Error(), w.addr.String()) })
	if opened, _ := w.hole.count(); opened > 0 {
		t.Error("the port of somebody else was opened")
	}
	l.Close()
	within(t, "a certificate once the port is free", func() bool { return s.Err() == nil })
}

// Without the hole there is no certificate and nothing listens; it is tried again.
func TestNoHole(t *testing.T) {
	w := newWorld(t, acme.TLSALPN01, 0)
	w.hole.refuse.Store(true)
	s, _ := w.start(t, "nas")
	within(t, "the firewall's error", func() bool { return s.Err() != nil && strings.Contains(s.Err().Error(), "firewall is away") })
	if _, err := w.shake(t, s, "nas."+domain); err == nil {
		t.Error("a certificate from nowhere")
	}
	w.hole.refuse.Store(false)
	within(t, "a certificate", func() bool { return s.Err() == nil })
}

// Certificates are renewed in time, and always valid.
func TestRenewal(t *testing.T) {
	w := newWorld(t, acme.HTTP01, 12*time.Second)
	s, _ := w.start(t, "nas")
	within(t, "a certificate", func() bool { return s.Err() == nil })
	first := w.trusted(t, s, "nas."+domain)
	within(t, "another one", func() bool { return !w.trusted(t, s, "nas."+domain).Equal(first) })
	if time.Now().After(first.NotAfter) {
		t.Error("renewed too late")
	}
	if opened, _ := w.hole.count(); opened < 2 {
		t.Errorf("%d holes for two certificates", opened)
	}
}

// A crash may leave a new key beside an old certificate.
func TestTorn(t *testing.T) {
	w := newWorld(t, acme.HTTP01, 0)
	s, stop := w.start(t, "nas", "wiki")
	within(t, "certificates", func() bool { return s.Err() == nil })
	stop()
	keys, err := filepath.Glob(filepath.Join(w.cfg.Dir, "certificates", "*", "*", "*.key"))
	if err != nil || len(keys) != 2 {
		t.Fatal(keys, err)
	}
	b, err := os.ReadFile(keys[0])
	if err == nil {
		err = os.WriteFile(keys[1], b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	s, _ = w.start(t, "nas", "wiki")
	within(t, "certificates again", func() bool { return s.Err() == nil })
	w.trusted(t, s, "nas."+domain)
	w.trusted(t, s, "wiki."+domain)
}

// Run ends at once in the middle of a challenge, and leaves no hole.
func TestStopped(t *testing.T) {
	w := newWorld(t, acme.HTTP01, 0)
	w.DNS.AddDNSServFailRecord("nas." + domain)
	_, stop := w.start(t, "nas")
	within(t, "a challenge", func() bool { opened, _ := w.hole.count(); return opened > 0 })
	begin := time.Now()
	stop()
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
	if _, open := w.hole.count(); open != 0 {
		t.Error("a hole was left open")
	}
}

func TestNew(t *testing.T) {
	good := acme.Config{Domain: domain, Challenge: acme.HTTP01, HTTPAddr: netip.MustParseAddrPort("127.0.0.1:80"), Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)}
	notes := filepath.Join(t.TempDir(), "notes")
	if err := os.WriteFile(notes, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for field, spoil := range map[string]func(*acme.Config){
		"":              func(*acme.Config) {},
		"challenge":     func(c *acme.Config) { c.Challenge = "http" },
		"challenge 2":   func(c *acme.Config) { c.Challenge = acme.TLSALPN01 },
		"directory":     func(c *acme.Config) { c.Directory = "http://acme.example.org/" },
		"directory 2":   func(c *acme.Config) { c.Directory = "https://u:p@acme.example.org/" },
		"email":         func(c *acme.Config) { c.Email = "me@example.org,you@example.org" },
		"email 2":       func(c *acme.Config) { c.Email = "me@example.org?x=y" },
		"hook":          func(c *acme.Config) { c.Challenge = acme.DNS01 },
		"hook relative": func(c *acme.Config) { c.Challenge, c.Hook = acme.DNS01, []string{"hook"} },
		"hook missing":  func(c *acme.Config) { c.Challenge, c.Hook = acme.DNS01, []string{"/nowhere/hook"} },
		"hook notes":    func(c *acme.Config) { c.Challenge, c.Hook = acme.DNS01, []string{notes} },
		"ca_file":       func(c *acme.Config) { c.RootsFile = notes },
	} {
		c := good
		spoil(&c)
		_, err := acme.New(c)
		want, _, _ := strings.Cut(field, " ")
		var fe *ownline.FieldError
		if want == "" {
			if err != nil {
				t.Error(err)
			}
		} else if !errors.As(err, &fe) || fe.Field != want {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// TestMain is also the hook's program: it tells the test, which has the DNS server, what it
// was asked, and fails if the test says so.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "hook" {
		for _, e := range os.Environ() {
			if !strings.HasPrefix(e, "PATH=") {
				fmt.Fprintln(os.Stderr, "an environment variable:", e)
				os.Exit(3)
			}
		}
		r, err := http.Post(os.Args[2], "text/plain", strings.NewReader(strings.Join(os.Args[3:], "\n")))
		if err != nil || r.StatusCode != http.StatusOK {
			fmt.Fprintf(os.Stderr, "several lines\nthe zone is\tnot mine (%v)\n", err)
			os.Exit(2)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var kinds = []string{"present", "cleanup"}

func known(call []string) bool {
	return len(call) == 3 && slices.Contains(kinds, call[0]) && call[1] == "_acme-challenge."+domain && len(call[2]) == 43
}
