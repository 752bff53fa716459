package gate

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/proxy/proxytest"
	"github.com/ownline/ownline/internal/ownline"
)

const someVersion = "0123456789abcdef"

// withBadges is a gate with badges that lets one address in to everything.
func withBadges(t *testing.T, c Config) (g *Gate, end func()) {
	t.Helper()
	live, end := context.WithCancel(t.Context())
	c.GID, c.Logger, c.Logins = -1, slog.New(slog.DiscardHandler), everybody{}
	c.Admit = func(ownline.ServiceID, netip.Addr) (context.Context, bool) { return live, live.Err() == nil }
	if c.Socket == "" {
		c.Socket, c.Badges = filepath.Join(t.TempDir(), "s"), filepath.Join(t.TempDir(), "badges")
	}
	g, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if g.Err() != nil {
		g.Close()
		t.Skip(g.Err())
	}
	return g, end
}

// runs runs a gate until stop; its error is kept.
func (g *Gate) runs(t *testing.T) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- g.Run(ctx) }()
	stop = sync.OnceValue(func() error { cancel(); return <-over })
	t.Cleanup(func() { stop() })
	return stop
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

func (g *Gate) ask(id ownline.ServiceID, version string, client netip.AddrPort, more ...string) bool {
	h := headers(id.String(), client.Addr().String(), portText(client))
	h[VersionHeader] = []string{version}
	for i := 0; i < len(more); i += 2 {
		h[more[i]] = []string{more[i+1]}
	}
	r := &http.Request{Method: "GET", URL: &url.URL{Path: Path}, Header: h}
	w := &answer{header: http.Header{}}
	g.answer(w, r)
	return w.status == http.StatusNoContent
}

func badgeNames(t *testing.T, g *Gate) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(g.Badges)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// A badge is where a question was answered by yes and may be spared, and nowhere else.
func TestBadge(t *testing.T) {
	g, end := withBadges(t, Config{})
	id, at := proxytest.ID("a"), netip.MustParseAddrPort("127.0.0.2:4000")
	stop := g.runs(t)
	for what, ask := range map[string]func() bool{
		"a version with a path in it": func() bool { return g.ask(id, "../../x", at) },
		"no version":                  func() bool { return g.ask(id, "", at) },
		"a login": func() bool {
			return g.ask(id, someVersion, at, LoginHeader, Required, MethodHeader, "GET", URIHeader, "/")
		},
	} {
		if !ask() || len(badgeNames(t, g)) != 0 {
			t.Errorf("%s: badges %q", what, badgeNames(t, g))
		}
	}
	if !g.ask(id, someVersion, at) {
		t.Fatal("refused")
	}
	want := BadgeName(id, someVersion, "127.0.0.2", "4000")
	if names := badgeNames(t, g); len(names) != 1 || names[0] != want {
		t.Fatalf("badges %q, want %q", names, want)
	}
	if _, err := os.Stat(filepath.Join(g.Badges, want)); err != nil {
		t.Errorf("it leads nowhere: %v", err)
	}
	// The port is used anew, for another service.
	if other := proxytest.ID("b"); !g.ask(other, someVersion, at) || strings.Join(badgeNames(t, g), " ") != BadgeName(other, someVersion, "127.0.0.2", "4000") {
		t.Errorf("badges %q", badgeNames(t, g))
	}
	g.mu.Lock()
	g.badges.count = maxBadges
	g.mu.Unlock()
	if !g.ask(id, someVersion, netip.AddrPortFrom(at.Addr(), 4001)) || len(badgeNames(t, g)) != 1 {
		t.Errorf("too many are there: badges %q", badgeNames(t, g))
	}
	end()
	eventually(t, "the badge is gone", func() bool { return len(badgeNames(t, g)) == 0 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(g.Badges); err == nil {
		t.Error("the folder is left")
	}
}

// What a dead gate has left counts no more, and what is not ours is not used.
func TestBadgesAnew(t *testing.T) {
	dir := t.TempDir()
	c := Config{Socket: filepath.Join(dir, "s"), Badges: filepath.Join(dir, "badges")}
	os.Mkdir(c.Badges, 0o777)
	os.Symlink("/proc/self/comm", filepath.Join(c.Badges, "left"))
	g, _ := withBadges(t, c)
	if names := badgeNames(t, g); len(names) > 0 {
		t.Errorf("badges %q", names)
	}
	if info, err := os.Stat(c.Badges); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info.Mode(), err)
	}
	g.Close()
	for what, make := range map[string]func() error{
		"a file":        func() error { return os.WriteFile(c.Badges, nil, 0o600) },
		"another's":     func() error { return errors.Join(os.Mkdir(c.Badges, 0o755), os.Chown(c.Badges, 65534, -1)) },
		"a link to one": func() error { return errors.Join(os.Mkdir(filepath.Join(dir, "x"), 0o755), os.Symlink("x", c.Badges)) },
		"one with more": func() error { return os.MkdirAll(filepath.Join(c.Badges, "x"), 0o755) },
		"one with a file": func() error {
			return errors.Join(os.Mkdir(c.Badges, 0o755), os.WriteFile(filepath.Join(c.Badges, "x"), nil, 0o600))
		},
	} {
		os.RemoveAll(c.Badges)
		if err := make(); err != nil {
			t.Skip(err)
		}
		g, _ := withBadges(t, c)
		if g.Badges != "" {
			t.Errorf("%s is used", what)
		}
		g.Close()
	}
}

