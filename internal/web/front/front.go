// Package front is what every request passes first: it gets an id, is logged and counted,
// and is answered even when its handler panics. Who asks, and whether they may, is not
// judged here.
package front

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/netip"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/logging"
)

// Header carries the id of a request, both ways.
const Header = "X-Request-Id"

// Callers tells from where requests come.
type Callers interface {
	// ClientOf returns the address that a request came from, which no header can forge.
	ClientOf(*http.Request) netip.Addr
	// ByProxy reports whether the peer of the connection is a proxy that is trusted.
	ByProxy(*http.Request) bool
}

// Meter counts requests.
type Meter interface {
	// Request is told of every request that is over. operation is "METHOD PATTERN", never
	// what a client wrote; stream: it lasted as long as its reader wished.
	Request(operation string, status int, took time.Duration, stream bool)
}

// Options are what a Front is made of.
type Options struct {
	Next    http.Handler
	Callers Callers
	Meter   Meter
	Log     *slog.Logger
}

// Front passes requests on. Safe for concurrent use.
type Front struct{ Options }

// New makes a Front.
func New(o Options) *Front { return &Front{o} }

// wellFormed is what the id of a proxy may look like: it goes into logs and headers.
var wellFormed = regexp.MustCompile(`^[A-Za-z0-9._-]{8,64}$`)

// ServeHTTP passes a request on.
func (f *Front) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	id := r.Header.Get(Header)
	if !wellFormed.MatchString(id) || !f.Callers.ByProxy(r) {
		id = rand.Text()
	}
	began := time.Now()
	ctx := logging.WithRequest(r.Context(), id)
	// The same request goes through every mux, which leave their pattern in it.
	r = r.WithContext(ctx)
	w := &response{ResponseWriter: rw}
	w.Header().Set(Header, id)
	defer func() {
		broken := recover()
		if broken != nil && broken != http.ErrAbortHandler {
			f.Log.ErrorContext(ctx, "request failed: the program is wrong here", logging.Err, broken, "stack", string(debug.Stack()))
			if w.status == 0 {
				sorry(w, id)
				broken = nil
			}
		}
		f.over(ctx, r, w, time.Since(began))
		if broken != nil {
			panic(http.ErrAbortHandler) // half an answer must not look like a whole one
		}
	}()
	f.Next.ServeHTTP(w, r)
}

// over logs and counts a request. Of the address only the path is logged: a query may hold
// what is nobody's business.
func (f *Front) over(ctx context.Context, r *http.Request, w *response, took time.Duration) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	operation := operationOf(r)
	f.Meter.Request(operation, w.status, took, strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream"))
	f.Log.DebugContext(ctx, "request", "method", r.Method, "path", r.URL.Path, "operation", operation, "status", w.status,
		"bytes", w.bytes, logging.Took, took, logging.Source, f.Callers.ClientOf(r))
}

// methods are those that have a name in counters: a client may write any word there.
var methods = map[string]bool{
	http.MethodGet: true, http.MethodHead: true, http.MethodPost: true, http.MethodPut: true,
	http.MethodPatch: true, http.MethodDelete: true, http.MethodOptions: true,
}

// operationOf names what a request was for, by the pattern that it matched.
func operationOf(r *http.Request) string {
	pattern := r.Pattern
	if strings.Contains(pattern, " ") {
		return pattern
	}
	method := "OTHER"
	if methods[r.Method] {
		method = r.Method
	}
	return strings.TrimSpace(method + " " + pattern)
}

// sorry is the answer of a handler that panicked.
func sorry(w http.ResponseWriter, id string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(http.StatusInternalServerError)
	_ = json.NewEncoder(w).Encode(map[string]any{ // a client that went away needs no answer
		"status": http.StatusInternalServerError, "title": http.StatusText(http.StatusInternalServerError),
		"detail": "something went wrong here; the server's log says more", "instance": "urn:ownline:request:" + id,
	})
}

// response notes what was answered. http.ResponseController finds the writer below it.
type response struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// Unwrap returns the writer below.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader notes the status.
func (w *response) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK { // those below are no answer yet
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write counts the bytes.
func (w *response) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}
