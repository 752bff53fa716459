package web

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	zoidc "github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/test/freeport"
)

// idp is a real provider, whose key the test has, and whose tokens it may change on the way.
type idp struct {
	*storage.Storage
	*httptest.Server
	t      *testing.T
	key    *rsa.PrivateKey
	people map[string]*storage.User
	claims map[string]any // that the provider says of everybody
	tamper func(claims map[string]any) (token string)
	form   url.Values // of the last request for a token
}

type idpKey struct{ key any }

func (k idpKey) ID() string                                  { return "test" }
func (k idpKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k idpKey) Algorithm() jose.SignatureAlgorithm          { return jose.RS256 }
func (k idpKey) Use() string                                 { return "sig" }
func (k idpKey) Key() any                                    { return k.key }

func (p *idp) SigningKey(context.Context) (op.SigningKey, error) { return idpKey{p.key}, nil }
func (p *idp) KeySet(context.Context) ([]op.Key, error) {
	return []op.Key{idpKey{&p.key.PublicKey}}, nil
}

func (p *idp) SetUserinfoFromToken(ctx context.Context, info *zoidc.UserInfo, token, subject, origin string) error {
	for k, v := range p.claims {
		info.AppendClaims(k, v)
	}
	return p.Storage.SetUserinfoFromToken(ctx, info, token, subject, origin)
}

func (p *idp) GetUserByID(id string) *storage.User { return p.people[id] }
func (p *idp) ExampleClientID() string             { return "" }
func (p *idp) GetUserByUsername(name string) *storage.User {
	for _, u := range p.people {
		if u.Username == name {
			return u
		}
	}
	return nil
}

func newIDP(t *testing.T, redirect string) *idp {
	t.Helper()
	was := slog.Default() // the provider's example logs each request there
	slog.SetDefault(slog.New(slog.DiscardHandler))
	t.Cleanup(func() { slog.SetDefault(was) })
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &idp{t: t, key: key, claims: map[string]any{}, people: map[string]*storage.User{}}
	for _, name := range []string{"ana", "bob", "No Name!"} {
		p.people["id-"+name] = &storage.User{ID: "id-" + name, Username: name, Password: "secret"}
	}
	client := storage.WebClient("ownline", "hunter2", redirect)
	p.Storage = storage.NewStorageWithClients(p, map[string]*storage.Client{"ownline": client})
	p.Server = httptest.NewUnstartedServer(nil)
	issuer := "http://" + p.Listener.Addr().String()
	inner := exampleop.SetupServer(issuer, p, nil, false)
	p.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/oauth/token" {
			inner.ServeHTTP(w, r)
			return
		}
		body, _ := io.ReadAll(r.Body)
		p.form, _ = url.ParseQuery(string(body))
		r.Body = io.NopCloser(bytes.NewReader(body))
		rec := httptest.NewRecorder()
		inner.ServeHTTP(rec, r)
		answer := rec.Body.Bytes()
		if p.tamper != nil && rec.Code == 200 {
			answer = p.changed(answer)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(rec.Code)
		_, _ = w.Write(answer)
	})
	p.Start()
	t.Cleanup(p.Server.Close)
	return p
}

// changed puts what tamper makes of the ID token in its place.
func (p *idp) changed(answer []byte) []byte {
	var token map[string]any
	if err := json.Unmarshal(answer, &token); err != nil {
		p.t.Error(err)
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token["id_token"].(string), ".")[1])
	if err != nil {
		p.t.Error(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		p.t.Error(err)
	}
	token["id_token"] = p.tamper(claims)
	out, err := json.Marshal(token)
	if err != nil {
		p.t.Error(err)
	}
	return out
}

// signed makes a token of claims, as whoever has the key does.
func signed(t *testing.T, key any, alg jose.SignatureAlgorithm, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Error(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: "test"}}, nil)
	if err != nil {
		t.Error(err)
		return ""
	}
	object, err := signer.Sign(payload)
	if err != nil {
		t.Error(err)
	}
	out, err := object.CompactSerialize()
	if err != nil {
		t.Error(err)
	}
	return out
}

// browser keeps cookies as browsers do: those that are strict don't come along from other
// sites.
type browser struct {
	t       *testing.T
	own     string // where Ownline is
	from    string // its address: each has one of its own, because guessing is slowed down
	cookies map[string]*http.Cookie
}

