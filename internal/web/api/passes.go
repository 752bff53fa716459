package api

import (
	"context"
	"net/http"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/auth"
)

func (s *Server) passes() {
	type newPass struct {
		Service string `json:"service" format:"uuid"`
		State   string `json:"state" maxLength:"64" example:"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8" doc:"What the page /continue was told: binds the code to the browser"`
		To      string `json:"to,omitempty" maxLength:"4096" example:"/page?x=1" doc:"Path at the service to come back to; / when absent"`
	}
	type pass struct {
		Location string `json:"location" doc:"Where the browser is to go, within a minute; it counts once"`
	}
	register(s, operation{
		method: http.MethodPost, path: "/passes", id: "add-pass", fails: []int{http.StatusConflict, http.StatusServiceUnavailable}, who: users, scope: []string{ownline.ScopeSessions}, tag: "services", status: http.StatusCreated,
		summary:     "Log in at a service that has options.require_login, with the login of this browser",
		description: "For browsers, not for tokens. Who may are those with a grant for the service, or with an open session of their own; admins, too, need one.",
	},
		func(ctx context.Context, id auth.Identity, in *body[newPass]) (*output[pass], error) {
			sid, err := parseID[ownline.Service]("service", in.Body.Service)
			if err != nil {
				return nil, err
			}
			to := in.Body.To
			if to == "" {
				to = "/"
			}
			location, err := s.access.Pass(ctx, actor(id), access.PassAsk{Login: id.Login, Service: sid, State: in.Body.State, To: to})
			return show(pass{location}), err
		})
}
