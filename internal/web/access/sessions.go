package access

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/policy"
)

// OpenAsk asks for a session.
type OpenAsk struct {
	Service        ownline.ServiceID
	For            time.Duration // 0: the default, as far as it is allowed
	PublicPort     uint16        // 0: any
	Source         netip.Addr    // zero: the address the actor comes from; another only by an admin
	IdempotencyKey string        // "": none; the same key gives the same session for 24 h
}

// keyAge is how long an idempotency key is remembered.
const keyAge = 24 * time.Hour

// SessionsAsk selects sessions.
type SessionsAsk struct {
	ownline.SessionQuery
	All bool // everybody's (admin); otherwise the actor's own, or those of SessionQuery.User (admin)
}

// Sessions lists sessions, newest first, and the cursor of the next page.
func (a *Access) Sessions(ctx context.Context, actor Actor, q SessionsAsk) (ss []ownline.SessionInfo, next string, err error) {
	if err := actor.May(ownline.ScopeRead, ownline.ScopeSessions, ownline.ScopeAdmin); err != nil {
		return nil, "", err
	}
	if q.All && !actor.Oversees() {
		return nil, "", ownline.Forbidden("all", "only an admin may see everybody's sessions")
	}
	if q.User.IsZero() && !q.All {
		q.User = actor.User.ID // zero for a command: everybody's
	}
	if q.User, err = actor.onlyOwn(q.User); err != nil {
		return nil, "", err
	}
	err = a.store.Read(ctx, func(tx Tx) (err error) {
		ss, next, err = tx.Sessions(q.SessionQuery)
		return err
	})
	return ss, next, err
}

// Session returns a session: an admin any, others their own.
func (a *Access) Session(ctx context.Context, actor Actor, id ownline.SessionID) (s ownline.SessionInfo, err error) {
	if err := actor.May(ownline.ScopeRead, ownline.ScopeSessions, ownline.ScopeAdmin); err != nil {
		return s, err
	}
	err = a.store.Read(ctx, func(tx Tx) (err error) {
		s, err = sessionFor(tx, actor.sees, id)
		return err
	})
	return s, err
}

// sessionFor returns a session that belongs to whom is says.
func sessionFor(tx Tx, is func(ownline.UserID) bool, id ownline.SessionID) (ownline.SessionInfo, error) {
	s, err := tx.Session(id)
	if err == nil && !is(s.User) {
		return ownline.SessionInfo{}, ownline.NotFound("session", id.String())
	}
	return s, err
}

// Open opens a session, or renews the live one that the same user has for the same service
// and source. It returns once core has applied it. ErrUnavailable: core can't be reached,
// and nothing is open nor will be.
func (a *Access) Open(ctx context.Context, actor Actor, ask OpenAsk) (ownline.SessionInfo, error) {
	if err := actor.May(ownline.ScopeSessions); err != nil {
		return ownline.SessionInfo{}, err
	}
	if actor.User.ID.IsZero() {
		return ownline.SessionInfo{}, ownline.Forbidden("user", "a session belongs to a user: sign in as one")
	}
	if len(ask.IdempotencyKey) > 128 {
		return ownline.SessionInfo{}, ownline.Invalid("Idempotency-Key", "must be 128 characters at most")
	}
	return a.openBy(ctx, actor, func(c *change) (opening, error) { return a.open(c, ask) })
}

// openBy opens what decide has decided on and written down, and returns once core has applied it; or
// what was opened earlier, as that is.
func (a *Access) openBy(ctx context.Context, actor Actor, decide func(*change) (opening, error)) (ownline.SessionInfo, error) {
	var o opening
	_, err := a.change(ctx, actor, func(c *change) (err error) {
		o, err = decide(c)
		return err
	})
	switch {
	case err != nil:
		return ownline.SessionInfo{}, err
	case o.earlier:
		return a.settled(ctx, o.SessionInfo.ID)
	}
	a.wake(o.Expires)
	if !o.Invitation.IsZero() {
		// Nobody may be expected any more, or somebody again if core did not open.
		defer a.lookForGuests()
	}
	return a.enforce(ctx, actor, o)
}

