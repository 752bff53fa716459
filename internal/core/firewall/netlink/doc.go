// Package netlink: the few netlink operations that the kernel's firewall needs: a request,
// a dump read as it arrives, and a batch that the kernel applies whole or not at all.
//
// It is used instead of github.com/google/nftables because that library asks for an
// acknowledgement of every message, can't tie a batch to a generation of the ruleset, can't
// set an element's expiration, and holds whole dumps in memory. Here a batch of ten thousand elements is one buffer, one system call to send and
// one to learn that it worked.
//
// Netlink is synchronous: the kernel works on a message within the system call that sends
// it, so the answers to a batch are there when sending returns.
package netlink

import "errors"

var (
	// ErrTooBig says that a batch does not fit into the socket's buffer. Root of the whole
	// machine never meets it; root of a user namespace may not enlarge the buffer.
	ErrTooBig = errors.New("more than one netlink message may carry")
	// ErrInterrupted says that what was dumped changed meanwhile, so that the dump may be
	// inconsistent. Dump again.
	ErrInterrupted = errors.New("changed while it was read")
)
