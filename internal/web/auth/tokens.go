package auth

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ownline/ownline/internal/ownline"
)

const maxTokenName = 64 // characters

// AddToken makes a bearer token for a user and returns its value, which is shown this once.
// A zero expires means never.
func (a *Auth) AddToken(ctx context.Context, user ownline.UserID, client netip.Addr, name string, scopes []string, expires time.Time) (ownline.Token, string, error) {
	now := time.Now()
	switch {
	case strings.TrimSpace(name) == "" || utf8.RuneCountInString(name) > maxTokenName:
		return ownline.Token{}, "", ownline.Invalid("name", fmt.Sprintf("must have 1 to %d characters", maxTokenName))
	case !expires.IsZero() && !expires.After(now):
		return ownline.Token{}, "", ownline.Invalid("expires", "lies in the past")
	}
	t := ownline.Token{ID: ownline.NewID[ownline.Token](), User: user, Name: name, Scopes: scopes, Created: now.UTC(), Expires: expires.UTC()}
	if expires.IsZero() {
		t.Expires = time.Time{}
	}
	value, hash := newValue(TokenPrefix)
	if err := a.store.AddToken(ctx, t, hash); err != nil {
		return ownline.Token{}, "", err
	}
	return t, value, a.audit(ctx, user, "login", client, "token.add", t.ID.String())
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
	return a.audit(ctx, id.User.ID, "login", id.Client, "token.remove", t.String())
}

// maxKnown is how many places are remembered of a user.
const maxKnown = 16

func knownKey(user ownline.UserID) string { return "auth.known." + user.String() }

// cameFrom reports whether the user signed in from around there before.
func (a *Auth) cameFrom(ctx context.Context, user ownline.UserID, client netip.Addr) (bool, error) {
	if user.IsZero() || !client.IsValid() {
		return false, nil
	}
	places, err := a.store.Setting(ctx, knownKey(user))
	return slices.Contains(strings.Fields(places), neighbourhood(client).String()), err
}

// remember keeps the places that a user signed in from, the newest first.
func (a *Auth) remember(ctx context.Context, user ownline.UserID, client netip.Addr) error {
	if !client.IsValid() {
		return nil
	}
	places, err := a.store.Setting(ctx, knownKey(user))
	if err != nil {
		return err
	}
	list := slices.Insert(strings.Fields(places), 0, neighbourhood(client).String())
	return a.store.SetSetting(ctx, knownKey(user), strings.Join(list[:min(len(list), maxKnown)], " "))
}
