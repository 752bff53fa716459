package iptables

import (
	"encoding/binary"
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall/netlink"
)

// generation is something that changes when somebody changes the host's rules: the number that
// nftables counts its transactions with, or, for the legacy variant, which has none, how much is
// in each table. What leaves these sizes as they are, only the next comparison of everything finds.
type generation struct {
	number uint32
	sizes  [2][len(tables)][2]uint32
}

// watch looks at the generation.
type watch struct {
	conn *netlink.Conn // nil: legacy
	raw  [2]int        // sockets, for a legacy variant
	n    int           // how many of them
}

func newWatch(variant string, sides []side) (w watch, err error) {
	if variant == nftVariant {
		w.conn, err = netlink.Dial(unix.NETLINK_NETFILTER)
		return w, err
	}
	for i, s := range sides {
		family := unix.AF_INET6
		if s.v4 {
			family = unix.AF_INET
		}
		if w.raw[i], err = unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW); err != nil {
			return w, errors.Join(os.NewSyscallError("open raw socket", err), w.close())
		}
		w.n++
	}
	return w, nil
}

func (w *watch) close() (err error) {
	if w.conn != nil {
		return w.conn.Close()
	}
	for ; w.n > 0; w.n-- {
		err = errors.Join(err, unix.Close(w.raw[w.n-1]))
	}
	return err
}

func (w *watch) look() (g generation, err error) {
	if w.conn != nil {
		g.number, err = w.conn.Generation()
		return g, err
	}
	for i, fd := range w.raw[:w.n] {
		for j, t := range tables {
			if g.sizes[i][j], err = sizes(fd, i == 0, t); err != nil {
				return g, err
			}
		}
	}
	return g, nil
}

// infoSize is that of struct ipt_getinfo of linux/netfilter_ipv4/ip_tables.h: a name of 32 bytes, the
// valid hooks, five entries and five underflows, the number of entries, their size.
const infoSize = 32 + 4 + 5*4 + 5*4 + 4 + 4

// sizes asks the kernel how many entries a table has, and how many bytes; none when it is not there.
func sizes(fd int, v4 bool, table string) (out [2]uint32, err error) {
	const getInfo = 64 // IPT_SO_GET_INFO, and IP6T_SO_GET_INFO
	level := uintptr(unix.SOL_IPV6)
	if v4 {
		level = unix.SOL_IP
	}
	var info [infoSize]byte
	copy(info[:], table)
	n := uint32(infoSize)
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), level, getInfo, uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&n)), 0)
	switch {
	case errno == unix.ENOENT:
		return out, nil
	case errno != 0:
		return out, os.NewSyscallError("ask for the size of table "+table, errno)
	}
	for i := range out {
		out[i] = binary.NativeEndian.Uint32(info[infoSize-8+4*i:])
	}
	return out, nil
}
