package store

import (
	"net/netip"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

const siteColumns = "id, name, host, link, pin, knock_port, fwknop_port, local_networks, reserved_ports, proxy_driver, proxy_domain, proxy_port, ipv6_prefix, allowed_from, revision, removed, created"

func siteDest(s *ownline.Site) []any {
	return []any{
		id(&s.ID), &s.Name, &s.Host, &s.Link, &s.Pin, &s.KnockPort, &s.FwknopPort, list(&s.LocalNetworks, netip.ParsePrefix),
		list(&s.ReservedPorts, parsePort), &s.Proxy.Driver, &s.Proxy.Domain, &s.Proxy.Port, &s.IPv6Prefix, &s.AllowedFrom, &s.Revision, flag(&s.Removed), when(&s.Created),
	}
}

func scanSite(scan scanner) (s ownline.Site, err error) {
	err = scan(siteDest(&s)...)
	return s, err
}

// Site returns a site that was not removed, or ErrNotFound.
func (t *Tx) Site(s ownline.SiteID) (ownline.Site, error) {
	return first(t, "site", s.String(), scanSite, "SELECT "+siteColumns+" FROM sites WHERE id = ? AND removed = 0", s.String())
}

// AnySite returns a site, also one that was removed.
func (t *Tx) AnySite(s ownline.SiteID) (ownline.Site, error) {
	return first(t, "site", s.String(), scanSite, "SELECT "+siteColumns+" FROM sites WHERE id = ?", s.String())
}

// Sites lists all sites by name.
func (t *Tx) Sites() ([]ownline.Site, error) {
	return all(t, scanSite, "SELECT "+siteColumns+" FROM sites WHERE removed = 0 ORDER BY name")
}

// SitesOf lists by name the sites where the user has a device or may use a service.
func (t *Tx) SitesOf(u ownline.UserID) ([]ownline.Site, error) {
	return all(t, scanSite, "SELECT "+siteColumns+` FROM sites WHERE removed = 0 AND (
		id IN (SELECT s.site_id FROM services s JOIN grants g ON g.service_id = s.id WHERE g.user_id = ? AND s.removed = 0)
		OR id IN (SELECT site_id FROM services WHERE everybody = 1 AND removed = 0)
		OR id IN (SELECT site_id FROM devices WHERE user_id = ? AND removed = 0)) ORDER BY name`, u.String(), u.String())
}

// SitesToCommand lists the sites whose cores are to be commanded: all, and those that were
// removed after since and whose cores don't know yet.
func (t *Tx) SitesToCommand(since time.Time) ([]ownline.Site, error) {
	return all(t, scanSite, "SELECT "+siteColumns+" FROM sites WHERE removed = 0 OR (removed > ? AND cleared = 0)", ms(since))
}

// AddSite adds a site.
func (t *Tx) AddSite(s ownline.Site) error {
	var n int
	if err := t.one("SELECT count(*) FROM sites WHERE pin = ? AND removed = 0", []any{s.Pin}, &n); err != nil {
		return err
	}
	if n > 0 {
		return ownline.Conflict("code", "is of a core that is another site's already")
	}
	// Whoever removed a site and pairs its core again wants the new one to have it.
	if err := t.exec("UPDATE sites SET cleared = 1 WHERE pin = ?", s.Pin); err != nil {
		return err
	}
	err := t.exec("INSERT INTO sites ("+siteColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)",
		s.ID.String(), s.Name, s.Host, s.Link, s.Pin, s.KnockPort, s.FwknopPort, joined(s.LocalNetworks), joined(s.ReservedPorts),
		s.Proxy.Driver, s.Proxy.Domain, s.Proxy.Port, s.IPv6Prefix, string(s.AllowedFrom), s.Revision, ms(s.Created))
	return t.taken(err, "name", "is another site's already")
}

// SaveSite writes a site's name, host, prefix, and what core told of itself; never its
// revision.
func (t *Tx) SaveSite(s ownline.Site) error {
	err := t.exec(`UPDATE sites SET name = ?, host = ?, knock_port = ?, fwknop_port = ?, local_networks = ?, reserved_ports = ?,
			proxy_driver = ?, proxy_domain = ?, proxy_port = ?, ipv6_prefix = ?, allowed_from = ? WHERE id = ?`,
		s.Name, s.Host, s.KnockPort, s.FwknopPort, joined(s.LocalNetworks), joined(s.ReservedPorts), s.Proxy.Driver, s.Proxy.Domain, s.Proxy.Port, s.IPv6Prefix, string(s.AllowedFrom), s.ID.String())
	return t.taken(err, "name", "is another site's already")
}

// PairSite writes where a site's core is and by which key it is known, after it was paired
// with again.
func (t *Tx) PairSite(s ownline.Site) error {
	err := t.exec("UPDATE sites SET link = ?, pin = ? WHERE id = ?", s.Link, s.Pin, s.ID.String())
	return t.taken(err, "code", "is of a core that is another site's already")
}

// Bump makes the next revision of what the site should hold, and returns it.
func (t *Tx) Bump(s ownline.SiteID) (rev uint64, err error) {
	err = t.one("UPDATE sites SET revision = revision + 1 WHERE id = ? RETURNING revision", []any{s.String()}, &rev)
	return rev, err
}

// RemoveSite removes a site with its services, their grants and invitations, and its devices.
func (t *Tx) RemoveSite(s ownline.SiteID, now time.Time) error {
	if err := t.exec("DELETE FROM grants WHERE service_id IN (SELECT id FROM services WHERE site_id = ?)", s.String()); err != nil {
		return err
	}
	for _, q := range []string{
		"UPDATE invitations SET revoked = ? WHERE service_id IN (SELECT id FROM services WHERE site_id = ?) AND revoked = 0",
		"UPDATE services SET removed = ? WHERE site_id = ? AND removed = 0",
		"UPDATE devices SET revoked = 1, removed = ? WHERE site_id = ? AND removed = 0",
		"UPDATE sites SET removed = ? WHERE id = ?",
	} {
		if err := t.exec(q, ms(now), s.String()); err != nil {
			return err
		}
	}
	return nil
}

// ClearSite records that the core of a removed site holds nothing any more.
func (t *Tx) ClearSite(s ownline.SiteID) error {
	return t.exec("UPDATE sites SET cleared = 1 WHERE id = ? AND removed <> 0", s.String())
}
