package auth

import (
	"net/http"
	"net/netip"
	"slices"
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
