package embedded

import (
	"bufio"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// pool keeps connections of HTTP/1.1 to one service. A request is written and its answer read
// by who asks: net/http's transport has two goroutines at each connection for what goes both
// ways at once, which a request without a body never does, and four changes of goroutine in
// every request cost more than all the rest.
type pool struct {
	dial func(ctx context.Context) (net.Conn, error)

	mu     sync.Mutex
	idle   []*backendConn // the newest last
	timer  *time.Timer    // of the next sweep; nil: none
	closed bool
}

type backendConn struct {
	net.Conn
	br    *bufio.Reader
	quota int64 // bytes that may be read still
	heard bool  // something came since the request
	since time.Time
}

var errLongHead = errors.New("the head of the answer is too long")

// Read keeps heads from growing without end.
func (b *backendConn) Read(p []byte) (int, error) {
	if b.quota <= 0 {
		return 0, errLongHead
	}
	if int64(len(p)) > b.quota {
		p = p[:b.quota]
	}
	n, err := b.Conn.Read(p)
	b.quota -= int64(n)
	b.heard = b.heard || n > 0
	return n, err
}

func newPool(dial func(ctx context.Context) (net.Conn, error)) *pool { return &pool{dial: dial} }

func (p *pool) fresh(ctx context.Context) (*backendConn, error) {
	c, err := p.dial(ctx)
	if err != nil {
		return nil, err
	}
	b := &backendConn{Conn: c}
	b.br = bufio.NewReader(b)
	return b, nil
}

// take returns the connection that was used last; nil when none waits.
func (p *pool) take() *backendConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	b := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	return b
}

func (p *pool) give(b *backendConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) >= maxIdle {
		b.Close()
		return
	}
	b.since = time.Now()
	p.idle = append(p.idle, b)
	if p.timer == nil {
		p.timer = time.AfterFunc(idleBackend, p.sweep)
	}
}

// sweep closes what has waited for too long.
func (p *pool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for n < len(p.idle) && time.Since(p.idle[n].since) >= idleBackend {
		p.idle[n].Close()
		n++
	}
	p.idle = append(p.idle[:0:0], p.idle[n:]...)
	p.timer = nil
	if len(p.idle) > 0 {
		p.timer = time.AfterFunc(time.Until(p.idle[0].since.Add(idleBackend)), p.sweep)
	}
}

func (p *pool) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.idle {
		b.Close()
	}
	p.idle = nil
}

func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	p.drop()
}

// request is what is written to a service: a head without a body.
type request struct {
	method, target, host string
	header               http.Header
	upgrade              string // the protocol to change to; "": none
}

// do asks the service. The request has to be one that may be sent twice: a connection that
// waited may turn out to be closed. Interim answers are told as they come. The body of the
// answer has to be closed.
func (p *pool) do(ctx context.Context, q *request, w http.ResponseWriter) (*http.Response, error) {
	if b := p.take(); b != nil {
		resp, err := p.exchange(ctx, b, q, w)
		if err == nil || b.heard || ctx.Err() != nil {
			return resp, err
		}
		p.drop() // the others are likely as dead
	}
	b, err := p.fresh(ctx)
	if err != nil {
		return nil, err
	}
	return p.exchange(ctx, b, q, w)
}

// exchange owns the connection from here on.
func (p *pool) exchange(ctx context.Context, b *backendConn, q *request, w http.ResponseWriter) (*http.Response, error) {
	stop := context.AfterFunc(ctx, func() { b.Close() })
	resp, err := b.ask(q, w)
	if err != nil {
		stop()
		b.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	resp.Body = &answer{ReadCloser: resp.Body, conn: b, pool: p, stop: stop, last: resp.Close}
	return resp, nil
}

// maxInterim is how many answers with status 1xx may come before the real one.
const maxInterim = 16

func (b *backendConn) ask(q *request, front http.ResponseWriter) (*http.Response, error) {
	b.heard, b.quota = false, maxAnswer
	if err := q.write(b.Conn); err != nil {
		return nil, err
	}
	asked := http.Request{Method: q.method}
	for range maxInterim {
		resp, err := http.ReadResponse(b.br, &asked)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			b.quota = math.MaxInt64
			return resp, nil
		}
		interim(front, resp.StatusCode, resp.Header)
	}
	return nil, errors.New("interim answers without end")
}

func (q *request) write(to io.Writer) error {
	w := writers.Get().(*bufio.Writer)
	w.Reset(to)
	w.WriteString(q.method)
	w.WriteByte(' ')
	w.WriteString(q.target)
	w.WriteString(" HTTP/1.1\r\nHost: ")
	w.WriteString(q.host)
	w.WriteString("\r\n")
	writeHeader(w, q.header)
	if q.upgrade != "" {
		w.WriteString("Connection: Upgrade\r\nUpgrade: ")
		w.WriteString(q.upgrade)
		w.WriteString("\r\n")
	}
	w.WriteString("\r\n")
	err := w.Flush()
	w.Reset(nil)
	writers.Put(w)
	return err
}

// writeHeader writes what net/http has read, and so has checked the names of. A lone CR in a
// value ends a line for some.
func writeHeader(w *bufio.Writer, h http.Header) {
	for name, values := range h {
		for _, v := range values {
			w.WriteString(name)
			w.WriteString(": ")
			if strings.ContainsAny(v, "\r\n\x00") {
				v = strings.NewReplacer("\r", " ", "\n", " ", "\x00", " ").Replace(v)
			}
			w.WriteString(v)
			w.WriteString("\r\n")
		}
	}
}

// answer is the body of an answer. Read to its end, it gives the connection back.
type answer struct {
	io.ReadCloser
	conn *backendConn
	pool *pool
	stop func() bool
	last bool // the connection can't be used again
	over bool
}

// Read reads the body.
func (a *answer) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	if err == io.EOF {
		a.done(!a.last)
	}
	return n, err
}

// Close gives up what was not read.
func (a *answer) Close() error {
	a.done(a.ReadCloser == http.NoBody && !a.last)
	return nil
}

func (a *answer) done(again bool) {
	if a.over {
		return
	}
	a.over = true
	if a.stop() && again && a.conn.br.Buffered() == 0 {
		a.pool.give(a.conn)
		return
	}
	a.conn.Close()
}
