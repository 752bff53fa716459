//go:build http3

package embedded_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/ownline/ownline/internal/core/proxy/embedded"
	"github.com/ownline/ownline/internal/core/proxy/proxytest"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// quicWorld is a proxy that speaks HTTP/3, with two services.
type quicWorld struct {
	proxytest.World
	t           *testing.T
	wiki, other link.Service
}

func newQUICWorld(t *testing.T, handler http.HandlerFunc) *quicWorld {
	t.Helper()
	w := &quicWorld{World: world(t, func(c *embedded.Config) { c.HTTP3 = true }), t: t}
	service := func(name string, h http.HandlerFunc) link.Service {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return link.Service{ID: ownline.NewID[ownline.Service](), Name: name, Target4: netip.MustParseAddrPort(s.Listener.Addr().String())}
	}
	w.wiki = service("wiki", handler)
	w.other = service("other", func(http.ResponseWriter, *http.Request) { t.Error("the other service was reached") })
	w.apply(w.wiki, w.other)
	w.Door.Open(w.wiki.ID, client)
	return w
}

func (w *quicWorld) apply(services ...link.Service) {
	w.t.Helper()
	if err := w.Driver.Apply(w.t.Context(), services); err != nil {
		w.t.Fatal(err)
	}
}

// over returns a client that speaks nothing but HTTP/3, from a source.
func (w *quicWorld) over(from netip.Addr) *http.Client {
	w.t.Helper()
	socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)))
	if err != nil {
		w.t.Fatal(err)
	}
	t := &quic.Transport{Conn: socket}
	rt := &http3.Transport{
		TLSClientConfig: &tls.Config{RootCAs: w.Roots, ClientSessionCache: tls.NewLRUClientSessionCache(4)},
		Dial: func(ctx context.Context, _ string, tc *tls.Config, qc *quic.Config) (*quic.Conn, error) {
			at := net.UDPAddrFromAddrPort(netip.AddrPortFrom(inside, w.Settings.Port))
			return t.DialEarly(ctx, at, tc, qc)
		},
	}
	w.t.Cleanup(func() { rt.Close(); t.Close(); socket.Close() })
	return &http.Client{Transport: rt, Timeout: 30 * time.Second}
}

func (w *quicWorld) url(name, path string) string {
	return fmt.Sprintf("https://%s:%d%s", w.Settings.Host(name), w.Settings.Port, path)
}

// What a service hears of a request over HTTP/3 is what it hears over HTTP/1.1 and HTTP/2.
func TestHTTP3(t *testing.T) {
	w := newQUICWorld(t, func(w http.ResponseWriter, r *http.Request) {
		h := r.Header
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Trailer", "Sum")
		fmt.Fprintf(w, "%s %s host=%s for=%s proto=%s length=%d encoding=%s ours=%t\n", r.Method, r.RequestURI, r.Host, h.Get("X-Forwarded-For"),
			h.Get("X-Forwarded-Proto"), r.ContentLength, strings.Join(r.TransferEncoding, ","), strings.Contains(h.Get("Cookie"), "ownline"))
		w.Header().Set("Sum", fmt.Sprintf("%x", sha256.Sum256(body)))
	})
	c := w.over(client)
	host := fmt.Sprintf("%s:%d", w.Settings.Host("wiki"), w.Settings.Port)
	big := make([]byte, 8<<20)
	rand.Read(big)
	for name, tc := range map[string]struct {
		method string
		body   io.Reader
		want   string
		sum    []byte
	}{
		"get":      {http.MethodGet, nil, "length=0 encoding=", nil},
		"with one": {http.MethodPost, strings.NewReader("hello"), "length=5 encoding=", []byte("hello")},
		"streamed": {http.MethodPost, struct{ io.Reader }{bytes.NewReader(big)}, "length=-1 encoding=chunked", big},
		// A body where nobody expects one, without a length.
		"get with a body": {http.MethodGet, struct{ io.Reader }{strings.NewReader("abc")}, "length=-1 encoding=chunked", []byte("abc")},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), tc.method, w.url("wiki", "/a/b?c=d%20e"), tc.body)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Forwarded-For", "203.0.113.9")
			r.Header.Set("Cookie", "a=b; __Host-ownline-pass=x")
			resp, err := c.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			want := fmt.Sprintf("%s /a/b?c=d%%20e host=%s for=%s proto=https %s ours=false\n", tc.method, host, client, tc.want)
			if err != nil || resp.StatusCode != 200 || resp.ProtoMajor != 3 || string(body) != want {
				t.Errorf("%s, %v: got\n%swant\n%s", resp.Status, err, body, want)
			}
			if got, want := resp.Trailer.Get("Sum"), fmt.Sprintf("%x", sha256.Sum256(tc.sum)); got != want {
				t.Errorf("the body's sum in the trailer is %q, want %q", got, want)
			}
		})
	}
	t.Run("another name on the connection", func(t *testing.T) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url("wiki", "/"), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = fmt.Sprintf("%s:%d", w.Settings.Host("other"), w.Settings.Port)
		resp, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("%s, want 421", resp.Status)
		}
	})
	t.Run("no data before the handshake", func(t *testing.T) {
		again := w.over(client)
		for range 2 {
			resp, err := again.Get(w.url("wiki", "/"))
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.TLS == nil || !resp.TLS.HandshakeComplete {
				t.Error("a request was answered before the handshake was over")
			}
			again.CloseIdleConnections()
		}
	})
	t.Run("browsers are told", func(t *testing.T) {
		tcp := &http.Client{Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: w.Roots},
			DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return w.Dial(ctx, client) },
			ForceAttemptHTTP2: true,
		}}
		resp, err := tcp.Get(w.url("wiki", "/"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		tcp.CloseIdleConnections()
		if got, want := resp.Header.Get("Alt-Svc"), fmt.Sprintf(`h3=":%d"; ma=86400`, w.Settings.Port); got != want {
			t.Errorf("Alt-Svc: %q, want %q", got, want)
		}
	})
}

