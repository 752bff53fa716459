package auth

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ownline/ownline/internal/ownline"
)

const maxLabel = 64 // characters

// label takes what people call a token or a passkey: any printable text.
func label(s string) (string, error) {
	s = strings.TrimSpace(s)
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
	if s == "" || utf8.RuneCountInString(s) > maxLabel || !utf8.ValidString(s) || strings.ContainsFunc(s, unprintable) {
		return "", ownline.Invalid("name", fmt.Sprintf("must have 1 to %d printable characters", maxLabel))
	}
	return s, nil
}

// AddToken makes a bearer token for the asking user and returns its value, which is shown
// this once. A zero expires means never. Whoever asks by token gets no more scopes and no
// more time than that one has; a zero expires then means its end. Whoever asks by a browser
// that did not sign in just now gives the password or a code: a token outlasts the login.
func (a *Auth) AddToken(ctx context.Context, id Identity, name string, scopes []string, expires time.Time, password string, code Code) (ownline.Token, string, error) {
	name, err := label(name)
	if err != nil {
		return ownline.Token{}, "", err
	}
	now := time.Now()
	switch {
	case !expires.IsZero() && !expires.After(now):
		return ownline.Token{}, "", ownline.Invalid("expires", "lies in the past")
	case !id.until.IsZero() && expires.After(id.until):
		return ownline.Token{}, "", ownline.Forbidden("expires", "a token can't make one that outlives it: it ends at "+id.until.UTC().Format(time.RFC3339))
	}
	if expires.IsZero() {
		expires = id.until
	}
	scopes, err = grantable(id, scopes)
	if err != nil {
		return ownline.Token{}, "", err
	}
	t := ownline.Token{ID: ownline.NewID[ownline.Token](), User: id.User.ID, Name: name, Scopes: scopes, Created: now.UTC(), Expires: expires.UTC()}
	if expires.IsZero() {
		t.Expires = time.Time{}
	}
	if !id.Login.IsZero() {
		if err := a.prove(ctx, id, password, code, true); err != nil {
			return ownline.Token{}, "", err
		}
	}
	value, hash := newValue(tokenPrefix)
	if err := a.store.AddToken(ctx, t, hash); err != nil {
		return ownline.Token{}, "", err
	}
	return t, value, a.audit(ctx, id, "token.add", t.ID.String(), fmt.Sprintf("%q, scopes %s", t.Name, strings.Join(t.Scopes, " ")))
}

// grantable returns the scopes without repetitions, in the order in which lists have them,
// if whoever asks may give them to a token.
func grantable(id Identity, scopes []string) (out []string, err error) {
	for _, s := range scopes {
		switch {
		case !slices.Contains(ownline.Scopes(), s):
			return nil, ownline.Invalid("scopes", "must be of "+strings.Join(ownline.Scopes(), ", "))
		case s == ownline.ScopeAdmin && id.User.Role != ownline.Admin:
			return nil, ownline.Forbidden("scopes", "admin is for tokens of admins")
		case !id.Token.IsZero() && !slices.Contains(id.Scopes, ownline.ScopeFull) && !slices.Contains(id.Scopes, s):
			return nil, ownline.Forbidden("scopes", "a token can't give what it has not: "+s)
		}
	}
	for _, s := range ownline.Scopes() {
		if slices.Contains(scopes, s) {
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		return nil, ownline.Invalid("scopes", "needs at least one of "+strings.Join(ownline.Scopes(), ", "))
	}
	return out, nil
}

// Tokens lists a user's tokens, oldest first; of everybody for the zero user, which is for
// the caller to allow.
func (a *Auth) Tokens(ctx context.Context, p ownline.Page, user ownline.UserID) ([]ownline.TokenInfo, string, error) {
	return a.store.Tokens(ctx, p, user)
}

// RemoveToken makes a token of the user's worthless; anybody's for the zero user, which is
// for the caller to allow.
func (a *Auth) RemoveToken(ctx context.Context, id Identity, user ownline.UserID, t ownline.TokenID) error {
	if err := a.store.DeleteToken(ctx, user, t); err != nil {
		return err
	}
	a.ended.ring()
	return a.audit(ctx, id, "token.remove", t.String())
}
