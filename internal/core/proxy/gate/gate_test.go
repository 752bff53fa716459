package gate

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/proxy"
	"github.com/ownline/ownline/internal/core/proxy/proxytest"
	"github.com/ownline/ownline/internal/ownline"
)

func headers(service, client, port string) http.Header {
	return http.Header{ServiceHeader: {service}, ClientHeader: {client}, PortHeader: {port}}
}

func start(t *testing.T, admit proxy.Admission, listen ...netip.AddrPort) *Gate {
	t.Helper()
	g, err := New(Config{Socket: filepath.Join(t.TempDir(), "s"), GID: -1, Listen: listen, Admit: admit, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var over sync.WaitGroup
	over.Go(func() {
		if err := g.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); over.Wait() })
	return g
}

func asked(g *Gate, method, path string, h http.Header) int {
	r := httptest.NewRequest(method, path, nil)
	r.Header = h
	w := httptest.NewRecorder()
	g.answer(w, r)
	return w.Code
}

// Invariant 3: only its source gets in to its service only, and only a question that is
// understood gets a yes.
func TestAdmit(t *testing.T) {
	door := proxytest.NewDoor()
	id := proxytest.ID("a")
	door.Open(id, netip.MustParseAddr("127.0.0.2"))
	g := start(t, door.Admit)
	good := headers(id.String(), "127.0.0.2", "4000")
	if got := asked(g, "GET", Path, good); got != 204 {
		t.Fatalf("%d", got)
	}
	twice := good.Clone()
	twice[ClientHeader] = []string{"127.0.0.2", "127.0.0.3"}
	for what, h := range map[string]http.Header{
		"nothing": {}, "another source": headers(id.String(), "127.0.0.3", "4000"),
		"another service": headers(proxytest.ID("b").String(), "127.0.0.2", "4000"),
		"no port":         headers(id.String(), "127.0.0.2", ""), "port 0": headers(id.String(), "127.0.0.2", "0"),
		"port +4": headers(id.String(), "127.0.0.2", "+4"), "a zone": headers(id.String(), "fe80::1%lo", "4"), "twice": twice,
	} {
		if got := asked(g, "GET", Path, h); got != 403 {
			t.Errorf("%s: %d", what, got)
		}
	}
	if asked(g, "POST", Path, good) != 403 || asked(g, "GET", "/", good) != 403 {
		t.Error("another method or path got in")
	}
	door.Shut(id, netip.MustParseAddr("127.0.0.2"))
	if got := asked(g, "GET", Path, good); got != 403 {
		t.Errorf("%d after the end", got)
	}
}

// Invariants 3 and 5: a server that goes on by an old configuration gets no yes for what has changed
// since, nor for what is gone.
func TestOnly(t *testing.T) {
	door := proxytest.NewDoor()
	a, b := proxytest.ID("a"), proxytest.ID("b")
	client := netip.MustParseAddr("127.0.0.2")
	door.Open(a, client)
	door.Open(b, client)
	g := start(t, door.Admit)
	ask := func(id ownline.ServiceID, version string) int {
		h := headers(id.String(), client.String(), "4000")
		if version != "" {
			h[VersionHeader] = []string{version}
		}
		return asked(g, "GET", Path, h)
	}
	if ask(a, "") != 204 {
		t.Error("before anything is told, versions matter")
	}
	g.Hold()
	if ask(a, "") != 503 || ask(a, "1") != 503 || ask(proxytest.ID("c"), "1") != 503 {
		t.Error("who comes before anybody knows what is served is not told to wait")
	}
	g.Only(map[ownline.ServiceID]string{})
	if ask(a, "") != 403 || ask(a, "1") != 403 {
		t.Error("a service that is not there")
	}
	g.Only(map[ownline.ServiceID]string{a: "2"})
	for version, want := range map[string]int{"2": 204, "1": 503, "": 403} {
		if got := ask(a, version); got != want {
			t.Errorf("version %q: %d, want %d", version, got, want)
		}
	}
	if ask(b, "2") != 403 {
		t.Error("another service")
	}
	twice := headers(a.String(), client.String(), "4000")
	twice[VersionHeader] = []string{"2", "2"}
	if asked(g, "GET", Path, twice) != 403 {
		t.Error("two versions")
	}
	stranger := headers(a.String(), "192.0.2.1", "4000")
	stranger[VersionHeader] = []string{"1"}
	if asked(g, "GET", Path, stranger) != 403 {
		t.Error("a stranger is told of another version")
	}
}

// Who is refused is told so, in the form that they read: Caddy passes it on.
func TestRefusal(t *testing.T) {
	g := start(t, proxytest.NewDoor().Admit)
	for accept, want := range map[string]string{"text/html": "<h1>Session over</h1>", "application/json": `"status":403`} {
		r := httptest.NewRequest("GET", Path, nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		g.answer(w, r)
		if w.Code != 403 || !strings.Contains(w.Body.String(), want) || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d, %v, %s", accept, w.Code, w.Header(), w.Body)
		}
	}
}

// Invariant 4: the kernel ends the connection of an ended session, and no other.
func TestEnds(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		server := netip.MustParseAddrPort(l.Addr().String())
		door := proxytest.NewDoor()
		g := start(t, door.Admit, server)
		if g.Err() != nil {
			t.Skip(g.Err())
		}
		a, b := proxytest.ID("a"), proxytest.ID("b")
		door.Open(a, server.Addr())
		door.Open(b, server.Addr())
		dial := func() (client, accepted net.Conn) {
			client, err := net.Dial("tcp", server.String())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { client.Close() })
			accepted, err = l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { accepted.Close() })
			return client, accepted
		}
		ca, sa := dial()
		cb, sb := dial()
		for conn, id := range map[net.Conn]string{ca: a.String(), cb: b.String()} {
			from := netip.MustParseAddrPort(conn.LocalAddr().String())
			if got := asked(g, "GET", Path, headers(id, from.Addr().String(), portText(from))); got != 204 {
				t.Fatal(got)
			}
		}
		door.Shut(a, server.Addr())
		for _, c := range []net.Conn{ca, sa} {
			c.SetReadDeadline(time.Now().Add(5 * time.Second))
			if _, err := c.Read(make([]byte, 1)); err == nil || isTimeout(err) {
				t.Errorf("%s: the connection goes on: %v", at, err)
			}
		}
		sb.Write([]byte("x\n"))
		if s, err := bufio.NewReader(cb).ReadString('\n'); err != nil {
			t.Errorf("%s: the other connection: %q, %v", at, s, err)
		}

		// What is gone is forgotten, what is open is not.
		g.swept(t, 1)
		cb.Close()
		sb.Close()
		g.swept(t, 0)
	}
}

