package proxytest

import (
	"bufio"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"time"
)

// Limit is a promise that a driver can't keep, because its server can't. What is promised
// instead is tested in its place; docs/how/proxied-services.md tells of each.
type Limit string

// The limits.
const (
	// AfterTLS: whoever has a session for another service, which opens the port, gets as far as
	// a handshake with a service that is there, and 403 then.
	AfterTLS Limit = "after-tls"
	// PlainErrors: what fails is said by status, in the server's own words.
	PlainErrors Limit = "plain-errors"
	// NoPin: a service's key can't be pinned.
	NoPin Limit = "no-pin"
	// NoAddressCertificate: a service's certificate has to be for a name.
	NoAddressCertificate Limit = "no-address-certificate"
)

func (w World) lacks(l Limit) bool { return slices.Contains(w.Limits, l) }

// refused asks after the handshake; nothing but a refusal may come.
func (p *part) refused(from netip.Addr, name string) {
	p.Helper()
	c, _, err := p.hello(from, name, "http/1.1")
	if err != nil {
		return
	}
	c.SetDeadline(time.Now().Add(10 * time.Second))
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
