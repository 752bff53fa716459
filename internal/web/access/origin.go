package access

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/policy"
)

// Countries tells in which country an address is.
type Countries interface {
	// Country returns the ISO 3166-1 alpha-2 code, or false when it is not known.
	Country(netip.Addr) (string, bool)
}

// ASNs tells to which autonomous system an address belongs.
type ASNs interface {
	// ASN returns its number and its name, or false when it is not known.
	ASN(netip.Addr) (number uint32, name string, ok bool)
}

// origin tells where a source is, as far as there are databases that know.
func (a *Access) origin(source netip.Addr) (at policy.Origin) {
	if a.countries != nil {
		at.Country, _ = a.countries.Country(source.Unmap())
	}
	if a.asns != nil {
		at.ASN, _, _ = a.asns.ASN(source.Unmap())
	}
	return at
}

// allowedFrom reads a list of origins for something at a site.
func (a *Access) allowedFrom(tx Tx, site ownline.SiteID, words []string) (ownline.Origins, error) {
	if len(words) == 0 {
		return "", nil
	}
	s, err := tx.Site(site)
	if err != nil {
		return "", err
	}
	return a.parseAllowed(words, s.IPv6Prefix)
}

func (a *Access) parseAllowed(words []string, prefix6 int) (ownline.Origins, error) {
	const field = "allowed_from"
	o, err := ParseOrigins(field, words, prefix6)
	switch {
	case err != nil:
		return "", err
	case o.Countries() && a.countries == nil:
		return "", ownline.Invalid(field, "has countries, and nobody knows where addresses are: set policy.geoip_database in web.yaml, or name networks alone")
	case o.ASNs() && a.asns == nil:
		return "", ownline.Invalid(field, "has autonomous systems, and nobody knows whose addresses are: set policy.asn_database in web.yaml, or name networks alone")
	}
	return o, nil
}

// outsideOf reports whether a session is for a source that is not let in from where it is.
func (a *Access) outsideOf(o ownline.Origins, s ownline.SessionInfo) bool {
	at := a.origin(s.Source.Addr())
	return !o.Allow(s.Source, at.Country, at.ASN)
}

// endOutside ends the sessions for sources that are not let in from where they are.
func (a *Access) endOutside(c *change, q ownline.SessionQuery, o ownline.Origins) error {
	_, err := c.endAll(q, ownline.Revoked, func(s ownline.SessionInfo) bool { return a.outsideOf(o, s) })
	return err
}

// mostNamed bounds how many lists an error names.
const mostNamed = 5

// named joins what an error names.
func named(whose []string) string {
	if more := len(whose) - mostNamed; more > 0 {
		whose = append(whose[:mostNamed:mostNamed], fmt.Sprintf("%d more", more))
	}
	return strings.Join(whose, "; ")
}

// listsAt goes through the lists of grants and devices at a site, and says whose each one is.
func listsAt(tx Tx, site ownline.SiteID, each func(o ownline.Origins, whose string)) error {
	grants, err := pages(func(p ownline.Page) ([]ownline.Grant, string, error) {
		return tx.Grants(ownline.GrantQuery{Page: p, Site: site})
	})
	if err != nil {
		return err
	}
	for _, g := range grants {
		if g.AllowedFrom == "" {
			continue
		}
		u, err := tx.User(g.User)
		if err != nil {
			return err
		}
		service, err := tx.Service(g.Service)
		if err != nil {
			return err
		}
		each(g.AllowedFrom, fmt.Sprintf("the grant of %s for %s", u.Name, service.Name))
	}
	devices, err := pages(func(p ownline.Page) ([]ownline.Device, string, error) {
		return tx.Devices(p, ownline.UserID{}, site)
	})
	if err != nil {
		return err
	}
	for _, d := range devices {
		if d.AllowedFrom == "" {
			continue
		}
		u, err := tx.User(d.User)
		if err != nil {
			return err
		}
		each(d.AllowedFrom, fmt.Sprintf("the device %s of %s", d.Name, u.Name))
	}
	return nil
}

// policyFits refuses a site whose sources are larger than a network in the list of web.yaml.
func (a *Access) policyFits(s ownline.Site) error {
	beyond := a.limits.Origins.Beyond(s.IPv6Prefix)
	if len(beyond) == 0 {
		return nil
	}
	return ownline.Invalid("ipv6_prefix", fmt.Sprintf("is shorter than networks in policy.networks of web.yaml, which would let in nobody: %s; name networks of %d bits or fewer there first",
		named(beyond), s.IPv6Prefix))
}

// listsFit refuses a site whose sources are larger than a network in a list of its own, of a grant or of a
// device: nobody would be let in from there any more, and no import would take the list. To make the list
// larger would let in more than an admin has said.
func (c *change) listsFit(s ownline.Site) error {
	var whose []string
	note := func(o ownline.Origins, of string) {
		if beyond := o.Beyond(s.IPv6Prefix); len(beyond) > 0 {
			whose = append(whose, fmt.Sprintf("%s in that of %s", strings.Join(beyond, ", "), of))
		}
	}
	note(s.AllowedFrom, "the site")
	if err := listsAt(c.Tx, s.ID, note); err != nil || len(whose) == 0 {
		return err
	}
	return ownline.Invalid("ipv6_prefix", fmt.Sprintf("is shorter than networks in allowed_from, which would let in nobody: %s; take them out, or name networks of %d bits or fewer, first",
		named(whose), s.IPv6Prefix))
}
