package web

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/auth"
	"github.com/ownline/ownline/internal/web/sites/coretest"
	"github.com/ownline/ownline/internal/web/store"
	"github.com/ownline/ownline/internal/web/store/storetest"
	"github.com/ownline/ownline/test/freeport"
)

func open(t *testing.T, change func(*config.Web)) *Web {
	t.Helper()
	cfg := config.DefaultWeb()
	cfg.StateDir = filepath.Join(t.TempDir(), "state")
	if place := storetest.Place(t); store.IsPostgres(place) {
		cfg.Database = ownline.Secret(place)
	}
	cfg.Listen = "127.0.0.1:0"
	if change != nil {
		change(&cfg)
	}
	w, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// serve runs the server; stop ends it and returns what Serve returned.
func serve(t *testing.T, w *Web, terminal io.Writer) (url string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	addr, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- w.Serve(ctx, ServeOptions{Terminal: terminal, Listening: func(a net.Addr) { addr <- a.String() }})
	}()
	select {
	case a := <-addr:
		return "http://" + a, func() error {
			cancel()
			select {
			case err := <-done:
				return err
			case <-time.After(30 * time.Second): // longer than requests get to finish
				return fmt.Errorf("it does not end")
			}
		}
	case err := <-done:
		t.Fatal(err)
	}
	return "", nil
}

// patience is for what must come, on a machine under load, too.
const patience = 20 * time.Second

// eventually waits for what must come, until missing tells of nothing more.
func eventually(t *testing.T, missing func() string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		still := missing()
		if still == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatal(still)
		}
	}
}

