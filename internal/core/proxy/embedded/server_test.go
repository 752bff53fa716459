package embedded_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/proxy"
	"github.com/ownline/ownline/internal/core/proxy/embedded"
	"github.com/ownline/ownline/internal/core/proxy/proxytest"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// syncBuffer is a log that is read while others write it.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// The access log has a line for each request, without what may be secret in it.
func TestAccessLog(t *testing.T) {
	var out syncBuffer
	w := world(t, func(c *embedded.Config) { c.AccessLog = slog.New(slog.NewJSONHandler(&out, nil)) })
	s := proxytest.StartHTTP(t, inside, "a", nil, false)
	id := proxytest.ID("a")
	if err := w.Driver.Apply(t.Context(), []link.Service{{ID: id, Name: "a", Target4: s.Addr}}); err != nil {
		t.Fatal(err)
	}
	w.Door.Open(id, client)
	for _, two := range []bool{false, true} {
		resp, err := w.Browser(t, client, two).Get(w.URL("a", "/big?n=1234&token=hunter2"))
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	deadline := time.Now().Add(5 * time.Second)
	for strings.Count(out.String(), "\n") < 2 && time.Now().Before(deadline) {
		time.Sleep(5 * time.Millisecond)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines: %s", len(lines), out.String())
	}
	for i, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		var got map[string]any
		if err := json.Unmarshal([]byte(lines[i]), &got); err != nil {
			t.Fatal(err)
		}
		for key, want := range map[string]any{
			"msg": "request", "service": "a", "source": client.String(), "method": "GET", "path": "/big", "protocol": protocol,
			"status": 200.0, "bytes": 1234.0, "whole": true,
		} {
			if got[key] != want {
				t.Errorf("%s = %v, want %v", key, got[key], want)
			}
		}
	}
	if strings.Contains(out.String(), "hunter2") {
		t.Errorf("a secret is in the log: %s", out.String())
	}
}

