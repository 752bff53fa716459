package gate

import (
	"context"
	"net/http"
	"strings"

	"github.com/ownline/ownline/internal/core/proxy/login"
	"github.com/ownline/ownline/internal/core/proxy/page"
)

// What a server says besides of a request to a service that requires a login, with the client's
// headers in LoginNeeds. The first says that it does: it is part of the server's configuration, so a
// gate that knows nothing yet lets nobody in.
const (
	LoginHeader  = "Ownline-Login"  // Required
	MethodHeader = "Ownline-Method" // of the request
	URIHeader    = "Ownline-Uri"    // path and query, as the client wrote them

	Required = "required"
)

// LoginNeeds are the headers of a client that the login looks at.
func LoginNeeds() []string {
	return []string{"Cookie", "Accept", "Sec-Fetch-Mode", "Sec-Fetch-Dest", "X-Requested-With", "Upgrade", "Content-Type"}
}

// EnterPath is asked for in place of Path by servers that pass an answer on to the client, unless
// it is 204. At Path they are told no more than 401. At both, CookieHeader of a 204 is what the
// service may see of Cookie. Servers that pass on whatever comes ask for InsteadPath, and for
// OwnPath where they take the path of a request for one of ours: no 204 is ever said there, and at
// OwnPath it is 404 for what the login would take for a path of the service.
const (
	EnterPath    = "/enter"
	InsteadPath  = "/instead"
	OwnPath      = "/own"
	CookieHeader = "Ownline-Cookie"
)

// Logins stand in front of services that require one.
type Logins interface {
	// In reports whether a request has a login; live ends with it.
	In(login.Request) (live context.Context, ok bool)
	// Admit does so, too, and otherwise returns what is to be answered instead.
	Admit(login.Request) (live context.Context, instead *login.Reply)
}

// maxLogins is how many may use one connection, so that all of them can be watched.
const maxLogins = 16

// login judges a request whose source is admitted.
func (g *Gate) login(w http.ResponseWriter, r *http.Request, a ask) {
	if g.Logins == nil || len(r.Header[URIHeader]) != 1 || len(r.Header[MethodHeader]) != 1 || r.Header.Get(LoginHeader) != Required {
		page.NoLogins.Answer(w, r.Method, r.Header, "")
		return
	}
	in := login.Request{Service: a.service, Source: a.client.Addr(), Method: r.Header.Get(MethodHeader), URI: r.Header.Get(URIHeader), Header: r.Header}
	var live context.Context
	var instead *login.Reply
	switch r.URL.Path {
	case Path:
		var ok bool
		if live, ok = g.Logins.In(in); !ok {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
	case EnterPath:
		live, instead = g.Logins.Admit(in)
	case OwnPath:
		if !login.Ours(in.URI) {
			instead = login.Nothing
			break
		}
		fallthrough
	default:
		if live, instead = g.Logins.Admit(in); instead == nil {
			instead = login.Nothing
		}
	}
	if instead != nil {
		instead.Write(w, r.Method, r.Header, "")
		return
	}
	if !g.watch(a, live) {
		page.SessionOver.Answer(w, r.Method, r.Header, "")
		return
	}
	login.Strip(r.Header)
	w.Header().Set(CookieHeader, strings.Join(r.Header["Cookie"], "; "))
	w.WriteHeader(http.StatusNoContent)
}

// watch has the connection of somebody who was admitted end with a login, too.
func (g *Gate) watch(a ask, login context.Context) bool {
	if g.kernel == nil {
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.known[a.client]
	if c == nil || c.service != a.service || login.Err() != nil {
		return false
	}
	for _, l := range c.logins {
		if l == login {
			return true
		}
	}
	if len(c.logins) >= maxLogins {
		return false
	}
	c.logins = append(c.logins, login)
	c.stops = append(c.stops, context.AfterFunc(login, func() { g.over(a.client, c) }))
	return true
}
