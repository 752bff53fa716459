package api

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/auth"
)

type session struct {
	ID          string          `json:"id" format:"uuid"`
	Site        string          `json:"site" format:"uuid"`
	SiteName    string          `json:"site_name"`
	User        string          `json:"user" format:"uuid"`
	UserName    string          `json:"user_name"`
	Service     string          `json:"service" format:"uuid"`
	ServiceName string          `json:"service_name"`
	Icon        string          `json:"icon,omitempty" doc:"Of the service"`
	Device      string          `json:"device,omitempty" format:"uuid" doc:"Whose knock opened it; absent when a person did"`
	DeviceName  string          `json:"device_name,omitempty"`
	Invitation  string          `json:"invitation,omitempty" format:"uuid" doc:"By which a guest opened it; absent for the user's own"`
	Guest       bool            `json:"guest" doc:"Somebody without an account opened it, invited by the user"`
	Source      string          `json:"source" doc:"The address or network that is let in"`
	PublicPort  uint16          `json:"public_port"`
	Transport   string          `json:"transport" enum:"tcp,udp"`
	Target      string          `json:"target" doc:"Address and port in the LAN; empty for a service of kind proxy"`
	State       string          `json:"state" enum:"opening,active,ended"`
	Reason      string          `json:"reason,omitempty" enum:"expired,closed,replaced,revoked,failed,flushed"`
	Detail      string          `json:"detail,omitempty" doc:"Of a failure, in words"`
	Failure     *ErrorDetail    `json:"failure,omitempty" doc:"The same, with the code of its sentence"`
	Opened      time.Time       `json:"opened"`
	Expires     time.Time       `json:"expires"`
	Ended       *time.Time      `json:"ended,omitempty"`
	EndedBy     string          `json:"ended_by,omitempty" format:"uuid" doc:"The user who closed it or took it away; absent when it ended by itself, or by a guest"`
	EndedByName string          `json:"ended_by_name,omitempty"`
	Traffic     ownline.Traffic `json:"traffic"`
	Address     string          `json:"address" doc:"HOST:PORT to connect to"`
	URL         string          `json:"url,omitempty" doc:"Of a service of kind proxy"`
}

func sessionView(i ownline.SessionInfo) session {
	v := session{
		ID: i.ID.String(), Site: i.Site.String(), SiteName: i.SiteName, User: i.User.String(), UserName: i.UserName,
		Service: i.Service.String(), ServiceName: i.ServiceName, Icon: i.ServiceIcon,
		DeviceName: i.DeviceName, EndedByName: i.EndedByName,
		Source: i.Source.String(), PublicPort: i.PublicPort, Transport: string(i.Transport), Target: addrPort(i.Target),
		State: string(i.State), Reason: string(i.Reason), Detail: i.Detail, Failure: failure(i.Detail),
		Opened: i.Opened.UTC(), Expires: i.Expires.UTC(), Ended: optional(i.EndedAt), Traffic: i.Traffic,
		Address: net.JoinHostPort(i.SiteHost, strconv.Itoa(int(i.PublicPort))), URL: i.URL(),
	}
	if !i.Device.IsZero() {
		v.Device = i.Device.String()
	}
	if !i.EndedBy.IsZero() {
		v.EndedBy = i.EndedBy.String()
	}
	if !i.Invitation.IsZero() {
		v.Invitation, v.Guest = i.Invitation.String(), true
	}
	return v
}

type sessionQuery struct {
	ListInput
	State   string    `query:"state" enum:"live,opening,active,ended" doc:"Absent: all; live: those that have not ended"`
	Reason  string    `query:"reason" enum:"expired,closed,replaced,revoked,failed,flushed" doc:"Only those that ended for it"`
	Service string    `query:"service" format:"uuid"`
	Site    string    `query:"site" format:"uuid"`
	Device  string    `query:"device" format:"uuid"`
	Invite  string    `query:"invitation" format:"uuid" doc:"Only those that guests opened by it"`
	User    string    `query:"user" format:"uuid" doc:"Of this user (admin)"`
	Source  string    `query:"source" maxLength:"64" example:"198.51.100.7" doc:"Only those that let this address in, or exactly this network"`
	From    time.Time `query:"from" doc:"Only those opened then or later"`
	Until   time.Time `query:"until" doc:"Only those opened before"`
	All     bool      `query:"all" doc:"Everybody's (admin); otherwise one's own"`
}

