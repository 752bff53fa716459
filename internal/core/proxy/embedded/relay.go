package embedded

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/core/proxy/login"
	"github.com/ownline/ownline/internal/core/proxy/page"
	"github.com/ownline/ownline/internal/logging"
)

// handle answers one request. It reports whether the answer is whole: if not, the client has
// to be cut off.
func (s *Server) handle(w http.ResponseWriter, r *http.Request, c *conn) bool {
	if s.AccessLog == nil {
		_, _, whole := s.relay(w, r, c)
		return whole
	}
	begin, method, path, proto := time.Now(), r.Method, r.URL.Path, r.Proto
	status, sent, whole := s.relay(w, r, c)
	s.AccessLog.LogAttrs(r.Context(), slog.LevelInfo, "request",
		slog.String(logging.Service, c.route.service.Name), slog.Any(logging.Source, c.source),
		slog.String("method", method), slog.String("path", path), slog.String("protocol", proto),
		slog.Int("status", status), slog.Int64("bytes", sent), slog.Bool("whole", whole),
		slog.Duration(logging.Took, time.Since(begin)))
	return whole
}

// statusGone is logged when the client left before the answer.
const statusGone = 499

func (s *Server) relay(w http.ResponseWriter, r *http.Request, c *conn) (status int, sent int64, whole bool) {
	route := c.route
	fail := func(f *page.Failure) (int, int64, bool) {
		f.Answer(w, r.Method, r.Header, route.service.Name)
		return f.Status, 0, true
	}
	port, f := route.judge(r, c)
	if f != nil {
		return fail(f)
	}
	if route.service.Options.RequireLogin {
		if s.Logins == nil {
			return fail(page.NoLogins)
		}
		live, instead := s.Logins.Admit(login.Request{Service: route.service.ID, Source: c.source, Method: r.Method, URI: r.RequestURI, Header: r.Header})
		if instead != nil {
			return instead.Write(w, r.Method, r.Header, route.service.Name), 0, true
		}
		defer context.AfterFunc(live, c.cut)()
	}
	login.Strip(r.Header) // also when none is required any more: the browser has them still
	upgrade := wantedUpgrade(r)
	told := c.tell(port)
	route.prepare(r, told)
	resp, err := route.ask(r, upgrade, w)
	if err != nil {
		if r.Context().Err() != nil {
			return statusGone, 0, false
		}
		f := s.explain(route, r, err)
		f.Answer(w, r.Method, r.Header, route.service.Name)
		return f.Status, 0, true
	}
	route.ailing.Store(false)
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return s.tunnel(w, r, resp, upgrade)
	}
	defer resp.Body.Close()
	route.tidy(resp, r.Host, told.host)
	if s.alt != nil && r.ProtoMajor < 3 {
		resp.Header["Alt-Svc"] = s.alt
	}
	return passOn(w, r, resp)
}

// judge says why a request may not go to the connection's service, else the port it was asked
// for at.
func (r *route) judge(in *http.Request, c *conn) (port string, _ *page.Failure) {
	if c.live.Err() != nil || r.ctx.Err() != nil {
		return "", page.SessionOver
	}
	if !methods[in.Method] {
		return "", page.BadMethod
	}
	host, port := in.Host, ""
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		host, port = host[:i], host[i+1:]
		if !isLength([]byte(port)) || len(port) > 5 {
			return "", page.BadRequest
		}
	}
	if !strings.EqualFold(host, r.host) {
		return "", page.WrongName
	}
	if also, ok := in.Header["Host"]; ok && (len(also) != 1 || !strings.EqualFold(also[0], in.Host)) {
		return "", page.BadRequest // HTTP/2 has it twice: as :authority, too
	}
	for name := range in.Header {
		if strings.IndexByte(name, '_') >= 0 {
			return "", page.BadRequest
		}
	}
	if !lengthHolds(in) {
		return "", page.BadRequest
	}
	if !strings.HasPrefix(in.RequestURI, "/") || strings.ContainsAny(in.RequestURI, "# \t\r\n\x00") {
		return "", page.BadRequest
	}
	if r.prefix != "" && climbs(in.RequestURI) {
		return "", badPath
	}
	return port, nil
}

// lengthHolds reports whether the length that a request tells is one, and that of its body. Over
// HTTP/2 net/http lets others pass (RFC 9113, section 8.1.1): a length without a body would make
// the service take the next request on the connection for it.
func lengthHolds(in *http.Request) bool {
	told := in.Header["Content-Length"]
	if len(told) == 0 {
		return true
	}
	n, err := strconv.ParseInt(told[0], 10, 64)
	return len(told) == 1 && isLength([]byte(told[0])) && err == nil && n == in.ContentLength
}

// wantedUpgrade returns the protocol that the client wants to change to. HTTP/2 is not: its
// requests would pass by everything that judges and cleans them.
func wantedUpgrade(r *http.Request) string {
	if r.ProtoMajor != 1 || !hasToken(r.Header["Connection"], "upgrade") || r.ContentLength != 0 || r.Method != http.MethodGet {
		return ""
	}
	v := r.Header.Get("Upgrade")
	if l := lower(v); strings.Contains(l, "h2") || strings.Contains(l, "http") || strings.Contains(l, "tls") {
		return ""
	}
	return v
}

