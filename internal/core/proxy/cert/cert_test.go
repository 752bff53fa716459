package cert_test

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
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ownline/ownline/internal/core/proxy"
	"github.com/ownline/ownline/internal/core/proxy/cert"
)

var quiet = slog.New(slog.DiscardHandler)

// source is what core asks of both.
type source interface {
	proxy.Certificates
	Run(context.Context) error
	Err() error
	Expires() time.Time
}

// run runs s until the returned function is called, inside of a bubble.
func run(t *testing.T, s source) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error("Run:", err)
		}
	}
}

// leaf returns what s serves.
func leaf(t *testing.T, s source) *x509.Certificate {
	t.Helper()
	c, err := s.Certificate(&tls.ClientHelloInfo{ServerName: "nas.home.example.org"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Leaf == nil || c.PrivateKey == nil {
		t.Fatal("a certificate without leaf or key")
	}
	return c.Leaf
}

// pair makes a certificate that signs itself, and its key, in PEM.
func pair(t *testing.T, serial int64, life time.Duration) (chain, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: []string{"*.home.example.org"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(life),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	b, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b})
}

func write(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	file, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	synctest.Test(t, func(t *testing.T) {
		chain1, key1 := pair(t, 1, 90*24*time.Hour)
		chain2, key2 := pair(t, 2, 180*24*time.Hour)

		if _, err := cert.Files(file, keyFile, quiet); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), file) {
			t.Errorf("without files: %v", err)
		}
		write(t, file, chain1)
		write(t, keyFile, key2)
		if _, err := cert.Files(file, keyFile, quiet); err == nil || !strings.Contains(err.Error(), keyFile) {
			t.Errorf("with the key of another: %v", err)
		}
		write(t, keyFile, key1)
		s, err := cert.Files(file, keyFile, quiet)
		if err != nil {
			t.Fatal(err)
		}
		stop := run(t, s)

		serves := func(when string, serial int64, broken bool) {
			t.Helper()
			time.Sleep(6 * time.Second) // of the bubble
			synctest.Wait()
			if got := leaf(t, s); got.SerialNumber.Int64() != serial || !got.NotAfter.Equal(s.Expires()) {
				t.Errorf("%s: serves %d until %s, and says until %s; want %d", when, got.SerialNumber, got.NotAfter, s.Expires(), serial)
			}
			if err := s.Err(); (err != nil) != broken {
				t.Errorf("%s: Err = %v", when, err)
			}
		}
		serves("at first", 1, false)
		write(t, file, chain2)
		serves("half renewed", 1, true)
		write(t, keyFile, key2)
		serves("renewed", 2, false)
		write(t, file, []byte("rubbish"))
		serves("damaged", 2, true)
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		serves("gone", 2, true)
		if s.Err() == nil || !strings.Contains(s.Err().Error(), file) {
			t.Errorf("gone: Err = %v, which does not name %s", s.Err(), file)
		}
		write(t, file, chain2)
		serves("back", 2, false)
		stop()
		time.Sleep(181 * 24 * time.Hour)
		serves("expired", 2, true)
	})
}

// verify asks a browser's question: is this certificate good for that name, now?
func verify(t *testing.T, root string, c *x509.Certificate, name string) error {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(root)) {
		t.Fatal("the root is not PEM")
	}
	_, err := c.Verify(x509.VerifyOptions{Roots: pool, DNSName: name, CurrentTime: time.Now()})
	return err
}

func TestAuthority(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "proxy")
	file := filepath.Join(dir, "home.example.org.pem")
	synctest.Test(t, func(t *testing.T) {
		open := func() *cert.Authority {
			t.Helper()
			a, err := cert.Internal(dir, "home.example.org", quiet)
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
		a := open()
		root, first := a.Root(), leaf(t, a)
		for _, name := range []string{"home.example.org", "nas.home.example.org", "ownline.home.example.org"} {
			if err := verify(t, root, first, name); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if strings.Contains(root, "PRIVATE") {
			t.Error("the root comes with its key")
		}
		if i, err := os.Stat(file); err != nil || i.Mode().Perm() != 0o600 {
			t.Errorf("the file's mode is %v, %v", i.Mode(), err)
		}

		a = open()
		if a.Root() != root {
			t.Error("another root after a restart")
		}
		stop := run(t, a)
		served := leaf(t, a)
		time.Sleep(59 * 24 * time.Hour)
		if !leaf(t, a).Equal(served) {
			t.Error("renewed a month early")
		}
		time.Sleep(2 * 24 * time.Hour)
		synctest.Wait()
		if leaf(t, a).Equal(served) {
			t.Error("not renewed in time")
		}
		if err := verify(t, root, leaf(t, a), "nas.home.example.org"); err != nil || a.Err() != nil {
			t.Errorf("renewed: %v, %v", err, a.Err())
		}
		if want := time.Now().Add(89 * 24 * time.Hour); a.Expires().Before(want) {
			t.Errorf("expires %s, before %s", a.Expires(), want)
		}
		stop()

		// The root's last days: nothing is signed for longer than it is valid.
		time.Sleep(time.Until(parse(t, root).NotAfter) - 24*time.Hour)
		a = open()
		if err := verify(t, root, leaf(t, a), "nas.home.example.org"); err != nil || a.Expires().After(parse(t, root).NotAfter) {
			t.Errorf("the last day: %v, until %s", err, a.Expires())
		}
		stop = run(t, a)
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		if a.Root() == root {
			t.Error("the root has expired, and there is no other")
		}
		if err := verify(t, a.Root(), leaf(t, a), "nas.home.example.org"); err != nil {
			t.Errorf("the new root: %v", err)
		}
		stop()
	})

	write(t, file, []byte("rubbish"))
	if _, err := cert.Internal(dir, "home.example.org", quiet); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a damaged authority: %v", err)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "rubbish" {
		t.Errorf("a damaged authority was replaced")
	}
	for _, bad := range []string{"", "../x", "a..b", "Home.example.org", "a/b"} {
		if _, err := cert.Internal(dir, bad, quiet); err == nil {
			t.Errorf("took %q as a domain", bad)
		}
	}
}

func parse(t *testing.T, root string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(root))
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Whoever steals the authority's key can't pass for a site elsewhere.
func TestConstraints(t *testing.T) {
	dir := t.TempDir()
	a, err := cert.Internal(dir, "home.example.org", quiet)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "home.example.org.pem")
	stolen, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		good bool
	}{
		{"nas.home.example.org", true},
		{"bank.example.org", false},
		{"nothome.example.org", false},
		{"192.0.2.1", false},
		{"2001:db8::1", false},
	} {
		template := &x509.Certificate{NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
		if ip := net.ParseIP(tc.name); ip != nil {
			template.IPAddresses = []net.IP{ip}
		} else {
			template.DNSNames = []string{tc.name}
		}
		der, err := x509.CreateCertificate(rand.Reader, template, stolen.Leaf, stolen.PrivateKey.(*ecdsa.PrivateKey).Public(), stolen.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		if err := verify(t, a.Root(), c, tc.name); (err == nil) != tc.good {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}
