package nft

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall"
)

// filtering is how much of the filter of knocks is in the table. It spares core work and hides the
// ports; sessions and what ends them do not need it, so it must not keep them from a kernel that
// lacks an expression of its own.
type filtering int

const (
	filterAll   filtering = iota
	filterShape           // at the port of fwknop's clients all that has a packet's shape passes, however fast
	filterNone
)

// of returns the settings that the filter leaves.
func (f filtering) of(s firewall.Settings) firewall.Settings {
	if f == filterNone {
		s.KnockPort, s.Fwknop = 0, firewall.Shape{}
	}
	return s
}

// without says what a kernel does that takes no more of the filter.
func (f filtering) without() string {
	switch f {
	case filterAll:
		return ""
	case filterShape:
		return "no fair limit at fwknop_listen, where core alone limits how much it looks at"
	}
	return "no filter: core looks at all that comes to the knock ports, they can be told from closed ones, " +
		"and a rule of the host's firewall that lets in untracked knocks alone lets in none"
}

var (
	// errRefused says that the kernel does not take the table.
	errRefused = errors.New("the kernel refuses the table")
	// errAnew says that the table is to be made anew, so that more of the filter may be tried.
	errAnew = errors.New("the table is made anew")
)

// refuses reports whether an error is about what the table is made of: the kernel says ENOENT about an
// expression that it does not have, the others about one that it knows without what is asked of it.
// Whatever else it says, being out of memory, say, may pass, and costs nobody the filter.
func refuses(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) ||
		errors.Is(err, unix.EPROTONOSUPPORT)
}

// Lacks tells what of the filter of knocks the kernel does not take, and why; nil: nothing, or it was
// not asked yet.
func (d *Driver) Lacks() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lacks
}

// Filters reports whether the filter of knocks, or what the kernel takes of it, is in force.
func (d *Driver) Filters() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.known && d.settings.KnockPort != 0
}
