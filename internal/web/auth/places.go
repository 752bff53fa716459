package auth

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/ownline/ownline/internal/ownline"
)

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
