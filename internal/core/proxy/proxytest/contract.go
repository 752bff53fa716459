package proxytest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// Contract holds a driver to what every driver promises. It makes a new world for each part.
// The numbers are those of the invariants.
func Contract(t *testing.T, run func(t *testing.T, test func(t *testing.T, w World))) {
	hold(t, run, []promise{
		{"3 only its source gets in to its service only", (*part).admits},
		{"3 one service's connection is no other's", (*part).wrongName},
		{"4 a session's end cuts websockets and downloads", (*part).cuts},
		{"5 exactly what was applied is served", (*part).applies},
		{"8 the client's address can't be forged", (*part).forged},
		{"10 smuggling is refused", (*part).smuggling},
		{"every protocol to every service", (*part).protocols},
		{"a service's certificate is verified", (*part).trust},
		{"websockets", (*part).webSockets},
		{"events come as they are sent", (*part).events},
		{"grpc", (*part).grpc},
		{"expect 100-continue is passed on", (*part).expect},
		{"ranges, trailers and hop-by-hop headers", (*part).fields},
		{"what an answer tells some proxies is not obeyed", (*part).accelerated},
		{"uploads are streamed", (*part).uploads},
		{"a client that leaves is noticed by the service", (*part).aborts},
		{"an answer that breaks off is not taken for whole", (*part).broken},
		{"path prefix, headers, server name and redirections", (*part).rewrites},
		{"what fails is said, without addresses of the LAN", (*part).errors},
		{"a login in front", (*part).logins},
		{"our cookies stay behind", (*part).cookies},
		{"sessions come and go without a failed request", (*part).churn},
	})
}

// promise is one thing that a driver is held to.
type promise struct {
	name string
	test func(*part)
}

func hold(t *testing.T, run func(t *testing.T, test func(t *testing.T, w World)), promises []promise) {
	for _, p := range promises {
		t.Run(p.name, func(t *testing.T) {
			run(t, func(t *testing.T, w World) { p.test(&part{T: t, World: w}) })
		})
	}
}

// within is how late a session's end may be felt.
const within = 500 * time.Millisecond

type part struct {
	*testing.T
	World
}

func (p *part) apply(services ...link.Service) {
	p.Helper()
	if err := p.Driver.Apply(p.Context(), services); err != nil {
		p.Fatalf("Apply: %v", err)
	}
}

// serve makes the proxy serve one service, open to Client.
func (p *part) serve(name string, target netip.AddrPort, o ownline.ProxyOptions) {
	p.Helper()
	p.apply(entry(name, target, o))
	p.Door.Open(ID(name), p.Client)
}

func entry(name string, target netip.AddrPort, o ownline.ProxyOptions) link.Service {
	s := link.Service{ID: ID(name), Name: name, Options: o}
	if target.Addr().Is4() {
		s.Target4 = target
	} else {
		s.Target6 = target
	}
	return s
}

