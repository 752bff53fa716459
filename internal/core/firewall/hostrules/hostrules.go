// Package hostrules: what the rules of a router that are not Ownline's do with the packets that Ownline
// wants to pass. It reads what nf_tables holds, which rules of iptables-nft are part of, and changes
// nothing; the rules of iptables-legacy it is told (Legacy). Code is spared: a small core has little room.
package hostrules

import (
	"net/netip"

	"github.com/ownline/ownline/internal/core/firewall"
)

// Packet is one of a kind that the host has to let pass. What it does not say may be anything.
type Packet struct {
	Hook     string // "prerouting", and "ingress" before that; "forward", "input", "output" or "postrouting"
	IPv6     bool
	TCP      bool   // else UDP
	From, To uint16 // ports; 0: any
	In, Out  string // interfaces; "": any
	// Whom it is from, and to whom, as its header says where it meets the hook; zero: anybody.
	Source, Target netip.Addr
	// Of its connection. A packet that is not tracked is of none.
	Untracked, Established, Translated bool

	blind bool // nobody has looked yet whether it is of a connection
	local bool // to an address of the router's
}

// Obstacle is a chain of others that drops a packet.
type Obstacle struct {
	*firewall.Chain
	// Unsure is whether some rule may accept the packet after all: it asks for what can't be known beforehand.
	Unsure bool
	// Last is whether no rule drops it, but what the chain does with all that is left.
	Last bool
	// Blind is whether the chain comes too early to know what connection the packet is of, or that it is of none.
	Blind bool
	// Firewalld is whether it is firewalld's, whose rules come and go by its own program alone.
	Firewalld bool
}
