package caddy_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ownline/ownline/internal/core/proxy/gate"
	"github.com/ownline/ownline/internal/core/proxy/keeper"
	"github.com/ownline/ownline/internal/core/proxy/proxytest"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// An answer of the gate is the only way in.
func TestWithoutGate(t *testing.T) {
	s := startCaddy(t, families[0])
	s.Socket = filepath.Join(s.dir, "nobody")
	a := proxytest.StartHTTP(t, s.inside, "a", nil, false)
	s.door.Open(proxytest.ID("a"), s.client)
	apply(t, s.driver(t), s.service("a", a.Addr))
	w := s.world(t)
	for accept, want := range map[string]string{"text/html": "<small>a · Ownline", "application/json": `"urn:ownline:problem:proxy:router-away"`} {
		for _, two := range []bool{false, true} {
			r, err := http.NewRequestWithContext(t.Context(), "POST", w.URL("a", "/"), strings.NewReader(strings.Repeat("x", 1<<20)))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Accept", accept)
			resp, err := w.Browser(t, w.Client, two).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(got), want) || strings.Contains(string(got), s.dir) {
				t.Errorf("with no gate: %s, %s", resp.Status, got)
			}
		}
	}
	l, err := net.Listen("unix", s.Socket) // and one that says anything but 204
	if err != nil {
		t.Fatal(err)
	}
	var status, questions, connections atomic.Int64
	var words atomic.Value
	words.Store([]string{s.Word})
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			questions.Add(1)
			if said := words.Load().([]string); said != nil {
				w.Header()[gate.WordHeader] = said
			}
			w.Header().Set("X-Said", "by somebody")
			w.WriteHeader(int(status.Load()))
		}),
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				connections.Add(1)
			}
		},
	}
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
	// Nor does anybody's but the gate's let in, or come through at all.
	for _, said := range [][]string{nil, {""}, {"x"}, {s.Word + "x"}, {"*"}} {
		for _, code := range []int64{204, 200, 302} {
			status.Store(code)
			words.Store(said)
			resp, err := w.Browser(t, w.Client, true).Get(w.URL("a", "/"))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("X-Said") != "" || len(a.Requests()) > 0 {
				t.Errorf("%d with the word %q: %s, %v, and the service saw %d requests", code, said, resp.Status, resp.Header, len(a.Requests()))
			}
		}
	}
	words.Store([]string{s.Word})
	for code, want := range map[int64]string{403: "403 Forbidden", 204: "200 OK"} { // and nobody is told it
		status.Store(code)
		for range 3 {
			resp, err := w.Browser(t, w.Client, true).Get(w.URL("a", "/"))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.Status != want || resp.Header[gate.WordHeader] != nil {
				t.Errorf("%d: %s, %v", code, resp.Status, resp.Header)
			}
		}
	}
	for _, seen := range a.Requests() {
		if seen.Header[gate.WordHeader] != nil {
			t.Errorf("the service was told %v", seen.Header)
		}
	}
	// A connection that is kept for the next question could be one to the service.
	if q, c := questions.Load(), connections.Load(); q != c || q == 0 {
		t.Errorf("%d questions came by %d connections", q, c)
	}
}

// telling is a gate that keeps what it was told.
type telling struct {
	keeper.Gate
	mu     sync.Mutex
	served map[ownline.ServiceID]string
	held   bool
}

func (g *telling) Hold() {
	g.held = true
	g.Gate.Hold()
}

func (g *telling) Only(v map[ownline.ServiceID]string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.served = v
	g.Gate.Only(v)
}

func (g *telling) versions() map[ownline.ServiceID]string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.served
}

// Invariants 3 and 5: by what Caddy had before, a changed service admits nobody.
func TestOldVersion(t *testing.T) {
	s := startCaddy(t, families[0])
	g := &telling{Gate: s.Gate}
	s.Gate = g
	d := s.driver(t)
	if !g.held || g.versions() != nil {
		t.Error("before anything is applied, the gate holds nobody")
	}
	a, b := s.service("a", netip.AddrPortFrom(s.inside, 1)), s.service("b", netip.AddrPortFrom(s.inside, 1))
	apply(t, d, a, b)
	first := g.versions()
	text, err := json.Marshal(s.config(t))
	if err != nil || !strings.Contains(string(text), first[a.ID]) {
		t.Errorf("Caddy does not ask by version %s: %v", first[a.ID], err)
	}
	a.Options.PathPrefix = "/x"
	apply(t, d, a, b)
	second := g.versions()
	if second[a.ID] == first[a.ID] || second[b.ID] != first[b.ID] || len(first[a.ID]) < 16 {
		t.Errorf("versions %v became %v", first, second)
	}
	s.kill()
	if err := d.Apply(t.Context(), []link.Service{b}); err == nil {
		t.Fatal("a dead Caddy takes services")
	}
	if got := g.versions(); !reflect.DeepEqual(got, second) {
		t.Errorf("what Caddy did not take has the gate admit to %v, not %v", got, second)
	}
}

// What a changed service had open ends; what another one has open goes on, and so do its
// requests.
func TestChangeCuts(t *testing.T) {
	s := startCaddy(t, families[0])
	back := proxytest.StartHTTP(t, s.inside, "a", nil, false)
	a, b := s.service("a", back.Addr), s.service("b", back.Addr)
	s.door.Open(a.ID, s.client)
	s.door.Open(b.ID, s.client)
	d, w := s.driver(t), s.world(t)
	apply(t, d, a, b)
	for _, two := range []bool{false, true} {
		browser := w.Browser(t, w.Client, two)
		open := func(name string) io.ReadCloser {
			t.Helper()
			resp, err := browser.Get(w.URL(name, "/big?n=100000000000"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { resp.Body.Close() })
			if _, err := io.CopyN(io.Discard, resp.Body, 1000); err != nil {
				t.Fatal(err)
			}
			return resp.Body
		}
		ofA, ofB := open("a"), open("b")
		a.Options.Headers = map[string]string{"X-Changed": strconv.FormatBool(two)}
		apply(t, d, a, b)
		if n, err := io.Copy(io.Discard, io.LimitReader(ofA, 4<<30)); err == nil {
			t.Errorf("the download from the changed service goes on, HTTP/2: %v, after %d bytes", two, n)
		}
		if _, err := io.CopyN(io.Discard, ofB, 1<<20); err != nil {
			t.Errorf("the other download, HTTP/2: %v: %v", two, err)
		}
	}
}
