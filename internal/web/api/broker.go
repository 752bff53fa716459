package api

import (
	"context"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/auth"
)

// Brokers tell how the MQTT brokers do; nil: there is none of that kind.
type Brokers struct {
	Outer    func() BrokerStatus
	Embedded func() EmbeddedStatus
}

// EmbeddedStatus tells how the broker inside web does.
type EmbeddedStatus struct {
	Serving bool
	Since   time.Time // when it began to
	Clients int

	RefusedLogins uint64    // since the start
	LastRefused   time.Time // zero: never
	RefusedFrom   string    // the address of the last

	Certificate *CertificateStatus // nil: there is no TLS
}

// CertificateStatus tells how the certificate of the broker inside web is.
type CertificateStatus struct {
	Expires time.Time // zero: there is none
	Problem string    // why there is none, or none newer
	Next    time.Time // when it is tried again; zero: when what is wrong is mended
}

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
	Embedded   *embedded  `json:"embedded,omitempty" doc:"The broker inside Ownline; absent: there is no mqtt.embedded in the configuration"`
}

type embedded struct {
	Serving bool       `json:"serving"`
	Since   *time.Time `json:"since,omitempty" doc:"Since when it serves"`
	Clients int        `json:"clients" doc:"Connections of devices and guests"`

	RefusedLogins uint64     `json:"refused_logins,omitempty" doc:"Wrong names and passwords since Ownline started"`
	LastRefused   *time.Time `json:"last_refused,omitempty" doc:"When the last of them was"`
	RefusedFrom   string     `json:"refused_from,omitempty" doc:"Where the last of them came from" example:"203.0.113.7"`

	Certificate *brokerCertificate `json:"certificate,omitempty" doc:"What it shows; absent: it has no TLS"`
}

type brokerCertificate struct {
	Expires *time.Time `json:"expires,omitempty" doc:"Until when it is good; absent: there is none, and nobody gets in"`
	Problem string     `json:"problem,omitempty" doc:"Why there is none, or none newer" example:"the router of home, which is to sign, can't be reached: not connected yet"`
	Next    *time.Time `json:"next,omitempty" doc:"When it is tried again, at the latest; absent with a problem: as soon as that is mended"`
}

func (s *Server) brokerResource() {
	register(s, operation{path: "/broker", method: "GET", id: "broker", who: admins, scope: []string{ownline.ScopeAdmin}, tag: "broker", summary: "How the MQTT brokers do, through which devices knock and guests redeem invitations (admin)"},
		func(context.Context, auth.Identity, *noInput) (*output[brokerState], error) {
			var state brokerState
			if s.brokers.Outer != nil {
				b := s.brokers.Outer()
				state = brokerState{Configured: true, Connected: b.Connected, Since: optional(b.Since), Error: b.Error}
			}
			if s.brokers.Embedded != nil {
				b := s.brokers.Embedded()
				state.Embedded = &embedded{Serving: b.Serving, Since: optional(b.Since), Clients: b.Clients, RefusedLogins: b.RefusedLogins, LastRefused: optional(b.LastRefused), RefusedFrom: b.RefusedFrom}
				if c := b.Certificate; c != nil {
					state.Embedded.Certificate = &brokerCertificate{Expires: optional(c.Expires), Problem: c.Problem, Next: optional(c.Next)}
				}
			}
			return show(state), nil
		})
}
