package access

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/serverblock"
)

// goneAfter is how long the core of a removed site is tried, to have it drop what it holds:
// longer than a session may last.
const goneAfter = 25 * time.Hour

// Commanded lists the sites whose cores are to be commanded.
func (a *Access) Commanded(ctx context.Context) (ss []ownline.Site, err error) {
	err = a.store.Read(ctx, func(tx Tx) (err error) {
		ss, err = tx.SitesToCommand(now().Add(-goneAfter))
		return err
	})
	return ss, err
}

// Desired returns all that the site's core should hold, with its revision, and which of
// the sessions are not known to be applied; nothing for a site that was removed. The
// state's Now is for the sender to set.
func (a *Access) Desired(ctx context.Context, site ownline.SiteID) (st link.State, opening []ownline.SessionID, err error) {
	err = a.store.Read(ctx, func(tx Tx) error {
		s, err := tx.AnySite(site)
		if err != nil {
			return err
		}
		st = link.State{Site: s.ID, SiteName: s.Name, IPv6Prefix: s.IPv6Prefix, Sessions: []link.Session{}, Devices: []link.Device{}, Services: []link.Service{}}
		st.Revision.Revision = s.Revision
		if st.Epoch, err = tx.Epoch(); err != nil || s.Removed {
			return err
		}
		live, err := tx.LiveSessions(ownline.SessionQuery{Site: site})
		if err != nil {
			return err
		}
		at := now()
		for _, e := range live {
			if !e.Expires.After(at) {
				continue
			}
			st.Sessions = append(st.Sessions, forLink(e.Session, e.ServiceKind, e.ServiceName, e.UserName))
			if e.State == ownline.Opening {
				opening = append(opening, e.ID)
			}
		}
		devices, err := tx.CoreDevices(site)
		st.Devices = append(st.Devices, devices...)
		if err != nil {
			return err
		}
		if st.FwknopDevices, err = fwknopDevices(tx, s); err != nil {
			return err
		}
		fixed, err := tx.FixedPorts(site)
		if err != nil {
			return err
		}
		st.Inside = unambiguous(fixed)
		services, err := tx.ProxiedServices(site)
		for _, v := range services {
			served, err := serverblock.Service(v)
			if err != nil { // it was checked when it was saved, by an older Ownline perhaps
				served.Options.Template = "# " + strings.ReplaceAll(err.Error(), "\n", " ") // without a guard: core refuses it
			}
			st.Services = append(st.Services, served)
			if v.Proxy.RequireLogin {
				st.Pages = a.pagesAt(s)
			}
		}
		if err != nil {
			return err
		}
		if st.Doorstep, err = a.doorstepOf(tx, s, at); err != nil {
			return err
		}
		if st.Doorstep != nil {
			guests, err := a.atDoorstep(tx, s, at)
			st.Sessions = append(st.Sessions, guests...)
			if err != nil {
				return err
			}
		}
		if st.Pages == "" {
			return err // a core without such a service may be too old for passes
		}
		passes, err := tx.Passes(site, at)
		for _, p := range passes {
			st.Passes = append(st.Passes, link.Pass{Login: p.Login, Service: p.Service, User: p.UserName, Expires: p.Expires})
		}
		return err
	})
	return st, opening, err
}

// unambiguous leaves out the ports that lead to more than one service: which of them somebody inside
// wants, nobody can tell. Those of one port stand together.
func unambiguous(fixed []link.Inside) (one []link.Inside) {
	for i, in := range fixed {
		same := func(j int) bool {
			return j >= 0 && j < len(fixed) && fixed[j].PublicPort == in.PublicPort && fixed[j].Transport == in.Transport
		}
		if !same(i-1) && !same(i+1) {
			one = append(one, in)
		}
	}
	return one
}

// Again makes a new revision for what a verdict opened, and reads it afresh: for a verdict
// that core refused as stale.
func (a *Access) Again(ctx context.Context, site ownline.SiteID, v link.Verdict) (link.Verdict, error) {
	_, err := a.change(ctx, System(), func(c *change) error {
		s, err := c.bump(site)
		if err != nil {
			return err
		}
		if v.Epoch, err = c.Epoch(); err != nil {
			return err
		}
		v.Revision.Revision = s.revision
		asked := v.Sessions
		v.Sessions = nil
		for _, l := range asked {
			e, err := c.Session(l.ID)
			if err != nil {
				return err
			}
			if e.State == ownline.Ended || !e.Expires.After(c.now) {
				continue
			}
			e.Revision = s.revision
			if err := c.SaveSession(e.Session); err != nil {
				return err
			}
			v.Sessions = append(v.Sessions, forLink(e.Session, e.ServiceKind, e.ServiceName, e.UserName))
		}
		return nil
	})
	return v, err
}

