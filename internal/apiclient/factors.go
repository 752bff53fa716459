package apiclient

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Factors are what one signs in by beside the password.
type Factors struct {
	TOTP          bool   `json:"totp"`
	RecoveryCodes int    `json:"recovery_codes"` // left
	Passkeys      int    `json:"passkeys"`
	PasskeysOff   string `json:"passkeys_off,omitempty"` // why there can be none
}

// Proof shows that it is the user who asks: the password, or the second factor.
type Proof struct {
	Password string `json:"password,omitempty"`
	TOTP     string `json:"otp,omitempty"`
	Recovery string `json:"recovery_code,omitempty"`
}

// SetCode sets the second factor: a code of the user's app, or a recovery code.
func (p *Proof) SetCode(code string) { p.TOTP, p.Recovery = whichCode(code) }

// TOTPOffer is a second factor that does not count yet.
type TOTPOffer struct {
	Secret string `json:"secret"`
	URI    string `json:"uri"`
	QR     string `json:"qr"` // of the URI, as an SVG image
}

// RecoveryCodes are good once each, and shown only once.
type RecoveryCodes struct {
	RecoveryCodes []string `json:"recovery_codes"`
}

// Passkey is what signs in without a password.
type Passkey struct {
	ID       string     `json:"id"`
	Name     string     `json:"name"`
	Created  time.Time  `json:"created"`
	LastUsed *time.Time `json:"last_used,omitempty"`
	Cloned   bool       `json:"cloned"` // it may have been copied, and does not count any more
}

// ChangePassword changes the user's own password and signs them out everywhere else; their
// other tokens, too, if told so.
func (c *Client) ChangePassword(ctx context.Context, current, next string, tokens bool) error {
	in := struct {
		Current  string `json:"current"`
		Password string `json:"password"`
		Tokens   bool   `json:"tokens,omitempty"`
	}{current, next, tokens}
	return c.do(ctx, http.MethodPut, "/me/password", nil, nil, in, nil)
}

// Factors tells what one signs in by beside the password.
func (c *Client) Factors(ctx context.Context) (Factors, error) {
	return call[Factors](ctx, c, http.MethodGet, "/me/factors", nil)
}

// OfferTOTP begins to turn the second factor on; ConfirmTOTP does it.
func (c *Client) OfferTOTP(ctx context.Context, p Proof) (TOTPOffer, error) {
	return call[TOTPOffer](ctx, c, http.MethodPost, "/me/totp", p)
}

// ConfirmTOTP turns the second factor on by a code of the app.
func (c *Client) ConfirmTOTP(ctx context.Context, code string) (RecoveryCodes, error) {
	return call[RecoveryCodes](ctx, c, http.MethodPost, "/me/totp/confirm", map[string]string{"otp": code})
}

// RemoveTOTP turns the second factor off.
func (c *Client) RemoveTOTP(ctx context.Context, p Proof) error {
	return c.do(ctx, http.MethodPost, "/me/totp/off", nil, nil, p, nil)
}

// NewRecoveryCodes replaces the recovery codes.
func (c *Client) NewRecoveryCodes(ctx context.Context, p Proof) (RecoveryCodes, error) {
	return call[RecoveryCodes](ctx, c, http.MethodPost, "/me/recovery-codes", p)
}

// Passkeys lists one's passkeys.
func (c *Client) Passkeys(ctx context.Context) ([]Passkey, error) {
	return items[Passkey](ctx, c, "/me/passkeys")
}

// RenamePasskey gives a passkey another name.
func (c *Client) RenamePasskey(ctx context.Context, id, name string) (Passkey, error) {
	return call[Passkey](ctx, c, http.MethodPatch, "/me/passkeys/"+url.PathEscape(id), map[string]string{"name": name})
}

// RemovePasskey makes a passkey worthless.
func (c *Client) RemovePasskey(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, "/me/passkeys/"+url.PathEscape(id), nil, nil, nil, nil)
}

// ResetFactors takes a user's second factor, recovery codes and passkeys away, and signs
// them out (admin).
func (c *Client) ResetFactors(ctx context.Context, user string) error {
	return c.do(ctx, http.MethodDelete, "/users/"+url.PathEscape(user)+"/factors", nil, nil, nil, nil)
}
