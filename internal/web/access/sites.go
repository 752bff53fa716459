package access

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// SiteChange changes what is not nil.
type SiteChange struct {
	Name        *string
	Host        *string
	IPv6Prefix  *int      // bits, 48 to 128; ends the site's IPv6 sessions
	AllowedFrom *[]string // countries, autonomous systems and networks; ends the sessions of those who are elsewhere
}

// Sites lists sites by name: an admin all, others those where they have a grant or a
// device, without what is the admin's business (only ID, Name, Host, Proxy,
// Created, Health.Connected, Health.LastContact and Health.Root are set).
func (a *Access) Sites(ctx context.Context, actor Actor) ([]ownline.SiteInfo, error) {
	if err := actor.May(ownline.Scopes()...); err != nil {
		return nil, err
	}
	var sites []ownline.Site
	err := a.store.Read(ctx, func(tx Tx) (err error) {
		sites, err = sitesFor(tx, actor)
		return err
	})
	out := make([]ownline.SiteInfo, 0, len(sites))
	for _, s := range sites {
		out = append(out, a.siteInfo(actor, s))
	}
	return out, err
}

// Site returns one of those that Sites lists.
func (a *Access) Site(ctx context.Context, actor Actor, id ownline.SiteID) (ownline.SiteInfo, error) {
	return a.pickSite(ctx, actor, id.String(), func(s ownline.SiteInfo) bool { return s.ID == id })
}

// Pending tells what a site's core has not applied yet.
type Pending struct {
	Known    bool                  // false: since web started, core has not said what it holds
	Sessions []ownline.SessionInfo // the newest of those that were opened, renewed or ended since
	Total    int                   // of those sessions
}

const maxPending = 50

// Pending returns what a site's core has not applied yet (admin).
func (a *Access) Pending(ctx context.Context, actor Actor, id ownline.SiteID) (p Pending, err error) {
	if err := actor.MustAdmin(ownline.ScopeRead); err != nil {
		return p, err
	}
	applied := a.enforcer.Health(id).Applied
	p.Known = applied > 0
	err = a.store.Read(ctx, func(tx Tx) (err error) {
		if _, err := tx.Site(id); err != nil || !p.Known {
			return err
		}
		p.Sessions, p.Total, err = tx.Unapplied(id, applied, maxPending)
		return err
	})
	return p, err
}

// SiteNamed returns one of those that Sites lists, by name.
func (a *Access) SiteNamed(ctx context.Context, actor Actor, name string) (ownline.SiteInfo, error) {
	return a.pickSite(ctx, actor, name, func(s ownline.SiteInfo) bool { return s.Name == name })
}

func (a *Access) pickSite(ctx context.Context, actor Actor, name string, is func(ownline.SiteInfo) bool) (ownline.SiteInfo, error) {
	ss, err := a.Sites(ctx, actor)
	if err != nil {
		return ownline.SiteInfo{}, err
	}
	if i := slices.IndexFunc(ss, is); i >= 0 {
		return ss[i], nil
	}
	return ownline.SiteInfo{}, ownline.NotFound("site", name)
}

func sitesFor(tx Tx, actor Actor) ([]ownline.Site, error) {
	if actor.Oversees() {
		return tx.Sites()
	}
	return tx.SitesOf(actor.User.ID)
}

func (a *Access) siteInfo(actor Actor, s ownline.Site) ownline.SiteInfo {
	info := ownline.SiteInfo{Site: s, Health: a.enforcer.Health(s.ID)}
	info.Health.Wanted = max(info.Health.Wanted, s.Revision)
	if !actor.Oversees() {
		return publicSite(info)
	}
	return info
}

// publicSite is what of a site is everybody's to know who may use it.
func publicSite(s ownline.SiteInfo) ownline.SiteInfo {
	return ownline.SiteInfo{
		Site:   ownline.Site{ID: s.ID, Name: s.Name, Host: s.Host, FwknopPort: s.FwknopPort, Proxy: s.Proxy, Created: s.Created},
		Health: ownline.LinkHealth{Connected: s.Health.Connected, LastContact: s.Health.LastContact, Root: s.Health.Root},
	}
}

