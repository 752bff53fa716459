package link

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// Pin names a public key: the base64url of the SHA-256 of its SubjectPublicKeyInfo
// (RFC 7469, section 2.4, but without padding).
type Pin string

// Equal compares in constant time.
func (p Pin) Equal(o Pin) bool {
	return subtle.ConstantTimeCompare([]byte(p), []byte(o)) == 1
}

// Valid reports whether it is the only encoding of a hash.
func (p Pin) Valid() bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(string(p))
	return err == nil && len(b) == sha256.Size && len(p) == pinLen
}

func pinOf(cert *x509.Certificate) Pin {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return Pin(base64.RawURLEncoding.EncodeToString(sum[:]))
}

// Identity is the key by which one end of the link proves itself.
type Identity struct {
	cert tls.Certificate
	pin  Pin
}

// Pin names the identity to the other end.
func (i *Identity) Pin() Pin { return i.pin }

// GenerateIdentity makes a new key (ECDSA on P-256) with its self-signed certificate, as
// PEM. The certificate never expires, because nothing but its key counts.
func GenerateIdentity() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a link key: %w", err)
	}
	cert, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "ownline link"},
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // RFC 5280, section 4.1.2.5: no expiry
	}, &x509.Certificate{Subject: pkix.Name{CommonName: "ownline link"}}, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make a link certificate: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("make a link key: %w", err)
	}
	out := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})...), nil
}

// ParseIdentity reads what GenerateIdentity made.
func ParseIdentity(pemBytes []byte) (*Identity, error) {
	cert, err := tls.X509KeyPair(pemBytes, pemBytes)
	if err != nil {
		return nil, fmt.Errorf("read the link key: %w", err)
	}
	if cert.Leaf == nil {
		return nil, errors.New("read the link key: no certificate")
	}
	return &Identity{cert: cert, pin: pinOf(cert.Leaf)}, nil
}

// Keys are what web keeps of its own keys while one may take the other's place.
type Keys struct {
	Present []byte // what GenerateIdentity made
	Next    []byte // likewise; nil: none is to come
	// Known holds, for each core that was told of the next key, what hindered it to know
	// that; "": nothing, it knows.
	Known map[Pin]string
}

// alpn is HTTP/2, which is all that is spoken on the link.
const alpn = "h2"

// tlsConfig serves both roles. trust judges the key of the peer, which has proved in the
// handshake that it holds it.
func (i *Identity) tlsConfig(trust func(Pin) error) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{i.cert},
		NextProtos:             []string{alpn},
		ClientAuth:             tls.RequireAnyClientCert,
		InsecureSkipVerify:     true, // names and issuers mean nothing here: the pin below does
		SessionTicketsDisabled: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 || s.NegotiatedProtocol != alpn {
				return errors.New("peer does not speak the link protocol")
			}
			return trust(pinOf(s.PeerCertificates[0]))
		},
	}
}

// peerPin returns the key of the peer of a connection whose handshake is done.
func peerPin(s *tls.ConnectionState) (Pin, bool) {
	if s == nil || len(s.PeerCertificates) == 0 {
		return "", false
	}
	return pinOf(s.PeerCertificates[0]), true
}
