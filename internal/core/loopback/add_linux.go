package loopback

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall/netlink"
)

// Add puts an address on the loopback interface of the caller's network namespace, unless it
// is there (rtnetlink(7), RTM_NEWADDR). It stays when the process ends.
func Add(addr netip.Addr) error {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		return fmt.Errorf("add %s to the loopback interface: %w", addr, err)
	}
	c, err := netlink.Dial(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer c.Close()
	family := byte(unix.AF_INET)
	if addr.Is6() {
		family = unix.AF_INET6
	}
	var m netlink.Message
	m.Begin(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE|unix.NLM_F_ACK)
	const noDuplicateCheck = unix.IFA_F_NODAD // there is nobody on this interface to ask
	m.Raw(family, byte(addr.BitLen()), noDuplicateCheck, unix.RT_SCOPE_HOST)
	m.Raw(binary.NativeEndian.AppendUint32(nil, uint32(lo.Index))...)
	m.Bytes(unix.IFA_LOCAL, addr.AsSlice())
	m.Bytes(unix.IFA_ADDRESS, addr.AsSlice())
	if err := c.Do(&m, nil); err != nil {
		return fmt.Errorf("add %s to the loopback interface: %w", addr, err)
	}
	return nil
}
