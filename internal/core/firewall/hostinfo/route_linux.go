package hostinfo

import (
	"net"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall/netlink"
)

// Route tells by which interface the router sends a packet on that comes by one, or with "" one of its own; an error,
// why it does not.
func Route(in string, from, to netip.Addr) (out string, err error) {
	by := &net.Interface{}
	if in != "" {
		if by, err = net.InterfaceByName(in); err != nil {
			return "", err
		}
	}
	c, err := netlink.Dial(unix.NETLINK_ROUTE)
	if err != nil {
		return "", err
	}
	defer c.Close()
	kind, index, err := c.Route(by.Index, from, to)
	switch {
	case err != nil:
		return "", err
	case kind == unix.RTN_BLACKHOLE: // some kernels tell so, and others by an error
		return "", unix.EINVAL
	case kind == unix.RTN_PROHIBIT:
		return "", unix.EACCES
	case kind != unix.RTN_UNICAST:
		return "", unix.EHOSTUNREACH
	}
	leads, err := net.InterfaceByIndex(index)
	if err != nil {
		return "", err
	}
	return leads.Name, nil
}
