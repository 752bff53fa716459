package embedded

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

const (
	dialTimeout = 10 * time.Second // for each address of a service
	idleBackend = 55 * time.Second // below what servers commonly keep, so that they seldom close first
	maxIdle     = 256              // connections to one service that wait for requests
	maxAnswer   = 256 << 10        // bytes of the head of an answer
)

// errPin: the service holds another key than the pinned one.
var errPin = errors.New("the service's key is not the pinned one")

// backend is the way to one service. Requests without a body to plain HTTP/1.1 go through
// pool, which is lean; all others through net/http's transport, which can do everything.
type backend struct {
	targets   []netip.AddrPort // in the order to try
	tls       *tls.Config      // nil: none
	byAddress bool             // the certificate is for the address that is dialled
	transport *http.Transport
	pool      *pool // of HTTP/1.1, also for upgrades
	lean      bool  // the pool serves requests, too
}

func newBackend(s link.Service) (*backend, error) {
	b := new(backend)
	for _, t := range []netip.AddrPort{s.Target4, s.Target6} {
		if t.IsValid() {
			b.targets = append(b.targets, t)
		}
	}
	if len(b.targets) == 0 {
		return nil, ownline.Invalid("target", "missing")
	}
	var p http.Protocols
	switch s.Options.Scheme {
	case ownline.SchemeH2C:
		p.SetUnencryptedHTTP2(true)
	case ownline.SchemeHTTPS:
		p.SetHTTP1(true)
		p.SetHTTP2(true)
		if err := b.trust(s.Options); err != nil {
			return nil, err
		}
	default:
		p.SetHTTP1(true)
		b.lean = true
	}
	b.transport = &http.Transport{
		Protocols:              &p,
		DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return b.dial(ctx) },
		DisableCompression:     true, // bytes are passed on as they are
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    maxIdle,
		IdleConnTimeout:        idleBackend,
		ExpectContinueTimeout:  2 * time.Second, // then the service is one that never says it
		MaxResponseHeaderBytes: maxAnswer,
		WriteBufferSize:        32 << 10,
		ReadBufferSize:         32 << 10,
		HTTP2: &http.HTTP2Config{
			MaxReceiveBufferPerConnection: 2 << 20,
			MaxReceiveBufferPerStream:     1 << 20,
			SendPingTimeout:               pingAfter,
		},
	}
	if b.tls != nil {
		b.transport.DialTLSContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return b.dialTLS(ctx, "h2", "http/1.1")
		}
	}
	b.pool = newPool(func(ctx context.Context) (net.Conn, error) {
		if b.tls != nil {
			return b.dialTLS(ctx, "http/1.1")
		}
		return b.dial(ctx)
	})
	return b, nil
}

// trust says which certificate the service has to show.
func (b *backend) trust(o ownline.ProxyOptions) error {
	b.tls = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: o.ServerName}
	b.byAddress = o.ServerName == ""
	if o.CA != "" {
		b.tls.RootCAs = x509.NewCertPool()
		if !b.tls.RootCAs.AppendCertsFromPEM([]byte(o.CA)) {
			return ownline.Invalid("options.ca", "must be certificates in PEM")
		}
	}
	if o.Pin != "" {
		pin, err := hex.DecodeString(o.Pin)
		if err != nil || len(pin) != sha256.Size {
			return ownline.Invalid("options.pin", "must be 64 hexadecimal digits")
		}
		b.tls.InsecureSkipVerify = true // the key is verified instead
		b.tls.VerifyConnection = func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return errPin
			}
			got := sha256.Sum256(s.PeerCertificates[0].RawSubjectPublicKeyInfo)
			if subtle.ConstantTimeCompare(got[:], pin) != 1 {
				return errPin
			}
			return nil
		}
	}
	return nil
}

// dial connects to the first address that answers.
func (b *backend) dial(ctx context.Context) (net.Conn, error) {
	var first error
	for _, t := range b.targets {
		d := net.Dialer{Timeout: dialTimeout}
		c, err := d.DialTCP(ctx, "tcp", netip.AddrPort{}, t)
		if err == nil {
			return c, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

func (b *backend) dialTLS(ctx context.Context, protocols ...string) (net.Conn, error) {
	c, err := b.dial(ctx)
	if err != nil {
		return nil, err
	}
	config := b.tls.Clone()
	config.NextProtos = protocols
	if b.byAddress {
		a, err := netip.ParseAddrPort(c.RemoteAddr().String())
		if err != nil {
			c.Close()
			return nil, err
		}
		config.ServerName = a.Addr().Unmap().WithZone("").String()
	}
	t := tls.Client(c, config)
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := t.HandshakeContext(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return t, nil
}

func (b *backend) close() {
	b.transport.CloseIdleConnections()
	b.pool.close()
}
