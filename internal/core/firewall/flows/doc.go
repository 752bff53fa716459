// Package flows: the entries of the kernel's connection tracking that concern Ownline, asked
// for and changed by netlink, so that no program of the host is needed: it forgets those that
// stand in the way of a session, and passes connections from one driver on to the next.
package flows

// What a connection of Ownline's carries, so that it is recognised later.
const (
	// LabelByte and LabelBit name a bit of its label: the 16 bytes are compared as they lie in
	// memory, so the number that `nft` and conntrack give to the bit depends on the machine.
	LabelByte = 9
	LabelBit  = 0x40
	// MarkBit is one of its mark: clear of those that fw4, mwan3, Kubernetes and Tailscale use.
	MarkBit = 1 << 29
)