// PairSite pairs with the core of a pairing code and makes its site (admin).
func (a *Access) PairSite(ctx context.Context, actor Actor, code, name, host string) (ownline.SiteInfo, error) {
	if err := cmp.Or(actor.MustAdmin(), checkName(name), checkHost(host)); err != nil {
		return ownline.SiteInfo{}, err
	}
	parsed, err := link.ParseCode(code)
	if err != nil {
		return ownline.SiteInfo{}, err
	}
	// Before the code is spent: what can be known to fail.
	err = a.store.Read(ctx, func(tx Tx) error {
		sites, err := tx.Sites()
		for _, s := range sites {
			switch {
			case link.Pin(s.Pin).Equal(parsed.Pin):
				return ownline.Conflict("code", "is of a core that is the site "+s.Name+" already; to pair with it again: `ownline-web site pair "+s.Name+"`")
			case s.Name == name:
				return ownline.Conflict("name", "is another site's already")
			}
		}
		return err
	})
	if err != nil {
		return ownline.SiteInfo{}, err
	}
	status, err := a.enforcer.Pair(ctx, code)
	if err != nil {
		return ownline.SiteInfo{}, err
	}
	s := ownline.Site{
		ID: ownline.NewID[ownline.Site](), Name: name, Host: host, Link: parsed.Addr, Pin: string(parsed.Pin),
		IPv6Prefix: a.ipv6Prefix, Revision: 1, Created: now(),
	}
	told(&s, status)
	_, err = a.change(ctx, actor, func(c *change) error {
		if err := cmp.Or(c.AddSite(s), a.keepOwn(c, s)); err != nil {
			return err
		}
		if own := c.sites[s.ID]; own != nil {
			s.Revision = own.revision
		}
		c.publish(Event{Kind: EventSite, Resource: ownline.SiteInfo{Site: s}})
		return c.audit("site.pair", s.ID.String(), s.ID, s.Name)
	})
	if err != nil {
		return ownline.SiteInfo{}, err
	}
	ctx, cancel := forCore(ctx)
	defer cancel()
	if err := a.enforcer.Sync(ctx, s.ID, s.Revision); err != nil {
		a.log.DebugContext(ctx, "the new site's core has not got its state yet", logging.Site, s.ID, logging.Err, err)
	}
	return a.siteInfo(actor, s), nil
}

// PairAgain pairs with the core of a site once more (admin), or with another one in its
// place; the site stays as it is.
func (a *Access) PairAgain(ctx context.Context, actor Actor, id ownline.SiteID, code string) (ownline.SiteInfo, error) {
	if err := actor.MustAdmin(); err != nil {
		return ownline.SiteInfo{}, err
	}
	parsed, err := link.ParseCode(code)
	if err != nil {
		return ownline.SiteInfo{}, err
	}
	// Before the code is spent: what can be known to fail.
	err = a.store.Read(ctx, func(tx Tx) error {
		if _, err := tx.Site(id); err != nil {
			return err
		}
		sites, err := tx.Sites()
		for _, s := range sites {
			if s.ID != id && link.Pin(s.Pin).Equal(parsed.Pin) {
				return ownline.Conflict("code", "is of the core of another site, "+s.Name)
			}
		}
		return err
	})
	if err != nil {
		return ownline.SiteInfo{}, err
	}
	status, err := a.enforcer.Pair(ctx, code)
	if err != nil {
		return ownline.SiteInfo{}, err
	}
	var s ownline.Site
	_, err = a.change(ctx, actor, func(c *change) (err error) {
		if s, err = c.Site(id); err != nil {
			return err
		}
		s.Link, s.Pin = parsed.Addr, string(parsed.Pin)
		told(&s, status)
		if err := cmp.Or(c.PairSite(s), c.SaveSite(s), c.whole(id), a.keepOwn(c, s), c.proxyMoved(s)); err != nil {
			return err
		}
		s.Revision = c.sites[id].revision
		c.publish(Event{Kind: EventSite, Resource: a.siteInfo(System(), s)})
		return c.audit("site.pair", id.String(), id, s.Name)
	})
	if err != nil {
		return ownline.SiteInfo{}, err
	}
	ctx2, cancel := forCore(ctx)
	defer cancel()
	if err = a.enforcer.Moved(ctx2, s); err == nil {
		err = a.enforcer.Sync(ctx2, id, s.Revision)
	}
	if err != nil {
		a.log.DebugContext(ctx, "the core that was paired again has not got its state yet", logging.Site, id, logging.Err, err)
	}
	return a.Site(ctx, actor, id)
}

// told takes over what core says of itself, and reports whether any of it is new.
func told(s *ownline.Site, st link.Status) bool {
	proxy := ownline.SiteProxy{Driver: st.Proxy.Driver, Domain: st.Proxy.Domain, Port: st.Proxy.Port}
	same := s.KnockPort == st.KnockPort && s.FwknopPort == st.FwknopPort && slices.Equal(s.LocalNetworks, st.LocalNetworks) && slices.Equal(s.ReservedPorts, st.ReservedPorts) && s.Proxy == proxy
	s.KnockPort, s.FwknopPort, s.LocalNetworks, s.ReservedPorts, s.Proxy = st.KnockPort, st.FwknopPort, st.LocalNetworks, st.ReservedPorts, proxy
	return !same
}

// proxyMoved ends the sessions of proxied services that have another port than the proxy of
// the site's core has now.
func (c *change) proxyMoved(s ownline.Site) error {
	live, err := c.LiveSessions(ownline.SessionQuery{Site: s.ID})
	for _, e := range live {
		if e.ServiceKind == ownline.Proxy && (!s.Proxy.Serves() || e.PublicPort != s.Proxy.Port) {
			if _, err := c.end(e, ownline.Failed, "the site's reverse proxy is not there any more"); err != nil {
				return err
			}
		}
	}
	return err
}

