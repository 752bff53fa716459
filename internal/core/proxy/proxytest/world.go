// Package proxytest holds every driver of the reverse proxy to one contract, with real
// clients, real services and real bytes. Door is the admission, Authority the certificates of
// the tests.
package proxytest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/proxy"
	"github.com/ownline/ownline/internal/core/proxy/login"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// World is a proxy that serves nothing yet, and what surrounds it.
type World struct {
	Settings proxy.Settings
	Driver   interface {
		Apply(ctx context.Context, services []link.Service) error
	}
	Door  *Door          // whom the proxy asks
	Roots *x509.CertPool // that the proxy's certificates are from
	// Logins is who is logged in at services that require it; nil: the driver serves none of them.
	Logins *login.Book

	Client, Neighbour netip.Addr // two sources
	Inside            netip.Addr // where services of the test can listen, and the proxy reaches them

	Memory func() int64 // that the proxy takes now, in bytes; for Load

	Limits []Limit // promises that the server can't keep

	// Dial connects to the proxy's TCP port from the address of a source.
	Dial func(ctx context.Context, from netip.Addr) (net.Conn, error)
}

// Door admits sources to services, as sessions do.
type Door struct {
	mu   sync.Mutex
	open map[passage]*opening
}

type passage struct {
	service ownline.ServiceID
	source  netip.Addr
}

type opening struct {
	live context.Context
	end  context.CancelFunc
}

// NewDoor returns a door that admits nobody.
func NewDoor() *Door { return &Door{open: map[passage]*opening{}} }

// Open lets a source in to a service.
func (d *Door) Open(service ownline.ServiceID, source netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open[passage{service, source}] == nil {
		live, end := context.WithCancel(context.Background())
		d.open[passage{service, source}] = &opening{live, end}
	}
}

// Shut ends that.
func (d *Door) Shut(service ownline.ServiceID, source netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if o := d.open[passage{service, source}]; o != nil {
		delete(d.open, passage{service, source})
		o.end()
	}
}

// Admit is a proxy.Admission.
func (d *Door) Admit(service ownline.ServiceID, source netip.Addr) (context.Context, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	o := d.open[passage{service, source}]
	if o == nil {
		return nil, false
	}
	return o.live, true
}

// Authority signs certificates.
type Authority struct {
	t    testing.TB
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

// NewAuthority makes one.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{t: t}
	a.cert, a.key = a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "Ownline test authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	return a
}

func (a *Authority) sign(c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	by, with := a.cert, a.key
	if by == nil {
		by, with = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by, &key.PublicKey, with)
	if err != nil {
		a.t.Fatal(err)
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return signed, key
}

// Issue returns a certificate for names and addresses.
func (a *Authority) Issue(hosts ...string) *tls.Certificate {
	a.t.Helper()
	c := &x509.Certificate{Subject: pkix.Name{CommonName: hosts[0]}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, h)
		}
	}
	cert, key := a.sign(c)
	return &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

// Roots returns a pool with the authority in it.
func (a *Authority) Roots() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// PEM returns the authority's certificate.
func (a *Authority) PEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
}

// PinOf returns a certificate's ownline.ProxyOptions.Pin.
func PinOf(c *tls.Certificate) string {
	sum := sha256.Sum256(c.Leaf.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

// Wildcard is a proxy.Certificates with one certificate for all names.
type Wildcard struct{ Cert *tls.Certificate }

// Certificate returns it.
func (w Wildcard) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) { return w.Cert, nil }

// ID makes an identifier out of a name.
func ID(name string) (id ownline.ServiceID) {
	sum := sha256.Sum256([]byte(name))
	copy(id[:], sum[:])
	return id
}

// TLS returns the settings of a client that asks for a service.
func (w *World) TLS(name string, protocols ...string) *tls.Config {
	return &tls.Config{RootCAs: w.Roots, ServerName: w.Settings.Host(name), NextProtos: protocols}
}

// Browser returns a client whose every connection comes from a source, and goes to the
// service that its URL names; two is whether it speaks HTTP/2, and not HTTP/1.1.
func (w *World) Browser(t testing.TB, from netip.Addr, two bool) *http.Client {
	t.Helper()
	var p http.Protocols
	p.SetHTTP1(!two)
	p.SetHTTP2(two)
	tr := &http.Transport{
		DialContext:           func(ctx context.Context, _, _ string) (net.Conn, error) { return w.Dial(ctx, from) },
		TLSClientConfig:       &tls.Config{RootCAs: w.Roots},
		Protocols:             &p,
		DisableCompression:    true,
		ExpectContinueTimeout: 5 * time.Second,
		MaxIdleConnsPerHost:   64,
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{
		Transport: tr, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// URL returns the address of a path of a service.
func (w *World) URL(name, path string) string {
	return "https://" + net.JoinHostPort(w.Settings.Host(name), portOf(w.Settings)) + path
}
