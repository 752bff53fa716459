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
	mostLabels  = 1 << 12 // of services that are remembered; then nothing but OwnService is signed any more
)

// signing is what web may have signed, for keys of its own.
type signing struct {
	sign func(context.Context, *x509.CertificateRequest) ([]byte, error) // nil: there is nobody
	turn sync.Mutex                                                      // held while one is being made

	mu       sync.Mutex      // guards what is below
	services map[string]bool // labels of names that the proxy has served since core started
	tried    []time.Time
	made     []time.Time
}

// served says which names are the proxy's. They stay that: web says what is served, and one that was
// broken into would first have a service removed, then be given its name.
func (s *signing) served(services []link.Service) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.services == nil {
		s.services = make(map[string]bool)
	}
	for _, v := range services {
		if len(s.services) < mostLabels {
			s.services[v.Name] = true
		}
	}
}

// taken reports whether a name is one at which people expect something other than web. It is
// not web's to have a key for.
func (s *signing) taken(label string) bool {
	if label == ownline.OwnService {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return label == ownline.Doorstep || s.services[label] || len(s.services) >= mostLabels
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

// Certify gets a certificate for a key of web's, from where those of the proxy come.
func (n *names) Certify(ctx context.Context, r link.CertificateRequest) (link.Certificate, error) {
	var none link.Certificate
	if n == nil {
		return none, errNoProxy
	}
	if n.signing.sign == nil {
		return none, ownline.Conflict("csr", "the certificates of this router's proxy come from files, so there is nobody who could sign: name the same files in mqtt.embedded.cert_file and key_file of web.yaml")
	}
	csr, label, err := cert.Request(r.CSR, n.settings.Domain)
	if err != nil {
		return none, err
	}
	name := csr.DNSNames[0]
	if label != "" && n.signing.taken(label) {
		return none, ownline.Conflict("csr", fmt.Sprintf("%s is the name of a service of the proxy, or was since this router's core started; choose another one for the broker", name))
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
