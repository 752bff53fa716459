package front

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/logging"
)

// callers trusts a request that says so.
type callers struct{}

func (callers) ClientOf(*http.Request) netip.Addr { return netip.MustParseAddr("198.51.100.7") }
func (callers) ByProxy(r *http.Request) bool      { return r.Header.Get("X-Trusted") != "" }

type counted struct {
	mu  sync.Mutex
	got []string
}

func (c *counted) Request(operation string, status int, _ time.Duration, stream bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	line := operation + " " + http.StatusText(status)
	if stream {
		line += " stream"
	}
	c.got = append(c.got, line)
}

type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(b []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(b) }

func (l *lines) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

func serve(t *testing.T) (*httptest.Server, *counted, *lines) {
	t.Helper()
	var meter counted
	var out lines
	log, err := logging.New(&out, "debug", "json")
	if err != nil {
		t.Fatal(err)
	}
	inner := http.NewServeMux() // as the API's, behind that of the server
	inner.HandleFunc("GET /api/things/{id}", func(w http.ResponseWriter, r *http.Request) {
		log.InfoContext(r.Context(), "inside")
		_, _ = io.WriteString(w, "thing")
	})
	inner.HandleFunc("GET /api/panic", func(http.ResponseWriter, *http.Request) { panic("hunter2") })
	inner.HandleFunc("GET /api/late", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic("late")
	})
	inner.HandleFunc("GET /api/stream", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		rc := http.NewResponseController(w)
		_, _ = io.WriteString(w, "first\n")
		if err := rc.Flush(); err != nil {
			t.Error(err)
		}
		if err := rc.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
			t.Error(err)
		}
	})
	mux := http.NewServeMux()
	mux.Handle("/api/", inner)
	s := httptest.NewServer(New(Options{Next: mux, Callers: callers{}, Meter: &meter, Log: log}))
	t.Cleanup(s.Close)
	return s, &meter, &out
}

func get(t *testing.T, url string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp, "cut"
	}
	return resp, string(b)
}

// Only a trusted proxy names a request, and only well.
func TestIDs(t *testing.T) {
	s, _, out := serve(t)
	seen := map[string]bool{}
	for _, tc := range []struct {
		sent    string
		trusted bool
		kept    bool
	}{
		{"", true, false},
		{"from-a.stranger_1", false, false},
		{"from-a.proxy_12", true, true},
		{"short", true, false},
		{strings.Repeat("x", 65), true, false},
		{"with blanks in it", true, false},
		{`quote"quote`, true, false},
	} {
		headers := []string{Header, tc.sent}
		if tc.trusted {
			headers = append(headers, "X-Trusted", "1")
		}
		resp, _ := get(t, s.URL+"/api/things/1", headers...)
		got := resp.Header.Get(Header)
		if (got == tc.sent) != tc.kept || !wellFormed.MatchString(got) || seen[got] {
			t.Errorf("%+v: id %q", tc, got)
		}
		seen[got] = true
	}
	s.Close() // a request is logged after its answer
	for id := range seen {
		if n := strings.Count(out.String(), `"request":"`+id+`"`); n != 2 {
			t.Errorf("%s: %d lines with the id, want the handler's and the request's", id, n)
		}
	}
}

func TestLine(t *testing.T) {
	s, meter, out := serve(t)
	get(t, s.URL+"/api/things/7?code=hunter2", "Cookie", "c=hunter2", "Authorization", "Bearer hunter2")
	for end := time.Now().Add(20 * time.Second); !strings.Contains(out.String(), `"msg":"request"`) && time.Now().Before(end); {
		time.Sleep(time.Millisecond) // a request is logged after its answer
	}
	var line map[string]any
	for l := range strings.Lines(out.String()) {
		if err := json.Unmarshal([]byte(l), &line); err != nil {
			t.Fatal(err)
		}
	}
	for k, want := range map[string]any{"msg": "request", "method": "GET", "path": "/api/things/7", "operation": "GET /api/things/{id}", "status": 200.0, "bytes": 5.0, "source": "198.51.100.7"} {
		if line[k] != want {
			t.Errorf("%s is %v, want %v", k, line[k], want)
		}
	}
	if strings.Contains(out.String(), "hunter2") {
		t.Errorf("the log tells a secret: %s", out)
	}
	req, err := http.NewRequest("BREW", s.URL+"/api/nothing", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	get(t, s.URL+"/elsewhere")
	get(t, s.URL+"/api/stream")
	s.Close()
	want := "GET /api/things/{id} OK,OTHER Not Found,GET Not Found,GET /api/stream OK stream"
	if got := strings.Join(meter.got, ","); got != want {
		t.Errorf("counted %s, want %s", got, want)
	}
}

// A handler that panics is answered, and its words stay in the log.
func TestPanic(t *testing.T) {
	s, meter, out := serve(t)
	resp, body := get(t, s.URL+"/api/panic")
	var p struct {
		Status   int
		Detail   string
		Instance string
	}
	if err := json.Unmarshal([]byte(body), &p); err != nil || resp.StatusCode != 500 || p.Status != 500 || p.Detail == "" || p.Instance != "urn:ownline:request:"+resp.Header.Get(Header) {
		t.Errorf("got %d %s, %v", resp.StatusCode, body, err)
	}
	if strings.Contains(body, "hunter2") || !strings.Contains(out.String(), "hunter2") || !strings.Contains(out.String(), "front_test.go") {
		t.Errorf("answer %s, log %s", body, out)
	}
	if _, body := get(t, s.URL+"/api/late"); body != "cut" {
		t.Errorf("half an answer looks whole: %q", body)
	}
	s.Close()
	if got := meter.got[0]; got != "GET /api/panic Internal Server Error" {
		t.Errorf("counted %s", got)
	}
}

// Streams are flushed as they go.
func TestFlush(t *testing.T) {
	s, _, _ := serve(t)
	resp, err := http.Get(s.URL + "/api/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if line, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil || line != "first\n" {
		t.Errorf("got %q, %v", line, err)
	}
}
