package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/auth"
)

// site is what everybody sees of a site; the rest is only there for admins.
type site struct {
	ID        string `json:"id" format:"uuid"`
	Name      string `json:"name"`
	Host      string `json:"host" doc:"The public name or address that clients connect to"`
	Connected bool   `json:"connected"`
	Fwknop    bool   `json:"fwknop,omitempty" doc:"Its router hears fwknop clients"`

	LastContact *time.Time `json:"last_contact,omitempty" doc:"When its core last spoke to this server; absent: not since that started"`

	Proxy *siteProxy `json:"proxy,omitempty" doc:"The router's reverse proxy; absent until its core has told of it"`

	Link            string     `json:"link,omitempty" doc:"Where core listens; absent when core dials"`
	Pin             string     `json:"pin,omitempty" doc:"Names core's link key"`
	KnockPort       uint16     `json:"knock_port,omitempty"`
	LocalNetworks   []string   `json:"local_networks,omitempty"`
	ReservedPorts   []uint16   `json:"reserved_ports,omitempty" doc:"What the router serves itself"`
	IPv6Prefix      int        `json:"ipv6_prefix,omitempty" doc:"Bits of an IPv6 source that count"`
	AllowedFrom     []string   `json:"allowed_from,omitempty" doc:"Countries, autonomous systems and networks that sessions may be opened from, besides what other lists say. Absent: anywhere" example:"[\"ES\",\"AS3352\",\"198.51.100.0/24\"]"`
	Created         *time.Time `json:"created,omitempty"`
	AppliedRevision *uint64    `json:"applied_revision,omitempty"`
	WantedRevision  *uint64    `json:"wanted_revision,omitempty"`
	CoreVersion     string     `json:"core_version,omitempty"`
	Firewall        string     `json:"firewall,omitempty" doc:"What is wrong with the router's firewall"`
	FirewallLacks   string     `json:"firewall_lacks,omitempty" doc:"What of the filter of knocks the router's kernel does not take, and why. Core works without"`
	Clock           string     `json:"clock,omitempty" doc:"What is wrong with the router's clock"`
	Error           string     `json:"error,omitempty" doc:"Why core is not connected"`
}

// siteProxy is for everybody but for what is wrong with it, and its certificates.
type siteProxy struct {
	Driver  string     `json:"driver,omitempty" example:"embedded" doc:"none: services of kind proxy can't be opened"`
	Domain  string     `json:"domain,omitempty" example:"home.example.org" doc:"Services of kind proxy are at NAME.DOMAIN, over HTTPS"`
	Port    uint16     `json:"port,omitempty" example:"9999"`
	Serves  bool       `json:"serves" doc:"Services of kind proxy can be opened"`
	Error   string     `json:"error,omitempty" doc:"What is wrong with it"`
	Expires *time.Time `json:"certificate_expires,omitempty" doc:"The first of its certificates does; absent: it has none yet"`
	Root    bool       `json:"root" doc:"Browsers have to trust its own authority: GET /sites/{id}/root"`
}

func proxyView(i ownline.SiteInfo, admin bool) *siteProxy {
	if i.Proxy.Driver == "" {
		return nil
	}
	v := siteProxy{Driver: i.Proxy.Driver, Domain: i.Proxy.Domain, Port: i.Proxy.Port, Serves: i.Proxy.Serves(), Root: i.Health.Root != ""}
	if admin {
		v.Error, v.Expires = i.Health.Proxy, optional(i.Health.Expires)
	}
	return &v
}

func siteView(admin bool) func(ownline.SiteInfo) site {
	return func(i ownline.SiteInfo) site {
		v := site{ID: i.ID.String(), Name: i.Name, Host: i.Host, Connected: i.Health.Connected, Fwknop: i.FwknopPort != 0, LastContact: optional(i.Health.LastContact), Proxy: proxyView(i, admin)}
		if !admin {
			return v
		}
		v.Link, v.Pin, v.KnockPort, v.ReservedPorts, v.IPv6Prefix = i.Link, i.Pin, i.KnockPort, i.ReservedPorts, i.IPv6Prefix
		if i.AllowedFrom != "" {
			v.AllowedFrom = i.AllowedFrom.Words()
		}
		for _, n := range i.LocalNetworks {
			v.LocalNetworks = append(v.LocalNetworks, n.String())
		}
		h := i.Health
		v.Created = optional(i.Created)
		v.AppliedRevision, v.WantedRevision = &h.Applied, &h.Wanted
		v.CoreVersion, v.Firewall, v.FirewallLacks, v.Clock, v.Error = h.CoreVersion, h.Firewall, h.Lacks, h.Clock, h.Error
		return v
	}
}

const pemType = "application/x-pem-file"

