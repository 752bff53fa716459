// Package cert: where the reverse proxy's certificates come from, when not by ACME
// (core/proxy/acme): files that somebody else renews, and an authority of core's own for
// trying it out. Both satisfy proxy.Certificates.
package cert

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/logging"
)

// poll is how often files are looked at. They are small, and read as a whole: neither their
// times nor their names say for sure that they have changed.
const poll = 5 * time.Second

// FileSource is a certificate that lies in files.
type FileSource struct {
	file, keyFile string
	log           *slog.Logger

	mu   sync.Mutex // guards what is below
	seen [sha256.Size]byte
	good *tls.Certificate
	err  error // of the files as they are; good is from before
}

// Files reads a certificate with those that lead to its root, in PEM, and its key. Run
// follows the files.
func Files(file, keyFile string, log *slog.Logger) (*FileSource, error) {
	s := &FileSource{file: file, keyFile: keyFile, log: log}
	if s.look(); s.err != nil {
		return nil, s.err
	}
	return s, nil
}

// Run takes what the files contain whenever that changes, until ctx ends. While they don't
// make a pair, the last one that did stays.
func (s *FileSource) Run(ctx context.Context) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if !s.look() {
			continue
		}
		if err := s.broken(); err != nil {
			s.log.Warn("the certificate's files are not used; the one from before is", logging.Err, err)
		} else {
			s.log.Info("the certificate was read anew", "expires", s.Expires())
		}
	}
}

// look reads the files and reports whether anything is new.
func (s *FileSource) look() bool {
	chain, err := os.ReadFile(s.file)
	var key []byte
	if err == nil {
		key, err = os.ReadFile(s.keyFile)
	}
	h := sha256.New()
	fmt.Fprintln(h, len(chain), err)
	h.Write(chain)
	h.Write(key)
	seen := [sha256.Size]byte(h.Sum(nil))

	s.mu.Lock()
	defer s.mu.Unlock()
	if seen == s.seen {
		return false
	}
	s.seen = seen
	var pair tls.Certificate
	if err == nil {
		if pair, err = tls.X509KeyPair(chain, key); err != nil {
			err = fmt.Errorf("%s and %s: %w", s.file, s.keyFile, err)
		}
	}
	if s.err = err; err == nil {
		s.good = &pair // X509KeyPair has set Leaf
	}
	return true
}

// Certificate returns the newest.
func (s *FileSource) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.good, nil
}

// Err tells why the files are not used, or that the certificate has expired.
func (s *FileSource) Err() error {
	if err := s.broken(); err != nil {
		return err
	}
	return expired(s.leaf())
}

func (s *FileSource) broken() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Expires returns until when the certificate in use is valid.
func (s *FileSource) Expires() time.Time { return s.leaf().NotAfter.UTC() }

func (s *FileSource) leaf() *x509.Certificate {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.good.Leaf
}

func expired(leaf *x509.Certificate) error {
	if time.Now().After(leaf.NotAfter) {
		return fmt.Errorf("the certificate for %v has expired on %s", leaf.DNSNames, leaf.NotAfter.UTC().Format(time.DateOnly))
	}
	return nil
}
