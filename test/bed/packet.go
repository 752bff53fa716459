package bed

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// Protocol numbers of Packet.Protocol and Filter.Protocol (IANA).
const (
	ICMP   = 1
	TCP    = 6
	UDP    = 17
	ICMPv6 = 58
)

// Packet is one captured IPv4 or IPv6 packet.
type Packet struct {
	At       time.Time      // when it was read from the capture
	Protocol int            // 0: neither IPv4 nor IPv6, for example ARP
	Src, Dst netip.AddrPort // ports 0 unless TCP or UDP
	Payload  []byte         // what follows the TCP or UDP header; of other protocols the IP header
	Raw      []byte         // the whole packet from its IP header on
}

// Filter chooses packets. Its zero value lets everything through that is IPv4 or IPv6.
type Filter struct {
	Protocol int        // 0: any
	Port     uint16     // source or destination port; 0: any
	Addr     netip.Addr // source or destination address; zero: any
}

func (f Filter) match(p Packet) bool {
	return p.Protocol != 0 &&
		(f.Protocol == 0 || f.Protocol == p.Protocol) &&
		(f.Port == 0 || f.Port == p.Src.Port() || f.Port == p.Dst.Port()) &&
		(!f.Addr.IsValid() || f.Addr == p.Src.Addr() || f.Addr == p.Dst.Addr())
}

// parsePacket reads a packet that begins with its IP header, and copies it. IPv6 extension
// headers are not followed: none appear in a bed.
func parsePacket(b []byte) Packet {
	p := Packet{Raw: append([]byte(nil), b...)}
	b = p.Raw
	var src, dst netip.Addr
	switch {
	case len(b) >= 20 && b[0]>>4 == 4 && int(b[0]&15)*4 >= 20 && len(b) >= int(b[0]&15)*4:
		p.Protocol = int(b[9])
		src, dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
		b = b[int(b[0]&15)*4:]
	case len(b) >= 40 && b[0]>>4 == 6:
		p.Protocol = int(b[6])
		src, dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
		b = b[40:]
	default:
		return p
	}
	var sport, dport uint16
	if (p.Protocol == TCP || p.Protocol == UDP) && len(b) >= 8 {
		sport, dport = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
		head := 8
		if p.Protocol == TCP && len(b) >= 20 {
			head = min(len(b), int(b[12]>>4)*4)
		}
		b = b[head:]
	}
	p.Src, p.Dst, p.Payload = netip.AddrPortFrom(src, sport), netip.AddrPortFrom(dst, dport), b
	return p
}