func (in *sessionQuery) ask() (ask access.SessionsAsk, err error) {
	ask.Page, ask.All, ask.Reason, ask.From, ask.Until = in.page(), in.All, ownline.EndReason(in.Reason), in.From, in.Until
	switch in.State {
	case "live":
		ask.Live = true
	case "ended":
		ask.Ended = true
	default:
		ask.State = ownline.SessionState(in.State)
	}
	if ask.Service, err = parseID[ownline.Service]("service", in.Service); err != nil {
		return ask, err
	}
	if ask.Site, err = parseID[ownline.Site]("site", in.Site); err != nil {
		return ask, err
	}
	if ask.Device, err = parseID[ownline.Device]("device", in.Device); err != nil {
		return ask, err
	}
	if ask.Invitation, err = parseID[ownline.Invitation]("invitation", in.Invite); err != nil {
		return ask, err
	}
	if ask.User, err = parseID[ownline.User]("user", in.User); err != nil {
		return ask, err
	}
	ask.Sources, err = parseSources(in.Source)
	return ask, err
}

// parseSources lists the sources that let an address in, or the one network that is asked
// for. How many bits of an IPv6 address count has been for each site to say.
func parseSources(s string) ([]netip.Prefix, error) {
	if s == "" {
		return nil, nil
	}
	const widest6 = 48 // a session's source is one address of IPv4, and no wider than this of IPv6
	wrong := ownline.Invalid("source", "is not an address like 198.51.100.7, or the network of a session like 2001:db8:7:1::/64")
	if p, err := netip.ParsePrefix(s); err == nil {
		if p.Addr().Is4() && !p.IsSingleIP() || p.Bits() < widest6 && p.Addr().Is6() {
			return nil, wrong // nothing would be found, whatever lies within
		}
		return []netip.Prefix{p.Masked()}, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return nil, wrong
	}
	a = a.Unmap()
	if a.Is4() {
		return []netip.Prefix{netip.PrefixFrom(a, 32)}, nil
	}
	var out []netip.Prefix
	for bits := widest6; bits <= 128; bits++ {
		out = append(out, netip.PrefixFrom(a, bits).Masked())
	}
	return out, nil
}

