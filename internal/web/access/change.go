package access

import (
	"context"
	"log/slog"
	"time"

	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// change is a transaction that writes, with what follows from it: revisions of sites,
// lines of the audit log, events, news, and what cores are to be told.
type change struct {
	Tx
	actor  Actor
	now    time.Time
	events []Event
	news   []ownline.News
	sites  map[ownline.SiteID]*siteChange
	counts counts
	local  bool // the events are no news to other processes: their cores tell them the same
}

// siteChange is what a change does to what one site should hold.
type siteChange struct {
	revision uint64
	whole    bool // not only the end of sessions
	ended    []ownline.SessionID
}

// change runs f in a transaction and publishes its events and news once it is committed. What
// cores are to be told is left to the caller, or to enforce. Under Together it
// joins the transaction there.
func (a *Access) change(ctx context.Context, actor Actor, f func(*change) error) (*change, error) {
	if c := joined(ctx); c != nil {
		return c, f(c)
	}
	c := &change{actor: actor, now: now(), sites: make(map[ownline.SiteID]*siteChange)}
	locked := false
	defer func() {
		if locked {
			a.order.Unlock()
		}
	}()
	var number int64 // of this change among those of all processes; 0: not counted
	err := a.store.Write(ctx, func(tx Tx) (err error) {
		c.Tx = tx
		if err := f(c); err != nil {
			return err
		}
		if len(c.events) > 0 && !c.local {
			if number, err = c.CountChange(); err != nil {
				return err
			}
		}
		a.order.Lock()
		locked = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	if number > 0 {
		a.learned(number - 1)
		a.changes = number
	}
	a.hub.publish(c.events...)
	a.report(c.news)
	c.count(a.meter)
	if actor.By != ByInvitation && c.concernsGuests() { // a guest gets an answer first
		a.lookForGuests()
	}
	return c, nil
}

// changeAndEnforce is change, and then tells the cores. A core that can't be reached learns of it
// later: that is no error.
func (a *Access) changeAndEnforce(ctx context.Context, actor Actor, f func(*change) error) error {
	c, err := a.change(ctx, actor, f)
	if err != nil || joined(ctx) != nil {
		return err
	}
	ctx, cancel := forCore(ctx)
	defer cancel()
	defer a.followGuests(ctx, c)
	for id, s := range c.sites {
		if s.whole || len(s.ended) > 16 {
			err = a.enforcer.Sync(ctx, id, s.revision)
		} else {
			err = a.enforcer.End(ctx, id, s.revision, s.ended)
		}
		level := slog.LevelWarn
		if actor.By == ByCommand {
			level = slog.LevelDebug // the process that serves tells cores, and sees the change by itself
		}
		if err != nil {
			a.log.Log(ctx, level, "core will learn of a change later", logging.Site, id, "revision", s.revision, logging.Err, err)
		}
	}
	return nil
}

// bump makes a revision of the site for this change, once.
func (c *change) bump(site ownline.SiteID) (*siteChange, error) {
	if s, ok := c.sites[site]; ok {
		return s, nil
	}
	rev, err := c.Bump(site)
	if err != nil {
		return nil, err
	}
	s := &siteChange{revision: rev}
	c.sites[site] = s
	return s, nil
}

// whole says that more changes at the site than that sessions end.
func (c *change) whole(site ownline.SiteID) error {
	s, err := c.bump(site)
	if err == nil {
		s.whole = true
	}
	return err
}

// end ends a live session.
func (c *change) end(s ownline.SessionInfo, why ownline.EndReason, detail string) (ownline.SessionInfo, error) {
	site, err := c.bump(s.Site)
	if err != nil {
		return s, err
	}
	s.Revision = site.revision
	site.ended = append(site.ended, s.ID)
	return c.over(s, why, detail)
}

// over writes that a session has ended that core holds no more.
func (c *change) over(s ownline.SessionInfo, why ownline.EndReason, detail string) (ownline.SessionInfo, error) {
	if why == ownline.Failed {
		if err := c.giveBack(s); err != nil {
			return s, err
		}
	}
	s.State, s.Reason, s.Detail, s.EndedAt = ownline.Ended, why, detail, c.now
	if c.actor.By != ByInvitation && (why == ownline.Closed || why == ownline.Revoked || why == ownline.Flushed) {
		s.EndedBy, s.EndedByName = c.actor.User.ID, c.actor.User.Name
	}
	if err := c.SaveSession(s.Session); err != nil {
		return s, err
	}
	c.counts.ended = append(c.counts.ended, why)
	if why == ownline.Failed {
		if err := c.ForgetIdempotent(s.ID); err != nil {
			return s, err
		}
	}
	c.session(s)
	c.sessionOver(s)
	if s.ServiceKind == ownline.Proxy {
		if err := c.outside(s.User, s.Service, s.Site); err != nil {
			return s, err
		}
	}
	return s, c.audit("session.end", s.ID.String(), s.Site, string(why))
}

// endAll ends the live sessions that the query selects and that pick wants (nil: all).
func (c *change) endAll(q ownline.SessionQuery, why ownline.EndReason, pick func(ownline.SessionInfo) bool) (n int, err error) {
	ss, err := c.LiveSessions(q)
	if err != nil {
		return 0, err
	}
	for _, s := range ss {
		if pick != nil && !pick(s) {
			continue
		}
		if _, err := c.end(s, why, ""); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func (c *change) audit(action, subject string, site ownline.SiteID, detail string) error {
	return c.Audit(ownline.AuditEntry{
		At: c.now, Actor: c.actor.User.ID, By: c.actor.By, Client: c.actor.Client,
		Action: action, Subject: subject, Site: site, Detail: detail,
	})
}

func (c *change) publish(ev Event) { c.events = append(c.events, ev) }

func (c *change) session(s ownline.SessionInfo) {
	c.publish(Event{Kind: EventSession, Owner: s.User, Resource: s})
}
