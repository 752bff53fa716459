package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ownline/ownline/internal/ownline"
)

// Origin is where a source is, as far as anybody knows.
type Origin struct {
	Country string // ISO 3166-1 alpha-2; "": unknown
	ASN     uint32 // number of the autonomous system; 0: unknown
}

// Origins are where sources may be: in one of the countries, of one of the autonomous systems or in one
// of the networks. With none of them, anywhere.
type Origins struct {
	Countries []string // ISO 3166-1 alpha-2, upper case
	ASNs      []uint32
	Networks  []netip.Prefix
}

// Everywhere reports whether no source is refused.
func (o Origins) Everywhere() bool {
	return len(o.Countries) == 0 && len(o.ASNs) == 0 && len(o.Networks) == 0
}

// Check refuses a source that may not be where it is, naming the field "source". What is unknown is let
// in by nothing but a network. set names who says so, for people: "policy in web.yaml".
func (o Origins) Check(source netip.Addr, at Origin, set string) error {
	source = source.Unmap()
	if o.Everywhere() || at.Country != "" && slices.Contains(o.Countries, at.Country) || at.ASN != 0 && slices.Contains(o.ASNs, at.ASN) ||
		slices.ContainsFunc(o.Networks, func(n netip.Prefix) bool { return n.Contains(source) }) {
		return nil
	}
	return ownline.Forbidden("source", fmt.Sprintf("%s is refused by the %s, which lets in %s", at.describe(source), set, o))
}

func (at Origin) describe(source netip.Addr) string {
	var known []string
	if at.Country != "" {
		known = append(known, at.Country)
	}
	if at.ASN != 0 {
		known = append(known, fmt.Sprintf("AS%d", at.ASN))
	}
	if len(known) == 0 {
		return source.String()
	}
	return fmt.Sprintf("%s (%s)", source, strings.Join(known, ", "))
}

// String returns "ES, AS3352 and 198.51.100.0/24 only".
func (o Origins) String() string {
	if o.Everywhere() {
		return "everybody"
	}
	all := slices.Clone(o.Countries)
	for _, n := range o.ASNs {
		all = append(all, fmt.Sprintf("AS%d", n))
	}
	for _, n := range o.Networks {
		all = append(all, n.String())
	}
	if last := len(all) - 1; last > 0 {
		return strings.Join(all[:last], ", ") + " and " + all[last] + " only"
	}
	return all[0] + " only"
}
