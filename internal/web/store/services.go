package store

import (
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/policy"
)

const serviceColumns = `s.id, s.site_id, s.name, s.kind, s.transport, s.target4, s.target6, s.options, s.everybody, s.icon, s.created,
	st.proxy_driver, st.proxy_domain, st.proxy_port`

const serviceFrom = " FROM services s JOIN sites st ON st.id = s.site_id "

func serviceDest(s *ownline.Service) []any {
	return []any{
		id(&s.ID), id(&s.Site), &s.Name, &s.Kind, &s.Transport, addrPort(&s.Target4), addrPort(&s.Target6),
		proxyOptions(&s.Proxy), flag(&s.Everybody), &s.Icon, when(&s.Created), &s.SiteProxy.Driver, &s.SiteProxy.Domain, &s.SiteProxy.Port,
	}
}

func scanService(scan scanner) (s ownline.Service, err error) {
	err = scan(serviceDest(&s)...)
	return s, err
}

// Service returns a service that was not removed, or ErrNotFound.
func (t *Tx) Service(s ownline.ServiceID) (ownline.Service, error) {
	return first(t, "service", s.String(), scanService, "SELECT "+serviceColumns+serviceFrom+"WHERE s.id = ? AND s.removed = 0", s.String())
}

// Services lists by name the services of a site (zero: of all) that the user may use: by a
// grant, or as everybody does (zero: all of them).
func (t *Tx) Services(p ownline.Page, site ownline.SiteID, user ownline.UserID) ([]ownline.Service, string, error) {
	limit, after, err := page(p)
	if err != nil {
		return nil, "", err
	}
	q, args := "SELECT "+serviceColumns+serviceFrom+"WHERE s.removed = 0 AND s.name || ' ' || s.id > ?", []any{after}
	if !site.IsZero() {
		q, args = q+" AND s.site_id = ?", append(args, site.String())
	}
	if !user.IsZero() {
		q, args = q+" AND (s.everybody = 1 OR s.id IN (SELECT service_id FROM grants WHERE user_id = ?))", append(args, user.String())
	}
	ss, err := all(t, scanService, q+" ORDER BY s.name || ' ' || s.id LIMIT ?", append(args, limit+1)...)
	if err != nil {
		return nil, "", err
	}
	ss, next := turn(ss, limit, func(s ownline.Service) string { return s.Name + " " + s.ID.String() })
	return ss, next, nil
}

// ServicesNamed lists the services with that name, one for each site at most.
func (t *Tx) ServicesNamed(name string) ([]ownline.Service, error) {
	return all(t, scanService, "SELECT "+serviceColumns+serviceFrom+"WHERE s.name = ? AND s.removed = 0 ORDER BY s.id", name)
}

// AddService adds a service.
func (t *Tx) AddService(s ownline.Service) error {
	options, err := proxyOptionsText(s.Proxy)
	if err != nil {
		return err
	}
	err = t.exec("INSERT INTO services (id, site_id, name, kind, transport, target4, target6, options, everybody, icon, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		s.ID.String(), s.Site.String(), s.Name, string(s.Kind), string(s.Transport), addrPortText(s.Target4), addrPortText(s.Target6),
		options, bit(s.Everybody), s.Icon, ms(s.Created))
	return t.taken(err, "name", "is another service's of this site already")
}

// SaveService writes what of a service may change.
func (t *Tx) SaveService(s ownline.Service) error {
	options, err := proxyOptionsText(s.Proxy)
	if err != nil {
		return err
	}
	err = t.exec("UPDATE services SET name = ?, transport = ?, target4 = ?, target6 = ?, options = ?, everybody = ?, icon = ? WHERE id = ?",
		s.Name, string(s.Transport), addrPortText(s.Target4), addrPortText(s.Target6), options, bit(s.Everybody), s.Icon, s.ID.String())
	return t.taken(err, "name", "is another service's of this site already")
}

// RemoveService removes a service with its grants, and revokes the invitations to it.
func (t *Tx) RemoveService(s ownline.ServiceID, now time.Time) error {
	if err := t.exec("DELETE FROM grants WHERE service_id = ?", s.String()); err != nil {
		return err
	}
	if err := t.exec("UPDATE invitations SET revoked = ? WHERE service_id = ? AND revoked = 0", ms(now), s.String()); err != nil {
		return err
	}
	return t.exec("UPDATE services SET removed = ? WHERE id = ?", ms(now), s.String())
}

// ProxiedServices lists the services of kind proxy of a site.
func (t *Tx) ProxiedServices(site ownline.SiteID) ([]ownline.Service, error) {
	return all(t, scanService, "SELECT "+serviceColumns+serviceFrom+"WHERE s.site_id = ? AND s.kind = 'proxy' AND s.removed = 0 ORDER BY s.id", site.String())
}

// FixedPorts lists the forwards of a site that are granted at a port of their own, with that port.
func (t *Tx) FixedPorts(site ownline.SiteID) ([]link.Inside, error) {
	return all(t, func(scan scanner) (in link.Inside, err error) {
		var s ownline.Service
		err = scan(append(serviceDest(&s), &in.PublicPort)...)
		in.Transport, in.Target4, in.Target6 = s.Transport, s.Target4, s.Target6
		return in, err
	}, "SELECT DISTINCT "+serviceColumns+`, g.public_port FROM grants g JOIN services s ON s.id = g.service_id JOIN sites st ON st.id = s.site_id
		WHERE s.site_id = ? AND s.kind = 'forward' AND s.removed = 0 AND g.public_port <> 0 ORDER BY g.public_port, s.transport, s.id`, site.String())
}

// Offers lists what the user may use at the site: by a grant, or, with a zero grant, as
// everybody does.
func (t *Tx) Offers(user ownline.UserID, site ownline.SiteID) ([]policy.Offer, error) {
	granted, err := all(t, func(scan scanner) (o policy.Offer, err error) {
		err = scan(append(serviceDest(&o.Service), grantDest(&o.Grant)...)...)
		return o, err
	}, "SELECT "+serviceColumns+", "+grantColumns+` FROM grants g JOIN services s ON s.id = g.service_id JOIN sites st ON st.id = s.site_id
		WHERE g.user_id = ? AND s.site_id = ? AND s.removed = 0 ORDER BY s.name`, user.String(), site.String())
	if err != nil {
		return nil, err
	}
	open, err := all(t, scanService, "SELECT "+serviceColumns+serviceFrom+`WHERE s.site_id = ? AND s.removed = 0 AND s.everybody = 1
		AND NOT EXISTS (SELECT 1 FROM grants g WHERE g.service_id = s.id AND g.user_id = ?)`, site.String(), user.String())
	for _, s := range open {
		granted = append(granted, policy.Offer{Service: s})
	}
	return granted, err
}
