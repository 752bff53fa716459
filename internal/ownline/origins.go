package ownline

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Origins are where sources may be: in one of some countries, of one of some autonomous systems or in
// one of some networks. They are words with blanks between them, like "ES AS3352 198.51.100.0/24",
// as ParseOrigins makes them; "": anywhere.
type Origins string

// MostOrigins bounds a list of them.
const MostOrigins = 200

// ParseOrigins reads a list of origins that is told of in a field. prefix6 is how many bits of an IPv6
// source a session lets in.
func ParseOrigins(field string, words []string, prefix6 int) (Origins, error) {
	if len(words) > MostOrigins {
		return "", Invalid(field, fmt.Sprintf("has %d entries; at most %d are taken", len(words), MostOrigins))
	}
	var out []string
	for _, w := range words {
		word, err := parseOrigin(field, strings.TrimSpace(w), prefix6)
		if err != nil {
			return "", err
		}
		if !slices.Contains(out, word) {
			out = append(out, word)
		}
	}
	return Origins(strings.Join(out, " ")), nil
}

func parseOrigin(field, w string, prefix6 int) (string, error) {
	if w == "" {
		return "", Invalid(field, "has an empty entry")
	}
	bad := func(why string) (string, error) { return "", Invalid(field, fmt.Sprintf("%q %s", w, why)) }
	upper := strings.ToUpper(w)
	if IsCountry(upper) {
		return upper, nil
	}
	if n := ASNumber(upper); n != 0 {
		return fmt.Sprintf("AS%d", n), nil
	}
	p, err := netip.ParsePrefix(w)
	if err != nil {
		a, aerr := netip.ParseAddr(w)
		if aerr != nil || a.Zone() != "" {
			return bad("is no country like ES, no autonomous system like AS3352 and no network like 198.51.100.0/24")
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	switch {
	case p.Addr().Is4In6():
		bits := p.Bits() - (128 - 32)
		if bits < 0 { // they were counted as those of IPv4
			bits = min(p.Bits(), 32)
		}
		return bad("is an IPv4 network in the form of IPv6; write it as " + netip.PrefixFrom(p.Addr().Unmap(), bits).Masked().String())
	case p.Addr().Is6() && p.Bits() > prefix6: // and not widened: that would let in more than was said
		return bad(fmt.Sprintf("is smaller than what a session lets in: name a network of %d bits or fewer, as in the site's ipv6_prefix, like %s",
			prefix6, netip.PrefixFrom(p.Addr(), prefix6).Masked()))
	}
	return p.Masked().String(), nil
}

// IsCountry reports whether a word has the form of a country's code, two capital letters (ISO 3166-1 alpha-2).
func IsCountry(w string) bool {
	return len(w) == 2 && strings.Trim(w, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// ASNumber reads an autonomous system like AS3352; 0: it is none.
func ASNumber(w string) uint32 {
	digits, ok := strings.CutPrefix(w, "AS")
	n, err := strconv.ParseUint(digits, 10, 32)
	if !ok || err != nil {
		return 0
	}
	return uint32(n)
}

// Words lists them; never nil.
func (o Origins) Words() []string { return append([]string{}, strings.Fields(string(o))...) }

// Countries reports whether there are countries among them.
func (o Origins) Countries() bool { return slices.ContainsFunc(o.Words(), IsCountry) }

// ASNs reports whether there are autonomous systems among them.
func (o Origins) ASNs() bool {
	return slices.ContainsFunc(o.Words(), func(w string) bool { return ASNumber(w) != 0 })
}

// Beyond lists the IPv6 networks that are smaller than what a session of prefix6 bits lets in: they would
// let in nobody, and ParseOrigins refuses them.
func (o Origins) Beyond(prefix6 int) (out []string) {
	for _, w := range o.Words() {
		if n, err := netip.ParsePrefix(w); err == nil && n.Addr().Is6() && n.Bits() > prefix6 {
			out = append(out, w)
		}
	}
	return out
}

// Allow reports whether a source may come from there; "" and 0: nobody knows its country, its system.
// What is unknown is let in by nothing but a network, and a source that is larger than one by none.
func (o Origins) Allow(source netip.Prefix, country string, asn uint32) bool {
	return o == "" || slices.ContainsFunc(o.Words(), func(w string) bool {
		switch {
		case IsCountry(w):
			return w == country
		case ASNumber(w) != 0:
			return ASNumber(w) == asn
		}
		n, err := netip.ParsePrefix(w)
		return err == nil && n.Bits() <= source.Bits() && n.Contains(source.Addr())
	})
}

// String returns "ES, AS3352 and 198.51.100.0/24 only".
func (o Origins) String() string {
	all := o.Words()
	if len(all) == 0 {
		return "everybody"
	}
	if last := len(all) - 1; last > 0 {
		return strings.Join(all[:last], ", ") + " and " + all[last] + " only"
	}
	return all[0] + " only"
}
