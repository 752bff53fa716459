package embedded_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/ownline/ownline/internal/core/proxy/proxytest"
	"github.com/ownline/ownline/internal/link"
)

// A length over HTTP/2 that is not the body's never reaches a service: there it would make
// the next request on the connection, somebody else's maybe, part of this one.
func TestLengthOverHTTP2(t *testing.T) {
	at := proxytest.StartRaw(t, inside, func(c net.Conn) {
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			if n == 0 || err != nil {
				return
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	w := world(t)
	id := proxytest.ID("a")
	if err := w.Driver.Apply(t.Context(), []link.Service{{ID: id, Name: "a", Target4: at}}); err != nil {
		t.Fatal(err)
	}
	w.Door.Open(id, client)
	ask := func(method string, body bool, lengths ...string) (status string) {
		t.Helper()
		tcp, err := w.Dial(t.Context(), client)
		if err != nil {
			t.Fatal(err)
		}
		defer tcp.Close()
		c := tls.Client(tcp, w.TLS("a", "h2"))
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
			t.Fatal(err)
		}
		f := http2.NewFramer(c, c)
		f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		var block bytes.Buffer
		enc := hpack.NewEncoder(&block)
		for _, h := range [][2]string{{":method", method}, {":scheme", "https"}, {":path", "/"}, {":authority", "a.home.example"}} {
			_ = enc.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]})
		}
		for _, l := range lengths {
			_ = enc.WriteField(hpack.HeaderField{Name: "content-length", Value: l})
		}
		if err := f.WriteSettings(); err != nil {
			t.Fatal(err)
		}
		if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: !body}); err != nil {
			t.Fatal(err)
		}
		if body {
			if err := f.WriteData(1, true, []byte("12345")); err != nil {
				t.Fatal(err)
			}
		}
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return "closed"
			}
			switch frame := frame.(type) {
			case *http2.MetaHeadersFrame:
				return frame.PseudoValue("status")
			case *http2.RSTStreamFrame, *http2.GoAwayFrame:
				return "reset"
			}
		}
	}
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "POST"} {
		for _, bad := range [][]string{{"5"}, {"-1"}, {"5x"}, {""}, {"+0"}, {"0", "300"}, {"0", "0"}} {
			if s := ask(method, false, bad...); s == "200" {
				t.Errorf("%s without a body, of length %q: %s", method, bad, s)
			}
		}
		// One that is merely wrong may be answered before the body has come: net/http ends the
		// stream then, and the connection to the service with it.
		for _, bad := range [][]string{{"5x"}, {"-5"}, {"0", "300"}, {"5", "5"}} {
			if s := ask(method, true, bad...); s == "200" {
				t.Errorf("%s with a body of 5, of length %q: %s", method, bad, s)
			}
		}
	}
	for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
		if s := ask(method, false, "0"); s != "200" {
			t.Errorf("%s of length 0: %s", method, s)
		}
		if s := ask(method, false); s != "200" {
			t.Errorf("%s: %s", method, s)
		}
	}
	if s := ask("POST", true, "5"); s != "200" {
		t.Errorf("a POST of 5 bytes: %s", s)
	}
}
