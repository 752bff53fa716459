// Package acme: certificates for the reverse proxy from an authority that checks who holds a
// name (RFC 8555), Let's Encrypt for one. Source keeps one for every service, or with
// challenge dns-01 one for all of them, and renews them. The library certmagic stores,
// chooses and renews; how a challenge is met is ours, because this is a router: the port that
// the authority looks at is open only while it looks, and leads nowhere but to the answer.
//
// It is a package of its own, so that a small router's core can be built without it.
package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// The ways to show that a name is ours (RFC 8555, section 8, and RFC 8737).
const (
	HTTP01    = "http-01"
	TLSALPN01 = "tls-alpn-01"
	DNS01     = "dns-01"
)

// LetsEncrypt is the directory that is asked when none is configured.
const LetsEncrypt = certmagic.LetsEncryptProductionCA

// Hole opens a port of the router to everyone, until close is called. The port is that of
// the addresses that the challenge is answered at.
type Hole interface {
	Open(ctx context.Context, port uint16) (close func(), err error)
}

// Config is what a Source needs.
type Config struct {
	Domain    string // services are at NAME.Domain
	Email     string // the authority may write to it; "": none
	Directory string // URL; "": LetsEncrypt
	Challenge string // HTTP01, TLSALPN01 or DNS01
	RootsFile string // PEM of who vouches for the directory; "": the system's
	Dir       string // for keys and certificates; made with mode 0700

	// Of DNS01: a program by its absolute path, and arguments. It is called with
	// "present NAME VALUE" or "cleanup NAME VALUE" behind them.
	Hook []string

	// Of the others: where the challenge is answered, all at one port, and what lets the
	// authority come there. It asks at port 80 for HTTP01, and at 443 for TLSALPN01.
	Addrs []netip.AddrPort
	Hole  Hole // nil: the port is open anyway

	Logger *slog.Logger

	look  time.Duration   // how often certificates are looked at; 0: certmagic's 10 minutes
	retry []time.Duration // pauses after failures, the last for all further ones; nil: retries
}

// retries stay below what Let's Encrypt forgives: five failures an hour for a name.
var retries = []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour}

// attempt is the longest that one try may take. Authorities may take minutes to look.
const attempt = 10 * time.Minute

// Source has certificates. It satisfies proxy.Certificates.
type Source struct {
	cfg     Config
	roots   *x509.CertPool
	log     *slog.Logger
	changed chan struct{}

	mu    sync.Mutex        // guards what is below
	magic *certmagic.Config // nil: Run has not begun
	cache *certmagic.Cache
	issue *issuer          // likewise
	want  []string         // full names
	errs  map[string]error // what went wrong last, by full name
}

// New checks the configuration. Run does the rest.
func New(cfg Config) (*Source, error) {
	if cfg.Directory == "" {
		cfg.Directory = LetsEncrypt
	}
	if u, err := url.Parse(cfg.Directory); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, ownline.Invalid("directory", fmt.Sprintf("%q is not a URL that begins with https://", cfg.Directory))
	}
	if cfg.Email != "" && (strings.Count(cfg.Email, "@") != 1 || strings.ContainsAny(cfg.Email, " ,;?&<>\r\n\t\x00")) {
		return nil, ownline.Invalid("email", fmt.Sprintf("%q is not an address like me@example.org", cfg.Email))
	}
	switch cfg.Challenge {
	case HTTP01, TLSALPN01:
		if len(cfg.Addrs) == 0 || slices.ContainsFunc(cfg.Addrs, func(a netip.AddrPort) bool { return a.Port() != cfg.Addrs[0].Port() }) {
			return nil, ownline.Invalid("challenge", cfg.Challenge+" needs addresses with one port to be answered at")
		}
	case DNS01:
		if len(cfg.Hook) == 0 || !filepath.IsAbs(cfg.Hook[0]) {
			return nil, ownline.Invalid("hook", "is needed for dns-01: the absolute path of a program, and its arguments")
		}
		if _, err := exec.LookPath(cfg.Hook[0]); err != nil {
			return nil, ownline.Invalid("hook", fmt.Sprintf("can't be run: %v", err))
		}
	default:
		return nil, ownline.Invalid("challenge", fmt.Sprintf("%q is not one of %s, %s, %s", cfg.Challenge, HTTP01, TLSALPN01, DNS01))
	}
	if cfg.retry == nil {
		cfg.retry = retries
	}
	s := &Source{cfg: cfg, log: cfg.Logger, changed: make(chan struct{}, 1), errs: map[string]error{}}
	if cfg.RootsFile != "" {
		b, err := os.ReadFile(cfg.RootsFile)
		if err != nil {
			return nil, err
		}
		s.roots = x509.NewCertPool()
		if !s.roots.AppendCertsFromPEM(b) {
			return nil, ownline.Invalid("ca_file", cfg.RootsFile+" has no certificate in PEM")
		}
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	s.Manage(nil)
	return s, nil
}