// Nobody tells when an address of a local network is none any more, so servers ask again every few seconds.
// What has a session is left alone.
func TestLocalBadge(t *testing.T) {
	g, _ := withBadges(t, Config{})
	admit, inside := g.Admit, netip.MustParseAddr("127.0.0.3")
	is := true
	g.Admit = func(id ownline.ServiceID, from netip.Addr) (context.Context, bool) {
		if from == inside {
			return context.Background(), is
		}
		return admit(id, from)
	}
	g.runs(t)
	id, home, away := proxytest.ID("a"), netip.AddrPortFrom(inside, 4000), netip.MustParseAddrPort("127.0.0.2:4000")
	if !g.ask(id, someVersion, away) {
		t.Fatal("refused")
	}
	eventually(t, "both have a badge", func() bool { return g.ask(id, someVersion, home) && len(badgeNames(t, g)) == 2 })
	only := func() bool {
		names := badgeNames(t, g)
		return len(names) == 1 && names[0] == BadgeName(id, someVersion, "127.0.0.2", "4000")
	}
	eventually(t, "the one without an end is taken away", only)
	is = false
	if g.ask(id, someVersion, home) || !only() {
		t.Errorf("local no more: badges %q", badgeNames(t, g))
	}
}

// A gate that can't take a badge away ends, and is known by that.
func TestBadgeStays(t *testing.T) {
	g, end := withBadges(t, Config{})
	stop := g.runs(t)
	at := netip.MustParseAddrPort("127.0.0.2:4000")
	if !g.ask(proxytest.ID("a"), someVersion, at) {
		t.Fatal("refused")
	}
	path := filepath.Join(g.Badges, badgeNames(t, g)[0])
	os.Remove(path)
	if err := os.MkdirAll(filepath.Join(path, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	end()
	eventually(t, "the gate answers no more", func() bool {
		c, err := net.Dial("unix", g.Socket)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	if err := stop(); err == nil || !strings.Contains(err.Error(), "badge") {
		t.Errorf("it ends with %v", err)
	}
}

// A sweep takes the badge of what is closed, and knows on what came by it meanwhile.
func TestSweepBadges(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	g, _ := withBadges(t, Config{Listen: []netip.AddrPort{netip.MustParseAddrPort(l.Addr().String())}})
	g.runs(t)
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	open, closed := netip.MustParseAddrPort(c.LocalAddr().String()), netip.MustParseAddrPort("127.0.0.1:1")
	id := proxytest.ID("a")
	for _, at := range []netip.AddrPort{open, closed} {
		if !g.ask(id, someVersion, at) {
			t.Fatal("refused")
		}
	}
	g.swept(t, 1)
	if names := badgeNames(t, g); len(names) != 1 || names[0] != BadgeName(id, someVersion, open.Addr().String(), portText(open)) {
		t.Errorf("badges %q", names)
	}
}

// A connection that comes by a badge while the kernel is read, with the port of one before, is known still.
func TestSweepMeanwhile(t *testing.T) {
	g, end := withBadges(t, Config{})
	at := netip.MustParseAddrPort("127.0.0.2:4000")
	reads := 0
	g.open = func([]netip.AddrPort) (map[netip.AddrPort]bool, error) {
		if reads++; reads == 1 {
			return nil, nil
		}
		if names := badgeNames(t, g); len(names) > 0 {
			t.Errorf("another could come by %q unseen", names)
		}
		return map[netip.AddrPort]bool{at: true}, nil
	}
	g.runs(t)
	if !g.ask(proxytest.ID("a"), someVersion, at) {
		t.Fatal("refused")
	}
	g.sweep()
	g.mu.Lock()
	known := g.known[at] != nil
	g.mu.Unlock()
	if !known || reads != 2 {
		t.Errorf("known: %v, after %d reads", known, reads)
	}
	end()
	eventually(t, "it is ended with the session", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.known[at] == nil
	})
}

// A badge leads to what is there while the gate lives, and what nobody else can make.
func TestLife(t *testing.T) {
	g, _ := withBadges(t, Config{})
	path := g.badges.life.path
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	other, err := begin()
	if err != nil {
		t.Fatal(err)
	}
	defer other.end()
	if other.path == path {
		t.Errorf("two have %s", path)
	}
	g.Close()
	eventually(t, "it is gone", func() bool { _, err := os.Stat(path); return err != nil })
}
