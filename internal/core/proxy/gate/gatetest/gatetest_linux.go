package gatetest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/proxy/gate"
	"github.com/ownline/ownline/internal/core/proxy/keeper"
	"github.com/ownline/ownline/internal/core/proxy/proxytest"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// Server is a real one that serves nothing yet.
type Server struct {
	proxytest.World
	Dir  string // where the server can look for badges
	GID  int    // its group
	Word string // of its gate
	// Template makes one of the service's own; nil: it has none.
	Template func(service netip.AddrPort) string
	// Connect makes a driver whose server asks this gate.
	Connect func(g keeper.Gate, socket, badges string) interface {
		Apply(ctx context.Context, services []link.Service) error
	}
}

// Contract makes a new server for each part.
func Contract(t *testing.T, start func(t *testing.T) Server) {
	for _, p := range []struct {
		name string
		test func(*part)
	}{
		{"a connection asks once", (*part).asksOnce},
		{"4 the end of a session counts on an open connection", (*part).ends},
		{"3 a badge is for its connection to its service alone", (*part).others},
		{"6 a gate that was killed lets nobody in", (*part).killed},
		{"without badges every request asks", (*part).none},
		{"3 there are none where a login is required", (*part).login},
	} {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			p.test(&part{T: t, Server: start(t)})
		})
	}
}

type part struct {
	*testing.T
	Server
	gate  *gate.Gate
	back  *proxytest.Service
	asked atomic.Int64 // times that the gate asked the door

	mu       sync.Mutex
	versions map[ownline.ServiceID]string // that the driver has told last
}

// told keeps what a gate is told.
type told struct {
	keeper.Gate
	p *part
}

func (g told) Only(versions map[ownline.ServiceID]string) {
	g.p.mu.Lock()
	g.p.versions = versions
	g.p.mu.Unlock()
	g.Gate.Only(versions)
}

func (p *part) version() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.versions[proxytest.ID("a")]
}

func (p *part) folder() string { return filepath.Join(p.Dir, "badges-of-test") }
func (p *part) socket() string { return filepath.Join(p.Dir, "gate-of-test") }

// config is of a gate that can't end connections, for it looks for them elsewhere: what is seen after a
// session's end is what the server does.
func (p *part) config() gate.Config {
	return gate.Config{
		Socket: p.socket(), GID: p.GID, Word: p.Word, Badges: p.folder(), Logins: p.Logins,
		Listen: []netip.AddrPort{netip.AddrPortFrom(p.Inside, 1)}, Logger: slog.New(slog.DiscardHandler),
	}
}

// serve has the server serve one service, by a gate in this process.
func (p *part) serve(o ownline.ProxyOptions) {
	p.Helper()
	c := p.config()
	c.Admit = func(id ownline.ServiceID, from netip.Addr) (context.Context, bool) {
		p.asked.Add(1)
		return p.Door.Admit(id, from)
	}
	g, err := gate.New(c)
	if err != nil {
		p.Fatal(err)
	}
	if g.Err() != nil {
		g.Close()
		p.Skip(g.Err())
	}
	if g.Badges == "" {
		p.Fatal("the gate has no badges")
	}
	ctx, cancel := context.WithCancel(context.Background())
	var over sync.WaitGroup
	over.Go(func() {
		if err := g.Run(ctx); err != nil {
			p.Error(err)
		}
	})
	p.Cleanup(func() { cancel(); over.Wait() })
	p.gate = g
	p.apply(g, o)
}

func (p *part) apply(g keeper.Gate, o ownline.ProxyOptions) {
	p.Helper()
	p.back = proxytest.StartHTTP(p, p.Inside, "a", nil, false)
	if p.Template != nil {
		o.Template = p.Template(p.back.Addr)
	}
	s := link.Service{ID: proxytest.ID("a"), Name: "a", Options: o}
	if p.back.Addr.Addr().Is4() {
		s.Target4 = p.back.Addr
	} else {
		s.Target6 = p.back.Addr
	}
	if err := p.Connect(told{g, p}, p.socket(), p.folder()).Apply(p.Context(), []link.Service{s}); err != nil {
		p.Fatal(err)
	}
}