// Manage says for which services there are to be certificates: their names, without the
// domain. With dns-01 there is one for all names, whatever is said here.
func (s *Source) Manage(services []string) {
	var want []string
	for _, name := range services {
		want = append(want, name+"."+s.cfg.Domain)
	}
	if s.cfg.Challenge == DNS01 {
		want = []string{"*." + s.cfg.Domain}
	}
	slices.Sort(want)
	s.mu.Lock()
	s.want = slices.Compact(want)
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default: // it will look at the newest anyway
	}
}

// Certificate returns the newest for the name that is asked for.
func (s *Source) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	magic := s.magic
	s.mu.Unlock()
	if magic == nil {
		return nil, errors.New("no certificate yet")
	}
	return magic.GetCertificate(hello)
}

// Sign gets a certificate, with those that lead to its root in PEM, for a request that somebody
// else has made and who keeps the key; nothing is kept here. The names in it are for the caller to
// judge. It takes as long as it takes: at most 10 minutes.
func (s *Source) Sign(ctx context.Context, csr *x509.CertificateRequest) ([]byte, error) {
	s.mu.Lock()
	issue := s.issue
	s.mu.Unlock()
	if issue == nil {
		return nil, fmt.Errorf("%w: the authority is not asked yet", ownline.ErrUnavailable)
	}
	c, err := issue.Issue(ctx, csr)
	if err != nil {
		return nil, err
	}
	return c.Certificate, nil
}

// Run obtains and renews until ctx ends. No challenge is under way when it returns, and the
// certificates that it had are still served. It is run once.
func (s *Source) Run(ctx context.Context) error {
	store := &storage{FileStorage: certmagic.FileStorage{Path: s.cfg.Dir}}
	issuer := newIssuer(ctx, s.cfg, s.roots, store)
	zlog := zapped(s.log, "certmagic")
	var magic *certmagic.Config
	cache := certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return magic, nil },
		RenewCheckInterval: s.cfg.look,
		Logger:             zlog,
	})
	magic = certmagic.New(cache, certmagic.Config{
		Storage: store,
		Issuers: []certmagic.Issuer{issuer},
		OnEvent: s.event,
		Logger:  zlog,
	})
	s.mu.Lock()
	s.magic, s.cache, s.issue = magic, cache, issuer
	s.mu.Unlock()
	defer issuer.wait()
	defer cache.Stop()

	failures := map[string]*failure{}
	var cleaned time.Time
	for ctx.Err() == nil {
		if time.Since(cleaned) > 24*time.Hour {
			cleaned = time.Now()
			o := certmagic.CleanStorageOptions{Logger: zlog, OCSPStaples: true, ExpiredCerts: true, ExpiredCertGracePeriod: 14 * 24 * time.Hour}
			if err := certmagic.CleanStorage(ctx, store, o); err != nil && ctx.Err() == nil {
				s.log.Warn("old certificates were not removed", logging.Err, err)
			}
		}
		next := s.keep(ctx, store, issuer, failures)
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-s.changed:
			timer.Stop()
		case <-timer.C:
		}
	}
	return nil
}

// failure is how often in a row there was no certificate for a name.
type failure struct {
	times int
	next  time.Time // not to be tried before
}