// do sends a request, and returns the answer with its whole body.
func (p *part) do(b *http.Client, method, url string, body io.Reader, header http.Header) (*http.Response, string, error) {
	p.Helper()
	r, err := http.NewRequestWithContext(p.Context(), method, url, body)
	if err != nil {
		p.Fatal(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	resp, err := b.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return resp, string(got), err
}

func (p *part) get(b *http.Client, url string) (*http.Response, string) {
	p.Helper()
	resp, body, err := p.do(b, http.MethodGet, url, nil, nil)
	if err != nil {
		p.Fatalf("GET %s: %v", url, err)
	}
	return resp, body
}

// echo asks for what the service sees.
func (p *part) echo(b *http.Client, method, url string, body io.Reader, header http.Header) Seen {
	p.Helper()
	resp, got, err := p.do(b, method, url, body, header)
	if err != nil {
		p.Fatalf("%s %s: %v", method, url, err)
	}
	var seen Seen
	if err := json.Unmarshal([]byte(got), &seen); err != nil || resp.StatusCode != http.StatusOK {
		p.Fatalf("%s %s: %s, %q", method, url, resp.Status, got)
	}
	return seen
}

// both runs a test over HTTP/1.1 and HTTP/2.
func (p *part) both(from netip.Addr, test func(*part, *http.Client)) {
	for _, two := range []bool{false, true} {
		p.Run(map[bool]string{false: "HTTP-1.1", true: "HTTP-2"}[two], func(t *testing.T) {
			test(&part{T: t, World: p.World}, p.Browser(t, from, two))
		})
	}
}

// hello shakes hands, and reports whether a certificate was seen.
func (p *part) hello(from netip.Addr, name string, protocols ...string) (*tls.Conn, bool, error) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), 10*time.Second)
	defer cancel()
	tcp, err := p.Dial(ctx, from)
	if err != nil {
		p.Fatal(err)
	}
	saw := false
	config := p.TLS(name, protocols...)
	config.InsecureSkipVerify = true
	config.VerifyPeerCertificate = func([][]byte, [][]*x509Certificate) error {
		saw = true
		return nil
	}
	c := tls.Client(tcp, config)
	if err := c.HandshakeContext(ctx); err != nil {
		tcp.Close()
		return nil, saw, err
	}
	p.Cleanup(func() { tcp.Close() })
	return c, saw, nil
}

func (p *part) shut(from netip.Addr, name string) {
	p.Helper()
	if p.lacks(AfterTLS) {
		p.refused(from, name)
		return
	}
	_, saw, err := p.hello(from, name)
	if saw || err == nil {
		p.Errorf("%s shakes hands with %s: a certificate was shown: %v, error %v; want an end before it", from, name, saw, err)
	}
}

func (p *part) admits() {
	a, b := StartHTTP(p, p.Inside, "a", nil, false), StartHTTP(p, p.Inside, "b", nil, false)
	p.apply(entry("a", a.Addr, ownline.ProxyOptions{}), entry("b", b.Addr, ownline.ProxyOptions{}))
	for _, from := range []netip.Addr{p.Client, p.Neighbour} {
		p.shut(from, "a")
		p.shut(from, "b")
	}
	p.Door.Open(ID("a"), p.Client)
	p.both(p.Client, func(p *part, c *http.Client) {
		if seen := p.echo(c, "GET", p.URL("a", "/"), nil, nil); seen.Service != "a" {
			p.Errorf("service %q answered", seen.Service)
		}
	})
	p.shut(p.Client, "b")
	p.shut(p.Client, "nosuch")
	p.shut(p.Client, "")
	p.shut(p.Neighbour, "a")

	p.Door.Open(ID("b"), p.Neighbour)
	p.both(p.Neighbour, func(p *part, c *http.Client) {
		if seen := p.echo(c, "GET", p.URL("b", "/"), nil, nil); seen.Service != "b" {
			p.Errorf("service %q answered", seen.Service)
		}
	})
	p.shut(p.Neighbour, "a")
	p.shut(p.Client, "b")

	p.Door.Shut(ID("a"), p.Client)
	p.shut(p.Client, "a")
	p.Door.Open(ID("a"), p.Client)
	p.both(p.Client, func(p *part, c *http.Client) { p.echo(c, "GET", p.URL("a", "/"), nil, nil) })
}

