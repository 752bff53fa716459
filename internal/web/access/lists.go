package access

import (
	"context"
	"errors"
	"fmt"

	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// CheckLists refuses to go on without the databases that lists of origins need: nobody would be let in
// where such a list is, and nobody would know why. What of web.yaml's own can let in nobody at a site is
// logged: IPv4 goes on there.
func (a *Access) CheckLists(ctx context.Context) error {
	var countries, asns []string
	note := func(o ownline.Origins, of string) {
		if o.Countries() && a.countries == nil {
			countries = append(countries, of)
		}
		if o.ASNs() && a.asns == nil {
			asns = append(asns, of)
		}
	}
	err := a.store.Read(ctx, func(tx Tx) error {
		countries, asns = nil, nil
		sites, err := tx.Sites()
		for _, s := range sites {
			if err := a.policyFits(s); err != nil {
				a.log.WarnContext(ctx, "networks of web.yaml let in nobody at a site", logging.Site, s.ID, logging.Err, err)
			}
			note(s.AllowedFrom, "the site "+s.Name)
			if err := listsAt(tx, s.ID, note); err != nil {
				return err
			}
		}
		return err
	})
	missing := func(key, what string, whose []string) error {
		if len(whose) == 0 {
			return nil
		}
		return ownline.Invalid(key, fmt.Sprintf("is not set, but %s are in the allowed_from of %s; name a database, or take them out with `ownline-web export` and `ownline-web import`", what, named(whose)))
	}
	if err != nil {
		return err
	}
	return errors.Join(missing("policy.geoip_database", "countries", countries), missing("policy.asn_database", "autonomous systems", asns))
}