// keep sees that there is a certificate for every name, and none besides, and returns when to
// look again. The library renews those that are there.
func (s *Source) keep(ctx context.Context, store *storage, issuer *issuer, failures map[string]*failure) time.Duration {
	s.mu.Lock()
	magic, cache, want := s.magic, s.cache, s.want
	for name := range s.errs {
		if !slices.Contains(want, name) {
			delete(s.errs, name)
			cache.RemoveManaged([]certmagic.SubjectIssuer{{Subject: name}})
		}
	}
	s.mu.Unlock()
	maps.DeleteFunc(failures, func(name string, _ *failure) bool { return !slices.Contains(want, name) })

	next := time.Hour
	var missing []string
	stored := false
	for _, name := range want { // these before the others, which take their time
		if managed(cache, name) != nil {
			continue
		}
		switch err := load(ctx, magic, store, issuer, name); {
		case err == nil:
			stored = true
			s.note(name, nil)
		case errors.Is(err, fs.ErrNotExist):
			missing = append(missing, name)
		default:
			s.note(name, err)
			s.log.Error("a stored certificate can't be read", "name", name, logging.Err, err)
			next = time.Minute
		}
	}
	for _, name := range missing {
		f := failures[name]
		if f == nil {
			f = &failure{}
			failures[name] = f
		}
		if wait := time.Until(f.next); wait > 0 {
			next = min(next, wait)
			continue
		}
		s.note(name, nil)
		err := obtain(ctx, magic, name)
		if ctx.Err() != nil {
			return next
		}
		if said := s.noted(name); said != nil {
			err = said // without all that the library puts around it
		}
		if err == nil {
			delete(failures, name)
			continue
		}
		pause := s.cfg.retry[min(f.times, len(s.cfg.retry)-1)]
		f.times++
		f.next = time.Now().Add(pause)
		next = min(next, pause)
		s.note(name, err)
		s.log.Warn("no certificate; it will be tried again", "name", name, "in", pause, logging.Err, err)
	}
	if stored { // some may have been kept for too long
		if err := cache.RenewManagedCertificates(ctx); err != nil {
			s.log.Error("certificates are not renewed", logging.Err, err)
		}
	}
	return next
}

// load takes a certificate from the files. fs.ErrNotExist says that there is none.
func load(ctx context.Context, magic *certmagic.Config, store *storage, issuer *issuer, name string) error {
	// A crash in the middle of a renewal leaves a key without its certificate.
	if err := store.mend(ctx, issuer.IssuerKey(), name); err != nil {
		return err
	}
	_, err := magic.CacheManagedCertificate(ctx, name)
	return err
}

func obtain(ctx context.Context, magic *certmagic.Config, name string) error {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	return magic.ManageSync(ctx, []string{name})
}

// event hears what the library does.
func (s *Source) event(_ context.Context, what string, data map[string]any) error {
	name, _ := data["identifier"].(string)
	switch what {
	case "cert_obtained":
		s.note(name, nil)
		s.log.Info("there is a new certificate", "name", name, "renewal", data["renewal"])
	case "cert_failed":
		if err, ok := data["error"].(error); ok && !errors.Is(err, context.Canceled) { // which is Run's end
			s.note(name, err)
			if data["renewal"] == true {
				s.log.Warn("the certificate was not renewed; it will be tried again", "name", name, logging.Err, err)
			}
		}
	}
	return nil
}

func (s *Source) note(name string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.want, name) {
		s.errs[name] = err
	}
}

func (s *Source) noted(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.errs[name]
}

// managed returns the certificate for exactly this name that expires last, or nil.
func managed(cache *certmagic.Cache, name string) *x509.Certificate {
	var last *x509.Certificate
	for _, c := range cache.AllMatchingCertificates(name) {
		if slices.Contains(c.Names, name) && (last == nil || c.Leaf.NotAfter.After(last.NotAfter)) {
			last = c.Leaf
		}
	}
	return last
}

// Err tells for which services there is no valid certificate, or none newer, and why.
func (s *Source) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []error
	for _, name := range s.want {
		var leaf *x509.Certificate
		if s.cache != nil {
			leaf = managed(s.cache, name)
		}
		switch err := s.errs[name]; {
		case err != nil:
			all = append(all, fmt.Errorf("certificate for %s: %w", name, err))
		case leaf == nil:
			all = append(all, fmt.Errorf("certificate for %s: not there yet", name))
		case time.Now().After(leaf.NotAfter):
			all = append(all, fmt.Errorf("certificate for %s: has expired on %s", name, leaf.NotAfter.UTC().Format(time.DateOnly)))
		case time.Until(leaf.NotAfter) < leaf.NotAfter.Sub(leaf.NotBefore)/6: // it is renewed when a third is left
			all = append(all, fmt.Errorf("certificate for %s: expires on %s and has not been renewed", name, leaf.NotAfter.UTC().Format(time.DateOnly)))
		}
	}
	return errors.Join(all...)
}

// Expires returns until when the certificate that expires first is valid; zero when there is
// none.
func (s *Source) Expires() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	var first time.Time
	for _, name := range s.want {
		if s.cache == nil {
			break
		}
		if leaf := managed(s.cache, name); leaf != nil && (first.IsZero() || leaf.NotAfter.Before(first)) {
			first = leaf.NotAfter.UTC()
		}
	}
	return first
}
