// Package firewall: what the kernel must hold, as values: Forward, Ruleset, and Plan, which
// computes a Ruleset from sessions. Its sub-folders put a Ruleset into a kernel.
package firewall

import (
	"net/netip"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// Key names a hole in the router: who, by which protocol, to which public port.
type Key struct {
	Source    netip.Prefix // IPv4: 32 bits; IPv6: as many as Settings.IPv6Prefix
	Transport ownline.Transport
	Port      uint16 // public port
}

// Forward opens one hole: packets of Key.Source to Key.Port of the router go to Target,
// until Until. Target has the family of the source.
type Forward struct {
	Key
	Target netip.AddrPort
	Until  time.Time // compared by its monotonic reading, so a jumping clock moves nothing
}

// Hint is the first 8 bytes of a knock that is valid until Until (knock format version 1).
type Hint struct {
	Value [8]byte
	Until time.Time
}

// Settings is the part of a Ruleset that changes only with the configuration.
type Settings struct {
	WAN         []string // interfaces that sessions and knocks arrive on; empty: any
	Masquerade  bool     // rewrite the source of forwarded connections to the router's own address
	IPv6Prefix  int      // bits of an IPv6 source that count, 48 to 128
	KnockPort   uint16   // UDP port that only datagrams with a valid hint may reach; 0: no filter
	KnockLength int      // bytes of UDP payload of a knock
}

// Ruleset is everything that Ownline wants of the kernel.
type Ruleset struct {
	Settings
	Forwards map[Key]Forward
	Hints    []Hint
}
