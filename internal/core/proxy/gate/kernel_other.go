//go:build !linux

package gate

import (
	"errors"
	"net/netip"
)

type kernel struct{}

func openKernel() (*kernel, error) { return nil, errors.ErrUnsupported }

func (*kernel) close() {}

func (*kernel) destroy(netip.AddrPort, netip.AddrPort) error { return errors.ErrUnsupported }

func (*kernel) open([]netip.AddrPort) (map[netip.AddrPort]bool, error) {
	return nil, errors.ErrUnsupported
}
