package apiclient

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Login is a browser that is signed in.
type Login struct {
	ID       string    `json:"id"`
	User     string    `json:"user"`
	UserName string    `json:"user_name"`
	Method   string    `json:"method"`
	Address  string    `json:"address,omitempty"`
	Agent    string    `json:"agent,omitempty"`
	Created  time.Time `json:"created"`
	Seen     time.Time `json:"seen"`
	Expires  time.Time `json:"expires"`
	Current  bool      `json:"current"`
}

// LoginAttempt is a try to sign in, or several that were alike.
type LoginAttempt struct {
	ID       string    `json:"id"`
	User     string    `json:"user,omitempty"` // "": the name that was typed is nobody's
	UserName string    `json:"user_name,omitempty"`
	Method   string    `json:"method"`
	Result   string    `json:"result"`
	Address  string    `json:"address,omitempty"`
	Agent    string    `json:"agent,omitempty"`
	At       time.Time `json:"at"`
	Latest   time.Time `json:"latest"` // of several
	Count    int       `json:"count"`
}

// LoginQuery selects whose logins are meant; without a field one's own.
type LoginQuery struct {
	User string // (admin)
	All  bool   // everybody's (admin)
}

// AttemptQuery selects tries to sign in; what is zero selects all.
type AttemptQuery struct {
	LoginQuery
	Method, Result string
	Since, Until   time.Time
	Limit          int // the newest so many; 0: all
}

// SignedOut tells how many logins and tokens were ended.
type SignedOut struct {
	Ended int `json:"ended"`
}

func (q LoginQuery) values() url.Values {
	v := query("user", q.User)
	if q.All {
		v.Set("all", "true")
	}
	return v
}

// Logins lists the browsers that are signed in, the newest first.
func (c *Client) Logins(ctx context.Context, q LoginQuery) ([]Login, error) {
	return all[Login](ctx, c, "/logins", q.values())
}

// LoginAttempts lists who tried to sign in, the newest first.
func (c *Client) LoginAttempts(ctx context.Context, q AttemptQuery) ([]LoginAttempt, error) {
	v := q.values()
	for k, more := range query("method", q.Method, "result", q.Result, "since", moment(q.Since), "until", moment(q.Until)) {
		v[k] = more
	}
	return newest(ctx, c, "/logins/attempts", v, q.Limit, []LoginAttempt{})
}

// EndLogin signs a browser out.
func (c *Client) EndLogin(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, "/logins/"+url.PathEscape(id), nil, nil, nil, nil)
}

// EndLogins signs a user out everywhere else, "" for oneself, and makes the bearer tokens
// worthless, too, if told so.
func (c *Client) EndLogins(ctx context.Context, user string, tokens bool) (out SignedOut, err error) {
	v := query("user", user)
	if tokens {
		v.Set("tokens", "true")
	}
	err = c.do(ctx, http.MethodDelete, "/logins", v, nil, nil, &out)
	return out, err
}
