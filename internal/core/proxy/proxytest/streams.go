package proxytest

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/gorilla/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/ownline/ownline/internal/ownline"
)

// WebSocket opens one at /ws of a service.
func (w *World) WebSocket(ctx context.Context, from netip.Addr, name string, cookies ...string) (*websocket.Conn, error) {
	d := websocket.Dialer{
		NetDialContext:  func(ctx context.Context, _, _ string) (net.Conn, error) { return w.Dial(ctx, from) },
		TLSClientConfig: w.TLS(name, "http/1.1"), ReadBufferSize: 512, WriteBufferSize: 512, HandshakeTimeout: 30 * time.Second,
	}
	h := http.Header{"Origin": {w.URL(name, "")}}
	if len(cookies) > 0 {
		h["Cookie"] = cookies
	}
	c, resp, err := d.DialContext(ctx, "wss"+strings.TrimPrefix(w.URL(name, "/ws"), "https"), h)
	if resp != nil {
		resp.Body.Close()
	}
	return c, err
}

func (p *part) webSocket(from netip.Addr, name string) *websocket.Conn {
	p.Helper()
	c, err := p.WebSocket(p.Context(), from, name)
	if err != nil {
		p.Fatalf("websocket: %v", err)
	}
	p.Cleanup(func() { c.Close() })
	return c
}

// bounces sends a message and gets it back.
func (p *part) bounces(c *websocket.Conn) {
	p.Helper()
	if err := Bounce(c, "hello"); err != nil {
		p.Errorf("websocket: %v", err)
	}
}

// Bounce sends a message to an echo, and waits for it.
func Bounce(c *websocket.Conn, text string) error {
	if err := c.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		return err
	}
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	defer c.SetReadDeadline(time.Time{})
	_, got, err := c.ReadMessage()
	if err == nil && string(got) != text {
		return io.ErrShortWrite
	}
	return err
}

