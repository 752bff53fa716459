package auth

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"unicode"
)

const maxAgent = 200 // characters

// agent is what the client says that it is, without what could confuse a terminal.
func agent(r *http.Request) string {
	kept := 0
	return strings.Map(func(c rune) rune {
		if kept++; kept > maxAgent || !unicode.IsPrint(c) {
			return -1
		}
		return c
	}, strings.ToValidUTF8(r.UserAgent(), ""))
}

// peer is the address at the other end of the socket; zero: there is no IP socket.
func peer(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// ByProxy reports whether the peer of the connection is a proxy that is trusted.
func (a *Auth) ByProxy(r *http.Request) bool { return trusts(a.trusted, peer(r)) }

// ClientOf returns the address that a request came from; headers count only when a trusted
// proxy sent them.
func (a *Auth) ClientOf(r *http.Request) netip.Addr { return clientAddr(r, a.trusted) }

func trusts(trusted []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// forwarded reports whether the request says that it has passed a proxy, which is not one of
// trusted: then what clientAddr returns may be the proxy.
func forwarded(r *http.Request, trusted []netip.Prefix) bool {
	said := slices.ContainsFunc([]string{"X-Forwarded-For", "Forwarded", "X-Real-Ip"}, func(h string) bool { return r.Header.Get(h) != "" })
	return said && !trusts(trusted, peer(r))
}

// clientAddr returns the address that a request came from: that of the socket. Only when
// this is one of trusted does X-Forwarded-For count, and of that the nearest hop that is
// not trusted itself: everything left of it was written by whom we can't trust. The zero
// Addr is for a request that came through no IP socket.
func clientAddr(r *http.Request, trusted []netip.Prefix) netip.Addr {
	addr := peer(r)
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && trusts(trusted, addr); i-- {
		hop, ok := parseHop(strings.TrimSpace(hops[i]))
		if !ok {
			break // nobody is named here: the hop that we know stays
		}
		addr = hop
	}
	return addr
}

// parseHop reads an address as proxies write them: bare, or with a port.
func parseHop(s string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return a.Unmap().WithZone(""), err == nil
}
