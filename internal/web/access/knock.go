package access

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/policy"
)

// errSilent gives up a knock whose sender must not learn anything.
var errSilent = errors.New("the knock does not count")

// maxSkew bounds what a core may say of the clocks it accepts, and with it how long nonces
// are kept.
const maxSkew = 10 * time.Minute

// Knock decides on a knock that the site's core has verified: in one transaction it makes
// sure that the knock counts for the first time, asks policy, and opens or renews its
// sessions. It returns what core is to apply and to answer; or why it is Ignored, when the sender must
// not learn anything: a repeated knock, an unknown or revoked device. The verdict's Now is for
// the sender to set. later are sessions of the same revision that were shortened; core is
// to have them soon after.
func (a *Access) Knock(ctx context.Context, site ownline.SiteID, k link.Knocked) (v *link.Verdict, later []link.Session, err error) {
	if len(k.Nonce) != knock.NonceSize || k.Made.IsZero() || k.Skew <= 0 || k.Skew > maxSkew {
		return nil, nil, ownline.Invalid("knock", "is not as cores send them")
	}
	k.Source, k.Claimed = k.Source.Unmap(), k.Claimed.Unmap()
	return a.decide(ctx, k.Device, k.Source, func(c *change, d *decision) error {
		return a.knock(c, site, k, func(offers []policy.Offer, _ wish) (picks []policy.Pick) {
			for _, o := range policy.Knocked(k.Service, k.Source.Is4(), offers) {
				picks = append(picks, policy.Pick{Offer: o, Open: !k.Service.IsZero() && o.Service.ID != k.Service})
			}
			return picks
		}, d)
	})
}

