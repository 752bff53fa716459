package api

import (
	"context"
	"net/http"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/auth"
)

type grant struct {
	ID                   string    `json:"id" format:"uuid"`
	User                 string    `json:"user" format:"uuid"`
	Service              string    `json:"service" format:"uuid"`
	Automatic            bool      `json:"automatic" doc:"A knock opens it"`
	PublicPort           uint16    `json:"public_port,omitempty" doc:"Absent: any"`
	AllowReserved        bool      `json:"allow_reserved" doc:"The public port may be one that the router serves itself"`
	MaxDuration          string    `json:"max_duration,omitempty" example:"2h0m0s" doc:"Absent: sessions.max of web.yaml, which no session outlasts whatever stands here"`
	MaxSources           int       `json:"max_sources,omitempty" maximum:"8" doc:"Addresses of one device that may be open side by side: carriers change them within moments. Absent: 2"`
	RequireClaimedSource bool      `json:"require_claimed_source" doc:"Only knocks that name the address they come from open it, whatever their device must"`
	AllowedFrom          []string  `json:"allowed_from,omitempty" doc:"Countries, autonomous systems and networks that sessions may be opened from, besides what other lists say. Absent: anywhere" example:"[\"ES\",\"AS3352\",\"198.51.100.0/24\"]"`
	Created              time.Time `json:"created"`
}

func grantView(g ownline.Grant) grant {
	v := grant{
		ID: g.ID.String(), User: g.User.String(), Service: g.Service.String(), Automatic: g.Automatic,
		PublicPort: g.PublicPort, AllowReserved: g.AllowReserved, MaxSources: g.MaxSources, RequireClaimedSource: g.RequireClaimedSource, Created: g.Created.UTC(),
	}
	if g.AllowedFrom != "" {
		v.AllowedFrom = g.AllowedFrom.Words()
	}
	if g.MaxDuration > 0 {
		v.MaxDuration = g.MaxDuration.String()
	}
	return v
}

