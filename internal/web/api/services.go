package api

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/auth"
)

type service struct {
	ID        string        `json:"id" format:"uuid"`
	Site      string        `json:"site" format:"uuid"`
	Name      string        `json:"name"`
	Kind      string        `json:"kind" enum:"forward,proxy"`
	Transport string        `json:"transport" enum:"tcp,udp"`
	Target    string        `json:"target,omitempty" doc:"IPv4 address and port in the LAN"`
	Target6   string        `json:"target6,omitempty" doc:"IPv6 address and port in the LAN"`
	Options   *proxyOptions `json:"options,omitempty" doc:"How the reverse proxy serves it; only of kind proxy"`
	Everybody bool          `json:"everybody,omitempty" doc:"Every user may use it without a grant: Ownline itself"`
	Icon      string        `json:"icon,omitempty"`
	Created   time.Time     `json:"created"`
	URL       string        `json:"url,omitempty" doc:"Of a service of kind proxy, while the site has a reverse proxy"`
}

// proxyOptions are how the reverse proxy serves a service of kind proxy. What is left out is as it
// comes.
type proxyOptions struct {
	Scheme       string            `json:"scheme,omitempty" enum:"http,https,h2c" doc:"How the proxy speaks to the service: http when absent; h2c is HTTP/2 without TLS, for gRPC"`
	PathPrefix   string            `json:"path_prefix,omitempty" example:"/app" doc:"Put in front of every path"`
	Headers      map[string]string `json:"headers,omitempty" example:"{\"X-Script-Name\": \"/app\"}" doc:"Set on every request to the service"`
	CA           string            `json:"ca,omitempty" doc:"Of scheme https: certificates in PEM of which one has signed the service's; absent: those that the router knows"`
	Pin          string            `json:"pin,omitempty" example:"5d2f1e0c9b8a79685746352413029f8e7d6c5b4a39281706f5e4d3c2b1a09f8e" doc:"Of scheme https: the SHA-256 of the service's public key; then its certificate may be any"`
	ServerName   string            `json:"server_name,omitempty" example:"nas.lan" doc:"Of scheme https: the name in the service's certificate, also asked for as host; absent: the target's address"`
	RequireLogin bool              `json:"require_login,omitempty" doc:"Ownline's own login stands in front, for sources that many people share"`
	Template     string            `json:"template,omitempty" doc:"Of a site whose proxy is nginx: a Go template in place of the server block that is written for the service; see docs/how/proxied-services.md"`
}

func optionsView(s ownline.Service) *proxyOptions {
	if s.Kind != ownline.Proxy {
		return nil
	}
	o := proxyOptions(s.Proxy)
	return &o
}

// options are those that are told; none are the zero value.
func options(o *proxyOptions) ownline.ProxyOptions {
	if o == nil {
		return ownline.ProxyOptions{}
	}
	return ownline.ProxyOptions(*o)
}

func serviceView(v ownline.Service) service {
	return service{
		ID: v.ID.String(), Site: v.Site.String(), Name: v.Name, Kind: string(v.Kind), Transport: string(v.Transport),
		Target: addrPort(v.Target4), Target6: addrPort(v.Target6), Options: optionsView(v), Everybody: v.Everybody,
		Icon: v.Icon, Created: v.Created.UTC(), URL: v.URL(),
	}
}

