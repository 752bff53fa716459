package acme_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
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
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/proxy"
	"github.com/ownline/ownline/internal/core/proxy/acme"
	"github.com/ownline/ownline/internal/ownline"
)

var _ proxy.Certificates = (*acme.Source)(nil)

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
			first := w.trusted(t, s, "nas."+w.cfg.Domain)
			w.trusted(t, s, "wiki."+w.cfg.Domain)
			if _, err := w.shake(t, s, "tv."+w.cfg.Domain); err == nil {
				t.Error("a certificate for what is no service")
			}
			if end := s.Expires(); end.Before(time.Now().Add(80*24*time.Hour)) || end.After(first.NotAfter.Add(time.Hour)) {
				t.Errorf("expires %s; want about %s", end, first.NotAfter)
			}

			s.Manage([]string{"nas", "tv"})
			within(t, "a certificate for the new service", func() bool { _, err := w.shake(t, s, "tv."+w.cfg.Domain); return err == nil })
			if _, err := w.shake(t, s, "wiki."+w.cfg.Domain); err == nil || s.Err() != nil {
				t.Errorf("what is no service any more: %v; Err = %v", err, s.Err())
			}
			stop()
			if got := w.trusted(t, s, "nas."+w.cfg.Domain); !got.Equal(first) {
				t.Error("after Run another certificate is served")
			}

			// The certificates are there after a restart, without the authority.
			w.Stop()
			s, stop = w.start(t, "nas", "tv")
			within(t, "the stored certificates", func() bool { return s.Err() == nil })
			if got := w.trusted(t, s, "nas."+w.cfg.Domain); !got.Equal(first) {
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

// Somebody else's key gets a certificate by the same challenges, one at a time with the source's
// own, and nothing of it is kept.
func TestSign(t *testing.T) {
	for _, challenge := range []string{acme.HTTP01, acme.TLSALPN01} {
		w := newWorld(t, challenge, 0)
		name := "mqtt." + w.cfg.Domain
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		request := func(name string) *x509.CertificateRequest {
			der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{name}}, key)
			if err != nil {
				t.Fatal(err)
			}
			csr, err := x509.ParseCertificateRequest(der)
			if err != nil {
				t.Fatal(err)
			}
			return csr
		}
		csr := request(name)
		idle, err := acme.New(w.cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := idle.Sign(t.Context(), csr); !errors.Is(err, ownline.ErrUnavailable) {
			t.Errorf("before Run: %v", err)
		}
		s, stop := w.start(t, "nas")
		var chain []byte
		within(t, "a certificate for that key", func() bool {
			chain, err = s.Sign(t.Context(), csr)
			return err == nil
		})
		private, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		pair, err := tls.X509KeyPair(chain, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
		if err != nil {
			t.Fatal(err)
		}
		roots, between := x509.NewCertPool(), x509.NewCertPool()
		roots.AppendCertsFromPEM(w.Root)
		for _, der := range pair.Certificate[1:] {
			c, err := x509.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			between.AddCert(c)
		}
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: between}); err != nil {
			t.Error(err)
		}
		within(t, "the source's own", func() bool { return s.Err() == nil })
		if _, err := w.shake(t, s, name); err == nil {
			t.Error("the source serves what it signed for somebody else")
		}
		if _, open := w.hole.count(); open != 0 || listens(w.addr) {
			t.Error("the challenge is answered still")
		}
		found, err := filepath.Glob(filepath.Join(w.cfg.Dir, "certificates", "*", name))
		if err != nil || len(found) > 0 {
			t.Errorf("kept: %v, %v", found, err)
		}
		// What the authority can't reach gets none, and says why; giving up shuts the hole. For a name that it
		// has looked at before it may sign unseen.
		away := "away." + w.cfg.Domain
		w.DNS.AddDNSServFailRecord(away)
		if _, err := s.Sign(t.Context(), request(away)); err == nil {
			t.Error("a certificate for a name that is not there")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Sign(ctx, csr); !errors.Is(err, context.Canceled) {
			t.Errorf("given up: %v", err)
		}
		within(t, "the hole is shut", func() bool { _, open := w.hole.count(); return open == 0 && !listens(w.addr) })
		stop()
		if _, err := s.Sign(t.Context(), csr); err == nil {
			t.Error("signs after Run has ended")
		}
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
			ask, err := http.NewRequest(http.MethodGet, "http://"+w.addr.String()+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			ask.Host = "nas." + w.cfg.Domain
			if r, err := http.DefaultClient.Do(ask); err == nil {
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
			"a browser":    {ServerName: "nas." + v.cfg.Domain},
			"another name": {ServerName: "x." + v.cfg.Domain, NextProtos: []string{"acme-tls/1"}},
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

// A name may be found at IPv6 alone, or at both.
func TestFamilies(t *testing.T) {
	for _, challenge := range []string{acme.HTTP01, acme.TLSALPN01} {
		w := newWorld(t, challenge, 0)
		six := netip.AddrPortFrom(netip.IPv6Loopback(), w.addr.Port())
		w.cfg.Addrs = append(w.cfg.Addrs, six)
		w.DNS.AddDNSAAAARecord("six."+w.cfg.Domain+".", []string{"::1"})
		l, err := net.Listen("tcp", six.String())
		if err != nil {
			t.Skip("no IPv6:", err)
		}
		s, stop := w.start(t, "four", "six")
		within(t, "an error that names the address", func() bool { return s.Err() != nil && strings.Contains(s.Err().Error(), six.String()) })
		if opened, _ := w.hole.count(); opened > 0 || listens(w.addr) {
			t.Error("the one address is used although the other is somebody else's")
		}
		l.Close()
		within(t, "certificates", func() bool { return s.Err() == nil })
		stop()
		if listens(six) {
			t.Error("it still listens")
		}
	}
}

// Without the hole there is no certificate and nothing listens; it is tried again.
func TestNoHole(t *testing.T) {
	w := newWorld(t, acme.TLSALPN01, 0)
	w.hole.refuse.Store(true)
	s, _ := w.start(t, "nas")
	within(t, "the firewall's error", func() bool { return s.Err() != nil && strings.Contains(s.Err().Error(), "firewall is away") })
	if _, err := w.shake(t, s, "nas."+w.cfg.Domain); err == nil {
		t.Error("a certificate from nowhere")
	}
	w.hole.refuse.Store(false)
	within(t, "a certificate", func() bool { return s.Err() == nil })
}

// Certificates are renewed in time, and always valid.
func TestRenewal(t *testing.T) {
	w := newWorld(t, acme.HTTP01, 15*time.Second)
	s, _ := w.start(t, "nas")
	within(t, "a certificate", func() bool { return s.Err() == nil })
	first := w.trusted(t, s, "nas."+w.cfg.Domain)
	within(t, "another one", func() bool { return !w.trusted(t, s, "nas."+w.cfg.Domain).Equal(first) })
	if time.Now().After(first.NotAfter) {
		t.Error("renewed too late")
	}
}

// After a long time off, certificates have to be renewed together: that is done one by one.
func TestRenewalTogether(t *testing.T) {
	w := newWorld(t, acme.HTTP01, 15*time.Second)
	w.cfg.Wait() // it is done at the start, not some minutes later
	names := []string{"nas", "tv", "wiki"}
	s, stop := w.start(t, names...)
	within(t, "certificates", func() bool { return s.Err() == nil })
	stop()
	last := w.trusted(t, s, "wiki."+w.cfg.Domain)
	within(t, "they have expired", func() bool { return time.Now().After(last.NotAfter) })
	before, _ := w.hole.count()
	s, _ = w.start(t, names...)
	within(t, "they are renewed", func() bool {
		for _, name := range names {
			if _, err := w.shake(t, s, name+"."+w.cfg.Domain); err != nil {
				return false
			}
		}
		return true
	})
	// The hole tells of two at once. Once in a hundred times Pebble needs no new challenge.
	if opened, _ := w.hole.count(); opened == before || opened > before+len(names) {
		t.Errorf("%d challenges for %d certificates", opened-before, len(names))
	}
}

// What cannot be renewed is told before it is too late, even where the library is silent.
func TestNotRenewed(t *testing.T) {
	w := newWorld(t, acme.HTTP01, 15*time.Second)
	s, _ := w.start(t, "nas")
	within(t, "a certificate", func() bool { return s.Err() == nil })
	if err := errors.Join(os.RemoveAll(w.cfg.Dir), os.WriteFile(w.cfg.Dir, nil, 0o600)); err != nil { // the disk is broken
		t.Fatal(err)
	}
	within(t, "an error", func() bool { return s.Err() != nil })
	if w.trusted(t, s, "nas."+w.cfg.Domain); time.Now().After(s.Expires()) {
		t.Errorf("told too late: %v", s.Err())
	}
}

// Run ends although the authority does not answer.
func TestSilentAuthority(t *testing.T) {
	w := newWorld(t, acme.HTTP01, 15*time.Second)
	s, stop := w.start(t, "nas")
	within(t, "a certificate", func() bool { return s.Err() == nil })
	stop()
	w.Stop()
	l, err := net.Listen("tcp", strings.TrimSuffix(strings.TrimPrefix(w.Directory, "https://"), "/dir"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	asked := make(chan struct{}, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close() // when all is over
			asked <- struct{}{}
		}
	}()
	_, stop = w.start(t, "nas", "wiki")
	select {
	case <-asked:
	case <-time.After(60 * time.Second):
		t.Fatal("it does not ask")
	}
	begin := time.Now()
	stop()
	if took := time.Since(begin); took > 15*time.Second {
		t.Errorf("it took %s", took)
	}
}

// The libraries' chatter is for debugging, and no key is in it.
func TestLog(t *testing.T) {
	w := newWorld(t, acme.TLSALPN01, 0)
	var mu sync.Mutex
	var out strings.Builder
	w.cfg.Logger = slog.New(slog.NewTextHandler(writer(func(b []byte) {
		mu.Lock()
		defer mu.Unlock()
		out.Write(b)
	}), &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, stop := w.start(t, "nas")
	within(t, "a certificate", func() bool { return s.Err() == nil })
	stop()
	mu.Lock()
	defer mu.Unlock()
	seen := map[string]bool{}
	for line := range strings.Lines(out.String()) {
		for _, name := range []string{"certmagic", "acmez"} {
			if strings.Contains(line, "library="+name) {
				seen[name] = true
				if !strings.Contains(line, "level=DEBUG") {
					t.Error(line)
				}
			}
		}
		if strings.Contains(line, "PRIVATE") {
			t.Error("a key in the log")
		}
	}
	if len(seen) != 2 || !strings.Contains(out.String(), `level=INFO msg="there is a new certificate" name=nas.`) {
		t.Errorf("the log lacks something: %s", out.String())
	}
}

type writer func([]byte)

func (f writer) Write(b []byte) (int, error) { f(b); return len(b), nil }

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
	w.trusted(t, s, "nas."+w.cfg.Domain)
	w.trusted(t, s, "wiki."+w.cfg.Domain)
}

// Run ends at once in the middle of a challenge, and leaves no hole.
func TestStopped(t *testing.T) {
	w := newWorld(t, acme.HTTP01, 0)
	w.DNS.AddDNSServFailRecord("nas." + w.cfg.Domain)
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
	good := acme.Config{Domain: "home.example.org", Challenge: acme.HTTP01, Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:80")}, Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)}
	notes := filepath.Join(t.TempDir(), "notes")
	if err := os.WriteFile(notes, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for field, spoil := range map[string]func(*acme.Config){
		"":              func(*acme.Config) {},
		"challenge":     func(c *acme.Config) { c.Challenge = "http" },
		"challenge 2":   func(c *acme.Config) { c.Addrs = nil },
		"challenge 3":   func(c *acme.Config) { c.Addrs = append(slices.Clone(c.Addrs), netip.MustParseAddrPort("[::1]:443")) },
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
