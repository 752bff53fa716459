package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/invitation"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/auth"
)

// guestPath is where we serve the guest page ourselves.
const guestPath = "/i/"

// Invitation is how the API shows one. It is exported for made, which embeds it.
type Invitation struct {
	ID          string     `json:"id" format:"uuid"`
	User        string     `json:"user" format:"uuid" doc:"Who invites; the sessions are theirs"`
	UserName    string     `json:"user_name"`
	Service     string     `json:"service" format:"uuid"`
	ServiceName string     `json:"service_name"`
	Site        string     `json:"site" format:"uuid"`
	SiteName    string     `json:"site_name"`
	URL         string     `json:"url,omitempty" doc:"Where the service is, of kind proxy"`
	Message     string     `json:"message,omitempty"`
	For         string     `json:"for" example:"30m0s" doc:"How long each session lasts"`
	Uses        int        `json:"uses" doc:"How many sessions it opens"`
	Used        int        `json:"used"`
	Countries   []string   `json:"countries" nullable:"false" doc:"Guests come from one of them; empty: from anywhere"`
	State       string     `json:"state" enum:"valid,used,expired,revoked"`
	Created     time.Time  `json:"created"`
	Expires     time.Time  `json:"expires" doc:"From then on it can't be redeemed; sessions go on"`
	Revoked     *time.Time `json:"revoked,omitempty"`
}

func invitationView(i ownline.InvitationInfo) Invitation {
	v := Invitation{
		ID: i.ID.String(), User: i.User.String(), UserName: i.UserName, Service: i.Service.String(), ServiceName: i.ServiceName,
		Site: i.Site.String(), SiteName: i.SiteName, URL: i.URL(), Message: i.Message, For: i.For.String(), Uses: i.Uses, Used: i.Used,
		Countries: i.Countries, State: string(i.State(time.Now())), Created: i.Created.UTC(), Expires: i.Expires.UTC(), Revoked: optional(i.Revoked),
	}
	if v.Countries == nil {
		v.Countries = []string{}
	}
	return v
}

