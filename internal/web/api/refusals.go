package api

import (
	"context"
	"net/http"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/auth"
)

// Refusal is how often knocks were refused for one reason.
type Refusal struct {
	Site       string    `json:"site,omitempty" format:"uuid" doc:"Absent: they came through a broker, where nobody knows for which"`
	SiteName   string    `json:"site_name,omitempty" example:"home"`
	Device     string    `json:"device,omitempty" format:"uuid" doc:"Absent: nobody knows of which"`
	DeviceName string    `json:"device_name,omitempty" example:"phone"`
	User       string    `json:"user,omitempty" format:"uuid" doc:"Of the device"`
	UserName   string    `json:"user_name,omitempty" example:"ana"`
	Reason     string    `json:"reason" doc:"docs/reference/refusals.md explains them" example:"policy_grant"`
	Number     uint64    `json:"number" example:"12"`
	First      time.Time `json:"first" doc:"As web learned of it"`
	Latest     time.Time `json:"latest"`
}

func refusalView(r ownline.RefusalInfo) Refusal {
	v := Refusal{
		SiteName: r.SiteName, DeviceName: r.DeviceName, UserName: r.UserName, Reason: r.Reason, Number: r.Number,
		First: r.First.UTC(), Latest: r.Latest.UTC(),
	}
	if !r.Site.IsZero() {
		v.Site = r.Site.String()
	}
	if !r.Device.IsZero() {
		v.Device = r.Device.String()
	}
	if !r.User.IsZero() {
		v.User = r.User.String()
	}
	return v
}

func (s *Server) refusals() {
	type query struct {
		Site string `query:"site" format:"uuid"`
		Days int    `query:"days" minimum:"1" maximum:"3660" default:"7" doc:"Today in UTC, and those before, so many in all"`
	}
	register(s, operation{
		method: http.MethodGet, path: "/refusals", id: "list-refusals", fails: []int{http.StatusNotFound}, who: admins, scope: []string{ownline.ScopeRead, ownline.ScopeAdmin}, tag: "sites", summary: "List how often knocks were refused, and why (admin)",
		description: "All of one kind are one line, the latest first. At most 200 lines.",
	},
		func(ctx context.Context, id auth.Identity, in *query) (*output[list[Refusal]], error) {
			site, err := parseID[ownline.Site]("site", in.Site)
			if err != nil {
				return nil, err
			}
			items, err := s.access.Refusals(ctx, actor(id), ownline.RefusalQuery{Site: site, Since: time.Now().AddDate(0, 0, 1-in.Days)})
			return listOf(items, "", refusalView), err
		})
}
