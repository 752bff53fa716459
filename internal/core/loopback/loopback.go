// Package loopback: core's own addresses, on the router's loopback interface. The kernel can't
// translate a destination to 127.0.0.1, and an address of the LAN could be somebody's.
package loopback

import "net/netip"

// The addresses at which the reverse proxy listens. They leave the router neither as a source
// nor as a destination: the first is link-local (RFC 3927), the second from a network of local
// addresses (RFC 4193) that was drawn for this.
var (
	Addr4 = netip.AddrFrom4([4]byte{169, 254, 57, 99})
	Addr6 = netip.MustParseAddr("fd6f:776e:6c69:6e65::1")
)