// decide runs one decision on a knock that says to be of a device, from an address, in one transaction.
func (a *Access) decide(ctx context.Context, of ownline.DeviceID, from netip.Addr, f func(*change, *decision) error) (v *link.Verdict, later []link.Session, err error) {
	var d decision
	var c *change
	locked := false
	defer func() {
		if locked {
			a.order.Unlock()
		}
	}()
	err = a.store.Write(ctx, func(tx Tx) error {
		c = &change{Tx: tx, now: now(), actor: Actor{By: ByKnock, Client: from}, sites: make(map[ownline.SiteID]*siteChange)}
		if err := f(c, &d); err != nil {
			return err
		}
		a.order.Lock()
		locked = true
		return nil
	})
	if errors.Is(err, errSilent) {
		a.refuse(d.site, d.device, d.refused)
		a.meter.Knocked("ignored")
		why := cmp.Or(d.Ignored, d.refused)
		level := slog.LevelInfo
		if d.refused == refusedReplay { // as every knock that comes by MQTT and UDP
			level = slog.LevelDebug
		}
		a.log.Log(ctx, level, "a knock was refused", logging.Device, of, logging.Source, from, "reason", why, "detail", d.detail)
		return &link.Verdict{Ignored: why, Sessions: []link.Session{}}, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	a.hub.publish(c.events...)
	a.report(c.news)
	c.count(a.meter)
	a.meter.Knocked(d.Status.String())
	if d.refused != "" {
		a.refuse(d.site, d.device, d.refused)
	}
	for _, l := range slices.Concat(d.Sessions, d.later) {
		a.wake(l.Expires)
	}
	return &d.Verdict, d.later, nil
}

// decision is what becomes of a knock.
type decision struct {
	link.Verdict
	later   []link.Session
	site    ownline.SiteID
	device  ownline.DeviceID // zero: there is none
	refused string           // why nothing, or not everything, was opened
	detail  string           // of that, for admins
}

// refuse notes why a service was not opened; what is refused by a list matters most, then what lacks a claim.
func (d *decision) refuse(s ownline.Service, err error) {
	why := whyRefused(err)
	d.Refused = append(d.Refused, link.Refusal{Service: s.Name, ServiceID: s.ID, Reason: why})
	if d.refused == "" || d.refused == refusedImpossible || d.refused == refusedNoClaim && strings.HasPrefix(why, refusedPolicy) {
		d.refused, d.detail = why, err.Error()
	}
	if strings.HasPrefix(d.refused, refusedPolicy) {
		d.Reason = link.RefusedPolicy
	}
}

// wish is what a knock asks, and what a decision on it depends on besides.
type wish struct {
	ask   policy.Ask
	facts policy.Facts      // without a service
	live  []ownline.Session // of the device, of the source's family
	now   time.Time
}

// pick selects what a knock opens.
type pick func([]policy.Offer, wish) []policy.Pick

func (a *Access) knock(c *change, site ownline.SiteID, k link.Knocked, pick pick, v *decision) error {
	v.site = site
	d, u, s, err := c.Knocker(k.Device)
	if errors.Is(err, ownline.ErrNotFound) {
		v.refused = refusedUnknown
		return errSilent
	} else if err != nil {
		return err
	}
	c.actor.User = u
	seen := netip.PrefixFrom(k.Source, k.Source.BitLen())
	v.device = d.ID
	if d.Site != site || d.Revoked || u.Disabled {
		v.refused = refusedRevoked
		return errSilent
	}
	if v.Ignored = wrongClaim(k, d, s); v.Ignored != "" {
		v.refused = refusedClaim
		if k.Claimed.IsValid() {
			v.detail = "it says to come from " + k.Claimed.String()
		}
		return errSilent
	}
	if ok, err := c.AcceptKnock(d.ID, knock.Nonce(k.Nonce), k.Made, k.Skew, seen, c.now); err != nil {
		return err
	} else if !ok {
		v.refused = refusedReplay
		return errSilent
	}
	c.knocked(d, seen)
	if v.Epoch, err = c.Epoch(); err != nil {
		return err
	}
	v.Revision.Revision = s.Revision
	if k.Inside {
		v.Status = knock.Inside
		return c.audit("knock", d.ID.String(), site, knock.Inside.String())
	}
	c.tell(ownline.News{Kind: ownline.DeviceKnocked, User: u.Name, Site: s.Name, Device: d.Name, DeviceID: d.ID, Source: seen})
	v.Status, err = a.answer(c, d, u, s, k, pick, v)
	if err != nil {
		return err
	}
	switch v.Status {
	case knock.Opened, knock.Renewed:
		v.Reason = ""
	case knock.NothingGranted:
		v.refused = refusedNotGranted
	}
	told := v.Status.String()
	if v.detail != "" {
		told += ": " + v.detail
	}
	return c.audit("knock", d.ID.String(), site, told)
}

// knocked tells those who look at the device that it has knocked. Other processes are not told:
// readers there would have to fetch everything anew at every knock.
func (c *change) knocked(d ownline.Device, from netip.Prefix) {
	d.Secret, d.LastKnock, d.LastSource = nil, c.now, from
	c.publish(Event{Kind: EventDevice, Owner: d.User, Resource: d})
}

// wrongClaim checks again what core has checked of knocks, and can't of packets of fwknop clients: that the
// device meant the address it was seen at. "": it did, or need not say.
func wrongClaim(k link.Knocked, d ownline.Device, s ownline.Site) string {
	right := k.Claimed == k.Source
	switch {
	case !k.Claimed.IsValid() && d.RequireClaimedSource:
		return link.RefusedNoClaim
	case !k.Claimed.IsValid():
		return ""
	case k.Claimed.Is6() && k.Source.Is6():
		p, err := k.Claimed.Prefix(s.IPv6Prefix)
		right = err == nil && p.Contains(k.Source)
	}
	if !right {
		return link.RefusedClaim
	}
	return ""
}

// answer opens or renews what is granted.
func (a *Access) answer(c *change, d ownline.Device, u ownline.User, s ownline.Site, k link.Knocked, pick pick, v *decision) (knock.Status, error) {
	source, err := ownline.SourceOf(k.Source, s.IPv6Prefix)
	if err != nil {
		v.refused, v.detail = refusedSource, err.Error()
		return knock.Refused, nil
	}
	offers, err := c.Offers(u.ID, s.ID)
	if err != nil {
		return 0, err
	}
	near, err := c.LiveNear(s.ID, source, d.ID)
	if err != nil {
		return 0, err
	}
	f := policy.Facts{User: u, Site: s, Device: d, Limits: a.limits, Holes: holes(near)}
	ask := policy.Ask{Source: k.Source, Origin: a.origin(k.Source), For: k.Duration, Knocked: true, Unclaimed: !k.Claimed.IsValid()}
	live := slices.DeleteFunc(slices.Clone(near), func(e ownline.Session) bool {
		return e.Device != d.ID || e.Source.Addr().Is4() != source.Addr().Is4()
	})
	picks := pick(offers, wish{ask, f, live, c.now})
	if len(picks) == 0 {
		if elsewhere(offers, wish{ask, f, live, c.now}, pick, v.refuse); v.refused != "" {
			return knock.Refused, nil
		}
		return knock.NothingGranted, nil
	}
	status := knock.Refused // until something is opened or renewed
	for _, o := range picks {
		f.Service, f.Grant, ask.Port = o.Service, o.Grant, o.Port
		mine := slices.DeleteFunc(slices.Clone(live), func(e ownline.Session) bool { return e.Service != o.Service.ID })
		became, e, err := a.admit(c, f, ask, d.ID, source, mine)
		switch {
		case errors.Is(err, ownline.ErrInvalid), errors.Is(err, ownline.ErrConflict), errors.Is(err, ownline.ErrForbidden), errors.Is(err, ownline.ErrNotFound):
			a.log.Info("a granted service was not opened", logging.Device, d.ID, logging.Service, o.Service.ID, logging.Err, err)
			v.refuse(o.Service, err)
			if o.Service.ID == k.Service {
				return knock.Refused, nil // whoever names one is told of that one
			}
			continue
		case err != nil:
			return 0, err
		}
		if status != knock.Opened && !o.Open {
			status = became
		}
		f.Holes = append(f.Holes, policy.Hole{Source: e.Source, Transport: e.Transport, Port: e.PublicPort, Target: e.Target})
		v.Sessions = append(v.Sessions, forLink(e, o.Service.Kind, o.Service.Name, u.Name))
		for _, l := range a.leaving(mine, e, became, cmp.Or(o.Grant.MaxSources, ownline.UsualSources)) {
			old := l.session
			if !c.replace(&old, e.ID, l.overlap) {
				continue
			}
			if err := c.SaveSession(old); err != nil {
				return 0, err
			}
			v.later = append(v.later, forLink(old, o.Service.Kind, o.Service.Name, u.Name))
		}
	}
	if change, ok := c.sites[s.ID]; ok {
		v.Revision.Revision = change.revision
	}
	return status, nil
}

// elsewhere tells by which list the source of a knock is refused each service that it would open at
// another place, or whether it would open it if it named its source.
func elsewhere(offers []policy.Offer, w wish, pick pick, refuse func(ownline.Service, error)) {
	f := w.facts
	var everywhere []policy.Offer
	w.facts, everywhere = policy.Anywhere(f, offers)
	for _, p := range pick(everywhere, w) {
		i := slices.IndexFunc(offers, func(o policy.Offer) bool { return o.Service.ID == p.Service.ID })
		f.Service, f.Grant = offers[i].Service, offers[i].Grant
		if err := policy.From(w.ask, f); err != nil {
			refuse(f.Service, err)
		}
	}
}

// admit renews the device's session for the source, or opens one.
func (a *Access) admit(c *change, f policy.Facts, ask policy.Ask, d ownline.DeviceID, source netip.Prefix, mine []ownline.Session) (knock.Status, ownline.Session, error) {
	for _, e := range mine {
		if e.Source != source {
			continue
		}
		until, err := policy.Renew(ask, f, e.Expires, c.now)
		if err != nil {
			return 0, e, err
		}
		site, err := c.bump(e.Site)
		if err != nil {
			return 0, e, err
		}
		e.Expires, e.Revision, e.Successor = until, site.revision, ownline.SessionID{}
		return knock.Renewed, e, c.SaveSession(e)
	}
	what, err := policy.Decide(ask, f, c.now)
	if err != nil {
		return 0, ownline.Session{}, err
	}
	site, err := c.bump(f.Site.ID)
	if err != nil {
		return 0, ownline.Session{}, err
	}
	e := newSession(f, what, d, site.revision, c.now)
	c.counts.opened++
	return knock.Opened, e, c.AddSession(e)
}

// left is a session of an address that its device has left.
type left struct {
	session ownline.Session
	overlap time.Duration // how long it may go on at most
}

// leaving returns the sessions of other addresses that a device has left for the one of e. At a new
// address it has moved. At one that it had before it has not, if that was within the overlap: its carrier
// sends its packets from several, of which the latest stay, as many as most. One more goes on for the
// overlap, and no others: or as many addresses would be let in as knock in turn.
func (a *Access) leaving(mine []ownline.Session, e ownline.Session, became knock.Status, most int) (all []left) {
	others := slices.DeleteFunc(slices.Clone(mine), func(s ownline.Session) bool { return s.ID == e.ID })
	slices.SortFunc(others, func(s, t ownline.Session) int { return t.Expires.Compare(s.Expires) })
	stay := 0
	if became != knock.Opened {
		stay = most - 1
	}
	for i, s := range others {
		switch {
		case i >= most:
			all = append(all, left{s, 0})
		case i >= stay:
			all = append(all, left{s, a.overlap})
		}
	}
	return all
}

// replace lets a session of another address go on for no longer than the overlap, and
// reports whether that is new.
func (c *change) replace(old *ownline.Session, by ownline.SessionID, overlap time.Duration) bool {
	end := c.now.Add(overlap)
	if !old.Successor.IsZero() && (overlap > 0 || !old.Expires.After(end)) {
		return false
	}
	old.Successor = by
	if old.Expires.After(end) {
		old.Expires = end
	}
	old.Revision = c.sites[old.Site].revision
	return true
}

// SiteDevices are the devices whose knocks count at a site, with their secrets.
type SiteDevices struct {
	Site    ownline.SiteID
	Devices []link.Device
}

// Knockers lists the devices of every site.
func (a *Access) Knockers(ctx context.Context) (all []SiteDevices, err error) {
	err = a.store.Read(ctx, func(tx Tx) error {
		all = nil
		sites, err := tx.Sites()
		if err != nil {
			return err
		}
		for _, s := range sites {
			devices, err := tx.CoreDevices(s.ID)
			if err != nil {
				return err
			}
			all = append(all, SiteDevices{s.ID, devices})
		}
		return nil
	})
	return all, err
}

// KnockByBroker decides on a knock that came through a broker, as Knock on one that a core
// has verified, and returns once core has applied what it opens. The verdict names the sessions
// that core holds; there is none on a knock that is ignored. ErrUnavailable: core can't be
// reached; what was opened is then in the whole state that it gets as soon as it can.
func (a *Access) KnockByBroker(ctx context.Context, site ownline.SiteID, k link.Knocked) (*link.Verdict, error) {
	v, later, err := a.Knock(ctx, site, k)
	if err != nil || v.Ignored != "" {
		return nil, err
	}
	ctx, cancel := forCore(ctx)
	defer cancel()
	var asked []ownline.SessionID
	var results []link.Result
	var held []link.Session
	for _, l := range v.Sessions {
		err := a.enforcer.Put(ctx, site, v.Revision.Revision, l)
		if errors.Is(err, ownline.ErrUnavailable) {
			return nil, err
		}
		if err == nil {
			held = append(held, l)
		}
		asked, results = append(asked, l.ID), append(results, link.Result{ID: l.ID, Problem: link.ProblemOf(err)})
	}
	if err := a.Settle(ctx, site, asked, results); err != nil {
		return nil, err
	}
	for _, l := range later {
		if err := a.enforcer.Put(ctx, site, v.Revision.Revision, l); err != nil {
			return nil, err
		}
	}
	if len(v.Sessions) > 0 && len(held) == 0 {
		v.Status = knock.Refused
	}
	v.Sessions = held
	return v, nil
}
