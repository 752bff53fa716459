package cert

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/wholefile"
)

const (
	rootLife = 10 * 365 * 24 * time.Hour
	leafLife = 90 * 24 * time.Hour
	renewAt  = leafLife / 3     // that much before the end
	early    = time.Hour        // clocks of clients may be behind ours
	look     = 10 * time.Second // the clock of a router may jump when it learns the time
)

// Authority is a certificate authority of core's own, which people have to trust by hand. It
// can sign for one domain and the names below it alone, so that whoever steals its key can't
// pass for anybody else's site.
type Authority struct {
	file, domain string
	log          *slog.Logger

	mu      sync.Mutex // guards what is below
	root    *x509.Certificate
	rootKey *ecdsa.PrivateKey
	leaf    *tls.Certificate
	err     error // why there is no newer leaf
}

// Internal opens the authority of a domain, whose key and certificate are in a file of that
// name in dir. It makes it on first start.
func Internal(dir, domain string, log *slog.Logger) (*Authority, error) {
	for label := range strings.SplitSeq(domain, ".") {
		if err := ownline.CheckServiceName(label); err != nil {
			return nil, ownline.Invalid("domain", fmt.Sprintf("%q is not a name like home.example.org", domain))
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	a := &Authority{file: filepath.Join(dir, domain+".pem"), domain: domain, log: log}
	if err := a.open(); err != nil {
		return nil, err
	}
	if _, err := a.renew(time.Now()); err != nil {
		return nil, err
	}
	return a, nil
}

// open reads the file, if it is there. One that is damaged is an error: with a new authority
// in its place, everybody would have to trust that one anew.
func (a *Authority) open() error {
	b, err := os.ReadFile(a.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(b, b)
	if err != nil {
		return fmt.Errorf("%s: %w; remove the file for a new authority, which has to be trusted anew", a.file, err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !pair.Leaf.IsCA || !slices.Equal(pair.Leaf.PermittedDNSDomains, []string{a.domain}) {
		return fmt.Errorf("%s: is not the authority of %s; remove the file for a new one, which has to be trusted anew", a.file, a.domain)
	}
	a.root, a.rootKey = pair.Leaf, key
	return nil
}

// Run issues new certificates in time, until ctx ends.
func (a *Authority) Run(ctx context.Context) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		before := a.failed()
		renewed, err := a.renew(time.Now())
		switch {
		case err != nil && (before == nil || before.Error() != err.Error()):
			a.log.Error("no new certificate; the one from before is used", logging.Err, err)
		case renewed:
			a.log.Info("the certificate was renewed", "expires", a.Expires())
		}
	}
}

// renew issues a certificate if the present one is about to expire. It makes a new authority
// only when the present one has expired, which most likely was made before the router knew
// the time.
func (a *Authority) renew(now time.Time) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err = nil
	if a.root == nil || now.After(a.root.NotAfter) {
		if a.err = a.newRoot(now); a.err != nil {
			return false, a.err
		}
		a.leaf = nil
	}
	if a.leaf != nil && !now.Before(a.leaf.Leaf.NotBefore) && (now.Before(a.leaf.Leaf.NotAfter.Add(-renewAt)) || a.leaf.Leaf.NotAfter.Equal(a.root.NotAfter)) {
		return false, nil
	}
	var leaf *tls.Certificate
	if leaf, a.err = a.issue(now); a.err != nil {
		return false, a.err
	}
	a.leaf = leaf
	return true, nil
}

func (a *Authority) newRoot(now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	root := &x509.Certificate{
		Subject:               pkix.Name{Organization: []string{"Ownline"}, CommonName: "Ownline " + a.domain},
		NotBefore:             now.Add(-early),
		NotAfter:              now.Add(rootLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
		// RFC 5280, section 4.2.1.10: what is not named is free, so addresses are excluded.
		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         []string{a.domain},
		ExcludedIPRanges: []*net.IPNet{
			{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)},
			{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)},
		},
	}
	der, err := x509.CreateCertificate(rand.Reader, root, root, key.Public(), key)
	if err != nil {
		return err
	}
	if root, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	// In one file, so that no crash leaves the one without the other.
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	b = append(b, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	if err := wholefile.Write(a.file, b, 0o600); err != nil {
		return err
	}
	a.root, a.rootKey = root, key
	a.log.Warn("there is a new certificate authority, which browsers have to trust", "domain", a.domain, "expires", root.NotAfter.UTC())
	return nil
}

func (a *Authority) issue(now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := a.sign(now, key.Public(), []string{a.domain, "*." + a.domain})
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

// Certificate returns the newest, for the domain and all services.
func (a *Authority) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.leaf, nil
}

// Root returns the authority's certificate in PEM, for people to trust.
func (a *Authority) Root() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.root.Raw}))
}

// Err tells why there is no newer certificate, or that the present one has expired.
func (a *Authority) Err() error {
	if err := a.failed(); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return expired(a.leaf.Leaf)
}

func (a *Authority) failed() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// Expires returns until when the certificate in use is valid.
func (a *Authority) Expires() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.leaf.Leaf.NotAfter.UTC()
}