func (p *part) wrongName() {
	a, b := StartHTTP(p, p.Inside, "a", nil, false), StartHTTP(p, p.Inside, "b", nil, false)
	p.apply(entry("a", a.Addr, ownline.ProxyOptions{}), entry("b", b.Addr, ownline.ProxyOptions{}))
	p.Door.Open(ID("a"), p.Client)
	p.Door.Open(ID("b"), p.Client) // even though it may
	const refused = 0              // with 400 or 421
	p.both(p.Client, func(p *part, c *http.Client) {
		for host, want := range map[string]int{
			p.Settings.Host("a"):                              200,
			strings.ToUpper(p.Settings.Host("a")):             200,
			p.Settings.Host("a") + ":" + portOf(p.Settings):   200,
			p.Settings.Host("b"):                              421,
			p.Settings.Host("b") + ":" + portOf(p.Settings):   421,
			p.Settings.Domain:                                 421,
			p.Settings.Host("a") + "." + p.Settings.Host("a"): 421,
			"127.0.0.1":                              421,
			p.Settings.Host("a") + ":1,evil.example": refused,
			p.Settings.Host("a") + ":x":              refused,
			p.Settings.Host("a") + ":1:2":            refused,
		} {
			r, err := http.NewRequestWithContext(p.Context(), "GET", p.URL("a", "/"), nil)
			if err != nil {
				p.Fatal(err)
			}
			r.Host = host
			resp, err := c.Do(r)
			if err != nil {
				p.Fatalf("Host %s: %v", host, err)
			}
			resp.Body.Close()
			if resp.StatusCode != want && !(want == refused && (resp.StatusCode == 400 || resp.StatusCode == 421)) {
				p.Errorf("Host %s: %s, want %d", host, resp.Status, want)
			}
		}
	})
	if n := len(b.Requests()); n != 0 {
		p.Errorf("the other service saw %d requests", n)
	}
	for _, port := range []string{":1,evil.example", ":x", ":1:2", ": 1", ":1 evil.example"} {
		if resp := p.raw("a", "GET /junk HTTP/1.1\r\nHost: "+p.Settings.Host("a")+port+"\r\n\r\n"); resp != nil {
			resp.Body.Close()
			if resp.StatusCode != 400 && resp.StatusCode != 421 {
				p.Errorf("Host with %q: %s", port, resp.Status)
			}
		}
	}
	if slices.ContainsFunc(a.Requests(), func(s Seen) bool { return s.URI == "/junk" }) {
		p.Error("the service saw a host with junk behind it")
	}
}

// ends reads until the connection ends, which has to be soon.
func (p *part) ends(what string, read func() error) {
	p.Helper()
	over := make(chan error, 1)
	begin := time.Now()
	go func() { over <- read() }()
	select {
	case err := <-over:
		if err == nil {
			p.Errorf("%s: came to a good end, %s after the session's", what, time.Since(begin))
		}
	case <-time.After(within):
		p.Errorf("%s: goes on %s after the session's end", what, within)
	}
}

func (p *part) cuts() {
	a, b := StartHTTP(p, p.Inside, "a", nil, false), StartHTTP(p, p.Inside, "b", nil, false)
	p.apply(entry("a", a.Addr, ownline.ProxyOptions{}), entry("b", b.Addr, ownline.ProxyOptions{}))
	p.both(p.Client, func(p *part, c *http.Client) {
		p.Door.Open(ID("a"), p.Client)
		p.Door.Open(ID("b"), p.Client)
		p.Door.Open(ID("a"), p.Neighbour)
		ws, other, neighbour := p.webSocket(p.Client, "a"), p.webSocket(p.Client, "b"), p.webSocket(p.Neighbour, "a")
		long, err := c.Get(p.URL("a", "/big?n=100000000000"))
		if err != nil {
			p.Fatal(err)
		}
		defer long.Body.Close()
		io.CopyN(io.Discard, long.Body, 1<<20)
		waits := make(chan error, 1)
		go func() {
			resp, err := c.Get(p.URL("a", "/wait?for=1m"))
			if err == nil {
				resp.Body.Close()
			}
			waits <- err
		}()
		<-a.began
		idle, _, err := p.hello(p.Client, "a", "http/1.1")
		if err != nil {
			p.Fatal(err)
		}

		p.Door.Shut(ID("a"), p.Client)
		p.ends("websocket", func() error { _, _, err := ws.ReadMessage(); return err })
		p.ends("download", func() error { _, err := io.Copy(io.Discard, io.LimitReader(long.Body, 1<<30)); return err })
		p.ends("long poll", func() error { return <-waits })
		if !p.lacks(AfterTLS) { // else nobody knows yet what it is for
			p.ends("idle connection", func() error { _, err := idle.Read(make([]byte, 1)); return err })
		}
		select {
		case <-a.gone: // the service learns it
		case <-time.After(2 * within):
			p.Error("the service did not notice")
		}
		p.shut(p.Client, "a")
		p.bounces(other)
		p.bounces(neighbour)
	})
}

