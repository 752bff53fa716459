package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// dial opens what MQTT runs over. TLS takes nobody's word but that of the authorities.
func dial(ctx context.Context, u *url.URL, o Options) (net.Conn, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.Authorities, ServerName: u.Hostname()}
	if o.Certificate != nil {
		cfg.Certificates = []tls.Certificate{*o.Certificate}
	}
	switch u.Scheme {
	case "tls":
		return (&tls.Dialer{Config: cfg}).DialContext(ctx, "tcp", u.Host)
	case "ws", "wss":
		d := websocket.Dialer{Proxy: http.ProxyFromEnvironment, TLSClientConfig: cfg, Subprotocols: []string{"mqtt"}}
		c, resp, err := d.DialContext(ctx, u.String(), nil)
		if err != nil {
			if resp != nil {
				return nil, fmt.Errorf("%w: %s", err, resp.Status)
			}
			return nil, err
		}
		return Stream(c), nil
	default:
		return (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
	}
}

// Stream makes one stream of the messages of a WebSocket, as MQTT has it (version 5, section 6.0).
func Stream(c *websocket.Conn) net.Conn { return &stream{Conn: c} }

type stream struct {
	*websocket.Conn
	rest  io.Reader  // of the message that is read
	write sync.Mutex // the library wants one writer at a time
}

func (s *stream) Read(p []byte) (int, error) {
	for {
		if s.rest == nil {
			_, r, err := s.NextReader()
			if _, closed := errors.AsType[*websocket.CloseError](err); closed {
				return 0, io.EOF
			}
			if err != nil {
				return 0, err
			}
			s.rest = r
		}
		n, err := s.rest.Read(p)
		if err == io.EOF {
			s.rest, err = nil, nil
			if n == 0 {
				continue
			}
		}
		return n, err
	}
}

func (s *stream) Write(p []byte) (int, error) {
	s.write.Lock()
	defer s.write.Unlock()
	if err := s.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (s *stream) SetDeadline(t time.Time) error {
	if err := s.SetReadDeadline(t); err != nil {
		return err
	}
	return s.SetWriteDeadline(t)
}
