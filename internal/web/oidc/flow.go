package oidc

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// Lifetime is how long somebody may take at the provider.
const Lifetime = 10 * time.Minute

const (
	purpose   = "oidc/v1"
	maxReturn = 512
)

// Wish is why somebody is sent to the provider.
type Wish struct {
	Return string          `json:"return"`         // the local path to go on at
	Link   ownline.UserID  `json:"link,omitzero"`  // not to sign in, but to link this user
	Login  ownline.LoginID `json:"login,omitzero"` // by which that user asked
}

// trip is what the browser keeps for us, sealed, while its owner is at the provider.
type trip struct {
	Wish
	State    string    `json:"state"`
	Nonce    string    `json:"nonce"`
	Verifier string    `json:"verifier"` // of PKCE (RFC 7636)
	Expires  time.Time `json:"expires"`
}

// LocalPath checks a path to go on at: within our own pages, whatever a browser makes of it.
func LocalPath(path string) (string, error) {
	if path == "" {
		return "/", nil
	}
	u, err := url.Parse(path)
	bad := func(r rune) bool { return r <= ' ' || r == '\\' || r == 0x7f }
	if err != nil || len(path) > maxReturn || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") ||
		u.Scheme != "" || u.Host != "" || u.User != nil || strings.ContainsFunc(path, bad) ||
		strings.HasPrefix(u.Path, "//") || strings.HasPrefix(u.Path, `/\`) || strings.HasPrefix(u.Path, "/api/") {
		return "", ownline.Invalid("return", "must be the path of one of our pages, like /sessions")
	}
	return path, nil
}

// Start returns where to send the browser, and what it is to keep until it is back.
func (p *Provider) Start(ctx context.Context, w Wish) (address, kept string, err error) {
	if w.Return, err = LocalPath(w.Return); err != nil {
		return "", "", err
	}
	e, err := p.discover(ctx)
	if err != nil {
		return "", "", err
	}
	t := trip{Wish: w, State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Expires: time.Now().Add(Lifetime)}
	b, err := json.Marshal(t)
	if err != nil {
		return "", "", err
	}
	if kept, err = p.o.Sealer.Seal(ctx, b, purpose); err != nil {
		return "", "", err
	}
	return e.oauth2.AuthCodeURL(t.State, oidc.Nonce(t.Nonce), oauth2.S256ChallengeOption(t.Verifier)), kept, nil
}

func refused(detail string) error {
	return &ownline.FieldError{Kind: ownline.ErrUnauthorized, Detail: detail}
}

// Finish judges what the browser brings back from the provider: query, and what it kept.
// Wrong in any way is ErrUnauthorized; the reason goes to the log. The wish is told also then, if it is known.
func (p *Provider) Finish(ctx context.Context, kept string, query url.Values) (Wish, ownline.External, error) {
	t, err := p.opened(ctx, kept, query.Get("state"))
	if err != nil {
		return t.Wish, ownline.External{}, err
	}
	if code := query.Get("error"); code != "" {
		p.log.InfoContext(ctx, "the identity provider refused", "code", strings.ToValidUTF8(code[:min(len(code), 64)], ""))
		return t.Wish, ownline.External{}, refused("the identity provider did not sign you in")
	}
	if iss := query.Get("iss"); iss != "" && iss != p.o.Issuer { // RFC 9207
		p.log.WarnContext(ctx, "an answer that is of another identity provider")
		return t.Wish, ownline.External{}, refused("the answer is of another identity provider")
	}
	e, err := p.discover(ctx)
	if err != nil {
		return t.Wish, ownline.External{}, err
	}
	who, err := p.exchange(ctx, e, t, query.Get("code"))
	return t.Wish, who, err
}

// opened reads what the browser kept, and checks that the answer belongs to it. Of one that comes too
// late, the wish is told with the error.
func (p *Provider) opened(ctx context.Context, kept, state string) (trip, error) {
	var t trip
	b, err := p.o.Sealer.Unseal(ctx, kept, purpose)
	if err == nil {
		err = json.Unmarshal(b, &t)
	}
	switch {
	case errors.Is(err, ownline.ErrUnavailable):
		return trip{}, err
	case err != nil, subtle.ConstantTimeCompare([]byte(t.State), []byte(state)) != 1:
		p.log.InfoContext(ctx, "an answer of the identity provider that this browser did not ask for")
		return trip{}, refused("this browser did not begin to sign in here: begin again")
	case !time.Now().Before(t.Expires):
		return t, refused("it took too long: begin again")
	}
	return t, nil
}

// exchange turns the code into claims that the provider has signed.
func (p *Provider) exchange(ctx context.Context, e *endpoints, t trip, code string) (ownline.External, error) {
	ctx = oidc.ClientContext(ctx, p.client)
	fail := func(what string, err error) (ownline.External, error) {
		var answer *oauth2.RetrieveError
		if errors.As(err, &answer) {
			err = errors.New(answer.ErrorCode) // its other words may hold what we sent
		}
		p.log.WarnContext(ctx, "nobody was signed in by the identity provider", "step", what, logging.Err, err)
		return ownline.External{}, refused("what the identity provider sent is not good; begin again, and tell an admin if that does not help")
	}
	token, err := e.oauth2.Exchange(ctx, code, oauth2.VerifierOption(t.Verifier))
	if err != nil {
		var answer *oauth2.RetrieveError
		if errors.As(err, &answer) && answer.Response.StatusCode < 500 {
			return fail("code", err)
		}
		if answer == nil {
			p.log.WarnContext(ctx, "the identity provider does not answer", logging.Err, err)
			return ownline.External{}, unavailable("the identity provider does not answer; try again later, or sign in another way")
		}
		return fail("code", err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return fail("token", errors.New("there is no ID token"))
	}
	id, err := e.verifier.Verify(ctx, raw)
	if err != nil {
		return fail("token", err)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(t.Nonce)) != 1 {
		return fail("nonce", errors.New("it is not the one that was sent"))
	}
	if id.AccessTokenHash != "" {
		if err := id.VerifyAccessToken(token.AccessToken); err != nil {
			return fail("access token", err)
		}
	}
	claims := map[string]any{}
	if err := id.Claims(&claims); err != nil {
		return fail("claims", err)
	}
	if azp, ok := claims["azp"].(string); ok && azp != p.o.ClientID {
		return fail("token", errors.New("it was made for another client"))
	}
	if p.missing(claims) && e.provider.UserInfoEndpoint() != "" {
		// Some providers tell only there. What the signed token says counts more.
		info, err := e.provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
		if err != nil {
			return fail("user info", err)
		}
		if info.Subject != id.Subject {
			return fail("user info", errors.New("it is about somebody else"))
		}
		more := map[string]any{}
		if err := info.Claims(&more); err != nil {
			return fail("user info", err)
		}
		for k, v := range claims {
			more[k] = v
		}
		claims = more
	}
	if id.Subject == "" {
		return fail("token", errors.New("it names nobody"))
	}
	return p.external(id.Subject, claims)
}
