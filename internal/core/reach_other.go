//go:build !linux

package core

import (
	"context"
	"net/netip"
)

// absent knows of no host that it is not there.
func absent(context.Context, netip.Addr) string { return "" }
