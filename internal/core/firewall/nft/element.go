package nft

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/ownline"
)

// The bytes of keys and values in the kernel: every part of a concatenation is padded to
// four bytes, numbers are in network byte order.

const (
	protoTCP = 6
	protoUDP = 17
)

func protocol(t ownline.Transport) byte {
	if t == ownline.TCP {
		return protoTCP
	}
	return protoUDP
}

// mapKey is source . protocol . public port.
func mapKey(k firewall.Key) []byte {
	b := append(make([]byte, 0, 44), k.Source.Addr().AsSlice()...)
	b = append(b, protocol(k.Transport), 0, 0, 0)
	return append(binary.BigEndian.AppendUint16(b, k.Port), 0, 0)
}

// mapValue is target . target port.
func mapValue(target netip.AddrPort) []byte {
	b := append(make([]byte, 0, 20), target.Addr().AsSlice()...)
	return append(binary.BigEndian.AppendUint16(b, target.Port()), 0, 0)
}

// liveKey is source . protocol . target . target port . public port.
func liveKey(k firewall.Key, target netip.AddrPort) []byte {
	b := mapKey(k)
	port := len(b) - 4
	b = append(b[:port], mapValue(target)...)
	return append(binary.BigEndian.AppendUint16(b, k.Port), 0, 0)
}

// parseMapKey reads what mapKey writes. An IPv6 source has prefix6 bits.
func parseMapKey(b []byte, prefix6 int) (firewall.Key, bool) {
	n := len(b) - 8
	addr, ok := netip.AddrFromSlice(b[:max(n, 0)])
	if !ok {
		return firewall.Key{}, false
	}
	bits := 32
	if n == 16 {
		bits = prefix6
	}
	k := firewall.Key{Source: netip.PrefixFrom(addr, bits), Transport: ownline.UDP, Port: binary.BigEndian.Uint16(b[n+4:])}
	if b[n] == protoTCP {
		k.Transport = ownline.TCP
	}
	return k, k.Validate(prefix6) == nil && (b[n] == protoTCP || b[n] == protoUDP)
}

// parseMapValue reads what mapValue writes.
func parseMapValue(b []byte) (netip.AddrPort, bool) {
	n := len(b) - 4
	addr, ok := netip.AddrFromSlice(b[:max(n, 0)])
	if !ok {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(addr, binary.BigEndian.Uint16(b[n:])), true
}

// parseLiveKey reads what liveKey writes.
func parseLiveKey(b []byte, prefix6 int) (firewall.Key, netip.AddrPort, bool) {
	n := 8 // source . protocol
	switch len(b) {
	case 20:
	case 44:
		n = 20
	default:
		return firewall.Key{}, netip.AddrPort{}, false
	}
	port := len(b) - 4
	k, ok := parseMapKey(slices.Concat(b[:n], b[port:]), prefix6)
	target, ok2 := parseMapValue(b[n:port])
	return k, target, ok && ok2
}

// milliseconds returns the time left until t, rounded up; 0 when it is over.
func milliseconds(t, now time.Time) uint64 {
	left := t.Sub(now)
	if left <= 0 {
		return 0
	}
	return uint64((left + time.Millisecond - 1) / time.Millisecond)
}
