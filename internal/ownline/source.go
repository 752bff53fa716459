package ownline

import (
	"fmt"
	"net/netip"
)

var carrierNAT = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598

// neverSources are ranges that reach no public host although netip calls them global
// unicast: "this network", IETF protocol assignments, benchmarking, class E (RFC 6890),
// 6to4 and NAT64, which hide whom they carry, and discard-only.
var neverSources = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("100::/64"),
}

// SourceKind sorts a client's address by what a session for it would admit.
type SourceKind string

// The kinds of source.
const (
	SourcePublic     SourceKind = "public"
	SourcePrivate    SourceKind = "private"     // RFC 1918, RFC 4193, loopback, link-local
	SourceCarrierNAT SourceKind = "carrier_nat" // RFC 6598
	SourceUnusable   SourceKind = "unusable"    // unspecified, multicast, reserved
)

// KindOf sorts an address.
func KindOf(a netip.Addr) SourceKind {
	a = a.Unmap()
	switch {
	case !a.IsValid(), a.IsUnspecified(), a.IsMulticast(), a.Zone() != "":
		return SourceUnusable
	case a.IsPrivate(), a.IsLoopback(), a.IsLinkLocalUnicast():
		return SourcePrivate
	case carrierNAT.Contains(a):
		return SourceCarrierNAT
	}
	for _, p := range neverSources {
		if p.Contains(a) {
			return SourceUnusable
		}
	}
	return SourcePublic
}

// SourceOf returns the source that a client at a stands for: the address itself for IPv4,
// its network of prefix6 bits for IPv6. An address that must never be admitted is refused
// with an error about the field "source".
func SourceOf(a netip.Addr, prefix6 int) (netip.Prefix, error) {
	a = a.Unmap()
	if kind := KindOf(a); kind != SourcePublic {
		return netip.Prefix{}, Invalid("source", fmt.Sprintf("%s is not a public address (%s), so a session for it would admit nobody or everybody", a, kind))
	}
	if a.Is4() {
		return netip.PrefixFrom(a, 32), nil
	}
	return a.Prefix(prefix6)
}
