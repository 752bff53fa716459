package access

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/ownline/ownline/internal/invitation"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/policy"
)

// Guest is somebody who holds an invitation's link.
type Guest struct {
	Secret ownline.Secret       // of the link; or
	Sealed ownline.InvitationID // whose keys opened the guest's message
	Nonce  []byte               // of that message: it counts once
	Source netip.Addr           // the guest's address
}

// ErrRepeated says that a sealed message has counted before: its sender gets no answer.
var ErrRepeated = errors.New("the sealed message has counted already")

// Welcome is what a guest is told before anything is opened.
type Welcome struct {
	ownline.InvitationInfo
	State   ownline.InvitationState
	Session ownline.SessionInfo // that is open for the guest's address already; zero: none
	Inside  string              // where a guest who is inside finds the service; "": they are not
}

func (c invitations) of(g Guest) (ownline.InvitationInfo, error) {
	if !g.Sealed.IsZero() {
		return c.tx.Invitation(g.Sealed)
	}
	i, err := c.tx.InvitationByHash(invitation.Hash(g.Secret))
	if errors.Is(err, ownline.ErrNotFound) {
		err = &ownline.FieldError{Kind: ownline.ErrNotFound, Field: "secret", Detail: "is not that of an invitation; was the link copied whole?"}
	}
	return i, err
}

// invitations looks invitations up in a transaction.
type invitations struct{ tx Tx }

// live returns the session that the invitation has open for a source; zero: none.
func (c invitations) live(i ownline.InvitationID, source netip.Prefix, now time.Time) (ownline.SessionInfo, error) {
	ss, err := c.tx.LiveSessions(ownline.SessionQuery{Invitation: i})
	for _, s := range ss {
		if s.Source == source && s.Expires.After(now) {
			return s, err
		}
	}
	return ownline.SessionInfo{}, err
}

// Welcome tells a guest what the link opens. It changes nothing.
func (a *Access) Welcome(ctx context.Context, g Guest) (w Welcome, err error) {
	err = a.store.Read(ctx, func(tx Tx) error {
		at := now()
		if w.InvitationInfo, err = (invitations{tx}).of(g); err != nil {
			return err
		}
		w.State = w.InvitationInfo.State(at)
		f, err := a.facts(tx, w.User, w.Service)
		if err == nil {
			err = policy.May(policy.Ask{}, f)
		}
		switch {
		case errors.Is(err, ownline.ErrNotFound), errors.Is(err, ownline.ErrForbidden):
			w.State = ownline.InvitationRevoked // by taking the grant away
			return nil
		case err != nil:
			return err
		}
		if w.State == ownline.InvitationValid && ownline.KindOf(g.Source) == ownline.SourcePrivate {
			w.Inside = insideOf(f.Service)
		}
		source, err := ownline.SourceOf(g.Source, f.Site.IPv6Prefix)
		if err != nil {
			return nil // redeeming says why
		}
		w.Session, err = invitations{tx}.live(w.ID, source, at)
		return err
	})
	return w, err
}

// insideOf returns where somebody in the LAN finds a service: its URL, or its address and port.
func insideOf(s ownline.Service) string {
	switch {
	case s.Kind == ownline.Proxy:
		return s.URL()
	case s.Target4.IsValid():
		return s.Target4.String()
	}
	return s.Target6.String()
}

// Redeem opens a session for a guest's address, in the name of who invited, and returns once
// core has applied it. The same address gets the session that it has, which costs no use.
// ErrNotFound: the secret is none. ErrConflict about "invitation": it is over. ErrUnavailable:
// core can't be reached; nothing is open, and the use is given back.
func (a *Access) Redeem(ctx context.Context, g Guest) (ownline.SessionInfo, error) {
	actor := Actor{By: ByInvitation, Client: g.Source.Unmap()}
	return a.openBy(ctx, actor, func(c *change) (opening, error) { return a.redeem(c, g) })
}

