package world

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/ownline/ownline/test/bed"
)

// Map is a JSON object.
type Map = map[string]any

// List is what lists answer.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"`
}

// Session is what tests read of a session.
type Session struct {
	ID         string
	State      string
	Reason     string
	Detail     string
	Service    string
	Source     netip.Prefix
	PublicPort uint16 `json:"public_port"`
	Target     netip.AddrPort
	Expires    time.Time
	Traffic    struct {
		UpBytes   uint64 `json:"up_bytes"`
		DownBytes uint64 `json:"down_bytes"`
	}
}

// API speaks to ownline-web from a host of the bed.
type API struct {
	client *http.Client
	base   string
	token  string
}

// NewAPI makes one that is not signed in.
func NewAPI(from *bed.Host, web netip.AddrPort) *API {
	return &API{
		client: &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{DialContext: from.DialContext}},
		base:   "http://" + web.String() + "/api/v1",
	}
}

// Login gets a bearer token.
func (a *API) Login(ctx context.Context, name, password string) error {
	var got struct{ Token string }
	if err := a.Call(ctx, "POST", "/auth/token", Map{"name": name, "password": password, "label": "world"}, &got); err != nil {
		return err
	}
	a.token = got.Token
	return nil
}

// Problem is an error that the API told.
type Problem struct {
	Status int
	Title  string
	Detail string
	Errors []struct{ Location, Message string }
}

// Error returns all of it on one line.
func (p *Problem) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s: %s", p.Status, p.Title, p.Detail)
	for _, e := range p.Errors {
		fmt.Fprintf(&b, "; %s: %s", e.Location, e.Message)
	}
	return b.String()
}

// Call sends a request; a refusal is a *Problem.
func (a *API) Call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		p := &Problem{}
		if err := json.NewDecoder(resp.Body).Decode(p); err != nil || p.Status == 0 {
			p.Status, p.Title = resp.StatusCode, resp.Status
		}
		return fmt.Errorf("%s %s: %w", method, path, p)
	}
	if out == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

// Create posts a resource and returns its id.
func (a *API) Create(ctx context.Context, path string, in Map) (string, error) {
	var got struct{ ID string }
	if err := a.Call(ctx, "POST", path, in, &got); err != nil {
		return "", err
	}
	return got.ID, nil
}

// Session reads one session.
func (a *API) Session(ctx context.Context, id string) (Session, error) {
	var s Session
	return s, a.Call(ctx, "GET", "/sessions/"+id, nil, &s)
}

// Live lists everybody's live sessions.
func (a *API) Live(ctx context.Context) ([]Session, error) {
	var l List[Session]
	return l.Items, a.Call(ctx, "GET", "/sessions?state=live&all=true&limit=200", nil, &l)
}
