package apiclient

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Channel is one by which people are told the news, and how it is.
type Channel struct {
	Name        string     `json:"name"`
	Service     string     `json:"service"`
	Events      []string   `json:"events"`
	Waiting     int        `json:"waiting"` // events that are not told yet
	Sent        uint64     `json:"sent"`
	Lost        uint64     `json:"lost"`
	Failing     bool       `json:"failing"` // the last message was given up
	LastSuccess *time.Time `json:"last_success,omitempty"`
	LastFailure *time.Time `json:"last_failure,omitempty"`
	Error       string     `json:"error,omitempty"`
}

// Delivery is what became of a test message.
type Delivery struct {
	Delivered bool   `json:"delivered"`
	Error     string `json:"error,omitempty"`
}

// Broker tells how the MQTT brokers do.
type Broker struct {
	Configured bool       `json:"configured"`
	Connected  bool       `json:"connected"`
	Since      *time.Time `json:"since,omitempty"`
	Error      string     `json:"error,omitempty"`

	Embedded *EmbeddedBroker `json:"embedded,omitempty"` // nil: there is none
}

// EmbeddedBroker tells how the MQTT broker inside the server does.
type EmbeddedBroker struct {
	Serving bool       `json:"serving"`
	Since   *time.Time `json:"since,omitempty"`
	Clients int        `json:"clients"`

	RefusedLogins uint64     `json:"refused_logins"`
	LastRefused   *time.Time `json:"last_refused,omitempty"`
	RefusedFrom   string     `json:"refused_from,omitempty"`

	Certificate *BrokerCertificate `json:"certificate,omitempty"` // nil: it has no TLS
}

// BrokerCertificate tells how that broker's certificate is.
type BrokerCertificate struct {
	Expires *time.Time `json:"expires,omitempty"` // nil: there is none
	Problem string     `json:"problem,omitempty"`
	Next    *time.Time `json:"next,omitempty"` // when it is tried again, at the latest
}

// Notifications lists the channels for notifications (admin).
func (c *Client) Notifications(ctx context.Context) ([]Channel, error) {
	return items[Channel](ctx, c, "/notifications")
}

// TestNotification sends a test message by a channel (admin).
func (c *Client) TestNotification(ctx context.Context, name string) (Delivery, error) {
	return call[Delivery](ctx, c, http.MethodPost, "/notifications/"+url.PathEscape(name)+"/test", nil)
}

// Broker tells how the MQTT brokers do (admin).
func (c *Client) Broker(ctx context.Context) (Broker, error) {
	return call[Broker](ctx, c, http.MethodGet, "/broker", nil)
}
