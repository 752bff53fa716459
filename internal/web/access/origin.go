package access

import (
	"net/netip"

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
