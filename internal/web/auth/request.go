package auth

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// ClientOf returns the address that a request came from; headers count only when a trusted
// proxy sent them.
func (a *Auth) ClientOf(r *http.Request) netip.Addr { return clientAddr(r, a.trusted) }

// ByProxy reports whether the peer of the connection is a proxy that is trusted.
func (a *Auth) ByProxy(r *http.Request) bool {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	peer := ap.Addr().Unmap().WithZone("")
	return slices.ContainsFunc(a.trusted, func(p netip.Prefix) bool { return p.Contains(peer) })
}

// LoggedIn returns the user of a login that still counts, by its identifier; another user's
// is ownline.ErrUnauthorized.
func (a *Auth) LoggedIn(ctx context.Context, user ownline.UserID, login ownline.LoginID) (ownline.User, error) {
	u, err := a.store.LoginOf(ctx, user, login, time.Now())
	if errors.Is(err, ownline.ErrNotFound) {
		err = ownline.ErrUnauthorized
	}
	return u, err
}
