package link

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// ErrWrongKey says that what answered is not the core that was paired.
var ErrWrongKey = errors.New("the key is not the one in the code")

// ErrUnknownRequest says that core is older than what it was asked for.
var ErrUnknownRequest = errors.New("this core is too old for that: update ownline-core on its router")

// Client is web's end of one core's link. Safe for concurrent use; Close it.
type Client struct {
	transport *http.Transport
}

// Dial opens a connection, as net.Dialer's DialContext does.
type Dial func(ctx context.Context, network, addr string) (net.Conn, error)

// NewClient commands the core with that pin, listening at addr ("HOST:PORT").
func (i *Identity) NewClient(addr string, core Pin) *Client {
	return i.NewClientVia((&net.Dialer{Timeout: 5 * time.Second}).DialContext, addr, core)
}

// NewClientVia is NewClient with connections that dial makes.
func (i *Identity) NewClientVia(dial Dial, addr string, core Pin) *Client {
	config := i.tlsConfig(func(p Pin) error {
		if !p.Equal(core) {
			return ErrWrongKey
		}
		return nil
	})
	return newClient(func(ctx context.Context) (net.Conn, error) {
		conn, err := dial(ctx, "tcp", addr)
		if err != nil {
			return nil, err
		}
		c := tls.Client(conn, config)
		if err := c.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		return c, nil
	})
}

func newClient(dial func(context.Context) (net.Conn, error)) *Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	return &Client{transport: &http.Transport{
		DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		Protocols:      protocols,
		HTTP2:          &http.HTTP2Config{SendPingTimeout: 5 * time.Second, PingTimeout: 3 * time.Second},
		// One that outlived Close, for a command that was on its way, ends as well.
		IdleConnTimeout: 10 * time.Second,
	}}
}

// Close drops the connection once nothing uses it.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Pair presents the token of a pairing code.
func (c *Client) Pair(ctx context.Context, token string) (Status, error) {
	var s Status
	return s, c.call(ctx, "POST", "/v1/pair", PairRequest{token}, &s)
}

// AnnounceKey has core obey that key of web as well. Its error is ErrUnknownRequest when core
// is too old for that.
func (c *Client) AnnounceKey(ctx context.Context, next Pin) error {
	return c.call(ctx, "PUT", "/v1/web-key", NextKey{next}, nil)
}

// Status asks how core is.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	return s, c.call(ctx, "GET", "/v1/status", nil, &s)
}

// PutState sends the whole desired state; the results name the sessions that failed.
func (c *Client) PutState(ctx context.Context, s State) ([]Result, error) {
	var r Results
	return r.Results, c.call(ctx, "PUT", "/v1/state", s, &r)
}

// PutSession opens or renews one session.
func (c *Client) PutSession(ctx context.Context, p Put) error {
	return c.call(ctx, "PUT", "/v1/sessions/"+p.ID.String(), p, nil)
}

// EndSession closes one session. One that core does not know is closed already.
func (c *Client) EndSession(ctx context.Context, rev Revision, id ownline.SessionID) error {
	return c.call(ctx, "DELETE", "/v1/sessions/"+id.String()+rev.query(), nil, nil)
}

// Flush closes every session of this core.
func (c *Client) Flush(ctx context.Context, rev Revision) error {
	return c.call(ctx, "DELETE", "/v1/sessions"+rev.query(), nil, nil)
}

// PutPass adds a pass and a code for it. Its error is ErrUnknownRequest when core is too old.
func (c *Client) PutPass(ctx context.Context, p PutPass) error {
	return c.call(ctx, "PUT", "/v1/passes", p, nil)
}

// Verdict answers the knock with that number; the results name every session of it.
func (c *Client) Verdict(ctx context.Context, seq uint64, v Verdict) ([]Result, error) {
	var r Results
	return r.Results, c.call(ctx, "POST", "/v1/knocks/"+strconv.FormatUint(seq, 10), v, &r)
}

// Preview asks what the proxy's configuration would have for a service.
func (c *Client) Preview(ctx context.Context, s Service) (string, error) {
	var p Preview
	return p.Text, c.call(ctx, "POST", "/v1/preview", s, &p)
}

// Reach asks whether something answers at a target. Its error is ErrUnknownRequest when core is
// too old.
func (c *Client) Reach(ctx context.Context, target netip.AddrPort) (Reached, error) {
	var r Reached
	return r, c.call(ctx, "POST", "/v1/reach", Reach{target}, &r)
}

// Events hands every event to handle, in order, until ctx ends, the link breaks or handle
// returns an error. A slow handle makes core drop the stream.
func (c *Client) Events(ctx context.Context, handle func(Event) error) error {
	resp, err := c.do(ctx, "GET", "/v1/events", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	d := json.NewDecoder(bufio.NewReader(resp.Body))
	for {
		var ev Event
		if err := d.Decode(&ev); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF // the stream has no end of its own
			}
			return fmt.Errorf("events of core: %w", err)
		}
		if err := handle(ev); err != nil {
			return err
		}
	}
}

func (r Revision) query() string {
	return "?" + url.Values{"epoch": {r.Epoch}, "revision": {strconv.FormatUint(r.Revision, 10)}}.Encode()
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
		body = bytes.NewReader(b)
	}
	resp, err := c.do(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("reply of core: %w", err)
	}
	return nil
}

// do sends a request and turns a problem in the reply into its error. What could not be
// sent at all is ownline.ErrUnavailable.
func (c *Client) do(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	// The host is of no account: the pin says who answers.
	req, err := http.NewRequestWithContext(ctx, method, "https://core"+path, body)
	if err != nil {
		return nil, err
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		if errors.Is(err, ErrWrongKey) {
			return nil, fmt.Errorf("%w: %w", ownline.ErrUnavailable, ErrWrongKey)
		}
		return nil, fmt.Errorf("core can't be reached: %w: %w", ownline.ErrUnavailable, err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	var p Problem
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&p); err != nil {
		if resp.StatusCode == http.StatusNotFound {
			return nil, ErrUnknownRequest
		}
		return nil, fmt.Errorf("core answered %s", resp.Status)
	}
	return nil, p.Err()
}