func (a *Access) redeem(c *change, g Guest) (o opening, err error) {
	i, err := invitations{c.Tx}.of(g)
	if err != nil {
		return o, err
	}
	if !g.Sealed.IsZero() {
		if fresh, err := c.RedeemOnce(i.ID, g.Nonce, c.now); err != nil || !fresh {
			return o, cmp.Or(err, ErrRepeated)
		}
	}
	f, err := a.facts(c.Tx, i.User, i.Service)
	ask := policy.Ask{Source: g.Source, Origin: a.origin(g.Source), For: i.For, Invited: true}
	if err == nil {
		err = policy.May(ask, f)
	}
	if errors.Is(err, ownline.ErrNotFound) || errors.Is(err, ownline.ErrForbidden) {
		return o, ownline.Conflict("invitation", "opens nothing any more: who made it may not use this service now")
	} else if err != nil {
		return o, err
	}
	place, err := policy.Place(g.Source, f)
	if err != nil {
		return o, err
	}
	if s, err := (invitations{c.Tx}).live(i.ID, place.Source, c.now); err != nil || !s.ID.IsZero() {
		o.SessionInfo, o.earlier = s, true
		return o, err
	}
	if err := isOver(i.State(c.now)); err != nil {
		return o, err
	}
	if err := a.fromThere(i.Countries, g.Source); err != nil {
		return o, err
	}
	near, err := c.LiveNear(f.Site.ID, place.Source, ownline.DeviceID{})
	if err != nil {
		return o, err
	}
	f.Holes = holes(near)
	what, err := policy.Decide(ask, f, c.now)
	if _, ok := errors.AsType[*policy.RefusedByError](err); ok { // lists are not for guests to read
		return o, ownline.Forbidden("source", fmt.Sprintf("nothing is opened for %s, because of where it is", g.Source))
	}
	if err != nil {
		return o, err
	}
	if ok, err := c.Use(i.ID, c.now); err != nil || !ok {
		return o, cmp.Or(err, isOver(ownline.InvitationUsed))
	}
	i.Used++
	site, err := c.bump(f.Site.ID)
	if err != nil {
		return o, err
	}
	s := newSession(f, what, ownline.DeviceID{}, site.revision, c.now)
	s.Invitation = i.ID
	if err := c.AddSession(s); err != nil {
		return o, err
	}
	if o.SessionInfo, err = c.Session(s.ID); err != nil {
		return o, err
	}
	c.session(o.SessionInfo)
	c.invitation(i)
	c.tell(ownline.News{
		Kind: ownline.InvitationRedeemed, User: i.UserName, Service: i.ServiceName, Site: i.SiteName, Source: s.Source, Until: s.Expires, Session: s.ID,
	})
	how := "in the guest's browser"
	if !g.Sealed.IsZero() {
		how = "through the broker, address as the guest told it"
	}
	if err := c.audit("invitation.redeem", i.ID.String(), s.Site, fmt.Sprintf("use %d of %d, %s", i.Used, i.Uses, how)); err != nil {
		return o, err
	}
	return o, c.audit("session.open", s.ID.String(), s.Site, describeSession(s, f.Service.Name))
}

// Leave ends the session that the invitation has open for a guest's address; when there is
// none, nothing happens. ErrNotFound: the secret is none.
func (a *Access) Leave(ctx context.Context, g Guest) error {
	actor := Actor{By: ByInvitation, Client: g.Source.Unmap()}
	return a.changeAndEnforce(ctx, actor, func(c *change) error {
		i, err := invitations{c.Tx}.of(g)
		if err != nil {
			return err
		}
		site, err := c.Site(i.Site)
		if err != nil {
			return err
		}
		source, err := ownline.SourceOf(g.Source, site.IPv6Prefix)
		if err != nil {
			return nil // there is none for such an address
		}
		s, err := invitations{c.Tx}.live(i.ID, source, c.now)
		if err != nil || s.ID.IsZero() {
			return err
		}
		_, err = c.end(s, ownline.Closed, "")
		return err
	})
}

// isOver refuses an invitation that can't be redeemed any more.
func isOver(s ownline.InvitationState) error {
	switch s {
	case ownline.InvitationRevoked:
		return ownline.Conflict("invitation", "was revoked")
	case ownline.InvitationExpired:
		return ownline.Conflict("invitation", "has expired")
	case ownline.InvitationUsed:
		return ownline.Conflict("invitation", "has been used")
	}
	return nil
}

// fromThere refuses a guest who does not come from one of the countries. Where nobody knows
// where an address is, nobody is let in.
func (a *Access) fromThere(countries []string, source netip.Addr) error {
	if len(countries) == 0 {
		return nil
	}
	if a.countries != nil {
		if c, ok := a.countries.Country(source.Unmap()); ok && slices.Contains(countries, c) {
			return nil
		}
	}
	return ownline.Forbidden("source", "this invitation is not for guests from where you are")
}

// giveBack gives the use of an invitation back whose session never opened.
func (c *change) giveBack(s ownline.SessionInfo) error {
	if s.Invitation.IsZero() || s.State != ownline.Opening {
		return nil
	}
	if err := c.Unuse(s.Invitation); err != nil {
		return err
	}
	i, err := c.Invitation(s.Invitation)
	if err == nil {
		c.invitation(i)
	}
	return err
}
