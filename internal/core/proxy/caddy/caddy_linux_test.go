package caddy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/proxy"
	"github.com/ownline/ownline/internal/core/proxy/caddy"
	"github.com/ownline/ownline/internal/core/proxy/gate"
	"github.com/ownline/ownline/internal/core/proxy/gate/gatetest"
	"github.com/ownline/ownline/internal/core/proxy/keeper"
	"github.com/ownline/ownline/internal/core/proxy/login"
	"github.com/ownline/ownline/internal/core/proxy/proxytest"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/test/freeport"
)

func TestMain(m *testing.M) { gatetest.Main(m) }

const patience = 20 * time.Second

// family is where a test takes place.
type family struct {
	name                      string
	inside, client, neighbour netip.Addr
}

var families = []family{
	{"IPv4", netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.3")},
	{"IPv6", proxytest.Inside6, proxytest.Client6, proxytest.Neighbour6},
}

// server is a real Caddy that somebody else runs, and what our driver knows of it.
type server struct {
	caddy.Config
	family
	door   *proxytest.Door
	logins *login.Book
	roots  *proxytest.Authority
	dir    string
	args   []string
	cmd    *exec.Cmd
	made   *caddy.Driver
}

// somebody is a configuration that is not ours.
func somebody(admin string, other netip.AddrPort) string {
	return fmt.Sprintf(`{
		"admin": {"listen": %q},
		"logging": {"logs": {"default": {"level": "INFO"}}},
		"apps": {
			"http": {
				"servers": {"theirs": {
					"listen": [%q], "automatic_https": {"disable": true},
					"routes": [{"@id": "their-route", "handle": [{"handler": "static_response", "body": "theirs & \u003cmore\u003e"}]}]
				}}
			},
			"pki": {"certificate_authorities": {"local": {"install_trust": false}}},
			"tls": {"certificates": {"automate": []}, "automation": {"policies": [{"subjects": ["their.example"], "key_type": "p256"}]}}
		}
	}`, admin, other)
}

func startCaddy(t *testing.T, f family) *server {
	t.Helper()
	program, err := exec.LookPath("caddy")
	if err != nil {
		t.Fatal("caddy is not installed; make test installs it")
	}
	if f.inside.Is6() {
		l, err := net.Listen("tcp", netip.AddrPortFrom(f.client, 0).String())
		if err != nil {
			t.Skip(err)
		}
		l.Close()
	}
	dir, err := os.MkdirTemp("", "ownline-caddy-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	at, admin, theirs := netip.AddrPortFrom(f.inside, freeport.Addr(t).Port()), freeport.Addr(t), netip.AddrPortFrom(f.inside, freeport.Addr(t).Port())
	s := &server{family: f, dir: dir, door: proxytest.NewDoor(), logins: login.New(slog.New(slog.DiscardHandler)), roots: proxytest.NewAuthority(t)}
	s.Config = caddy.Config{
		Settings: proxy.Settings{Domain: "home.example", Port: at.Port()}, Listen: []netip.AddrPort{at},
		Certificates: proxytest.Wildcard{Cert: s.roots.Issue("*.home.example")}, Admin: "http://" + admin.String(),
		Socket: filepath.Join(dir, "gate"), Badges: filepath.Join(dir, "badges"), Word: "the gate's word", Logger: slog.New(slog.DiscardHandler),
	}
	g, err := gate.New(gate.Config{Socket: s.Socket, Word: s.Word, Badges: s.Badges, GID: -1, Listen: s.Listen, Admit: s.door.Admit, Logins: s.logins, Logger: s.Logger})
	if err != nil {
		t.Fatal(err)
	}
	if g.Err() != nil {
		t.Skip(g.Err())
	}
	s.Gate = g
	var over sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	over.Go(func() { g.Run(ctx) })
	t.Cleanup(func() { cancel(); over.Wait() })
	s.configure(t, somebody(admin.String(), theirs))
	s.args = []string{program, "run", "--config", filepath.Join(dir, "caddy.json")}
	s.start(t)
	t.Cleanup(func() {
		s.kill()
		b, _ := os.ReadFile(filepath.Join(dir, "log"))
		if bytes.Contains(b, []byte("PRIVATE KEY")) {
			t.Error("a private key is in Caddy's log")
		}
		if t.Failed() {
			t.Logf("caddy:\n%s", b[max(0, len(b)-4000):])
		}
	})
	return s
}

func (s *server) configure(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, "caddy.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s *server) start(t *testing.T) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s.cmd = exec.Command(s.args[0], s.args[1:]...)
	s.cmd.Env = append(os.Environ(), "HOME="+s.dir, "XDG_CONFIG_HOME="+s.dir, "XDG_DATA_HOME="+s.dir)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Caddy answers", func() bool {
		_, err := s.ask("GET", "/config/", "")
		return err == nil
	})
}

