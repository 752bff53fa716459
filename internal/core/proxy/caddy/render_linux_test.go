package caddy_test

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ownline/ownline/internal/core/proxy/caddy"
	"github.com/ownline/ownline/internal/core/proxy/gate"
	"github.com/ownline/ownline/internal/core/proxy/proxytest"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// Text of an admin's is not Caddy's to read.
func TestLiteral(t *testing.T) {
	s := startCaddy(t, families[0])
	a := proxytest.StartHTTP(t, s.inside, "a", nil, false)
	s.door.Open(proxytest.ID("a"), s.client)
	service := s.service("a", a.Addr)
	service.Options.Headers = map[string]string{
		"X-1": "a{http.request.host}b", "X-2": `\{env.HOME}\`, "X-3": "}", "X-4": "{", "X-5": `{}\}\{$1`, "X-6": "{{http.request.host}}", "X-7": `\\{http.request.host\\}`,
	}
	apply(t, s.driver(t), service)
	if _, err := get(t, s.world(t), "a"); err != nil {
		t.Fatal(err)
	}
	for name, want := range service.Options.Headers {
		if got := a.Requests()[0].Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// The second address of a service is for when the first takes no connection.
func TestTwoTargets(t *testing.T) {
	s := startCaddy(t, families[1])
	a := proxytest.StartHTTP(t, s.inside, "a", nil, false)
	s.door.Open(proxytest.ID("a"), s.client)
	service := s.service("a", a.Addr)
	service.Target4 = proxytest.Nobody(t, netip.MustParseAddr("127.0.0.1"))
	apply(t, s.driver(t), service)
	for range 3 {
		if _, err := get(t, s.world(t), "a"); err != nil {
			t.Error(err)
		}
	}
}

// Below a prefix, what a service says of its own paths leads to the public ones.
func TestPrefix(t *testing.T) {
	s := startCaddy(t, families[0])
	var to, cookie atomic.Value
	to.Store("")
	cookie.Store("")
	answers := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", to.Load().(string))
		w.Header().Set("Set-Cookie", cookie.Load().(string))
		w.WriteHeader(http.StatusFound)
	})
	l, err := net.Listen("tcp", netip.AddrPortFrom(s.inside, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: answers}
	var over sync.WaitGroup
	over.Go(func() { srv.Serve(l) })
	t.Cleanup(func() { srv.Close(); over.Wait() })
	service := s.service("a", netip.MustParseAddrPort(l.Addr().String()))
	service.Options.PathPrefix = "/app"
	s.door.Open(service.ID, s.client)
	apply(t, s.driver(t), service)
	w := s.world(t)
	browser := w.Browser(t, w.Client, false)
	ask := func(header string) string {
		t.Helper()
		resp, err := browser.Get(w.URL("a", "/"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.Header.Get(header)
	}
	target := l.Addr().String()
	for location, want := range map[string]string{
		"/app/x": "/x", "/app": "/", "/apple": "/apple", "http://" + target + "/app/x?y": w.URL("a", "/x?y"), "http://" + target + "/app": w.URL("a", "/"),
		"https://elsewhere.example/app/x": "https://elsewhere.example/app/x", w.URL("a", "/app/y"): w.URL("a", "/y"),
	} {
		to.Store(location)
		if got := ask("Location"); got != want {
			t.Errorf("%s became %s, want %s", location, got, want)
		}
	}
	to.Store("/")
	for set, want := range map[string]string{
		"a=b; Path=/app; HttpOnly": "a=b; Path=/; HttpOnly", "a=b; path=/app/": "a=b; path=/", "a=b; Path=/app/x; Secure": "a=b; Path=/x; Secure",
		"a=b; Path=/apple": "a=b; Path=/apple", "a=/app; Path=/": "a=/app; Path=/",
	} {
		cookie.Store(set)
		if got := ask("Set-Cookie"); got != want {
			t.Errorf("%q became %q, want %q", set, got, want)
		}
	}
}

// Invariant 10: what Caddy can't do is refused, and says how else.
func TestCheck(t *testing.T) {
	s := startCaddy(t, families[0])
	d := s.driver(t)
	for field, o := range map[string]ownline.ProxyOptions{
		"options.pin":      {Scheme: "https", Pin: strings.Repeat("0", 64)},
		"options.template": {Template: "{ownline:guard}"},
		"options.ca":       {Scheme: "https", CA: "x"},
	} {
		bad := s.service("nas", netip.AddrPortFrom(s.inside, 1))
		bad.Options = o
		if err := d.Apply(t.Context(), []link.Service{bad}); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	bad := s.service("nas", netip.AddrPortFrom(s.inside, 1))
	if err := d.Apply(t.Context(), []link.Service{bad, bad}); err == nil {
		t.Error("two services of one name were taken")
	}
}

// Keys never leave the machine.
func TestAdminAddress(t *testing.T) {
	for address, good := range map[string]bool{
		"http://127.0.0.1:2019": true, "http://localhost:2019/": true, "http://[::1]:2019": true, "unix:/run/caddy.sock": true,
		"": false, "127.0.0.1:2019": false, "https://127.0.0.1:2019": false, "http://192.168.1.1:2019": false, "http://caddy.example:2019": false,
		"http://127.0.0.1": false, "http://a:b@127.0.0.1:2019": false, "http://127.0.0.1:2019/x": false, "unix:run": false, "http://127.0.0.1.example.org:1": false,
	} {
		if _, err := caddy.New(caddy.Config{Admin: address, Socket: "/x", Word: "w", Gate: new(gate.Gate)}); (err == nil) != good {
			t.Errorf("%q: %v", address, err)
		}
	}
	for _, socket := range []string{"", "x", "/{env.HOME}/x"} {
		if _, err := caddy.New(caddy.Config{Admin: "unix:/x", Socket: socket, Word: "w"}); err == nil {
			t.Errorf("the gate at %q was taken", socket)
		}
	}
	if _, err := caddy.New(caddy.Config{Admin: "unix:/x", Socket: "/x"}); err == nil {
		t.Error("a gate without a word was taken")
	}
}