func (s *Server) sessions() {
	const tag, one = "sessions", "/sessions/{id}"
	register(s, operation{method: http.MethodGet, path: "/sessions", id: "list-sessions", fails: []int{http.StatusNotFound}, who: users, scope: []string{ownline.ScopeRead, ownline.ScopeSessions, ownline.ScopeAdmin}, tag: tag, summary: "List sessions, the newest first"},
		func(ctx context.Context, id auth.Identity, in *sessionQuery) (*output[list[session]], error) {
			ask, err := in.ask()
			if err != nil {
				return nil, err
			}
			items, next, err := s.access.Sessions(ctx, actor(id), ask)
			return listOf(items, next, sessionView), err
		})

	type newSession struct {
		Service    string `json:"service" format:"uuid"`
		For        string `json:"for,omitempty" example:"30m" doc:"Empty: the default; more than allowed is refused"`
		PublicPort uint16 `json:"public_port,omitempty" maximum:"65535" doc:"0: any"`
		Source     string `json:"source,omitempty" doc:"Whom to let in, told by an admin; empty: where this request came from"`
	}
	type openInput struct {
		IdempotencyKey string `header:"Idempotency-Key" maxLength:"128" doc:"The same key gives the same session for a day"`
		Body           newSession
	}
	register(s, operation{method: http.MethodPost, path: "/sessions", id: "open-session", fails: []int{http.StatusConflict}, who: users, scope: []string{ownline.ScopeSessions}, tag: tag, status: http.StatusCreated, summary: "Open a session, or renew the one there is; answers once it can be connected to"},
		func(ctx context.Context, id auth.Identity, in *openInput) (*output[session], error) {
			ask := access.OpenAsk{PublicPort: in.Body.PublicPort, IdempotencyKey: in.IdempotencyKey}
			var err error
			if ask.Service, err = parseID[ownline.Service]("service", in.Body.Service); err != nil {
				return nil, err
			}
			if ask.For, err = parseDuration("for", in.Body.For); err != nil {
				return nil, err
			}
			if in.Body.Source != "" {
				if ask.Source, err = netip.ParseAddr(in.Body.Source); err != nil {
					return nil, ownline.Invalid("source", "is not an address like 198.51.100.7")
				}
			}
			v, err := s.access.Open(ctx, actor(id), ask)
			return show(sessionView(v)), err
		})

	register(s, operation{method: http.MethodGet, path: one, id: "get-session", who: owner, scope: []string{ownline.ScopeRead, ownline.ScopeSessions, ownline.ScopeAdmin}, tag: tag, summary: "Show a session"},
		func(ctx context.Context, id auth.Identity, in *ByID) (*output[session], error) {
			return s.oneSession(ctx, id, in.ID, s.access.Session)
		})

	type renewal struct {
		For string `json:"for,omitempty" example:"30m" doc:"From now; empty: the default"`
	}
	register(s, operation{method: http.MethodPost, path: one + "/renew", id: "renew-session", fails: []int{http.StatusConflict}, who: owner, scope: []string{ownline.ScopeSessions, ownline.ScopeAdmin}, tag: tag, summary: "Let a session last longer"},
		func(ctx context.Context, id auth.Identity, in *bodyByID[*renewal]) (*output[session], error) {
			var d time.Duration
			if in.Body != nil {
				var err error
				if d, err = parseDuration("for", in.Body.For); err != nil {
					return nil, err
				}
			}
			return s.oneSession(ctx, id, in.ID, func(ctx context.Context, a access.Actor, sid ownline.SessionID) (ownline.SessionInfo, error) {
				return s.access.Renew(ctx, a, sid, d)
			})
		})

	register(s, operation{method: http.MethodDelete, path: one, id: "close-session", who: owner, scope: []string{ownline.ScopeSessions, ownline.ScopeAdmin}, tag: tag, summary: "End a session at once"},
		func(ctx context.Context, id auth.Identity, in *ByID) (*output[session], error) {
			return s.oneSession(ctx, id, in.ID, s.access.Close)
		})

	type flushInput struct {
		All  bool   `query:"all" doc:"Everybody's (admin); otherwise one's own"`
		Site string `query:"site" format:"uuid" doc:"Only those at this site"`
	}
	type flushed struct {
		Ended int `json:"ended" doc:"How many sessions were ended"`
	}
	register(s, operation{method: http.MethodDelete, path: "/sessions", id: "flush-sessions", who: users, scope: []string{ownline.ScopeSessions, ownline.ScopeAdmin}, tag: tag, summary: "End all of one's sessions at once"},
		func(ctx context.Context, id auth.Identity, in *flushInput) (*output[flushed], error) {
			site, err := parseID[ownline.Site]("site", in.Site)
			if err != nil {
				return nil, err
			}
			n, err := s.access.Flush(ctx, actor(id), in.All, site)
			return show(flushed{n}), err
		})
}

func (s *Server) oneSession(ctx context.Context, id auth.Identity, path string, f func(context.Context, access.Actor, ownline.SessionID) (ownline.SessionInfo, error)) (*output[session], error) {
	sid, err := parseID[ownline.Session]("id", path)
	if err != nil {
		return nil, err
	}
	v, err := f(ctx, actor(id), sid)
	return show(sessionView(v)), err
}
