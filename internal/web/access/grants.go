package access

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// NewGrant is what an admin tells of a new grant; at most one for a user and a service.
type NewGrant struct {
	ID                   ownline.GrantID // zero: a new one
	Created              time.Time       // zero: now
	User                 ownline.UserID
	Service              ownline.ServiceID
	Automatic            bool
	PublicPort           uint16
	AllowReserved        bool
	MaxDuration          time.Duration
	MaxSources           int
	RequireClaimedSource bool     // of the knocks that open it
	AllowedFrom          []string // countries, autonomous systems and networks; none: anywhere
}

// GrantChange changes what is not nil. A change that allows less ends the sessions that
// came of the grant; fewer sources, and a claimed source, count from the next knock on.
type GrantChange struct {
	Automatic            *bool
	PublicPort           *uint16
	AllowReserved        *bool
	MaxDuration          *time.Duration
	MaxSources           *int
	RequireClaimedSource *bool
	AllowedFrom          *[]string
}

// Grants lists grants, oldest first: an admin all, others their own.
func (a *Access) Grants(ctx context.Context, actor Actor, q ownline.GrantQuery) (gs []ownline.Grant, next string, err error) {
	if err := actor.May(ownline.ScopeRead, ownline.ScopeSessions, ownline.ScopeAdmin); err != nil {
		return nil, "", err
	}
	if q.User, err = actor.onlyOwn(q.User); err != nil {
		return nil, "", err
	}
	err = a.store.Read(ctx, func(tx Tx) (err error) {
		gs, next, err = tx.Grants(q)
		return err
	})
	return gs, next, err
}

// Grant returns one of those that Grants lists.
func (a *Access) Grant(ctx context.Context, actor Actor, id ownline.GrantID) (g ownline.Grant, err error) {
	if err := actor.May(ownline.ScopeRead, ownline.ScopeSessions, ownline.ScopeAdmin); err != nil {
		return g, err
	}
	err = a.store.Read(ctx, func(tx Tx) (err error) {
		g, err = tx.Grant(id)
		return err
	})
	if err == nil && !actor.sees(g.User) {
		return ownline.Grant{}, ownline.NotFound("grant", id.String())
	}
	return g, err
}

// AddGrant lets a user use a service (admin).
func (a *Access) AddGrant(ctx context.Context, actor Actor, n NewGrant) (ownline.Grant, error) {
	g := ownline.Grant{
		ID: cmp.Or(n.ID, ownline.NewID[ownline.Grant]()), User: n.User, Service: n.Service, Automatic: n.Automatic, PublicPort: n.PublicPort,
		AllowReserved: n.AllowReserved, MaxDuration: n.MaxDuration, MaxSources: n.MaxSources, RequireClaimedSource: n.RequireClaimedSource, Created: cmp.Or(n.Created, now()),
	}
	if err := actor.MustAdmin(); err != nil {
		return ownline.Grant{}, err
	}
	err := a.changeAndEnforce(ctx, actor, func(c *change) error {
		u, err := c.User(g.User)
		if err != nil {
			return err
		}
		s, err := c.Service(g.Service)
		if err != nil {
			return err
		}
		if err := checkGrant(c.Tx, g, s); err != nil {
			return err
		}
		if g.AllowedFrom, err = a.allowedFrom(c.Tx, s.Site, n.AllowedFrom); err != nil {
			return err
		}
		if err := cmp.Or(c.AddGrant(g), c.insideMoved(s, 0, g.PublicPort)); err != nil {
			return err
		}
		c.publish(Event{Kind: EventGrant, Owner: g.User, Resource: g})
		c.publish(Event{Kind: EventService, Owner: g.User, Resource: s})
		return c.audit("grant.add", g.ID.String(), s.Site, describeGrant(g, u.Name, s.Name))
	})
	if err != nil {
		return ownline.Grant{}, err
	}
	return g, nil
}

// insideMoved has core told that the LAN finds a service at another port of the public name.
func (c *change) insideMoved(s ownline.Service, was, is uint16) error {
	if s.Kind != ownline.Forward || was == is {
		return nil
	}
	return c.whole(s.Site)
}

// insideLeaves has core told that a service is no longer where the LAN may have found it.
func (c *change) insideLeaves(s ownline.Service) error {
	fixed, err := c.FixedPorts(s.Site)
	there := func(in link.Inside) bool {
		return s.Kind == ownline.Forward && in.Transport == s.Transport && in.Target4 == s.Target4 && in.Target6 == s.Target6
	}
	if err != nil || !slices.ContainsFunc(fixed, there) {
		return err
	}
	return c.whole(s.Site)
}

func describeGrant(g ownline.Grant, user, service string) string {
	text := fmt.Sprintf("%s may use %s; automatic %t, port %d, reserved %t", user, service, g.Automatic, g.PublicPort, g.AllowReserved)
	if g.MaxDuration != 0 {
		text += fmt.Sprintf(", at most %s", g.MaxDuration)
	}
	text += fmt.Sprintf(", %d sources of a device", cmp.Or(g.MaxSources, ownline.UsualSources))
	if g.RequireClaimedSource {
		text += ", claimed source required"
	}
	if g.AllowedFrom != "" {
		text += ", from " + g.AllowedFrom.String()
	}
	return text
}

