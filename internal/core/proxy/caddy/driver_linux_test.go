package caddy_test

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ownline/ownline/internal/core/proxy"
	"github.com/ownline/ownline/internal/core/proxy/caddy"
	"github.com/ownline/ownline/internal/core/proxy/proxytest"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

func apply(t *testing.T, d *caddy.Driver, services ...link.Service) {
	t.Helper()
	if err := d.Apply(t.Context(), services); err != nil {
		t.Fatal(err)
	}
}

// get asks a service as the client that has a session.
func get(t *testing.T, w proxytest.World, name string) (string, error) {
	t.Helper()
	resp, err := w.Browser(t, w.Client, true).Get(w.URL(name, "/"))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return string(b), err
}

func at(config any, path ...string) any {
	for _, key := range path {
		o, _ := config.(map[string]any)
		config = o[key]
	}
	return config
}

// theirs asks the other server of Caddy's.
func (s *server) theirs(t *testing.T) {
	t.Helper()
	listen := at(s.config(t), "apps", "http", "servers", "theirs", "listen").([]any)
	resp, err := http.Get("http://" + listen[0].(string) + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); string(b) != "theirs & <more>" {
		t.Errorf("the other server answers %q", b)
	}
}

// What is somebody else's stays to the letter, and nothing of ours is left behind.
func TestOthersStay(t *testing.T) {
	s := startCaddy(t, families[0])
	their := s.roots.Issue("their.example")
	chain, key, err := proxy.Pair(proxytest.Wildcard{Cert: their}, "their.example")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := json.Marshal(map[string]string{"certificate": string(chain), "key": string(key)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.ask("POST", "/config/apps/tls/certificates/load_pem", "["+string(pair)+"]"); err != nil {
		t.Fatal(err)
	}
	before := s.config(t)
	d := s.driver(t)
	a := proxytest.StartHTTP(t, s.inside, "a", nil, false)
	services := []link.Service{s.service("a", a.Addr), s.service("b", a.Addr)}
	apply(t, d, services...)
	with := s.config(t)
	for _, path := range [][]string{{"admin"}, {"logging"}, {"apps", "pki"}, {"apps", "http", "servers", "theirs"}, {"apps", "tls", "automation"}, {"apps", "tls", "certificates", "automate"}} {
		if got, want := at(with, path...), at(before, path...); want == nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v is %v, and was %v", path, got, want)
		}
	}
	pairs := at(with, "apps", "tls", "certificates", "load_pem").([]any)
	if theirs := at(before, "apps", "tls", "certificates", "load_pem").([]any); len(pairs) != 2 || !reflect.DeepEqual(pairs[0], theirs[0]) {
		t.Errorf("%d certificates", len(pairs))
	}
	if n := len(at(with, "apps", "http", "servers").(map[string]any)); n != 2 {
		t.Errorf("%d servers", n)
	}
	s.theirs(t)
	apply(t, d)
	if got := s.config(t); !reflect.DeepEqual(got, before) {
		t.Errorf("after an end of all: %v\nwas %v", got, before)
	}
	s.theirs(t)

	// A Caddy without any configuration gets ours, and has none again then.
	if _, err := s.ask("POST", "/load", fmt.Sprintf(`{"admin": {"listen": %q}}`, strings.TrimPrefix(s.Admin, "http://"))); err != nil {
		t.Fatal(err)
	}
	apply(t, d, services...)
	s.door.Open(proxytest.ID("a"), s.client)
	if _, err := get(t, s.world(t), "a"); err != nil {
		t.Error(err)
	}
	apply(t, d)
	if got := at(s.config(t), "apps"); got != nil {
		t.Errorf("apps is %v", got)
	}

	// A server of the same name that somebody else has made is not touched.
	if _, err := s.ask("POST", "/config/apps", `{"http": {"servers": {"ownline": {"listen": ["127.0.0.1:0"], "automatic_https": {"disable": true}}}}}`); err != nil {
		t.Fatal(err)
	}
	before = s.config(t)
	if err := d.Apply(t.Context(), services); err == nil || !strings.Contains(err.Error(), "proxy.caddy") {
		t.Errorf("%v", err)
	}
	apply(t, d)
	if got := s.config(t); !reflect.DeepEqual(got, before) {
		t.Errorf("another's server became %v", got)
	}
}

// Nobody's change is lost when both change the configuration at the same time.
func TestChangesOfOthers(t *testing.T) {
	s := startCaddy(t, families[0])
	d := s.driver(t)
	const many = 15
	var (
		over sync.WaitGroup
		made atomic.Int64
	)
	over.Go(func() {
		for i := range many {
			if _, err := s.ask("POST", "/config/apps/http/servers/theirs/routes", fmt.Sprintf(`{"@id": "theirs-%d", "match": [{"path": ["/%d"]}], "handle": []}`, i, i)); err != nil {
				t.Error(err)
				return
			}
			made.Add(1)
		}
	})
	target := netip.AddrPortFrom(s.inside, 1)
	var names []link.Service
	for i := range many {
		names = append(names, s.service(fmt.Sprintf("s%d", i), target))
		eventually(t, "the driver gets a turn", func() bool { return d.Apply(t.Context(), names) == nil })
	}
	over.Wait()
	got := s.config(t)
	routes := at(got, "apps", "http", "servers", "theirs", "routes").([]any)
	if len(routes) != many+1 || made.Load() != many {
		t.Errorf("%d of %d routes of somebody else are there, of which %d were taken", len(routes)-1, many, made.Load())
	}
	if ours := at(got, "apps", "http", "servers", "ownline", "tls_connection_policies").([]any); len(ours) != many {
		t.Errorf("%d of %d services are there", len(ours), many)
	}
}

// Invariant 5: a Caddy that was killed, or reads its file anew, has forgotten all of ours, and
// gets it back.
func TestForgotten(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			s := startCaddy(t, f)
			d, w := s.running(t), s.world(t)
			a := proxytest.StartHTTP(t, s.inside, "a", nil, false)
			s.door.Open(proxytest.ID("a"), s.client)
			apply(t, d, s.service("a", a.Addr))
			served := func() bool { _, err := get(t, w, "a"); return err == nil }
			if !served() {
				t.Fatal("not served")
			}
			s.kill()
			if served() {
				t.Fatal("a dead Caddy serves")
			}
			eventually(t, "the status tells that Caddy is gone", func() bool { return d.Err() != nil })
			s.start(t)
			eventually(t, "what was forgotten is served", served)
			eventually(t, "the status is good", func() bool { return d.Err() == nil })
			file, err := os.ReadFile(filepath.Join(s.dir, "caddy.json"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.ask("POST", "/load", string(file)); err != nil {
				t.Fatal(err)
			}
			eventually(t, "what was loaded over is served", served)
			s.theirs(t)
		})
	}
}

