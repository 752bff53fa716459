package proxytest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"github.com/ownline/ownline/internal/core/proxy/login"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

const pages = "https://ownline.elsewhere.example:9999"

// browser asks as browsers do when somebody opens a page, with the cookies that it was given.
type browser struct {
	p       *part
	c       *http.Client
	service string
	cookies map[string]string
}

// person has a browser of their own, which speaks as c does.
func (p *part) person(c *http.Client, service string) *browser {
	two := c.Transport.(*http.Transport).Protocols.HTTP2()
	return &browser{p, p.Browser(p, p.Client, two), service, map[string]string{"theirs": "1"}}
}

func (b *browser) header() http.Header {
	var all []string
	for name, value := range b.cookies {
		all = append(all, name+"="+value)
	}
	return http.Header{"Accept": {"text/html,*/*;q=0.8"}, "Cookie": {strings.Join(all, "; ")}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}
}

func (b *browser) open(path string) (*http.Response, string) {
	b.p.Helper()
	resp, body, err := b.p.do(b.c, "GET", b.p.URL(b.service, path), nil, b.header())
	if err != nil { // the end of a login cuts its connections, which the browser may not know yet
		resp, body, err = b.p.do(b.c, "GET", b.p.URL(b.service, path), nil, b.header())
	}
	if err != nil {
		b.p.Fatalf("GET %s: %v", path, err)
	}
	for _, c := range resp.Cookies() {
		if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode {
			b.p.Errorf("GET %s sets %q", path, c)
		}
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
	}
	return resp, body
}

// sent opens a page without being logged in, and returns what the login's page is told.
func (b *browser) sent(path string) url.Values {
	b.p.Helper()
	resp, _ := b.open(path)
	to := resp.Header.Get("Location")
	u, err := url.Parse(to)
	if resp.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, pages+"/continue?") || err != nil {
		b.p.Fatalf("GET %s: %s to %q, want one to the login", path, resp.Status, to)
	}
	return u.Query()
}

// brings has the browser bring a code, and returns the status and where it is sent.
func (b *browser) brings(code, to string) (int, string) {
	b.p.Helper()
	resp, _ := b.open(login.Path + "?" + url.Values{"code": {code}, "to": {to}}.Encode())
	return resp.StatusCode, resp.Header.Get("Location")
}

// code is what web makes for somebody who was sent to log in.
func (p *part) code(user, service string, sent url.Values) string {
	p.Helper()
	code := rand.Text()
	hash := sha256.Sum256([]byte(code))
	state, err := base64.RawURLEncoding.DecodeString(sent.Get("state"))
	if err != nil {
		p.Fatal(err)
	}
	put := link.PutPass{Stamp: stampNow(), Pass: passOf(user, service), Code: hash[:], State: state}
	if err := p.Logins.Put(put, time.Now().Add(time.Hour)); err != nil {
		p.Fatal(err)
	}
	return code
}

func stampNow() link.Stamp {
	return link.Stamp{Revision: link.Revision{Epoch: "e", Revision: uint64(time.Now().UnixNano())}, Now: time.Now()}
}

func passOf(user, service string) link.Pass {
	return link.Pass{Login: ownline.LoginID(ID(user)), Service: ID(service), User: user, Expires: time.Now().Add(time.Hour)}
}

// logIn goes all the way, and ends at the page that was asked for.
func (b *browser) logIn(user string) {
	b.p.Helper()
	code := b.p.code(user, b.service, b.sent("/page?x=1"))
	if status, to := b.brings(code, "/page?x=1"); status != http.StatusSeeOther || to != "/page?x=1" {
		b.p.Fatalf("a right code: %d to %q", status, to)
	}
}

// in reports whether the browser gets the service, which sees none of our cookies.
func (b *browser) in() bool {
	b.p.Helper()
	resp, body := b.open("/page?x=1")
	if resp.StatusCode != http.StatusOK {
		return false
	}
	var seen Seen
	if err := json.Unmarshal([]byte(body), &seen); err != nil || seen.URI != "/page?x=1" || seen.Header.Get("Cookie") != "theirs=1" {
		b.p.Errorf("the service saw %s", body)
	}
	return true
}

func (p *part) logins() {
	a, b := StartHTTP(p, p.Inside, "a", nil, false), StartHTTP(p, p.Inside, "b", nil, false)
	o := ownline.ProxyOptions{RequireLogin: true}
	services := []link.Service{entry("a", a.Addr, o), entry("b", b.Addr, o)}
	if p.Logins == nil {
		if err := p.Driver.Apply(p.Context(), services); err == nil {
			p.Error("Apply took what the driver can't do")
		}
		return
	}
	p.apply(services...)
	p.Door.Open(ID("a"), p.Client)
	p.Door.Open(ID("b"), p.Client)
	ana := p.person(p.Browser(p, p.Client, false), "a")
	if resp, body := ana.open("/"); resp.StatusCode != http.StatusServiceUnavailable {
		p.Errorf("before web has spoken: %s, %s", resp.Status, body)
	}
	until := func(t time.Time) time.Time { return t }
	p.both(p.Client, func(p *part, c *http.Client) {
		p.Logins.Replace(stampNow().Revision, pages, nil, until)
		p.strangers(c, a)
		p.codesRefused(c)
		if n := len(a.Requests()) + len(b.Requests()); n > 0 {
			p.Errorf("the services saw %d requests of those who are not logged in", n)
		}
		p.loggedIn(c, a)
		p.Door.Open(ID("a"), p.Client)
		a.forget()
		b.forget()
	})
}

