//go:build !unix

package agent

import (
	"errors"
	"syscall"
)

// wsaeConnReset is what Windows says after an ICMP "port unreachable".
const wsaeConnReset = syscall.Errno(10054)

// isICMP reports whether an error is what an ICMP message made the system say.
func isICMP(err error) bool { return errors.Is(err, wsaeConnReset) }
