package auth

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ownline/ownline/internal/ownline"
)

const maxTokenName = 64 // characters

// AddToken makes a bearer token for the asking user and returns its value, which is shown
// this once. A zero expires means never.
func (a *Auth) AddToken(ctx context.Context, id Identity, name string, scopes []string, expires time.Time) (ownline.Token, string, error) {
	now := time.Now()
	switch {
	case strings.TrimSpace(name) == "" || utf8.RuneCountInString(name) > maxTokenName:
		return ownline.Token{}, "", ownline.Invalid("name", fmt.Sprintf("must have 1 to %d characters", maxTokenName))
	case !expires.IsZero() && !expires.After(now):
		return ownline.Token{}, "", ownline.Invalid("expires", "lies in the past")
	}
	t := ownline.Token{ID: ownline.NewID[ownline.Token](), User: id.User.ID, Name: name, Scopes: scopes, Created: now.UTC(), Expires: expires.UTC()}
	if expires.IsZero() {
		t.Expires = time.Time{}
	}
	value, hash := newValue(tokenPrefix)
	if err := a.store.AddToken(ctx, t, hash); err != nil {
		return ownline.Token{}, "", err
	}
	return t, value, a.audit(ctx, id, "token.add", t.ID.String())
}

// Tokens lists the tokens of whoever asks.
func (a *Auth) Tokens(ctx context.Context, id Identity) ([]ownline.Token, error) {
	return a.store.Tokens(ctx, id.User.ID)
}

// RemoveToken makes one of the asking user's tokens worthless.
func (a *Auth) RemoveToken(ctx context.Context, id Identity, t ownline.TokenID) error {
	if err := a.store.DeleteToken(ctx, id.User.ID, t); err != nil {
		return err
	}
	return a.audit(ctx, id, "token.remove", t.String())
}