// forget forgets what was seen.
func (s *Service) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = nil
}

// strangers have the session, and no login.
func (p *part) strangers(c *http.Client, a *Service) {
	ben := p.person(c, "a")
	if q := ben.sent("/page?x=1&y=%2f"); q.Get("service") != ID("a").String() || q.Get("to") != "/page?x=1&y=%2f" || len(q.Get("state")) != 43 {
		p.Errorf("the login is told %v", q)
	}
	for what, h := range map[string]http.Header{
		"a script":     {"Accept": {"*/*"}, "Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Dest": {"empty"}},
		"a program":    {"Accept": {"application/json"}},
		"no wishes":    {},
		"old script":   {"Accept": {"text/html, */*"}, "X-Requested-With": {"XMLHttpRequest"}},
		"a frame":      {"Accept": {"text/html"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"iframe"}},
		"a wrong pass": {"Cookie": {"__Host-ownline-pass=AAAA"}},
	} {
		resp, body, err := p.do(c, "GET", p.URL("a", "/page"), nil, h)
		if err != nil {
			p.Fatal(err)
		}
		if resp.StatusCode != http.StatusUnauthorized || !strings.Contains(body, login.Path) || len(resp.Cookies()) > 0 {
			p.Errorf("%s: %s, %s", what, resp.Status, body)
		}
		if page := strings.Contains(h.Get("Accept"), "html"); !page {
			var problem struct{ Login string }
			if err := json.Unmarshal([]byte(body), &problem); err != nil || problem.Login != login.Path {
				p.Errorf("%s: %v, %s", what, err, body)
			}
		}
	}
	if resp, body, err := p.do(c, "POST", p.URL("a", "/page"), strings.NewReader("x=1"), ben.header()); err != nil || resp.StatusCode != http.StatusUnauthorized {
		p.Errorf("a form: %v, %v, %s", err, resp, body)
	}
	if ws, err := p.WebSocket(p.Context(), p.Client, "a"); err == nil {
		ws.Close()
		p.Error("a websocket without a login")
	}
	for _, path := range []string{"/.ownline", "/.ownline/", "/.ownline/x", "/.ownline/login/x"} {
		if resp, _ := ben.open(path); resp.StatusCode != http.StatusNotFound {
			p.Errorf("%s: %s", path, resp.Status)
		}
	}
	p.disguised(ben)
	for what, to := range map[string]string{"none": "", "another host": "//evil.example/", "whole": "https://evil.example/", "backslash": `/\evil.example`, "tab": "/\t/evil.example", "ours": login.Path} {
		q := ben.sent(login.Path + "?" + url.Values{"to": {to}}.Encode())
		if q.Get("to") != "/" {
			p.Errorf("%s: the login leads to %q", what, q.Get("to"))
		}
		if status, at := ben.brings(p.code("ben", "a", q), to); status != http.StatusSeeOther || at != "/" {
			p.Errorf("%s: %d to %q", what, status, at)
		}
		delete(ben.cookies, "__Host-ownline-pass")
	}
}

// disguised asks for paths of ours in forms that servers may take for them, or for others. The
// service may see them, or nobody; what the proxy's parts tell each other is nobody's.
func (p *part) disguised(b *browser) {
	p.Helper()
	for _, path := range []string{"/%2eownline/x", "/%2Eownline/login", "//.ownline/login", "/x/../.ownline/x", "/./.ownline/x", "/.ownline%2flogin", "/.ownline/%61dmit", "/.ownline/admit"} {
		resp, body := b.open(path)
		for name, values := range resp.Header {
			if text := strings.Join(values, ""); strings.HasPrefix(name, "Ownline-") || strings.Contains(text, "theirs=") || strings.Contains(text, "__Host-ownline-pass") {
				p.Errorf("%s: the answer has %s: %s", path, name, text)
			}
		}
		if strings.Contains(body, "__Host-") {
			p.Errorf("%s: the answer is %s", path, body)
		}
		switch resp.StatusCode {
		case http.StatusOK, http.StatusSeeOther, http.StatusBadRequest, http.StatusNotFound:
		default:
			p.Errorf("%s: %s", path, resp.Status)
		}
	}
}

