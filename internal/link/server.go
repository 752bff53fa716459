package link

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// Commands is what web can have done by a core. Only Pair is called for a web that is not
// Trusted.
type Commands interface {
	// Trusted reports whether the key is that of the web this core is paired with. The first
	// time that it is asked about the key announced last, that is the only one from then on.
	Trusted(Pin) bool
	// Pair makes the web with that key the one to obey, when the token is right.
	Pair(ctx context.Context, peer Pin, token string) (Status, error)
	// NextKey has the core obey that key as well, also after a restart, if it obeys the peer
	// still; "": no other.
	NextKey(peer, next Pin) error
	Status(context.Context) Status
	// PutState makes the sessions and devices those of the state; the results name the
	// sessions that could not be applied.
	PutState(context.Context, State) ([]Result, error)
	// PutSession opens or renews; when it returns nil, packets get through.
	PutSession(context.Context, Put) error
	// EndSession closes; when it returns nil, no packet gets through any more.
	EndSession(context.Context, Revision, ownline.SessionID) error
	// Flush ends every session.
	Flush(context.Context, Revision) error
	// PutPass adds a pass and a code for it.
	PutPass(context.Context, PutPass) error
	// Verdict applies web's word on the knock and answers the device if it wants that.
	Verdict(ctx context.Context, seq uint64, v Verdict) ([]Result, error)
	// Preview returns what the proxy's configuration would have for a service, and changes
	// nothing.
	Preview(context.Context, Service) (string, error)
	// Subscribe returns the events from now on, the first being EventHello. The channel is
	// closed when ctx ends, or when the reader is too slow to be told everything.
	Subscribe(ctx context.Context) <-chan Event
}

const (
	// maxBody bounds a command of web: a state of 100,000 sessions is about 40 MB.
	maxBody = 128 << 20
	// maxPair bounds what anybody may send: a router has little memory for strangers.
	maxPair = 4 << 10
)

// Server is core's end of the link.
type Server struct {
	identity *Identity
	commands Commands
	log      *slog.Logger
	http     *http.Server
	mux      *http.ServeMux

	mu      sync.Mutex // guards dialled
	dialled map[net.Conn]*oneConn
}

// NewServer makes core's end.
func NewServer(id *Identity, commands Commands, log *slog.Logger) *Server {
	s := &Server{identity: id, commands: commands, log: log, dialled: make(map[net.Conn]*oneConn)}
	s.mux = s.handler()
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	s.http = &http.Server{
		Handler:           s.mux,
		Protocols:         protocols,
		ReadHeaderTimeout: 10 * time.Second,
		// A dead web is noticed within 15 s even when no packet of the connection's end arrives.
		HTTP2:     &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 5 * time.Second, MaxConcurrentStreams: 1000},
		ConnState: s.connState,
		ErrorLog:  slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return s
}

// anyPeer lets the handshake of every key through: what an unpaired web may do is decided
// per request, because pairing happens over the link itself.
func anyPeer(Pin) error { return nil }

// Serve answers on the listener until ctx ends, and closes it.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { s.http.Close() })
	defer stop()
	err := s.http.Serve(tls.NewListener(crowdedListener{l, newCrowd()}, s.identity.tlsConfig(anyPeer)))
	if ctx.Err() != nil && errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve the link: %w", err)
}

// Dial keeps a connection to web open until ctx ends, and is commanded over it.
func (s *Server) Dial(ctx context.Context, addr string) error {
	stop := context.AfterFunc(ctx, func() { s.http.Close() })
	defer stop()
	var wait Backoff
	for ctx.Err() == nil {
		began := time.Now()
		err := s.dialOnce(ctx, addr)
		if ctx.Err() != nil {
			break
		}
		if time.Since(began) > 10*time.Second {
			wait = Backoff{}
		}
		s.log.Warn("link to web lost", "addr", addr, "err", err)
		wait.Sleep(ctx)
	}
	return nil
}

func (s *Server) dialOnce(ctx context.Context, addr string) error {
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: s.identity.tlsConfig(anyPeer)}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	l := newOneConn(conn)
	s.mu.Lock()
	s.dialled[conn] = l
	s.mu.Unlock()
	if err := s.http.Serve(l); !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return errors.New("connection closed")
}

