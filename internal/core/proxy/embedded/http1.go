package embedded

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/core/proxy/page"
	"github.com/ownline/ownline/internal/logging"
)

const (
	watchAfter  = 50 * time.Millisecond  // a request that lasts longer is watched for its client leaving
	lingerBytes = 256 << 10              // of a body that nobody wants are read still
	lingerTime  = 500 * time.Millisecond // and for so long
)

// http1 serves one connection that speaks HTTP/1.1, one request after the other.
type http1 struct {
	s   *Server
	c   *conn
	tls *tls.Conn
	br  *bufio.Reader
	bw  *bufio.Writer

	// While a request is served nobody reads the connection once its body is through, so
	// nobody would see the client leave. The watch does; for most requests it never starts.
	timer *time.Timer
	mu    sync.Mutex
	quiet bool          // the connection may be watched
	watch chan struct{} // closed when the watch is over; nil: there is none
}

var (
	readers = sync.Pool{New: func() any { return bufio.NewReader(nil) }}
	writers = sync.Pool{New: func() any { return bufio.NewWriter(nil) }}
)

func newHTTP1(s *Server, c *conn, t *tls.Conn) *http1 {
	h := &http1{s: s, c: c, tls: t, br: readers.Get().(*bufio.Reader)}
	h.br.Reset(t)
	h.timer = time.AfterFunc(time.Hour, h.look)
	h.timer.Stop()
	return h
}

func (h *http1) serve() {
	for h.next() {
	}
	h.tls.Close()
	h.timer.Stop()
	h.rest() // a watch that began just now is over with the connection
	if h.br.Size() == 4096 {
		h.br.Reset(nil)
		readers.Put(h.br)
	}
}

// next serves one request, and reports whether another may follow.
func (h *http1) next() bool {
	head, f, err := h.head()
	if err != nil {
		return false
	}
	h.bw = writers.Get().(*bufio.Writer)
	h.bw.Reset(h.tls)
	defer func() {
		h.bw.Reset(nil)
		writers.Put(h.bw)
	}()
	if f == nil {
		f = checkHead(head)
	}
	if f != nil {
		return h.refuse(f, accepted(head))
	}
	in, err := http.ReadRequest(h.br)
	if err != nil {
		return h.refuse(page.BadRequest, http.Header{})
	}
	r := in.WithContext(h.c.ctx)
	b := &body{h: h, from: in.Body, over: in.Body == http.NoBody}
	w := &response{h: h, r: r, body: b, header: make(http.Header, 16)}
	if b.over {
		h.watchLater()
	} else {
		h.tls.SetReadDeadline(time.Time{}) // a body takes as long as it takes
		b.expected = r.ProtoMinor > 0 && hasToken(r.Header["Expect"], "100-continue")
		if !b.expected && len(r.Header["Expect"]) > 0 {
			return h.refuse(badExpect, r.Header)
		}
		b.w = w
		r.Body = b
	}
	whole := h.s.handle(w, r, h.c)
	b.end()
	h.rest()
	if w.hijacked || !whole {
		return false
	}
	if w.finish() != nil {
		return false
	}
	if !w.last && !b.over {
		w.last = !b.drain()
	}
	if w.last {
		h.linger(b)
		return false
	}
	return true
}

// head waits for the head of a request, and returns it unread.
func (h *http1) head() ([]byte, *page.Failure, error) {
	h.tls.SetReadDeadline(time.Now().Add(idleTimeout))
	if _, err := h.br.Peek(1); err != nil {
		return nil, nil, err
	}
	for seen := 0; ; {
		b, _ := h.br.Peek(h.br.Buffered())
		if i := bytes.Index(b[max(0, seen-3):], []byte("\r\n\r\n")); i >= 0 {
			return b[:max(0, seen-3)+i+4], nil, nil
		}
		if i := bytes.IndexByte(b[seen:], '\n'); i >= 0 && (seen+i == 0 || b[seen+i-1] != '\r') {
			return nil, page.BadRequest, nil // or we wait for an end that has come, for some
		}
		if seen == 0 {
			h.tls.SetReadDeadline(time.Now().Add(headTimeout))
		}
		seen = len(b)
		if seen >= maxHead {
			return nil, page.HeadTooLong, nil
		}
		if seen == h.br.Size() {
			h.br = bufio.NewReaderSize(io.MultiReader(bytes.NewReader(bytes.Clone(b)), h.tls), maxHead)
		}
		if _, err := h.br.Peek(seen + 1); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return nil, page.TooSlow, nil
			}
			return nil, nil, err
		}
	}
}

