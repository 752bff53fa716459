package apiclient

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// Issued is a new bearer token.
type Issued struct {
	Token   string     `json:"token"`
	TokenID string     `json:"token_id"`
	Expires *time.Time `json:"expires,omitempty"`
}

// Me is who is signed in.
type Me struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Role      string    `json:"role"`
	Created   time.Time `json:"created"`
	SiteCount int       `json:"site_count"`
}

// Site is a LAN, as everybody may see it.
type Site struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Host      string `json:"host"`
	Connected bool   `json:"connected"`
}

// Service is something private in a site.
type Service struct {
	ID        string    `json:"id"`
	Site      string    `json:"site"`
	Name      string    `json:"name"`
	Kind      string    `json:"kind"`
	Transport string    `json:"transport"`
	Target    string    `json:"target,omitempty"`
	Target6   string    `json:"target6,omitempty"`
	Icon      string    `json:"icon,omitempty"`
	Created   time.Time `json:"created"`
}

// Grant lets a user use a service.
type Grant struct {
	ID            string    `json:"id"`
	User          string    `json:"user"`
	Service       string    `json:"service"`
	Automatic     bool      `json:"automatic"`
	PublicPort    uint16    `json:"public_port,omitempty"`
	AllowReserved bool      `json:"allow_reserved"`
	MaxDuration   string    `json:"max_duration,omitempty"`
	Created       time.Time `json:"created"`
}

// Session is an open door.
type Session struct {
	ID          string          `json:"id"`
	Site        string          `json:"site"`
	SiteName    string          `json:"site_name"`
	User        string          `json:"user"`
	UserName    string          `json:"user_name"`
	Service     string          `json:"service"`
	ServiceName string          `json:"service_name"`
	Device      string          `json:"device,omitempty"`
	DeviceName  string          `json:"device_name,omitempty"`
	Source      string          `json:"source"`
	PublicPort  uint16          `json:"public_port"`
	Transport   string          `json:"transport"`
	Target      string          `json:"target"`
	State       string          `json:"state"`
	Reason      string          `json:"reason,omitempty"`
	Detail      string          `json:"detail,omitempty"`
	Opened      time.Time       `json:"opened"`
	Expires     time.Time       `json:"expires"`
	Ended       *time.Time      `json:"ended,omitempty"`
	Traffic     ownline.Traffic `json:"traffic"`
	Address     string          `json:"address"`
}

// OpenRequest asks for a session.
type OpenRequest struct {
	Service    string `json:"service"`
	For        string `json:"for,omitempty"`         // a duration like 30m; "": the default
	PublicPort uint16 `json:"public_port,omitempty"` // 0: any
	Source     string `json:"source,omitempty"`      // "": where the request comes from
}

// SignIn exchanges name and password for a bearer token, and uses that from now on.
func (c *Client) SignIn(ctx context.Context, name, password, label string) (Issued, error) {
	var out Issued
	in := map[string]string{"name": name, "password": password, "label": label}
	err := c.do(ctx, http.MethodPost, "/auth/token", nil, nil, in, &out)
	if err == nil {
		c.Token = out.Token
	}
	return out, err
}

// SignOut makes the client's token worthless.
func (c *Client) SignOut(ctx context.Context) error {
	return c.do(ctx, http.MethodPost, "/auth/logout", nil, nil, nil, nil)
}

// Me tells who is signed in.
func (c *Client) Me(ctx context.Context) (Me, error) {
	var out Me
	err := c.do(ctx, http.MethodGet, "/me", nil, nil, nil, &out)
	return out, err
}

// Sites lists the sites that the user can see.
func (c *Client) Sites(ctx context.Context) ([]Site, error) {
	var out struct {
		Items []Site `json:"items"`
	}
	err := c.do(ctx, http.MethodGet, "/sites", nil, nil, nil, &out)
	return out.Items, err
}

// Services lists the services that the user can see.
func (c *Client) Services(ctx context.Context) ([]Service, error) {
	return all[Service](ctx, c, "/services", nil)
}

// Grants lists the grants of one user.
func (c *Client) Grants(ctx context.Context, user string) ([]Grant, error) {
	return all[Grant](ctx, c, "/grants", url.Values{"user": {user}})
}

// SessionQuery selects sessions.
type SessionQuery struct {
	State   string // live, ended or "" for both
	Service string
	All     bool // everybody's (admin)
}

// Sessions lists sessions, the newest first.
func (c *Client) Sessions(ctx context.Context, q SessionQuery) ([]Session, error) {
	v := url.Values{}
	if q.State != "" {
		v.Set("state", q.State)
	}
	if q.Service != "" {
		v.Set("service", q.Service)
	}
	if q.All {
		v.Set("all", "true")
	}
	return all[Session](ctx, c, "/sessions", v)
}

// Open opens a session. The same key gives the same session.
func (c *Client) Open(ctx context.Context, r OpenRequest, key string) (Session, error) {
	var out Session
	header := http.Header{}
	if key != "" {
		header.Set("Idempotency-Key", key)
	}
	err := c.do(ctx, http.MethodPost, "/sessions", nil, header, r, &out)
	return out, err
}

// Close ends a session.
func (c *Client) Close(ctx context.Context, id string) (Session, error) {
	var out Session
	err := c.do(ctx, http.MethodDelete, "/sessions/"+url.PathEscape(id), nil, nil, nil, &out)
	return out, err
}

// Flush ends the user's sessions, or everybody's (admin), and returns how many.
func (c *Client) Flush(ctx context.Context, everybody bool) (int, error) {
	var out struct {
		Ended int `json:"ended"`
	}
	v := url.Values{}
	if everybody {
		v.Set("all", "true")
	}
	err := c.do(ctx, http.MethodDelete, "/sessions", v, nil, nil, &out)
	return out.Ended, err
}
