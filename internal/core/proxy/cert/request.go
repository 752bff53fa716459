package cert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// subjectAltName is the only extension that a request may have (RFC 5280, section 4.2.1.6).
var subjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// Request reads a request for a certificate (DER of PKCS #10) that somebody else has made, and
// refuses what is not to be signed: it has to prove that its key, of P-256, is there, and to be for
// that DNS name and nothing else.
func Request(der []byte, name string) (csr *x509.CertificateRequest, err error) {
	bad := func(detail string, args ...any) (*x509.CertificateRequest, error) {
		return nil, ownline.Invalid("csr", fmt.Sprintf(detail, args...))
	}
	if csr, err = x509.ParseCertificateRequest(der); err != nil {
		return bad("is not a request for a certificate: %v", err)
	}
	if err := csr.CheckSignature(); err != nil {
		return bad("is not signed with its own key: %v", err)
	}
	if key, ok := csr.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		return bad("its key is not one of P-256")
	}
	for _, e := range csr.Extensions {
		if !e.Id.Equal(subjectAltName) {
			return bad("wants the extension %s; only names are signed", e.Id)
		}
	}
	if len(csr.DNSNames) != 1 || len(csr.IPAddresses)+len(csr.EmailAddresses)+len(csr.URIs) > 0 {
		return bad("is not for exactly one DNS name")
	}
	if csr.DNSNames[0] != name {
		return bad("is for %q; this router signs for %s and for nothing else (it is mqtt. in front of the proxy.domain of core.yaml)", csr.DNSNames[0], name)
	}
	if subject := csr.Subject.String(); subject != "" && subject != "CN="+name {
		return bad("has a subject of its own, %q", subject)
	}
	return csr, nil
}

// Sign issues a certificate for what Request has returned, as PEM. The key is somebody else's.
func (a *Authority) Sign(csr *x509.CertificateRequest) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if now.After(a.root.NotAfter) {
		return nil, fmt.Errorf("the authority of %s has expired", a.domain) // Run is about to make another
	}
	der, err := a.sign(now, csr.PublicKey, csr.DNSNames)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// sign issues a certificate for a key, valid from now on. Call it with mu held.
func (a *Authority) sign(now time.Time, key any, names []string) ([]byte, error) {
	until := now.Add(leafLife)
	if until.After(a.root.NotAfter) {
		until = a.root.NotAfter
	}
	return x509.CreateCertificate(rand.Reader, &x509.Certificate{
		Subject:     pkix.Name{CommonName: names[0]},
		DNSNames:    names,
		NotBefore:   now.Add(-early),
		NotAfter:    until,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, a.root, key, a.rootKey)
}
