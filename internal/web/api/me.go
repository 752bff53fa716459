package api

import (
	"context"
	"net/http"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/version"
	"github.com/ownline/ownline/internal/web/auth"
)

type me struct {
	ID        string    `json:"id" format:"uuid"`
	Name      string    `json:"name"`
	Role      string    `json:"role" enum:"admin,user"`
	Created   time.Time `json:"created"`
	SiteCount int       `json:"site_count" doc:"How many sites this user can see"`
	// MustChange: nothing else is allowed before.
	MustChange bool `json:"must_change_password" doc:"The user has to choose another password first; all else is refused with the problem type urn:ownline:problem:change-password"`
	// Until is that of the login or token that the request came with.
	Until  *time.Time `json:"until,omitempty" doc:"When the token ends, or the login if nothing is asked before. Absent: never, or as long as a new login"`
	Limits limits     `json:"limits"`
}

// limits are what a session may be; a grant can only allow less.
type limits struct {
	Default int64  `json:"default" doc:"Seconds that a session lasts when nothing is said"`
	Max     int64  `json:"max" doc:"Seconds that it may last"`
	PortMin uint16 `json:"port_min" doc:"The first public port that may be chosen"`
	PortMax uint16 `json:"port_max" doc:"The last"`
}

type whoami struct {
	Address   string `json:"address" doc:"Where this request came from"`
	Family    int    `json:"family" enum:"4,6"`
	Kind      string `json:"kind" enum:"public,private,carrier_nat,unusable"`
	Forwarded bool   `json:"forwarded" doc:"The request has passed a proxy that is not one of trusted_proxies, so the address may be that proxy's"`
	Source    string `json:"source,omitempty" doc:"What a session for this address would admit; absent when it must not be admitted"`
}

func (s *Server) meResource() {
	const tag = "me"
	register(s, operation{method: http.MethodGet, path: "/me", id: "me", who: users, scope: anyScope(), restricted: true, tag: tag, summary: "Who is signed in"},
		func(ctx context.Context, id auth.Identity, _ *noInput) (*output[me], error) {
			m, err := s.me(ctx, id)
			return show(m), err
		})
	type holder struct {
		Me *me `json:"me,omitempty" doc:"Who is signed in, as GET /me has them. Absent: nobody is"`
	}
	// Browsers write every 401 to their console; whoever opens our pages for the first time has done nothing wrong.
	register(s, operation{
		method: http.MethodGet, path: "/auth/login", id: "signed-in", who: anybody, tag: "auth", summary: "Who is signed in, if anybody is",
		description: "For our own pages, which ask it first. Unlike GET /me it answers 200 also when nobody is signed in.",
	},
		func(ctx context.Context, id auth.Identity, _ *noInput) (*output[holder], error) {
			if !id.Known() {
				return show(holder{}), nil
			}
			m, err := s.me(ctx, id)
			return show(holder{&m}), err
		})
	register(s, operation{method: http.MethodGet, path: "/whoami", id: "whoami", who: users, scope: anyScope(), tag: tag, summary: "Which address this request came from"},
		func(_ context.Context, id auth.Identity, _ *noInput) (*output[whoami], error) {
			w := whoami{Address: id.Client.String(), Family: 4, Kind: string(ownline.KindOf(id.Client)), Forwarded: id.Forwarded}
			if id.Client.Is6() {
				w.Family = 6
			}
			if source, err := ownline.SourceOf(id.Client, s.ipv6Prefix); err == nil {
				w.Source = source.String()
			}
			return show(w), nil
		})
}

type about struct {
	Version string `json:"version" doc:"Of the server and its pages" example:"1.4.0"`
}

func (s *Server) aboutResource() {
	register(s, operation{method: http.MethodGet, path: "/about", id: "about", who: users, scope: anyScope(), tag: "me", summary: "Which Ownline this is"},
		func(context.Context, auth.Identity, *noInput) (*output[about], error) {
			return show(about{version.String()}), nil
		})
}

func (s *Server) me(ctx context.Context, id auth.Identity) (me, error) {
	sites, err := s.access.Sites(ctx, actor(id))
	u, l := id.User, s.access.Limits()
	m := me{
		ID: u.ID.String(), Name: u.Name, Role: string(u.Role), Created: u.Created.UTC(), SiteCount: len(sites), MustChange: u.MustChange,
		Limits: limits{Default: int64(l.Default / time.Second), Max: int64(l.Max / time.Second), PortMin: l.PortMin, PortMax: l.PortMax},
	}
	if until := id.Until(); !until.IsZero() {
		until = until.UTC()
		m.Until = &until
	}
	return m, err
}
