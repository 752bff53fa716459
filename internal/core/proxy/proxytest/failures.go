package proxytest

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

func (p *part) trust() {
	good, evil := NewAuthority(p), NewAuthority(p)
	at := p.Inside.String()
	byAddress, byName := good.Issue(at), good.Issue("inner.example")
	const secret = "shown to whoever asks"
	for _, tc := range []struct {
		what string
		cert string
		o    ownline.ProxyOptions
		ok   bool
	}{
		{"authority and address", "address", ownline.ProxyOptions{CA: good.PEM()}, true},
		{"authority and name", "name", ownline.ProxyOptions{CA: good.PEM(), ServerName: "inner.example"}, true},
		{"another authority", "address", ownline.ProxyOptions{CA: evil.PEM()}, false},
		{"no authority that the router knows", "address", ownline.ProxyOptions{}, false},
		{"another name", "name", ownline.ProxyOptions{CA: good.PEM(), ServerName: "other.example"}, false},
		{"not its address", "name", ownline.ProxyOptions{CA: good.PEM()}, false},
		{"pin", "address", ownline.ProxyOptions{Pin: PinOf(byAddress)}, true},
		{"pin in capitals", "name", ownline.ProxyOptions{Pin: strings.ToUpper(PinOf(byName))}, true},
		{"pin of another key", "address", ownline.ProxyOptions{Pin: PinOf(byName)}, false},
		{"right authority, pin of another key", "address", ownline.ProxyOptions{CA: good.PEM(), Pin: PinOf(byName)}, false},
	} {
		if p.lacks(NoPin) && tc.o.Pin != "" || p.lacks(NoAddressCertificate) && tc.o.ServerName == "" {
			tc.o.Scheme = ownline.SchemeHTTPS
			if err := p.Driver.Apply(p.Context(), []link.Service{entry("a", Nobody(p, p.Inside), tc.o)}); err == nil {
				p.Errorf("%s: Apply took what the server can't do", tc.what)
			}
			continue
		}
		cert := byAddress
		if tc.cert == "name" {
			cert = byName
		}
		for _, two := range []bool{false, true} {
			s := StartHTTP(p, p.Inside, secret, cert, two)
			tc.o.Scheme = ownline.SchemeHTTPS
			p.serve("a", s.Addr, tc.o)
			p.both(p.Client, func(p *part, c *http.Client) {
				resp, got, err := p.do(c, "GET", p.URL("a", "/"), nil, http.Header{"Accept": {"application/json"}})
				if err != nil {
					p.Fatal(err)
				}
				if ok := resp.StatusCode == 200 && strings.Contains(got, secret); ok != tc.ok {
					p.Errorf("%s: %s, %q", tc.what, resp.Status, got)
				}
				if ws, err := p.WebSocket(p.Context(), p.Client, "a"); (err == nil) != tc.ok {
					p.Errorf("%s: a websocket: %v", tc.what, err)
				} else if err == nil {
					ws.Close()
				}
			})
			if !tc.ok && len(s.Requests()) > 0 {
				p.Errorf("%s: the service saw a request", tc.what)
			}
		}
	}
}

func (p *part) errors() {
	inside := p.Inside.String()
	for what, tc := range map[string]struct {
		serve  func() (target func(net.Conn))
		status int
	}{
		"nobody listens": {nil, 502},
		"nonsense": {func() func(net.Conn) {
			return func(c net.Conn) { c.Read(make([]byte, 1000)); io.WriteString(c, "SSH-2.0-secret\r\n") }
		}, 502},
		"closes at once": {func() func(net.Conn) { return func(net.Conn) {} }, 502},
		"endless head": {func() func(net.Conn) {
			return func(c net.Conn) {
				c.SetDeadline(time.Now().Add(5 * time.Second))
				c.Read(make([]byte, 1000))
				io.WriteString(c, "HTTP/1.1 200 OK\r\n")
				for range 100000 {
					if _, err := io.WriteString(c, "X-Long: "+strings.Repeat("x", 1000)+"\r\n"); err != nil {
						return
					}
				}
			}
		}, 502},
	} {
		target := Nobody(p, p.Inside)
		if tc.serve != nil {
			target = StartRaw(p, p.Inside, tc.serve())
		}
		if what == "nonsense" && p.lacks(OldAnswers) {
			continue
		}
		p.serve("a", target, ownline.ProxyOptions{})
		p.both(p.Client, func(p *part, c *http.Client) {
			for _, method := range []string{"GET", "POST"} {
				resp, got, err := p.do(c, method, p.URL("a", "/"), nil, http.Header{"Accept": {"text/html,application/xhtml+xml,*/*;q=0.8"}})
				if err != nil {
					p.Errorf("%s: %v", what, err)
					continue
				}
				h := resp.Header
				if resp.StatusCode != tc.status || !strings.HasPrefix(h.Get("Content-Type"), "text/html") || !strings.Contains(got, "<h1>") {
					p.Errorf("%s, %s: %s, %q", what, method, resp.Status, got)
				}
				policy := h.Get("Content-Security-Policy")
				if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || strings.Contains(got, "<script") || h.Get("Cache-Control") != "no-store" {
					p.Errorf("%s: headers %v", what, h)
				}
				resp, problem, err := p.do(c, method, p.URL("a", "/"), nil, http.Header{"Accept": {"application/json"}})
				if err != nil {
					p.Errorf("%s: %v", what, err)
					continue
				}
				var details struct {
					Type, Title, Detail string
					Status              int
				}
				err = json.Unmarshal([]byte(problem), &details)
				if err != nil || details.Status != tc.status || details.Title == "" || details.Detail == "" || resp.Header.Get("Content-Type") != "application/problem+json" {
					p.Errorf("%s: %v, %q", what, err, problem)
				}
				for _, text := range []string{got, problem} {
					if strings.Contains(text, inside) || strings.Contains(text, target.String()) || strings.Contains(text, "secret") {
						p.Errorf("%s tells of the LAN: %q", what, text)
					}
				}
			}
		})
	}
}