// refuse answers what could not be read, after which nothing can be.
func (h *http1) refuse(f *page.Failure, asked http.Header) bool {
	r := &http.Request{Method: http.MethodGet, ProtoMajor: 1, ProtoMinor: 1, Close: true, Header: http.Header{}}
	w := &response{h: h, r: r, body: &body{h: h, over: true}, header: http.Header{}}
	f.Answer(w, r.Method, asked, h.c.route.service.Name)
	if w.finish() == nil {
		h.linger(w.body)
	}
	if h.s.AccessLog != nil {
		h.s.AccessLog.Info("request", logging.Service, h.c.route.service.Name, logging.Source, h.c.source, "status", f.Status, "refused", f.Name)
	}
	return false
}

// linger lets the client read the answer: closed with something unread, the connection would
// be reset, and the answer lost.
func (h *http1) linger(b *body) {
	if b.over && h.br.Buffered() == 0 && b.from != nil {
		return
	}
	h.tls.CloseWrite()
	h.tls.SetReadDeadline(time.Now().Add(lingerTime))
	io.Copy(io.Discard, io.LimitReader(h.tls, 16*lingerBytes))
}

// watchLater begins the watch if the request lasts.
func (h *http1) watchLater() {
	h.mu.Lock()
	h.quiet = true
	h.mu.Unlock()
	h.timer.Reset(watchAfter)
}

func (h *http1) look() {
	h.mu.Lock()
	if !h.quiet || h.watch != nil {
		h.mu.Unlock()
		return
	}
	over := make(chan struct{})
	h.watch = over
	h.tls.SetReadDeadline(time.Time{})
	h.mu.Unlock()
	defer close(over)
	if _, err := h.br.Peek(1); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		h.c.end()
	}
}

// rest ends the watch.
func (h *http1) rest() {
	h.timer.Stop()
	h.mu.Lock()
	h.quiet = false
	over := h.watch
	h.watch = nil
	h.mu.Unlock()
	if over != nil {
		h.tls.SetReadDeadline(time.Unix(1, 0))
		<-over
		h.tls.SetReadDeadline(time.Time{})
	}
}

// body is that of a request. Whoever reads it last may still do so when the answer is
// through; end makes them stop.
type body struct {
	h        *http1
	w        *response
	from     io.ReadCloser
	expected bool // the client waits to be told to send it

	mu     sync.Mutex
	told   bool // the client was
	over   bool // read to its end
	closed bool
	err    error // of the client's making
}

var errBodyOver = errors.New("the request is answered")

// Read reads the body, and asks the client for it when that waits.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return 0, errBodyOver
	case b.over:
		return 0, io.EOF
	}
	if b.expected && !b.told {
		if err := b.w.proceed(); err != nil {
			return 0, err
		}
		b.told = true
	}
	n, err := b.from.Read(p)
	switch {
	case err == io.EOF:
		b.over = true
		b.h.watchLater()
	case err != nil:
		b.err = err
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
			b.h.c.end() // it has left, and did not merely send nonsense
		}
	}
	return n, err
}

// Close does nothing: the connection's loop decides what becomes of the rest.
func (b *body) Close() error { return nil }

// end waits for a Read that is under way, and lets no other begin.
func (b *body) end() {
	if !b.mu.TryLock() {
		b.h.tls.SetReadDeadline(time.Unix(1, 0))
		b.mu.Lock()
		b.h.tls.SetReadDeadline(time.Time{})
	}
	b.closed = true
	b.mu.Unlock()
}

// drain reads what little may be left, so that the connection can be used again.
func (b *body) drain() bool {
	if b.err != nil || b.expected && !b.told {
		return false
	}
	b.h.tls.SetReadDeadline(time.Now().Add(lingerTime))
	n, err := io.CopyN(io.Discard, b.from, lingerBytes)
	b.over = err == io.EOF
	return b.over && n < lingerBytes
}

// broken reports whether the client sent something that is no body.
func (b *body) broken() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err != nil
}
