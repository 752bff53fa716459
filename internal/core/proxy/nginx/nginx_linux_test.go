package nginx_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/proxy"
	"github.com/ownline/ownline/internal/core/proxy/gate"
	"github.com/ownline/ownline/internal/core/proxy/nginx"
	"github.com/ownline/ownline/internal/core/proxy/proxytest"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

func TestContract(t *testing.T) {
	for name, f := range map[string]family{"IPv4": ipv4, "IPv6": ipv6} {
		t.Run(name, func(t *testing.T) {
			if os.Getenv("OWNLINE_SOAK") == "" {
				t.Parallel() // it waits, most of the time
			}
			proxytest.Contract(t, func(t *testing.T, test func(t *testing.T, w proxytest.World)) { test(t, world(t, f)) })
		})
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	proxytest.Load(t, func(t *testing.T, test func(t *testing.T, w proxytest.World)) { test(t, world(t, ipv4)) })
}

// What nginx refuses is put back, and so is what a core that was killed left untested.
func TestRollback(t *testing.T) {
	s := startNginx(t, ipv4)
	d := s.driver(t)
	nas := link.Service{ID: proxytest.ID("nas"), Name: "nas", Target4: netip.MustParseAddrPort("127.0.0.1:1")}
	if err := d.Apply(t.Context(), []link.Service{nas}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(s.Directory, "ownline.conf")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s.Templates = true
	bad := nas
	bad.Options.Template = "server {\n{ownline:listen}\n{ownline:guard}\nnonsense on; }\n"
	for _, d := range []*nginx.Driver{s.driver(t), d} { // after a new start, and before
		err := d.Apply(t.Context(), []link.Service{bad})
		if err == nil {
			t.Fatal("nonsense was taken")
		}
		if now, _ := os.ReadFile(file); string(now) != string(good) {
			t.Errorf("the file is not the last good one after: %v", err)
		}
	}
	noGuard := bad
	for _, text := range []string{
		"server { {ownline:listen}\n# {ownline:guard}\n}",
		"server {\nserver_name {ownline:host};\n{ownline:listen}\n}\nserver {\nserver_name x.example;\n{ownline:listen}\n{ownline:guard}\n}",
	} {
		noGuard.Options.Template = text
		if err := s.driver(t).Apply(t.Context(), []link.Service{noGuard}); err == nil || !strings.Contains(err.Error(), "Guard") {
			t.Errorf("a template that lets everybody in: %v", err)
		}
	}
	s.write(t, file, "half of") // not ours: never written over
	if err := s.driver(t).Apply(t.Context(), []link.Service{nas}); err == nil {
		t.Error("somebody else's file was written over")
	}
	s.write(t, file, strings.Split(string(good), "\n")[0]+"\nhalf of") // killed while writing
	if err := s.driver(t).Apply(t.Context(), []link.Service{nas}); err != nil {
		t.Errorf("after a kill: %v", err)
	}
	if now, _ := os.ReadFile(file); string(now) != string(good) {
		t.Error("a new start does not make the file anew")
	}
	other := filepath.Join(s.Directory, "other.conf")
	s.write(t, other, "# mine\n")
	if err := d.Apply(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Error("another's file is gone")
	}
}

// A service's headers may be secrets, so nobody but root reads the folder, and one that was there is shut.
func TestModes(t *testing.T) {
	s := startNginx(t, ipv4)
	if err := os.MkdirAll(s.Directory, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(s.Directory, "ownline.conf")
	s.write(t, file, "# Written by ownline-core, which overwrites what is changed here.\n")
	nas := link.Service{ID: proxytest.ID("nas"), Name: "nas", Target4: netip.MustParseAddrPort("127.0.0.1:1"), Options: ownline.ProxyOptions{Headers: map[string]string{"Authorization": "Bearer secret"}}}
	d := s.driver(t)
	bad := nas
	bad.Options.Template = "server {\n{ownline:listen}\n{ownline:guard}\nnonsense on; }\n"
	d.Templates = true
	for _, service := range []link.Service{nas, bad} { // the latter puts the former back
		if err := d.Apply(t.Context(), []link.Service{service}); (err == nil) != (service.Options.Template == "") {
			t.Fatal(err)
		}
		for path, want := range map[string]os.FileMode{s.Directory: 0o700 | os.ModeDir, file: 0o600} {
			if info, err := os.Stat(path); err != nil || info.Mode() != want {
				t.Errorf("%s: %v, %v, want %v", path, err, info.Mode(), want)
			}
		}
	}
}

// Before nginx runs, that is what is wrong, and nothing else.
func TestNotRunning(t *testing.T) {
	s := startNginx(t, ipv4)
	d := s.driver(t)
	nas := link.Service{ID: proxytest.ID("nas"), Name: "nas", Target4: netip.MustParseAddrPort("127.0.0.1:1")}
	pid := filepath.Join(s.dir, "pid")
	text, err := os.ReadFile(pid)
	if err != nil {
		t.Fatal(err)
	}
	var away proxy.NotRunning
	for _, not := range []string{"", "empty", "99999999"} {
		switch os.Remove(pid); not {
		case "empty":
			s.write(t, pid, "")
		case "99999999":
			s.write(t, pid, not)
		}
		if err := d.Apply(t.Context(), []link.Service{nas}); !errors.As(err, &away) {
			t.Errorf("a pid of %q: %v", not, err)
		}
	}
	s.write(t, pid, string(text))
	if err := d.Apply(t.Context(), []link.Service{nas}); err != nil {
		t.Error(err)
	}
}

func ownTemplate(service netip.AddrPort) string {
	return `server {
	server_name {ownline:host};
{ownline:listen}
{ownline:guard}
	add_header X-Template "{ownline:host}:{ownline:port}" always;
	location / {
{ownline:forward}
		proxy_pass http://` + service.String() + `;
	}
}`
}

// Invariant 3: a template of an admin's own is filled in, admits nobody without a session, and
// serves who has one.
func TestTemplate(t *testing.T) {
	p := world(t, ipv4)
	s := p.Driver.(settled).s
	a := proxytest.StartHTTP(t, inside, "a", nil, false)
	service := link.Service{ID: proxytest.ID("a"), Name: "a", Target4: a.Addr, Options: ownline.ProxyOptions{Template: ownTemplate(a.Addr)}}
	s.Templates = true
	d := settled{s.driver(t), s}
	text, err := d.Preview(t.Context(), service)
	if err != nil || !strings.Contains(text, "ssl_certificate CERTIFICATE.pem;") || strings.Contains(text, "ownline:") {
		t.Errorf("%v: the preview is %s", err, text)
	}
	if _, err := os.Stat(filepath.Join(s.Directory, "ownline.conf")); err == nil {
		t.Error("a preview wrote the file")
	}
	if err := d.Apply(t.Context(), []link.Service{service}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{403, 200, 403} {
		resp, err := p.Browser(t, client, true).Get(p.URL("a", "/"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("X-Template"); resp.StatusCode != want || want == 200 && got != fmt.Sprintf("a.home.example:%d", s.Settings.Port) {
			t.Errorf("%s, %q; want %d", resp.Status, got, want)
		}
		if want == 403 {
			s.door.Open(service.ID, client)
		} else {
			s.door.Shut(service.ID, client)
		}
	}
}

// Invariant 6: with the gate gone nobody gets in, and is told why, by nginx alone; the body of
// an upload is not kept for it.
func TestGateAway(t *testing.T) {
	p := world(t, ipv4)
	s := p.Driver.(settled).s
	a := proxytest.StartHTTP(t, inside, "a", nil, false)
	if err := p.Driver.Apply(t.Context(), []link.Service{{ID: proxytest.ID("a"), Name: "a", Target4: a.Addr}}); err != nil {
		t.Fatal(err)
	}
	s.door.Open(proxytest.ID("a"), client)
	os.Remove(s.Socket)
	for accept, want := range map[string]string{"text/html": "<small>a · Ownline", "application/json": `"urn:ownline:problem:proxy:router-away"`} {
		for _, two := range []bool{false, true} {
			r, err := http.NewRequestWithContext(t.Context(), "POST", p.URL("a", "/"), strings.NewReader(strings.Repeat("x", 1<<20)))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Accept", accept)
			resp, err := p.Browser(t, client, two).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != 503 || !strings.Contains(string(got), want) || strings.Contains(string(got), "127.0.0.1") {
				t.Errorf("%s: %s, %s", accept, resp.Status, got)
			}
		}
	}
	if n := len(a.Requests()); n != 0 {
		t.Errorf("the service saw %d requests", n)
	}
	if b, _ := os.ReadFile(s.log); strings.Contains(string(b), "buffered to a temporary file") {
		t.Error("nginx kept the body on its disk")
	}
}

// Invariants 3 and 5: by the version that was nginx's before, a changed service admits nobody.
func TestOldVersion(t *testing.T) {
	p := world(t, ipv4)
	s := p.Driver.(settled).s
	a := proxytest.StartHTTP(t, inside, "a", nil, false)
	b := proxytest.StartHTTP(t, inside, "b", nil, false)
	s.door.Open(proxytest.ID("a"), client)
	s.door.Open(proxytest.ID("b"), client)
	service := func(name string, at netip.AddrPort) link.Service {
		return link.Service{ID: proxytest.ID(name), Name: name, Target4: at}
	}
	versions := func() map[string]string {
		text, err := os.ReadFile(filepath.Join(s.Directory, "ownline.conf"))
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for _, m := range regexp.MustCompile(`(?s)Ownline-Service "([^"]*)";\s+proxy_set_header Ownline-Version "([^"]*)"`).FindAllStringSubmatch(string(text), -1) {
			out[m[1]] = m[2]
		}
		if len(out) == 0 {
			t.Fatalf("no versions in %s", text)
		}
		return out
	}
	apply := func(services ...link.Service) {
		t.Helper()
		if err := p.Driver.Apply(t.Context(), services); err != nil {
			t.Fatal(err)
		}
	}
	asked := func(id, version string) int {
		t.Helper()
		c := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", s.Socket)
		}}}
		defer c.CloseIdleConnections()
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://gate"+gate.Path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{gate.ServiceHeader: {id}, gate.VersionHeader: {version}, gate.ClientHeader: {client.String()}, gate.PortHeader: {"4000"}}
		resp, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	idA, idB := proxytest.ID("a").String(), proxytest.ID("b").String()
	apply(service("a", a.Addr), service("b", b.Addr))
	old := versions()
	if asked(idA, old[idA]) != 204 || asked(idB, old[idB]) != 204 {
		t.Fatal("what is served is refused")
	}
	apply(service("a", b.Addr), service("b", b.Addr))
	now := versions()
	if now[idA] == old[idA] || now[idB] != old[idB] {
		t.Errorf("versions %v became %v", old, now)
	}
	if asked(idA, old[idA]) != 503 || asked(idA, now[idA]) != 204 || asked(idB, old[idB]) != 204 {
		t.Error("after the change")
	}
	s.Certificates = proxytest.Wildcard{Cert: s.roots.Issue("*.home.example")}
	other := settled{s.driver(t), s} // as after a new start of core
	if asked(idA, now[idA]) != 503 {
		t.Error("before anything was applied")
	}
	if err := other.Apply(t.Context(), []link.Service{service("a", b.Addr)}); err != nil {
		t.Fatal(err)
	}
	if asked(idA, now[idA]) != 204 || asked(idB, now[idB]) != 403 {
		t.Error("a certificate that was renewed is another version, or a service that is gone is there")
	}
}

// renewable is a source whose certificate may become another one.
type renewable struct {
	mu   sync.Mutex
	cert tls.Certificate
}

func (r *renewable) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.cert
	return &c, nil
}

func (r *renewable) renew(c tls.Certificate) { r.mu.Lock(); r.cert = c; r.mu.Unlock() }

// A renewed certificate reaches nginx by itself, in a file of its own that root alone reads, and
// the old one's is gone; nginx reloads for that, and for nothing else.
func TestRenewal(t *testing.T) {
	p := world(t, ipv4)
	s := p.Driver.(settled).s
	first, second := s.roots.Issue("*.home.example"), s.roots.Issue("*.home.example")
	source := &renewable{cert: *first}
	s.Certificates, s.Look = source, 20*time.Millisecond
	d := settled{s.driver(t), s}
	a := proxytest.StartHTTP(t, inside, "a", nil, false)
	service := link.Service{ID: proxytest.ID("a"), Name: "a", Target4: a.Addr}
	if err := d.Apply(t.Context(), []link.Service{service}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var over sync.WaitGroup
	over.Go(func() { d.Run(ctx) })
	defer func() { cancel(); over.Wait() }()
	shown := func() []byte {
		tcp, err := p.Dial(t.Context(), client)
		if err != nil {
			t.Fatal(err)
		}
		defer tcp.Close()
		c := tls.Client(tcp, p.TLS("a"))
		if err := c.HandshakeContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		return c.ConnectionState().PeerCertificates[0].Raw
	}
	files := func() []string {
		t.Helper()
		found, err := filepath.Glob(filepath.Join(s.StateDir, "*.pem"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", f, info.Mode(), err)
			}
		}
		return found
	}
	if !bytes.Equal(shown(), first.Certificate[0]) {
		t.Fatal("another certificate is shown")
	}
	asked := func() int { // nginx, to reload
		b, _ := os.ReadFile(s.log)
		return strings.Count(string(b), ", reconfiguring")
	}
	before, old := asked(), files()
	if len(old) != 1 {
		t.Errorf("there are %v", old)
	}
	for range 5 { // the same again and again
		if err := d.Driver.Apply(t.Context(), []link.Service{service}); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(200 * time.Millisecond)
	if got := asked(); got != before {
		t.Errorf("nginx reloaded %d times for nothing", got-before)
	}
	source.renew(*second)
	for began := time.Now(); !bytes.Equal(shown(), second.Certificate[0]); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			t.Fatal("the new certificate is not shown")
		}
	}
	if got := asked(); got != before+1 {
		t.Errorf("nginx reloaded %d times", got-before)
	}
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) { // the old file goes after the reload
		if now := files(); len(now) == 1 && now[0] != old[0] {
			break
		}
		if time.Since(began) > 20*time.Second {
			t.Fatalf("there are %v, and were %v", files(), old)
		}
	}
}

// A folder that nginx does not read is told.
func TestNotIncluded(t *testing.T) {
	s := startNginx(t, ipv4)
	s.Directory = filepath.Join(s.dir, "elsewhere")
	err := s.driver(t).Apply(t.Context(), nil)
	if err == nil || !strings.Contains(err.Error(), "include "+s.Directory) {
		t.Errorf("%v", err)
	}
}

// Invariant 10: what nginx can't do is refused, and says how else.
func TestCheck(t *testing.T) {
	s := startNginx(t, ipv4)
	d := s.driver(t)
	for field, o := range map[string]ownline.ProxyOptions{
		"options.pin":         {Scheme: "https", Pin: strings.Repeat("0", 64), ServerName: "x.example"},
		"options.server_name": {Scheme: "https"},
		"options.headers":     {Headers: map[string]string{"X": "a$host"}},
		"options.template":    {Template: "{ownline:guard}"},
		"options.path_prefix": {Scheme: "h2c", PathPrefix: "/x"},
	} {
		bad := link.Service{ID: proxytest.ID("nas"), Name: "nas", Target4: netip.MustParseAddrPort("127.0.0.1:1"), Options: o}
		if err := d.Apply(t.Context(), []link.Service{bad}); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// What nginx can't read is 400, and no trouble of ours; a path of nginx's own is none for a client. Both
// are told by our page.
func TestBadRequest(t *testing.T) {
	p := world(t, ipv4)
	if err := p.Driver.Apply(t.Context(), []link.Service{{ID: proxytest.ID("a"), Name: "a", Target4: netip.MustParseAddrPort("127.0.0.1:1")}}); err != nil {
		t.Fatal(err)
	}
	p.Door.Open(proxytest.ID("a"), client)
	for target, want := range map[string]string{
		"/..": "400 Bad", "/../y": "400 Bad", "nope": "400 Bad", "/%zz": "400 Bad", "/x HTTP/1.1\r\nBad header": "400 Bad",
		"/x HTTP/1.1\r\nContent-Length: x": "400 Bad", "/x HTTP/1.1\r\nHost: two.example": "400 Bad",
		"/.ownline/admit": "404 Not", "/.ownline/serves": "404 Not", "/.ownline/bad-request": "404 Not",
	} {
		tcp, err := p.Dial(t.Context(), client)
		if err != nil {
			t.Fatal(err)
		}
		defer tcp.Close()
		c := tls.Client(tcp, p.TLS("a"))
		c.SetDeadline(time.Now().Add(15 * time.Second))
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", target, p.Settings.Host("a"))
		got, _ := io.ReadAll(c)
		head, body, _ := strings.Cut(string(got), "\r\n\r\n")
		if !strings.HasPrefix(head, "HTTP/1.1 "+want) || !strings.Contains(body, "<small>a · Ownline") || !strings.Contains(head, "\r\nContent-Security-Policy: default-src 'none'") {
			t.Errorf("%s: %.1000q", target, got)
		}
	}
}

// limits are what nginx can't promise.
var limits = []proxytest.Limit{
	proxytest.AfterTLS, proxytest.NoPin, proxytest.NoAddressCertificate, proxytest.OwnContinue,
	proxytest.NoTrailers, proxytest.NamedHop, proxytest.OldAnswers, proxytest.UnknownForwarded,
	proxytest.NoHeadLength, proxytest.NoHalfClose,
}

// TestTLS: nginx takes the versions of an address's first server block for all of them, and
// before 1.23.4 has no TLS 1.3 unless told.
func TestTLS(t *testing.T) {
	p := world(t, ipv4)
	a := proxytest.StartHTTP(t, inside, "a", nil, false)
	if err := p.Driver.Apply(t.Context(), []link.Service{{ID: proxytest.ID("a"), Name: "a", Target4: a.Addr}}); err != nil {
		t.Fatal(err)
	}
	p.Door.Open(proxytest.ID("a"), client)
	r, err := http.NewRequestWithContext(t.Context(), "GET", p.URL("a", "/"), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := p.Browser(t, client, false).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.TLS.Version != tls.VersionTLS13 {
		t.Errorf("a handshake of %s, want TLS 1.3", tls.VersionName(resp.TLS.Version))
	}
}
