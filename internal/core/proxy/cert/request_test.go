package cert_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/proxy/cert"
	"github.com/ownline/ownline/internal/ownline"
)

func request(t *testing.T, key crypto.Signer, r x509.CertificateRequest) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &r, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func newKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Nothing is signed but one name, for a key that is there.
func TestRequest(t *testing.T) {
	const domain = "home.example.org"
	key := newKey(t, elliptic.P256())
	names := func(names ...string) []byte { return request(t, key, x509.CertificateRequest{DNSNames: names}) }
	if csr, err := cert.Request(names("mqtt."+domain), "mqtt."+domain); err != nil || csr.DNSNames[0] != "mqtt."+domain {
		t.Errorf("%+v, %v", csr, err)
	}
	_, other, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	forged := names("mqtt." + domain)
	forged[len(forged)-1] ^= 1
	// Somebody else's name, signed for by who has another key.
	swapped := bytes.Replace(names("mqtt."+domain), []byte("mqtt."+domain), []byte("mqtu."+domain), 1)
	for what, der := range map[string][]byte{
		"nothing":                nil,
		"rubbish":                []byte("rubbish"),
		"with something behind":  append(names("mqtt."+domain), 0),
		"a wrong signature":      forged,
		"another name inside":    swapped,
		"no name":                names(),
		"two names":              names("a."+domain, "b."+domain),
		"another domain":         names("mqtt.example.org"),
		"a service's name":       names("nas." + domain),
		"the domain":             names(domain),
		"the parent":             names("example.org"),
		"two levels below":       names("a.b." + domain),
		"a wildcard":             names("*." + domain),
		"capitals":               names("MQTT." + domain),
		"a dot behind":           names("mqtt." + domain + "."),
		"no label":               names("." + domain),
		"one that only ends so":  names("nothome.example.org"),
		"an address":             request(t, key, x509.CertificateRequest{IPAddresses: []net.IP{{192, 0, 2, 1}}}),
		"an address as well":     request(t, key, x509.CertificateRequest{DNSNames: []string{"mqtt." + domain}, IPAddresses: []net.IP{{192, 0, 2, 1}}}),
		"a URI as well":          request(t, key, x509.CertificateRequest{DNSNames: []string{"mqtt." + domain}, URIs: []*url.URL{{Scheme: "https", Host: "x.example"}}}),
		"a mail address as well": request(t, key, x509.CertificateRequest{DNSNames: []string{"mqtt." + domain}, EmailAddresses: []string{"me@example.org"}}),
		"another common name":    request(t, key, x509.CertificateRequest{DNSNames: []string{"mqtt." + domain}, Subject: pkix.Name{CommonName: "bank.example.org"}}),
		"an organisation":        request(t, key, x509.CertificateRequest{DNSNames: []string{"mqtt." + domain}, Subject: pkix.Name{CommonName: "mqtt." + domain, Organization: []string{"Bank"}}}),
		"to be an authority": request(t, key, x509.CertificateRequest{DNSNames: []string{"mqtt." + domain}, ExtraExtensions: []pkix.Extension{
			{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: []byte{0x30, 3, 1, 1, 0xff}},
		}}),
		"a key of P-384":   request(t, newKey(t, elliptic.P384()), x509.CertificateRequest{DNSNames: []string{"mqtt." + domain}}),
		"a key of Edwards": request(t, other, x509.CertificateRequest{DNSNames: []string{"mqtt." + domain}}),
	} {
		if _, err := cert.Request(der, "mqtt."+domain); !errors.Is(err, ownline.ErrInvalid) || !strings.HasPrefix(err.Error(), "csr: ") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// The authority signs for a key of web's as for its own.
func TestAuthoritySigns(t *testing.T) {
	a, err := cert.Internal(t.TempDir(), "home.example.org", quiet)
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t, elliptic.P256())
	csr, err := cert.Request(request(t, key, x509.CertificateRequest{DNSNames: []string{"mqtt.home.example.org"}}), "mqtt.home.example.org")
	if err != nil {
		t.Fatal(err)
	}
	chain, err := a.Sign(csr)
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(chain)
	if block == nil || len(rest) > 0 {
		t.Fatalf("the chain is %q", chain)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(t, a.Root(), c, "mqtt.home.example.org"); err != nil {
		t.Error(err)
	}
	if err := verify(t, a.Root(), c, "nas.home.example.org"); err == nil {
		t.Error("good for another name as well")
	}
	if !key.PublicKey.Equal(c.PublicKey) || c.IsCA || time.Until(c.NotAfter) > 91*24*time.Hour {
		t.Errorf("signed %v, an authority: %v, until %s", c.PublicKey, c.IsCA, c.NotAfter)
	}
}