// opening is a session that core is to apply.
type opening struct {
	ownline.SessionInfo
	was     ownline.Session // as it was before it was renewed; zero: it is new
	earlier bool            // another request with the same key has asked core already
}

// open decides on the ask and writes what becomes of it.
func (a *Access) open(c *change, ask OpenAsk) (o opening, err error) {
	fingerprint := fmt.Sprintf("%s %s %d %s", ask.Service, ask.For, ask.PublicPort, ask.Source)
	if ask.IdempotencyKey != "" {
		id, asked, err := c.Idempotent(c.actor.User.ID, ask.IdempotencyKey, c.now.Add(-keyAge))
		if err != nil {
			return o, err
		}
		if !id.IsZero() {
			if asked != fingerprint {
				return o, ownline.Conflict("Idempotency-Key", "was used for another request")
			}
			o.SessionInfo.ID, o.earlier = id, true
			return o, nil
		}
	}
	source := ask.Source
	if !source.IsValid() {
		source = c.actor.Client
	}
	f, err := a.facts(c.Tx, c.actor.User.ID, ask.Service)
	if err != nil {
		return o, err
	}
	f.User.Role = c.actor.role(f.User)
	pask := policy.Ask{Source: source, Origin: a.origin(source), For: ask.For, Port: ask.PublicPort, Chosen: source.Unmap() != c.actor.Client.Unmap()}
	if err := policy.May(pask, f); err != nil {
		return o, err
	}
	place, err := policy.Place(source, f)
	if err != nil {
		return o, err
	}
	near, err := c.LiveNear(f.Site.ID, place.Source, ownline.DeviceID{})
	if err != nil {
		return o, err
	}
	f.Holes = holes(near)
	for _, s := range near {
		own := s.User == f.User.ID && s.Service == f.Service.ID && s.Device.IsZero() && s.Invitation.IsZero() && s.Source == place.Source
		if own && (ask.PublicPort == 0 || ask.PublicPort == s.PublicPort) {
			o, err = c.renew(s, pask, f)
			if err != nil {
				return o, err
			}
			return o, c.keep(ask.IdempotencyKey, fingerprint, o.SessionInfo.ID)
		}
	}
	what, err := policy.Decide(pask, f, c.now)
	if err != nil {
		return o, err
	}
	site, err := c.bump(f.Site.ID)
	if err != nil {
		return o, err
	}
	s := newSession(f, what, ownline.DeviceID{}, site.revision, c.now)
	if err := c.AddSession(s); err != nil {
		return o, err
	}
	c.counts.opened++
	if o.SessionInfo, err = c.Session(s.ID); err != nil {
		return o, err
	}
	c.session(o.SessionInfo)
	if err := c.audit("session.open", s.ID.String(), s.Site, describeSession(s, f.Service.Name)); err != nil {
		return o, err
	}
	return o, c.keep(ask.IdempotencyKey, fingerprint, s.ID)
}

func (c *change) keep(key, fingerprint string, id ownline.SessionID) error {
	if key == "" {
		return nil
	}
	return c.KeepIdempotent(c.actor.User.ID, key, fingerprint, id, c.now)
}

// facts collects what a decision about a user and a service depends on, but for the holes.
func (a *Access) facts(tx Tx, user ownline.UserID, service ownline.ServiceID) (f policy.Facts, err error) {
	f.Limits = a.limits
	if f.User, err = tx.User(user); err != nil {
		return f, err
	}
	if f.Service, err = tx.Service(service); err != nil {
		return f, err
	}
	if f.Grant, err = tx.GrantOf(user, service); err != nil {
		return f, err
	}
	f.Site, err = tx.Site(f.Service.Site)
	return f, err
}

func holes(ss []ownline.Session) []policy.Hole {
	out := make([]policy.Hole, len(ss))
	for i, s := range ss {
		out[i] = policy.Hole{Source: s.Source, Transport: s.Transport, Port: s.PublicPort, Target: s.Target}
	}
	return out
}