func (s *Server) sites() {
	const tag, one = "sites", "/sites/{id}"
	register(s, operation{method: http.MethodGet, path: "/sites", id: "list-sites", who: users, scope: anyScope(), tag: tag, summary: "List sites: an admin all, others those they can use"},
		func(ctx context.Context, id auth.Identity, _ *noInput) (*output[list[site]], error) {
			a := actor(id)
			items, err := s.access.Sites(ctx, a)
			return listOf(items, "", siteView(a.Oversees())), err
		})

	type newSite struct {
		Code string `json:"code" maxLength:"1024" doc:"The line that ownline-core pair prints"`
		Name string `json:"name" maxLength:"64"`
		Host string `json:"host" maxLength:"253" doc:"The public name or address that clients connect to"`
	}
	register(s, operation{method: http.MethodPost, path: "/sites", id: "add-site", fails: []int{http.StatusConflict}, who: admins, scope: []string{ownline.ScopeAdmin}, tag: tag, status: http.StatusCreated, summary: "Pair with a core (admin)"},
		func(ctx context.Context, id auth.Identity, in *body[newSite]) (*output[site], error) {
			v, err := s.access.PairSite(ctx, actor(id), in.Body.Code, in.Body.Name, in.Body.Host)
			return show(siteView(true)(v)), err
		})

	register(s, operation{method: http.MethodGet, path: one, id: "get-site", who: owner, scope: anyScope(), tag: tag, summary: "Show a site"},
		func(ctx context.Context, id auth.Identity, in *ByID) (*output[site], error) {
			return s.oneSite(ctx, id, in.ID, s.access.Site)
		})

	type certificate struct {
		ContentType string `header:"Content-Type"`
		Disposition string `header:"Content-Disposition"`
		Body        []byte
	}
	register(s, operation{
		method: http.MethodGet, path: one + "/root", id: "site-root", who: owner, scope: anyScope(), tag: tag, summary: "The certificate of the authority by which the site's reverse proxy proves itself, in PEM",
		description: "Only where proxy.certificate.internal is set in core.yaml: a browser has to trust it before it opens services of kind proxy without a warning.",
	},
		func(ctx context.Context, id auth.Identity, in *ByID) (*certificate, error) {
			sid, err := parseID[ownline.Site]("id", in.ID)
			if err != nil {
				return nil, err
			}
			v, err := s.access.Site(ctx, actor(id), sid)
			if err != nil {
				return nil, err
			}
			if v.Health.Root == "" {
				return nil, ownline.NotFound("root", "the site's reverse proxy has no authority of its own, or its core is not connected")
			}
			return &certificate{ContentType: pemType, Disposition: fmt.Sprintf("attachment; filename=%q", "ownline-"+v.Name+"-root.pem"), Body: []byte(v.Health.Root)}, nil
		})
	root := s.huma.OpenAPI().Paths[base+one+"/root"].Get.Responses["200"]
	root.Content = map[string]*huma.MediaType{pemType: {Schema: &huma.Schema{Type: huma.TypeString}, Example: "-----BEGIN CERTIFICATE-----\n…"}}

	type difference struct {
		Session session `json:"session"`
		Wanted  string  `json:"wanted" enum:"open,closed" doc:"What core is to make of it"`
	}
	type pending struct {
		AppliedRevision uint64       `json:"applied_revision" doc:"Every change up to this one is applied by core; 0: it has not said so since web started"`
		WantedRevision  uint64       `json:"wanted_revision" doc:"The newest change"`
		Connected       bool         `json:"connected"`
		Known           bool         `json:"known" doc:"false: what core holds is not known, and the lists are empty"`
		Total           int          `json:"total" doc:"How many sessions differ"`
		Sessions        []difference `json:"sessions" nullable:"false" doc:"The newest of them, 50 at most"`
	}
	register(s, operation{method: http.MethodGet, path: one + "/pending", id: "site-pending", who: admins, scope: []string{ownline.ScopeRead, ownline.ScopeAdmin}, tag: tag, summary: "Show what the site's core has not applied yet (admin)"},
		func(ctx context.Context, id auth.Identity, in *ByID) (*output[pending], error) {
			sid, err := parseID[ownline.Site]("id", in.ID)
			if err != nil {
				return nil, err
			}
			info, err := s.access.Site(ctx, actor(id), sid)
			if err != nil {
				return nil, err
			}
			p, err := s.access.Pending(ctx, actor(id), sid)
			out := pending{
				AppliedRevision: info.Health.Applied, WantedRevision: info.Health.Wanted, Connected: info.Health.Connected,
				Known: p.Known, Total: p.Total, Sessions: []difference{},
			}
			for _, e := range p.Sessions {
				d := difference{sessionView(e), "open"}
				if e.State == ownline.Ended {
					d.Wanted = "closed"
				}
				out.Sessions = append(out.Sessions, d)
			}
			return show(out), err
		})

	type siteChange struct {
		Name        *string   `json:"name,omitempty" maxLength:"64"`
		Host        *string   `json:"host,omitempty" maxLength:"253"`
		IPv6Prefix  *int      `json:"ipv6_prefix,omitempty" minimum:"48" maximum:"128" doc:"Ends the site's IPv6 sessions"`
		AllowedFrom *[]string `json:"allowed_from,omitempty" maxItems:"200" doc:"Countries, autonomous systems and networks that sessions may be opened from, besides what other lists say. None: anywhere. Ends the sessions of those who are elsewhere" example:"[\"ES\",\"AS3352\",\"198.51.100.0/24\"]"`
	}
	register(s, operation{method: http.MethodPatch, path: one, id: "change-site", maxBody: listBody, fails: []int{http.StatusConflict}, who: admins, scope: []string{ownline.ScopeAdmin}, tag: tag, summary: "Change a site (admin)"},
		func(ctx context.Context, id auth.Identity, in *bodyByID[siteChange]) (*output[site], error) {
			change := access.SiteChange{Name: in.Body.Name, Host: in.Body.Host, IPv6Prefix: in.Body.IPv6Prefix, AllowedFrom: in.Body.AllowedFrom}
			return s.oneSite(ctx, id, in.ID, func(ctx context.Context, a access.Actor, sid ownline.SiteID) (ownline.SiteInfo, error) {
				return s.access.ChangeSite(ctx, a, sid, change)
			})
		})

	register(s, operation{method: http.MethodPost, path: one + "/apply", id: "apply-site", who: admins, scope: []string{ownline.ScopeAdmin}, tag: tag, summary: "Send the whole state to the site's core again (admin)"},
		func(ctx context.Context, id auth.Identity, in *ByID) (*output[site], error) {
			return s.oneSite(ctx, id, in.ID, s.access.ApplySite)
		})

	type pong struct {
		RoundTripMS float64 `json:"round_trip_ms"`
	}
	register(s, operation{method: http.MethodPost, path: one + "/ping", id: "ping-site", who: owner, scope: anyScope(), tag: tag, summary: "Have the site's core answer, and tell how long that took"},
		func(ctx context.Context, id auth.Identity, in *ByID) (*output[pong], error) {
			sid, err := parseID[ownline.Site]("id", in.ID)
			if err != nil {
				return nil, err
			}
			d, err := s.access.PingSite(ctx, actor(id), sid)
			return show(pong{float64(d) / float64(time.Millisecond)}), err
		})

	type target struct {
		Target string `json:"target" maxLength:"64" example:"192.168.7.10:8080" doc:"Address and port in the LAN, IPv4 or IPv6, to connect to by TCP"`
	}
	type reached struct {
		Answered bool    `json:"answered"`
		TookMS   float64 `json:"took_ms" example:"3"`
		Failure  string  `json:"failure,omitempty" example:"refused" doc:"Why not: refused (nothing listens there), silent, no_route"`
	}
	register(s, operation{method: http.MethodPost, path: one + "/reach", id: "reach-target", fails: []int{http.StatusConflict}, who: admins, scope: []string{ownline.ScopeAdmin}, tag: tag, summary: "Have the site's core connect to a target, and hang up (admin)"},
		func(ctx context.Context, id auth.Identity, in *bodyByID[target]) (*output[reached], error) {
			sid, err := parseID[ownline.Site]("id", in.ID)
			if err != nil {
				return nil, err
			}
			at, err := ParseTarget("target", in.Body.Target, strings.HasPrefix(in.Body.Target, "["))
			if err != nil {
				return nil, err
			}
			r, err := s.access.ReachTarget(ctx, actor(id), sid, at)
			return show(reached{r.Failure == "", float64(r.Took) / float64(time.Millisecond), r.Failure}), err
		})

	type code struct {
		Code string `json:"code" maxLength:"1024" doc:"The line that ownline-core pair prints"`
	}
	register(s, operation{method: http.MethodPost, path: one + "/pair", id: "pair-site", fails: []int{http.StatusConflict}, who: admins, scope: []string{ownline.ScopeAdmin}, tag: tag, summary: "Pair with the site's core once more, or with another in its place (admin)"},
		func(ctx context.Context, id auth.Identity, in *bodyByID[code]) (*output[site], error) {
			return s.oneSite(ctx, id, in.ID, func(ctx context.Context, a access.Actor, sid ownline.SiteID) (ownline.SiteInfo, error) {
				return s.access.PairAgain(ctx, a, sid, in.Body.Code)
			})
		})

	register(s, operation{method: http.MethodDelete, path: one, id: "remove-site", who: admins, scope: []string{ownline.ScopeAdmin}, tag: tag, status: http.StatusNoContent, summary: "Remove a site with its services and devices, and end its sessions (admin)"},
		func(ctx context.Context, id auth.Identity, in *ByID) (*struct{}, error) {
			sid, err := parseID[ownline.Site]("id", in.ID)
			if err != nil {
				return nil, err
			}
			return nil, s.access.RemoveSite(ctx, actor(id), sid)
		})
}

func (s *Server) oneSite(ctx context.Context, id auth.Identity, path string, f func(context.Context, access.Actor, ownline.SiteID) (ownline.SiteInfo, error)) (*output[site], error) {
	sid, err := parseID[ownline.Site]("id", path)
	if err != nil {
		return nil, err
	}
	a := actor(id)
	v, err := f(ctx, a, sid)
	return show(siteView(a.Oversees())(v)), err
}
