package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/policy"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/auth"
	"github.com/ownline/ownline/internal/web/store"
	"github.com/ownline/ownline/internal/web/store/storetest"
)

// cores stands for every site's core: it applies all, or can't be reached.
type cores struct {
	mu      sync.Mutex
	down    bool
	applied uint64
	open    map[ownline.SessionID]link.Session
}

func (c *cores) failing() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		return &ownline.FieldError{Kind: ownline.ErrUnavailable, Detail: "core can't be reached"}
	}
	return nil
}

func (c *cores) setApplied(revision uint64) { c.mu.Lock(); c.applied = revision; c.mu.Unlock() }
func (c *cores) appliedRevision() uint64    { c.mu.Lock(); defer c.mu.Unlock(); return c.applied }
func (c *cores) setDown(down bool)          { c.mu.Lock(); c.down = down; c.mu.Unlock() }

func (c *cores) Put(_ context.Context, _ ownline.SiteID, _ uint64, s link.Session) error {
	if err := c.failing(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[s.ID] = s
	return nil
}

func (c *cores) End(_ context.Context, _ ownline.SiteID, _ uint64, ids []ownline.SessionID) error {
	if err := c.failing(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		delete(c.open, id)
	}
	return nil
}
func (c *cores) Sync(context.Context, ownline.SiteID, uint64) error { return c.failing() }
func (c *cores) Pass(context.Context, ownline.SiteID, uint64, link.Pass, []byte, []byte) error {
	return c.failing()
}

func (c *cores) Health(ownline.SiteID) ownline.LinkHealth {
	return ownline.LinkHealth{Connected: c.failing() == nil, Applied: c.appliedRevision(), CoreVersion: "1.2.3", Lacks: "no filter: the kernel refuses the table", Root: rootPEM, Proxy: "no certificate yet", Expires: certificateEnd, LastContact: certificateEnd.AddDate(0, -1, 0)}
}

func (c *cores) Ping(context.Context, ownline.SiteID) (time.Duration, error) {
	return 1500 * time.Microsecond, c.failing()
}

func (c *cores) Preview(_ context.Context, _ ownline.SiteID, s link.Service) (string, error) {
	return "server " + s.Name + "\n" + s.Options.Template, c.failing()
}

func (c *cores) Reach(_ context.Context, _ ownline.SiteID, target netip.AddrPort) (link.Reached, error) {
	r := link.Reached{Took: 1500 * time.Microsecond}
	if target.Port() == 8080 {
		r.Failure = link.ReachRefused
	}
	return r, c.failing()
}

func (c *cores) Moved(context.Context, ownline.Site) error { return nil }

func (c *cores) Pair(_ context.Context, code string) (link.Status, error) {
	_, err := link.ParseCode(code)
	return link.Status{Proxy: link.Proxy{Driver: "embedded", Domain: "home.example.org", Port: 9999}, KnockPort: 54754, LocalNetworks: []netip.Prefix{netip.MustParsePrefix("192.168.7.0/24"), netip.MustParsePrefix("fd00:7::/64")}}, err
}

const rootPEM = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"

const (
	adminPassword = "the admin's password"
	userPassword  = "somebody's password"
	publicURL     = "https://own.example.org:9999"
)

// world is a server with a site, an admin and two users, in the process of the test. Its
// clients come from loopback, which is a trusted proxy: X-Forwarded-For says from where.
type world struct {
	t      *testing.T
	server *httptest.Server
	api    *Server
	store  *store.Store
	access *access.Access
	cores  *cores
	log    *bytes.Buffer

	options         auth.Options
	made            int    // how many names were made
	admin, ana, bob string // bearer tokens
	site            site
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	key, err := store.KeyFile(t.Context(), filepath.Join(dir, "key"), "")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, cores: &cores{open: map[ownline.SessionID]link.Session{}}, log: &bytes.Buffer{}}
	if w.store, err = store.Open(t.Context(), storetest.Place(t), key); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	log := slog.New(slog.NewTextHandler(lockedWriter{&mu, w.log}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	passwords := auth.CheapPasswords()
	w.access = access.New(access.Options{
		Store: access.Over(w.store), Enforcer: w.cores, Passwords: passwords, Overlap: time.Minute, IPv6Prefix: 64, PublicURL: publicURL, Log: log,
		Limits: policy.Limits{Default: 30 * time.Minute, Max: 2 * time.Hour, Automatic: 30 * time.Minute, PortMin: 20000, PortMax: 20099},
	})
	options := auth.Options{Store: w.store, Passwords: passwords, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, PublicURL: publicURL, Log: log}
	w.options = options
	a := auth.New(options)
	if w.api, err = New(Options{Access: w.access, Auth: a, Notifications: &channels{}, OIDC: w.newOIDC(log), IPv6Prefix: 64, PublicURL: publicURL, PagesURL: publicURL, Log: log}); err != nil {
		t.Fatal(err)
	}
	w.server = httptest.NewServer(w.api)
	t.Cleanup(func() {
		w.api.EndStreams()
		w.server.Close()
		mu.Lock()
		defer mu.Unlock()
		for line := range strings.Lines(w.log.String()) {
			if strings.Contains(line, undocumented) {
				t.Error(line)
			}
		}
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, u := range []access.NewUser{{Name: "root", Password: adminPassword, Role: ownline.Admin}, {Name: "ana", Password: userPassword}, {Name: "bob", Password: userPassword}} {
		if _, err := w.access.AddUser(t.Context(), access.Command(), u); err != nil {
			t.Fatal(err)
		}
	}
	w.admin, w.ana, w.bob = w.token("root", adminPassword), w.token("ana", userPassword), w.token("bob", userPassword)
	code := link.Code{Addr: "192.0.2.1:57329", Pin: link.Pin(strings.Repeat("A", 43)), Token: "t"}
	w.site = as[site](w.do(w.admin, "POST", "/sites", map[string]any{"code": code.String(), "name": "home", "host": "home.example.org"}), 201)
	return w
}

// channels is one channel, ops, that counts what was sent by it.
type channels struct{ sent atomic.Uint64 }

func (c *channels) Channels() []ownline.ChannelInfo {
	return []ownline.ChannelInfo{{Name: "ops", Service: "generic", Sent: c.sent.Load()}}
}

func (c *channels) Test(_ context.Context, name string) error {
	if name != "ops" {
		return ownline.NotFound("name", name)
	}
	c.sent.Add(1)
	return nil
}

// trustNobody makes the server as it is without trusted proxies, for what is asked from then on.
func (w *world) trustNobody() { w.options.TrustedProxies = nil; w.api.auth = auth.New(w.options) }

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// client does not go on to other servers by itself.
var client = http.Client{CheckRedirect: func(r *http.Request, via []*http.Request) error {
	if r.URL.Host != via[0].URL.Host {
		return http.ErrUseLastResponse
	}
	return nil
}}

// answer is what came back.
type answer struct {
	t      *testing.T
	what   string
	status int
	header http.Header
	body   []byte
}

// do sends a request with a bearer token, from a public address.
func (w *world) do(token, method, path string, body any, headers ...string) answer {
	w.t.Helper()
	if token != "" {
		headers = append([]string{"Authorization", "Bearer " + token}, headers...)
	}
	return w.raw(method, path, body, append([]string{"X-Forwarded-For", "198.51.100.7"}, headers...)...)
}

// raw sends a request with exactly these headers.
func (w *world) raw(method, path string, body any, headers ...string) answer {
	w.t.Helper()
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
	default:
		j, err := json.Marshal(b)
		if err != nil {
			w.t.Fatal(err)
		}
		r = bytes.NewReader(j)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.server.URL+base+path, r)
	if err != nil {
		w.t.Fatal(err)
	}
	if r != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{w.t, method + " " + path, resp.StatusCode, resp.Header, b}
}

// want checks the status.
func (a answer) want(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s: got %d, want %d: %s", a.what, a.status, status, a.body)
	}
	return a
}

// problem checks that the answer is a problem with that status that names the field.
func (a answer) problem(status int, location string) {
	a.t.Helper()
	var p struct {
		Status int
		Title  string
		Detail string
		Errors []struct{ Location, Message string }
	}
	if err := json.Unmarshal(a.body, &p); err != nil || a.status != status || p.Status != status || a.header.Get("Content-Type") != "application/problem+json" {
		a.t.Errorf("%s: got %d %s: %s; want %d", a.what, a.status, a.header.Get("Content-Type"), a.body, status)
		return
	}
	if p.Title == "" || p.Detail == "" {
		a.t.Errorf("%s: the problem says too little: %s", a.what, a.body)
	}
	if location != "" && (len(p.Errors) == 0 || p.Errors[0].Location != location || p.Errors[0].Message == "") {
		a.t.Errorf("%s: want the location %q: %s", a.what, location, a.body)
	}
}

func as[T any](a answer, status int) T {
	a.t.Helper()
	var v T
	if err := json.Unmarshal(a.want(status).body, &v); err != nil {
		a.t.Fatalf("%s: %v: %s", a.what, err, a.body)
	}
	return v
}

func (w *world) token(name, password string) string {
	w.t.Helper()
	return as[struct{ Token string }](w.do("", "POST", "/auth/token", map[string]any{"name": name, "password": password, "label": "test"}), 200).Token
}

func (w *world) addService(name, target string) service {
	w.t.Helper()
	return as[service](w.do(w.admin, "POST", "/services", map[string]any{"site": w.site.ID, "name": name, "target": target}), 201)
}

func (w *world) addGrant(token string, s service, more map[string]any) grant {
	w.t.Helper()
	body := map[string]any{"user": w.id(token), "service": s.ID}
	for k, v := range more {
		body[k] = v
	}
	return as[grant](w.do(w.admin, "POST", "/grants", body), 201)
}

func (w *world) id(token string) string {
	w.t.Helper()
	return as[me](w.do(token, "GET", "/me", nil), 200).ID
}

// count returns how many items a list has for a user.
func (w *world) count(token, path string) int {
	w.t.Helper()
	return len(as[list[any]](w.do(token, "GET", path, nil), 200).Items)
}

func (w *world) openSessions() int {
	w.cores.mu.Lock()
	defer w.cores.mu.Unlock()
	return len(w.cores.open)
}
