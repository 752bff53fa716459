package netlink

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Route asks what becomes of a packet to an address (RTN_UNICAST, …), and by which interface it leaves. With in, it
// is asked of one that comes by that interface from somebody else, as the kernel would decide it then: an error may
// also be that it takes the packet for forged (EXDEV, or EINVAL of kernels since 6.13), besides EINVAL of a blackhole.
func (c *Conn) Route(in int, from, to netip.Addr) (kind byte, out int, err error) {
	const kindAt, size = 7, 12 // of struct rtmsg
	family, fromBits := byte(unix.AF_INET), byte(0)
	if to.Is6() {
		family = unix.AF_INET6
	}
	if from.IsValid() {
		fromBits = byte(from.BitLen())
	}
	native := func(n int) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(n)) }
	var m Message
	m.Begin(unix.RTM_GETROUTE, unix.NLM_F_ACK)
	m.Raw(family, byte(to.BitLen()), fromBits, 0)
	m.Raw(0, 0, 0, 0)
	m.Raw(native(0)...)
	m.Bytes(unix.RTA_DST, to.AsSlice())
	if from.IsValid() {
		m.Bytes(unix.RTA_SRC, from.AsSlice())
	}
	if in != 0 {
		m.Bytes(unix.RTA_IIF, native(in))
	}
	err = c.Do(&m, func(_ uint16, body []byte) error {
		if len(body) < size {
			return nil
		}
		kind = body[kindAt]
		if oif := Find(body[size:], unix.RTA_OIF); len(oif) == 4 {
			out = int(binary.NativeEndian.Uint32(oif))
		}
		return nil
	})
	return kind, out, err
}
