package apiclient

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// Issued is a new bearer token.
type Issued struct {
	Token   string     `json:"token"`
	TokenID string     `json:"token_id"`
	Expires *time.Time `json:"expires,omitempty"`
	// MustChange: the token is good for ChangePassword only, before.
	MustChange bool `json:"must_change_password"`
}

// Me is who is signed in.
type Me struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Role      string    `json:"role"`
	Created   time.Time `json:"created"`
	SiteCount int       `json:"site_count"`
	Limits    Limits    `json:"limits"`
}

// Limits are what a session may be; a grant can only allow less.
type Limits struct {
	Default int64  `json:"default"` // seconds
	Max     int64  `json:"max"`     // seconds
	PortMin uint16 `json:"port_min"`
	PortMax uint16 `json:"port_max"`
}

// Whoami is where the server sees requests come from.
type Whoami struct {
	Address string `json:"address"`
	Family  int    `json:"family"`
	Kind    string `json:"kind"` // public, private, carrier_nat or unusable
	Source  string `json:"source,omitempty"`

	Forwarded bool `json:"forwarded"` // a proxy that the server trusts told the address
}

// Credentials prove who signs in.
type Credentials struct {
	Name     string `json:"name"`
	Password string `json:"password"`
	Label    string `json:"label,omitempty"` // of the token, as lists show it
	TOTP     string `json:"otp,omitempty"`   // of users with a second factor; see SetCode
	Recovery string `json:"recovery_code,omitempty"`
}

// SetCode sets the second factor: a code of the user's app, or a recovery code.
func (c *Credentials) SetCode(code string) { c.TOTP, c.Recovery = whichCode(code) }

// whichCode tells a recovery code from one of an app, which is six digits.
func whichCode(code string) (totp, recovery string) {
	if len(code) > 8 {
		return "", code
	}
	return code, ""
}

// NeedsCode reports whether an error of SignIn means that the password was right and a code
// is needed, too.
func NeedsCode(err error) bool {
	p, ok := errors.AsType[*Problem](err)
	return ok && p.Type == ownline.ProblemSecondFactor
}

// SignIn exchanges credentials for a bearer token, and uses that from now on.
func (c *Client) SignIn(ctx context.Context, in Credentials) (Issued, error) {
	out, err := call[Issued](ctx, c, http.MethodPost, "/auth/token", in)
	if err == nil {
		c.Token = out.Token
	}
	return out, err
}

// SignOut makes the client's token worthless.
func (c *Client) SignOut(ctx context.Context) error {
	return c.do(ctx, http.MethodPost, "/auth/logout", nil, nil, nil, nil)
}

// UnlinkProvider ends that the user signs in by the identity provider.
func (c *Client) UnlinkProvider(ctx context.Context) error {
	return c.do(ctx, http.MethodDelete, "/auth/oidc/link", nil, nil, nil, nil)
}

// Me tells who is signed in.
func (c *Client) Me(ctx context.Context) (Me, error) {
	return call[Me](ctx, c, http.MethodGet, "/me", nil)
}

// Whoami tells where the server sees requests come from.
func (c *Client) Whoami(ctx context.Context) (Whoami, error) {
	return call[Whoami](ctx, c, http.MethodGet, "/whoami", nil)
}

// Token is a bearer token; its value is shown only once.
type Token struct {
	ID       string     `json:"id"`
	User     string     `json:"user"`
	UserName string     `json:"user_name"`
	Name     string     `json:"name"`
	Scopes   []string   `json:"scopes"`
	Created  time.Time  `json:"created"`
	Expires  *time.Time `json:"expires,omitempty"`
	LastUsed *time.Time `json:"last_used,omitempty"`
}

// NewToken is a token with its value.
type NewToken struct {
	Token
	Value string `json:"token"`
}

// TokenRequest asks for a token.
type TokenRequest struct {
	Name    string     `json:"name"`
	Scopes  []string   `json:"scopes"`
	Expires *time.Time `json:"expires,omitempty"` // nil: never
}

// Tokens lists one's own tokens, or everybody's (admin).
func (c *Client) Tokens(ctx context.Context, everybody bool) ([]Token, error) {
	v := url.Values{}
	if everybody {
		v.Set("all", "true")
	}
	return all[Token](ctx, c, "/tokens", v)
}

// AddToken makes a token.
func (c *Client) AddToken(ctx context.Context, in TokenRequest) (NewToken, error) {
	return call[NewToken](ctx, c, http.MethodPost, "/tokens", in)
}

// RemoveToken makes a token worthless.
func (c *Client) RemoveToken(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, "/tokens/"+url.PathEscape(id), nil, nil, nil, nil)
}