func newSession(f policy.Facts, what policy.Opening, d ownline.DeviceID, rev uint64, now time.Time) ownline.Session {
	return ownline.Session{
		ID: ownline.NewID[ownline.Session](), Site: f.Site.ID, User: f.User.ID, Service: f.Service.ID, Device: d,
		Source: what.Source, PublicPort: what.PublicPort, Reserved: what.AllowReserved, Transport: what.Transport, Target: what.Target,
		State: ownline.Opening, Opened: now, Expires: what.Until, Revision: rev,
	}
}

func describeSession(s ownline.Session, service string) string {
	to := "the proxy"
	if s.Target.IsValid() {
		to = s.Target.String()
	}
	return fmt.Sprintf("%s for %s, port %d/%s to %s until %s", service, s.Source, s.PublicPort, s.Transport, to, s.Expires.Format(time.RFC3339))
}

// forLink is what core is told of a session.
func forLink(s ownline.Session, kind ownline.ServiceKind, service, user string) link.Session {
	return link.Session{
		ID: s.ID, Service: service, ServiceID: s.Service, User: user, Kind: kind, Source: s.Source, Transport: s.Transport,
		PublicPort: s.PublicPort, AllowReserved: s.Reserved, Target: s.Target, Expires: s.Expires, Counted: s.Traffic,
	}
}

// renew moves the end of a live session.
func (c *change) renew(s ownline.Session, ask policy.Ask, f policy.Facts) (o opening, err error) {
	o.was = s
	if s.Expires, err = policy.Renew(ask, f, s.Expires, c.now); err != nil {
		return o, err
	}
	site, err := c.bump(s.Site)
	if err != nil {
		return o, err
	}
	s.Revision, s.Successor = site.revision, ownline.SessionID{}
	if err := c.SaveSession(s); err != nil {
		return o, err
	}
	if o.SessionInfo, err = c.Session(s.ID); err != nil {
		return o, err
	}
	return o, c.audit("session.renew", s.ID.String(), s.Site, "until "+s.Expires.Format(time.RFC3339))
}

// Renew lets a session last for the given time from now (0: the default), but no shorter
// than before. It returns once core has applied it; after an error the session ends when it
// would have ended before.
func (a *Access) Renew(ctx context.Context, actor Actor, id ownline.SessionID, d time.Duration) (ownline.SessionInfo, error) {
	if err := actor.May(ownline.ScopeSessions, ownline.ScopeAdmin); err != nil {
		return ownline.SessionInfo{}, err
	}
	var o opening
	_, err := a.change(ctx, actor, func(c *change) error {
		s, err := sessionFor(c.Tx, actor.owns, id)
		if err != nil {
			return err
		}
		if s.State == ownline.Ended || !s.Expires.After(c.now) {
			return ownline.Conflict("session", "is over; open a new one")
		}
		f, err := a.facts(c.Tx, s.User, s.Service)
		if err != nil {
			return err
		}
		f.User.Role = actor.role(f.User)
		if !s.Device.IsZero() {
			if f.Device, err = c.Device(s.Device); err != nil {
				return err
			}
		}
		o, err = c.renew(s.Session, policy.Ask{Source: s.Source.Addr(), Origin: a.origin(s.Source.Addr()), For: d, Knocked: !s.Device.IsZero()}, f)
		return err
	})
	if err != nil {
		return ownline.SessionInfo{}, err
	}
	a.wake(o.Expires)
	return a.enforce(ctx, actor, o)
}

