package web

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/systemd"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/test/freeport"
)

func fetch(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestMetricsListener(t *testing.T) {
	addr := freeport.Addr(t).String()
	w := open(t, func(c *config.Web) { c.Metrics.Listen = addr })
	if _, err := w.Access().AddUser(t.Context(), access.Command(), access.NewUser{Name: "anastasia", Password: "four words are enough"}); err != nil {
		t.Fatal(err)
	}
	url, stop := serve(t, w, nil)
	for range 3 {
		fetch(t, url+"/api/v1/me?secret=hunter2")
	}
	fetch(t, url+"/api/v1/hunter2")
	wants := []string{
		`ownline_web_http_requests_total{operation="GET /api/v1/me",status="401"} 3`,
		`ownline_web_http_requests_total{operation="GET /api/",status="404"} 1`,
		`ownline_web_database_up 1`, `ownline_web_database_transaction_duration_seconds_count{kind="read"}`, `ownline_web_build_info{version="`,
	}
	// A request is counted after its answer.
	var got string
	eventually(t, func() string {
		_, got = fetch(t, "http://"+addr+"/metrics")
		for _, want := range wants {
			if !strings.Contains(got, want) {
				return "no " + want + " in\n" + got
			}
		}
		return ""
	})
	for _, secret := range []string{"anastasia", "hunter2", "127.0.0.1"} {
		if strings.Contains(got, secret) {
			t.Errorf("the metrics tell %s", secret)
		}
	}
	if status, _ := fetch(t, url+"/metrics"); status != 200 { // the pages' own "not found"
		t.Errorf("/metrics for everybody: %d", status)
	} else if _, body := fetch(t, url+"/metrics"); strings.Contains(body, "ownline_web_") {
		t.Error("the metrics are shown to everybody")
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("the listener of the metrics is left over")
	}
}

// A request that runs is finished while the server says that it shuts down; nobody else is
// let in.
func TestGracefulShutdown(t *testing.T) {
	addr := freeport.Addr(t).String()
	w := open(t, func(c *config.Web) { c.Metrics.Listen = addr })
	url, stop := serve(t, w, io.Discard)
	if status, body := fetch(t, "http://"+addr+"/readyz"); status != 200 || body != "ready\n" {
		t.Errorf("before: %d %s", status, body)
	}
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	body := `{"name":"ana","password":"four words are enough"}`
	fmt.Fprintf(c, "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n", len(body))
	said := bufio.NewReader(c)
	if line, err := said.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" { // the server reads the body now
		t.Fatal(line, err)
	}
	fmt.Fprint(c, body[:10])
	done := make(chan error, 1)
	go func() { done <- stop() }()
	eventually(t, func() string {
		status, said := fetch(t, "http://"+addr+"/readyz")
		if status == 503 && said == "shutting down\n" {
			return ""
		}
		return fmt.Sprintf("it does not say that it shuts down: %d %s", status, said)
	})
	eventually(t, func() string {
		n, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			return ""
		}
		n.Close()
		return "others are still let in"
	})
	if status, _ := fetch(t, "http://"+addr+"/healthz"); status != 200 {
		t.Errorf("not alive while it shuts down: %d", status)
	}
	if _, err := io.WriteString(c, body[10:]); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(said)
	if err != nil || !strings.HasPrefix(string(answer), "\r\nHTTP/1.1 401 ") {
		t.Errorf("the request that ran got %q, %v", answer, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestHealth(t *testing.T) {
	var down error
	turned := time.Now()
	h := &health{
		ask: func(context.Context) error { return down }, log: slog.New(slog.DiscardHandler),
		loops: []loop{{"the mill", func() time.Time { return turned }}, {"what has not begun", func() time.Time { return time.Time{} }}},
	}
	mux := http.NewServeMux()
	h.signs(mux)
	check := func(what, alive, ready string) {
		t.Helper()
		for path, want := range map[string]string{"/healthz": alive, "/readyz": ready} {
			w := newRecorder(mux, path)
			if got := fmt.Sprint(w.Code, " ", strings.TrimSpace(w.Body.String())); got != want {
				t.Errorf("%s: %s says %s, want %s", what, path, got, want)
			}
		}
	}
	check("all is well", "200 ok", "200 ready")
	down = errors.New("hunter2")
	check("database down", "200 ok", "503 the database does not answer")
	down = nil
	turned = time.Now().Add(-turnWithin - time.Second)
	check("a loop hangs", "503 the mill has not gone on for 2m1s", "503 the mill has not gone on for 2m1s")
	turned = time.Now()
	h.stopping.Store(true)
	check("stopping", "200 ok", "503 shutting down")
}

// The watchdog hears of a server only while its loops turn, whatever the database does.
func TestWatchdog(t *testing.T) {
	name := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	m, err := systemd.FromEnvironment(func(k string) (string, bool) {
		v, ok := map[string]string{"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "40000"}[k]
		return v, ok
	})
	if err != nil {
		t.Fatal(err)
	}
	hear := func(within time.Duration) string {
		b := make([]byte, 100)
		if err := socket.SetReadDeadline(time.Now().Add(within)); err != nil {
			t.Fatal(err)
		}
		n, err := socket.Read(b)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return ""
		}
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	run := func(turned time.Time) (stop func()) {
		h := &health{
			ask: func(context.Context) error { return errors.New("down") }, log: slog.New(slog.DiscardHandler),
			loops: []loop{{"the mill", func() time.Time { return turned }}},
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- h.tell(ctx, m) }()
		return func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	stop := run(time.Now())
	for i, want := range []string{systemd.Ready, systemd.Alive, systemd.Alive, systemd.Alive} {
		if got := hear(patience); got != want {
			t.Errorf("word %d is %q, want %q", i, got, want)
		}
	}
	stop()
	for hear(300*time.Millisecond) != "" {
	}
	stop = run(time.Now().Add(-turnWithin - time.Second))
	defer stop()
	if got := hear(patience); got != systemd.Ready {
		t.Errorf("first word %q", got)
	}
	if got := hear(300 * time.Millisecond); got != "" {
		t.Errorf("it says %q although a loop hangs", got)
	}
}

func newRecorder(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w
}
