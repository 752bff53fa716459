package iptables

import (
	"log/slog"
	"time"
)

// Config is what a Driver is made with. The zero value works.
type Config struct {
	Logger *slog.Logger // nil: nothing is logged

	// Variant is "nft" or "legacy"; "": what the host calls iptables.
	Variant string
	// UFW is the root of ufw's files, for a Driver beside it; "": of ufw nothing is known.
	UFW string
	// Ending is how the kernel ends access; "": the first that the host can.
	Ending Ending
	// Within calls what starts a program, so that it runs elsewhere; nil: here.
	Within func(func() error) error
}

// Ending is by what means access ends.
type Ending string

// The means, the best first.
const (
	ByTime Ending = "time" // rules say until when, by xt_time
	BySet  Ending = "set"  // elements of ipsets time out
	ByCore Ending = "core" // core takes the rules away
)

// Promises is what a driver promises where not all of them promise the same. The contract holds each
// to its own (package fwtest), and docs/reference/firewalls.md has them in a table.
type Promises struct {
	Late       time.Duration // a session ends so much after its time at most
	CoreIsDead bool          // and it ends so when core does not run
	Clock      bool          // and when the host's clock is set, before core has noticed
	Apart      bool          // and when its source has another to the same target, by another port
	Filter     bool          // garbage for the knock ports dies in the kernel
}

// Promises of an ending. The kernel counts in whole seconds, and core needs a moment.
func (e Ending) Promises() Promises {
	return Promises{Late: time.Second, CoreIsDead: e != ByCore, Clock: e != ByTime, Apart: e != BySet}
}

// without says what is missed with an ending.
func (e Ending) without() string {
	const filter = "no filter: core looks at all that comes to the knock ports, they can be told from closed ones, " +
		"and a rule of the host's firewall that lets in untracked knocks alone lets in none"
	switch e {
	case ByTime:
		return "iptables ends sessions by xt_time, up to a second late; " + filter
	case BySet:
		return "iptables ends sessions by ipset, up to a second late; " + filter
	}
	return "iptables has neither xt_time nor ipset: core ends sessions, and while it does not run nothing does; " + filter
}
