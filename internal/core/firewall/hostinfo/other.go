//go:build !linux

package hostinfo

import "errors"

// Read is for Linux alone.
func Read([]string) (Host, error) { return Host{}, errors.ErrUnsupported }

// Uplinks is for Linux alone.
func Uplinks() ([]Uplink, error) { return nil, errors.ErrUnsupported }
