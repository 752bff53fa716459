//go:build !linux

package hostinfo

import (
	"errors"
	"net/netip"
)

// Read is for Linux alone.
func Read([]string) (Host, error) { return Host{}, errors.ErrUnsupported }

// Route is for Linux alone.
func Route(string, netip.Addr, netip.Addr) (string, error) { return "", errors.ErrUnsupported }

// Uplinks is for Linux alone.
func Uplinks() ([]Uplink, error) { return nil, errors.ErrUnsupported }
