package web

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
)

func TestOIDC(t *testing.T) {
	s := newScene(t, func(o *config.OIDC) { o.CreateUsers, o.Name = true, "My <login>" })
	if _, methods := fetch(t, s.own+"/api/v1/auth/methods"); !strings.Contains(methods, `"oidc":{"name":"My <login>"}`) {
		t.Errorf("methods: %s", methods)
	}
	b := s.browser()
	at, err := url.Parse(s.start(b, "/sessions?a=1"))
	if err != nil {
		t.Fatal(err)
	}
	q := at.Query()
	if q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || len(q.Get("state")) < 20 || len(q.Get("nonce")) < 20 || q.Get("response_type") != "code" {
		t.Errorf("sent to %s", at)
	}
	if c := b.cookies["__Host-ownline-oidc"]; c == nil || c.SameSite != http.SameSiteLaxMode || c.MaxAge > 600 || strings.Contains(c.Value, q.Get("state")) {
		t.Errorf("cookie %v", c)
	}
	resp := b.get(b.atIDP(s.idp, at.String(), "ana"), true)
	body := text(t, resp)
	if resp.StatusCode != 200 || !strings.Contains(body, `content="0; url=/sessions?a=1"`) || resp.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Fatalf("callback: %d %s", resp.StatusCode, body)
	}
	if c := b.cookies["__Host-ownline"]; c == nil || c.SameSite != http.SameSiteStrictMode || b.cookies["__Host-ownline-oidc"] != nil {
		t.Errorf("cookies %v", b.cookies)
	}
	if name, role := s.me(b); name != "ana" || role != "user" {
		t.Errorf("signed in as %s, %s", name, role)
	}
	if s.idp.form.Get("code_verifier") == "" {
		t.Error("the code was exchanged without a verifier")
	}
	// The second time it is the same user, whatever they are called there now.
	first, err := s.w.access.UserNamed(t.Context(), access.Command(), "ana")
	if err != nil {
		t.Fatal(err)
	}
	s.idp.people["id-ana"].Username = "bob"
	delete(s.idp.people, "id-bob")
	told := s.w.access.Subscribe(access.Command(), 0)
	if status, page := s.signIn(b, "bob"); status != 200 {
		t.Fatalf("again: %d %s", status, page)
	}
	for ev, err := told.Next(t.Context()); ; ev, err = told.Next(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if ev.Kind == access.EventLogin {
			if a := ev.Resource.(ownline.LoginAttempt); ev.Owner != first.ID || a.User != first.ID {
				t.Errorf("told of the sign-in: %+v", ev)
			}
			break
		}
	}
	if name, _ := s.me(b); name != "ana" {
		t.Errorf("signed in as %s", name)
	}
	attempts, _, err := s.w.store.Attempts(t.Context(), ownline.AttemptQuery{User: first.ID, Method: ownline.ByOIDC, Result: ownline.LoginOK})
	if err != nil || len(attempts) != 2 {
		t.Errorf("logins: %+v, %v", attempts, err)
	}
	// A name that is none here is no user.
	status, page := s.signIn(s.browser(), "No Name!")
	if status != 403 || !strings.Contains(page, "a-z 0-9") || !strings.Contains(page, `<a href="/sessions?a=1">`) {
		t.Errorf("a bad name: %d %s", status, page)
	}
	// Who is disabled is refused, and not signed in.
	disabled := true
	if _, err := s.w.access.ChangeUser(t.Context(), access.Command(), first.ID, access.UserChange{Disabled: &disabled}); err != nil {
		t.Fatal(err)
	}
	b = s.browser()
	if status, _ := s.signIn(b, "bob"); status != 403 || b.cookies["__Host-ownline"] != nil {
		t.Errorf("a disabled user: %d, %v", status, b.cookies)
	}
}

