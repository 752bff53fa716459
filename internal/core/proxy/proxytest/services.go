package proxytest

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/ownline/ownline/internal/core/proxy"
)

func portOf(s proxy.Settings) string { return strconv.Itoa(int(s.Port)) }

// Seen is what a service saw of a request, and answers it with at /echo.
type Seen struct {
	Service, Method, URI, Host, Proto string
	Header                            http.Header
	Body                              int64
	Trailer                           http.Header
}

// Service is a real HTTP server in the LAN of a test.
type Service struct {
	Addr netip.AddrPort
	Name string
	srv  *http.Server

	mu      sync.Mutex
	seen    []Seen
	began   chan string // paths of requests that wait
	gone    chan string // and of those whose client left
	arrived chan int    // bytes of a body as they come
}

// Requests returns what was seen since the start.
func (s *Service) Requests() []Seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Seen(nil), s.seen...)
}

// StartHTTP starts a service; over TLS if there is a certificate, and with HTTP/2 if two.
func StartHTTP(t testing.TB, at netip.Addr, name string, cert *tls.Certificate, two bool) *Service {
	t.Helper()
	l, err := net.Listen("tcp", netip.AddrPortFrom(at, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	s := &Service{
		Addr: netip.MustParseAddrPort(l.Addr().String()), Name: name,
		began: make(chan string, 16), gone: make(chan string, 16), arrived: make(chan int, 1024),
	}
	// Not net/http's mux, which redirects unclean paths.
	paths := map[string]http.HandlerFunc{}
	paths["/big"] = s.big
	paths["/accelerated"] = func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("X-Accel-Redirect", "/elsewhere")
		h.Set("X-Accel-Limit-Rate", "1000")
		h.Set("X-Accel-Charset", "utf-7")
		io.WriteString(w, content(100000))
	}
	paths["/upload"] = s.upload
	paths["/events"] = s.events
	paths["/wait"] = s.wait
	paths["/refuse"] = func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no", http.StatusRequestEntityTooLarge)
	}
	paths["/broken"] = s.broken
	paths["/ws"] = s.webSocket
	paths["/trailers"] = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Told")
		io.WriteString(w, "body")
		w.Header().Set("X-Told", "after")
		w.Header().Set(http.TrailerPrefix+"X-Untold", "too")
	}
	paths["/redirect"] = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", r.FormValue("to"))
		w.Header().Add("Set-Cookie", "a=b; Path="+r.FormValue("path")+"; HttpOnly")
		w.WriteHeader(http.StatusFound)
	}
	paths["/hop"] = func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Connection", "X-Secret-Hop")
		h.Set("X-Secret-Hop", "1")
		h.Set("Keep-Alive", "timeout=1")
		h.Set("Alt-Svc", `h3=":1"`)
		h.Set("X-Stays", "1")
	}
	paths["/hints"] = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		io.WriteString(w, "page")
	}
	var p http.Protocols
	p.SetHTTP1(!two || cert != nil)
	p.SetHTTP2(two && cert != nil)
	p.SetUnencryptedHTTP2(two && cert == nil)
	s.srv = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := paths[r.URL.Path]; h != nil {
			h(w, r)
			return
		}
		s.echo(w, r)
	}), Protocols: &p, ErrorLog: log.New(io.Discard, "", 0)}
	var over sync.WaitGroup
	over.Go(func() {
		if cert != nil {
			s.srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*cert}}
			s.srv.ServeTLS(l, "", "")
			return
		}
		s.srv.Serve(l)
	})
	t.Cleanup(func() {
		s.srv.Close()
		over.Wait()
	})
	return s
}

func (s *Service) echo(w http.ResponseWriter, r *http.Request) {
	n, _ := io.Copy(io.Discard, r.Body)
	seen := Seen{s.Name, r.Method, r.RequestURI, r.Host, r.Proto, r.Header.Clone(), n, r.Trailer}
	s.mu.Lock()
	s.seen = append(s.seen, seen)
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(seen)
}