// longCookies are as many as servers commonly take.
func (p *part) longCookies(b *browser) {
	p.Helper()
	for i := range 4 {
		b.cookies[strconv.Itoa(i)] = strings.Repeat("x", 4<<10)
	}
	resp, body := b.open("/page")
	var seen Seen
	if err := json.Unmarshal([]byte(body), &seen); err != nil || resp.StatusCode != http.StatusOK {
		p.Errorf("with 16 KB of cookies: %s, %.200s", resp.Status, body)
	}
	if got := strings.Join(seen.Header["Cookie"], "; "); strings.Count(got, "x") != 16<<10 || strings.Contains(got, "__Host-") {
		p.Errorf("of 16 KB of cookies the service saw %d bytes", len(got))
	}
	for i := range 4 {
		delete(b.cookies, strconv.Itoa(i))
	}
}

func (p *part) codesRefused(c *http.Client) {
	refused := func(what string, b *browser, code string) {
		p.Helper()
		if status, to := b.brings(code, "/"); status != http.StatusForbidden || to != "" || b.cookies["__Host-ownline-pass"] != "" {
			p.Errorf("%s: %d to %q, %v", what, status, to, b.cookies)
		}
	}
	ana := p.person(c, "a")
	code := p.code("ana", "a", ana.sent("/"))
	ben := p.person(c, "a") // behind the same address
	refused("a code planted where no login began", ben, code)
	refused("a code brought before, wrongly", ana, code)
	code = p.code("ana", "a", ana.sent("/"))
	ben.sent("/")
	refused("a code planted where another login began", ben, code)
	code = p.code("ana", "a", ana.sent("/"))
	atB := p.person(c, "b")
	atB.cookies = ana.cookies
	refused("another service's code", atB, code)
	refused("a code that was at another service", ana, code)
	refused("no code", ana, "")
	refused("a guess", ana, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
}

func (p *part) loggedIn(c *http.Client, a *Service) {
	ana := p.person(c, "a")
	code := p.code("ana", "a", ana.sent("/page?x=1"))
	state := ana.cookies["__Host-ownline-state"]
	if status, to := ana.brings(code, "/page?x=1"); status != http.StatusSeeOther || to != "/page?x=1" || !ana.in() {
		p.Fatalf("a right code: %d to %q, then out", status, to)
	}
	a.forget()
	delete(ana.cookies, "theirs") // now only ours are left
	ana.open("/page?x=2")
	for _, seen := range a.Requests() {
		if c, has := seen.Header["Cookie"]; has {
			p.Errorf("%s came with Cookie: %q, of ours alone", seen.URI, c)
		}
	}
	if len(a.Requests()) != 1 {
		p.Errorf("the service saw %+v", a.Requests())
	}
	ana.cookies["theirs"] = "1"
	p.disguised(ana)
	p.longCookies(ana)
	again := p.person(c, "a")
	again.cookies["__Host-ownline-state"] = state
	if status, _ := again.brings(code, "/"); status != http.StatusForbidden || again.in() {
		p.Errorf("a code brought again: %d", status)
	}
	ben := p.person(c, "a")
	if ben.in() {
		p.Error("somebody else behind the same address is in")
	}
	atB := p.person(c, "b")
	atB.cookies = ana.cookies
	if atB.in() {
		p.Error("one service's cookie lets in to another")
	}
	p.shut(p.Neighbour, "a")
	ben.logIn("ben")
	socket := func(b *browser) *websocket.Conn {
		ws, err := p.WebSocket(p.Context(), p.Client, "a", b.header().Get("Cookie"))
		if err != nil {
			p.Fatal(err)
		}
		p.bounces(ws)
		return ws
	}
	hers, his := socket(ana), socket(ben)
	for _, seen := range a.Requests() {
		if strings.Contains(strings.Join(seen.Header["Cookie"], ""), "ownline") {
			p.Errorf("the service saw %v", seen.Header)
		}
	}
	// The download has a connection of its own: over HTTP/2 it would share hers and his.
	own := p.Browser(p, p.Client, false)
	r, err := http.NewRequestWithContext(p.Context(), "GET", p.URL("a", "/big?n=100000000000"), nil)
	if err != nil {
		p.Fatal(err)
	}
	r.Header = ana.header()
	long, err := own.Do(r)
	if err != nil || long.StatusCode != http.StatusOK {
		p.Fatal(err, long)
	}
	defer long.Body.Close()
	io.CopyN(io.Discard, long.Body, 1<<20)

	// Ana logs out: the next whole state has no pass of hers.
	p.Logins.Replace(stampNow().Revision, pages, []link.Pass{passOf("ben", "a")}, func(t time.Time) time.Time { return t })
	p.ends("websocket after the logout", func() error { _, _, err := hers.ReadMessage(); return err })
	p.ends("download after the logout", func() error { _, err := io.Copy(io.Discard, io.LimitReader(long.Body, 1<<30)); return err })
	if ana.in() {
		p.Error("logged out, and in still")
	}
	p.bounces(his)
	if !ben.in() {
		p.Error("somebody else's logout ended a login")
	}
	p.Door.Shut(ID("a"), p.Client)
	p.shut(p.Client, "a") // a login alone is not enough
	p.ends("websocket after the session", func() error { _, _, err := his.ReadMessage(); return err })
}
