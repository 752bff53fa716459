// Package twin: a copy of this router in a network namespace of its own, with interfaces of the same names, numbers and
// addresses and with the rules that are in force, through which a real packet is sent. So the kernel itself
// says what becomes of it, by whatever a rule asks, while the router, its networks and its connections notice
// nothing. The namespace has no name: it goes with the process, however that ends.
package twin

import (
	"net/netip"

	"github.com/ownline/ownline/internal/core/firewall"
)

// Way is one that a connection takes through a router.
type Way struct {
	In       string // interface by which it comes
	Source   netip.Addr
	Port     uint16         // public
	Target   netip.AddrPort // where it is led
	TCP      bool           // else UDP
	Pretends bool           // no session leads it there: the copy does, as one would

	// Knock has it be one to the router itself, without a target.
	Knock     bool
	Untracked bool // the kernel's filter would make it none of a connection
	Silent    bool // it gets no answer
}

// Outcome is what became of a packet, and of its answer.
type Outcome struct {
	There bool // it came to the target, or the router's own socket
	Back  bool // the answer left by where the packet came in, if there is one
	// Dropped is the chain of nftables that dropped it; nil: none did.
	Dropped *firewall.Chain
	Policy  bool // no rule dropped it, but what the chain does with all that is left
	Legacy  bool // iptables-legacy did
	// Unsure is whether some rule asks for what the copy does not have, and may have let it pass in the router.
	Unsure bool
	Err    error // why it could not be tried
}
