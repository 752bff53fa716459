package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// open seals nothing.
type open struct{}

func (open) Seal(_ context.Context, text []byte, _ string) (string, error) { return string(text), nil }

func (open) Unseal(_ context.Context, sealed, _ string) ([]byte, error) { return []byte(sealed), nil }

func TestLocalPath(t *testing.T) {
	for path, good := range map[string]bool{
		"": true, "/": true, "/sessions?state=live#top": true, "/a%2Fb": true,
		"//evil.example": false, "/\\evil.example": false, "\\/evil.example": false, "https://evil.example": false, "javascript:alert(1)": false,
		"/\t/evil.example": false, "/ /evil": false, "/%2Fevil.example": false, "/%5Cevil.example": false, "sessions": false, "/api/v1/me": false, "/%zz": false,
		"/" + strings.Repeat("x", maxReturn): false,
	} {
		got, err := LocalPath(path)
		if (err == nil) != good || good && got != path && path != "" {
			t.Errorf("%q: %q, %v", path, got, err)
		}
		if err != nil && !errors.Is(err, ownline.ErrInvalid) {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestRoles(t *testing.T) {
	const claims = `{"groups":["family","boss"],"role":"boss","realm_access":{"roles":["boss"]},"a.b":["dotted"],"deep":{"x.y":{"z":"boss"}},"number":7,"empty":[]}`
	var m map[string]any
	if err := json.Unmarshal([]byte(claims), &m); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		claim         string
		admins, users []string
		want          ownline.Role
		refused       bool
	}{
		{claim: ""},
		{claim: "groups", admins: []string{"boss"}, want: ownline.Admin},
		{claim: "groups", admins: []string{"Boss"}, users: []string{"family"}, want: ownline.Person},
		{claim: "role", admins: []string{"boss"}, want: ownline.Admin},
		{claim: "role", admins: []string{"bos"}, want: ownline.Person},
		{claim: "role", users: []string{"family"}, refused: true},
		{claim: "realm_access.roles", admins: []string{"boss"}, want: ownline.Admin},
		{claim: "a.b", users: []string{"dotted"}, want: ownline.Person},
		{claim: "deep.x.y.z", admins: []string{"boss"}, want: ownline.Admin},
		{claim: "number", users: []string{"7"}, refused: true},
		{claim: "empty", users: []string{""}, refused: true},
		{claim: "none", users: []string{""}, refused: true},
		{claim: "none.deeper", admins: []string{"boss"}, want: ownline.Person},
	} {
		p := &Provider{o: Options{RoleClaim: tc.claim, AdminValues: tc.admins, UserValues: tc.users}}
		e, err := p.external("s", m)
		if refused := errors.Is(err, ownline.ErrForbidden); refused != tc.refused || !refused && e.Role != tc.want {
			t.Errorf("%+v: %q, %v", tc, e.Role, err)
		}
	}
}

// A provider that is down is asked again, but not by everybody who would like to sign in;
// a trip that took too long is over.
func TestDiscovery(t *testing.T) {
	asked, up := 0, false
	var s *httptest.Server
	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		if !up {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		fmt.Fprintf(w, `{"issuer":%q,"authorization_endpoint":%q,"token_endpoint":%q,"jwks_uri":%q}`, s.URL, s.URL+"/auth", s.URL+"/token", s.URL+"/keys")
	}))
	defer s.Close()
	p := New(Options{Issuer: s.URL, ClientID: "c", Sealer: open{}, Log: slog.New(slog.DiscardHandler), RedirectURL: "https://own/cb"})
	for range 5 {
		if _, _, err := p.Start(t.Context(), Wish{}); !errors.Is(err, ownline.ErrUnavailable) {
			t.Errorf("while it is down: %v", err)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	up = true
	p.tried = time.Now().Add(-discoverAgain)
	address, kept, err := p.Start(t.Context(), Wish{Return: "/x"})
	if err != nil || !strings.HasPrefix(address, s.URL+"/auth?") {
		t.Fatal(address, err)
	}
	var trip trip
	if err := json.Unmarshal([]byte(kept), &trip); err != nil {
		t.Fatal(err)
	}
	trip.Expires = time.Now().Add(-time.Millisecond)
	late, err := json.Marshal(trip)
	if err != nil {
		t.Fatal(err)
	}
	before := asked
	wish, _, err := p.Finish(t.Context(), string(late), url.Values{"state": {trip.State}, "code": {"c"}})
	if !errors.Is(err, ownline.ErrUnauthorized) || !strings.Contains(err.Error(), "too long") || asked != before || wish.Return != "/x" {
		t.Errorf("too late: %v, asked %d times more, on the way to %q", err, asked-before, wish.Return)
	}
}

func TestAuthStyle(t *testing.T) {
	for _, tc := range []struct {
		secret  bool
		methods []string
		header  bool
	}{{true, nil, true}, {true, []string{"client_secret_post", "client_secret_basic"}, true}, {true, []string{"client_secret_post"}, false}, {false, nil, false}} {
		if got := authStyle(tc.secret, tc.methods) == 2; got != tc.header { // oauth2.AuthStyleInHeader
			t.Errorf("%+v: in the header: %t", tc, got)
		}
	}
}
