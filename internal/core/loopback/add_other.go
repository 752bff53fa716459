//go:build !linux

package loopback

import (
	"errors"
	"net/netip"
)

// Add returns errors.ErrUnsupported.
func Add(netip.Addr) error { return errors.ErrUnsupported }
