package apiclient

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// User is a person with a login.
type User struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Role     string    `json:"role"`
	Disabled bool      `json:"disabled"`
	Created  time.Time `json:"created"`
	// MustChange: an admin has set the password, and the user has to choose another.
	MustChange bool `json:"must_change_password"`
}

// NewUser is what is told of a new user.
type NewUser struct {
	Name     string `json:"name"`
	Password string `json:"password"`
	Role     string `json:"role,omitempty"` // "": user
}

// UserChange changes what is not nil.
type UserChange struct {
	Name     *string `json:"name,omitempty"`
	Password *string `json:"password,omitempty"`
	Role     *string `json:"role,omitempty"`
	Disabled *bool   `json:"disabled,omitempty"`
}

// Users lists users (admin).
func (c *Client) Users(ctx context.Context) ([]User, error) { return all[User](ctx, c, "/users", nil) }

// AddUser makes a user (admin).
func (c *Client) AddUser(ctx context.Context, in NewUser) (User, error) {
	return call[User](ctx, c, http.MethodPost, "/users", in)
}

// ChangeUser changes a user (admin).
func (c *Client) ChangeUser(ctx context.Context, id string, in UserChange) (User, error) {
	return call[User](ctx, c, http.MethodPatch, "/users/"+url.PathEscape(id), in)
}

// RemoveUser removes a user (admin).
func (c *Client) RemoveUser(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, "/users/"+url.PathEscape(id), nil, nil, nil, nil)
}

// Service is something private in a site.
type Service struct {
	ID        string                `json:"id"`
	Site      string                `json:"site"`
	Name      string                `json:"name"`
	Kind      string                `json:"kind"`
	Transport string                `json:"transport"`
	Target    string                `json:"target,omitempty"`
	Target6   string                `json:"target6,omitempty"`
	Options   *ownline.ProxyOptions `json:"options,omitempty"`   // of kind proxy
	Everybody bool                  `json:"everybody,omitempty"` // no grant is needed
	Icon      string                `json:"icon,omitempty"`
	Created   time.Time             `json:"created"`
	URL       string                `json:"url,omitempty"` // of kind proxy
}

// NewService is what is told of a new service.
type NewService struct {
	Site      string                `json:"site"`
	Name      string                `json:"name"`
	Kind      string                `json:"kind,omitempty"`      // "": forward
	Transport string                `json:"transport,omitempty"` // "": tcp
	Target    string                `json:"target,omitempty"`
	Target6   string                `json:"target6,omitempty"`
	Options   *ownline.ProxyOptions `json:"options,omitempty"` // of kind proxy
	Icon      string                `json:"icon,omitempty"`
}

// ServiceChange changes what is not nil.
type ServiceChange struct {
	Name      *string               `json:"name,omitempty"`
	Transport *string               `json:"transport,omitempty"`
	Target    *string               `json:"target,omitempty"` // "": none
	Target6   *string               `json:"target6,omitempty"`
	Options   *ownline.ProxyOptions `json:"options,omitempty"` // all of them
	Icon      *string               `json:"icon,omitempty"`
}

// Services lists the services that the user can see.
func (c *Client) Services(ctx context.Context) ([]Service, error) {
	return all[Service](ctx, c, "/services", nil)
}

// AddService makes a service (admin).
func (c *Client) AddService(ctx context.Context, in NewService) (Service, error) {
	return call[Service](ctx, c, http.MethodPost, "/services", in)
}

// ChangeService changes a service (admin).
func (c *Client) ChangeService(ctx context.Context, id string, in ServiceChange) (Service, error) {
	return call[Service](ctx, c, http.MethodPatch, "/services/"+url.PathEscape(id), in)
}

// PreviewService returns what the site's nginx would be configured with for a service, with other
// options when those are not nil (admin). It changes nothing.
func (c *Client) PreviewService(ctx context.Context, id string, options *ownline.ProxyOptions) (Preview, error) {
	in := struct {
		Options *ownline.ProxyOptions `json:"options,omitempty"`
	}{options}
	return call[Preview](ctx, c, http.MethodPost, "/services/"+url.PathEscape(id)+"/preview", in)
}

