// Package oidc signs people in by an OpenID Connect provider: authorization code with PKCE,
// endpoints by discovery. It finds out who somebody is there; which user that is here, and
// whether they may sign in, is for access to say.
package oidc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// Sealer seals what a browser keeps for us for some minutes.
type Sealer interface {
	Seal(ctx context.Context, text []byte, purpose string) (string, error)
	Unseal(ctx context.Context, sealed, purpose string) ([]byte, error)
}

// Options are what a Provider is made of.
type Options struct {
	Issuer        string
	ClientID      string
	ClientSecret  ownline.Secret // empty: a public client
	Scopes        []string       // beside openid
	Name          string         // of the provider, for people
	UsernameClaim string
	RoleClaim     string // a path with dots; "": the provider has no say in roles
	AdminValues   []string
	UserValues    []string       // empty: who is no admin is a user
	Authorities   *x509.CertPool // nil: the system's
	RedirectURL   string         // of our callback
	Sealer        Sealer
	Log           *slog.Logger
}

// Provider is one provider. Safe for concurrent use.
type Provider struct {
	o      Options
	client *http.Client
	log    *slog.Logger

	mu    sync.Mutex // guards what follows
	known *endpoints // nil: not discovered yet
	tried time.Time  // when discovery failed last
}

// endpoints are what discovery found.
type endpoints struct {
	oauth2   oauth2.Config
	provider *oidc.Provider
	verifier *oidc.IDTokenVerifier
}

const (
	answerWithin  = 10 * time.Second // one request to the provider
	discoverAgain = 2 * time.Second  // after it failed, at the earliest
	maxAnswer     = 1 << 20
)

// New makes a Provider; it asks the provider nothing yet.
func New(o Options) *Provider {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: o.Authorities, MinVersion: tls.VersionTLS12}
	return &Provider{o: o, client: &http.Client{Transport: limited{transport}, Timeout: answerWithin}, log: o.Log}
}

// limited cuts answers that are too long to be honest.
type limited struct{ next http.RoundTripper }

// RoundTrip sends a request.
func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.next.RoundTrip(r)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer)
	}
	return resp, err
}

// Issuer is how the provider calls itself.
func (p *Provider) Issuer() string { return p.o.Issuer }

// Name is what people call the provider.
func (p *Provider) Name() string { return p.o.Name }

func unavailable(detail string) error {
	return &ownline.FieldError{Kind: ownline.ErrUnavailable, Detail: detail}
}

// discover finds the endpoints. A provider that is down is asked again when somebody wants
// to sign in, but not all the time.
func (p *Provider) discover(ctx context.Context) (*endpoints, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known != nil {
		return p.known, nil
	}
	down := unavailable("the identity provider does not answer; try again later, or sign in another way")
	if time.Since(p.tried) < discoverAgain {
		return nil, down
	}
	// Who asked first may go away: the others wait for the same answer.
	provider, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), p.client), p.o.Issuer)
	if err != nil {
		p.tried = time.Now()
		p.log.WarnContext(ctx, "the identity provider can't be discovered", "issuer", p.o.Issuer, logging.Err, err)
		return nil, down
	}
	var more struct {
		Methods []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := provider.Claims(&more); err != nil {
		return nil, err
	}
	endpoint := provider.Endpoint()
	endpoint.AuthStyle = authStyle(len(p.o.ClientSecret) > 0, more.Methods)
	p.known = &endpoints{
		provider: provider, verifier: provider.Verifier(&oidc.Config{ClientID: p.o.ClientID}),
		oauth2: oauth2.Config{
			ClientID: p.o.ClientID, ClientSecret: string(p.o.ClientSecret), Endpoint: endpoint, RedirectURL: p.o.RedirectURL,
			Scopes: slices.Compact(append([]string{oidc.ScopeOpenID}, p.o.Scopes...)),
		},
	}
	p.log.InfoContext(ctx, "the identity provider is known", "issuer", p.o.Issuer)
	return p.known, nil
}

// authStyle is how the secret is sent. Trying both would spend the code at the first.
func authStyle(secret bool, methods []string) oauth2.AuthStyle {
	if !secret || len(methods) > 0 && !slices.Contains(methods, "client_secret_basic") {
		return oauth2.AuthStyleInParams
	}
	return oauth2.AuthStyleInHeader // the default (OpenID Connect Core, section 9)
}

// external judges claims: who they are of, and in which role.
func (p *Provider) external(subject string, claims map[string]any) (ownline.External, error) {
	e := ownline.External{Issuer: p.o.Issuer, Subject: subject}
	e.Name, _ = claims[p.o.UsernameClaim].(string)
	if p.o.RoleClaim == "" {
		return e, nil
	}
	values := claim(claims, p.o.RoleClaim)
	has := func(wanted []string) bool {
		return slices.ContainsFunc(wanted, func(w string) bool { return slices.Contains(values, w) })
	}
	switch {
	case has(p.o.AdminValues):
		e.Role = ownline.Admin
	case len(p.o.UserValues) == 0, has(p.o.UserValues):
		e.Role = ownline.Person
	default:
		return e, ownline.Forbidden("", "the identity provider knows you, but does not say that you may come in here")
	}
	return e, nil
}

// missing reports whether claims lack one that we go by.
func (p *Provider) missing(claims map[string]any) bool {
	_, name := claims[p.o.UsernameClaim].(string)
	return !name || p.o.RoleClaim != "" && claim(claims, p.o.RoleClaim) == nil
}

// claim returns the texts of a claim: one, or a list. A claim is looked for by its whole
// name first, which may have dots, and then as a path.
func claim(claims map[string]any, path string) []string {
	if v, ok := claims[path]; ok {
		return texts(v)
	}
	for i := range path {
		if path[i] != '.' {
			continue
		}
		if inner, ok := claims[path[:i]].(map[string]any); ok {
			if found := claim(inner, path[i+1:]); found != nil {
				return found
			}
		}
	}
	return nil
}

func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		out := []string{} // an empty list is a claim, too
		for _, item := range v {
			if s, ok := item.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}
