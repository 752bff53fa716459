package core

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// PairingCode is what `ownline-core pair` prints.
type PairingCode struct {
	Code    string    `json:"code"`
	Expires time.Time `json:"expires"`
}

// Flushed is what `ownline-core flush` prints.
type Flushed struct {
	Sessions int `json:"sessions"` // but those that led guests to the doorstep
	// Unknown says that core had not heard from web since it started: what the kernel still
	// held open was closed, but nobody counted it.
	Unknown bool `json:"unknown,omitempty"`
}

// serveControl answers the commands of the router's admin on a Unix socket that only root
// may open.
func (c *Core) serveControl(ctx context.Context) error {
	path := c.cfg.ControlSocket
	if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
		conn.Close()
		return ownline.Conflict("control_socket", path+" answers: another ownline-core is running")
	}
	os.Remove(path) // of a core that was killed
	l, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("control_socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return fmt.Errorf("control_socket: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) { sendJSON(w, c.Status(r.Context()), nil) })
	mux.HandleFunc("GET /sessions", func(w http.ResponseWriter, _ *http.Request) { sendJSON(w, c.list(), nil) })
	mux.HandleFunc("GET /settings", func(w http.ResponseWriter, _ *http.Request) {
		all := map[string]string{}
		c.cfg.Each(func(key, value string) { all[key] = value })
		sendJSON(w, all, nil)
	})
	mux.HandleFunc("GET /explain", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		source, _ := netip.ParseAddr(q.Get("source")) // what is no address, Explain refuses
		e, err := c.Explain(r.Context(), source, q.Get("service"))
		sendJSON(w, e, err)
	})
	mux.HandleFunc("POST /flush", func(w http.ResponseWriter, r *http.Request) {
		f, err := c.flush(r.Context())
		sendJSON(w, f, err)
	})
	mux.HandleFunc("POST /pair", func(w http.ResponseWriter, r *http.Request) {
		code, expires, err := c.pairing.newCode(r.URL.Query().Get("host"), c.host.lanAddresses())
		sendJSON(w, PairingCode{code.String(), expires}, err)
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(l); ctx.Err() == nil {
		return fmt.Errorf("control_socket: %w", err)
	}
	return nil
}

// flush ends every session here and tells web.
func (c *Core) flush(ctx context.Context) (Flushed, error) {
	generation, flushed, known := c.book.FlushHere()
	var err error
	if known {
		err = c.reconciler.Wait(ctx, generation)
	} else {
		err = c.reconciler.Replaced(ctx, c.ipv6Prefix())
	}
	if err != nil {
		return Flushed{}, err
	}
	n := 0
	for i := range flushed {
		s := &flushed[i]
		if !s.ToDoorstep() {
			n++
		}
		c.hub.send(link.Event{Type: link.EventEnded, Ended: &link.Ended{ID: s.ID, Reason: ownline.Flushed, Traffic: s.Traffic}})
	}
	c.log.Info("flushed", "sessions", n)
	return Flushed{Sessions: n, Unknown: !known}, nil
}

func sendJSON(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		v = link.ProblemOf(err)
	}
	_ = json.NewEncoder(w).Encode(v) // whoever asked is gone
}

// Control speaks to the daemon that listens on a Unix socket.
type Control struct {
	socket string
}

// NewControl makes a Control; it connects with each call.
func NewControl(socket string) *Control { return &Control{socket: socket} }

// Status asks how core is.
func (c *Control) Status(ctx context.Context) (link.Status, error) {
	var s link.Status
	return s, c.call(ctx, "GET", "/status", &s)
}

// Sessions lists what is open.
func (c *Control) Sessions(ctx context.Context) ([]Listed, error) {
	var s []Listed
	return s, c.call(ctx, "GET", "/sessions", &s)
}

// Settings asks for those that core runs with: see config.Core.Each.
func (c *Control) Settings(ctx context.Context) (map[string]string, error) {
	var s map[string]string
	return s, c.call(ctx, "GET", "/settings", &s)
}

// Explain asks why somebody at an address gets in, or does not.
func (c *Control) Explain(ctx context.Context, source netip.Addr, service string) (Explanation, error) {
	var e Explanation
	return e, c.call(ctx, "GET", "/explain?"+url.Values{"source": {source.String()}, "service": {service}}.Encode(), &e)
}

// Flush ends every session.
func (c *Control) Flush(ctx context.Context) (Flushed, error) {
	var f Flushed
	return f, c.call(ctx, "POST", "/flush", &f)
}

// Pair asks for a new pairing code; host is where web finds this router, "" to choose.
func (c *Control) Pair(ctx context.Context, host string) (PairingCode, error) {
	var p PairingCode
	return p, c.call(ctx, "POST", "/pair?"+url.Values{"host": {host}}.Encode(), &p)
}

// controlPatience is how long an answer may take.
const controlPatience = 30 * time.Second

// call writes its request by hand, as there is nothing in it but a path: a client of net/http takes
// as much of a small router's binary as its server does.
func (c *Control) call(ctx context.Context, method, path string, out any) error {
	conn, err := (&net.Dialer{Timeout: controlPatience}).DialContext(ctx, "unix", c.socket)
	if err != nil {
		if errors.Is(err, os.ErrPermission) {
			return fmt.Errorf("%s: only root may speak to ownline-core: %w", c.socket, ownline.ErrForbidden)
		}
		return fmt.Errorf("%s: is `ownline-core run` running? %w: %w", c.socket, ownline.ErrUnavailable, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := conn.SetDeadline(time.Now().Add(controlPatience)); err != nil {
		return err
	}
	_, err = io.WriteString(conn, method+" "+path+" HTTP/1.1\r\nHost: core\r\nConnection: close\r\n\r\n")
	var resp *http.Response
	if err == nil {
		resp, err = http.ReadResponse(bufio.NewReader(conn), nil)
	}
	if err != nil {
		why := err.Error()
		if ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded) {
			why = "it does not answer; is it stopped, or the router overloaded?"
		}
		return fmt.Errorf("%s: %w: %s", c.socket, ownline.ErrUnavailable, why)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		var p link.Problem
		if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&p); err != nil {
			return fmt.Errorf("core answered %s", resp.Status)
		}
		return p.Err()
	}
	return json.NewDecoder(resp.Body).Decode(out)
}
