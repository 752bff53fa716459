package hostrules

import (
	"bytes"
	"encoding/binary"
	"net"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall/netlink"
)

// Not in golang.org/x/sys: see linux/netfilter/nf_conntrack_common.h, and for what iptables calls states
// besides, linux/netfilter/xt_conntrack.h.
const (
	stateInvalid     = 1              // NF_CT_STATE_INVALID_BIT
	stateEstablished = 1 << 1         // NF_CT_STATE_BIT(IP_CT_ESTABLISHED)
	stateNew         = 1 << 3         // NF_CT_STATE_BIT(IP_CT_NEW)
	stateUntracked   = 1 << 6         // NF_CT_STATE_UNTRACKED_BIT
	statusTranslated = 1<<5 | 1<<8    // IPS_DST_NAT, IPS_DST_NAT_DONE
	statusAnswered   = 1<<1 | 1<<3    // IPS_SEEN_REPLY, IPS_CONFIRMED
	xtDNAT           = uint32(1) << 7 // XT_CONNTRACK_STATE_DNAT
	xtUntracked      = uint32(1) << 8 // XT_CONNTRACK_STATE_UNTRACKED
)

// registers hold what a rule has loaded, in the register of its first four bytes; nil: nobody knows.
type registers [32][]byte

// place finds the register that an attribute names: one of 16 bytes is four of four.
func (*registers) place(data []byte, kind uint16) uint32 {
	n := number(data, kind)
	if n < unix.NFT_REG32_00 {
		n = unix.NFT_REG32_00 + (n-1)*4
	}
	return n % uint32(len(registers{}))
}

func (r *registers) at(data []byte, kind uint16) []byte { return r[r.place(data, kind)] }

// judge does what an expression does that decides nothing by itself.
func (r *registers) judge(name string, data []byte, p *Packet) truth {
	load := func(kind uint16, v []byte) truth {
		if netlink.Find(data, kind) != nil { // else it stores something
			r[r.place(data, kind)] = v
		}
		return yes
	}
	switch name {
	case "meta":
		return load(unix.NFTA_META_DREG, p.meta(number(data, unix.NFTA_META_KEY)))
	case "ct":
		key := number(data, unix.NFTA_CT_KEY)
		if (p.Untracked || p.blind) && key != unix.NFT_CT_STATE && netlink.Find(data, unix.NFTA_CT_DREG) != nil { // what sets something goes on
			return no
		}
		return load(unix.NFTA_CT_DREG, p.ct(key))
	case "payload":
		return load(unix.NFTA_PAYLOAD_DREG, p.payload(number(data, unix.NFTA_PAYLOAD_BASE), number(data, unix.NFTA_PAYLOAD_OFFSET), number(data, unix.NFTA_PAYLOAD_LEN)))
	case "bitwise":
		v := bytes.Clone(r.at(data, unix.NFTA_BITWISE_SREG))
		mask, xor := netlink.Find(data, unix.NFTA_BITWISE_MASK, unix.NFTA_DATA_VALUE), netlink.Find(data, unix.NFTA_BITWISE_XOR, unix.NFTA_DATA_VALUE)
		if len(mask) != len(v) || len(xor) != len(v) {
			v = nil
		}
		for i := range v {
			v[i] = v[i]&mask[i] ^ xor[i]
		}
		return load(unix.NFTA_BITWISE_DREG, v)
	case "cmp":
		return compare(number(data, unix.NFTA_CMP_OP), r.at(data, unix.NFTA_CMP_SREG), netlink.Find(data, unix.NFTA_CMP_DATA, unix.NFTA_DATA_VALUE))
	case "range":
		v := r.at(data, unix.NFTA_RANGE_SREG)
		t := min(compare(unix.NFT_CMP_GTE, v, netlink.Find(data, unix.NFTA_RANGE_FROM_DATA, unix.NFTA_DATA_VALUE)),
			compare(unix.NFT_CMP_LTE, v, netlink.Find(data, unix.NFTA_RANGE_TO_DATA, unix.NFTA_DATA_VALUE)))
		if number(data, unix.NFTA_RANGE_OP) == unix.NFT_RANGE_NEQ {
			t = yes - t
		}
		return t
	case "limit": // it is not exceeded
		return is(number(data, unix.NFTA_LIMIT_FLAGS)&unix.NFT_LIMIT_F_INV == 0)
	case "fib":
		var v []byte
		if p.local && number(data, unix.NFTA_FIB_RESULT) == unix.NFT_FIB_RESULT_ADDRTYPE && number(data, unix.NFTA_FIB_FLAGS) == unix.NFTA_FIB_F_DADDR {
			v = binary.NativeEndian.AppendUint32(nil, unix.RTN_LOCAL)
		}
		return load(unix.NFTA_FIB_DREG, v)
	case "match":
		return p.match(text(data, unix.NFTA_MATCH_NAME), netlink.Find(data, unix.NFTA_MATCH_INFO))
	case "counter", "log", "notrack", "objref", "last", "target":
		return yes
	}
	return maybe
}

func compare(op uint32, v, want []byte) truth {
	if v == nil || len(v) < len(want) {
		return maybe
	}
	c := bytes.Compare(v[:len(want)], want) // "ppp*" is compared by its first letters
	switch op {
	case unix.NFT_CMP_EQ:
		return is(c == 0)
	case unix.NFT_CMP_NEQ:
		return is(c != 0)
	case unix.NFT_CMP_LT:
		return is(c < 0)
	case unix.NFT_CMP_LTE:
		return is(c <= 0)
	case unix.NFT_CMP_GT:
		return is(c > 0)
	}
	return is(c >= 0)
}

