package apiclient

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Invitation is a link by which somebody without an account opens sessions to a service.
type Invitation struct {
	ID          string     `json:"id"`
	User        string     `json:"user"`
	UserName    string     `json:"user_name"`
	Service     string     `json:"service"`
	ServiceName string     `json:"service_name"`
	Site        string     `json:"site"`
	SiteName    string     `json:"site_name"`
	URL         string     `json:"url,omitempty"` // of a service of kind proxy
	Message     string     `json:"message,omitempty"`
	For         string     `json:"for"`
	Uses        int        `json:"uses"`
	Used        int        `json:"used"`
	Countries   []string   `json:"countries"`
	State       string     `json:"state"` // valid, used, expired or revoked
	Created     time.Time  `json:"created"`
	Expires     time.Time  `json:"expires"`
	Revoked     *time.Time `json:"revoked,omitempty"`
}

// Invited is a new invitation with its link, which is shown only once.
type Invited struct {
	Invitation
	Link       string `json:"link"`
	InsideLink string `json:"inside_link,omitempty"` // when Link leads to another host than the server
}

// InviteRequest asks for an invitation.
type InviteRequest struct {
	Service   string   `json:"service"`
	Message   string   `json:"message,omitempty"`
	For       string   `json:"for,omitempty"`        // of each session, a duration like 30m; "": the default
	Uses      int      `json:"uses,omitempty"`       // 0: one
	ExpiresIn string   `json:"expires_in,omitempty"` // "": a day
	Countries []string `json:"countries,omitempty"`
}

// InvitationQuery selects invitations; what is zero selects all.
type InvitationQuery struct {
	State   string // valid, used, expired or revoked
	Service string
	Site    string
	User    string // who invites (admin)
	All     bool   // everybody's (admin)
}

// Invite makes an invitation. Its link is told only here.
func (c *Client) Invite(ctx context.Context, r InviteRequest) (Invited, error) {
	var out Invited
	err := c.do(ctx, http.MethodPost, "/invitations", nil, nil, r, &out)
	return out, err
}

// Invitations lists invitations, the newest first.
func (c *Client) Invitations(ctx context.Context, q InvitationQuery) ([]Invitation, error) {
	v := query("state", q.State, "service", q.Service, "site", q.Site, "user", q.User)
	if q.All {
		v.Set("all", "true")
	}
	return all[Invitation](ctx, c, "/invitations", v)
}

// RevokeInvitation makes an invitation worthless, and ends the sessions that it opened.
func (c *Client) RevokeInvitation(ctx context.Context, id string) (Invitation, error) {
	var out Invitation
	err := c.do(ctx, http.MethodDelete, "/invitations/"+url.PathEscape(id), nil, nil, nil, &out)
	return out, err
}