// big answers with ?n= bytes, of which ranges can be asked for.
func (s *Service) big(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.ParseInt(r.FormValue("n"), 10, 64)
	if err != nil {
		http.Error(w, "n?", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, io.NewSectionReader(pattern{}, 0, n))
}

// pattern is an endless file.
type pattern struct{}

func (pattern) ReadAt(p []byte, off int64) (int, error) {
	for i := range p {
		p[i] = byte(off + int64(i))
	}
	return len(p), nil
}

func (s *Service) upload(w http.ResponseWriter, r *http.Request) {
	buf := make([]byte, 64<<10)
	var sum int64
	for {
		n, err := r.Body.Read(buf)
		sum += int64(n)
		select {
		case s.arrived <- n:
		default:
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			select {
			case s.gone <- r.URL.Path:
			default:
			}
			return
		}
	}
	fmt.Fprintf(w, "%d %s", sum, r.Trailer.Get("X-Sum"))
}

// events sends one event, and the next only when the client asks for it at /events?next=1.
func (s *Service) events(w http.ResponseWriter, r *http.Request) {
	if r.FormValue("next") != "" {
		s.began <- "next"
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "yes") // which no proxy is to obey
	for i := range 3 {
		fmt.Fprintf(w, "data: %d\n\n", i)
		w.(http.Flusher).Flush()
		select {
		case <-s.began:
		case <-r.Context().Done():
			s.gone <- r.URL.Path
			return
		}
	}
}

// wait answers after ?for=, or tells that the client left.
func (s *Service) wait(w http.ResponseWriter, r *http.Request) {
	d, err := time.ParseDuration(r.FormValue("for"))
	if err != nil {
		http.Error(w, "for?", http.StatusBadRequest)
		return
	}
	io.Copy(io.Discard, r.Body) // or net/http does not see the client leave
	select {
	case s.began <- r.URL.Path:
	default:
	}
	select {
	case <-time.After(d):
		io.WriteString(w, "done")
	case <-r.Context().Done():
		s.gone <- r.URL.Path
	}
}

// broken promises more than it sends.
func (s *Service) broken(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "100")
	io.WriteString(w, "half")
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func (s *Service) webSocket(w http.ResponseWriter, r *http.Request) {
	up := websocket.Upgrader{ReadBufferSize: 512, WriteBufferSize: 512}
	if r.Host == "inner.example" { // else its own check of the Origin holds
		up.CheckOrigin = func(*http.Request) bool { return true }
	}
	c, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer c.Close()
	for {
		kind, b, err := c.ReadMessage()
		if err != nil {
			select {
			case s.gone <- r.URL.Path:
			default:
			}
			return
		}
		if c.WriteMessage(kind, b) != nil {
			return
		}
	}
}

// StartGRPC starts a gRPC server without TLS.
func StartGRPC(t testing.TB, at netip.Addr) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", netip.AddrPortFrom(at, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer()
	grpc_testing.RegisterTestServiceServer(srv, calls{})
	var over sync.WaitGroup
	over.Go(func() { srv.Serve(l) })
	t.Cleanup(func() {
		srv.Stop()
		over.Wait()
	})
	return netip.MustParseAddrPort(l.Addr().String())
}

type calls struct {
	grpc_testing.UnimplementedTestServiceServer
}

func (calls) UnaryCall(_ context.Context, r *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
	return &grpc_testing.SimpleResponse{Payload: r.Payload}, nil
}

// FullDuplexCall answers each message as it comes.
func (calls) FullDuplexCall(s grpc.BidiStreamingServer[grpc_testing.StreamingOutputCallRequest, grpc_testing.StreamingOutputCallResponse]) error {
	for {
		m, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.Send(&grpc_testing.StreamingOutputCallResponse{Payload: m.Payload}); err != nil {
			return err
		}
	}
}

// StartRaw starts a service that does with each connection what it is told to.
func StartRaw(t testing.TB, at netip.Addr, serve func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", netip.AddrPortFrom(at, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	var over sync.WaitGroup
	over.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			over.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		over.Wait()
	})
	return netip.MustParseAddrPort(l.Addr().String())
}

// Nobody returns an address where nobody listens.
func Nobody(t testing.TB, at netip.Addr) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", netip.AddrPortFrom(at, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String())
}
