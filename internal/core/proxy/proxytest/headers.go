package proxytest

import (
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

type x509Certificate = x509.Certificate

func itoa(n int) string { return strconv.Itoa(n) }

// content returns what /big?n= answers.
func content(n int) string {
	b := make([]byte, n)
	pattern{}.ReadAt(b, 0)
	return string(b)
}

func (p *part) forged() {
	a := StartHTTP(p, p.Inside, "a", nil, false)
	p.serve("a", a.Addr, ownline.ProxyOptions{})
	port := portOf(p.Settings)
	want := http.Header{
		"X-Forwarded-For": {p.Client.String()}, "X-Real-Ip": {p.Client.String()},
		"X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {p.Settings.Host("a") + ":" + port}, "X-Forwarded-Port": {port},
	}
	p.both(p.Client, func(p *part, c *http.Client) {
		for _, method := range []string{"GET", "POST"} {
			lies := http.Header{
				"X-Forwarded-For": {"6.6.6.6", "7.7.7.7"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"evil"}, "X-Forwarded-Port": {"1"},
				"X-Forwarded-Prefix": {"/evil"}, "X-Real-Ip": {"6.6.6.6"}, "Forwarded": {"for=6.6.6.6"}, "Proxy": {"http://evil"},
				"X-Forwarded-User": {"root"}, "X-Forwarded-Email": {"a@evil"}, "X-Forwarded-Groups": {"admin"}, "X-Forwarded-Preferred-Username": {"root"},
				"X-Forwarded-Ssl": {"off"}, "X-Forwarded-Scheme": {"http"}, "X-Forwarded-Server": {"evil"}, "X-Forwarded-Uri": {"/evil"},
				"X-Forwarded-Method": {"PUT"}, "X-Forwarded-Client-Cert": {"evil"}, "X-Forwarded-Access-Token": {"evil"}, "X-Forwarded-Uid": {"0"},
				"X-Forwarded-Foo": {"evil"},
				"X-Custom":        {"stays"}, "Authorization": {"Basic stays"}, "Cookie": {"a=b"},
			}
			seen := p.echo(c, method, p.URL("a", "/"), nil, lies)
			for name, values := range want {
				if !slices.Equal(seen.Header[name], values) {
					p.Errorf("%s %s = %q, want %q", method, name, seen.Header[name], values)
				}
			}
			if f := seen.Header["Forwarded"]; len(f) != 1 || !strings.Contains(f[0], p.Client.String()) || strings.Contains(f[0], "6.6.6.6") {
				p.Errorf("Forwarded = %q", f)
			}
			for name, values := range seen.Header {
				if forged := name == "Proxy" || strings.HasPrefix(name, "X-Forwarded-") && want[name] == nil; forged && !(name == "X-Forwarded-Foo" && p.lacks(UnknownForwarded)) {
					p.Errorf("%s = %q came through", name, values)
				}
			}
			for _, name := range []string{"X-Custom", "Authorization", "Cookie"} {
				if !slices.Equal(seen.Header[name], lies[name]) {
					p.Errorf("%s = %q, want %q", name, seen.Header[name], lies[name])
				}
			}
			if seen.Host != p.Settings.Host("a")+":"+port {
				p.Errorf("Host = %q", seen.Host)
			}
		}
	})
	// What the client says about its connection can't take away what the proxy says.
	resp := p.raw("a", "GET / HTTP/1.1\r\nHost: "+p.Settings.Host("a")+"\r\nConnection: close, X-Forwarded-For, X-Real-IP, Forwarded, X-Mine\r\nX-Mine: 1\r\nTE: trailers, gzip\r\n\r\n")
	if resp == nil || resp.StatusCode != 200 {
		p.Fatalf("%v", resp)
	}
	resp.Body.Close()
	all := a.Requests()
	last := all[len(all)-1].Header
	if !slices.Equal(last["X-Real-Ip"], want["X-Real-Ip"]) || !slices.Equal(last["X-Forwarded-For"], want["X-Forwarded-For"]) || !p.lacks(NamedHop) && last["X-Mine"] != nil {
		p.Errorf("the service saw %v", last)
	}
}

// smuggling sends what two readers may understand in two ways. It has to be refused, and
// neither the second request inside nor the header that is meant reaches the service.
func (p *part) smuggling() {
	a := StartHTTP(p, p.Inside, "a", nil, false)
	p.serve("a", a.Addr, ownline.ProxyOptions{})
	host := "Host: " + p.Settings.Host("a") + "\r\n"
	const inner = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	heads := map[string]string{
		"length and chunked":          "POST / HTTP/1.1\r\n" + host + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
		"chunked and length":          "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + inner,
		"two lengths":                 "POST / HTTP/1.1\r\n" + host + "Content-Length: 0\r\nContent-Length: 5\r\n\r\n" + inner,
		"length with sign":            "POST / HTTP/1.1\r\n" + host + "Content-Length: +5\r\n\r\nhello" + inner,
		"length of list":              "POST / HTTP/1.1\r\n" + host + "Content-Length: 5, 5\r\n\r\nhello" + inner,
		"length below zero":           "POST / HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n" + inner,
		"length too large":            "POST / HTTP/1.1\r\n" + host + "Content-Length: 99999999999999999999\r\n\r\n" + inner,
		"chunked twice":               "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
		"unknown coding":              "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + inner,
		"coding with vertical tab":    "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + inner,
		"chunked in HTTP/1.0":         "POST / HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
		"space before colon":          "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding : chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + inner,
		"folded line":                 "POST / HTTP/1.1\r\n" + host + "X: y\r\n Transfer-Encoding: chunked\r\n\r\n" + inner,
		"two hosts":                   "GET / HTTP/1.1\r\n" + host + "Host: evil\r\n\r\n",
		"twice the same host":         "GET / HTTP/1.1\r\n" + host + host + "\r\n",
		"no host":                     "GET / HTTP/1.1\r\n\r\n",
		"absolute form, another host": "GET http://evil/smuggled HTTP/1.1\r\n" + host + "\r\n",
		"absolute form, host another": "GET https://" + p.Settings.Host("a") + "/smuggled HTTP/1.1\r\nHost: evil\r\n\r\n",
		"absolute form":               "GET https://" + p.Settings.Host("a") + "/smuggled HTTP/1.1\r\n" + host + "\r\n",
		"absolute form, no TLS":       "GET http://" + p.Settings.Host("a") + "/smuggled HTTP/1.1\r\n" + host + "\r\n",
		"host with a user":            "GET /smuggled HTTP/1.1\r\nHost: a@" + p.Settings.Host("a") + "\r\n\r\n",
		"a method that is none":       "FOO /smuggled HTTP/1.1\r\n" + host + "\r\n",
		"a method of caches":          "PURGE /smuggled HTTP/1.1\r\n" + host + "\r\n",
		"a method in small letters":   "get /smuggled HTTP/1.1\r\n" + host + "\r\n",
		"asterisk form":               "OPTIONS * HTTP/1.1\r\n" + host + "\r\n",
		"no slash":                    "GET smuggled HTTP/1.1\r\n" + host + "\r\n",
		"CONNECT":                     "CONNECT " + p.Settings.Host("a") + ":443 HTTP/1.1\r\n" + host + "\r\n",
		"CONNECT with path":           "CONNECT /smuggled HTTP/1.1\r\n" + host + "\r\n",
		"TRACE":                       "TRACE /smuggled HTTP/1.1\r\n" + host + "\r\n",
		"unknown method":              "GET( /smuggled HTTP/1.1\r\n" + host + "\r\n",
		"NUL in header":               "GET /smuggled HTTP/1.1\r\n" + host + "X: a\x00b\r\n\r\n",
		"NUL in path":                 "GET /smuggled\x00 HTTP/1.1\r\n" + host + "\r\n",
		"NUL in name":                 "GET /smuggled HTTP/1.1\r\n" + host + "X\x00: a\r\n\r\n",
		"space in path":               "GET /smuggled x HTTP/1.1\r\n" + host + "\r\n",
		"CR in header":                "GET /smuggled HTTP/1.1\r\n" + host + "X: a\rTransfer-Encoding: chunked\r\n\r\n",
		"oversized header":            "GET /smuggled HTTP/1.1\r\n" + host + "X: " + strings.Repeat("a", 1<<20) + "\r\n\r\n",
		"too many headers":            "GET /smuggled HTTP/1.1\r\n" + host + strings.Repeat("X: aaaaaaaaaaaaaaaaaa\r\n", 50000) + "\r\n",
		"oversized path":              "GET /smuggled" + strings.Repeat("a", 1<<20) + " HTTP/1.1\r\n" + host + "\r\n",
		"HTTP/3 in words":             "GET /smuggled HTTP/3.0\r\n" + host + "\r\n",
		"HTTP/2 in words":             "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	}
	tolerated := map[string]Limit{"length and chunked": LengthIgnored, "chunked and length": LengthIgnored, "folded line": FoldedLines, "asterisk form": NoRequest}
	var most int
	for name, text := range heads {
		may := p.lacks(tolerated[name])
		if may {
			most++
		}
		if resp := p.raw("a", text); resp != nil {
			resp.Body.Close()
			if (resp.StatusCode < 400 || resp.StatusCode > 505) && !may {
				p.Errorf("%s: %s", name, resp.Status)
			}
		}
	}
	seen := a.Requests()
	inside := slices.ContainsFunc(seen, func(s Seen) bool {
		return s.Method != "POST" || s.URI != "/" || s.Body != 0 || s.Header["Transfer-Encoding"] != nil || s.Header.Get("Content-Length") == "4"
	})
	if len(seen) > most || inside {
		p.Errorf("the service saw %+v", seen)
	}
	// A name with an underscore is our name for many services: dropped or refused.
	if resp := p.raw("a", "GET /underscore HTTP/1.1\r\n"+host+"X_Real_IP: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\n\r\n"); resp != nil {
		resp.Body.Close()
	}
	browser := p.Browser(p, p.Client, true)
	if resp, _, err := p.do(browser, "GET", p.URL("a", "/underscore"), nil, http.Header{"X_real_ip": {"6.6.6.6"}}); err == nil {
		resp.Body.Close()
	}
	for _, seen := range a.Requests() {
		for name := range seen.Header {
			if strings.Contains(name, "_") {
				p.Errorf("%s came through", name)
			}
		}
	}
	p.refusals(host)
	// The service still works, on a connection that is used again.
	p.both(p.Client, func(p *part, c *http.Client) {
		for range 3 {
			if seen := p.echo(c, "POST", p.URL("a", "/fine"), strings.NewReader("x"), nil); seen.URI != "/fine" {
				p.Errorf("%+v", seen)
			}
		}
	})
}

// refusals are said by the proxy in the form that was asked for, over both versions of HTTP.
func (p *part) refusals(host string) {
	for text, names := range map[string]string{
		"GET https://" + p.Settings.Host("a") + "/ HTTP/1.1\r\n" + host:    "bad-request",
		"TRACE / HTTP/1.1\r\n" + host:                                      "bad-method",
		"PURGE / HTTP/1.1\r\n" + host:                                      "bad-method",
		"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: x, chunked\r\n": "bad-request",
		"GET / HTTP/1.1\r\n":                                               "bad-request",
		"GET / HTTP/1.1\r\nHost: a@" + p.Settings.Host("a") + "\r\n":       "bad-request wrong-name",
	} {
		if p.lacks(NoRequest) && !strings.HasPrefix(names, "bad-method") && !strings.HasPrefix(text, "GET https:") {
			continue
		}
		resp := p.raw("a", text+"Accept: application/json\r\n\r\n")
		if resp == nil {
			p.Errorf("%q: no answer", text)
			continue
		}
		got, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		said := slices.ContainsFunc(strings.Fields(names), func(name string) bool {
			return strings.Contains(string(got), "urn:ownline:problem:proxy:"+name+`"`)
		})
		if resp.StatusCode < 400 || !said {
			p.Errorf("%q: %s, %.300q, want %s", text, resp.Status, got, names)
		}
	}
	for _, method := range []string{"PROPFIND", "PURGE", "TRACE"} {
		resp, got, err := p.do(p.Browser(p, p.Client, true), method, p.URL("a", "/"), nil, http.Header{"Accept": {"application/json"}})
		want := 501
		if method == "PROPFIND" {
			want = 200
		}
		if err != nil || resp.StatusCode != want || want == 501 && !strings.Contains(got, "bad-method") {
			p.Errorf("%s over HTTP/2: %v, %v, %q", method, err, resp, got)
		}
	}
}

// accelerated: what an answer says to some proxies is not obeyed, so that a service leads nobody past itself.
func (p *part) accelerated() {
	a := StartHTTP(p, p.Inside, "a", nil, false)
	p.serve("a", a.Addr, ownline.ProxyOptions{})
	p.both(p.Client, func(p *part, c *http.Client) {
		begin := time.Now()
		if _, got := p.get(c, p.URL("a", "/accelerated")); got != content(100000) {
			p.Errorf("the answer has %d bytes: %.100q", len(got), got)
		}
		if took := time.Since(begin); took > 50*time.Second {
			p.Errorf("the service had the answer slowed down: %s", took)
		}
	})
}

func (p *part) fields() {
	a := StartHTTP(p, p.Inside, "a", nil, false)
	p.serve("a", a.Addr, ownline.ProxyOptions{})
	p.both(p.Client, func(p *part, c *http.Client) {
		resp, got, err := p.do(c, "GET", p.URL("a", "/big?n=100000"), nil, http.Header{"Range": {"bytes=1000-1999"}})
		if err != nil || resp.StatusCode != 206 || got != content(2000)[1000:] || resp.Header.Get("Content-Range") != "bytes 1000-1999/100000" {
			p.Errorf("a range: %v, %v", err, resp)
		}
		resp, got = p.get(c, p.URL("a", "/trailers"))
		if got != "body" || !p.lacks(NoTrailers) && (resp.Trailer.Get("X-Told") != "after" || resp.Trailer.Get("X-Untold") != "too") {
			p.Errorf("trailers: %q, %v", got, resp.Trailer)
		}
		resp, _ = p.get(c, p.URL("a", "/hop"))
		for _, name := range []string{"X-Secret-Hop", "Keep-Alive", "Alt-Svc"} {
			if resp.Header.Get(name) != "" && !(p.lacks(NamedHop) && name == "X-Secret-Hop") {
				p.Errorf("%s came through", name)
			}
		}
		if resp.Header.Get("X-Stays") != "1" {
			p.Errorf("headers: %v", resp.Header)
		}
		if p.lacks(NoTrailers) || p.lacks(NoRequestTrailers) {
			return
		}
		r, err := http.NewRequestWithContext(p.Context(), "POST", p.URL("a", "/upload"), io.MultiReader(strings.NewReader("12345")))
		if err != nil {
			p.Fatal(err)
		}
		r.Trailer = http.Header{"X-Sum": {"fifteen"}}
		resp, err = c.Do(r)
		if err != nil {
			p.Fatal(err)
		}
		defer resp.Body.Close()
		if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "5 fifteen" {
			p.Errorf("a request's trailer: %q, %v", b, err)
		}
	})
}

func (p *part) broken() {
	a := StartHTTP(p, p.Inside, "a", nil, false)
	p.serve("a", a.Addr, ownline.ProxyOptions{})
	p.both(p.Client, func(p *part, c *http.Client) {
		if resp, got, err := p.do(c, "GET", p.URL("a", "/broken"), nil, nil); err == nil {
			p.Errorf("%s with %q, and no error", resp.Status, got)
		}
	})
	if p.lacks(BrokenChunks) {
		return
	}
	// Without a length, only the missing last chunk tells.
	half := StartRaw(p, p.Inside, func(c net.Conn) {
		c.Read(make([]byte, 4096))
		io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
	})
	p.serve("a", half, ownline.ProxyOptions{})
	p.both(p.Client, func(p *part, c *http.Client) {
		if resp, got, err := p.do(c, "GET", p.URL("a", "/"), nil, nil); err == nil {
			p.Errorf("%s with %q, and no error", resp.Status, got)
		}
	})
}

func (p *part) rewrites() {
	authority := NewAuthority(p)
	a := StartHTTP(p, p.Inside, "a", authority.Issue("inner.example"), false)
	p.serve("a", a.Addr, ownline.ProxyOptions{
		Scheme: ownline.SchemeHTTPS, CA: authority.PEM(), ServerName: "inner.example",
		PathPrefix: "/app", Headers: map[string]string{"X-Extra": "1", "Remote-User": "ana"},
	})
	public := strings.TrimSuffix(p.URL("a", ""), "/")
	p.both(p.Client, func(p *part, c *http.Client) {
		seen := p.echo(c, "GET", p.URL("a", "/x?y"), nil, http.Header{"X-Extra": {"2", "3"}, "Remote-User": {"root"}})
		if seen.URI != "/app/x?y" || seen.Host != "inner.example" ||
			!slices.Equal(seen.Header["X-Extra"], []string{"1"}) || !slices.Equal(seen.Header["Remote-User"], []string{"ana"}) {
			p.Errorf("%+v", seen)
		}
		for _, path := range []string{"/../x", "/a/../../x", "/%2e%2E/x", "/..%2fx", "/a/..", `/..\x`} {
			if resp := p.raw("a", "GET "+path+" HTTP/1.1\r\nHost: "+p.Settings.Host("a")+"\r\n\r\n"); resp != nil {
				resp.Body.Close()
				if resp.StatusCode < 400 {
					p.Errorf("%s: %s", path, resp.Status)
				}
			}
		}
	})
	b := StartHTTP(p, p.Inside, "b", nil, false)
	p.serve("a", b.Addr, ownline.ProxyOptions{})
	p.both(p.Client, func(p *part, c *http.Client) {
		for to, want := range map[string]string{
			"/login":                           "/login",
			"http://" + b.Addr.String() + "/x": public + "/x",
			"https://elsewhere.example/x":      "https://elsewhere.example/x",
			public + "/y":                      public + "/y",
		} {
			if resp, _ := p.get(c, p.URL("a", "/redirect?path=/&to="+to)); resp.Header.Get("Location") != want {
				p.Errorf("a redirection to %s became %s, want %s", to, resp.Header.Get("Location"), want)
			}
		}
	})
}

// cookies: what is ours stays with the proxy, whether the service requires a login or did so once.
func (p *part) cookies() {
	p.serve("a", StartHTTP(p, p.Inside, "a", nil, false).Addr, ownline.ProxyOptions{})
	p.both(p.Client, func(p *part, c *http.Client) {
		for sent, want := range map[string]string{
			"a=1": "a=1", "a=1; b=2": "a=1; b=2", "a=__Host-ownline-pass=x": "a=__Host-ownline-pass=x", "__Host-ownline-passport=1": "__Host-ownline-passport=1",
			"__Host-ownline-pass=x":                                              "",
			"__Host-ownline-state=x; __Host-ownline-pass=y":                      "",
			"__Host-ownline-pass=x; b=2":                                         "b=2",
			"a=1; __Host-ownline-pass=x":                                         "a=1",
			"a=1; __Host-ownline-pass=x; __Host-ownline-state=y; b=2":            "a=1; b=2",
			"__HOST-ownline-PASS=x; b=2;__host-Ownline-state=y":                  "b=2",
			"a=1; __Host-ownline-state=; b=2; __Host-ownline-pass=x; y; c=\"3\"": "a=1; b=2; y; c=\"3\"",
		} {
			seen := p.echo(c, "GET", p.URL("a", "/"), nil, http.Header{"Cookie": {sent}})
			if got := strings.Join(seen.Header["Cookie"], "; "); got != want || want == "" && seen.Header["Cookie"] != nil {
				p.Errorf("of %q the service saw %q, want %q", sent, seen.Header["Cookie"], want)
			}
		}
		many := strings.Repeat("__Host-ownline-pass=secret; ", 9) + "a=1"
		if seen := p.echo(c, "GET", p.URL("a", "/"), nil, http.Header{"Cookie": {many}}); strings.Contains(strings.Join(seen.Header["Cookie"], ""), "secret") {
			p.Errorf("the service saw %q", seen.Header["Cookie"])
		}
		seen := p.echo(c, "GET", p.URL("a", "/"), nil, http.Header{"Cookie": {"__Host-ownline-pass=secret", "a=1", "__Host-ownline-state=secret"}})
		if got := strings.Join(seen.Header["Cookie"], ""); strings.Contains(got, "secret") {
			p.Errorf("of three headers the service saw %q", got)
		}
	})
}
