//go:build unix

package agent

import (
	"errors"
	"syscall"
)

// isICMP reports whether an error is what an ICMP message made the kernel say. Only what
// comes back for packets already sent is meant: no route at all is another thing.
func isICMP(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) ||
		errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPROTO)
}