func (p *part) applies() {
	a, b, c := StartHTTP(p, p.Inside, "a", nil, false), StartHTTP(p, p.Inside, "b", nil, false), StartHTTP(p, p.Inside, "c", nil, false)
	p.Door.Open(ID("a"), p.Client)
	p.Door.Open(ID("b"), p.Client)
	p.shut(p.Client, "a") // before the first Apply
	first := []link.Service{entry("a", a.Addr, ownline.ProxyOptions{}), entry("b", b.Addr, ownline.ProxyOptions{})}
	p.apply(first...)
	wsA, wsB := p.webSocket(p.Client, "a"), p.webSocket(p.Client, "b")
	p.apply(first...)
	p.bounces(wsA) // nothing changed
	browser := p.Browser(p, p.Client, true)
	if seen := p.echo(browser, "GET", p.URL("a", "/"), nil, nil); seen.Service != "a" {
		p.Errorf("%q answered", seen.Service)
	}

	bad := entry("x", a.Addr, ownline.ProxyOptions{Scheme: ownline.SchemeHTTPS, CA: "no certificate"})
	if err := p.Driver.Apply(p.Context(), []link.Service{bad}); err == nil {
		p.Error("Apply took a CA that is none")
	}
	p.bounces(wsA)
	p.bounces(wsB)

	p.apply(entry("a", c.Addr, ownline.ProxyOptions{}), first[1]) // to another target
	p.ends("websocket to the old target", func() error { _, _, err := wsA.ReadMessage(); return err })
	wsB = p.stays(wsB, "b")
	if seen := p.echo(p.Browser(p, p.Client, true), "GET", p.URL("a", "/"), nil, nil); seen.Service != "c" {
		p.Errorf("%q answered", seen.Service)
	}

	p.apply(first[1])
	p.shut(p.Client, "a")
	wsB = p.stays(wsB, "b")
	p.apply()
	p.ends("websocket of a service that is gone", func() error { _, _, err := wsB.ReadMessage(); return err })
	p.shut(p.Client, "b")
}

// stays is for a websocket of another service than the one that was changed.
func (p *part) stays(c *websocket.Conn, name string) *websocket.Conn {
	p.Helper()
	if p.lacks(UpgradesEnd) {
		c = p.webSocket(p.Client, name)
	}
	p.bounces(c)
	return c
}

