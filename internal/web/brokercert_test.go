package web

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/test/freeport"
)

// router signs as a core with an authority of its own does.
func router(t *testing.T) (root string, sign func([]byte) (link.Certificate, error)) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "router"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	root = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return root, func(csr []byte) (link.Certificate, error) {
		r, err := x509.ParseCertificateRequest(csr)
		if err != nil {
			return link.Certificate{}, err
		}
		leaf, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
			SerialNumber: big.NewInt(2), DNSNames: r.DNSNames, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(900 * time.Hour),
		}, ca, r.PublicKey, key)
		return link.Certificate{Chain: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf})), Root: root}, err
	}
}

// With certificate: proxy the broker shows what the router has signed, devices' profiles hold the
// router's authority, also those that are made before it has signed, and admins are told.
func TestSignedCertificate(t *testing.T) {
	addr := freeport.Addr(t).String()
	_, port, _ := strings.Cut(addr, ":")
	p := newParty(t, func(c *config.Web) {
		c.MQTT.Embedded = config.MQTTEmbedded{Listen: addr, URL: "tls://mqtt.home.example.org:" + port, Certificate: config.ProxyCertificate}
		c.MQTT.Devices.AddressURLs = []string{"stun:stun.example.org:3478"}
	})
	status := func() (s string, expires time.Time) {
		c := p.web.brokerStatus().Embedded().Certificate
		return c.Problem, c.Expires
	}
	eventually(t, func() string {
		if problem, _ := status(); !strings.Contains(problem, "no router signs for mqtt.home.example.org") {
			return "without a domain it says " + problem
		}
		return ""
	})
	if c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}); err == nil {
		c.Close()
		t.Error("serves without a certificate")
	}
	root, sign := router(t)
	p.core.SetProxy(link.Proxy{Driver: "embedded", Domain: "home.example.org", Port: 9999, OK: true, Root: root})
	p.core.Cut()
	eventually(t, func() string {
		if problem, _ := status(); !strings.Contains(problem, "there is nobody who could sign") {
			return "refused, it says " + problem
		}
		return ""
	})
	authority := func(name string) []byte {
		t.Helper()
		_, profile, err := p.web.Access().AddDevice(t.Context(), p.host, access.NewDevice{Site: p.service.Site, Name: name})
		if err != nil {
			t.Fatal(err)
		}
		return profile.Broker.Authority
	}
	before := authority("early")
	p.core.SetAuthority(sign)
	// It would be tried again in a minute; that this is so, and when, is tested where it is done.
	if err := p.web.store.ChangeBrokerCertificate(t.Context(), func(c *ownline.BrokerCertificate) bool {
		c.Next = time.Time{}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	p.core.Cut() // which is told, so that it looks now
	eventually(t, func() string {
		if problem, expires := status(); problem != "" || time.Until(expires) < 800*time.Hour {
			return "there is no certificate: " + problem
		}
		return ""
	})
	for _, der := range [][]byte{before, authority("late")} {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AddCert(c)
		conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: roots, ServerName: "mqtt.home.example.org"})
		if err != nil {
			t.Fatal("a device does not trust the broker:", err)
		}
		conn.Close()
	}
	found := false
	for _, m := range p.web.brokerMetrics() {
		found = found || m.Name == "embedded" && m.TLS && time.Until(m.Expires) > 800*time.Hour
	}
	if !found {
		t.Errorf("the metrics say %+v", p.web.brokerMetrics())
	}
}
