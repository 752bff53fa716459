package store

import (
	"github.com/ownline/ownline/internal/ownline"
)

const grantColumns = "g.id, g.user_id, g.service_id, g.automatic, g.public_port, g.allow_reserved, g.max_duration, g.max_sources, g.require_claimed, g.allowed_from, g.created"

func grantDest(g *ownline.Grant) []any {
	return []any{
		id(&g.ID), id(&g.User), id(&g.Service), flag(&g.Automatic), &g.PublicPort, flag(&g.AllowReserved), span(&g.MaxDuration), &g.MaxSources, flag(&g.RequireClaimedSource), &g.AllowedFrom, when(&g.Created),
	}
}

func scanGrant(scan scanner) (g ownline.Grant, err error) {
	err = scan(grantDest(&g)...)
	return g, err
}

// Grant returns a grant, or ErrNotFound.
func (t *Tx) Grant(g ownline.GrantID) (ownline.Grant, error) {
	return first(t, "grant", g.String(), scanGrant, "SELECT "+grantColumns+" FROM grants g WHERE g.id = ?", g.String())
}

// GrantOf returns the user's grant for a service; the zero Grant when there is none.
func (t *Tx) GrantOf(u ownline.UserID, s ownline.ServiceID) (ownline.Grant, error) {
	gs, err := all(t, scanGrant, "SELECT "+grantColumns+" FROM grants g WHERE g.user_id = ? AND g.service_id = ?", u.String(), s.String())
	if err != nil || len(gs) == 0 {
		return ownline.Grant{}, err
	}
	return gs[0], nil
}

// Grants lists the grants that a query selects, oldest first.
func (t *Tx) Grants(sel ownline.GrantQuery) ([]ownline.Grant, string, error) {
	limit, after, err := page(sel.Page)
	if err != nil {
		return nil, "", err
	}
	q, args := "SELECT "+grantColumns+" FROM grants g WHERE g.id > ?", []any{after}
	if !sel.User.IsZero() {
		q, args = q+" AND g.user_id = ?", append(args, sel.User.String())
	}
	if !sel.Service.IsZero() {
		q, args = q+" AND g.service_id = ?", append(args, sel.Service.String())
	}
	if !sel.Site.IsZero() {
		q, args = q+" AND g.service_id IN (SELECT id FROM services WHERE site_id = ?)", append(args, sel.Site.String())
	}
	if sel.Automatic != nil {
		q, args = q+" AND g.automatic = ?", append(args, bit(*sel.Automatic))
	}
	gs, err := all(t, scanGrant, q+" ORDER BY g.id LIMIT ?", append(args, limit+1)...)
	if err != nil {
		return nil, "", err
	}
	gs, next := turn(gs, limit, func(g ownline.Grant) string { return g.ID.String() })
	return gs, next, nil
}

// AddGrant adds a grant.
func (t *Tx) AddGrant(g ownline.Grant) error {
	err := t.exec("INSERT INTO grants (id, user_id, service_id, automatic, public_port, allow_reserved, max_duration, max_sources, require_claimed, allowed_from, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		g.ID.String(), g.User.String(), g.Service.String(), bit(g.Automatic), g.PublicPort, bit(g.AllowReserved), g.MaxDuration.Milliseconds(), g.MaxSources, bit(g.RequireClaimedSource), string(g.AllowedFrom), ms(g.Created))
	return t.taken(err, "service", "is granted to this user already")
}

// SaveGrant writes what of a grant may change.
func (t *Tx) SaveGrant(g ownline.Grant) error {
	return t.exec("UPDATE grants SET automatic = ?, public_port = ?, allow_reserved = ?, max_duration = ?, max_sources = ?, require_claimed = ?, allowed_from = ? WHERE id = ?",
		bit(g.Automatic), g.PublicPort, bit(g.AllowReserved), g.MaxDuration.Milliseconds(), g.MaxSources, bit(g.RequireClaimedSource), string(g.AllowedFrom), g.ID.String())
}

// RemoveGrant removes a grant.
func (t *Tx) RemoveGrant(g ownline.GrantID) error {
	return t.exec("DELETE FROM grants WHERE id = ?", g.String())
}