func (s *Server) invitations() {
	const tag, one = "invitations", "/invitations/{id}"
	see := []string{ownline.ScopeRead, ownline.ScopeInvitations, ownline.ScopeAdmin}
	type query struct {
		ListInput
		State   string `query:"state" enum:"valid,used,expired,revoked" doc:"Absent: all"`
		Service string `query:"service" format:"uuid"`
		Site    string `query:"site" format:"uuid"`
		User    string `query:"user" format:"uuid" doc:"Of this user (admin)"`
		All     bool   `query:"all" doc:"Everybody's (admin); otherwise one's own"`
	}
	register(s, operation{method: http.MethodGet, path: "/invitations", id: "list-invitations", fails: []int{http.StatusNotFound}, who: users, scope: see, tag: tag, summary: "List invitations, the newest first"},
		func(ctx context.Context, id auth.Identity, in *query) (*output[list[Invitation]], error) {
			ask := access.InvitationsAsk{All: in.All}
			ask.Page, ask.State = in.page(), ownline.InvitationState(in.State)
			var err error
			if ask.Service, err = parseID[ownline.Service]("service", in.Service); err != nil {
				return nil, err
			}
			if ask.Site, err = parseID[ownline.Site]("site", in.Site); err != nil {
				return nil, err
			}
			if ask.User, err = parseID[ownline.User]("user", in.User); err != nil {
				return nil, err
			}
			items, next, err := s.access.Invitations(ctx, actor(id), ask)
			return listOf(items, next, invitationView), err
		})

	type newInvitation struct {
		Service   string   `json:"service" format:"uuid"`
		Message   string   `json:"message,omitempty" maxLength:"1000" doc:"To the guest: 240 characters at most"`
		For       string   `json:"for,omitempty" example:"30m" doc:"How long each session lasts; empty: the default; more than allowed is refused"`
		Uses      int      `json:"uses,omitempty" minimum:"0" maximum:"1000" doc:"How many sessions it opens; 0: one"`
		ExpiresIn string   `json:"expires_in,omitempty" example:"24h" doc:"How long it can be redeemed; empty: a day"`
		Countries []string `json:"countries,omitempty" maxItems:"250" example:"[\"ES\"]" doc:"Codes of two letters (ISO 3166-1) of where guests may come from; empty: from anywhere"`
	}
	type made struct {
		Invitation
		Link       string `json:"link" doc:"To be sent to the guest. Shown only now: its secret is kept by nobody"`
		InsideLink string `json:"inside_link,omitempty" doc:"The same for a guest who can reach this server, when link leads elsewhere"`
	}
	register(s, operation{method: http.MethodPost, path: "/invitations", id: "invite", fails: []int{http.StatusConflict}, who: users, scope: []string{ownline.ScopeInvitations}, tag: tag, status: http.StatusCreated, summary: "Invite somebody without an account to a service that one may open"},
		func(ctx context.Context, id auth.Identity, in *body[newInvitation]) (*output[made], error) {
			b := in.Body
			n := access.NewInvitation{Message: b.Message, Uses: b.Uses, Countries: b.Countries}
			var err error
			if n.Service, err = parseID[ownline.Service]("service", b.Service); err != nil {
				return nil, err
			}
			if n.For, err = parseDuration("for", b.For); err != nil {
				return nil, err
			}
			if n.Lasts, err = parseDuration("expires_in", b.ExpiresIn); err != nil {
				return nil, err
			}
			i, secret, err := s.access.Invite(ctx, actor(id), n)
			if err != nil {
				return nil, err
			}
			// Behind the #, where no server logs it.
			behind := "#" + invitation.FormatSecret(secret)
			out := made{Invitation: invitationView(i), Link: s.pagesURL + guestPath + behind}
			outside, err := s.guestsMeet(ctx, i.Site)
			if outside != "" {
				out.InsideLink, out.Link = out.Link, outside+behind
			}
			return show(out), err
		})

	register(s, operation{method: http.MethodGet, path: one, id: "get-invitation", who: owner, scope: see, tag: tag, summary: "Show an invitation"},
		func(ctx context.Context, id auth.Identity, in *ByID) (*output[Invitation], error) {
			iid, err := parseID[ownline.Invitation]("id", in.ID)
			if err != nil {
				return nil, err
			}
			i, err := s.access.Invitation(ctx, actor(id), iid)
			return show(invitationView(i)), err
		})

	register(s, operation{method: http.MethodDelete, path: one, id: "revoke-invitation", who: owner, scope: []string{ownline.ScopeInvitations, ownline.ScopeAdmin}, tag: tag, summary: "Revoke an invitation, and end the sessions that it opened"},
		func(ctx context.Context, id auth.Identity, in *ByID) (*output[Invitation], error) {
			iid, err := parseID[ownline.Invitation]("id", in.ID)
			if err != nil {
				return nil, err
			}
			i, err := s.access.RevokeInvitation(ctx, actor(id), iid)
			return show(invitationView(i)), err
		})
	s.guests()
	s.guestIcon()
	s.leave()
}

// guestsMeet returns the address of the page that guests of a site can load from outside: on the
// site's own doorstep, or on another web host; "": neither.
func (s *Server) guestsMeet(ctx context.Context, site ownline.SiteID) (string, error) {
	at, err := s.access.Doorstep(ctx, site)
	if at == "" {
		return s.guestPage, err
	}
	return strings.TrimRight(at, "/") + guestPath, nil
}

// welcome is what a guest is told of an invitation.
type welcome struct {
	State    string       `json:"state" enum:"valid,used,expired,revoked"`
	Host     string       `json:"host" doc:"Where the service is"`
	Service  string       `json:"service" doc:"Its name"`
	Icon     string       `json:"icon,omitempty" doc:"Its icon: one of GET /icons, or uploaded:… for a picture, which POST /invitations/icon has" example:"image"`
	From     string       `json:"from" doc:"Who invites"`
	Message  string       `json:"message,omitempty"`
	Seconds  int          `json:"seconds" doc:"How long a session lasts"`
	Left     int          `json:"left" doc:"How many uses are left"`
	Expires  time.Time    `json:"expires" doc:"When the link ends"`
	Families []int        `json:"families" nullable:"false" doc:"Of addresses that it can be opened for: 4, 6"`
	Source   string       `json:"source" doc:"Where this request came from"`
	Kind     string       `json:"kind" enum:"public,private,carrier_nat,unusable" doc:"What kind of address that is; private: the guest is inside, and needs no session"`
	Inside   string       `json:"inside,omitempty" doc:"Where a guest who is inside finds the service: a URL, or an address and port in the LAN"`
	Time     time.Time    `json:"time" doc:"The server's clock"`
	Opened   *guestAccess `json:"opened,omitempty" doc:"What is open for this address already"`
}

