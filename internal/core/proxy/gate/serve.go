package gate

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	wait   = 2 * time.Minute // for a question, from the end of the one before
	maxAsk = 256 << 10       // bytes of one: servers pass on what they got, and more
)

// server answers one question after the other on a connection. It is asked at every request to
// a service, and net/http's server, with a goroutine that watches each connection, would cost
// as much again as the whole of it.
type server struct {
	answer func(w http.ResponseWriter, r *http.Request)

	mu     sync.Mutex
	conns  map[net.Conn]struct{} // nil once closed
	served sync.WaitGroup
}

// run serves until ctx ends, and waits for everything that it has begun.
func (s *server) run(ctx context.Context, l net.Listener) error {
	s.conns = map[net.Conn]struct{}{}
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	defer s.close()
	defer l.Close()
	const shortest, longest = 5 * time.Millisecond, time.Second
	for pause := shortest; ; {
		c, err := l.Accept()
		if err == nil {
			pause = shortest
			s.begin(c)
			continue
		}
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return err
		}
		select { // too many open files
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, longest)
	}
}

func (s *server) begin(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = struct{}{}
	s.served.Go(func() {
		s.serve(c)
		c.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, c)
	})
}

func (s *server) close() {
	s.mu.Lock()
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.served.Wait()
}

func (s *server) serve(c net.Conn) {
	from := &limited{Conn: c}
	br, bw := bufio.NewReader(from), bufio.NewWriter(c)
	for {
		from.left = maxAsk
		c.SetReadDeadline(time.Now().Add(wait))
		r, err := http.ReadRequest(br)
		if err != nil {
			return // nginx and Caddy take no answer for a no
		}
		w := &answer{header: http.Header{}}
		s.answer(w, r)
		// A body, which the handler refuses, is not waited for.
		last := r.ContentLength != 0 || r.Close || r.ProtoMajor != 1 || r.ProtoMinor == 0
		if w.send(bw, last) != nil || last {
			return
		}
	}
}

// limited keeps a question from growing without end.
type limited struct {
	net.Conn
	left int
}

// Read reads what is left of the question.
func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errors.New("the question is too long")
	}
	n, err := l.Conn.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}

// answer is what a handler says.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// Header returns what will be sent.
func (w *answer) Header() http.Header { return w.header }

// WriteHeader sets the status.
func (w *answer) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

// Write adds to the body.
func (w *answer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.body = append(w.body, p...)
	return len(p), nil
}

func (w *answer) send(b *bufio.Writer, last bool) error {
	w.WriteHeader(http.StatusOK)
	b.WriteString("HTTP/1.1 ")
	b.WriteString(strconv.Itoa(w.status))
	b.WriteByte(' ')
	b.WriteString(http.StatusText(w.status))
	b.WriteString("\r\n")
	if w.status != http.StatusNoContent && w.header["Content-Length"] == nil { // else the handler has told it
		b.WriteString("Content-Length: ")
		b.WriteString(strconv.Itoa(len(w.body)))
		b.WriteString("\r\n")
	}
	if last {
		b.WriteString("Connection: close\r\n")
	}
	for name, values := range w.header {
		for _, v := range values {
			b.WriteString(name)
			b.WriteString(": ")
			b.WriteString(v)
			b.WriteString("\r\n")
		}
	}
	b.WriteString("\r\n")
	b.Write(w.body)
	return b.Flush()
}
