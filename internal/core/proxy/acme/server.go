package acme

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"github.com/ownline/ownline/internal/logging"
)

// server answers one challenge at a time, http-01 or tls-alpn-01, and listens only while
// there is one. What does not ask for the answer gets none.
type server struct {
	addrs []netip.AddrPort // all of one port
	hole  Hole             // nil: open anyway
	log   *slog.Logger

	mu    sync.Mutex // guards close
	close func()     // nil: no challenge
}

// Present listens first and opens the hole then: if somebody else has the port, the router's
// own pages say, nobody gets to see them.
func (s *server) Present(ctx context.Context, challenge acme.Challenge) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop()
	handler := http.Handler(answer(challenge))
	var secure *tls.Config
	if challenge.Type == acme.ChallengeTypeTLSALPN01 {
		c, err := acmez.TLSALPN01ChallengeCert(challenge)
		if err != nil {
			return err
		}
		secure, handler = alpn(challenge, c), http.NotFoundHandler() // it is never asked
	}
	listeners, err := listen(s.addrs, secure)
	if err != nil {
		return fmt.Errorf("the challenge can't be answered: %w", err)
	}
	web := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          log.New(io.Discard, "", 0), // strangers may not fill the log
		// The handshake is all there is to it.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){
			acmez.ACMETLS1Protocol: func(*http.Server, *tls.Conn, http.Handler) {},
		},
	}
	web.SetKeepAlivesEnabled(false)
	var serving sync.WaitGroup
	for _, l := range listeners {
		serving.Go(func() {
			if err := web.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				s.log.Error("the challenge is not answered any more", logging.Err, err)
			}
		})
	}
	shut := func() {}
	s.close = func() {
		shut()
		_ = web.Close() // what it closes is of no more use
		serving.Wait()
		for _, l := range listeners {
			_ = l.Close() // if it was not served yet, web did not know it
		}
	}
	if s.hole == nil {
		return nil
	}
	if shut, err = s.hole.Open(ctx, s.addrs[0].Port()); err != nil {
		shut = func() {}
		s.stop()
		return fmt.Errorf("the port for the challenge was not opened: %w", err)
	}
	return nil
}

// listen takes all addresses or none.
func listen(addrs []netip.AddrPort, secure *tls.Config) (all []net.Listener, err error) {
	for _, addr := range addrs {
		l, err := net.Listen("tcp", addr.String())
		if err != nil {
			for _, l := range all {
				l.Close()
			}
			return nil, err
		}
		if secure != nil {
			l = tls.NewListener(l, secure)
		}
		all = append(all, l)
	}
	return all, nil
}

// CleanUp closes the hole, and the port then.
func (s *server) CleanUp(context.Context, acme.Challenge) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop()
	return nil
}

func (s *server) stop() {
	if s.close != nil {
		s.close()
		s.close = nil
	}
}

// answer gives the answer at its path, and to everything else none (RFC 8555, section 8.3).
func answer(challenge acme.Challenge) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if r.Method != http.MethodGet || r.URL.Path != challenge.HTTP01ResourcePath() || host != challenge.Identifier.Value {
			panic(http.ErrAbortHandler) // closes the connection
		}
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, challenge.KeyAuthorization)
	}
}

// alpn shakes hands with who asks for the challenge by its protocol and name (RFC 8737,
// section 3).
func alpn(challenge acme.Challenge, c *tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{acmez.ACMETLS1Protocol},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if hello.ServerName != challenge.Identifier.Value || len(hello.SupportedProtos) != 1 || hello.SupportedProtos[0] != acmez.ACMETLS1Protocol {
				return nil, errors.New("not the challenge")
			}
			return c, nil
		},
	}
}