// ChangeSite changes a site (admin).
func (a *Access) ChangeSite(ctx context.Context, actor Actor, id ownline.SiteID, w SiteChange) (ownline.SiteInfo, error) {
	if err := actor.MustAdmin(); err != nil {
		return ownline.SiteInfo{}, err
	}
	var s ownline.Site
	err := a.changeAndEnforce(ctx, actor, func(c *change) (err error) {
		if s, err = c.Site(id); err != nil {
			return err
		}
		was := s
		set(&s.Name, w.Name)
		set(&s.Host, w.Host)
		set(&s.IPv6Prefix, w.IPv6Prefix)
		if err := cmp.Or(checkName(s.Name), checkHost(s.Host), checkPrefix(s.IPv6Prefix)); err != nil {
			return err
		}
		if w.AllowedFrom != nil {
			if s.AllowedFrom, err = a.parseAllowed(*w.AllowedFrom, s.IPv6Prefix); err != nil {
				return err
			}
			if err := a.endOutside(c, ownline.SessionQuery{Site: id}, s.AllowedFrom); err != nil {
				return err
			}
		}
		if s.IPv6Prefix < was.IPv6Prefix {
			if err := cmp.Or(a.policyFits(s), c.listsFit(s)); err != nil {
				return err
			}
		}
		if err := c.SaveSite(s); err != nil {
			return err
		}
		if s.IPv6Prefix != was.IPv6Prefix {
			// A source of another length would be another set of people.
			if _, err := c.endAll(ownline.SessionQuery{Site: id}, ownline.Revoked, func(e ownline.SessionInfo) bool { return e.Source.Addr().Is6() }); err != nil {
				return err
			}
		}
		if err := c.whole(id); err != nil {
			return err
		}
		s.Revision = c.sites[id].revision
		c.publish(Event{Kind: EventSite, Resource: a.siteInfo(System(), s)})
		return c.audit("site.change", id.String(), id, describeNamed(s.Name, was.AllowedFrom, s.AllowedFrom))
	})
	if err != nil {
		return ownline.SiteInfo{}, err
	}
	return a.siteInfo(actor, s), nil
}

// RemoveSite removes a site (admin) with its services, their grants and its devices, and
// ends its sessions; history keeps them.
func (a *Access) RemoveSite(ctx context.Context, actor Actor, id ownline.SiteID) error {
	if err := actor.MustAdmin(); err != nil {
		return err
	}
	return a.changeAndEnforce(ctx, actor, func(c *change) error {
		s, err := c.Site(id)
		if err != nil {
			return err
		}
		if _, err := c.endAll(ownline.SessionQuery{Site: id}, ownline.Revoked, nil); err != nil {
			return err
		}
		if err := c.whole(id); err != nil {
			return err
		}
		if err := c.RemoveSite(id, c.now); err != nil {
			return err
		}
		c.publish(Event{Kind: EventSite, Removed: true, Resource: ownline.SiteInfo{Site: s}})
		return c.audit("site.remove", id.String(), id, s.Name)
	})
}

// PingSite has the core of one of those that Sites lists answer, and returns how long that took,
// now or a moment ago.
func (a *Access) PingSite(ctx context.Context, actor Actor, id ownline.SiteID) (time.Duration, error) {
	if _, err := a.Site(ctx, actor, id); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, enforceTimeout)
	defer cancel()
	return a.enforcer.Ping(ctx, id)
}

// Reached is how a try to connect to a target went.
type Reached = link.Reached

// ReachTarget has the site's core connect to a target that a service there may have (admin).
// It changes nothing.
func (a *Access) ReachTarget(ctx context.Context, actor Actor, id ownline.SiteID, target netip.AddrPort) (r Reached, err error) {
	if err := actor.MustAdmin(); err != nil {
		return r, err
	}
	err = a.store.Read(ctx, func(tx Tx) error {
		site, err := tx.Site(id)
		if err != nil {
			return err
		}
		if !target.IsValid() {
			return ownline.Invalid("target", "is missing")
		}
		return checkTarget("target", target, target.Addr().Is4(), site)
	})
	if err != nil {
		return r, err
	}
	ctx, cancel := context.WithTimeout(ctx, enforceTimeout)
	defer cancel()
	return a.enforcer.Reach(ctx, id, target)
}

// ApplySite has the whole state sent to the site's core again and waits until it is applied
// (admin).
func (a *Access) ApplySite(ctx context.Context, actor Actor, id ownline.SiteID) (ownline.SiteInfo, error) {
	if err := actor.MustAdmin(); err != nil {
		return ownline.SiteInfo{}, err
	}
	c, err := a.change(ctx, actor, func(c *change) error {
		if _, err := c.Site(id); err != nil {
			return err
		}
		if err := c.whole(id); err != nil {
			return err
		}
		return c.audit("site.apply", id.String(), id, "")
	})
	if err != nil {
		return ownline.SiteInfo{}, err
	}
	ctx2, cancel := forCore(ctx)
	defer cancel()
	if err := a.enforcer.Sync(ctx2, id, c.sites[id].revision); err != nil {
		return ownline.SiteInfo{}, err
	}
	return a.Site(ctx, actor, id)
}
