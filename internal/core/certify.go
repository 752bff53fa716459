//go:build !noproxy

package core

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/core/proxy/cert"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// How often web gets something signed. What Let's Encrypt forgives is five failures an hour for a
// name, and five certificates a week for the same names: a web gone mad must not use that up for
// the proxy as well.
const (
	triesAnHour = 5
	madeAWeek   = 5
	week        = 7 * 24 * time.Hour
)

// signing is what web may have signed, for keys of its own.
type signing struct {
	sign func(context.Context, *x509.CertificateRequest) ([]byte, error) // nil: there is nobody
	turn sync.Mutex                                                      // held while one is being made

	mu    sync.Mutex // guards what is below
	tried []time.Time
	made  []time.Time
}

// may counts a try, or tells why there is to be none now.
func (s *signing) may(now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, bound := range []struct {
		times *[]time.Time
		most  int
		in    time.Duration
		what  string
	}{
		{&s.made, madeAWeek, week, "%d certificates were made within a week"},
		{&s.tried, triesAnHour, time.Hour, "it was tried %d times within an hour"},
	} {
		*bound.times = slices.DeleteFunc(*bound.times, func(t time.Time) bool { return now.Sub(t) >= bound.in })
		if len(*bound.times) >= bound.most {
			wait := (bound.in - now.Sub((*bound.times)[0])).Round(time.Second)
			return ownline.Conflict("csr", fmt.Sprintf(bound.what+"; this router makes the next one in %s", bound.most, wait))
		}
	}
	s.tried = append(s.tried, now)
	return nil
}

func (s *signing) done(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made = append(s.made, now)
}

// certifies has web's requests for certificates come here.
func (n *names) certifies(s *link.Server) { s.Certifies(n) }

// Certify gets a certificate for a key of web's, from where those of the proxy come. It is for one
// name alone, at which people expect web: web says what else is served, and one that was broken into
// would have a service removed and then be given its name.
func (n *names) Certify(ctx context.Context, r link.CertificateRequest) (link.Certificate, error) {
	var none link.Certificate
	if n == nil {
		return none, errNoProxy
	}
	if n.signing.sign == nil {
		return none, ownline.Conflict("csr", "the certificates of this router's proxy come from files, so there is nobody who could sign: name the same files in mqtt.embedded.cert_file and key_file of web.yaml")
	}
	name := ownline.BrokerName + "." + n.settings.Domain
	csr, err := cert.Request(r.CSR, name)
	if err != nil {
		return none, err
	}
	if !n.signing.turn.TryLock() {
		return none, &ownline.FieldError{Kind: ownline.ErrUnavailable, Field: "csr", Detail: "another certificate is being made just now; ask again in a minute"}
	}
	defer n.signing.turn.Unlock()
	if err := n.signing.may(time.Now()); err != nil {
		return none, err
	}
	began := time.Now()
	chain, err := n.signing.sign(ctx, csr)
	if err != nil {
		n.log.Warn("no certificate for web's broker", "name", name, logging.Err, err)
		return none, fmt.Errorf("certificate for %s: %w", name, err)
	}
	n.signing.done(time.Now())
	n.log.Info("a certificate was made for web's broker; web has its key", "name", name, logging.Took, time.Since(began).Round(time.Millisecond))
	return link.Certificate{Chain: string(chain), Root: n.root()}, nil
}
