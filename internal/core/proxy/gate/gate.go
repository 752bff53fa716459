// Package gate: the admission that nginx and Caddy ask for at every request, over a Unix socket,
// and the end of the connections of those whose session or login has ended, by the kernel. It
// answers GET /admit with 204, or with 403 and the page that says so, and with 403 whatever it
// does not understand; with 503 as long as the server has an older version of the service, or nobody knows. Who lacks a login that the service requires gets 401 there, and the way to
// log in at /enter, /instead and /own.
package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/core/proxy"
	"github.com/ownline/ownline/internal/core/proxy/page"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// What a server says of a request in these headers. The service is written into the server's
// configuration; the other two are what the server knows of the connection. Nothing of it is
// the client's word, so a server has to set all three over what a client sent.
const (
	ServiceHeader = "Ownline-Service"
	ClientHeader  = "Ownline-Client"
	PortHeader    = "Ownline-Client-Port"
	// VersionHeader is which version of the service the server's configuration has. Only the one
	// that Only has told is admitted to.
	VersionHeader = "Ownline-Version"
)

// WordHeader is in every answer, when the gate has a word. A server that could take the answer of somebody
// else for the gate's goes by it.
const WordHeader = "Ownline-Gate"

// Path is what is asked for.
const Path = "/admit"

const (
	sweepEvery = time.Minute
	askEvery   = 5 * time.Second // who came from a local network: core looks at those as often
	sweepAbove = 1024            // connections known, and twice those left by the last sweep
	maxKnown   = 1 << 18         // a router with more than this many open ones has other troubles
)

// Config is what a gate is made of.
type Config struct {
	Socket string // path
	GID    int    // the group that may ask; -1: nobody but root and core itself
	Word   string // which proves that an answer is ours; "": none, for servers that ask nobody else
	Badges string // folder, beside the socket; "": none
	// Listen are the addresses of the server at which clients arrive, one for an address family.
	Listen []netip.AddrPort
	Admit  proxy.Admission
	Logins Logins // nil: nobody gets in to services that require one
	Logger *slog.Logger
}

// Gate answers. It has the socket from New on; Run it.
type Gate struct {
	Config
	listener net.Listener
	kernel   *kernel                                                         // nil: the kernel can't end connections
	err      error                                                           // why
	open     func(servers []netip.AddrPort) (map[netip.AddrPort]bool, error) // the kernel's
	wake     chan struct{}

	mu       sync.Mutex                   // guards what is below
	versions map[ownline.ServiceID]string // nil: any
	held     bool                         // nobody knows yet what is to be served
	known    map[netip.AddrPort]*connection
	limit    int // of known, for the next sweep
	ended    []netip.AddrPort
	badges   badges
}

// connection is one that was let in. It has one service: servers answer 421 to a request for
// another name than the one of its handshake.
type connection struct {
	service ownline.ServiceID
	live    context.Context
	logins  []context.Context // of what was let in
	stops   []func() bool
	swept   bool   // seen by no sweep yet, and not asked for since, when false
	badge   string // its file; "": none
	version string // of the service, by which it has the badge
}

// New takes the socket. A file there that nobody answers at is replaced.
//
// The socket belongs to root and is for one group, that of the server: who may ask learns which
// addresses have sessions, and may have the kernel end connections to the proxy, no others.
// A folder of its own would not make that narrower, and a mode for all would tell everybody.
func New(c Config) (*Gate, error) {
	g := &Gate{Config: c, wake: make(chan struct{}, 1), known: map[netip.AddrPort]*connection{}, limit: sweepAbove, badges: badges{broken: make(chan error, 1)}}
	var err error
	if g.listener, err = listen(c.Socket, c.GID); err != nil {
		return nil, fmt.Errorf("gate_socket: %w", err)
	}
	if g.kernel, g.err = openKernel(); g.err != nil {
		g.err = fmt.Errorf("the kernel can't end the open connections of ended sessions, which go on until they close: %w", g.err)
		g.Badges = ""
	}
	g.open = g.kernel.open
	if g.Badges != "" {
		err := openBadges(g.Badges, c.GID)
		if err == nil {
			g.badges.life, err = begin()
		}
		if err != nil {
			g.Logger.Warn("the server has to ask at every request", logging.Err, err)
			os.Remove(g.Badges) // if it is a folder of ours, and empty
			g.Badges = ""
		}
	}
	return g, nil
}