// What Caddy refuses changes nothing, is told, and tells no secret.
func TestRefused(t *testing.T) {
	s := startCaddy(t, families[0])
	a := proxytest.StartHTTP(t, s.inside, "a", nil, false)
	s.door.Open(proxytest.ID("a"), s.client)
	apply(t, s.driver(t), s.service("a", a.Addr))
	before := s.config(t)
	c := s.Config
	c.Listen = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:9")} // none of ours
	d, err := caddy.New(c)
	if err != nil {
		t.Fatal(err)
	}
	err = d.Apply(t.Context(), []link.Service{s.service("b", a.Addr)})
	if err == nil || !strings.Contains(err.Error(), "192.0.2.1") || strings.Contains(err.Error(), "PRIVATE") || len(err.Error()) > 1000 {
		t.Errorf("Caddy refuses, and the error is %v", err)
	}
	if got := s.config(t); !reflect.DeepEqual(got, before) {
		t.Error("what Caddy refused has changed its configuration")
	}
	if _, err := get(t, s.world(t), "a"); err != nil {
		t.Errorf("what was served before: %v", err)
	}
	s.theirs(t)
	s.kill()
	if err := s.driver(t).Apply(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "proxy.caddy.admin") {
		t.Errorf("without Caddy: %v", err)
	}
}

// changing is certificates that are renewed.
type changing struct {
	now atomic.Pointer[tls.Certificate]
}

func (c *changing) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if cert := c.now.Load(); cert != nil {
		return cert, nil
	}
	return nil, errors.New("none yet")
}

// A service waits for its certificate, and a renewed one is taken.
func TestCertificates(t *testing.T) {
	s := startCaddy(t, families[0])
	certs := &changing{}
	s.Certificates = certs
	d := s.running(t)
	apply(t, d, s.service("a", netip.AddrPortFrom(s.inside, 1)))
	if got := at(s.config(t), "apps", "http", "servers", "ownline"); got != nil {
		t.Errorf("without a certificate, the server is %v", got)
	}
	shown := func() []byte {
		c, err := tls.Dial("tcp", s.Listen[0].String(), &tls.Config{InsecureSkipVerify: true, ServerName: "a.home.example"})
		if err != nil {
			return nil
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].Raw
	}
	for range 2 {
		next := s.roots.Issue("a.home.example")
		certs.now.Store(next)
		eventually(t, "the newest certificate is shown", func() bool { return slices.Equal(shown(), next.Certificate[0]) })
		if got := at(s.config(t), "apps", "tls", "certificates", "load_pem").([]any); len(got) != 1 {
			t.Errorf("%d certificates are there", len(got))
		}
	}
}

// An answer of the gate is the only way in.
func TestWithoutGate(t *testing.T) {
	s := startCaddy(t, families[0])
	s.Socket = filepath.Join(s.dir, "nobody")
	a := proxytest.StartHTTP(t, s.inside, "a", nil, false)
	s.door.Open(proxytest.ID("a"), s.client)
	apply(t, s.driver(t), s.service("a", a.Addr))
	if got, err := get(t, s.world(t), "a"); err == nil {
		t.Errorf("with no gate: %s", got)
	}
	l, err := net.Listen("unix", s.Socket) // and one that says anything but 204
	if err != nil {
		t.Fatal(err)
	}
	var status atomic.Int64
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) })}
	var over sync.WaitGroup
	over.Go(func() { srv.Serve(l) })
	t.Cleanup(func() { srv.Close(); over.Wait() })
	for _, code := range []int64{200, 201, 206, 302, 404, 500} {
		status.Store(code)
		got, err := get(t, s.world(t), "a")
		if len(a.Requests()) > 0 {
			t.Fatalf("%d got in: %q, %v", code, got, err)
		}
	}
	status.Store(204)
	if _, err := get(t, s.world(t), "a"); err != nil {
		t.Error(err)
	}
}

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
		"options.pin":           {Scheme: "https", Pin: strings.Repeat("0", 64)},
		"options.template":      {Template: "{ownline:guard}"},
		"options.require_login": {RequireLogin: true},
		"options.ca":            {Scheme: "https", CA: "x"},
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
		if _, err := caddy.New(caddy.Config{Admin: address, Socket: "/x"}); (err == nil) != good {
			t.Errorf("%q: %v", address, err)
		}
	}
	for _, socket := range []string{"", "x", "/{env.HOME}/x"} {
		if _, err := caddy.New(caddy.Config{Admin: "unix:/x", Socket: socket}); err == nil {
			t.Errorf("the gate at %q was taken", socket)
		}
	}
}