func (p *part) protocols() {
	authority := NewAuthority(p)
	cert, secure := p.secure(authority)
	services := map[string]struct {
		s     *Service
		o     ownline.ProxyOptions
		proto string
	}{
		"plain": {StartHTTP(p, p.Inside, "plain", nil, false), ownline.ProxyOptions{}, "HTTP/1.1"},
		"h2c":   {StartHTTP(p, p.Inside, "h2c", nil, true), ownline.ProxyOptions{Scheme: ownline.SchemeH2C}, "HTTP/2.0"},
		"tls1":  {StartHTTP(p, p.Inside, "tls1", cert, false), secure, "HTTP/1.1"},
		"tls2":  {StartHTTP(p, p.Inside, "tls2", cert, true), secure, "HTTP/"},
	}
	var all []link.Service
	for name, s := range services {
		all = append(all, entry(name, s.s.Addr, s.o))
		p.Door.Open(ID(name), p.Client)
	}
	p.apply(all...)
	p.both(p.Client, func(p *part, c *http.Client) {
		for name, s := range services {
			for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "REPORT", "MKCALENDAR"} {
				uri := "/a/b%2Fc;d=e//?q=%20x&y=|z"
				seen := p.echo(c, method, p.URL(name, uri), nil, nil)
				if seen.Service != name || seen.Method != method || seen.URI != uri || !strings.HasPrefix(seen.Proto, s.proto) || seen.Body != 0 {
					p.Errorf("%s %s: %+v", name, method, seen)
				}
			}
			for _, length := range []int{1, 5000, 1 << 20} {
				body := bytes.Repeat([]byte("x"), length)
				for kind, r := range map[string]io.Reader{"sized": bytes.NewReader(body), "chunked": io.MultiReader(bytes.NewReader(body))} {
					if seen := p.echo(c, "POST", p.URL(name, "/"), r, nil); seen.Body != int64(length) {
						p.Errorf("%s: %d of %d bytes %s arrived", name, seen.Body, length, kind)
					}
				}
				if resp, got := p.get(c, p.URL(name, "/big?n="+itoa(length))); len(got) != length || resp.ContentLength != int64(length) || got != content(length) {
					p.Errorf("%s: %d of %d bytes came", name, len(got), length)
				}
			}
			resp, got, err := p.do(c, "HEAD", p.URL(name, "/big?n=1000"), nil, nil)
			if err != nil || got != "" || resp.ContentLength != 1000 && !(p.lacks(NoHeadLength) && name == "h2c") {
				p.Errorf("%s: HEAD: %v, length %d", name, err, resp.ContentLength)
			}
		}
	})
}

func (p *part) churn() {
	const sessions = 200
	requests := Soak(2000, 100_000) // that nobody may notice other sessions in
	a, b := StartHTTP(p, p.Inside, "a", nil, false), StartHTTP(p, p.Inside, "b", nil, false)
	p.apply(entry("a", a.Addr, ownline.ProxyOptions{}), entry("b", b.Addr, ownline.ProxyOptions{}))
	p.Door.Open(ID("a"), p.Client)
	over, end := context.WithCancel(p.Context())
	defer end()
	var (
		done     atomic.Int64
		browsers sync.WaitGroup
	)
	for _, two := range []bool{false, true} {
		browser := p.Browser(p, p.Client, two)
		browsers.Go(func() {
			for over.Err() == nil {
				if resp, got, err := p.do(browser, "GET", p.URL("a", "/big?n=1000"), nil, nil); err != nil || resp.StatusCode != 200 || len(got) != 1000 {
					p.Errorf("a request to another service, after %d: %v, %v", done.Load(), resp, err)
					end()
				}
				done.Add(1)
			}
		})
	}
	for i := range sessions {
		for over.Err() == nil && done.Load() < int64(requests*i/sessions) {
			time.Sleep(time.Millisecond)
		}
		p.Door.Open(ID("b"), p.Neighbour)
		if i%10 == 0 {
			if _, _, err := p.hello(p.Neighbour, "b"); err != nil {
				p.Errorf("session %d: %v", i, err)
			}
		}
		if i%20 == 0 {
			p.apply(entry("a", a.Addr, ownline.ProxyOptions{}), entry("b", b.Addr, ownline.ProxyOptions{PathPrefix: "/" + itoa(i)}))
		}
		p.Door.Shut(ID("b"), p.Neighbour)
	}
	end()
	browsers.Wait()
}

// raw writes bytes to a connection of HTTP/1.1, and reads one answer; nil if it was closed
// instead.
func (p *part) raw(name, text string) *http.Response {
	p.Helper()
	c, _, err := p.hello(p.Client, name, "http/1.1")
	if err != nil {
		p.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, text); err != nil {
		return nil
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			p.Errorf("no answer to %.80q", text)
		}
		return nil
	}
	return resp
}