func (s *Server) grants() {
	const tag, one = "grants", "/grants/{id}"
	type query struct {
		ListInput
		User      string `query:"user" format:"uuid"`
		Service   string `query:"service" format:"uuid"`
		Site      string `query:"site" format:"uuid" doc:"For services of this site"`
		Automatic string `query:"automatic" enum:"true,false" doc:"Opened by a knock or not; absent: both"`
	}
	register(s, operation{method: http.MethodGet, path: "/grants", id: "list-grants", fails: []int{http.StatusNotFound}, who: users, scope: []string{ownline.ScopeRead, ownline.ScopeSessions, ownline.ScopeAdmin}, tag: tag, summary: "List grants: an admin all, others their own"},
		func(ctx context.Context, id auth.Identity, in *query) (*output[list[grant]], error) {
			q := ownline.GrantQuery{Page: in.page()}
			var err error
			if q.User, err = parseID[ownline.User]("user", in.User); err != nil {
				return nil, err
			}
			if q.Service, err = parseID[ownline.Service]("service", in.Service); err != nil {
				return nil, err
			}
			if q.Site, err = parseID[ownline.Site]("site", in.Site); err != nil {
				return nil, err
			}
			if in.Automatic != "" {
				is := in.Automatic == "true"
				q.Automatic = &is
			}
			items, next, err := s.access.Grants(ctx, actor(id), q)
			return listOf(items, next, grantView), err
		})

	type newGrant struct {
		User                 string   `json:"user" format:"uuid"`
		Service              string   `json:"service" format:"uuid"`
		Automatic            bool     `json:"automatic,omitempty"`
		PublicPort           uint16   `json:"public_port,omitempty" maximum:"65535" doc:"0: any"`
		AllowReserved        bool     `json:"allow_reserved,omitempty"`
		MaxDuration          string   `json:"max_duration,omitempty" example:"2h" doc:"Empty: sessions.max of web.yaml, which no session outlasts whatever stands here"`
		MaxSources           int      `json:"max_sources,omitempty" minimum:"0" maximum:"8" doc:"0: 2"`
		RequireClaimedSource bool     `json:"require_claimed_source,omitempty" doc:"Only knocks that name the address they come from open it"`
		AllowedFrom          []string `json:"allowed_from,omitempty" maxItems:"200" doc:"Countries, autonomous systems and networks that sessions may be opened from, besides what other lists say. None: anywhere" example:"[\"ES\",\"AS3352\",\"198.51.100.0/24\"]"`
	}
	register(s, operation{method: http.MethodPost, path: "/grants", id: "add-grant", maxBody: listBody, fails: []int{http.StatusConflict}, who: admins, scope: []string{ownline.ScopeAdmin}, tag: tag, status: http.StatusCreated, summary: "Let a user use a service (admin)"},
		func(ctx context.Context, id auth.Identity, in *body[newGrant]) (*output[grant], error) {
			b := in.Body
			n := access.NewGrant{Automatic: b.Automatic, PublicPort: b.PublicPort, AllowReserved: b.AllowReserved, MaxSources: b.MaxSources, RequireClaimedSource: b.RequireClaimedSource, AllowedFrom: b.AllowedFrom}
			var err error
			if n.User, err = parseID[ownline.User]("user", b.User); err != nil {
				return nil, err
			}
			if n.Service, err = parseID[ownline.Service]("service", b.Service); err != nil {
				return nil, err
			}
			if n.MaxDuration, err = parseDuration("max_duration", b.MaxDuration); err != nil {
				return nil, err
			}
			g, err := s.access.AddGrant(ctx, actor(id), n)
			return show(grantView(g)), err
		})

	register(s, operation{method: http.MethodGet, path: one, id: "get-grant", who: owner, scope: []string{ownline.ScopeRead, ownline.ScopeSessions, ownline.ScopeAdmin}, tag: tag, summary: "Show a grant"},
		func(ctx context.Context, id auth.Identity, in *ByID) (*output[grant], error) {
			gid, err := parseID[ownline.Grant]("id", in.ID)
			if err != nil {
				return nil, err
			}
			g, err := s.access.Grant(ctx, actor(id), gid)
			return show(grantView(g)), err
		})

	type grantChange struct {
		Automatic            *bool     `json:"automatic,omitempty"`
		PublicPort           *uint16   `json:"public_port,omitempty" maximum:"65535" doc:"0: any"`
		AllowReserved        *bool     `json:"allow_reserved,omitempty"`
		MaxDuration          *string   `json:"max_duration,omitempty" doc:"Empty: sessions.max of web.yaml, which no session outlasts whatever stands here"`
		MaxSources           *int      `json:"max_sources,omitempty" minimum:"0" maximum:"8" doc:"0: 2"`
		RequireClaimedSource *bool     `json:"require_claimed_source,omitempty" doc:"Only knocks that name the address they come from open it. Counts from the next knock on"`
		AllowedFrom          *[]string `json:"allowed_from,omitempty" maxItems:"200" doc:"Countries, autonomous systems and networks that sessions may be opened from, besides what other lists say. None: anywhere. Ends the sessions of those who are elsewhere" example:"[\"ES\",\"AS3352\",\"198.51.100.0/24\"]"`
	}
	register(s, operation{method: http.MethodPatch, path: one, id: "change-grant", maxBody: listBody, fails: []int{http.StatusConflict}, who: admins, scope: []string{ownline.ScopeAdmin}, tag: tag, summary: "Change a grant; allowing less ends its sessions (admin)"},
		func(ctx context.Context, id auth.Identity, in *bodyByID[grantChange]) (*output[grant], error) {
			gid, err := parseID[ownline.Grant]("id", in.ID)
			if err != nil {
				return nil, err
			}
			c := access.GrantChange{Automatic: in.Body.Automatic, PublicPort: in.Body.PublicPort, AllowReserved: in.Body.AllowReserved, MaxSources: in.Body.MaxSources, RequireClaimedSource: in.Body.RequireClaimedSource, AllowedFrom: in.Body.AllowedFrom}
			if in.Body.MaxDuration != nil {
				d, err := parseDuration("max_duration", *in.Body.MaxDuration)
				if err != nil {
					return nil, err
				}
				c.MaxDuration = &d
			}
			g, err := s.access.ChangeGrant(ctx, actor(id), gid, c)
			return show(grantView(g)), err
		})

	register(s, operation{method: http.MethodDelete, path: one, id: "remove-grant", who: admins, scope: []string{ownline.ScopeAdmin}, tag: tag, status: http.StatusNoContent, summary: "Take a grant away, and end its sessions (admin)"},
		func(ctx context.Context, id auth.Identity, in *ByID) (*struct{}, error) {
			gid, err := parseID[ownline.Grant]("id", in.ID)
			if err != nil {
				return nil, err
			}
			return nil, s.access.RemoveGrant(ctx, actor(id), gid)
		})
}
