package apiclient

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

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
	URL         string          `json:"url,omitempty"`
}

// OpenRequest asks for a session.
type OpenRequest struct {
	Service    string `json:"service"`
	For        string `json:"for,omitempty"`         // a duration like 30m; "": the default
	PublicPort uint16 `json:"public_port,omitempty"` // 0: any
	Source     string `json:"source,omitempty"`      // "": where the request comes from
}

// Renewal says how much longer a session is to last.
type Renewal struct {
	For string `json:"for,omitempty"` // from now; "": the default
}

// SessionQuery selects sessions; what is zero selects all.
type SessionQuery struct {
	State   string // live, opening, active or ended
	Reason  string // why they ended
	Service string
	Site    string
	Device  string
	User    string // (admin)
	Source  string // an address that they let in
	From    time.Time
	Until   time.Time
	All     bool // everybody's (admin)
	Limit   int  // the newest so many; 0: all
}

// Sessions lists sessions, the newest first.
func (c *Client) Sessions(ctx context.Context, q SessionQuery) ([]Session, error) {
	v := query("state", q.State, "reason", q.Reason, "service", q.Service, "site", q.Site, "device", q.Device,
		"user", q.User, "source", q.Source, "from", moment(q.From), "until", moment(q.Until))
	if q.All {
		v.Set("all", "true")
	}
	return newest(ctx, c, "/sessions", v, q.Limit, []Session{})
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
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

// Renew lets a session last longer.
func (c *Client) Renew(ctx context.Context, id string, in Renewal) (Session, error) {
	return call[Session](ctx, c, http.MethodPost, "/sessions/"+url.PathEscape(id)+"/renew", in)
}

// Close ends a session.
func (c *Client) Close(ctx context.Context, id string) (Session, error) {
	return call[Session](ctx, c, http.MethodDelete, "/sessions/"+url.PathEscape(id), nil)
}

// Flushed is how many sessions were ended.
type Flushed struct {
	Ended int `json:"ended"`
}

// Flush ends the user's sessions, or everybody's (admin).
func (c *Client) Flush(ctx context.Context, everybody bool) (Flushed, error) {
	var out Flushed
	v := url.Values{}
	if everybody {
		v.Set("all", "true")
	}
	err := c.do(ctx, http.MethodDelete, "/sessions", v, nil, nil, &out)
	return out, err
}