func (p *part) webSockets() {
	authority := NewAuthority(p)
	cert, secure := p.secure(authority)
	for scheme, s := range map[string]*Service{"http": StartHTTP(p, p.Inside, "a", nil, false), "https": StartHTTP(p, p.Inside, "a", cert, true)} {
		o := ownline.ProxyOptions{Scheme: scheme}
		if scheme == "https" {
			o = secure
		}
		p.serve("a", s.Addr, o)
		c := p.webSocket(p.Client, "a")
		for _, n := range []int{0, 1, 125, 126, 65536, 1 << 20} {
			if err := Bounce(c, strings.Repeat("x", n)); err != nil {
				p.Errorf("%s, %d bytes: %v", scheme, n, err)
			}
		}
		c.Close()
		select {
		case <-s.gone:
		case <-time.After(2 * time.Second):
			p.Errorf("%s: the service did not notice that the client left", scheme)
		}
		if _, err := p.WebSocket(p.Context(), p.Neighbour, "a"); err == nil {
			p.Errorf("%s: the neighbour got a websocket", scheme)
		}
	}
	// Any protocol, with bytes behind the heads at once, and each direction ended by itself.
	raw := StartRaw(p, p.Inside, func(c net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		to := "" // whatever is wished
		if err == nil {
			to = r.Header.Get("Upgrade")
		}
		if to == "" {
			io.WriteString(c, "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n")
			return
		}
		io.WriteString(c, "HTTP/1.1 101 Yes\r\nConnection: upgrade\r\nUpgrade: "+to+"\r\n\r\nfirst,")
		b, _ := io.ReadAll(c) // until the client has ended its direction
		c.Write(b)
	})
	p.serve("a", raw, ownline.ProxyOptions{})
	c, _, err := p.hello(p.Client, "a", "http/1.1")
	if err != nil {
		p.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: "+p.Settings.Host("a")+"\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != 101 {
		p.Fatalf("%v, %v", resp, err)
	}
	io.WriteString(c, "second")
	c.CloseWrite()
	if got, err := io.ReadAll(br); string(got) != "first,second" && !(p.lacks(NoHalfClose) && strings.HasPrefix("first,", string(got))) {
		p.Errorf("%q, %v", got, err)
	}
	// HTTP/2 inside would pass by all that is judged.
	if resp := p.raw("a", "GET / HTTP/1.1\r\nHost: "+p.Settings.Host("a")+"\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n"); resp != nil {
		resp.Body.Close()
		if resp.StatusCode == 101 {
			p.Error("h2c was upgraded to")
		}
	}
}

func (p *part) events() {
	a := StartHTTP(p, p.Inside, "a", nil, false)
	p.serve("a", a.Addr, ownline.ProxyOptions{})
	p.both(p.Client, func(p *part, c *http.Client) {
		resp, err := c.Get(p.URL("a", "/events"))
		if err != nil {
			p.Fatal(err)
		}
		defer resp.Body.Close()
		r := bufio.NewReader(resp.Body)
		for i := range 3 {
			line, err := r.ReadString('\n')
			if err != nil || line != "data: "+itoa(i)+"\n" {
				p.Fatalf("%q, %v", line, err)
			}
			r.ReadString('\n')
			if next, _ := p.get(c, p.URL("a", "/events?next=1")); next.StatusCode != 200 {
				p.Fatal(next.Status)
			}
		}
		if _, err := r.ReadByte(); err != io.EOF {
			p.Errorf("%v after the last event", err)
		}
	})
	p.both(p.Client, func(p *part, c *http.Client) { // a long poll
		if _, got := p.get(c, p.URL("a", "/wait?for=1500ms")); got != "done" {
			p.Errorf("%q", got)
		}
		if _, got, err := p.do(c, "POST", p.URL("a", "/wait?for=300ms"), strings.NewReader("x"), nil); got != "done" {
			p.Errorf("%q, %v", got, err)
		}
	})
}

func (p *part) grpc() {
	p.serve("a", StartGRPC(p, p.Inside), ownline.ProxyOptions{Scheme: ownline.SchemeH2C})
	conn, err := grpc.NewClient("passthrough:///"+p.Settings.Host("a")+":"+portOf(p.Settings),
		grpc.WithTransportCredentials(credentials.NewTLS(p.TLS("a", "h2"))),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return p.Dial(ctx, p.Client) }))
	if err != nil {
		p.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(p.Context(), 20*time.Second)
	defer cancel()
	c := grpc_testing.NewTestServiceClient(conn)
	load := &grpc_testing.Payload{Body: []byte(strings.Repeat("x", 100000))}
	got, err := c.UnaryCall(ctx, &grpc_testing.SimpleRequest{Payload: load})
	if err != nil || string(got.GetPayload().GetBody()) != string(load.Body) {
		p.Fatalf("a call: %v", err)
	}
	if _, err := c.EmptyCall(ctx, &grpc_testing.Empty{}); status.Code(err) != codes.Unimplemented {
		p.Errorf("a call that fails: %v", err) // the status is a trailer
	}
	s, err := c.FullDuplexCall(ctx)
	if err != nil {
		p.Fatal(err)
	}
	for i := range 10 { // each answer is waited for
		if err := s.Send(&grpc_testing.StreamingOutputCallRequest{Payload: &grpc_testing.Payload{Body: []byte{byte(i)}}}); err != nil {
			p.Fatal(err)
		}
		m, err := s.Recv()
		if err != nil || m.Payload.Body[0] != byte(i) {
			p.Fatalf("message %d: %v", i, err)
		}
	}
	s.CloseSend()
	if _, err := s.Recv(); err != io.EOF {
		p.Errorf("%v at the end", err)
	}
	p.serve("a", Nobody(p, p.Inside), ownline.ProxyOptions{Scheme: ownline.SchemeH2C})
	if _, err := c.UnaryCall(ctx, &grpc_testing.SimpleRequest{}, grpc.WaitForReady(true)); status.Code(err) != codes.Unavailable {
		p.Errorf("without a service: %v", err)
	}
}

