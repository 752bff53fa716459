package hostinfo

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strconv"

	"github.com/ownline/ownline/internal/ownline"
)

// lines calls f with the fields of every line that has at least n; what is shorter, such as
// a heading, is passed over.
func lines(b []byte, n int, f func(fields [][]byte)) {
	for line := range bytes.Lines(b) {
		if fields := bytes.Fields(line); len(fields) >= n {
			f(fields)
		}
	}
}

// parseRoutes4 reads /proc/net/route: Iface Destination Gateway Flags RefCnt Use Metric
// Mask …, numbers being those of memory, in the machine's byte order.
func parseRoutes4(b []byte) (out []netip.Addr) {
	lines(b, 8, func(f [][]byte) {
		if string(f[1]) != "00000000" || string(f[7]) != "00000000" {
			return
		}
		if a, ok := memoryAddr(f[2]); ok && a.Is4() && !a.IsUnspecified() {
			out = append(out, a)
		}
	})
	return out
}

// parseRoutes6 reads /proc/net/ipv6_route: destination, its length, source, its length,
// next hop, …, numbers in network order.
func parseRoutes6(b []byte) (out []netip.Addr) {
	lines(b, 10, func(f [][]byte) {
		raw, err := hex.DecodeString(string(f[4]))
		if string(f[1]) != "00" || err != nil || len(raw) != 16 {
			return
		}
		if a := netip.AddrFrom16([16]byte(raw)); !a.IsUnspecified() {
			out = append(out, a)
		}
	})
	return out
}

// States of a socket that serves (include/net/tcp_states.h): a UDP socket that is bound but
// not connected is in TCP_CLOSE.
const (
	tcpListen = "0A"
	udpBound  = "07"
)

// parseSockets reads /proc/net/{tcp,tcp6,udp,udp6}: sl local_address rem_address st …
func parseSockets(b []byte, t ownline.Transport) (out []uint16) {
	state := tcpListen
	if t == ownline.UDP {
		state = udpBound
	}
	lines(b, 4, func(f [][]byte) {
		addr, port, ok := bytes.Cut(f[1], []byte(":"))
		if !ok || string(f[3]) != state {
			return
		}
		a, ok := memoryAddr(addr)
		n, err := strconv.ParseUint(string(port), 16, 16)
		if ok && err == nil && n != 0 && !a.Unmap().IsLoopback() {
			out = append(out, uint16(n))
		}
	})
	return out
}

// memoryAddr reads an address that the kernel prints as words of memory: one of 32 bits, or
// four of them.
func memoryAddr(s []byte) (netip.Addr, bool) {
	raw, err := hex.DecodeString(string(s))
	if err != nil || len(raw) != 4 && len(raw) != 16 {
		return netip.Addr{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	return netip.AddrFromSlice(raw)
}