// guestAccess is what a guest learns of their session.
type guestAccess struct {
	Service   string    `json:"service"`
	Host      string    `json:"host"`
	Port      uint16    `json:"port"`
	Transport string    `json:"transport" enum:"tcp,udp"`
	URL       string    `json:"url,omitempty" doc:"Of a service of kind proxy"`
	Source    string    `json:"source" doc:"The address or network that is let in"`
	Expires   time.Time `json:"expires"`
	Time      time.Time `json:"time" doc:"The server's clock"`
}

func guestView(v ownline.SessionInfo) guestAccess {
	return guestAccess{
		Service: v.ServiceName, Host: v.SiteHost, Port: v.PublicPort, Transport: string(v.Transport), URL: sessionView(v).URL,
		Source: v.Source.String(), Expires: v.Expires.UTC(), Time: time.Now().UTC(),
	}
}

// linkSecret is what a guest has. It comes in the body, which nobody logs.
type linkSecret struct {
	Secret string `json:"secret" minLength:"1" maxLength:"128" doc:"What is behind the # of the link"`
}

// attempt is how guessing links is called in the log.
const attempt = "invitation"

// guests are the two operations of people without an account.
func (s *Server) guests() {
	const tag = "invitations"
	register(s, operation{method: http.MethodPost, path: "/invitations/preview", id: "preview-invitation", fails: []int{http.StatusTooManyRequests}, who: anybody, tag: tag, summary: "Show a guest what a link opens; consumes nothing"},
		func(ctx context.Context, id auth.Identity, in *body[linkSecret]) (*output[welcome], error) {
			return asGuest(ctx, s, id, in.Body, func(g access.Guest) (*output[welcome], error) {
				w, err := s.access.Welcome(ctx, g)
				if err != nil {
					return nil, err
				}
				v := welcome{
					State: string(w.State), Host: w.SiteHost, Service: w.ServiceName, Icon: w.ServiceIcon, From: w.UserName, Message: w.Message,
					Seconds: int(w.For / time.Second), Left: w.Uses - w.Used, Expires: w.Expires.UTC(), Families: w.Families(),
					Source: id.Client.String(), Kind: string(ownline.KindOf(id.Client)), Inside: w.Inside, Time: time.Now().UTC(),
				}
				if !w.Session.ID.IsZero() {
					opened := guestView(w.Session)
					v.Opened = &opened
				}
				return show(v), nil
			})
		})
	register(s, operation{method: http.MethodPost, path: "/invitations/redeem", id: "redeem-invitation", fails: []int{http.StatusConflict, http.StatusTooManyRequests, http.StatusServiceUnavailable}, who: anybody, tag: tag, summary: "Open a session for the guest's address; answers once it can be connected to"},
		func(ctx context.Context, id auth.Identity, in *body[linkSecret]) (*output[guestAccess], error) {
			return asGuest(ctx, s, id, in.Body, func(g access.Guest) (*output[guestAccess], error) {
				v, err := s.access.Redeem(ctx, g)
				if err != nil {
					return nil, err
				}
				return show(guestView(v)), nil
			})
		})
}

// leave is what a guest does who needs it no more.
func (s *Server) leave() {
	register(s, operation{method: http.MethodPost, path: "/invitations/leave", id: "leave-invitation", fails: []int{http.StatusTooManyRequests}, who: anybody, tag: "invitations", status: http.StatusNoContent, summary: "End what is open for the guest's address; the use is not given back"},
		func(ctx context.Context, id auth.Identity, in *body[linkSecret]) (*struct{}, error) {
			return asGuest(ctx, s, id, in.Body, func(g access.Guest) (*struct{}, error) {
				return nil, s.access.Leave(ctx, g)
			})
		})
}

// asGuest runs f for who has the secret of a link, and slows down who only guesses.
func asGuest[T any](ctx context.Context, s *Server, id auth.Identity, in linkSecret, f func(access.Guest) (*T, error)) (*T, error) {
	right, over, err := s.auth.Attempt(ctx, attempt, id.Client)
	if err != nil {
		return nil, err
	}
	defer over()
	secret, err := invitation.ParseSecret(in.Secret)
	if err != nil {
		return nil, err
	}
	out, err := f(access.Guest{Secret: secret, Source: id.Client})
	if !isWrongSecret(err) {
		right()
	}
	return out, err
}

func isWrongSecret(err error) bool {
	fe, ok := errors.AsType[*ownline.FieldError](err)
	return ok && fe.Field == "secret"
}
