package access

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/policy"
)

// doorstepOf returns the doorstep of a site, where its router leads guests to web while one of
// them may come; nil when it has none: web has to be published there.
func (a *Access) doorstepOf(tx Tx, site ownline.Site, at time.Time) (*link.Doorstep, error) {
	if !a.doorstep || !site.Proxy.Serves() {
		return nil, nil
	}
	named, err := tx.ServicesNamed(ownline.OwnService)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(named, func(s ownline.Service) bool { return s.Site == site.ID && s.Everybody })
	if i < 0 {
		return nil, nil
	}
	d := &link.Doorstep{Web4: named[i].Target4, Web6: named[i].Target6}
	d.Until, err = a.expected(tx, site.ID, at)
	return d, err
}

// expected returns until when a guest may come to a site: the last of its invitations that can be
// redeemed ends then. Zero: nobody is expected.
func (a *Access) expected(tx Tx, site ownline.SiteID, at time.Time) (time.Time, error) {
	ends, err := tx.InvitationEnds(site, at)
	if err != nil {
		return time.Time{}, err
	}
	for _, e := range ends {
		f, err := a.facts(tx, e.User, e.Service)
		if err == nil {
			err = policy.May(policy.Ask{}, f)
		}
		switch {
		case err == nil:
			return e.Last, nil
		case !errors.Is(err, ownline.ErrNotFound) && !errors.Is(err, ownline.ErrForbidden):
			return time.Time{}, err
		}
	}
	return time.Time{}, nil
}

// guestStays is for how long a guest whose session is over meets the doorstep still: the page that
// they have open finds out why.
const guestStays = 2 * time.Minute

// atDoorstep returns what leads the guests of a site to its doorstep while they have a session, and a
// little longer, from where they are; nobody else. With the last use of an invitation the doorstep
// is shut, but its guest has a page that says until when it is open, and closes it.
func (a *Access) atDoorstep(tx Tx, site ownline.Site, at time.Time) ([]link.Session, error) {
	guests, err := tx.GuestSessions(site.ID, at.Add(-goneAfter), at.Add(-guestStays))
	var ss []link.Session
	for _, g := range guests {
		end := g.Expires
		if g.State == ownline.Ended && g.EndedAt.Before(end) {
			end = g.EndedAt
		}
		if end = end.Add(guestStays); !end.After(at) {
			continue
		}
		ss = append(ss, link.Session{
			ID: ownline.DoorstepSession(g.ID), Service: ownline.Doorstep, ServiceID: ownline.DoorstepID, User: g.UserName, Kind: ownline.Proxy,
			Source: g.Source, Transport: ownline.TCP, PublicPort: site.Proxy.Port, Expires: end,
		})
	}
	return ss, err
}

// keepDoorsteps tells the cores whose doorstep has to be open until another time than they were
// told last. Whatever has led to that, they learn it from here.
func (a *Access) keepDoorsteps(ctx context.Context) error {
	if !a.doorstep {
		return nil
	}
	a.guests.Lock() // who finds nothing to do may say that it is done
	defer a.guests.Unlock()
	var moved []ownline.Site
	err := a.store.Read(ctx, func(tx Tx) error {
		sites, err := tx.Sites()
		for _, s := range sites {
			was, is, err := a.doorstepMoved(tx, s)
			if err != nil {
				return err
			}
			if was != is {
				moved = append(moved, s)
			}
		}
		return err
	})
	if err != nil || len(moved) == 0 {
		return err
	}
	return a.changeAndEnforce(ctx, System(), func(c *change) error {
		for _, s := range moved {
			was, is, err := a.doorstepMoved(c.Tx, s)
			if err != nil {
				return err
			}
			if was == is {
				continue // another process was quicker
			}
			if err := c.SetSetting(settingDoorstep+s.ID.String(), is); err != nil {
				return err
			}
			if err := c.whole(s.ID); err != nil {
				return err
			}
		}
		return nil
	})
}

// settingDoorstep and a site's id name the setting that says what its core was told last.
const settingDoorstep = "doorstep."

// doorstepMoved returns until when a core was told that its doorstep is open, to everybody and to the
// guests of sessions, and what it is to be told.
func (a *Access) doorstepMoved(tx Tx, s ownline.Site) (was, is string, err error) {
	if was, err = tx.Setting(settingDoorstep + s.ID.String()); err != nil {
		return "", "", err
	}
	at := now()
	d, err := a.doorstepOf(tx, s, at)
	if d == nil {
		return was, "", err
	}
	is = "shut"
	if !d.Until.IsZero() {
		is = strconv.FormatInt(d.Until.UnixMilli(), 10)
	}
	guests, err := a.atDoorstep(tx, s, at)
	for _, g := range guests {
		is += " " + g.ID.String() + " " + strconv.FormatInt(g.Expires.UnixMilli(), 10)
	}
	return was, is, err
}

// concernsGuests reports whether a change may be one of who is expected, or is here.
func (c *change) concernsGuests() bool {
	return slices.ContainsFunc(c.events, func(e Event) bool {
		switch e.Kind {
		case EventInvitation, EventGrant, EventUser, EventService, EventSite:
			return true
		case EventSession:
			s, ok := e.Resource.(ownline.SessionInfo)
			return ok && !s.Invitation.IsZero() && !c.local // nor only of what came through
		}
		return false
	})
}

// followGuests has the doorsteps follow a change, before it returns.
func (a *Access) followGuests(ctx context.Context, c *change) {
	if !a.doorstep || !c.concernsGuests() {
		return
	}
	if err := a.keepDoorsteps(ctx); err != nil {
		a.log.ErrorContext(ctx, "the doorsteps are not as they have to be; trying again", logging.Err, err)
		a.lookForGuests()
	}
}

// lookForGuests has Run make the doorsteps follow.
func (a *Access) lookForGuests() {
	if !a.doorstep {
		return
	}
	select {
	case a.due <- struct{}{}:
	default:
	}
}

// Doorstep returns where guests of a site meet us, "" when that is nowhere.
func (a *Access) Doorstep(ctx context.Context, site ownline.SiteID) (url string, err error) {
	err = a.store.Read(ctx, func(tx Tx) error {
		s, err := tx.Site(site)
		if err != nil {
			return err
		}
		d, err := a.doorstepOf(tx, s, now())
		if d != nil {
			url = s.Proxy.URL(ownline.Doorstep)
		}
		return err
	})
	return url, err
}