// A service that closes a kept connection just when it is used again is asked once more, as over
// the other versions of HTTP.
func TestHTTP3Again(t *testing.T) {
	w := newQUICWorld(t, func(http.ResponseWriter, *http.Request) {})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			served.Go(func() {
				defer c.Close()
				in := bufio.NewReader(c)
				if _, err := http.ReadRequest(in); err != nil {
					return
				}
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				in.ReadByte()
			})
		}
	})
	t.Cleanup(func() { l.Close(); served.Wait() })
	w.wiki.Target4 = netip.MustParseAddrPort(l.Addr().String())
	w.apply(w.wiki)
	c := w.over(client)
	for i := range 3 {
		resp, err := c.Get(w.url("wiki", "/"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 {
			t.Errorf("%d: %s, %v", i, resp.Status, err)
		}
		resp.Body.Close()
	}
	w.apply() // closes the connections to the service
}

// Whoever is not admitted gets no certificate, whether there is such a service or not.
func TestHTTP3Refused(t *testing.T) {
	w := newQUICWorld(t, func(http.ResponseWriter, *http.Request) {})
	for name, tc := range map[string]struct {
		from netip.Addr
		host string
	}{"a stranger": {neighbour, "wiki"}, "of another service": {client, "other"}, "no such service": {client, "none"}} {
		t.Run(name, func(t *testing.T) {
			shown := false
			c := w.over(tc.from)
			c.Transport.(*http3.Transport).TLSClientConfig.VerifyConnection = func(tls.ConnectionState) error { shown = true; return nil }
			resp, err := c.Get(w.url(tc.host, "/"))
			var alert *quic.TransportError
			if err == nil || shown || !errors.As(err, &alert) || alert.ErrorCode != 0x170 { // unrecognized_name
				t.Errorf("%v, %v; a certificate was shown: %t", resp, err, shown)
			}
		})
	}
}

// What is under way ends with the session, with the service, and with core.
func TestHTTP3Cut(t *testing.T) {
	for name, end := range map[string]func(w *quicWorld){
		"the session ends": func(w *quicWorld) { w.Door.Shut(w.wiki.ID, client) },
		"the service changes": func(w *quicWorld) {
			changed := w.wiki
			changed.Options.PathPrefix = "/x"
			w.apply(changed, w.other)
		},
		"the service is gone": func(w *quicWorld) { w.apply(w.other) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newQUICWorld(t, func(w http.ResponseWriter, r *http.Request) {
				for i := 0; r.Context().Err() == nil; i++ {
					fmt.Fprintf(w, "event %d\n", i)
					w.(http.Flusher).Flush()
					time.Sleep(5 * time.Millisecond)
				}
			})
			c := w.over(client)
			resp, err := c.Get(w.url("wiki", "/"))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			lines := bufio.NewReader(resp.Body)
			if line, err := lines.ReadString('\n'); err != nil || line != "event 0\n" { // it is not held back
				t.Fatalf("%q, %v", line, err)
			}
			end(w)
			if _, err := io.Copy(io.Discard, lines); err == nil {
				t.Error("the answer looks whole")
			}
			w.Door.Shut(w.wiki.ID, client)
			if resp, err := c.Get(w.url("wiki", "/")); err == nil {
				t.Errorf("afterwards: %s", resp.Status)
			}
		})
	}
}