// A service that wants a login is not served without one.
func TestRequireLoginFailsClosed(t *testing.T) {
	s := proxytest.StartHTTP(t, inside, "a", nil, false)
	w := world(t, func(c *embedded.Config) { c.Logins = nil })
	id := proxytest.ID("a")
	if err := w.Driver.Apply(t.Context(), []link.Service{{ID: id, Name: "a", Target4: s.Addr, Options: ownline.ProxyOptions{RequireLogin: true}}}); err != nil {
		t.Fatal(err)
	}
	w.Door.Open(id, client)
	resp, err := w.Browser(t, client, true).Get(w.URL("a", "/"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden || len(s.Requests()) > 0 {
		t.Errorf("%s, and the service saw %v", resp.Status, s.Requests())
	}
}

// The second address is used when the first does not answer.
func TestSecondTarget(t *testing.T) {
	six := netip.MustParseAddr("::1")
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skip("no IPv6 here")
	} else {
		l.Close()
	}
	s := proxytest.StartHTTP(t, six, "six", nil, false)
	w := world(t)
	id := proxytest.ID("a")
	for what, v := range map[string]link.Service{
		"both": {ID: id, Name: "a", Target4: proxytest.Nobody(t, inside), Target6: s.Addr},
		"only": {ID: id, Name: "a", Target6: s.Addr},
	} {
		if err := w.Driver.Apply(t.Context(), []link.Service{v}); err != nil {
			t.Fatal(err)
		}
		w.Door.Open(id, client)
		resp, err := w.Browser(t, client, true).Get(w.URL("a", "/"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Errorf("%s: %s", what, resp.Status)
		}
	}
}

// A connection that the service closed while it waited costs no request.
func TestServiceClosesIdleConnections(t *testing.T) {
	var conns atomic.Int64
	at := proxytest.StartRaw(t, inside, func(c net.Conn) {
		conns.Add(1)
		buf := make([]byte, 4096)
		if n, _ := c.Read(buf); n > 0 { // one answer that says nothing of closing
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	w := world(t)
	id := proxytest.ID("a")
	if err := w.Driver.Apply(t.Context(), []link.Service{{ID: id, Name: "a", Target4: at}}); err != nil {
		t.Fatal(err)
	}
	w.Door.Open(id, client)
	b := w.Browser(t, client, false)
	for i := range 20 {
		resp, err := b.Get(w.URL("a", "/"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || string(got) != "ok" {
			t.Fatalf("request %d: %s, %q, %v", i, resp.Status, got, err)
		}
	}
	if n := conns.Load(); n != 20 {
		t.Errorf("%d connections; did the service close them?", n)
	}
}

// Answers of a service that keeps its connections go over few of them.
func TestConnectionsAreKept(t *testing.T) {
	var conns atomic.Int64
	at := proxytest.StartRaw(t, inside, func(c net.Conn) {
		conns.Add(1)
		buf := make([]byte, 4096)
		for {
			if n, err := c.Read(buf); n == 0 || err != nil {
				return
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	w := world(t)
	id := proxytest.ID("a")
	if err := w.Driver.Apply(t.Context(), []link.Service{{ID: id, Name: "a", Target4: at}}); err != nil {
		t.Fatal(err)
	}
	w.Door.Open(id, client)
	for _, two := range []bool{false, true} {
		b := w.Browser(t, client, two)
		for range 50 {
			resp, err := b.Get(w.URL("a", "/"))
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	}
	if n := conns.Load(); n > 3 {
		t.Errorf("%d connections for 100 requests one after the other", n)
	}
	// They are closed when the service is gone.
	if err := w.Driver.Apply(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
}

// Run ends with all that it started: connections, handlers, goroutines.
func TestRunLeavesNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	authority, door := proxytest.NewAuthority(t), proxytest.NewDoor()
	t.Run("life", func(t *testing.T) {
		svc := proxytest.StartHTTP(t, inside, "a", nil, false)
		at := proxytest.Nobody(t, inside)
		s, err := embedded.New(embedded.Config{
			Settings: proxy.Settings{Domain: "home.example", Port: at.Port()}, Listen: []netip.AddrPort{at},
			Certificates: proxytest.Wildcard{Cert: authority.Issue("*.home.example")}, Admit: door.Admit, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		id := proxytest.ID("a")
		door.Open(id, client)
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error, 1)
		go func() { over <- s.Run(ctx) }()
		if err := s.Apply(ctx, []link.Service{{ID: id, Name: "a", Target4: svc.Addr}}); err != nil {
			t.Fatal(err)
		}
		w := proxytest.World{
			Settings: proxy.Settings{Domain: "home.example", Port: at.Port()}, Roots: authority.Roots(),
			Dial: func(ctx context.Context, from netip.Addr) (net.Conn, error) {
				d := net.Dialer{LocalAddr: &net.TCPAddr{IP: from.AsSlice()}}
				return d.DialContext(ctx, "tcp", at.String())
			},
		}
		ws, err := w.WebSocket(ctx, client, "a")
		if err != nil {
			t.Fatal(err)
		}
		defer ws.Close()
		var waits sync.WaitGroup
		for _, two := range []bool{false, true} {
			b := w.Browser(t, client, two)
			waits.Go(func() {
				if resp, err := b.Get(w.URL("a", "/wait?for=1m")); err == nil {
					resp.Body.Close()
					t.Errorf("a request outlived the proxy: %s", resp.Status)
				}
			})
		}
		time.Sleep(200 * time.Millisecond)
		cancel()
		select {
		case err := <-over:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("Run goes on")
		}
		waits.Wait()
		if _, _, err := ws.ReadMessage(); err == nil {
			t.Error("a websocket outlived the proxy")
		}
	})
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	buf := make([]byte, 1<<20)
	t.Errorf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
}

// A server that never ran can be closed, and lets its port go.
func TestCloseWithoutRun(t *testing.T) {
	at := proxytest.Nobody(t, inside)
	c := embedded.Config{Listen: []netip.AddrPort{at}, Certificates: proxytest.Wildcard{}, Logger: slog.New(slog.DiscardHandler)}
	for range 2 {
		s, err := embedded.New(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := embedded.New(c); err == nil {
			t.Error("the port was taken twice")
		}
		s.Close()
	}
}

// A client that takes nothing of its download costs one buffer, and not one for each step of the way.
func TestStalledDownloads(t *testing.T) {
	const clients, most = 32, 72 << 10 // each, with the test's own end of it
	body := make([]byte, 64<<10)
	var stuck atomic.Int64
	at := proxytest.StartRaw(t, inside, func(c net.Conn) {
		var ask [4096]byte
		if n, _ := c.Read(ask[:]); n == 0 {
			return
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n")
		c.(*net.TCPConn).SetWriteBuffer(64 << 10)
		for n := 1; n > 0; { // as much as the kernel takes
			c.SetWriteDeadline(time.Now().Add(time.Second))
			n, _ = c.Write(body)
		}
		stuck.Add(1)
		c.Read(ask[:]) // until the proxy goes
	})
	w := world(t)
	id := proxytest.ID("a")
	if err := w.Driver.Apply(t.Context(), []link.Service{{ID: id, Name: "a", Target4: at}}); err != nil {
		t.Fatal(err)
	}
	w.Door.Open(id, client)
	runtime.GC()
	runtime.GC()
	before := heap()
	for range clients {
		tcp, err := w.Dial(t.Context(), client)
		if err != nil {
			t.Fatal(err)
		}
		defer tcp.Close()
		tcp.(*net.TCPConn).SetReadBuffer(64 << 10)
		if _, err := io.WriteString(tls.Client(tcp, w.TLS("a", "http/1.1")), "GET / HTTP/1.1\r\nHost: "+w.Settings.Host("a")+"\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(time.Minute); stuck.Load() < clients; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d downloads are stuck", stuck.Load(), clients)
		}
	}
	runtime.GC()
	runtime.GC()
	if each := (heap() - before) / clients; each > most {
		t.Errorf("a client that takes nothing holds %d bytes", each)
	} else {
		t.Logf("a client that takes nothing holds %d bytes", each)
	}
}
