package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/auth"
)

type auditLine struct {
	ID        string    `json:"id" doc:"Grows with every line" example:"1042"`
	At        time.Time `json:"at"`
	Actor     string    `json:"actor,omitempty" format:"uuid" doc:"Who did it; absent: the system itself, or nobody known"`
	ActorName string    `json:"actor_name,omitempty" example:"ana"`
	By        string    `json:"by" doc:"How they had proved who they are: login, token, knock, command or system" example:"login"`
	Client    string    `json:"client,omitempty" doc:"The address that it came from; absent: this very machine" example:"198.51.100.7"`
	Action    string    `json:"action" example:"session.open"`
	Subject   string    `json:"subject" doc:"What it was done to: an identifier or a name" example:"01980a3e-7c4d-7b21-9f55-2f6c1f0e8d3a"`
	Site      string    `json:"site,omitempty" format:"uuid"`
	SiteName  string    `json:"site_name,omitempty" example:"home"`
	Detail    string    `json:"detail" doc:"For people" example:"ssh for 198.51.100.7/32, port 20000/tcp to 192.168.7.10:22 until 2026-03-01T12:30:00Z"`
}

func auditView(l ownline.AuditLine) auditLine {
	v := auditLine{
		ID: strconv.FormatInt(l.Number, 10), At: l.At.UTC(), ActorName: l.ActorName, By: l.By, Action: l.Action,
		Subject: l.Subject, SiteName: l.SiteName, Detail: l.Detail,
	}
	if !l.Actor.IsZero() {
		v.Actor = l.Actor.String()
	}
	if !l.Site.IsZero() {
		v.Site = l.Site.String()
	}
	if l.Client.IsValid() {
		v.Client = l.Client.String()
	}
	return v
}

func (s *Server) audit() {
	type query struct {
		ListInput
		Actor   string    `query:"actor" format:"uuid" doc:"What this user did"`
		By      string    `query:"by" maxLength:"32" doc:"login, token, knock, command or system" example:"login"`
		Action  string    `query:"action" maxLength:"64" doc:"As in session.open, or session for all that was done to sessions" example:"session"`
		Subject string    `query:"subject" maxLength:"128" doc:"What was done to this identifier or name" example:"ana"`
		Site    string    `query:"site" format:"uuid"`
		From    time.Time `query:"from" doc:"Then or later"`
		Until   time.Time `query:"until" doc:"Before"`
	}
	register(s, operation{
		method: http.MethodGet, path: "/audit", id: "list-audit", who: admins, scope: []string{ownline.ScopeRead, ownline.ScopeAdmin}, tag: "audit", summary: "List what happened, the newest first (admin)",
		description: "The audit log is only ever added to. It holds no secret.",
	},
		func(ctx context.Context, id auth.Identity, in *query) (*output[list[auditLine]], error) {
			q := ownline.AuditQuery{Page: in.page(), By: in.By, Action: in.Action, Subject: in.Subject, From: in.From, Until: in.Until}
			var err error
			if q.Actor, err = parseID[ownline.User]("actor", in.Actor); err != nil {
				return nil, err
			}
			if q.Site, err = parseID[ownline.Site]("site", in.Site); err != nil {
				return nil, err
			}
			items, next, err := s.access.Audit(ctx, actor(id), q)
			return listOf(items, next, auditView), err
		})
}