func checkGrant(tx Tx, g ownline.Grant, s ownline.Service) error {
	switch {
	case g.MaxDuration < 0 || (g.MaxDuration > 0 && g.MaxDuration < time.Second):
		return ownline.Invalid("max_duration", "must be at least 1s, or 0 for the configured maximum")
	case g.MaxSources < 0 || g.MaxSources > ownline.MostSources:
		return ownline.Invalid("max_sources", fmt.Sprintf("must be from 1 to %d, or 0 for %d", ownline.MostSources, ownline.UsualSources))
	case s.Everybody:
		return ownline.Invalid("service", "needs no grant: every user may use it")
	case s.Kind == ownline.Proxy && g.PublicPort != 0:
		return ownline.Invalid("public_port", "is for forwards: a proxied service has the port of the site's reverse proxy")
	case g.AllowReserved && g.PublicPort == 0:
		return ownline.Invalid("allow_reserved", "needs a public_port that it is about")
	}
	site, err := tx.Site(s.Site)
	if err != nil {
		return err
	}
	if slices.Contains(site.ReservedPorts, g.PublicPort) && !g.AllowReserved {
		return ownline.Conflict("public_port", fmt.Sprintf("the router itself serves port %d; allow_reserved takes it nevertheless", g.PublicPort))
	}
	return nil
}

// ChangeGrant changes a grant (admin).
func (a *Access) ChangeGrant(ctx context.Context, actor Actor, id ownline.GrantID, w GrantChange) (g ownline.Grant, err error) {
	if err := actor.MustAdmin(); err != nil {
		return ownline.Grant{}, err
	}
	err = a.changeAndEnforce(ctx, actor, func(c *change) (err error) {
		if g, err = c.Grant(id); err != nil {
			return err
		}
		was := g
		set(&g.Automatic, w.Automatic)
		set(&g.PublicPort, w.PublicPort)
		set(&g.AllowReserved, w.AllowReserved)
		set(&g.MaxDuration, w.MaxDuration)
		set(&g.MaxSources, w.MaxSources)
		set(&g.RequireClaimedSource, w.RequireClaimedSource)
		s, err := c.Service(g.Service)
		if err != nil {
			return err
		}
		if err := checkGrant(c.Tx, g, s); err != nil {
			return err
		}
		if w.AllowedFrom != nil {
			if g.AllowedFrom, err = a.allowedFrom(c.Tx, s.Site, *w.AllowedFrom); err != nil {
				return err
			}
		}
		if err := cmp.Or(c.SaveGrant(g), c.insideMoved(s, was.PublicPort, g.PublicPort)); err != nil {
			return err
		}
		if _, err := c.endAll(ownline.SessionQuery{User: g.User, Service: g.Service}, ownline.Revoked, func(e ownline.SessionInfo) bool {
			return tightened(was, g, !e.Device.IsZero()) || a.outsideOf(g.AllowedFrom, e)
		}); err != nil {
			return err
		}
		c.publish(Event{Kind: EventGrant, Owner: g.User, Resource: g})
		u, err := c.User(g.User)
		if err != nil {
			return err
		}
		return c.audit("grant.change", id.String(), s.Site, describeGrant(g, u.Name, s.Name)+describeList(was.AllowedFrom, g.AllowedFrom))
	})
	if err != nil {
		return ownline.Grant{}, err
	}
	return g, nil
}

// tightened reports whether a session that a person or a device opened under a grant might
// not be opened in the same way under its new form.
func tightened(was, is ownline.Grant, knocked bool) bool {
	return (knocked && was.Automatic && !is.Automatic) ||
		was.PublicPort != is.PublicPort ||
		(was.AllowReserved && !is.AllowReserved) ||
		(is.MaxDuration > 0 && (was.MaxDuration == 0 || is.MaxDuration < was.MaxDuration))
}

// RemoveGrant takes a grant away (admin) and ends the sessions that came of it.
func (a *Access) RemoveGrant(ctx context.Context, actor Actor, id ownline.GrantID) error {
	if err := actor.MustAdmin(); err != nil {
		return err
	}
	return a.changeAndEnforce(ctx, actor, func(c *change) error {
		g, err := c.Grant(id)
		if err != nil {
			return err
		}
		s, err := c.Service(g.Service)
		if err != nil {
			return err
		}
		if _, err := c.endAll(ownline.SessionQuery{User: g.User, Service: g.Service}, ownline.Revoked, nil); err != nil {
			return err
		}
		if err := cmp.Or(c.RemoveGrant(id), c.insideMoved(s, g.PublicPort, 0)); err != nil {
			return err
		}
		if err := c.outside(g.User, g.Service, s.Site); err != nil {
			return err
		}
		c.publish(Event{Kind: EventGrant, Removed: true, Owner: g.User, Resource: g})
		u, err := c.User(g.User)
		if err != nil {
			return err
		}
		return c.audit("grant.remove", id.String(), s.Site, describeGrant(g, u.Name, s.Name))
	})
}