// What comes back is worth nothing unless this browser asked for it, once, in time.
func TestOIDCAnswers(t *testing.T) {
	s := newScene(t, func(o *config.OIDC) { o.CreateUsers = true })
	begin := func() (*browser, string) {
		b := s.browser()
		return b, b.atIDP(s.idp, s.start(b, "/"), "ana")
	}
	check := func(name string, b *browser, back string, want int) {
		t.Helper()
		resp := b.get(back, true)
		if resp.StatusCode != want || (b.cookies["__Host-ownline"] != nil) != (want == 200) {
			t.Errorf("%s: %d %s, cookies %v", name, resp.StatusCode, text(t, resp), b.cookies)
		}
	}
	b, back := begin()
	check("another browser", s.browser(), back, 401)
	kept := *b.cookies["__Host-ownline-oidc"]
	check("the right one", b, back, 200)
	replay := s.browser()
	replay.cookies[kept.Name] = &kept
	check("the same code again", replay, back, 401)

	b, back = begin()
	check("another state", b, strings.Replace(back, "state=", "state=x", 1), 401)
	b, _ = begin()
	_, other := begin()
	check("the answer to somebody else", b, other, 401)
	b, back = begin()
	check("another provider", b, back+"&iss=https://evil.example", 401)
	b = s.browser()
	state := func() string { u, _ := url.Parse(s.start(b, "/")); return u.Query().Get("state") }()
	check("refused there", b, s.own+"/api/v1/auth/oidc/callback?error=access_denied&state="+state, 401)
	b, back = begin()
	b.cookies["__Host-ownline-oidc"].Value = "AAAA" + b.cookies["__Host-ownline-oidc"].Value[4:]
	check("a forged cookie", b, back, 401)

	// What a page elsewhere has a browser ask for, without the cookie, makes its owner wait for
	// nothing.
	b, back = begin()
	lured := &browser{t: t, own: s.own, from: b.from, cookies: map[string]*http.Cookie{}}
	for range 10 {
		check("lured", lured, back, 401)
	}
	check("after that", b, back, 200)

	// The code alone is of no use to a thief: the provider wants the verifier.
	_, back = begin()
	u, err := url.Parse(back)
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {u.Query().Get("code")}, "redirect_uri": {s.own + "/api/v1/auth/oidc/callback"}}
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.idp.URL+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("ownline", "hunter2")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 400 {
		t.Errorf("a code without its verifier: %d", resp.StatusCode)
	}
	// Nowhere but to our own pages.
	for _, to := range []string{"https://evil.example", "//evil.example", `/\evil.example`, `\\evil.example`, "/\t/evil.example", "javascript:alert(1)", "/%2f/evil.example/../..//x\n", "sessions", "/api/v1/openapi.json"} {
		if resp := s.browser().get(s.own+"/api/v1/auth/oidc/start?return="+url.QueryEscape(to), false); resp.StatusCode != 422 {
			t.Errorf("on to %q: %d", to, resp.StatusCode)
		}
	}
}

func TestOIDCTokens(t *testing.T) {
	s := newScene(t, func(o *config.OIDC) { o.CreateUsers = true })
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	with := func(k string, v any) func(map[string]any) string {
		return func(c map[string]any) string {
			if v == nil {
				delete(c, k)
			} else {
				c[k] = v
			}
			return signed(t, s.idp.key, jose.RS256, c)
		}
	}
	for _, tc := range []struct {
		name   string
		tamper func(map[string]any) string
		want   int
	}{
		{"signed anew, unchanged", with("x", "y"), 200},
		{"another nonce", with("nonce", "wrong"), 401},
		{"no nonce", with("nonce", nil), 401},
		{"expired", with("exp", time.Now().Add(-time.Minute).Unix()), 401},
		{"for another client", with("aud", []string{"other"}), 401},
		{"made for another", with("azp", "other"), 401},
		{"another issuer", with("iss", "https://evil.example"), 401},
		{"another's access token", with("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"), 401},
		{"about somebody else than the user info", with("sub", "id-bob"), 401},
		{"no subject", with("sub", ""), 401},
		{"a stranger's key", func(c map[string]any) string { return signed(t, stranger, jose.RS256, c) }, 401},
		{"the public key as a secret", func(c map[string]any) string { return signed(t, s.idp.key.N.Bytes(), jose.HS256, c) }, 401},
		{"no signature", func(c map[string]any) string {
			payload, _ := json.Marshal(c)
			enc := base64.RawURLEncoding.EncodeToString
			return enc([]byte(`{"alg":"none"}`)) + "." + enc(payload) + "."
		}, 401},
		{"no token", func(map[string]any) string { return "" }, 401},
	} {
		s.idp.tamper = tc.tamper
		b := s.browser()
		if status, page := s.signIn(b, "ana"); status != tc.want || (b.cookies["__Host-ownline"] != nil) != (tc.want == 200) {
			t.Errorf("%s: %d %s", tc.name, status, page)
		}
	}
}

func TestOIDCRoles(t *testing.T) {
	s := newScene(t, func(o *config.OIDC) {
		o.CreateUsers, o.RoleClaim, o.AdminValues, o.UserValues = true, "realm_access.roles", []string{"boss"}, []string{"family"}
	})
	roles := func(v any) { s.idp.claims["realm_access"] = map[string]any{"roles": v} }
	try := func(what string, v any, status int, want string) {
		t.Helper()
		roles(v)
		b := s.browser()
		if got, page := s.signIn(b, "ana"); got != status {
			t.Errorf("%s: %d %s", what, got, page)
		}
		if _, role := s.me(b); role != want {
			t.Errorf("%s: role %q, want %q", what, role, want)
		}
	}
	try("a stranger there", []string{"guests"}, 403, "")
	try("nothing said", nil, 403, "")
	if _, err := s.w.access.UserNamed(t.Context(), access.Command(), "ana"); err == nil {
		t.Error("who may not come in was made a user")
	}
	try("one of the family", []string{"guests", "family"}, 200, "user")
	try("made an admin there", "boss", 200, "admin")
	try("no more", []string{"family"}, 200, "user")
	try("thrown out", []string{}, 403, "")
	// The last admin stays one.
	try("admin again", []string{"boss", "family"}, 200, "admin")
	if err := s.w.access.RemoveUser(t.Context(), access.Command(), s.root.ID); err != nil {
		t.Fatal(err)
	}
	try("the last admin", []string{"family"}, 409, "")
	try("still one", []string{"boss"}, 200, "admin")
}

