package apiclient

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// SiteProxy is the reverse proxy of a site's router.
type SiteProxy struct {
	Driver string `json:"driver,omitempty"` // "none": there is none
	Domain string `json:"domain,omitempty"`
	Port   uint16 `json:"port,omitempty"`
	Serves bool   `json:"serves"`
	Error  string `json:"error,omitempty"` // only for admins
	// Expires is when the first of its certificates does, for admins; nil: there is none yet.
	Expires *time.Time `json:"certificate_expires,omitempty"`
	Root    bool       `json:"root"` // SiteRoot has a certificate for browsers to trust
}

// Site is a LAN. Only admins get more than the first six.
type Site struct {
	ID              string     `json:"id"`
	Name            string     `json:"name"`
	Host            string     `json:"host"`
	Connected       bool       `json:"connected"`
	Fwknop          bool       `json:"fwknop,omitempty"`
	Proxy           *SiteProxy `json:"proxy,omitempty"` // nil: core has not told
	Link            string     `json:"link,omitempty"`
	Pin             string     `json:"pin,omitempty"`
	KnockPort       uint16     `json:"knock_port,omitempty"`
	LocalNetworks   []string   `json:"local_networks,omitempty"`
	ReservedPorts   []uint16   `json:"reserved_ports,omitempty"`
	IPv6Prefix      int        `json:"ipv6_prefix,omitempty"`
	AllowedFrom     []string   `json:"allowed_from,omitempty"`
	Created         *time.Time `json:"created,omitempty"`
	AppliedRevision *uint64    `json:"applied_revision,omitempty"`
	WantedRevision  *uint64    `json:"wanted_revision,omitempty"`
	CoreVersion     string     `json:"core_version,omitempty"`
	LastContact     *time.Time `json:"last_contact,omitempty"`
	Firewall        string     `json:"firewall,omitempty"`
	FirewallLacks   string     `json:"firewall_lacks,omitempty"`
	Clock           string     `json:"clock,omitempty"`
	Error           string     `json:"error,omitempty"`
}

// NewSite pairs with a core.
type NewSite struct {
	Code string `json:"code"`
	Name string `json:"name"`
	Host string `json:"host"`
}

// SiteChange changes what is not nil.
type SiteChange struct {
	Name        *string   `json:"name,omitempty"`
	Host        *string   `json:"host,omitempty"`
	IPv6Prefix  *int      `json:"ipv6_prefix,omitempty"`
	AllowedFrom *[]string `json:"allowed_from,omitempty"`
}

// Pong is how long a core took to answer.
type Pong struct {
	RoundTripMS float64 `json:"round_trip_ms"`
}

// Sites lists the sites that the user can see.
func (c *Client) Sites(ctx context.Context) ([]Site, error) { return items[Site](ctx, c, "/sites") }

// PairSite pairs with a core (admin).
func (c *Client) PairSite(ctx context.Context, in NewSite) (Site, error) {
	return call[Site](ctx, c, http.MethodPost, "/sites", in)
}

// ChangeSite changes a site (admin).
func (c *Client) ChangeSite(ctx context.Context, id string, in SiteChange) (Site, error) {
	return call[Site](ctx, c, http.MethodPatch, "/sites/"+url.PathEscape(id), in)
}

// PingSite has a site's core answer, and tells how long that took.
func (c *Client) PingSite(ctx context.Context, id string) (Pong, error) {
	return call[Pong](ctx, c, http.MethodPost, "/sites/"+url.PathEscape(id)+"/ping", nil)
}

// ApplySite has the whole state sent to a site's core again (admin).
func (c *Client) ApplySite(ctx context.Context, id string) (Site, error) {
	return call[Site](ctx, c, http.MethodPost, "/sites/"+url.PathEscape(id)+"/apply", nil)
}

// SiteRoot returns in PEM the certificate of the authority by which the site's reverse proxy
// proves itself.
func (c *Client) SiteRoot(ctx context.Context, id string) (pem []byte, err error) {
	err = c.do(ctx, http.MethodGet, "/sites/"+url.PathEscape(id)+"/root", nil, nil, nil, &pem)
	return pem, err
}

// RemoveSite removes a site with all that is at it (admin).
func (c *Client) RemoveSite(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, "/sites/"+url.PathEscape(id), nil, nil, nil, nil)
}
