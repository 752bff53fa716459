package proxy

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"strings"
)

// What follows is for drivers of servers that other people have written.

// NotRunning is the error of a driver whose server is not there yet, or no more.
type NotRunning struct {
	Server string
	Err    error
}

// Error says so.
func (e NotRunning) Error() string { return e.Server + " does not run yet: " + e.Err.Error() }

// Unwrap returns how that was seen.
func (e NotRunning) Unwrap() error { return e.Err }

// NotRunning tells this error from all others.
func (NotRunning) NotRunning() {}

// Pair returns the newest certificate for a host, with its chain, and its key, in PEM: for
// servers that end TLS themselves.
func Pair(c Certificates, host string) (chain, key []byte, err error) {
	cert, err := c.Certificate(&tls.ClientHelloInfo{
		ServerName: host, SupportedVersions: []uint16{tls.VersionTLS13, tls.VersionTLS12},
		SupportedCurves:  []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384},
		SupportedPoints:  []uint8{0},
		SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256, tls.ECDSAWithP384AndSHA384, tls.PSSWithSHA256, tls.PKCS1WithSHA256, tls.Ed25519},
		CipherSuites:     []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
	})
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		return nil, nil, err
	}
	var b bytes.Buffer
	for _, der := range cert.Certificate {
		pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	return b.Bytes(), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// Methods are those that are passed on: IANA's register, without CONNECT, PRI, which is the start of HTTP/2,
// and TRACE, which shows a page its own secret headers.
var Methods = strings.Fields(`GET HEAD POST PUT DELETE OPTIONS PATCH QUERY
	ACL BASELINE-CONTROL BIND CHECKIN CHECKOUT COPY LABEL LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL
	MKREDIRECTREF MKWORKSPACE MOVE ORDERPATCH PROPFIND PROPPATCH REBIND REPORT SEARCH UNBIND UNCHECKOUT
	UNLINK UNLOCK UPDATE UPDATEREDIRECTREF VERSION-CONTROL`)

// Climbs is a regular expression for other servers, to be matched whatever the case: what some
// reader of a request's path might take for a step up. The embedded driver reads the path itself.
const Climbs = `^[^?]*(/|\\|%2f|%5c)([.]|%2e)([.]|%2e)(/|\\|%2f|%5c|;|[?]|$)`
