package hostinfo

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net/netip"
	"strconv"

	"github.com/ownline/ownline/internal/ownline"
)

// lines calls f with the fields of every line that has at least n, until f wants no more; what is
// shorter, such as a heading, is passed over. Never more than a line is held: a busy router has tens of
// thousands of connections, each a line of 150 bytes.
func lines(r io.Reader, n int, f func(fields [][]byte) (more bool)) error {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 4096), bufio.MaxScanTokenSize)
	for s.Scan() {
		if fields := bytes.Fields(s.Bytes()); len(fields) >= n && !f(fields) {
			return nil
		}
	}
	return s.Err()
}

// parseRoutes4 reads /proc/net/route: Iface Destination Gateway Flags RefCnt Use Metric
// Mask …, numbers being those of memory, in the machine's byte order.
func parseRoutes4(r io.Reader, add func(netip.Addr)) error {
	return lines(r, 8, func(f [][]byte) bool {
		if string(f[1]) != "00000000" || string(f[7]) != "00000000" {
			return true
		}
		if a, ok := memoryAddr(f[2]); ok && a.Is4() && !a.IsUnspecified() {
			add(a)
		}
		return true
	})
}

// parseRoutes6 reads /proc/net/ipv6_route: destination, its length, source, its length,
// next hop, …, numbers in network order.
func parseRoutes6(r io.Reader, add func(netip.Addr)) error {
	return lines(r, 10, func(f [][]byte) bool {
		raw, err := hex.DecodeString(string(f[4]))
		if string(f[1]) != "00" || err != nil || len(raw) != 16 {
			return true
		}
		if a := netip.AddrFrom16([16]byte(raw)); !a.IsUnspecified() {
			add(a)
		}
		return true
	})
}

// parseUplinks4 reads /proc/net/route for default routes, such as have no next hop too.
func parseUplinks4(r io.Reader, add func(Uplink)) error {
	return lines(r, 8, func(f [][]byte) bool {
		metric, err := strconv.ParseUint(string(f[6]), 10, 32)
		if err == nil && string(f[1]) == "00000000" && string(f[7]) == "00000000" {
			add(Uplink{Interface: string(f[0]), Metric: uint32(metric)})
		}
		return true
	})
}

// parseUplinks6 reads /proc/net/ipv6_route likewise. The kernel's own refusals are routes of lo.
func parseUplinks6(r io.Reader, add func(Uplink)) error {
	return lines(r, 10, func(f [][]byte) bool {
		metric, err := strconv.ParseUint(string(f[5]), 16, 32)
		if err == nil && string(f[1]) == "00" && string(f[9]) != "lo" {
			add(Uplink{Interface: string(f[9]), IPv6: true, Metric: uint32(metric)})
		}
		return true
	})
}

// States of a socket that serves (include/net/tcp_states.h): a UDP socket that is bound but
// not connected is in TCP_CLOSE.
const (
	tcpListen = "0A"
	udpBound  = "07"
)

// parseSockets reads /proc/net/{tcp,tcp6,udp,udp6}: sl local_address rem_address st … Of TCP those that
// listen come first (Documentation/networking/proc_net_tcp.rst), and what follows is not read: it may be long.
func parseSockets(r io.Reader, t ownline.Transport, add func(port uint16)) error {
	state := tcpListen
	if t == ownline.UDP {
		state = udpBound
	}
	return lines(r, 4, func(f [][]byte) bool {
		addr, port, ok := bytes.Cut(f[1], []byte(":"))
		if !ok {
			return true // the heading
		}
		if string(f[3]) != state {
			return t == ownline.UDP
		}
		a, ok := memoryAddr(addr)
		n, err := strconv.ParseUint(string(port), 16, 16)
		if ok && err == nil && n != 0 && !a.Unmap().IsLoopback() {
			add(uint16(n))
		}
		return true
	})
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