func (p *part) both(test func(get func() (status int, from netip.AddrPort))) {
	for _, two := range []bool{false, true} {
		b := p.Browser(p, p.Client, two)
		test(func() (int, netip.AddrPort) {
			p.Helper()
			var from netip.AddrPort
			ctx := httptrace.WithClientTrace(p.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
				from = netip.MustParseAddrPort(i.Conn.LocalAddr().String())
			}})
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL("a", "/"), nil)
			if err != nil {
				p.Fatal(err)
			}
			resp, err := b.Do(r)
			if err != nil {
				p.Fatal(err)
			}
			defer resp.Body.Close()
			io.Copy(io.Discard, resp.Body)
			return resp.StatusCode, from
		})
	}
}

// badges are the names of those that there are.
func (p *part) badges() (names []string) {
	p.Helper()
	entries, err := os.ReadDir(p.folder())
	if err != nil {
		p.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (p *part) eventually(what string, ok func() bool) {
	p.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			p.Fatalf("%s: not within 20 s", what)
		}
	}
}

func (p *part) asksOnce() {
	p.serve(ownline.ProxyOptions{})
	p.Door.Open(proxytest.ID("a"), p.Client)
	p.both(func(get func() (int, netip.AddrPort)) {
		before, was := p.asked.Load(), len(p.badges())
		_, first := get()
		for range 20 {
			if status, from := get(); status != 200 || from != first {
				p.Fatalf("%d from %s, after %s", status, from, first)
			}
		}
		if n := p.asked.Load() - before; n != 1 {
			p.Errorf("21 requests of a connection asked %d times", n)
		}
		if n := len(p.badges()) - was; n != 1 {
			p.Errorf("a connection has %d badges: %q", n, p.badges())
		}
	})
}

func (p *part) ends() {
	p.serve(ownline.ProxyOptions{})
	id := proxytest.ID("a")
	p.both(func(get func() (int, netip.AddrPort)) {
		p.Door.Open(id, p.Client)
		var first netip.AddrPort
		is := func(when string, want int) {
			p.Helper()
			status, from := get()
			if first == (netip.AddrPort{}) {
				first = from
			}
			if status != want || from != first {
				p.Fatalf("%s: %d from %s, after %s; want %d", when, status, from, first, want)
			}
		}
		has := func(when string) {
			p.Helper()
			is(when, 200)
			if n := len(p.badges()); n != 1 {
				p.Fatalf("%s: %d badges", when, n)
			}
		}
		has("at first")
		p.Door.Shut(id, p.Client)
		p.eventually("the badge is gone", func() bool { return len(p.badges()) == 0 })
		is("after the session", 403)
		p.Door.Open(id, p.Client)
		has("in another session")
		p.gate.Cut(id)
		if names := p.badges(); len(names) > 0 {
			p.Errorf("after a change of the service: %q", names)
		}
		has("after it")
		version := p.version()
		p.gate.Only(map[ownline.ServiceID]string{id: "0123"})
		if names := p.badges(); len(names) > 0 {
			p.Errorf("by another version: %q", names)
		}
		is("by another version", 503)
		first = netip.AddrPort{} // nginx closes behind it, and so the next try finds a worker of the new version
		p.gate.Only(map[ownline.ServiceID]string{id: version})
		has("by the version again")
		p.gate.Hold()
		if status, _ := get(); status != 503 || len(p.badges()) > 0 {
			p.Errorf("while nobody knows what is served: %d, badges %q", status, p.badges())
		}
		p.gate.Only(map[ownline.ServiceID]string{id: version})
		p.Door.Shut(id, p.Client)
		p.eventually("the badge is gone", func() bool { return len(p.badges()) == 0 })
	})
}

func (p *part) others() {
	p.serve(ownline.ProxyOptions{})
	id := proxytest.ID("a")
	p.both(func(get func() (int, netip.AddrPort)) {
		p.Door.Open(id, p.Client)
		_, from := get()
		version := p.version()
		p.Door.Shut(id, p.Client)
		p.eventually("the badge is gone", func() bool { return len(p.badges()) == 0 })
		addr, port := from.Addr().String(), fmt.Sprint(from.Port())
		forge := func(name string) (undo func()) {
			p.Helper()
			path := filepath.Join(p.folder(), name)
			if err := os.Symlink("/proc/self/comm", path); err != nil {
				p.Fatal(err)
			}
			return func() { os.Remove(path) }
		}
		for what, name := range map[string]string{
			"another service": gate.BadgeName(proxytest.ID("b"), version, addr, port),
			"another version": gate.BadgeName(id, version+"0", addr, port),
			"another address": gate.BadgeName(id, version, p.Neighbour.String(), port),
			"another port":    gate.BadgeName(id, version, addr, port+"0"),
			"half a port":     gate.BadgeName(id, version, addr, port[:len(port)-1]),
		} {
			undo := forge(name)
			before := p.asked.Load()
			if status, now := get(); status != 403 || now != from || p.asked.Load() == before {
				p.Errorf("with a badge of %s: %d", what, status)
			}
			undo()
		}
		defer forge(gate.BadgeName(id, version, addr, port))() // so those above were all but right
		if status, now := get(); status != 200 || now != from {
			p.Errorf("with its own: %d", status)
		}
	})
}