func (s *server) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// ask uses the admin API as others do.
func (s *server) ask(method, path, body string) (string, error) {
	r, err := http.NewRequest(method, s.Admin+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Close = true
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != 200 {
		err = fmt.Errorf("%s: %s", resp.Status, b)
	}
	return string(b), err
}

// config is what Caddy has.
func (s *server) config(t *testing.T) (v any) {
	t.Helper()
	text, err := s.ask("GET", "/config/", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// settled waits until Caddy's server from before listens no more: it may take a connection a moment
// after it was told to end, and is refused by the gate then.
type settled struct {
	*caddy.Driver
	s *server
}

func (d settled) Apply(ctx context.Context, services []link.Service) error {
	if err := d.Driver.Apply(ctx, services); err != nil {
		return err
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if d.s.listening() <= 1 {
			return nil
		}
	}
	return fmt.Errorf("%d of Caddy's servers listen", d.s.listening())
}

// listening counts the sockets at our port in all of the network (proc(5), /proc/net/tcp).
func (s *server) listening() (n int) {
	for _, file := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		b, _ := os.ReadFile(file)
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if len(f) > 3 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", s.Settings.Port)) && f[3] == "0A" {
				n++
			}
		}
	}
	return n
}

// driver returns the only one: a new one has the gate admit nobody.
func (s *server) driver(t *testing.T) settled {
	t.Helper()
	if s.made == nil {
		var err error
		if s.made, err = caddy.New(s.Config); err != nil {
			t.Fatal(err)
		}
	}
	return settled{s.made, s}
}

// running has the driver look after Caddy until the test ends.
func (s *server) running(t *testing.T) settled {
	t.Helper()
	d := s.driver(t)
	ctx, cancel := context.WithCancel(context.Background())
	var over sync.WaitGroup
	over.Go(func() { d.Run(ctx) })
	t.Cleanup(func() { cancel(); over.Wait() })
	return d
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

func (s *server) world(t *testing.T) proxytest.World {
	return proxytest.World{
		Settings: s.Settings, Driver: s.driver(t), Door: s.door, Logins: s.logins, Roots: s.roots.Roots(), Client: s.client, Neighbour: s.neighbour, Inside: s.inside,
		Limits: limits, Memory: func() int64 { return proxytest.Resident(s.cmd.Process.Pid) },
		Dial: func(ctx context.Context, from netip.Addr) (net.Conn, error) {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: from.AsSlice()}}
			return d.DialContext(ctx, "tcp", s.Listen[0].String())
		},
	}
}

// limits are what Caddy can't promise.
var limits = []proxytest.Limit{
	proxytest.AfterTLS, proxytest.NoPin, proxytest.NoRequestTrailers,
	proxytest.LengthIgnored, proxytest.FoldedLines, proxytest.BrokenChunks, proxytest.NoHalfClose, proxytest.NoRequest, proxytest.UpgradesEnd,
}

func TestContract(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			proxytest.Contract(t, func(t *testing.T, test func(t *testing.T, w proxytest.World)) {
				test(t, startCaddy(t, f).world(t))
			})
		})
	}
}

func TestBadges(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			gatetest.Contract(t, func(t *testing.T) gatetest.Server {
				s := startCaddy(t, f)
				return gatetest.Server{World: s.world(t), Dir: s.dir, GID: -1, Word: s.Word, Connect: func(g keeper.Gate, socket, badges string) interface {
					Apply(context.Context, []link.Service) error
				} {
					s.Gate, s.Socket, s.Badges, s.made = g, socket, badges, nil
					return s.driver(t)
				}}
			})
		})
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	proxytest.Load(t, func(t *testing.T, test func(t *testing.T, w proxytest.World)) {
		test(t, startCaddy(t, families[0]).world(t))
	})
}

func (s *server) service(name string, target netip.AddrPort) link.Service {
	service := link.Service{ID: proxytest.ID(name), Name: name, Target4: target}
	if s.inside.Is6() {
		service.Target4, service.Target6 = netip.AddrPort{}, target
	}
	return service
}
