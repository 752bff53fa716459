package acme

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
)

// issuer gets certificates, one at a time: so there is one hole at most, and a slow authority
// is not pressed. The library has an issuer of its own, but that one takes a port that
// somebody else listens at for one where the challenge is answered, and we would open it.
type issuer struct {
	cfg    Config
	store  certmagic.Storage
	client *acmez.Client
	until  context.Context // Run's
	turn   chan struct{}
}

func newIssuer(until context.Context, cfg Config, roots *x509.CertPool, store certmagic.Storage) *issuer {
	var solver acmez.Solver = &server{addrs: cfg.Addrs, hole: cfg.Hole, log: cfg.Logger}
	if cfg.Challenge == DNS01 {
		solver = &hook{command: cfg.Hook}
	}
	return &issuer{
		cfg:   cfg,
		store: store,
		until: until,
		turn:  make(chan struct{}, 1),
		client: &acmez.Client{
			Client: &acme.Client{
				Directory: cfg.Directory,
				UserAgent: "ownline",
				HTTPClient: &http.Client{
					Timeout: time.Minute,
					Transport: &http.Transport{
						Proxy:               http.ProxyFromEnvironment,
						DialContext:         (&net.Dialer{Timeout: 30 * time.Second}).DialContext,
						TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
						TLSHandshakeTimeout: 30 * time.Second,
						ForceAttemptHTTP2:   true,
						IdleConnTimeout:     30 * time.Second,
					},
				},
				Logger: library(cfg.Logger, "acmez"),
			},
			ChallengeSolvers: map[string]acmez.Solver{cfg.Challenge: solver},
		},
	}
}

// IssuerKey is the folder in which the library keeps what came from this authority.
func (i *issuer) IssuerKey() string {
	u, err := url.Parse(i.cfg.Directory)
	if err != nil {
		return "acme" // New has refused it
	}
	return certmagic.StorageKeys.Safe(strings.ReplaceAll(u.Host+strings.TrimSuffix(u.Path, "/"), "/", "-"))
}

// Issue gets a certificate for the name in the request.
func (i *issuer) Issue(ctx context.Context, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	defer context.AfterFunc(i.until, cancel)()
	select {
	case i.turn <- struct{}{}:
		defer func() { <-i.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := i.until.Err(); err != nil {
		return nil, err
	}
	account, err := i.account(ctx)
	if err != nil {
		return nil, fmt.Errorf("account at %s: %w", i.cfg.Directory, err)
	}
	params, err := acmez.OrderParametersFromCSR(account, csr)
	if err != nil {
		return nil, err
	}
	chains, err := i.client.ObtainCertificate(ctx, params)
	if err != nil {
		return nil, err
	}
	if len(chains) == 0 {
		return nil, errors.New("the authority sent no certificate")
	}
	return &certmagic.IssuedCertificate{Certificate: chains[0].ChainPEM, Metadata: chains[0]}, nil
}

// wait returns when nothing is being issued any more, and nothing will be.
func (i *issuer) wait() {
	i.turn <- struct{}{}
	i.client.HTTPClient.CloseIdleConnections()
}

// GetRenewalInfo asks when the authority would like the certificate to be renewed (RFC 9773).
func (i *issuer) GetRenewalInfo(ctx context.Context, c certmagic.Certificate) (acme.RenewalInfo, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(i.until, cancel)() // the library waits for this before it ends
	return i.client.GetRenewalInfo(ctx, c.Leaf)
}

// account opens the account, or finds the one that its key belongs to (RFC 8555, section
// 7.3.1). Every address has a key of its own.
func (i *issuer) account(ctx context.Context) (acme.Account, error) {
	name := "none"
	account := acme.Account{TermsOfServiceAgreed: true}
	if i.cfg.Email != "" {
		name = i.cfg.Email
		account.Contact = []string{"mailto:" + i.cfg.Email}
	}
	file := path.Join("accounts", i.IssuerKey(), certmagic.StorageKeys.Safe(name)+".key")
	b, err := i.store.Load(ctx, file)
	if errors.Is(err, fs.ErrNotExist) {
		var key *ecdsa.PrivateKey
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return account, err
		}
		if b, err = certmagic.PEMEncodePrivateKey(key); err != nil {
			return account, err
		}
		err = i.store.Store(ctx, file, b)
	}
	if err != nil {
		return account, err
	}
	if account.PrivateKey, err = certmagic.PEMDecodePrivateKey(b); err != nil {
		return account, fmt.Errorf("%s: %w", file, err)
	}
	return i.client.NewAccount(ctx, account)
}