func (p *part) none() {
	p.serve(ownline.ProxyOptions{})
	if err := os.Remove(p.folder()); err != nil {
		p.Fatal(err)
	}
	p.Door.Open(proxytest.ID("a"), p.Client)
	p.both(func(get func() (int, netip.AddrPort)) {
		before := p.asked.Load()
		for range 5 {
			if status, _ := get(); status != 200 {
				p.Errorf("%d", status)
			}
		}
		if n := p.asked.Load() - before; n != 5 {
			p.Errorf("5 requests asked %d times", n)
		}
	})
}

func (p *part) login() {
	p.serve(ownline.ProxyOptions{RequireLogin: true})
	p.Door.Open(proxytest.ID("a"), p.Client)
	p.both(func(get func() (int, netip.AddrPort)) {
		_, from := get()
		name := gate.BadgeName(proxytest.ID("a"), p.version(), from.Addr().String(), fmt.Sprint(from.Port()))
		for range 3 {
			if status, now := get(); status == 200 || now != from {
				p.Errorf("somebody who is not logged in: %d from %s, after %s", status, now, from)
			}
			os.Symlink("/proc/self/comm", filepath.Join(p.folder(), name))
		}
		os.Remove(filepath.Join(p.folder(), name))
		if names := p.badges(); len(names) > 0 {
			p.Errorf("badges %q", names)
		}
	})
	if n := p.asked.Load(); n < 6 {
		p.Errorf("6 requests asked %d times", n)
	}
}

// killed is a gate in a process of its own, which nothing is told.
func (p *part) killed() {
	kill := p.child()
	p.apply(deaf{}, ownline.ProxyOptions{})
	p.both(func(get func() (int, netip.AddrPort)) {
		_, first := get()
		is := func(when string, want, badges int) {
			p.Helper()
			if status, from := get(); status != want || from != first {
				p.Fatalf("%s: %d from %s, after %s; want %d", when, status, from, first, want)
			}
			if names := p.badges(); len(names) != badges {
				p.Errorf("%s: badges %q", when, names)
			}
		}
		is("while it lives", 200, 1)
		kill()
		is("when it was killed", 503, 1)
		kill = p.child()
		if names := p.badges(); len(names) > 0 {
			p.Errorf("a new one is left with %q", names)
		}
		_, first = get() // nginx ends a connection at which it can't ask
		is("with a new one", 200, 1)
		kill()
		kill = p.child()
	})
	kill()
}

type deaf struct{}

func (deaf) Only(map[ownline.ServiceID]string) {}
func (deaf) Hold()                             {}
func (deaf) Cut(ownline.ServiceID)             {}

const inChild = "OWNLINE_GATETEST_CHILD"

// child starts a gate that lets everybody in.
func (p *part) child() (kill func()) {
	p.Helper()
	c := p.config()
	settings, err := json.Marshal(settings{c.Socket, c.Badges, c.Word, c.GID, c.Listen})
	if err != nil {
		p.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inChild+"="+string(settings))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		p.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	p.Cleanup(kill)
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		p.Fatalf("the gate says %q, %v", line, err)
	}
	return kill
}

type settings struct {
	Socket, Badges, Word string
	GID                  int
	Listen               []netip.AddrPort
}

// Main is the whole TestMain of a driver: that of proxytest, but for the gate in a process of its own.
func Main(m *testing.M) {
	text := os.Getenv(inChild)
	if text == "" {
		proxytest.Main(m)
		return
	}
	var s settings
	err := json.Unmarshal([]byte(text), &s)
	live, end := context.WithCancel(context.Background()) // as a session's, whose end would be told
	var g *gate.Gate
	if err == nil {
		g, err = gate.New(gate.Config{
			Socket: s.Socket, Badges: s.Badges, Word: s.Word, GID: s.GID, Listen: s.Listen, Logger: slog.Default(),
			Admit: func(ownline.ServiceID, netip.Addr) (context.Context, bool) { return live, true },
		})
	}
	if err == nil {
		fmt.Println("ready")
		err = g.Run(context.Background())
	}
	end()
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
