//go:build http3

package embedded_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"

	"github.com/ownline/ownline/internal/core/proxy/proxytest"
)

// field is one of a head, written as it is.
type field = qpack.HeaderField

// rawly sends a head, and a body, on a connection of its own; the status is "" when the proxy ended the
// stream instead of answering.
func (w *quicWorld) rawly(t *testing.T, body string, fields ...field) (status string) {
	t.Helper()
	socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(client, 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	at := net.UDPAddrFromAddrPort(netip.AddrPortFrom(inside, w.Settings.Port))
	c, err := quic.Dial(ctx, socket, at, &tls.Config{RootCAs: w.Roots, ServerName: w.Settings.Host("wiki"), NextProtos: []string{http3.NextProtoH3}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseWithError(0, "")
	control, err := c.OpenUniStream()
	if err != nil {
		t.Fatal(err)
	}
	control.Write([]byte{0, 4, 0}) // the control stream, with settings of nothing
	s, err := c.OpenStreamSync(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var block bytes.Buffer
	e := qpack.NewEncoder(&block)
	for _, f := range fields {
		e.WriteField(f)
	}
	head := quicvarint.Append(quicvarint.Append(nil, 1), uint64(block.Len()))
	head = append(head, block.Bytes()...)
	if body != "" {
		head = append(quicvarint.Append(quicvarint.Append(head, 0), uint64(len(body))), body...)
	}
	s.Write(head)
	s.Close()
	s.SetReadDeadline(time.Now().Add(20 * time.Second))
	r := quicvarint.NewReader(s)
	for {
		kind, err := quicvarint.Read(r)
		if err != nil {
			if errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "deadline") {
				t.Error("no answer")
			}
			return ""
		}
		length, err := quicvarint.Read(r)
		if err != nil {
			return ""
		}
		frame := make([]byte, length)
		if _, err := io.ReadFull(r, frame); err != nil {
			return ""
		}
		if kind != 1 {
			continue
		}
		decode := qpack.NewDecoder().Decode(frame)
		if f, err := decode(); err == nil && f.Name == ":status" {
			return f.Value
		}
		return ""
	}
}

// What would be read otherwise behind the proxy than by it does not get there; who asks can't be forged.
func TestHTTP3Smuggling(t *testing.T) {
	w := newQUICWorld(t, func(http.ResponseWriter, *http.Request) {})
	var (
		mu    sync.Mutex
		heard strings.Builder
	)
	at := proxytest.StartRaw(t, inside, func(c net.Conn) { // every byte counts
		buf := make([]byte, 64<<10)
		for {
			n, err := c.Read(buf)
			mu.Lock()
			heard.Write(buf[:n])
			whole := strings.Contains(heard.String(), "\r\n\r\n")
			mu.Unlock()
			if err != nil {
				return
			}
			if whole {
				io.WriteString(c, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
				return
			}
		}
	})
	w.wiki.Target4 = at
	w.apply(w.wiki)
	host := w.Settings.Host("wiki") + ":" + strconv.Itoa(int(w.Settings.Port))
	with := func(more ...field) []field {
		return append([]field{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: host}, {Name: ":path", Value: "/"}}, more...)
	}
	but := func(name, value string) []field {
		all := with()
		for i := range all {
			if all[i].Name == name {
				all[i].Value = value
			}
		}
		return all
	}
	ask := func(t *testing.T, body string, fields []field) (status, got string) {
		t.Helper()
		mu.Lock()
		heard.Reset()
		mu.Unlock()
		status = w.rawly(t, body, fields...)
		mu.Lock()
		defer mu.Unlock()
		return status, heard.String()
	}
	if status, got := ask(t, "", with()); status != "204" || !strings.HasPrefix(got, "GET / HTTP/1.1\r\nHost: "+host+"\r\n") {
		t.Fatalf("an honest request: %q, the service heard %q", status, got)
	}
	long := strings.Repeat("x", 100<<10)
	for name, tc := range map[string]struct {
		body   string
		fields []field
	}{
		"a line in a value":        {"", with(field{Name: "x-a", Value: "b\r\nX-Smuggled: 1"})},
		"a NUL in a value":         {"", with(field{Name: "x-a", Value: "b\x00c"})},
		"a line in a name":         {"", with(field{Name: "x-a: b\r\nx-smuggled", Value: "1"})},
		"a colon in a name":        {"", with(field{Name: "x:a", Value: "1"})},
		"a blank in a name":        {"", with(field{Name: "x a", Value: "1"})},
		"an underscore in a name":  {"", with(field{Name: "x_forwarded_for", Value: "203.0.113.9"})},
		"capitals":                 {"", with(field{Name: "X-A", Value: "1"})},
		"no name":                  {"", with(field{Name: "", Value: "1"})},
		"chunks":                   {"0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n", with(field{Name: "transfer-encoding", Value: "chunked"})},
		"connection":               {"", with(field{Name: "connection", Value: "x-forwarded-for"})},
		"two lengths":              {"abc", with(field{Name: "content-length", Value: "3"}, field{Name: "content-length", Value: "4"})},
		"a length that is none":    {"abc", with(field{Name: "content-length", Value: "+3"})},
		"a line in the path":       {"", but(":path", "/ HTTP/1.1\r\nX-Smuggled: 1\r\n\r\n")},
		"a blank in the path":      {"", but(":path", "/ HTTP/1.1")},
		"a path of another form":   {"", but(":path", "https://other.home.example/")},
		"no path":                  {"", but(":path", "")},
		"a line in the method":     {"", but(":method", "GET / HTTP/1.1\r\nX-Smuggled: 1\r\n\r\nGET")},
		"a method that is refused": {"", but(":method", "TRACE")},
		"another authority":        {"", but(":authority", w.Settings.Host("other"))},
		"authority with a user":    {"", but(":authority", "a@"+host)},
		"a line in the authority":  {"", but(":authority", host+"\r\nX-Smuggled: 1")},
		"another host":             {"", with(field{Name: "host", Value: w.Settings.Host("other")})},
		"two methods":              {"", with(field{Name: ":method", Value: "POST"})},
		"two paths":                {"", with(field{Name: ":path", Value: "/other"})},
		"a late pseudo header":     {"", append([]field{{Name: "x-a", Value: "1"}}, with()...)},
		"an unknown pseudo header": {"", with(field{Name: ":protocol-x", Value: "1"})},
		"a head that is too long":  {"", with(field{Name: "x-a", Value: long})},
		"connect":                  {"", []field{{Name: ":method", Value: "CONNECT"}, {Name: ":authority", Value: host}}},
		"extended connect":         {"", with(field{Name: ":protocol", Value: "websocket"})},
	} {
		t.Run(name, func(t *testing.T) {
			status, got := ask(t, tc.body, tc.fields)
			if got != "" || status != "" && status[0] != '4' && status[0] != '5' {
				t.Errorf("it was answered by %q, and the service heard %.300q", status, got)
			}
		})
	}
	// More of a body than was said is not the next request for the service.
	if _, got := ask(t, "abc", append(but(":method", "POST"), field{Name: "content-length", Value: "2"})); strings.HasSuffix(got, "abc") {
		t.Errorf("of a length of 2 with 3 bytes the service heard %q", got)
	}
	_, got := ask(t, "", with(field{Name: "x-forwarded-for", Value: "203.0.113.9"}, field{Name: "forwarded", Value: "for=203.0.113.9"},
		field{Name: "x-real-ip", Value: "203.0.113.9"}, field{Name: "cookie", Value: "a=1"}, field{Name: "cookie", Value: "__Host-ownline-pass=secret"}))
	if !strings.Contains(got, "\r\nX-Forwarded-For: "+client.String()+"\r\n") || strings.Contains(got, "203.0.113.9") || strings.Contains(got, "secret") {
		t.Errorf("the service heard %q", got)
	}
}

// hello is the first packet of a client that says nothing more.
func hello(t *testing.T, roots *tls.Config, sink *net.UDPConn) []byte {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var over sync.WaitGroup
	defer over.Wait()
	defer cancel()
	over.Go(func() { quic.DialAddr(ctx, sink.LocalAddr().String(), roots, nil) })
	buf := make([]byte, 2048)
	sink.SetReadDeadline(time.Now().Add(20 * time.Second))
	n, err := sink.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	first := bytes.Clone(buf[:n])
	cancel()
	for { // what it said besides
		sink.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, err := sink.Read(buf); err != nil {
			return first
		}
	}
}

// Packets in the name of an admitted source cost no more than a few handshakes; who is there gets in.
func TestHTTP3Flood(t *testing.T) {
	const many = 300
	w := newQUICWorld(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
	sink, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(inside, 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	asks := &tls.Config{RootCAs: w.Roots, ServerName: w.Settings.Host("wiki"), NextProtos: []string{http3.NextProtoH3}, CurvePreferences: []tls.CurveID{tls.X25519}}
	flood, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(client, 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer flood.Close()
	at := net.UDPAddrFromAddrPort(netip.AddrPortFrom(inside, w.Settings.Port))
	var (
		over    sync.WaitGroup
		retries = make(chan struct{}, 10*many)
	)
	over.Go(func() {
		buf := make([]byte, 2048)
		for {
			n, err := flood.Read(buf)
			if err != nil {
				return
			}
			if n > 0 && buf[0]&0xf0 == 0xf0 { // a Retry of version 1
				retries <- struct{}{}
			}
		}
	})
	for range many {
		if _, err := flood.WriteTo(hello(t, asks, sink), at); err != nil {
			t.Fatal(err)
		}
	}
	resp, err := w.over(client).Get(w.url("wiki", "/"))
	if err != nil {
		t.Fatalf("an honest client: %v", err)
	}
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); string(b) != "ok" {
		t.Errorf("%s, %q", resp.Status, b)
	}
	select {
	case <-retries:
	case <-time.After(20 * time.Second):
		t.Errorf("%d hellos without a word more, and nobody had to show where it is", many)
	}
	flood.Close()
	over.Wait()
}

// Bodies pass by over UDP, too, and none of them stays; nor does one that nobody reads.
func TestHTTP3Memory(t *testing.T) {
	const most = 32 << 20
	size := proxytest.Soak[int64](48<<20, 2<<30)
	w := newQUICWorld(t, func(w http.ResponseWriter, r *http.Request) {
		if n, _ := io.Copy(io.Discard, r.Body); n > 0 {
			io.WriteString(w, strconv.FormatInt(n, 10))
			return
		}
		io.Copy(w, io.LimitReader(zeros{}, size))
	})
	c := w.over(client)
	c.Timeout = 0
	before := heap()
	// It asks, and never reads. QUIC counts the heads of answers, too, so a client that fills its own window for
	// a whole connection with what it does not read gets no more answers there; this one's has room.
	idle := w.over(client)
	idle.Timeout = 0
	idle.Transport.(*http3.Transport).QUICConfig = &quic.Config{
		InitialStreamReceiveWindow: 64 << 10, MaxStreamReceiveWindow: 64 << 10, InitialConnectionReceiveWindow: 8 << 20, MaxConnectionReceiveWindow: 8 << 20,
	}
	for range 16 {
		resp, err := idle.Get(w.url("wiki", "/"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
	}
	down, err := c.Get(w.url("wiki", "/"))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, down.Body); n != size || err != nil {
		t.Errorf("%d bytes came, %v", n, err)
	}
	down.Body.Close()
	up, err := c.Post(w.url("wiki", "/"), "application/octet-stream", io.LimitReader(zeros{}, size))
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(up.Body); string(b) != strconv.FormatInt(size, 10) {
		t.Errorf("%s bytes arrived", b)
	}
	up.Body.Close()
	if grown := heap() - before; grown > most {
		t.Errorf("the heap grew by %d MB", grown>>20)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