// meta is what is known of the packet itself.
func (p *Packet) meta(key uint32) []byte {
	name := p.In
	switch key {
	case unix.NFT_META_OIFNAME, unix.NFT_META_OIF:
		name = p.Out
	case unix.NFT_META_IIFNAME, unix.NFT_META_IIF:
	case unix.NFT_META_NFPROTO:
		if p.IPv6 {
			return []byte{unix.NFPROTO_IPV6}
		}
		return []byte{unix.NFPROTO_IPV4}
	case unix.NFT_META_PROTOCOL:
		if p.IPv6 {
			return []byte{0x86, 0xdd}
		}
		return []byte{8, 0}
	case unix.NFT_META_L4PROTO:
		return p.protocol()
	default:
		return nil
	}
	if name == "" {
		return nil
	}
	if key == unix.NFT_META_IIF || key == unix.NFT_META_OIF {
		i, err := net.InterfaceByName(name)
		if err != nil {
			return nil
		}
		return binary.NativeEndian.AppendUint32(nil, uint32(i.Index))
	}
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, name)
	return b
}

func (p *Packet) protocol() []byte {
	if p.TCP {
		return []byte{unix.IPPROTO_TCP}
	}
	return []byte{unix.IPPROTO_UDP}
}

// ct is what is known of the packet's connection.
func (p *Packet) ct(key uint32) []byte {
	v := p.status()
	switch key {
	case unix.NFT_CT_STATE:
		v = p.state()
	case unix.NFT_CT_STATUS:
	default:
		return nil
	}
	return binary.NativeEndian.AppendUint32(nil, v)
}

func (p *Packet) state() uint32 {
	switch {
	case p.blind:
		return stateInvalid
	case p.Untracked:
		return stateUntracked
	case p.Established:
		return stateEstablished
	}
	return stateNew
}

func (p *Packet) status() (s uint32) {
	if p.Translated {
		s = statusTranslated
	}
	if p.Established {
		s |= statusAnswered
	}
	return s
}

// payload is what is known of a part of a header.
func (p *Packet) payload(base, offset, length uint32) []byte {
	protocol := uint32(9) // in the header of IPv4
	if p.IPv6 {
		protocol = 6
	}
	port := p.From
	source, end := uint32(12), uint32(20) // addresses in it
	if p.IPv6 {
		source, end = 8, 40
	}
	switch {
	case base == unix.NFT_PAYLOAD_NETWORK_HEADER && offset >= source && offset+length <= end:
		a, size := p.Source, (end-source)/2
		if offset -= source; offset >= size {
			a, offset = p.Target, offset-size
		}
		if b := a.AsSlice(); uint32(len(b)) == size && offset+length <= size {
			return b[offset : offset+length]
		}
		return nil
	case base == unix.NFT_PAYLOAD_NETWORK_HEADER && offset == protocol && length == 1:
		return p.protocol()
	case base != unix.NFT_PAYLOAD_TRANSPORT_HEADER || length != 2 || offset > 2:
		return nil
	case offset == 2:
		port = p.To
	}
	if port == 0 {
		return nil
	}
	return binary.BigEndian.AppendUint16(nil, port)
}

// match judges by what iptables calls a match, of those that it has no expression for.
func (p *Packet) match(name string, info []byte) truth {
	const invert = 1 << 1 // XT_ADDRTYPE_INVERT_DEST
	half := func(at int) uint32 { return uint32(binary.NativeEndian.Uint16(info[at:])) }
	switch {
	case name == "comment":
		return yes
	case name == "udp" && p.TCP || name == "tcp" && !p.TCP:
		return no
	case name == "udp" && len(info) > 8 && info[8] == 0, name == "tcp" && len(info) > 11 && info[8]|info[9]|info[11] == 0: // struct xt_udp, xt_tcp: a range of source ports, and one of destination ports
		t := yes
		for i, port := range [2]uint16{p.From, p.To} {
			if from, to := half(4*i), half(4*i+2); port == 0 && (from != 0 || to != 0xffff) {
				t = min(t, maybe)
			} else if port != 0 {
				t = min(t, is(from <= uint32(port) && uint32(port) <= to))
			}
		}
		return t
	case name == "multiport" && len(info) > 47 && info[0] < 2: // struct xt_multiport_v1, of source or destination ports
		port := [2]uint16{p.From, p.To}[info[0]]
		if port == 0 {
			break
		}
		has := false
		for i := 0; i < min(int(info[1]), 15); i++ {
			from := half(2 + 2*i)
			if info[32+i] != 0 { // the next is where it ends
				i++
			}
			has = has || from <= uint32(port) && uint32(port) <= half(2+2*i)
		}
		return is(has == (info[47] == 0))
	case name == "addrtype" && len(info) >= 8 && p.local && half(0) == 0 && half(4)&^invert == 0: // struct xt_addrtype_info_v1, of the destination alone
		const local = 1 << unix.RTN_LOCAL // XT_ADDRTYPE_LOCAL
		return is((half(2)&local != 0) == (half(4) == 0))
	case name == "conntrack" && len(info) > 160: // struct xt_conntrack_mtinfo3
		const state, alias = 1 << 0, 1 << 13 // XT_CONNTRACK_STATE, XT_CONNTRACK_STATE_ALIAS
		if half(146)&^alias != state {
			break
		}
		has := p.state()
		if has == stateUntracked {
			has = xtUntracked
		}
		if p.Translated {
			has |= xtDNAT
		}
		return is((half(150)&has != 0) != (half(148)&state != 0))
	}
	return maybe
}