func (p *part) expect() {
	a := StartHTTP(p, p.Inside, "a", nil, false)
	p.serve("a", a.Addr, ownline.ProxyOptions{})
	host := "Host: " + p.Settings.Host("a") + "\r\n"
	ask := func(path string) (net.Conn, *bufio.Reader, *http.Response) {
		c, _, err := p.hello(p.Client, "a", "http/1.1")
		if err != nil {
			p.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(10 * time.Second))
		io.WriteString(c, "POST "+path+" HTTP/1.1\r\n"+host+"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
		br := bufio.NewReader(c)
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			p.Fatalf("%s: %v", path, err)
		}
		return c, br, resp
	}
	c, br, resp := ask("/upload")
	if resp.StatusCode != 100 {
		p.Fatalf("%s, want to be told to go on", resp.Status)
	}
	io.WriteString(c, "hello")
	resp, err := http.ReadResponse(br, nil)
	for err == nil && resp.StatusCode == 100 { // a proxy's own word, and then the service's (RFC 9110, section 15.2)
		resp, err = http.ReadResponse(br, nil)
	}
	if err != nil || resp.StatusCode != 200 {
		p.Errorf("%v, %v after the body", resp, err)
	}
	// The service's word is the client's: it is not asked for a body that nobody wants.
	if p.lacks(OwnContinue) {
		return
	}
	if _, _, resp := ask("/refuse"); resp.StatusCode != 413 {
		p.Errorf("%s, want the service's refusal", resp.Status)
	}
}

func (p *part) uploads() {
	a := StartHTTP(p, p.Inside, "a", nil, false)
	p.serve("a", a.Addr, ownline.ProxyOptions{})
	p.both(p.Client, func(p *part, c *http.Client) {
		r, w := io.Pipe()
		answer := make(chan string, 1)
		go func() {
			resp, got, err := p.do(c, "POST", p.URL("a", "/upload"), r, nil)
			if err != nil || resp.StatusCode != 200 {
				got = "failed"
			}
			answer <- got
		}()
		for range 3 { // each piece arrives before the next is sent
			w.Write(make([]byte, 1000))
			for n := 0; n < 1000; {
				select {
				case m := <-a.arrived:
					n += m
				case <-time.After(5 * time.Second):
					p.Fatal("a piece of the upload does not arrive before the next is sent")
				}
			}
		}
		w.Close()
		if got := <-answer; got != "3000 " {
			p.Errorf("%q", got)
		}
		for len(a.arrived) > 0 {
			<-a.arrived
		}
	})
}

func (p *part) aborts() {
	a := StartHTTP(p, p.Inside, "a", nil, false)
	p.serve("a", a.Addr, ownline.ProxyOptions{})
	learns := func(p *part, what string) {
		p.Helper()
		select {
		case <-a.gone:
		case <-time.After(5 * time.Second):
			p.Errorf("%s: the service did not notice that the client left", what)
		}
	}
	p.both(p.Client, func(p *part, c *http.Client) {
		for what, body := range map[string]func() io.Reader{
			"waiting":          func() io.Reader { return nil },
			"waiting, posted":  func() io.Reader { return strings.NewReader("x") },
			"waiting, chunked": func() io.Reader { return io.MultiReader(strings.NewReader("x")) },
		} {
			ctx, leave := context.WithCancel(p.Context())
			over := make(chan struct{})
			go func() {
				defer close(over)
				method := "GET"
				b := body()
				if b != nil {
					method = "POST"
				}
				r, err := http.NewRequestWithContext(ctx, method, p.URL("a", "/wait?for=1m"), b)
				if err != nil {
					return
				}
				if resp, err := c.Do(r); err == nil {
					resp.Body.Close()
				}
			}()
			<-a.began
			time.Sleep(100 * time.Millisecond)
			leave()
			<-over
			learns(p, what)
		}
		ctx, leave := context.WithCancel(p.Context())
		defer leave()
		r, err := http.NewRequestWithContext(ctx, "GET", p.URL("a", "/events"), nil)
		if err != nil {
			p.Fatal(err)
		}
		resp, err := c.Do(r)
		if err != nil {
			p.Fatal(err)
		}
		resp.Body.Read(make([]byte, 1))
		time.Sleep(100 * time.Millisecond)
		leave()
		resp.Body.Close()
		learns(p, "listening")
	})
}