// Preview is a part of a configuration.
type Preview struct {
	Text string `json:"text"`
}

// SetIcon gives a service a picture of its own: a PNG, JPEG, WebP or SVG (admin).
func (c *Client) SetIcon(ctx context.Context, id string, picture []byte) (Service, error) {
	kind := http.DetectContentType(picture)
	if kind != "image/png" && kind != "image/webp" {
		kind = "image/svg+xml"
	}
	var out Service
	err := c.do(ctx, http.MethodPut, "/services/"+url.PathEscape(id)+"/icon", nil, http.Header{"Content-Type": {kind}}, picture, &out)
	return out, err
}

// RemoveService removes a service (admin).
func (c *Client) RemoveService(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, "/services/"+url.PathEscape(id), nil, nil, nil, nil)
}

// Grant lets a user use a service.
type Grant struct {
	ID                   string    `json:"id"`
	User                 string    `json:"user"`
	Service              string    `json:"service"`
	Automatic            bool      `json:"automatic"`
	PublicPort           uint16    `json:"public_port,omitempty"`
	AllowReserved        bool      `json:"allow_reserved"`
	MaxDuration          string    `json:"max_duration,omitempty"`
	MaxSources           int       `json:"max_sources,omitempty"`
	RequireClaimedSource bool      `json:"require_claimed_source"`
	AllowedFrom          []string  `json:"allowed_from,omitempty"`
	Created              time.Time `json:"created"`
}

// NewGrant is what is told of a new grant.
type NewGrant struct {
	User                 string   `json:"user"`
	Service              string   `json:"service"`
	Automatic            bool     `json:"automatic,omitempty"`
	PublicPort           uint16   `json:"public_port,omitempty"`
	AllowReserved        bool     `json:"allow_reserved,omitempty"`
	MaxDuration          string   `json:"max_duration,omitempty"`
	MaxSources           int      `json:"max_sources,omitempty"`
	RequireClaimedSource bool     `json:"require_claimed_source,omitempty"`
	AllowedFrom          []string `json:"allowed_from,omitempty"`
}

// GrantChange changes what is not nil.
type GrantChange struct {
	Automatic            *bool     `json:"automatic,omitempty"`
	PublicPort           *uint16   `json:"public_port,omitempty"`
	AllowReserved        *bool     `json:"allow_reserved,omitempty"`
	MaxDuration          *string   `json:"max_duration,omitempty"`
	MaxSources           *int      `json:"max_sources,omitempty"`
	RequireClaimedSource *bool     `json:"require_claimed_source,omitempty"`
	AllowedFrom          *[]string `json:"allowed_from,omitempty"`
}

// GrantQuery selects grants; "" selects all.
type GrantQuery struct{ User, Service, Site, Automatic string }

// Grants lists grants: an admin all, others their own.
func (c *Client) Grants(ctx context.Context, q GrantQuery) ([]Grant, error) {
	return all[Grant](ctx, c, "/grants", query("user", q.User, "service", q.Service, "site", q.Site, "automatic", q.Automatic))
}

// AddGrant lets a user use a service (admin).
func (c *Client) AddGrant(ctx context.Context, in NewGrant) (Grant, error) {
	return call[Grant](ctx, c, http.MethodPost, "/grants", in)
}

// ChangeGrant changes a grant (admin).
func (c *Client) ChangeGrant(ctx context.Context, id string, in GrantChange) (Grant, error) {
	return call[Grant](ctx, c, http.MethodPatch, "/grants/"+url.PathEscape(id), in)
}

// RemoveGrant takes a grant away (admin).
func (c *Client) RemoveGrant(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, "/grants/"+url.PathEscape(id), nil, nil, nil, nil)
}
