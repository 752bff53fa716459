package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ownline/ownline/internal/ownline"
)

// Policy is where sources of sessions may be, and the databases that say where an address is. All lists
// empty: anywhere.
type Policy struct {
	Countries     []string       `key:"countries"` // ISO 3166-1 alpha-2
	ASNs          []string       `key:"asns"`      // of autonomous systems: "AS3352"
	Networks      []netip.Prefix `key:"networks"`
	GeoIPDatabase string         `key:"geoip_database"` // "": countries are unknown
	ASNDatabase   string         `key:"asn_database"`   // "": autonomous systems are unknown
}

// validate is told how many bits of an IPv6 source a session lets in.
func (p Policy) validate(r rules, prefix6 int) {
	for i, c := range p.Countries {
		if !ownline.IsCountry(c) {
			r.report(at("policy.countries", i), fmt.Sprintf("%q is not a code of two capital letters like ES (ISO 3166-1)", c))
		}
	}
	for i, a := range p.ASNs {
		if ownline.ASNumber(a) == 0 {
			r.report(at("policy.asns", i), fmt.Sprintf("%q is not the number of an autonomous system like AS3352", a))
		}
	}
	for i, n := range p.Networks {
		if n.Addr().Is6() && n.Bits() > prefix6 {
			r.report(at("policy.networks", i), fmt.Sprintf("%s is smaller than what a session lets in: name a network of %d bits or fewer, as in sessions.ipv6_prefix", n, prefix6))
		}
	}
	if len(p.Countries) > 0 && p.GeoIPDatabase == "" {
		r.report("policy.countries", "needs policy.geoip_database, which tells where addresses are")
	}
	if len(p.ASNs) > 0 && p.ASNDatabase == "" {
		r.report("policy.asns", "needs policy.asn_database, which tells whose addresses are")
	}
}

// Origins returns the lists, which have been validated, as one.
func (p Policy) Origins() ownline.Origins {
	words := slices.Concat(p.Countries, p.ASNs)
	for _, n := range p.Networks {
		words = append(words, n.Masked().String())
	}
	return ownline.Origins(strings.Join(words, " "))
}
