package caddy_test

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	"github.com/ownline/ownline/internal/core/proxy/gate"
	"github.com/ownline/ownline/internal/core/proxy/proxytest"
	"github.com/ownline/ownline/internal/link"
)

func apply(t *testing.T, d settled, services ...link.Service) {
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
	c.Gate = new(gate.Gate)
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