func addrPort(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// ParseTarget reads the target of a service of one family. The empty string is no target.
// Errors are about the field.
func ParseTarget(field, s string, is6 bool) (netip.AddrPort, error) {
	if s == "" {
		return netip.AddrPort{}, nil
	}
	example, family := "192.168.1.10:22", "IPv4"
	if is6 {
		example, family = "[fd00::10]:22", "IPv6"
	}
	a, err := netip.ParseAddrPort(s)
	if err != nil || a.Port() == 0 || a.Addr().Is4In6() || a.Addr().Is6() != is6 {
		return netip.AddrPort{}, ownline.Invalid(field, "is not an "+family+" address and port like "+example)
	}
	return a, nil
}

func (s *Server) services() {
	const tag, one = "services", "/services/{id}"
	type query struct {
		ListInput
		Site string `query:"site" format:"uuid" doc:"Only those of this site"`
	}
	register(s, operation{method: http.MethodGet, path: "/services", id: "list-services", who: users, scope: []string{ownline.ScopeRead, ownline.ScopeSessions, ownline.ScopeAdmin}, tag: tag, summary: "List services: an admin all, others those that they may use"},
		func(ctx context.Context, id auth.Identity, in *query) (*output[list[service]], error) {
			sid, err := parseID[ownline.Site]("site", in.Site)
			if err != nil {
				return nil, err
			}
			items, next, err := s.access.Services(ctx, actor(id), access.ServiceQuery{Page: in.page(), Site: sid})
			return listOf(items, next, serviceView), err
		})

	type newService struct {
		Site      string        `json:"site" format:"uuid"`
		Name      string        `json:"name" maxLength:"63" example:"nextcloud" doc:"Also the sub-domain, of kind proxy. ownline is taken"`
		Kind      string        `json:"kind,omitempty" enum:"forward,proxy" doc:"forward when absent. It can't be changed later"`
		Transport string        `json:"transport,omitempty" enum:"tcp,udp" doc:"tcp when absent, and for kind proxy"`
		Target    string        `json:"target,omitempty" maxLength:"64" doc:"IPv4 address and port in the LAN; this or target6 or both"`
		Target6   string        `json:"target6,omitempty" maxLength:"64" doc:"IPv6 address and port in the LAN"`
		Options   *proxyOptions `json:"options,omitempty" doc:"Of kind proxy"`
		Icon      string        `json:"icon,omitempty" maxLength:"64" doc:"One of GET /icons; empty: none" example:"terminal"`
	}
	register(s, operation{method: http.MethodPost, path: "/services", id: "add-service", fails: []int{http.StatusConflict}, who: admins, scope: []string{ownline.ScopeAdmin}, tag: tag, status: http.StatusCreated, summary: "Make a service (admin)"},
		func(ctx context.Context, id auth.Identity, in *body[newService]) (*output[service], error) {
			b := in.Body
			n := access.NewService{Name: b.Name, Kind: ownline.ServiceKind(b.Kind), Transport: ownline.Transport(b.Transport), Proxy: options(b.Options), Icon: b.Icon}
			var err error
			if n.Site, err = parseID[ownline.Site]("site", b.Site); err != nil {
				return nil, err
			}
			if n.Target4, err = ParseTarget("target", b.Target, false); err != nil {
				return nil, err
			}
			if n.Target6, err = ParseTarget("target6", b.Target6, true); err != nil {
				return nil, err
			}
			v, err := s.access.AddService(ctx, actor(id), n)
			return show(serviceView(v)), err
		})

	register(s, operation{method: http.MethodGet, path: one, id: "get-service", who: owner, scope: []string{ownline.ScopeRead, ownline.ScopeSessions, ownline.ScopeAdmin}, tag: tag, summary: "Show a service"},
		func(ctx context.Context, id auth.Identity, in *ByID) (*output[service], error) {
			sid, err := parseID[ownline.Service]("id", in.ID)
			if err != nil {
				return nil, err
			}
			v, err := s.access.Service(ctx, actor(id), sid)
			return show(serviceView(v)), err
		})

	type serviceChange struct {
		Name      *string            `json:"name,omitempty" maxLength:"63" doc:"Of kind proxy it changes the URL; sessions go on"`
		Kind      *string            `json:"kind,omitempty" enum:"forward,proxy" doc:"Only what it is: the kind can't be changed"`
		Transport *ownline.Transport `json:"transport,omitempty" enum:"tcp,udp" doc:"Ends the sessions of a forward"`
		Target    *string            `json:"target,omitempty" maxLength:"64" doc:"Empty: none. Ends the sessions of a forward"`
		Target6   *string            `json:"target6,omitempty" maxLength:"64" doc:"Empty: none. Ends the sessions of a forward"`
		Options   *proxyOptions      `json:"options,omitempty" doc:"Of kind proxy, all of them: what is left out is as it comes again. Sessions go on"`
		Icon      *string            `json:"icon,omitempty" maxLength:"64" doc:"One of GET /icons; empty: none" example:"terminal"`
	}
	register(s, operation{method: http.MethodPatch, path: one, id: "change-service", fails: []int{http.StatusConflict}, who: admins, scope: []string{ownline.ScopeAdmin}, tag: tag, summary: "Change a service (admin)"},
		func(ctx context.Context, id auth.Identity, in *bodyByID[serviceChange]) (*output[service], error) {
			sid, err := parseID[ownline.Service]("id", in.ID)
			if err != nil {
				return nil, err
			}
			b := in.Body
			c := access.ServiceChange{Name: b.Name, Kind: (*ownline.ServiceKind)(b.Kind), Transport: b.Transport, Icon: b.Icon}
			if b.Options != nil {
				o := options(b.Options)
				c.Proxy = &o
			}
			if c.Target4, err = changedTarget("target", b.Target, false); err != nil {
				return nil, err
			}
			if c.Target6, err = changedTarget("target6", b.Target6, true); err != nil {
				return nil, err
			}
			v, err := s.access.ChangeService(ctx, actor(id), sid, c)
			return show(serviceView(v)), err
		})

	type draft struct {
		Options *proxyOptions `json:"options,omitempty" doc:"All of them, in place of the service's; absent: the service's"`
	}
	type preview struct {
		Text string `json:"text" doc:"The service's part of the configuration of nginx. The files of certificates are named when it is written; nginx itself judges it then"`
	}
	register(s, operation{method: http.MethodPost, path: one + "/preview", id: "preview-service", fails: []int{http.StatusConflict}, who: admins, scope: []string{ownline.ScopeAdmin}, tag: tag, summary: "Show what the site's nginx would be configured with for the service, and change nothing (admin)"},
		func(ctx context.Context, id auth.Identity, in *bodyByID[draft]) (*output[preview], error) {
			sid, err := parseID[ownline.Service]("id", in.ID)
			if err != nil {
				return nil, err
			}
			var o *ownline.ProxyOptions
			if in.Body.Options != nil {
				given := options(in.Body.Options)
				o = &given
			}
			text, err := s.access.PreviewService(ctx, actor(id), sid, o)
			return show(preview{text}), err
		})

	register(s, operation{method: http.MethodDelete, path: one, id: "remove-service", fails: []int{http.StatusConflict}, who: admins, scope: []string{ownline.ScopeAdmin}, tag: tag, status: http.StatusNoContent, summary: "Remove a service with its grants, and end its sessions (admin)"},
		func(ctx context.Context, id auth.Identity, in *ByID) (*struct{}, error) {
			sid, err := parseID[ownline.Service]("id", in.ID)
			if err != nil {
				return nil, err
			}
			return nil, s.access.RemoveService(ctx, actor(id), sid)
		})
}

func changedTarget(field string, s *string, is6 bool) (*netip.AddrPort, error) {
	if s == nil {
		return nil, nil
	}
	a, err := ParseTarget(field, *s, is6)
	return &a, err
}
