package embedded

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/ownline/ownline/internal/core/proxy"
	"github.com/ownline/ownline/internal/core/proxy/page"
)

func TestCheckHead(t *testing.T) {
	for head, want := range map[string]*page.Failure{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n":                                      nil,
		"POST /x?y=z HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n":           nil,
		"POST / HTTP/1.1\r\nhost:a\r\ntransfer-encoding:  Chunked \r\n\r\n":      nil,
		"GET / HTTP/1.0\r\nHost: a\r\n\r\n":                                      nil,
		"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\nX: \xc3\xa4\tb\r\n\r\n":            nil,
		"PROPFIND / HTTP/1.1\r\nHost: a\r\nEmpty:\r\n\r\n":                       nil,
		"GET / HTTP/1.1\r\n\r\n":                                                 page.BadRequest,
		"GET / HTTP/1.1\nHost: a\n\n":                                            page.BadRequest,
		"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n":                                page.BadRequest,
		"GET / HTTP/1.1\r\nHost: a\r\nX_Y: z\r\n\r\n":                            page.BadRequest,
		"GET / HTTP/1.1\r\nHost: a\r\n: z\r\n\r\n":                               page.BadRequest,
		"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n":                          page.BadRequest,
		"GET /#x HTTP/1.1\r\nHost: a\r\n\r\n":                                    page.BadRequest,
		"GET  / HTTP/1.1\r\nHost: a\r\n\r\n":                                     page.BadRequest,
		"GET / http/1.1\r\nHost: a\r\n\r\n":                                      page.BadRequest,
		"GET / HTTP/1.2\r\nHost: a\r\n\r\n":                                      page.BadRequest,
		"get / HTTP/1.1\r\nHost: a\r\n\r\n":                                      page.BadMethod,
		"FOO / HTTP/1.1\r\nHost: a\r\n\r\n":                                      page.BadMethod,
		"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n":                                    page.BadMethod,
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5_0\r\n\r\n":              page.BadRequest,
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n":              page.BadRequest,
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n":                  page.BadRequest,
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n": page.BadRequest,
	} {
		if got := checkHead([]byte(head)); got != want {
			t.Errorf("%q: %v, want %v", head, got, want)
		}
	}
}