func listen(path string, gid int) (net.Listener, error) {
	if err := CheckFolder(path); err != nil {
		return nil, err
	}
	if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
		conn.Close()
		return nil, ownline.Conflict("gate_socket", path+" answers: another ownline-core is running, or another program that listens there; stop it, or choose another path")
	}
	if info, err := os.Lstat(path); err == nil {
		if info.Mode().Type() != os.ModeSocket {
			return nil, ownline.Conflict("gate_socket", path+" is there and is no socket")
		}
		if err := os.Remove(path); err != nil { // of a core that was killed
			return nil, err
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	mode := os.FileMode(0o600)
	if gid >= 0 {
		mode = 0o660
		err = os.Chown(path, -1, gid)
	}
	// Until here whoever the umask allows could connect, and be told what others are told.
	if err = errors.Join(err, os.Chmod(path, mode)); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Err tells what the gate can't do.
func (g *Gate) Err() error { return g.err }

// Close is for what never ran.
func (g *Gate) Close() error {
	if g.kernel != nil {
		g.kernel.close()
	}
	g.closeBadges()
	return g.listener.Close()
}

// Run answers until ctx ends.
func (g *Gate) Run(ctx context.Context) error {
	var over sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	var lost error
	over.Go(func() {
		defer cancel()
		lost = g.end(ctx)
	})
	err := (&server{answer: g.answer}).run(ctx, g.listener)
	quit := ctx.Err() != nil
	cancel()
	over.Wait()
	g.forgetAll()
	if g.kernel != nil {
		g.kernel.close()
	}
	if lost != nil {
		return fmt.Errorf("gate_socket: take a badge away: %w", lost)
	}
	if quit {
		return nil
	}
	return fmt.Errorf("gate_socket: %w", err)
}

// answer answers one question. One with a body is none of a server's that we have configured.
func (g *Gate) answer(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if g.Word != "" {
		h.Set(WordHeader, g.Word)
	}
	admits := r.URL.Path == Path || r.URL.Path == EnterPath
	away := false
	if r.Method == http.MethodGet && r.ContentLength == 0 && (admits || r.URL.Path == InsteadPath || r.URL.Path == OwnPath) {
		a, err := parse(r.Header)
		switch {
		case err != nil:
		case !g.admit(a):
			away = g.replaced(a)
		case a.login:
			g.login(w, r, a)
			return
		case admits:
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	g.mu.Lock()
	away = away || g.held
	g.mu.Unlock()
	if away {
		page.Away.Answer(w, r.Method, r.Header, "")
		return
	}
	page.SessionOver.Answer(w, r.Method, r.Header, "")
}

// Hold has the gate admit nobody until Only, and say that it is just starting.
func (g *Gate) Hold() { g.restrict(map[ownline.ServiceID]string{}, true) }

// Only has the gate admit to these versions of services alone, from now on: a server that reloads
// goes on for a while by the configuration that it had, which may lead elsewhere.
func (g *Gate) Only(versions map[ownline.ServiceID]string) { g.restrict(versions, false) }

func (g *Gate) restrict(versions map[ownline.ServiceID]string, held bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.versions, g.held = maps.Clone(versions), held
	for _, c := range g.known {
		if c.version != g.versions[c.service] {
			g.revoke(c)
		}
	}
}

// newest reports whether a server asks by the configuration that it should have.
func (g *Gate) newest(a ask) bool {
	return g.versions == nil || a.version != "" && g.versions[a.service] == a.version
}

// replaced reports whether a server asks by the version before, for somebody whom the service is open to: it will
// have the newer one in a moment, and nobody's session is over.
func (g *Gate) replaced(a ask) bool {
	if _, ok := g.Admit(a.service, a.client.Addr()); !ok {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return a.version != "" && g.versions[a.service] != "" && !g.newest(a)
}

// admit asks whether the connection may go on, and remembers it if so.
func (g *Gate) admit(a ask) bool {
	live, ok := g.Admit(a.service, a.client.Addr())
	if !ok {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if live.Err() != nil || !g.newest(a) {
		return false
	}
	if g.kernel == nil {
		return true
	}
	c := g.known[a.client]
	if c != nil && (c.service != a.service || c.live != live) {
		g.forget(a.client, c) // the port is used anew, or the session is another one
		c = nil
	}
	if c == nil {
		if len(g.known) >= maxKnown {
			return false // what can't be ended is not begun
		}
		if len(g.known) >= g.limit {
			g.nudge()
		}
		c = &connection{service: a.service, live: live}
		g.known[a.client] = c
		c.stops = []func() bool{context.AfterFunc(live, func() { g.over(a.client, c) })}
	}
	c.swept = false
	g.badge(a, c)
	return true
}

// forget has nothing watched any more.
func (g *Gate) forget(client netip.AddrPort, c *connection) {
	for _, stop := range c.stops {
		stop()
	}
	g.revoke(c)
	delete(g.known, client)
}

// over has the connection ended, if it is known still.
func (g *Gate) over(client netip.AddrPort, c *connection) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.known[client] == c {
		g.forget(client, c)
		g.ended = append(g.ended, client)
		g.nudge()
	}
}

// Cut ends the open connections to a service, which is gone or another one now.
func (g *Gate) Cut(service ownline.ServiceID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for client, c := range g.known {
		if c.service == service {
			g.forget(client, c)
			g.ended = append(g.ended, client)
		}
	}
	g.nudge()
}

func (g *Gate) nudge() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// end has the kernel end what is to be ended, and forgets what has ended by itself.
func (g *Gate) end(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	again := time.NewTicker(askEvery)
	defer again.Stop()
	for {
		sweep := false
		select {
		case <-ctx.Done():
			return nil
		case err := <-g.badges.broken:
			return err
		case <-again.C:
			g.recheck()
			continue
		case <-g.wake:
		case <-tick.C:
			sweep = true
		}
		g.mu.Lock()
		ended := g.ended
		g.ended = nil
		sweep = sweep || len(g.known) >= g.limit
		g.mu.Unlock()
		if g.kernel == nil {
			continue
		}
		for _, client := range ended {
			for _, server := range g.Listen {
				if server.Addr().Is4() != client.Addr().Is4() {
					continue
				}
				if err := g.kernel.destroy(server, client); err != nil {
					g.Logger.Error("a connection of an ended session goes on", "source", client.Addr(), logging.Err, err)
				}
			}
		}
		if sweep {
			g.sweep()
		}
	}
}

// sweep forgets connections that are no more. One that was asked for while the kernel was read is left for
// the next time. So is one that came by a badge just before that was taken away: the kernel has it then.
func (g *Gate) sweep() {
	g.mu.Lock()
	for _, c := range g.known {
		c.swept = true
	}
	g.mu.Unlock()
	for _, last := range []bool{false, true} {
		open, err := g.open(g.Listen)
		if err != nil {
			g.Logger.Warn("the kernel's connections can't be listed", logging.Err, err)
			return
		}
		g.mu.Lock()
		for client, c := range g.known {
			if !c.swept || open[client] {
				continue
			}
			if c.badge != "" {
				g.revoke(c)
			} else if last {
				g.forget(client, c)
			}
		}
		if last {
			g.limit = max(sweepAbove, 2*len(g.known))
		}
		g.mu.Unlock()
	}
}

// forgetAll is the end.
func (g *Gate) forgetAll() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for client, c := range g.known {
		g.forget(client, c)
	}
	g.closeBadges()
}
