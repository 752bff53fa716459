package gate

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// TestServe asks over the socket, as a server does.
func TestServe(t *testing.T) {
	live, end := context.WithCancel(t.Context())
	defer end()
	g := start(t, func(ownline.ServiceID, netip.Addr) (context.Context, bool) { return live, true }, netip.MustParseAddrPort("127.0.0.1:1"))
	dial := func() (net.Conn, *bufio.Reader) {
		c, err := net.Dial("unix", g.Socket)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(time.Minute))
		return c, bufio.NewReader(c)
	}
	question := "GET /admit HTTP/1.1\r\nHost: ownline\r\n" + ServiceHeader + ": " + ownline.NewID[ownline.Service]().String() + "\r\n" +
		ClientHeader + ": 127.0.0.2\r\n" + PortHeader + ": 4711\r\n"
	c, br := dial()
	for i, want := range []int{204, 403, 204, 204} { // on one connection
		q := question + "\r\n"
		if i == 2 {
			q = question + "Content-Length: 0\r\n\r\n"
		}
		if want == 403 {
			q = strings.Replace(q, "/admit", "/other", 1)
		}
		io.WriteString(c, q)
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(i, err)
		}
		b, err := io.ReadAll(resp.Body)
		if resp.StatusCode != want || err != nil || len(b) > 0 != (want == 403) || resp.Close {
			t.Errorf("question %d: %s with %d bytes, %v; want %d", i, resp.Status, len(b), err, want)
		}
	}
	for name, q := range map[string]string{
		"the last":          question + "Connection: close\r\n\r\n",
		"of HTTP/1.0":       strings.Replace(question, "HTTP/1.1", "HTTP/1.0", 1) + "\r\n",
		"too long":          question + "X: " + strings.Repeat("x", 2*maxAsk) + "\r\n\r\n",
		"of another age":    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"that is none":      "\x16\x03\x01\r\n\r\n",
		"that ends halfway": question,
	} {
		c, br := dial()
		io.WriteString(c, q)
		c.(*net.UnixConn).CloseWrite()
		resp, err := http.ReadResponse(br, nil)
		may := name == "the last" || name == "of HTTP/1.0"
		if err == nil && (resp.StatusCode == 204) != may || err != nil && may {
			t.Errorf("a question %s: %v, %v", name, resp, err)
		}
		if err == nil {
			io.Copy(io.Discard, resp.Body)
		}
		if _, err := br.ReadByte(); err == nil {
			t.Errorf("a question %s: the connection goes on", name)
		}
	}
	// A question has no body: the answer does not wait for one.
	for _, header := range []string{"Content-Length: 3", "Content-Length: 1000000", "Transfer-Encoding: chunked"} {
		c, br := dial()
		c.SetDeadline(time.Now().Add(30 * time.Second)) // below wait
		io.WriteString(c, question+header+"\r\n\r\n")
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Errorf("%s, and nothing more: %v", header, err)
			continue
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 403 || !resp.Close {
			t.Errorf("%s, and nothing more: %s, closes: %v, %v", header, resp.Status, resp.Close, err)
		}
		if _, err := br.ReadByte(); err != io.EOF {
			t.Errorf("%s: the connection goes on: %v", header, err)
		}
	}
}
