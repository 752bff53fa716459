package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/auth"
)

// Notifications are the channels that tell people the news.
type Notifications interface {
	Channels() []ownline.ChannelInfo
	// Test sends a test message, once. ErrUnavailable says why it was not delivered.
	Test(ctx context.Context, name string) error
}

// noChannels is a server without any.
type noChannels struct{}

func (noChannels) Channels() []ownline.ChannelInfo { return nil }

func (noChannels) Test(_ context.Context, name string) error {
	return ownline.NotFound("channel", name)
}

// channel shows nothing of where the channel leads to but the kind of service.
type channel struct {
	Name        string     `json:"name"`
	Service     string     `json:"service" doc:"The kind of service" example:"telegram"`
	Events      []string   `json:"events" nullable:"false" doc:"The kinds of event that are told" example:"[\"session.opened\",\"site.down\"]"`
	Waiting     int        `json:"waiting" doc:"Events that are not told yet"`
	Sent        uint64     `json:"sent" doc:"Messages since the server was started"`
	Lost        uint64     `json:"lost" doc:"Events that could not be told, and were given up"`
	Failing     bool       `json:"failing" doc:"The last message was given up"`
	LastSuccess *time.Time `json:"last_success,omitempty"`
	LastFailure *time.Time `json:"last_failure,omitempty"`
	Error       string     `json:"error,omitempty" doc:"Why the last try failed" example:"the service answered 401 Unauthorized"`
}

func channelView(c ownline.ChannelInfo) channel {
	v := channel{
		Name: c.Name, Service: c.Service, Events: []string{}, Waiting: c.Waiting, Sent: c.Sent, Lost: c.Lost, Failing: c.Failing,
		LastSuccess: optional(c.LastSuccess), LastFailure: optional(c.LastFailure), Error: c.Error,
	}
	for _, k := range c.Events {
		v.Events = append(v.Events, string(k))
	}
	return v
}

func (s *Server) notificationResource() {
	const tag = "notifications"
	register(s, operation{method: http.MethodGet, path: "/notifications", id: "list-notifications", who: admins, scope: []string{ownline.ScopeAdmin}, tag: tag, summary: "List the channels for notifications, and how they are (admin)"},
		func(_ context.Context, _ auth.Identity, _ *noInput) (*output[list[channel]], error) {
			return listOf(s.notifications.Channels(), "", channelView), nil
		})

	type byName struct {
		Name string `path:"name" maxLength:"64"`
	}
	type result struct {
		Delivered bool   `json:"delivered"`
		Error     string `json:"error,omitempty" doc:"Why it was not delivered" example:"the connection was refused"`
	}
	register(s, operation{method: http.MethodPost, path: "/notifications/{name}/test", id: "test-notification", who: admins, scope: []string{ownline.ScopeAdmin}, tag: tag, summary: "Send a test message by a channel, and tell whether it was delivered (admin)"},
		func(ctx context.Context, _ auth.Identity, in *byName) (*output[result], error) {
			err := s.notifications.Test(ctx, in.Name)
			if errors.Is(err, ownline.ErrUnavailable) {
				return show(result{Error: err.Error()}), nil
			}
			return show(result{Delivered: err == nil}), err
		})
}
