package nginx_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/proxy"
	"github.com/ownline/ownline/internal/core/proxy/gate"
	"github.com/ownline/ownline/internal/core/proxy/gate/gatetest"
	"github.com/ownline/ownline/internal/core/proxy/keeper"
	"github.com/ownline/ownline/internal/core/proxy/login"
	"github.com/ownline/ownline/internal/core/proxy/nginx"
	"github.com/ownline/ownline/internal/core/proxy/proxytest"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/test/freeport"
)

func TestMain(m *testing.M) { gatetest.Main(m) }

// family is where a test takes place.
type family struct{ inside, client, neighbour netip.Addr }

var (
	ipv4 = family{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.3")}
	ipv6 = family{proxytest.Inside6, proxytest.Client6, proxytest.Neighbour6}

	client, inside = ipv4.client, ipv4.inside
)

// server is a real nginx that somebody else runs, and what our driver knows of it.
type server struct {
	nginx.Config
	dir, log string
	group    int // of nginx's workers; -1: ours
	door     *proxytest.Door
	logins   *login.Book
	roots    *proxytest.Authority
	cmd      *exec.Cmd
}

// layout writes the configuration that an nginx is started with, and returns the arguments by which it is.
type layout func(t *testing.T, s *server, who string) []string

// debian has one file for all, and a program that finds its pid there.
func debian(t *testing.T, s *server, who string) []string {
	s.write(t, s.File, fmt.Sprintf("%sdaemon off; pid %[2]s/pid; error_log %[2]s/error.log info; worker_processes 1;\nevents { worker_connections 4096; }\nhttp { access_log off; client_max_body_size 1k; large_client_header_buffers 2 1k; gzip on; gzip_proxied any; include %[2]s/d/*.conf; }\n", who, s.dir))
	return []string{"-c", s.File}
}

func startNginx(t *testing.T, f family) *server { return start(t, f, debian) }

func start(t *testing.T, f family, lay layout) *server {
	t.Helper()
	program, err := exec.LookPath("nginx")
	if err != nil {
		if program, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
			t.Fatal("nginx is not installed; make test installs it")
		}
	}
	dir, err := os.MkdirTemp("", "ownline-nginx-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	os.Chmod(dir, 0o755) // nginx's workers are another user
	at := freeport.Addr(t)
	if f.inside.Is6() {
		at = netip.AddrPortFrom(f.inside, at.Port())
		l, err := net.Listen("tcp", at.String())
		if err != nil {
			t.Skip(err) // without a network of our own
		}
		l.Close()
	}
	group, who := -1, ""
	if u, err := user.Lookup("www-data"); err == nil && os.Geteuid() == 0 {
		who = "user www-data;\n"
		group, _ = strconv.Atoi(u.Gid)
	}
	s := &server{dir: dir, group: group, log: filepath.Join(dir, "error.log"), door: proxytest.NewDoor(), logins: login.New(slog.New(slog.DiscardHandler)), roots: proxytest.NewAuthority(t)}
	conf := filepath.Join(dir, "nginx.conf")
	wrapper := filepath.Join(dir, "nginx")
	s.write(t, wrapper, fmt.Sprintf("#!/bin/sh\nexec %s -e %s/error.log \"$@\"\n", program, dir))
	os.Chmod(wrapper, 0o755)
	s.Config = nginx.Config{
		Settings: proxy.Settings{Domain: "home.example", Port: at.Port()}, Listen: []netip.AddrPort{at},
		Certificates: proxytest.Wildcard{Cert: s.roots.Issue("*.home.example")},
		Directory:    filepath.Join(dir, "d"), Program: wrapper, File: conf,
		StateDir: filepath.Join(dir, "state"), Socket: filepath.Join(dir, "gate"), Badges: filepath.Join(dir, "badges"), Logger: slog.New(slog.DiscardHandler),
	}
	args := lay(t, s, who)
	g, err := gate.New(gate.Config{Socket: s.Socket, GID: s.group, Badges: s.Badges, Listen: s.Listen, Admit: s.door.Admit, Logins: s.logins, Logger: s.Logger})
	if err != nil {
		t.Fatal(err)
	}
	s.Gate = g
	ctx, cancel := context.WithCancel(context.Background())
	var over sync.WaitGroup
	over.Go(func() { g.Run(ctx) })
	cmd := exec.Command(wrapper, args...)
	s.cmd = cmd
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		cancel()
		over.Wait()
		if t.Failed() {
			b, _ := os.ReadFile(s.log)
			t.Logf("nginx:\n%.4000s", b)
		}
	})
	for range 2000 {
		if b, _ := os.ReadFile(filepath.Join(dir, "pid")); len(b) > 0 {
			return s
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("nginx does not start")
	return nil
}

func (s *server) write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (s *server) driver(t *testing.T) *nginx.Driver {
	t.Helper()
	d, err := nginx.New(s.Config)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// settled waits until nginx has the new configuration: reloading is a signal.
type settled struct {
	*nginx.Driver
	s *server
}

func (d settled) Apply(ctx context.Context, services []link.Service) error {
	before := d.s.reloads()
	text, _ := os.ReadFile(filepath.Join(d.s.Directory, "ownline.conf"))
	if err := d.Driver.Apply(ctx, services); err != nil {
		return err
	}
	if now, _ := os.ReadFile(filepath.Join(d.s.Directory, "ownline.conf")); string(now) == string(text) {
		return nil
	}
	for range 4000 {
		if d.s.reloads() > before {
			time.Sleep(50 * time.Millisecond)
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return fmt.Errorf("nginx did not reload")
}

// reloads counts the workers that were started, as nginx's log tells.
func (s *server) reloads() int {
	b, _ := os.ReadFile(s.log)
	return strings.Count(string(b), "gracefully shutting down")
}

func world(t *testing.T, f family) proxytest.World {
	s := startNginx(t, f)
	w := s.world(f)
	w.Driver = settled{s.driver(t), s}
	return w
}

// world is all but a driver.
func (s *server) world(f family) proxytest.World {
	at := s.Listen[0]
	return proxytest.World{
		Settings: s.Settings, Door: s.door, Logins: s.logins, Roots: s.roots.Roots(), Client: f.client, Neighbour: f.neighbour, Inside: f.inside,
		Limits: limits, Memory: func() int64 { return proxytest.Resident(s.cmd.Process.Pid) },
		Dial: func(ctx context.Context, from netip.Addr) (net.Conn, error) {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: from.AsSlice()}}
			return d.DialContext(ctx, "tcp", at.String())
		},
	}
}

func TestBadges(t *testing.T) {
	for name, c := range map[string]struct {
		family
		template func(netip.AddrPort) string
	}{"IPv4": {ipv4, nil}, "IPv6": {ipv6, nil}, "a template": {ipv4, ownTemplate}} {
		t.Run(name, func(t *testing.T) {
			gatetest.Contract(t, func(t *testing.T) gatetest.Server {
				w := world(t, c.family)
				s := w.Driver.(settled).s
				s.Templates = true
				return gatetest.Server{World: w, Template: c.template, Dir: s.dir, GID: s.group, Connect: func(g keeper.Gate, socket, badges string) interface {
					Apply(context.Context, []link.Service) error
				} {
					s.Gate, s.Socket, s.Badges = g, socket, badges
					return settled{s.driver(t), s}
				}}
			})
		})
	}
}

// Invariant 3: the way in for those with a badge is open to them alone, whatever nginx is told to say to others.
func TestTeapot(t *testing.T) {
	w := world(t, ipv4)
	s := w.Driver.(settled).s
	a := proxytest.StartHTTP(t, inside, "a", nil, false)
	text, err := os.ReadFile(s.File)
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, s.File, strings.Replace(string(text), "http { ", "http { limit_req_zone $binary_remote_addr zone=z:1m rate=1r/m; limit_req zone=z; limit_req_status 418; ", 1))
	if err := w.Driver.Apply(t.Context(), []link.Service{{ID: proxytest.ID("a"), Name: "a", Target4: a.Addr}}); err != nil {
		t.Fatal(err)
	}
	b := w.Browser(t, client, false)
	for i := range 3 {
		resp, err := b.Get(w.URL("a", "/"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 403 {
			t.Errorf("request %d: %s", i, resp.Status)
		}
	}
	if n := len(a.Requests()); n > 0 {
		t.Errorf("the service saw %d requests", n)
	}
}
