// Package apiclient is a typed client of the REST API, for the command line, the agent and
// tests.
package apiclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// maxAnswer is more than any answer has, in bytes.
const maxAnswer = 16 << 20

// Client speaks to one server. Safe for concurrent use when its fields are not changed.
type Client struct {
	URL   string // scheme, host and port of the server
	Token string // bearer token; "": not signed in

	Transport http.RoundTripper // what Trusting has made; nil: the system's authorities count
}

// Trusting makes a transport that trusts authorities (PEM) beside those of the system.
func Trusting(authorities []byte) (http.RoundTripper, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(authorities) {
		return nil, ownline.Invalid("ca", "holds no certificate in PEM")
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{RootCAs: roots}
	return t, nil
}

// Problem is an error that the server told: RFC 9457.
type Problem struct {
	Type   string `json:"type"`
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Errors []struct {
		Location string `json:"location"`
		Message  string `json:"message"`
	} `json:"errors"`
}

// Error returns what went wrong: "target: …".
func (p *Problem) Error() string {
	switch {
	case p.Status == http.StatusUnauthorized && p.Detail == "nobody is signed in":
		return "not signed in, or signed out meanwhile; run `ownline login URL`"
	case len(p.Errors) > 1:
		var all []string
		for _, e := range p.Errors {
			all = append(all, strings.TrimPrefix(e.Location, "body.")+": "+e.Message)
		}
		return strings.Join(all, "; ")
	case p.Detail != "":
		return p.Detail
	}
	return fmt.Sprintf("the server answered %d %s", p.Status, http.StatusText(p.Status))
}

// Unwrap returns the kind of error.
func (p *Problem) Unwrap() error {
	switch p.Status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return ownline.ErrInvalid
	case http.StatusUnauthorized:
		return ownline.ErrUnauthorized
	case http.StatusForbidden:
		return ownline.ErrForbidden
	case http.StatusNotFound:
		return ownline.ErrNotFound
	case http.StatusConflict:
		return ownline.ErrConflict
	case http.StatusTooManyRequests:
		return ownline.ErrThrottled
	case http.StatusServiceUnavailable:
		return ownline.ErrUnavailable
	}
	return nil
}

// CheckURL returns the address of a server in the form that Client wants, or an error
// about the field "url".
func CheckURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", ownline.Invalid("url", fmt.Sprintf("%q is not the address of a server, like https://ownline.example.org:9999", s))
	}
	return u.Scheme + "://" + u.Host + strings.TrimRight(u.Path, "/"), nil
}

// do sends a request and reads the answer into out, if that is not nil: as it is into a
// *[]byte.
func (c *Client) do(ctx context.Context, method, path string, query url.Values, header http.Header, in, out any) error {
	req, err := c.request(ctx, method, path, query, in)
	if err != nil {
		return err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	resp, err := (&http.Client{Transport: c.Transport, Timeout: time.Minute, CheckRedirect: noRedirect}).Do(req)
	if err != nil {
		return c.unreachable(err)
	}
	defer resp.Body.Close()
	content, err := c.answer(resp)
	if err != nil || out == nil {
		return err
	}
	if raw, ok := out.(*[]byte); ok {
		*raw = content
		return nil
	}
	if err := json.Unmarshal(content, out); err != nil {
		return fmt.Errorf("%s gave an answer that is not one of Ownline's: %w", c.URL, err)
	}
	return nil
}

func (c *Client) request(ctx context.Context, method, path string, query url.Values, in any) (*http.Request, error) {
	var body io.Reader
	switch b := in.(type) {
	case nil:
	case []byte:
		body = bytes.NewReader(b) // its header says what it is
	default:
		j, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(j)
	}
	target := c.URL + "/api/v1" + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	return req, nil
}

func (c *Client) unreachable(err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok { // says method and address again
		err = ue.Err
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return fmt.Errorf("%s can't be trusted: %w: %w. If its router signs certificates itself (certificate: internal in core.yaml), get the router's authority from an admin (`ownline admin sites root`, or the page of the site) and sign in with `ownline login %s --ca FILE`", c.URL, ownline.ErrUnavailable, err, c.URL)
	}
	return fmt.Errorf("%s can't be reached: %w: %w", c.URL, ownline.ErrUnavailable, err)
}

// answer reads what the server answers; a refusal is a Problem.
func (c *Client) answer(resp *http.Response) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("answer of %s: %w", c.URL, err)
	}
	if resp.StatusCode < 300 {
		return content, nil
	}
	p := &Problem{}
	if json.Unmarshal(content, p) != nil || p.Status == 0 {
		return nil, fmt.Errorf("%s answered %s; is this an Ownline server?", c.URL, resp.Status)
	}
	return nil, p
}

// call sends a request with a body, nil for none, and returns the answer.
func call[T any](ctx context.Context, c *Client, method, path string, in any) (out T, err error) {
	err = c.do(ctx, method, path, nil, nil, in, &out)
	return out, err
}

// query makes parameters of pairs; empty ones are left out.
func query(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	return v
}

// noRedirect keeps the token from being carried elsewhere.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// list is a page of a list.
type list[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"`
}

// items fetches a list that comes in one page.
func items[T any](ctx context.Context, c *Client, path string) ([]T, error) {
	out, err := call[list[T]](ctx, c, http.MethodGet, path, nil)
	return out.Items, err
}

// all fetches every page of a list.
func all[T any](ctx context.Context, c *Client, path string, query url.Values) ([]T, error) {
	return newest(ctx, c, path, query, 0, []T{})
}

// newest fetches the first so many of a list; 0: all.
func newest[T any](ctx context.Context, c *Client, path string, query url.Values, limit int, out []T) ([]T, error) {
	const most = 200 // to a page
	q := url.Values{}
	for k, v := range query {
		q[k] = v
	}
	for {
		size := most
		if limit > 0 {
			size = min(most, limit-len(out))
		}
		q.Set("limit", strconv.Itoa(size))
		var page list[T]
		if err := c.do(ctx, http.MethodGet, path, q, nil, nil, &page); err != nil {
			return nil, err
		}
		out = append(out, page.Items...)
		if page.Next == "" || limit > 0 && len(out) >= limit {
			return out, nil
		}
		q.Set("cursor", page.Next)
	}
}
