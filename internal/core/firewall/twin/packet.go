package twin

import (
	"encoding/binary"
	"net/netip"
)

const (
	tcp, udp = 6, 17 // of IP

	syn, ack = 1 << 1, 1 << 4 // of TCP

	sequence = 1 << 20
)

// packet is as much as is wanted of one.
type packet struct {
	protocol byte
	from, to netip.AddrPort
	flags    byte // of TCP
	size     int  // of what UDP carries
}

// bytes is the packet as IP has it, with sums that are right.
func (p *packet) bytes() []byte {
	source, target := p.from.Addr().AsSlice(), p.to.Addr().AsSlice()
	ports := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, p.from.Port()), p.to.Port())
	var body []byte
	at := 6 // of the sum
	if p.protocol == tcp {
		answered := uint32(0)
		if p.flags&ack != 0 {
			answered = sequence + 1
		}
		body = binary.BigEndian.AppendUint32(ports, sequence)
		body = binary.BigEndian.AppendUint32(body, answered)
		body = append(body, 5<<4, p.flags, 0xff, 0xff, 0, 0, 0, 0)
		at = 16
	} else {
		body = append(ports, 0, byte(8+p.size), 0, 0)
		body = append(body, make([]byte, p.size)...)
	}
	pseudo := append(append([]byte{}, source...), target...)
	pseudo = append(pseudo, 0, p.protocol, 0, byte(len(body)))
	s := sum(append(pseudo, body...))
	if s == 0 && p.protocol == udp {
		s = 0xffff
	}
	binary.BigEndian.PutUint16(body[at:], s)
	var head []byte
	if p.from.Addr().Is4() {
		head = []byte{0x45, 0, 0, byte(20 + len(body)), 0, 1, 0x40, 0, 64, p.protocol, 0, 0}
		head = append(append(head, source...), target...)
		binary.BigEndian.PutUint16(head[10:], sum(head))
	} else {
		head = []byte{0x60, 0, 0, 0, 0, byte(len(body)), p.protocol, 64}
		head = append(append(head, source...), target...)
	}
	return append(head, body...)
}

// sum is the internet's (RFC 1071).
func sum(b []byte) uint16 {
	var s uint32
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		s += uint32(b[len(b)-1]) << 8
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return ^uint16(s)
}

// parse reads a packet; false: it is none of TCP or UDP.
func parse(b []byte) (p packet, ok bool) {
	var from, to netip.Addr
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		p.protocol = b[9]
		from, to = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
		b = b[min(int(b[0]&15)*4, len(b)):]
	case len(b) >= 40 && b[0]>>4 == 6:
		p.protocol = b[6]
		from, to = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
		b = b[40:]
	default:
		return p, false
	}
	if p.protocol != tcp && p.protocol != udp || len(b) < 8 || p.protocol == tcp && len(b) < 20 {
		return p, false
	}
	if p.protocol == tcp {
		p.flags = b[13]
	}
	p.from, p.to = netip.AddrPortFrom(from, binary.BigEndian.Uint16(b)), netip.AddrPortFrom(to, binary.BigEndian.Uint16(b[2:]))
	return p, true
}