// Nobody becomes somebody by being called so elsewhere.
func TestOIDCLinking(t *testing.T) {
	s := newScene(t, nil)
	s.user("ana", ownline.Admin)
	b := s.browser()
	if status, page := s.signIn(b, "ana"); status != 403 || !strings.Contains(page, "link") || b.cookies["__Host-ownline"] != nil {
		t.Fatalf("by the name alone: %d %s", status, page)
	}
	if status, _ := s.signIn(b, "bob"); status != 403 {
		t.Errorf("nobody here: %d", status)
	}
	post := func(path, body string, origin string) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), "POST", s.own+"/api/v1"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Origin", origin)
		return b.send(req, false)
	}
	if resp := post("/auth/oidc/link", "", s.own); resp.StatusCode != 401 {
		t.Errorf("linking while nobody is signed in: %d", resp.StatusCode)
	}
	if resp := post("/auth/login", `{"name":"ana","password":"four words are enough"}`, s.own); resp.StatusCode != 200 {
		t.Fatal(text(t, resp))
	}
	if resp := post("/auth/oidc/link", "", "https://evil.example"); resp.StatusCode != 403 {
		t.Errorf("linking from elsewhere: %d", resp.StatusCode)
	}
	var to struct{ Location string }
	if err := json.Unmarshal([]byte(text(t, post("/auth/oidc/link", "", s.own))), &to); err != nil || to.Location == "" {
		t.Fatal(to, err)
	}
	if resp := b.get(b.atIDP(s.idp, to.Location, "bob"), true); resp.StatusCode != 200 {
		t.Fatalf("linking: %d %s", resp.StatusCode, text(t, resp))
	}
	other := s.browser()
	if status, page := s.signIn(other, "bob"); status != 200 {
		t.Errorf("linked: %d %s", status, page)
	}
	if name, _ := s.me(other); name != "ana" {
		t.Errorf("signed in as %q", name)
	}
	// A login that was ended meanwhile links nothing.
	if err := json.Unmarshal([]byte(text(t, post("/auth/oidc/link", "", s.own))), &to); err != nil {
		t.Fatal(err)
	}
	back := b.atIDP(s.idp, to.Location, "ana")
	post("/auth/logout", "", s.own)
	if resp := b.get(back, true); resp.StatusCode != 401 {
		t.Errorf("linking after signing out: %d", resp.StatusCode)
	}
}

func TestOIDCLinkByName(t *testing.T) {
	s := newScene(t, func(o *config.OIDC) { o.LinkByName = true })
	s.user("ana", ownline.Person)
	b := s.browser()
	if status, page := s.signIn(b, "ana"); status != 200 {
		t.Fatalf("%d %s", status, page)
	}
	// Only the first: another of that name is not the same.
	s.idp.people["id-bob"].Username, s.idp.people["id-ana"].Username = "ana", "was-ana"
	if status, _ := s.signIn(s.browser(), "ana"); status != 403 {
		t.Errorf("a second one of that name: %d", status)
	}
}

// Web starts while the provider is down, says so, and finds it when it is up.
func TestOIDCProviderDown(t *testing.T) {
	gate := make(chan struct{})
	s := newScene(t, func(o *config.OIDC) { o.CreateUsers = true })
	inner := s.idp.Config.Handler
	s.idp.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-gate:
			inner.ServeHTTP(w, r)
		default:
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	resp := s.browser().get(s.own+"/api/v1/auth/oidc/start?return=/history%3Fdevice%3Dx", false)
	if body := text(t, resp); resp.StatusCode != 503 || !strings.Contains(body, "identity provider does not answer") || !strings.Contains(body, `<a href="/history?device=x">Try again`) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if status, _ := fetch(t, s.own+"/readyz"); status != 200 {
		t.Errorf("not ready without the provider: %d", status)
	}
	close(gate)
	eventually(t, func() string {
		if resp := s.browser().get(s.own+"/api/v1/auth/oidc/start", false); resp.StatusCode == 302 {
			return ""
		}
		return "the provider is not found"
	})
	b := s.browser()
	back := b.atIDP(s.idp, s.start(b, "/"), "ana")
	s.idp.Server.CloseClientConnections()
	s.idp.Server.Listener.Close()
	if resp := b.get(back, true); resp.StatusCode != 503 || b.cookies["__Host-ownline"] != nil {
		t.Errorf("down in the middle: %d %s", resp.StatusCode, text(t, resp))
	}
}

func TestOIDCOff(t *testing.T) {
	w := open(t, nil)
	own, stop := serve(t, w, io.Discard)
	for path, want := range map[string]int{"/api/v1/auth/oidc/start": 404, "/api/v1/auth/oidc/callback?code=x&state=y": 404, "/api/v1/auth/methods": 200} {
		if status, body := fetch(t, own+path); status != want || strings.Contains(body, `"oidc"`) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