// Settle writes what became of sessions that core was asked to hold: those with a problem
// have failed, the others are active.
func (a *Access) Settle(ctx context.Context, site ownline.SiteID, asked []ownline.SessionID, results []link.Result) error {
	problems := make(map[ownline.SessionID]*link.Problem)
	for _, r := range results {
		if r.Problem != nil {
			problems[r.ID] = r.Problem
			a.log.WarnContext(ctx, "core could not apply a session", logging.Site, site, logging.Session, r.ID, logging.Err, r.Problem.Err())
			if !slices.Contains(asked, r.ID) {
				asked = append(asked, r.ID)
			}
		}
	}
	todo, err := a.unsettled(ctx, site, asked, problems)
	if err != nil {
		return err
	}
	// A few at a time: knocks wait for the same lock.
	for part := range slices.Chunk(todo, 100) {
		_, err := a.change(ctx, System(), func(c *change) error {
			for _, id := range part {
				if err := c.settle(id, problems[id]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// unsettled finds the sessions that need a change, and publishes those that were renewed
// and need none.
func (a *Access) unsettled(ctx context.Context, site ownline.SiteID, asked []ownline.SessionID, problems map[ownline.SessionID]*link.Problem) (todo []ownline.SessionID, err error) {
	a.order.Lock()
	defer a.order.Unlock()
	err = a.store.Read(ctx, func(tx Tx) error {
		for _, id := range asked {
			s, err := tx.Session(id)
			switch {
			case errors.Is(err, ownline.ErrNotFound):
			case err != nil:
				return err
			case s.Site != site || s.State == ownline.Ended:
			case s.State == ownline.Opening || problems[id] != nil:
				todo = append(todo, id)
			default:
				a.hub.publish(Event{Kind: EventSession, Owner: s.User, Resource: s})
			}
		}
		return nil
	})
	return todo, err
}

func (c *change) settle(id ownline.SessionID, problem *link.Problem) error {
	s, err := c.Session(id)
	if err != nil || s.State == ownline.Ended {
		return err
	}
	if problem != nil {
		_, err = c.end(s, ownline.Failed, problem.Err().Error())
		return err
	}
	if s.State != ownline.Opening {
		return nil
	}
	s.State = ownline.Active
	c.session(s)
	c.reportSession(ownline.SessionOpened, s)
	return c.SaveSession(s.Session)
}

// early is by how much core's clock may run ahead of web's when a session expires.
const early = 500 * time.Millisecond

// Ended takes note that core holds sessions no more. again reports that it should: it
// ended one that has been renewed meanwhile, and needs the whole state.
func (a *Access) Ended(ctx context.Context, site ownline.SiteID, es []link.Ended) (again bool, err error) {
	_, err = a.change(ctx, System(), func(c *change) error {
		for _, e := range es {
			lost, err := c.ended(site, e)
			if err != nil {
				return err
			}
			again = again || lost
		}
		return nil
	})
	return again, err
}

func (c *change) ended(site ownline.SiteID, e link.Ended) (lost bool, err error) {
	s, err := c.Session(e.ID)
	if errors.Is(err, ownline.ErrNotFound) || (err == nil && s.Site != site) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	if more(s.Traffic, e.Traffic) {
		s.Traffic = e.Traffic
		if err := c.SaveTraffic(s.ID, s.Traffic); err != nil {
			return false, err
		}
		if s.State == ownline.Ended {
			c.session(s)
		}
	}
	switch {
	case s.State == ownline.Ended:
	case e.Reason == ownline.Expired && s.Expires.After(c.now.Add(early)):
		return true, nil
	case e.Reason == ownline.Expired:
		_, err = c.over(s, expiredAs(s), "")
	default:
		// Core no longer holds it, but a state that is on its way may still have it.
		_, err = c.end(s, reasonOf(e.Reason), "")
	}
	return false, err
}

// reasonOf takes a reason from core, which knows no others than these.
func reasonOf(r ownline.EndReason) ownline.EndReason {
	switch r {
	case ownline.Flushed, ownline.Closed, ownline.Revoked, ownline.Replaced:
		return r
	}
	return ownline.Failed
}

// expiredAs is why a session ends whose time is over.
func expiredAs(s ownline.SessionInfo) ownline.EndReason {
	if !s.Successor.IsZero() {
		return ownline.Replaced
	}
	return ownline.Expired
}

// more reports whether counters have grown: a router that was started anew begins again at
// zero, and what was counted before is kept.
func more(was, is ownline.Traffic) bool {
	return is != was && is.UpPackets+is.DownPackets >= was.UpPackets+was.DownPackets
}

// Traffic takes over the counters of sessions.
func (a *Access) Traffic(ctx context.Context, site ownline.SiteID, ts []link.Traffic) error {
	for part := range slices.Chunk(ts, 100) {
		_, err := a.change(ctx, System(), func(c *change) error {
			c.local = true
			for _, t := range part {
				s, err := c.Session(t.ID)
				switch {
				case errors.Is(err, ownline.ErrNotFound):
					continue
				case err != nil:
					return err
				case s.Site != site || !more(s.Traffic, t.Traffic):
					continue
				}
				s.Traffic = t.Traffic
				if err := c.SaveTraffic(s.ID, s.Traffic); err != nil {
					return err
				}
				c.session(s)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Told takes over what a core says of itself. When core has applied a revision that the
// database has never reached, the database was restored from a copy, and a new epoch
// begins.
func (a *Access) Told(ctx context.Context, site ownline.SiteID, st link.Status) error {
	_, err := a.change(ctx, System(), func(c *change) error {
		epoch, err := c.Epoch()
		if err != nil {
			return err
		}
		s, err := c.AnySite(site)
		if err != nil || s.Removed {
			return err
		}
		if st.Applied.Epoch == epoch && st.Applied.Revision > s.Revision {
			a.log.WarnContext(ctx, "the database is older than what core has: it was restored, so a new epoch begins", logging.Site, site)
			if err := c.NewEpoch(); err != nil {
				return err
			}
			if err := c.audit("epoch.new", "", site, fmt.Sprintf("core has revision %d, the database %d", st.Applied.Revision, s.Revision)); err != nil {
				return err
			}
		}
		if !told(&s, st) {
			return nil
		}
		if err := cmp.Or(c.SaveSite(s), a.keepOwn(c, s), c.proxyMoved(s)); err != nil {
			return err
		}
		c.publish(Event{Kind: EventSite, Resource: a.siteInfo(System(), s)})
		return nil
	})
	return err
}

// Cleared takes note that the core of a removed site holds nothing any more. For a site
// that is not removed it does nothing.
func (a *Access) Cleared(ctx context.Context, site ownline.SiteID) error {
	_, err := a.change(ctx, System(), func(c *change) error { return c.ClearSite(site) })
	return err
}

// HealthChanged tells readers of events that a site's core is reached otherwise than before.
func (a *Access) HealthChanged(ctx context.Context, site ownline.SiteID) error {
	return a.store.Read(ctx, func(tx Tx) error {
		s, err := tx.Site(site)
		if err == nil {
			a.hub.publish(Event{Kind: EventSite, Resource: a.siteInfo(System(), s)})
		}
		if errors.Is(err, ownline.ErrNotFound) {
			return nil
		}
		return err
	})
}

const settingPairFile = "pair_file.used"

// PairFile pairs with the core of a code that was found in the pair file, unless that very
// code was used before. A core that is a site's already is only paired with again; another
// one becomes the site "home".
func (a *Access) PairFile(ctx context.Context, code, host string) error {
	parsed, err := link.ParseCode(code)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(code))
	used := hex.EncodeToString(sum[:])
	name, known := "home", false
	err = a.store.Read(ctx, func(tx Tx) error {
		last, err := tx.Setting(settingPairFile)
		if err != nil || last == used {
			known = true
			name = ""
			return err
		}
		sites, err := tx.Sites()
		for _, s := range sites {
			known = known || link.Pin(s.Pin).Equal(parsed.Pin)
		}
		for n := 2; slices.ContainsFunc(sites, func(s ownline.Site) bool { return s.Name == name }); n++ {
			name = fmt.Sprintf("home-%d", n)
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case name == "":
		return nil
	case known:
		_, err = a.enforcer.Pair(ctx, code)
	default:
		_, err = a.PairSite(ctx, System(), code, name, host)
	}
	if err != nil {
		return err
	}
	_, err = a.change(ctx, System(), func(c *change) error { return c.SetSetting(settingPairFile, used) })
	return err
}
