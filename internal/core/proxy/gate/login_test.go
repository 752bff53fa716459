package gate

import (
	"context"
	"net/netip"
	"testing"

	"github.com/ownline/ownline/internal/core/proxy/login"
	"github.com/ownline/ownline/internal/core/proxy/proxytest"
)

// everybody is logged in, also at paths of ours.
type everybody struct{}

func (everybody) In(login.Request) (context.Context, bool) { return context.Background(), true }

func (everybody) Admit(login.Request) (context.Context, *login.Reply) {
	return context.Background(), nil
}

// Invariant 3: where a server passes on whatever it is told, nobody is told 204, and no cookies.
func TestInstead(t *testing.T) {
	door, client := proxytest.NewDoor(), netip.MustParseAddr("2001:db8:7::1")
	id := proxytest.ID("a")
	door.Open(id, client)
	g := start(t, door.Admit)
	g.Logins = everybody{}
	for path, want := range map[string]int{Path: 204, EnterPath: 204, InsteadPath: 404, OwnPath: 404, "/other": 403} {
		for _, uri := range []string{"/", login.Reserved, "/%2eownline", "/x/../.ownline/"} {
			h := headers(id.String(), client.String(), "4000")
			h.Set(LoginHeader, Required)
			h.Set(MethodHeader, "GET")
			h.Set(URIHeader, uri)
			if got := asked(g, "GET", path, h); got != want {
				t.Errorf("%s for %s: %d, want %d", path, uri, got, want)
			}
		}
		if path == InsteadPath || path == OwnPath {
			want = 403 // a service without a login has none of these
		}
		if got := asked(g, "GET", path, headers(id.String(), client.String(), "4000")); got != want {
			t.Errorf("%s with no login required: %d, want %d", path, got, want)
		}
	}
}