// Other servers are given an expression that finds the same.
func TestClimbs(t *testing.T) {
	expression := regexp.MustCompile("(?i)" + proxy.Climbs)
	for path, want := range map[string]bool{
		"/": false, "/a/b": false, "/a..b/..c/d..": false, "/...": false, "/?x=/../": false, "/a%2fb": false, "/%2e": false, "": false,
		"/..": true, "/../": true, "/a/..": true, "/a/../b": true, "/%2e%2e/": true, "/.%2E/x": true, "/a%2f..": true, "/a%5C..%5cb": true,
		`/a\..\b`: true, "/..;x/": true, "/..?x": true,
	} {
		if got := climbs(path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
		if got := expression.MatchString(path); got != want {
			t.Errorf("%s: %v by the expression, want %v", path, got, want)
		}
	}
}

// What the check lets through, net/http reads as one request with one host and one length, and
// without another inside.
func FuzzCheckHead(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
	f.Add([]byte("POST /x HTTP/1.0\r\nHost: a\r\nContent-Length: 3\r\n\r\n"))
	f.Add([]byte("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"))
	f.Fuzz(func(t *testing.T, head []byte) {
		if checkHead(head) != nil {
			return
		}
		br := bufio.NewReader(bytes.NewReader(head))
		r, err := http.ReadRequest(br)
		if err != nil {
			return // refused after all
		}
		if r.Header["Host"] != nil && len(r.Header["Host"]) != 1 || !strings.HasPrefix(r.RequestURI, "/") || !methods[r.Method] {
			t.Errorf("%q was let through", head)
		}
		if r.ContentLength >= 0 && len(r.TransferEncoding) > 0 {
			t.Errorf("%q has two lengths", head)
		}
		if r.ContentLength == 0 {
			if n, _ := br.Peek(1); len(n) > 0 {
				t.Errorf("%q has something behind its end", head)
			}
		}
		for name := range r.Header {
			if strings.ContainsAny(name, "_ \t\r\n") {
				t.Errorf("%q has a header %q", head, name)
			}
		}
	})
}

// pipe is a connection that has been sent all its bytes.
type pipe struct {
	net.Conn
	io.Reader
}

func (p pipe) Read(b []byte) (int, error) { return p.Reader.Read(b) }

// The guard changes nothing but settings that come twice, and never panics.
func FuzzGuard(f *testing.F) {
	f.Add([]byte{0, 0, 12, frameSettings, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 100, 0, 4, 0, 0, 0, 1})
	f.Add([]byte{0, 0, 3, frameHeaders, flagEndHeaders | flagPadded, 0, 0, 0, 1, 1, 0x82, 0})
	f.Add([]byte{0, 0, 1, frameContinuation, flagEndHeaders, 0, 0, 0, 1, 0x82, 0, 0, 1, 0, 0, 0, 0, 0, 1, 9})
	f.Fuzz(func(t *testing.T, frames []byte) {
		in := append([]byte(http2Preface), frames...)
		out, err := io.ReadAll(newGuard(pipe{Reader: bytes.NewReader(in)}))
		if err == nil && len(out) == len(in) && !bytes.Equal(out, in) {
			t.Errorf("%x became %x", in, out)
		}
		if len(out) > len(in) {
			t.Errorf("%x grew to %x", in, out)
		}
	})
}

const http2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

func TestGuard(t *testing.T) {
	block := func(fields ...string) []byte {
		var b bytes.Buffer
		e := hpack.NewEncoder(&b)
		for _, name := range fields {
			name, value, _ := strings.Cut(name, ": ")
			if err := e.WriteField(hpack.HeaderField{Name: name, Value: value}); err != nil {
				t.Fatal(err)
			}
		}
		return b.Bytes()
	}
	frame := func(kind, flags byte, payload []byte) []byte {
		return append([]byte{0, byte(len(payload) >> 8), byte(len(payload)), kind, flags, 0, 0, 0, 1}, payload...)
	}
	window := func(n byte) []byte { return []byte{0, 4, 0, 0, 0, n} }
	for what, tc := range map[string]struct {
		in, out []byte
		ok      bool
	}{
		"a request":            {frame(frameHeaders, flagEndHeaders, block("a: b", "te: trailers")), nil, true},
		"connection":           {frame(frameHeaders, flagEndHeaders, block("connection: close")), nil, false},
		"te":                   {frame(frameHeaders, flagEndHeaders, block("te: gzip")), nil, false},
		"padded, with weights": {frame(frameHeaders, flagEndHeaders|flagPadded|flagPriority, append(append([]byte{2, 0, 0, 0, 0, 9}, block("upgrade: x")...), 0, 0)), nil, false},
		"in a continuation":    {append(frame(frameHeaders, 0, block("a: b")), frame(frameContinuation, flagEndHeaders, block("keep-alive: 1"))...), nil, false},
		"nonsense":             {frame(frameHeaders, flagEndHeaders, []byte{0xff, 0xff, 0xff}), nil, false},
		"settings once":        {frame(frameSettings, 0, window(1)), nil, true},
		"settings twice":       {frame(frameSettings, 0, append(window(100), window(1)...)), frame(frameSettings, 0, window(1)), true},
		"data":                 {frame(0, 0, []byte("connection")), nil, true},
	} {
		if tc.out == nil {
			tc.out = tc.in
		}
		got, err := io.ReadAll(newGuard(pipe{Reader: strings.NewReader(http2Preface + string(tc.in))}))
		if (err == nil) != tc.ok || tc.ok && string(got) != http2Preface+string(tc.out) {
			t.Errorf("%s: %x, %v", what, got, err)
		}
	}
}