// enforce has core apply a session that is committed, and writes what came of it.
func (a *Access) enforce(ctx context.Context, actor Actor, o opening) (ownline.SessionInfo, error) {
	ctx, cancel := forCore(ctx)
	defer cancel()
	s := o.SessionInfo
	refused := a.enforcer.Put(ctx, s.Site, s.Revision, forLink(s.Session, s.ServiceKind, s.ServiceName, s.UserName))
	var got ownline.SessionInfo
	_, err := a.change(context.WithoutCancel(ctx), actor, func(c *change) (err error) {
		if got, err = c.Session(s.ID); err != nil || got.State == ownline.Ended {
			return err
		}
		if refused != nil {
			return c.undo(&got, o, refused)
		}
		if got.State == ownline.Opening {
			got.State = ownline.Active
			c.reportSession(ownline.SessionOpened, got)
			if err := c.SaveSession(got.Session); err != nil {
				return err
			}
		}
		c.session(got)
		return nil
	})
	switch {
	case refused != nil:
		a.log.WarnContext(ctx, "core did not apply a session", logging.Session, s.ID, logging.Site, s.Site, logging.Err, refused)
		return ownline.SessionInfo{}, refused
	case err != nil:
		return ownline.SessionInfo{}, err
	case got.State == ownline.Ended:
		return got, ownline.Conflict("session", fmt.Sprintf("has ended meanwhile (%s)", got.Reason))
	}
	return got, nil
}

// undo takes back what core did not apply: a new session has failed; one that was renewed
// ends when it would have, unless somebody else has renewed it since.
func (c *change) undo(s *ownline.SessionInfo, o opening, why error) (err error) {
	if o.was.ID.IsZero() {
		*s, err = c.end(*s, ownline.Failed, why.Error())
		return err
	}
	if err := c.ForgetIdempotent(s.ID); err != nil || s.Revision != o.Revision {
		return err
	}
	site, err := c.bump(s.Site)
	if err != nil {
		return err
	}
	s.Expires, s.Successor, s.Revision = o.was.Expires, o.was.Successor, site.revision
	c.session(*s)
	return c.SaveSession(s.Session)
}

// settled waits until a session that another request opens is no longer opening.
func (a *Access) settled(ctx context.Context, id ownline.SessionID) (s ownline.SessionInfo, err error) {
	ctx, cancel := context.WithTimeout(ctx, enforceTimeout)
	defer cancel()
	for {
		_, changed := a.hub.last()
		err := a.store.Read(ctx, func(tx Tx) (err error) {
			s, err = tx.Session(id)
			return err
		})
		switch {
		case err != nil:
			return ownline.SessionInfo{}, err
		case s.State == ownline.Ended && s.Reason == ownline.Failed:
			return ownline.SessionInfo{}, &ownline.FieldError{Kind: ownline.ErrUnavailable, Field: "session", Detail: s.Detail}
		case s.State != ownline.Opening:
			return s, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ownline.SessionInfo{}, fmt.Errorf("the session is still opening: %w", ownline.ErrUnavailable)
		}
	}
}

// Close ends a session at once. One that is over stays as it is. When core can't be reached
// the session is over nevertheless, and core learns of it as soon as it can be.
func (a *Access) Close(ctx context.Context, actor Actor, id ownline.SessionID) (s ownline.SessionInfo, err error) {
	if err := actor.May(ownline.ScopeSessions, ownline.ScopeAdmin); err != nil {
		return s, err
	}
	err = a.changeAndEnforce(ctx, actor, func(c *change) (err error) {
		if s, err = sessionFor(c.Tx, actor.owns, id); err != nil || s.State == ownline.Ended {
			return err
		}
		s, err = c.end(s, ownline.Closed, "")
		return err
	})
	if err != nil {
		return ownline.SessionInfo{}, err
	}
	return s, nil
}

// Flush ends the actor's sessions, or everybody's (admin), and returns how many.
func (a *Access) Flush(ctx context.Context, actor Actor, all bool, site ownline.SiteID) (n int, err error) {
	if err := actor.May(ownline.ScopeSessions, ownline.ScopeAdmin); err != nil {
		return 0, err
	}
	if all && !actor.Admin() {
		return 0, ownline.Forbidden("all", "only an admin may end everybody's sessions")
	}
	q := ownline.SessionQuery{User: actor.User.ID, Site: site}
	if all {
		q.User = ownline.UserID{}
	} else if q.User.IsZero() {
		return 0, nil // a command has no sessions of its own
	}
	err = a.changeAndEnforce(ctx, actor, func(c *change) (err error) {
		n, err = c.endAll(q, ownline.Flushed, nil)
		return err
	})
	return n, err
}
