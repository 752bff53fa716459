package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
)

// visitor is somebody's browser, with its cookies. It follows no redirection by itself.
type visitor struct {
	t *testing.T
	*http.Client
}

func (s *suite) visitor(h *bed.Host) *visitor {
	s.t.Helper()
	v := &visitor{s.t, s.browser(h)}
	v.Jar, _ = cookiejar.New(nil)
	v.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return v
}

func (v *visitor) ask(method, address string, in world.Map) (status int, to, body string) {
	v.t.Helper()
	b, _ := json.Marshal(in)
	r, err := http.NewRequestWithContext(v.t.Context(), method, address, strings.NewReader(string(b)))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html,*/*;q=0.8")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Origin", strings.TrimSuffix(world.URL("ownline", ""), "/"))
	}
	resp, err := v.Do(r)
	if err != nil {
		v.t.Fatalf("%s %s: %v", method, address, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatalf("%s %s: %v", method, address, err)
	}
	return resp.StatusCode, resp.Header.Get("Location"), string(text)
}

// sent opens a page of a service, and returns what the pages of Ownline are told.
func (v *visitor) sent(service, path string) url.Values {
	v.t.Helper()
	status, to, _ := v.ask("GET", world.URL(service, path), nil)
	u, err := url.Parse(to)
	if err != nil || status != http.StatusSeeOther || !strings.HasPrefix(to, world.URL("ownline", "/continue?")) {
		v.t.Fatalf("%s%s: %d to %q, want one to the login", service, path, status, to)
	}
	if status, _, body := v.ask("GET", to, nil); status != http.StatusOK || !strings.Contains(body, "<html") {
		v.t.Errorf("the page that leads on: %d", status)
	}
	return u.Query()
}

// pass asks for the way back to the service, as the page does.
func (v *visitor) pass(q url.Values) (status int, location string) {
	v.t.Helper()
	status, _, body := v.ask("POST", world.URL("ownline", "/api/v1/passes"), world.Map{"service": q.Get("service"), "state": q.Get("state"), "to": q.Get("to")})
	var got struct{ Location string }
	if err := json.Unmarshal([]byte(body), &got); err != nil || status != http.StatusCreated {
		v.t.Logf("no pass: %s", body)
	}
	return status, got.Location
}

// Invariants 3, 4, 7 and 9: a session lets in a source, a login one of its people, for one
// service; nobody can plant, replay or pass on what lets in; it ends with the logout.
func TestRequireLogin(t *testing.T) {
	for name, made := range fronts {
		t.Run(name, func(t *testing.T) { testRequireLogin(t, startBehind(t, made(t), world.Options{WebYAML: publishYAML})) })
	}
}

func testRequireLogin(t *testing.T, s *suite) {
	const password = "a good long password"
	for _, user := range []string{"ana", "ben"} {
		if _, err := s.WebCommand(t.Context(), password+"\n", "user", "add", "--permanent", user); err != nil {
			t.Fatal(err)
		}
	}
	ids := map[string]string{}
	for _, service := range []string{"wiki", "cam"} {
		id, err := s.AddProxied(t.Context(), service, bed.HTTPPort)
		if err != nil {
			t.Fatal(err)
		}
		s.call("PATCH", "/services/"+id, world.Map{"options": world.Map{"require_login": true}}, nil)
		ids[service] = id
	}
	var users world.List[struct{ ID, Name string }]
	s.call("GET", "/users", nil, &users)
	var granted string
	for _, u := range users.Items {
		if u.Name == "ana" {
			granted = s.create("/grants", world.Map{"user": u.ID, "service": ids["wiki"]})
		}
	}
	var services world.List[struct{ ID, Name string }]
	eventually(t, patience, "web is published", func() bool {
		s.call("GET", "/services", nil, &services)
		for _, v := range services.Items {
			ids[v.Name] = v.ID
		}
		return ids["ownline"] != ""
	})
	for _, name := range []string{"wiki", "cam", "ownline"} { // for the address that ana and ben share
		s.open(ids[name], s.Bed.Client1.IPv4, 10*time.Minute, 0)
	}
	ana, ben := s.visitor(s.Bed.Client1), s.visitor(s.Bed.Client1)
	eventually(t, patience, "the names are served", func() bool {
		r, err := ana.Get(world.URL("wiki", "/"))
		if err == nil {
			r.Body.Close()
		}
		return err == nil && r.StatusCode == http.StatusUnauthorized // with the login in front
	})
	time.Sleep(500 * time.Millisecond) // for 100 ms nginx's workers from before take connections, too

	q := ana.sent("wiki", "/page?x=1")
	if status, _ := ana.pass(q); status != http.StatusUnauthorized {
		t.Errorf("a pass for nobody: %d", status)
	}
	for v, user := range map[*visitor]string{ana: "ana", ben: "ben"} {
		if status, _, body := v.ask("POST", world.URL("ownline", "/api/v1/auth/login"), world.Map{"name": user, "password": password}); status != http.StatusOK {
			t.Fatalf("%s signs in: %d, %s", user, status, body)
		}
	}
	// In ben's browser, and at another service, ana's code is worth nothing, and used up.
	status, code := ana.pass(q)
	if status != http.StatusCreated || !strings.HasPrefix(code, world.URL("wiki", "/.ownline/login?code=")) {
		t.Fatalf("a pass: %d, %q", status, code)
	}
	benAt := ben.sent("wiki", "/")
	if status, to, _ := ben.ask("GET", code, nil); status != http.StatusForbidden {
		t.Errorf("a planted code: %d to %q", status, to)
	}
	if status, _, _ := ana.ask("GET", code, nil); status != http.StatusForbidden {
		t.Errorf("a code that was brought before: %d", status)
	}
	_, code = ana.pass(q)
	ana.sent("cam", "/")
	if status, _, _ := ana.ask("GET", strings.Replace(code, "wiki.", "cam.", 1), nil); status != http.StatusForbidden {
		t.Errorf("another service's code: %d", status)
	}
	// Who may not use the service gets no code: without a grant, admins neither.
	if status, _ := ben.pass(benAt); status != http.StatusForbidden {
		t.Errorf("a pass without a grant: %d", status)
	}

	_, code = ana.pass(q)
	if status, to, body := ana.ask("GET", code, nil); status != http.StatusSeeOther || to != "/page?x=1" {
		t.Fatalf("a right code: %d to %q, %s", status, to, body)
	}
	in := func(v *visitor, service string) bool {
		t.Helper()
		status, _, body := v.ask("GET", world.URL(service, "/page?x=1"), nil)
		var p bed.Page
		if status != http.StatusOK {
			return false
		}
		if err := json.Unmarshal([]byte(body), &p); err != nil || p.Path != "/page" || strings.Contains(strings.Join(p.Headers["Cookie"], ""), "ownline") {
			t.Errorf("the service saw %s", body)
		}
		return true
	}
	if !in(ana, "wiki") {
		t.Error("ana is not in")
	}
	if in(ana, "cam") {
		t.Error("logged in at one service, ana is in at another")
	}
	if in(ben, "wiki") {
		t.Error("ben is in by ana's login, from the same address")
	}
	if status, _, _ := ben.ask("GET", code, nil); status != http.StatusForbidden {
		t.Errorf("a code brought again: %d", status)
	}
	own, _ := url.Parse(world.URL("wiki", "/"))
	for _, c := range ana.Jar.Cookies(own) {
		for _, other := range []string{"cam", "ownline"} {
			u, _ := url.Parse(world.URL(other, "/"))
			for _, o := range ana.Jar.Cookies(u) {
				if c.Name == o.Name && c.Value == o.Value {
					t.Errorf("%s is sent to %s, too", c.Name, other)
				}
			}
		}
	}

	// Web may be down for a while.
	if err := s.Web.Kill(); err != nil {
		t.Fatal(err)
	}
	if !in(ana, "wiki") {
		t.Error("without web, ana is out")
	}
	if err := s.Web.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !in(ana, "wiki") {
		t.Error("after web's restart, ana is out")
	}

	download := func() func() error {
		t.Helper()
		r, err := ana.Get(world.URL("wiki", "/stream?bytes=100000000&rate=1000000"))
		if err != nil || r.StatusCode != http.StatusOK {
			t.Fatal(err, r)
		}
		t.Cleanup(func() { r.Body.Close() })
		if _, err := io.CopyN(io.Discard, r.Body, 1000); err != nil {
			t.Fatal(err)
		}
		return func() error { _, err := io.Copy(io.Discard, r.Body); return err }
	}
	cut := func(what string, rest func() error) {
		t.Helper()
		began := time.Now()
		if err := rest(); err == nil || time.Since(began) > soon {
			t.Errorf("%s: the download ended with %v after %v", what, err, time.Since(began))
		}
		if in(ana, "wiki") {
			t.Errorf("%s: ana is in still", what)
		}
	}
	rest := download()
	if status, _, body := ana.ask("POST", world.URL("ownline", "/api/v1/auth/logout"), nil); status >= 300 {
		t.Fatalf("logout: %d, %s", status, body)
	}
	cut("logout", rest)

	// And with the grant.
	if status, _, body := ana.ask("POST", world.URL("ownline", "/api/v1/auth/login"), world.Map{"name": "ana", "password": password}); status != http.StatusOK {
		t.Fatalf("%d, %s", status, body)
	}
	_, code = ana.pass(ana.sent("wiki", "/"))
	if ana.ask("GET", code, nil); !in(ana, "wiki") {
		t.Fatal("ana is not in again")
	}
	rest = download()
	s.call("DELETE", "/grants/"+granted, nil, nil)
	cut("without a grant", rest)
}
