package access

import (
	"cmp"
	"context"
	"errors"
	"net/netip"

	"github.com/ownline/ownline/internal/ownline"
)

// ExternalRules say what becomes of people whom an identity provider vouches for and who
// are linked with no user yet.
type ExternalRules struct {
	Create     bool // they become a user of the name that they have there
	LinkByName bool // they are linked with the user of that name: whoever names people there can be anybody here
}

// SignInExternal returns the user that is linked with somebody at an identity provider, with
// the role that the provider says. Nobody is linked silently: only as the rules allow.
func (a *Access) SignInExternal(ctx context.Context, client netip.Addr, e ownline.External, rules ExternalRules) (u ownline.User, err error) {
	_, err = a.change(ctx, Actor{By: ByLogin, Client: client}, func(c *change) (err error) {
		u, err = c.Linked(e.Issuer, e.Subject)
		if errors.Is(err, ownline.ErrNotFound) {
			u, err = c.newcomer(e, rules)
		}
		if err != nil {
			return err
		}
		c.actor.User = u
		if u.Disabled || e.Role == "" || e.Role == u.Role {
			return nil
		}
		was := u
		u.Role = e.Role
		if err := c.SaveUser(u); err != nil {
			return err
		}
		if err := c.keepAdmin(was, u); err != nil {
			return err
		}
		c.publish(Event{Kind: EventUser, Owner: u.ID, Resource: u})
		return c.audit("user.change", u.ID.String(), ownline.SiteID{}, u.Name+", now "+string(u.Role)+": the identity provider says so")
	})
	return u, err
}

// newcomer finds or makes the user for somebody who is linked with none.
func (c *change) newcomer(e ownline.External, rules ExternalRules) (ownline.User, error) {
	u, err := c.UserNamed(e.Name)
	switch {
	case err == nil && rules.LinkByName:
		n, err := c.CountLinks(u.ID, e.Issuer)
		if err != nil {
			return u, err
		}
		if n > 0 {
			return u, ownline.Forbidden("", "the user of that name is linked with somebody else at the identity provider")
		}
		c.actor.User = u
		return u, c.link(u, e)
	case err == nil:
		return u, ownline.Forbidden("", "there is a user of that name, who is not linked with the identity provider: sign in another way and link it under your account")
	case !errors.Is(err, ownline.ErrNotFound):
		return u, err
	case !rules.Create:
		return u, ownline.Forbidden("", "the identity provider knows you, but no user here is linked with you: ask an admin")
	}
	u = ownline.User{ID: ownline.NewID[ownline.User](), Name: e.Name, Role: cmp.Or(e.Role, ownline.Person), Created: c.now}
	if checkUserName(u.Name) != nil {
		return u, ownline.Forbidden("", "the name that the identity provider has for you is none for a user here: 1 to 64 of a-z 0-9 . _ -, with a letter or digit first")
	}
	// No password: the empty hash matches none.
	if err := c.AddUser(u, ""); err != nil {
		return u, err
	}
	c.actor.User = u
	c.publish(Event{Kind: EventUser, Owner: u.ID, Resource: u})
	if err := c.audit("user.add", u.ID.String(), ownline.SiteID{}, u.Name+" as "+string(u.Role)+", by the identity provider"); err != nil {
		return u, err
	}
	return u, c.link(u, e)
}

// LinkExternal links the actor with somebody at an identity provider.
func (a *Access) LinkExternal(ctx context.Context, actor Actor, e ownline.External) (u ownline.User, err error) {
	if err := actor.May(ownline.ScopeAdmin); err != nil {
		return u, err
	}
	_, err = a.change(ctx, actor, func(c *change) error {
		if u, err = c.User(actor.User.ID); err != nil {
			return err
		}
		switch linked, err := c.Linked(e.Issuer, e.Subject); {
		case err == nil && linked.ID == u.ID:
			return nil
		case err == nil:
			return ownline.Conflict("", "you are linked with another user here as the identity provider knows you")
		case !errors.Is(err, ownline.ErrNotFound):
			return err
		}
		return c.link(u, e)
	})
	return u, err
}

// ExternalLinks are those of the actor's with identity providers.
func (a *Access) ExternalLinks(ctx context.Context, actor Actor) (links []ownline.ExternalLink, err error) {
	if err := actor.May(ownline.ScopeRead); err != nil {
		return nil, err
	}
	err = a.store.Read(ctx, func(t Tx) error {
		links, err = t.Links(actor.User.ID)
		return err
	})
	return links, err
}

// UnlinkExternal ends every link of the actor's with identity providers.
func (a *Access) UnlinkExternal(ctx context.Context, actor Actor) error {
	if err := actor.May(ownline.ScopeAdmin); err != nil {
		return err
	}
	_, err := a.change(ctx, actor, func(c *change) error {
		if err := c.Unlink(actor.User.ID); err != nil {
			return err
		}
		return c.audit("user.unlink", actor.User.ID.String(), ownline.SiteID{}, "")
	})
	return err
}

func (c *change) link(u ownline.User, e ownline.External) error {
	if err := c.Link(u.ID, e.Issuer, e.Subject, c.now); err != nil {
		return err
	}
	return c.audit("user.link", u.ID.String(), ownline.SiteID{}, u.Name+" with "+e.Issuer)
}
