package access

import (
	"net/netip"

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
	o, err := ownline.ParseOrigins(field, words, prefix6)
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