// ask sends a prepared request. Interim answers go to w.
func (r *route) ask(in *http.Request, upgrade string, w http.ResponseWriter) (*http.Response, error) {
	b := r.backend
	if upgrade != "" || b.lean && in.ContentLength == 0 && again(in.Method) {
		return b.pool.do(in.Context(), &request{in.Method, in.RequestURI, in.Host, in.Header, upgrade}, w)
	}
	if in.ContentLength == 0 {
		in.Body = http.NoBody
	}
	var (
		mu   sync.Mutex
		over bool // an interim answer may be told late, from a goroutine of the transport's
	)
	trace := &httptrace.ClientTrace{Got1xxResponse: func(status int, h textproto.MIMEHeader) error {
		mu.Lock()
		defer mu.Unlock()
		if !over {
			interim(w, status, http.Header(h))
		}
		return nil
	}}
	resp, err := b.transport.RoundTrip(in.WithContext(httptrace.WithClientTrace(in.Context(), trace)))
	mu.Lock()
	defer mu.Unlock()
	over = true
	return resp, err
}

// interim passes on an answer that comes before the real one. 100 is ours to say, when the
// body is read.
func interim(w http.ResponseWriter, status int, from http.Header) {
	if status == http.StatusContinue {
		return
	}
	h := w.Header()
	removeHop(from)
	copyHeader(h, from)
	w.WriteHeader(status)
	clear(h)
}

// again reports whether a request without a body may be sent twice (RFC 9110, section 9.2.2).
func again(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// explain turns an error into words for the client, and says the rest to the log: once, until
// the service works again.
func (s *Server) explain(r *route, in *http.Request, err error) *page.Failure {
	if b, ok := in.Body.(*body); ok && b.broken() {
		return page.BadRequest // it was the client's fault
	}
	f := badAnswer
	var (
		untrusted *tls.CertificateVerificationError
		dial      *net.OpError
		timeout   net.Error
	)
	switch {
	case errors.As(err, &untrusted), errors.Is(err, errPin):
		f = notTrusted
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		f = page.TimedOut
	case errors.As(err, &dial) && dial.Op == "dial":
		f = page.Unreachable
	}
	level := slog.LevelDebug
	if !r.ailing.Swap(true) {
		level = slog.LevelWarn
	}
	s.Logger.Log(in.Context(), level, "proxied service does not answer properly", logging.Service, r.service.Name, "what", f.Name, logging.Err, err)
	return f
}

// chunk is how much of a body is copied at a time, at most. A third more would spare a sixth of what a
// download costs; each of many slow clients holds one, and what TLS adds to it.
const (
	chunk = room - 512
	room  = 24 << 10 // a size that the runtime has, so that nothing is lost by rounding up
)

var buffers = sync.Pool{New: func() any { return new([chunk]byte) }}

// passOn copies an answer. What has no known length is flushed as it comes.
func passOn(w http.ResponseWriter, r *http.Request, resp *http.Response) (status int, sent int64, whole bool) {
	h := w.Header()
	copyHeader(h, resp.Header)
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // net/http would guess one
	}
	for name := range resp.Trailer {
		h.Add("Trailer", name)
	}
	w.WriteHeader(resp.StatusCode)
	if r.Method == http.MethodHead {
		return resp.StatusCode, 0, true
	}
	stream := resp.ContentLength < 0
	if flusher, ok := w.(http.Flusher); stream && ok {
		flusher.Flush()
	}
	for {
		n, err := part(w, resp.Body, stream)
		sent += int64(n)
		if err == io.EOF {
			break
		}
		if err != nil {
			return resp.StatusCode, sent, false
		}
	}
	for name, values := range resp.Trailer {
		if len(values) > 0 {
			h[http.TrailerPrefix+name] = values
		}
	}
	return resp.StatusCode, sent, true
}

// part copies what comes next of a body. Over HTTP/1.1 its buffer is free again before the client
// has to take anything: what waits for a slow one is there once, sealed already.
func part(w http.ResponseWriter, body io.Reader, stream bool) (n int, err error) {
	front, _ := w.(*response)
	buf := buffers.Get().(*[chunk]byte)
	n, err = body.Read(buf[:chunk-front.waiting()])
	if n == 0 {
		buffers.Put(buf)
		return 0, err
	}
	held := front.hold(n)
	n, failed := w.Write(buf[:n])
	if flusher, ok := w.(http.Flusher); stream && ok {
		flusher.Flush()
	}
	buffers.Put(buf)
	if held {
		if e := front.send(); failed == nil {
			failed = e
		}
	}
	if failed != nil {
		return n, failed
	}
	return n, err
}

func copyHeader(to, from http.Header) {
	for name, values := range from {
		to[name] = values
	}
}
