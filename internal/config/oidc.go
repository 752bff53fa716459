package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/ownline/ownline/internal/ownline"
)

// OIDC is an identity provider by which people sign in.
type OIDC struct {
	Issuer        string         `key:"issuer"` // "": off
	ClientID      string         `key:"client_id"`
	ClientSecret  ownline.Secret `key:"client_secret"` // "": a public client
	Scopes        []string       `key:"scopes"`
	Name          string         `key:"name"` // on the button
	UsernameClaim string         `key:"username_claim"`
	RoleClaim     string         `key:"role_claim"` // "": roles are given here
	AdminValues   []string       `key:"admin_values"`
	UserValues    []string       `key:"user_values"` // empty: everybody else
	CreateUsers   bool           `key:"create_users"`
	LinkByName    bool           `key:"link_by_name"`
	CAFile        string         `key:"ca_file"` // see Authorities
}

func (o OIDC) validate(r rules, publicURL string) {
	if o.Issuer == "" {
		if o.ClientID != "" {
			r.report("oidc.client_id", "is of no use without oidc.issuer")
		}
		return
	}
	u, err := url.Parse(o.Issuer)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())):
		r.report("oidc.issuer", fmt.Sprintf("%q is not an address like https://login.example.org/realms/home", o.Issuer))
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		r.report("oidc.issuer", "must be scheme, host and path alone")
	}
	r.notEmpty("oidc.client_id", o.ClientID)
	r.notEmpty("oidc.name", o.Name)
	r.notEmpty("oidc.username_claim", o.UsernameClaim)
	for i, scope := range o.Scopes {
		if r.notEmpty(at("oidc.scopes", i), scope); strings.ContainsAny(scope, " \t\r\n\"\\") {
			r.report(at("oidc.scopes", i), fmt.Sprintf("%q is not one scope; write [a, b]", scope))
		}
	}
	r.authorities("oidc.ca_file", o.CAFile)
	if publicURL == "" {
		r.report("oidc.issuer", "needs public_url, where the provider sends browsers back to")
	}
	switch {
	case o.RoleClaim == "" && len(o.AdminValues)+len(o.UserValues) > 0:
		r.report("oidc.role_claim", "is needed for admin_values and user_values")
	case o.RoleClaim != "" && len(o.AdminValues)+len(o.UserValues) == 0:
		r.report("oidc.role_claim", "needs admin_values, user_values or both")
	}
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}