// swept has the gate forget, until that many connections are known.
func (g *Gate) swept(t *testing.T, want int) {
	t.Helper()
	var n int
	for range 100 {
		g.mu.Lock()
		n, g.limit = len(g.known), 0
		g.mu.Unlock()
		g.nudge()
		time.Sleep(20 * time.Millisecond)
		if g.mu.Lock(); g.limit == 0 { // not swept yet
			n = -1
		}
		n = min(n, len(g.known))
		g.mu.Unlock()
		if n == want {
			return
		}
	}
	t.Errorf("%d connections are known, want %d", n, want)
}

func portText(a netip.AddrPort) string {
	_, port, _ := net.SplitHostPort(a.String())
	return port
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error)
	return ok && e.Timeout()
}

func FuzzParse(f *testing.F) {
	f.Add(proxytest.ID("a").String(), "192.0.2.1", "443")
	f.Add("", "::ffff:192.0.2.1", "0443")
	f.Fuzz(func(t *testing.T, service, client, port string) {
		a, err := parse(headers(service, client, port))
		if err != nil {
			if a != (ask{}) {
				t.Errorf("%v with an error", a)
			}
			return
		}
		again, err := parse(headers(a.service.String(), a.client.Addr().String(), portText(a.client)))
		again.text = a.text // an address may be written in several ways
		if err != nil || again != a || a.client.Addr().Is4In6() || slices.Contains([]string{service, client, port}, "") {
			t.Errorf("%v became %v, %v", a, again, err)
		}
	})
}