func TestFirstStart(t *testing.T) {
	w := open(t, func(c *config.Web) { c.PublicURL = "https://own.example.org" })
	file := filepath.Join(w.cfg.StateDir, setupFile)
	url, stop := serve(t, w, nil)
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info, err)
	}
	content, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(string(content), "https://own.example.org/setup#") {
		t.Fatalf("got %q, %v", content, err)
	}
	_, token, _ := strings.Cut(strings.TrimSpace(string(content)), "#")
	post := func(password string) int {
		body, err := json.Marshal(map[string]string{"token": token, "name": "root", "password": password})
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.Post(url+"/api/v1/auth/setup", "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if strings.HasPrefix(resp.Header.Get("Set-Cookie"), "__Host-ownline=") != (resp.StatusCode == 200) {
			t.Errorf("%d with cookie %q", resp.StatusCode, resp.Header.Get("Set-Cookie"))
		}
		return resp.StatusCode
	}
	for _, step := range []struct {
		password string
		want     int
	}{{"short", 422}, {"four words are enough", 200}, {"four words are enough", 403}} {
		if got := post(step.password); got != step.want {
			t.Errorf("%s: got %d, want %d", step.password, got, step.want)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the setup URL is left over: %v", err)
	}
	_, stop = serve(t, w, nil)
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("a setup URL although there is an admin: %v", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestFirstStartOnTerminal(t *testing.T) {
	w := open(t, nil)
	var terminal bytes.Buffer
	_, stop := serve(t, w, &terminal)
	if err := stop(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(terminal.String(), "/setup#") {
		t.Errorf("got %q", terminal.String())
	}
	if _, err := os.Stat(filepath.Join(w.cfg.StateDir, setupFile)); !os.IsNotExist(err) {
		t.Errorf("written to a file, too: %v", err)
	}
}

// A stream of events has no end of its own, and must not keep the server from ending.
func TestShutdownEndsStreams(t *testing.T) {
	w := open(t, nil)
	u, err := w.Access().AddUser(t.Context(), access.Command(), access.NewUser{Name: "ana", Password: "four words are enough"})
	if err != nil {
		t.Fatal(err)
	}
	_, token, err := w.auth.AddToken(t.Context(), auth.Identity{User: u}, "test", []string{ownline.ScopeFull}, time.Time{}, "", auth.Code{})
	if err != nil {
		t.Fatal(err)
	}
	url, stop := serve(t, w, nil)
	req, err := http.NewRequestWithContext(t.Context(), "GET", url+"/api/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r := bufio.NewReader(resp.Body)
	if line, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "retry:") {
		t.Fatal(line, err)
	}
	if err := stop(); err != nil { // requests that do not finish are an error
		t.Error(err)
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Errorf("the stream was cut, not ended: %v", err)
	}
}

func TestRoutes(t *testing.T) {
	w := open(t, func(c *config.Web) { c.PublicURL = "https://own.example.org" })
	url, stop := serve(t, w, io.Discard)
	for path, want := range map[string]string{"/healthz": "200 text/plain; charset=utf-8", "/readyz": "200 text/plain; charset=utf-8", "/": "200 text/html; charset=utf-8", "/sessions": "200 text/html; charset=utf-8", "/api/v1/me": "401 application/problem+json", "/api/v2/x": "404 application/problem+json", "/api/v1/openapi.json": "200 application/openapi+json"} {
		resp, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := fmt.Sprint(resp.StatusCode, " ", resp.Header.Get("Content-Type")); got != want {
			t.Errorf("%s: got %s", path, got)
		}
		for header, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Strict-Transport-Security": "max-age=31536000"} {
			if got := resp.Header.Get(header); got != want {
				t.Errorf("%s: %s is %q", path, header, got)
			}
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// Two servers can't take one port: the second says so and leaves nothing running.
func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w := open(t, func(c *config.Web) { c.Listen = l.Addr().String() })
	if err := w.Serve(t.Context(), ServeOptions{}); err == nil || !strings.HasPrefix(err.Error(), "listen: ") {
		t.Errorf("got %v", err)
	}
}

// A database of addresses that can't be read keeps the server from starting; commands, which
// need none, work nevertheless.
func TestBadGeoIP(t *testing.T) {
	w := open(t, func(c *config.Web) { c.Policy.ASNDatabase = "/nonexistent/asn.mmdb" })
	if err := w.Serve(t.Context(), ServeOptions{}); err == nil || !strings.HasPrefix(err.Error(), "policy.asn_database: /nonexistent/asn.mmdb: ") {
		t.Errorf("got %v", err)
	}
}

// A list that needs a database which web.yaml does not name keeps the server from starting.
func TestListsWithoutDatabase(t *testing.T) {
	w := open(t, nil)
	s := ownline.Site{ID: ownline.NewID[ownline.Site](), Name: "home", Host: "home.example.org", Pin: "x", IPv6Prefix: 64, AllowedFrom: "ES 198.51.100.0/24", Created: time.Now()}
	if err := w.store.Write(t.Context(), func(tx *store.Tx) error { return tx.AddSite(s) }); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := w.Serve(ctx, ServeOptions{}); err == nil || !strings.HasPrefix(err.Error(), "policy.geoip_database: is not set, but countries are in the allowed_from of the site home;") {
		t.Errorf("got %v", err)
	}
}

// A country that there is not keeps it from starting, too.
func TestNoSuchCountry(t *testing.T) {
	uk := func(c *config.Web) { c.Policy.Countries, c.Policy.GeoIPDatabase = []string{"ES", "UK"}, "missing.mmdb" }
	w := open(t, uk)
	for what, err := range map[string]error{"serve": w.Serve(t.Context(), ServeOptions{}), "check": Check(w.cfg)} {
		if err == nil || err.Error() != `policy.countries: "UK" is the code of no country in ISO 3166-1: write GB` {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A command pairs with a core that dials, while no server runs.
func TestOpenDoor(t *testing.T) {
	l, err := net.Listen("tcp", freeport.Addr(t).String()) // whom nobody takes between two who listen
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	w := open(t, func(c *config.Web) { c.Link.Listen = addr })
	if _, err := w.OpenDoor(t.Context()); err == nil || !strings.Contains(err.Error(), "link.listen is taken") {
		t.Errorf("got %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	closeDoor, err := w.OpenDoor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	id := coretest.Identity(t)
	core := link.NewServer(id, coretest.New("token"), slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = core.Dial(ctx, addr) // ends with ctx
	}()
	site, err := w.Access().PairSite(t.Context(), access.Command(), link.Code{Pin: id.Pin(), Token: "token"}.String(), "office", "office.example.org")
	if err != nil || site.Link != "" || len(site.LocalNetworks) == 0 {
		t.Errorf("got %+v, %v", site, err)
	}
	cancel()
	<-done
	if err := closeDoor(); err != nil {
		t.Error(err)
	}
}

// A second server on one SQLite file is refused; commands are not, and who comes after the
// first has ended is not either.
func TestServeAlone(t *testing.T) {
	w := open(t, func(c *config.Web) { c.Database = nil })
	_, stop := serve(t, w, io.Discard)
	second, err := Open(t.Context(), w.cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if err := second.Serve(ctx, ServeOptions{Terminal: io.Discard}); err == nil || !strings.Contains(err.Error(), "another server runs") {
		t.Errorf("a second server = %v, want it refused", err)
	}
	if err := second.Backup(t.Context(), filepath.Join(t.TempDir(), "backup")); err != nil {
		t.Errorf("a command beside the server: %v", err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	_, stop = serve(t, second, io.Discard)
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// Invariant 9: a state directory that others could open is made private.
func TestStateDirIsPrivate(t *testing.T) {
	cfg := config.DefaultWeb()
	cfg.StateDir = t.TempDir()
	if err := os.Chmod(cfg.StateDir, 0o755); err != nil {
		t.Fatal(err)
	}
	w, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if info, err := os.Stat(cfg.StateDir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}
