package mqttbroker

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/ownline/ownline/internal/broker"
	"github.com/ownline/ownline/internal/logging"
)

// line is one connection, as the library sees it.
type line struct {
	net.Conn           // what MQTT runs over: of TCP, TLS or a WebSocket
	r        io.Reader // what is left of it to read
	began    time.Time
	tcp      *ending // below all; closing it never waits
	from     netip.Prefix
	account  *account // nil: not known yet; set once, under the broker's mu

	// How many packets it may send at once, and since when that is so. Only its reader knows.
	credit int
	at     time.Time
}

func (l *line) Read(p []byte) (int, error) { return l.r.Read(p) }

// Write waits no longer than a client may take: one that reads nothing is left.
func (l *line) Write(p []byte) (int, error) {
	if err := l.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	n, err := l.Conn.Write(p)
	if err != nil {
		l.tcp.Close() // half a packet may be out
	}
	return n, err
}

// SetDeadline is about reading alone: Write has its own.
func (l *line) SetDeadline(t time.Time) error { return l.SetReadDeadline(t) }

// Close ends the connection at once.
func (l *line) Close() error { return l.tcp.Close() }

// allow reports whether it may send one more packet.
func (l *line) allow(now time.Time) bool {
	if earned := int(now.Sub(l.at) / refill); earned > 0 {
		l.credit, l.at = min(burst, l.credit+earned), now
	}
	if l.credit == 0 {
		return false
	}
	l.credit--
	return true
}

// accept takes connections until the listener is closed, and returns when all have ended.
func (b *Broker) accept(ctx context.Context, listener net.Listener) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer b.closeAll()
	for {
		conn, err := listener.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("embedded broker: %w", err)
		case err != nil: // too many open files, say
			b.o.Log.Warn("the embedded broker can't take a connection", logging.Err, err)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
			continue
		}
		l := &line{tcp: newEnding(conn), began: time.Now(), credit: burst, at: time.Now()}
		if !b.admit(l) {
			conn.Close()
			continue
		}
		wg.Go(func() {
			defer b.leave(l)
			b.serve(ctx, l)
		})
	}
}

// admit makes room for a connection.
func (b *Broker) admit(l *line) bool {
	if ap, err := netip.ParseAddrPort(l.tcp.RemoteAddr().String()); err == nil {
		addr := ap.Addr().Unmap()
		bits := 32
		if addr.Is6() {
			bits = 64
		}
		l.from, _ = addr.WithZone("").Prefix(bits) // never fails
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	anywhere := func(*line) bool { return true }
	beside := func(o *line) bool { return o.from == l.from }
	if b.from[l.from] >= perAddress && !b.makeRoom(beside) || len(b.lines) >= maxConnections && !b.makeRoom(anywhere) {
		b.refused[crowded]++
		return false
	}
	b.lines[l] = true
	b.from[l.from]++
	return true
}

// makeRoom ends the connection, among some, of who has been here longest without saying who they
// are, and reports whether there is one: an honest device needs a moment for that, and strangers who
// hold all connections, or all behind its address, do not keep it out.
func (b *Broker) makeRoom(among func(*line) bool) bool {
	var oldest *line
	for l := range b.lines {
		if l.account == nil && among(l) && (oldest == nil || l.began.Before(oldest.began)) {
			oldest = l
		}
	}
	if oldest == nil {
		return false
	}
	b.refused[crowded]++
	b.forget(oldest)
	oldest.tcp.Close()
	return true
}

// forget takes a connection off the lists, if it is there still. Call it with mu held.
func (b *Broker) forget(l *line) {
	if !b.lines[l] {
		return
	}
	delete(b.lines, l)
	if b.from[l.from]--; b.from[l.from] == 0 {
		delete(b.from, l.from)
	}
}

func (b *Broker) leave(l *line) {
	l.tcp.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget(l)
	if l.account != nil {
		l.account.connections--
	}
}

func (b *Broker) closeAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for l := range b.lines {
		l.tcp.Close()
	}
}

// serve speaks with a client until the connection ends. How it ends is the client's affair.
func (b *Broker) serve(ctx context.Context, l *line) {
	// The library reads what clients send, and some of it makes it panic. That ends one
	// connection, not web.
	defer func() {
		if fault := recover(); fault != nil {
			b.faulty(l, fault)
		}
	}()
	if err := l.tcp.SetDeadline(time.Now().Add(helloTimeout)); err != nil {
		return
	}
	l.Conn = l.tcp
	if b.o.Certificate != nil {
		conn := tls.Server(l.tcp, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: b.o.Certificate})
		if err := conn.HandshakeContext(ctx); err != nil {
			return
		}
		l.Conn = conn
	}
	in := bufio.NewReaderSize(l.Conn, maxPacket)
	first, err := in.Peek(1)
	if err != nil {
		return
	}
	l.r = in
	if first[0] == 'G' { // GET, and not a CONNECT
		if l.Conn, err = upgrade(l.Conn, in); err != nil {
			return
		}
		l.r = l.Conn
	}
	_ = b.server.EstablishConnection("ownline", l)
}

// faulty counts a packet that made the library panic, and tells of it now and then: who sends
// them must not fill the log.
func (b *Broker) faulty(l *line, fault any) {
	b.mu.Lock()
	b.refused[malformed]++
	n := b.refused[malformed]
	who := "" // none: not known yet
	if l.account != nil {
		who = l.account.name
	}
	quiet := !b.told.IsZero() && time.Since(b.told) < tellAgain
	if !quiet {
		b.told = time.Now()
	}
	b.mu.Unlock()
	if !quiet {
		b.o.Log.Warn("a client sent what the embedded broker can't read; its connection has ended",
			logging.Err, fmt.Sprint(fault), logging.Source, l.tcp.RemoteAddr().String(), "client", who, "so_far", n)
	}
}

// upgrade makes a WebSocket of a connection whose client speaks HTTP. Any page may open one:
// the password decides, and no browser adds it by itself.
func upgrade(conn net.Conn, in *bufio.Reader) (net.Conn, error) {
	limited := bufio.NewReader(io.LimitReader(in, 2*maxPacket))
	r, err := http.ReadRequest(limited)
	if err != nil {
		return nil, err
	}
	if limited.Buffered()+in.Buffered() > 0 {
		return nil, errors.New("it did not wait for the answer")
	}
	u := websocket.Upgrader{
		Subprotocols: []string{"mqtt"}, ReadBufferSize: maxPacket, WriteBufferSize: maxPacket,
		CheckOrigin: func(*http.Request) bool { return true },
	}
	c, err := u.Upgrade(&response{conn: conn, header: make(http.Header)}, r, nil)
	if err != nil {
		return nil, err
	}
	// Upgrading has taken the bound on the time until the name is known away.
	if err := c.SetReadDeadline(time.Now().Add(helloTimeout)); err != nil {
		return nil, err
	}
	c.SetReadLimit(16 * maxPacket) // a message may hold several packets
	return broker.Stream(c), nil
}

// response lets the library for WebSockets answer on a connection that no server of HTTP has.
type response struct {
	conn   net.Conn
	header http.Header
	told   bool
}

func (r *response) Header() http.Header { return r.header }

func (r *response) WriteHeader(status int) {
	if !r.told {
		r.told = true
		fmt.Fprintf(r.conn, "HTTP/1.1 %d %s\r\nConnection: close\r\n\r\n", status, http.StatusText(status))
	}
}

func (r *response) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.conn.Write(p)
}

func (r *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return r.conn, bufio.NewReadWriter(bufio.NewReader(r.conn), bufio.NewWriter(r.conn)), nil
}
