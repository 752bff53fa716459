// Package apiclient is a typed client of the REST API, for the command line, the agent and
// tests.
package apiclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
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
}

// Problem is an error that the server told: RFC 9457.
type Problem struct {
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

// do sends a request and reads the answer into out, if that is not nil.
func (c *Client) do(ctx context.Context, method, path string, query url.Values, header http.Header, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	target := c.URL + "/api/v1" + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("Accept", "application/json")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	client := &http.Client{Timeout: time.Minute, CheckRedirect: noRedirect}
	resp, err := client.Do(req)
	if err != nil {
		var ue *url.Error // says method and address again
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return fmt.Errorf("%s can't be reached: %w: %w", c.URL, ownline.ErrUnavailable, err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("answer of %s: %w", c.URL, err)
	}
	if resp.StatusCode >= 300 {
		p := &Problem{}
		if json.Unmarshal(content, p) != nil || p.Status == 0 {
			return fmt.Errorf("%s answered %s; is this an Ownline server?", c.URL, resp.Status)
		}
		return p
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(content, out); err != nil {
		return fmt.Errorf("%s gave an answer that is not one of Ownline's: %w", c.URL, err)
	}
	return nil
}

// noRedirect keeps the token from being carried elsewhere.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// all fetches every page of a list.
func all[T any](ctx context.Context, c *Client, path string, query url.Values) ([]T, error) {
	var out []T
	q := url.Values{"limit": {"200"}}
	for k, v := range query {
		q[k] = v
	}
	for {
		var page struct {
			Items []T    `json:"items"`
			Next  string `json:"next"`
		}
		if err := c.do(ctx, http.MethodGet, path, q, nil, nil, &page); err != nil {
			return nil, err
		}
		out = append(out, page.Items...)
		if page.Next == "" {
			return out, nil
		}
		q.Set("cursor", page.Next)
	}
}
