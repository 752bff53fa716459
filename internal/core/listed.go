//go:build !noproxy

package core

import (
	"context"

	"github.com/ownline/ownline/internal/core/portmap"
	"github.com/ownline/ownline/internal/core/session"
)

// Listed is a session as `ownline-core sessions` prints it.
type Listed struct {
	session.Session
	// Doorstep is whether it leads a guest, whose own session is another, to the doorstep.
	Doorstep bool               `json:"doorstep,omitempty"`
	InFront  *portmap.FrontPort `json:"router_in_front,omitempty"` // nil: no router in front is asked for the port
}

// list returns what is open.
func (c *Core) list() []Listed {
	all := c.book.List()
	out := make([]Listed, len(all))
	for i := range all {
		out[i] = Listed{all[i], all[i].ToDoorstep(), c.ports.of(&all[i])}
	}
	return out
}

func plain(s *Listed) *session.Session { return &s.Session }

// Sessions implements doctor.Daemon.
func (d daemon) Sessions(ctx context.Context) ([]session.Session, error) {
	all, err := d.Control.Sessions(ctx)
	out := make([]session.Session, len(all))
	for i := range all {
		out[i] = all[i].Session
	}
	return out, err
}