func (b *browser) send(req *http.Request, fromElsewhere bool) *http.Response {
	b.t.Helper()
	if strings.HasPrefix(req.URL.String(), b.own) {
		for _, c := range b.cookies {
			if !fromElsewhere || c.SameSite != http.SameSiteStrictMode {
				req.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
			}
		}
	}
	req.Header.Set("X-Forwarded-For", b.from)
	req.Header.Set("Accept", "text/html,*/*;q=0.8")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		b.t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	for _, c := range resp.Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c
		}
		if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" {
			b.t.Errorf("cookie %v", c)
		}
	}
	return resp
}

func (b *browser) get(address string, fromElsewhere bool) *http.Response {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), "GET", address, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.send(req, fromElsewhere)
}

func text(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// atIDP signs in at the provider, and returns the address that it sends the browser back to.
func (b *browser) atIDP(p *idp, address, name string) string {
	b.t.Helper()
	resp := b.get(address, true)
	login, err := resp.Location()
	if err != nil {
		b.t.Fatalf("%s: %d %s", address, resp.StatusCode, text(b.t, resp))
	}
	form := url.Values{"username": {name}, "password": {"secret"}, "id": {login.Query().Get("authRequestID")}}
	req, err := http.NewRequestWithContext(b.t.Context(), "POST", p.URL+"/login/username", strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	next, err := b.send(req, false).Location()
	if err != nil {
		b.t.Fatal(err)
	}
	back, err := b.get(p.URL+next.RequestURI(), false).Location()
	if err != nil {
		b.t.Fatal(err)
	}
	return back.String()
}

// scene is a server with a provider.
type scene struct {
	t    *testing.T
	w    *Web
	idp  *idp
	own  string
	root ownline.User

	browsers int
}

func newScene(t *testing.T, change func(*config.OIDC)) *scene {
	t.Helper()
	addr := freeport.Addr(t).String()
	s := &scene{t: t, own: "http://" + addr}
	s.idp = newIDP(t, s.own+"/api/v1/auth/oidc/callback")
	s.w = open(t, func(c *config.Web) {
		c.Listen, c.PublicURL = addr, s.own
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		c.OIDC.Issuer, c.OIDC.ClientID, c.OIDC.ClientSecret = s.idp.URL, "ownline", ownline.Secret("hunter2")
		if change != nil {
			change(&c.OIDC)
		}
	})
	s.root = s.user("root", ownline.Admin)
	_, stop := serve(t, s.w, nil)
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *scene) user(name string, role ownline.Role) ownline.User {
	s.t.Helper()
	u, err := s.w.access.AddUser(s.t.Context(), access.Command(), access.NewUser{Name: name, Password: "four words are enough", Role: role})
	if err != nil {
		s.t.Fatal(err)
	}
	return u
}

func (s *scene) browser() *browser {
	s.browsers++
	return &browser{t: s.t, own: s.own, from: fmt.Sprintf("198.51.100.%d", s.browsers), cookies: map[string]*http.Cookie{}}
}

// start begins to sign in and returns the address of the provider.
func (s *scene) start(b *browser, back string) string {
	s.t.Helper()
	resp := b.get(s.own+"/api/v1/auth/oidc/start?return="+url.QueryEscape(back), false)
	at, err := resp.Location()
	if err != nil || resp.StatusCode != 302 {
		s.t.Fatalf("start: %d %s, %v", resp.StatusCode, text(s.t, resp), err)
	}
	return at.String()
}

// signIn signs in as somebody at the provider; the status and the page are of the callback.
func (s *scene) signIn(b *browser, name string) (int, string) {
	s.t.Helper()
	resp := b.get(b.atIDP(s.idp, s.start(b, "/sessions?a=1"), name), true)
	return resp.StatusCode, text(s.t, resp)
}

// me is who is signed in; "" for nobody.
func (s *scene) me(b *browser) (name, role string) {
	s.t.Helper()
	var me struct{ Name, Role string }
	resp := b.get(s.own+"/api/v1/me", false)
	if resp.StatusCode == 200 {
		if err := json.Unmarshal([]byte(text(s.t, resp)), &me); err != nil {
			s.t.Fatal(err)
		}
	}
	return me.Name, me.Role
}