// connState ends the listener of a dialled connection with the connection.
func (s *Server) connState(c net.Conn, state http.ConnState) {
	if state != http.StateClosed {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if l, ok := s.dialled[c]; ok {
		delete(s.dialled, c)
		l.Close()
	}
}

// oneConn is a listener with one connection; Accept fails once that is closed.
type oneConn struct {
	addr net.Addr
	c    chan net.Conn
	done chan struct{}
	once sync.Once
}

func newOneConn(c net.Conn) *oneConn {
	l := &oneConn{addr: c.LocalAddr(), c: make(chan net.Conn, 1), done: make(chan struct{})}
	l.c <- c
	return l
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.c:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Addr() net.Addr { return l.addr }

func (l *oneConn) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Backoff waits longer after every failure: 50 ms to 2 s, with jitter. The zero value is
// ready.
type Backoff struct{ next time.Duration }

// Sleep waits, or returns early when ctx ends.
func (b *Backoff) Sleep(ctx context.Context) {
	b.next = min(max(b.next*2, 50*time.Millisecond), 2*time.Second)
	t := time.NewTimer(b.next/2 + rand.N(b.next/2))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (s *Server) handler() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/pair", func(w http.ResponseWriter, r *http.Request) {
		pin, ok := peerPin(r.TLS)
		var req PairRequest
		if !ok || !decode(w, r, &req, maxPair) {
			return
		}
		status, err := s.commands.Pair(r.Context(), pin, req.Token)
		reply(w, status, err)
	})
	mux.Handle("PUT /v1/web-key", s.trusted(func(w http.ResponseWriter, r *http.Request) {
		var req NextKey
		if !decode(w, r, &req, maxPair) {
			return
		}
		if req.Next != "" && !req.Next.Valid() {
			reply(w, nil, ownline.Invalid("next", "not the pin of a key: 43 characters of base64url"))
			return
		}
		peer, _ := peerPin(r.TLS) // it is trusted, so there is one
		reply(w, struct{}{}, s.commands.NextKey(peer, req.Next))
	}))
	mux.Handle("GET /v1/status", s.trusted(func(w http.ResponseWriter, r *http.Request) {
		reply(w, s.commands.Status(r.Context()), nil)
	}))
	mux.Handle("PUT /v1/state", s.trusted(func(w http.ResponseWriter, r *http.Request) {
		var state State
		if decode(w, r, &state, maxBody) {
			results, err := s.commands.PutState(r.Context(), state)
			reply(w, newResults(results), err)
		}
	}))
	mux.Handle("PUT /v1/sessions/{id}", s.trusted(func(w http.ResponseWriter, r *http.Request) {
		var put Put
		if !decode(w, r, &put, maxBody) {
			return
		}
		if put.ID.String() != r.PathValue("id") {
			reply(w, nil, ownline.Invalid("id", "the path and the body name different sessions"))
			return
		}
		reply(w, Result{ID: put.ID}, s.commands.PutSession(r.Context(), put))
	}))
	mux.Handle("DELETE /v1/sessions/{id}", s.trusted(func(w http.ResponseWriter, r *http.Request) {
		id, err := ownline.ParseID[ownline.Session](r.PathValue("id"))
		rev, ok := revision(w, r)
		if !ok {
			return
		}
		if err == nil {
			err = s.commands.EndSession(r.Context(), rev, id)
		}
		reply(w, Result{ID: id}, err)
	}))
	mux.Handle("DELETE /v1/sessions", s.trusted(func(w http.ResponseWriter, r *http.Request) {
		if rev, ok := revision(w, r); ok {
			reply(w, newResults(nil), s.commands.Flush(r.Context(), rev))
		}
	}))
	mux.Handle("POST /v1/knocks/{seq}", s.trusted(func(w http.ResponseWriter, r *http.Request) {
		seq, err := strconv.ParseUint(r.PathValue("seq"), 10, 64)
		var v Verdict
		if !decode(w, r, &v, maxBody) {
			return
		}
		if err != nil {
			reply(w, nil, ownline.Invalid("seq", "not a number"))
			return
		}
		results, err := s.commands.Verdict(r.Context(), seq, v)
		reply(w, newResults(results), err)
	}))
	mux.Handle("POST /v1/preview", s.trusted(func(w http.ResponseWriter, r *http.Request) {
		var service Service
		if decode(w, r, &service, maxBody) {
			text, err := s.commands.Preview(r.Context(), service)
			reply(w, Preview{text}, err)
		}
	}))
	s.handleReach(mux)
	mux.Handle("PUT /v1/passes", s.trusted(s.putPass))
	mux.Handle("GET /v1/events", s.trusted(s.events))
	return mux
}

func (s *Server) trusted(h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if pin, ok := peerPin(r.TLS); !ok || !s.commands.Trusted(pin) {
			reply(w, nil, &ownline.FieldError{Kind: ErrUnpaired, Detail: "this core is not paired with this web; run `ownline-core pair` on the router and give its line to web"})
			return
		}
		h(w, r)
	})
}

// events streams one JSON value a line.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	rc := http.NewResponseController(w)
	w.Header().Set("Content-Type", "application/x-ndjson")
	enc := json.NewEncoder(w)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events := s.commands.Subscribe(ctx)
	// Whoever lost the core's trust since the request began was not cut off with the others.
	if pin, ok := peerPin(r.TLS); !ok || !s.commands.Trusted(pin) {
		return
	}
	for ev := range events {
		if enc.Encode(ev) != nil || rc.Flush() != nil {
			return
		}
	}
}

// newResults writes none as an empty list.
func newResults(r []Result) Results {
	if r == nil {
		r = []Result{}
	}
	return Results{r}
}

func decode(w http.ResponseWriter, r *http.Request, v any, most int64) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, most))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		reply(w, nil, ownline.Invalid("body", err.Error()))
		return false
	}
	return true
}

func revision(w http.ResponseWriter, r *http.Request) (Revision, bool) {
	n, err := strconv.ParseUint(r.URL.Query().Get("revision"), 10, 64)
	if err != nil {
		reply(w, nil, ownline.Invalid("revision", "not a number"))
		return Revision{}, false
	}
	return Revision{Epoch: r.URL.Query().Get("epoch"), Revision: n}, true
}

func reply(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		p := ProblemOf(err)
		w.WriteHeader(p.status())
		v = p
	}
	// A reply that can't be written belongs to a connection that is gone: web asks again.
	_ = json.NewEncoder(w).Encode(v)
}
