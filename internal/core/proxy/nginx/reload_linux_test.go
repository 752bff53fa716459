package nginx_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/proxy/keeper"
	"github.com/ownline/ownline/internal/core/proxy/proxytest"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// A reload that nginx can't carry out is told, lets in to nothing that was changed, and is made up for.
func TestNotReloaded(t *testing.T) {
	p := world(t, ipv4)
	s := p.Driver.(settled).s
	s.Wait = time.Second
	a, b := proxytest.StartHTTP(t, inside, "a", nil, false), proxytest.StartHTTP(t, inside, "b", nil, false)
	first := []link.Service{{ID: proxytest.ID("a"), Name: "a", Target4: a.Addr}}
	second := []link.Service{{ID: proxytest.ID("a"), Name: "a", Target4: b.Addr}}
	d := s.driver(t)
	eventually(t, "nginx serves what it was given", func() bool { return d.Apply(t.Context(), first) == nil })
	p.Door.Open(proxytest.ID("a"), client)
	serves := func() string {
		resp, err := p.Browser(t, client, true).Get(p.URL("a", "/"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var seen proxytest.Seen
		if json.NewDecoder(resp.Body).Decode(&seen) != nil {
			return resp.Status
		}
		return seen.Service
	}
	s.cmd.Process.Signal(syscall.SIGSTOP)
	err := d.Apply(t.Context(), second)
	s.cmd.Process.Signal(syscall.SIGCONT)
	if err == nil || !strings.Contains(err.Error(), "does not serve the new configuration") {
		t.Errorf("with its master stopped: %v", err)
	}
	eventually(t, "what is wanted is served", func() bool { return d.Apply(t.Context(), second) == nil })
	// For a moment workers from before take connections, too, which the gate refuses; none is led to "a".
	eventually(t, "the new target answers", func() bool {
		got := serves()
		if got == "a" {
			t.Error("the old target answers")
		}
		return got == "b"
	})
}

// Invariant 3: while nginx is given a changed service, the other one misses nothing, on kept connections and new ones.
// Of the changed one nothing comes from where it led before; a worker from before says to try again, and nobody that the
// session is over.
func TestReload(t *testing.T) {
	p := world(t, ipv4)
	s := p.Driver.(settled).s
	d := s.driver(t)
	a := []*proxytest.Service{proxytest.StartHTTP(t, inside, "a0", nil, false), proxytest.StartHTTP(t, inside, "a1", nil, false)}
	b := proxytest.StartHTTP(t, inside, "b", nil, false)
	apply := func(i int) {
		t.Helper()
		services := []link.Service{{ID: proxytest.ID("a"), Name: "a", Target4: a[i].Addr}, {ID: proxytest.ID("b"), Name: "b", Target4: b.Addr}}
		if err := d.Apply(t.Context(), services); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a", "b"} {
		p.Door.Open(proxytest.ID(name), client)
	}
	get := func(browser *http.Client, name string) (int, string, string) {
		resp, err := browser.Get(p.URL(name, "/"))
		if err != nil {
			return 0, "", err.Error()
		}
		defer resp.Body.Close()
		var seen proxytest.Seen
		if err := json.NewDecoder(resp.Body).Decode(&seen); err != nil {
			return resp.StatusCode, "", resp.Header.Get("Retry-After")
		}
		return resp.StatusCode, seen.Service, ""
	}
	apply(0)
	done, served := make(chan struct{}), new(atomic.Int64)
	var over sync.WaitGroup
	for _, kept := range []bool{true, false} {
		over.Go(func() {
			browser := p.Browser(t, client, false)
			for {
				select {
				case <-done:
					return
				default:
				}
				if status, _, why := get(browser, "b"); status != 200 {
					t.Errorf("the other service, with its connection kept: %t: %d %s", kept, status, why)
				}
				served.Add(1)
				if !kept {
					browser.CloseIdleConnections()
				}
			}
		})
	}
	over.Go(func() {
		browser := p.Browser(t, client, false)
		for {
			select {
			case <-done:
				return
			default:
			}
			if status, _, retry := get(browser, "a"); status != 200 && status != 0 && (status != 503 || retry == "") { // 0: cut, which is sent again
				t.Errorf("the changed service: %d, Retry-After %q", status, retry)
			}
			browser.CloseIdleConnections()
		}
	})
	for i := range 4 {
		apply((i + 1) % 2)
		browser := p.Browser(t, client, false)
		eventually(t, "the changed service is served", func() bool {
			defer browser.CloseIdleConnections()
			status, from, why := get(browser, "a")
			if status != 503 && from != fmt.Sprintf("a%d", (i+1)%2) { // 503: the machine is slow
				t.Errorf("after the change: %d from %q, %s", status, from, why)
			}
			return status == 200
		})
	}
	close(done)
	over.Wait()
	if served.Load() == 0 {
		t.Error("nothing was asked")
	}
}

// When the last service goes, nginx is asked, too, whether it serves it no more.
func TestLastService(t *testing.T) {
	p := world(t, ipv4)
	s := p.Driver.(settled).s
	nas := link.Service{ID: proxytest.ID("nas"), Name: "nas", Target4: netip.MustParseAddrPort("127.0.0.1:1")}
	d := s.driver(t)
	if err := d.Apply(t.Context(), []link.Service{nas}); err != nil {
		t.Fatal(err)
	}
	s.Wait = time.Second
	d = s.driver(t) // as after a new start of core
	s.cmd.Process.Signal(syscall.SIGSTOP)
	err := d.Apply(t.Context(), nil)
	s.cmd.Process.Signal(syscall.SIGCONT)
	if err == nil || !strings.Contains(err.Error(), "nas.home.example is still served") {
		t.Errorf("with its master stopped: %v", err)
	}
	eventually(t, "the last service is gone", func() bool { return d.Apply(t.Context(), nil) == nil })
	tcp, err := p.Dial(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	if err := tls.Client(tcp, p.TLS("nas")).HandshakeContext(t.Context()); err == nil {
		t.Error("its name is known still")
	}
}

// An nginx that needs long for its configuration gets the time.
func TestSlowReload(t *testing.T) {
	s := startNginx(t, ipv4)
	program, err := os.ReadFile(s.Program)
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, s.Program, strings.Replace(string(program), "exec ", "case \"$*\" in *-T*) sleep 1;; esac\nexec ", 1))
	s.Wait = time.Millisecond
	nas := link.Service{ID: proxytest.ID("nas"), Name: "nas", Target4: netip.MustParseAddrPort("127.0.0.1:1")}
	if err := s.driver(t).Apply(t.Context(), []link.Service{nas}); err != nil {
		t.Error(err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

// cutting is a gate that keeps what is to be cut.
type cutting struct {
	keeper.Gate
	cut []ownline.ServiceID
}

func (c *cutting) Cut(id ownline.ServiceID) { c.cut = append(c.cut, id) }

// A service that was changed is cut, whatever else fails; and that is tried again.
func TestCutFirst(t *testing.T) {
	s := startNginx(t, ipv4)
	g := &cutting{Gate: s.Gate}
	s.Gate = g
	source := &renewable{cert: *s.roots.Issue("*.home.example")}
	s.Certificates = source
	d := s.driver(t)
	nas := link.Service{ID: proxytest.ID("nas"), Name: "nas", Target4: netip.MustParseAddrPort("127.0.0.1:1")}
	if err := d.Apply(t.Context(), []link.Service{nas}); err != nil {
		t.Fatal(err)
	}
	stays := filepath.Join(s.StateDir, strings.Repeat("0", 32)+".pem") // can't be removed as a file
	if err := os.MkdirAll(filepath.Join(stays, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	nas.Target4 = netip.MustParseAddrPort("127.0.0.1:2")
	for range 2 {
		if err := d.Apply(t.Context(), []link.Service{nas}); err == nil || !strings.Contains(err.Error(), stays) {
			t.Errorf("%v", err)
		}
	}
	if len(g.cut) != 1 || g.cut[0] != nas.ID {
		t.Errorf("cut %v", g.cut)
	}
	if err := os.RemoveAll(stays); err != nil {
		t.Fatal(err)
	}
	if err := d.Apply(t.Context(), []link.Service{nas}); err != nil {
		t.Error(err)
	}
}

// late has no certificate for names that begin with "late" until it comes.
type late struct {
	cert *tls.Certificate
	came atomic.Bool
}

func (l *late) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if strings.HasPrefix(hello.ServerName, "late") && !l.came.Load() {
		return nil, errors.New("none yet")
	}
	return l.cert, nil
}

// A service beside another is served when its certificate has come, which nobody applies anew.
func TestLateCertificate(t *testing.T) {
	p := world(t, ipv4)
	s := p.Driver.(settled).s
	certs := &late{cert: s.roots.Issue("*.home.example")}
	s.Certificates, s.Look = certs, 20*time.Millisecond
	d := s.driver(t)
	var over sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	over.Go(func() { d.Run(ctx) })
	defer over.Wait()
	defer cancel()
	first, second := link.Service{ID: proxytest.ID("a"), Name: "a"}, link.Service{ID: proxytest.ID("late"), Name: "late"}
	first.Target4, second.Target4 = netip.MustParseAddrPort("127.0.0.1:1"), netip.MustParseAddrPort("127.0.0.1:1")
	for _, services := range [][]link.Service{{first}, {first, second}} {
		if err := d.Apply(t.Context(), services); err != nil {
			t.Fatal(err)
		}
	}
	shakes := func(name string) bool {
		tcp, err := p.Dial(t.Context(), client)
		if err != nil {
			return false
		}
		defer tcp.Close()
		return tls.Client(tcp, p.TLS(name)).HandshakeContext(t.Context()) == nil
	}
	if !shakes("a") || shakes("late") {
		t.Error("without a certificate")
	}
	certs.came.Store(true)
	eventually(t, "the late one is served", func() bool { return shakes("late") })
}
