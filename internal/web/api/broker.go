package api

import (
	"context"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/auth"
)

// BrokerStatus tells how the MQTT broker is reached.
type BrokerStatus struct {
	Connected bool
	Since     time.Time // of the present state
	Error     string    // why it is not connected
}

type brokerState struct {
	Configured bool       `json:"configured" doc:"false: there is no mqtt.url in the configuration, and the rest says nothing"`
	Connected  bool       `json:"connected"`
	Since      *time.Time `json:"since,omitempty" doc:"Since when it is so"`
	Error      string     `json:"error,omitempty" doc:"Why it is not connected" example:"the connection was lost"`
}

func (s *Server) brokerResource() {
	register(s, operation{path: "/broker", method: "GET", id: "broker", who: admins, scope: []string{ownline.ScopeAdmin}, tag: "broker", summary: "Whether the MQTT broker is reached, through which guests redeem invitations (admin)"},
		func(context.Context, auth.Identity, *noInput) (*output[brokerState], error) {
			if s.broker == nil {
				return show(brokerState{}), nil
			}
			b := s.broker()
			return show(brokerState{Configured: true, Connected: b.Connected, Since: optional(b.Since), Error: b.Error}), nil
		})
}
