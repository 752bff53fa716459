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

// remember keeps the places that a user came from who proved everything that is asked for,
// the latest first.
func (a *Auth) remember(ctx context.Context, user ownline.UserID, client netip.Addr) error {
	if !client.IsValid() {
		return nil
	}
	places, err := a.store.Setting(ctx, knownKey(user))
	if err != nil {
		return err
	}
	here := neighbourhood(client).String()
	list := strings.Fields(places)
	if len(list) > 0 && list[0] == here {
		return nil
	}
	list = slices.DeleteFunc(list, func(place string) bool { return place == here })
	list = slices.Insert(list, 0, here)
	return a.store.SetSetting(ctx, knownKey(user), strings.Join(list[:min(len(list), maxKnown)], " "))
}
