package proxytest

import (
	"bufio"
	"crypto/tls"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// Limit is a promise that a driver can't keep, because its server can't. What is promised
// instead is tested in its place; docs/how/proxied-services.md tells of each.
type Limit string

// The limits.
const (
	// AfterTLS: whoever has a session for another service, which opens the port, gets as far as
	// a handshake with a service that is there, and 403 then.
	AfterTLS Limit = "after-tls"
	// NoPin: a service's key can't be pinned.
	NoPin Limit = "no-pin"
	// NoAddressCertificate: a service's certificate has to be for a name.
	NoAddressCertificate Limit = "no-address-certificate"
	// OwnContinue: the proxy tells a client to go on before the service has.
	OwnContinue Limit = "own-continue"
	// NoTrailers: headers behind a body are dropped, or refused.
	NoTrailers Limit = "no-trailers"
	// NoRequestTrailers: headers behind the body of a request are dropped.
	NoRequestTrailers Limit = "no-request-trailers"
	// LengthIgnored: of a request that has a length and chunks the chunks count, as RFC 9112,
	// section 6.3, allows; the length does not reach the service.
	LengthIgnored Limit = "length-ignored"
	// FoldedLines: a header that is folded into two lines is passed on as one.
	FoldedLines Limit = "folded-lines"
	// BrokenChunks: an answer in chunks that breaks off looks whole.
	BrokenChunks Limit = "broken-chunks"
	// UpgradesEnd: a change of one service ends the upgraded connections of all.
	UpgradesEnd Limit = "upgrades-end"
	// NamedHop: headers that Connection names are passed on. Those by which the proxy tells who
	// asks are the proxy's own all the same.
	NamedHop Limit = "named-hop"
	// NoRequest: what is no request, and none for a path, gets a line of text at most, and that by the server.
	NoRequest Limit = "no-request"
	// UnknownForwarded: of X-Forwarded-… only what services are known to believe is removed.
	UnknownForwarded Limit = "unknown-forwarded"
	// OldAnswers: what is no answer of HTTP/1.1 is passed on as one of HTTP/0.9.
	OldAnswers Limit = "old-answers"
	// NoHeadLength: an h2c service's answer to HEAD loses its length.
	NoHeadLength Limit = "no-head-length"
	// NoHalfClose: when a client ends its direction of an upgraded connection, the other ends, too.
	NoHalfClose Limit = "no-half-close"
)

// secure is a certificate that the proxy can check, and how.
func (p *part) secure(a *Authority) (*tls.Certificate, ownline.ProxyOptions) {
	o := ownline.ProxyOptions{Scheme: ownline.SchemeHTTPS, CA: a.PEM()}
	if p.lacks(NoAddressCertificate) {
		o.ServerName = "inner.example"
		return a.Issue(o.ServerName), o
	}
	return a.Issue(p.Inside.String()), o
}

func (w World) lacks(l Limit) bool { return slices.Contains(w.Limits, l) }

// refused asks after the handshake; nothing but a refusal may come.
func (p *part) refused(from netip.Addr, name string) {
	p.Helper()
	tcp, err := p.Dial(p.Context(), from)
	if err != nil {
		return
	}
	defer tcp.Close()
	c := tls.Client(tcp, p.TLS(name, "http/1.1"))
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if c.Handshake() != nil {
		return
	}
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: "+p.Settings.Host(name)+"\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		p.Errorf("%s asks %s: %s, want 403", from, name, resp.Status)
	}
}
