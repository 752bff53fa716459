package nft

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall/flows"
)

// The parts that rules are made of. Each leaves the rule when it does not hold.

// marking is how connections of ours are recognised.
type marking int

const (
	byLabel marking = iota + 1 // a bit of the connection's label, which hardly anybody else writes
	byMark                     // a bit of its mark, where the kernel has no labels
)

const (
	labelByte = flows.LabelByte
	labelBit  = flows.LabelBit
	markBit   = flows.MarkBit
)

func label() []byte {
	b := make([]byte, 16)
	b[labelByte] = labelBit
	return b
}

// set writes the bit. The kernel says nothing when it can't.
func (m marking) set() exprs {
	if m == byLabel {
		return slices.Concat(
			immediate(label(), regOther),
			ctSet(unix.NFT_CT_LABELS, regOther),
		)
	}
	bit := binary.NativeEndian.AppendUint32(nil, markBit)
	rest := binary.NativeEndian.AppendUint32(nil, ^uint32(markBit))
	return slices.Concat(
		ct(unix.NFT_CT_MARK, regOther),
		bitwise(regOther, rest, bit, regOther),
		ctSet(unix.NFT_CT_MARK, regOther),
	)
}

// isSet holds for connections that carry the bit.
func (m marking) isSet() exprs { return m.compare(unix.NFT_CMP_NEQ) }

// isNotSet holds for connections that do not.
func (m marking) isNotSet() exprs { return m.compare(unix.NFT_CMP_EQ) }

func (m marking) compare(op uint32) exprs {
	key, mask := uint32(unix.NFT_CT_MARK), binary.NativeEndian.AppendUint32(nil, markBit)
	if m == byLabel {
		key, mask = unix.NFT_CT_LABELS, label()
	}
	n := uint32(len(mask))
	return slices.Concat(
		ct(key, regOther),
		bitwise(regOther, mask, make([]byte, n), regOther),
		cmp(op, regOther, make([]byte, n)),
	)
}

// family holds for packets of one family.
func (*builder) family(f family) exprs {
	return slices.Concat(
		meta(unix.NFT_META_NFPROTO, regOther),
		cmp(unix.NFT_CMP_EQ, regOther, []byte{f.nfproto}),
	)
}

// protocol holds for one protocol on top of IP.
func (*builder) protocol(p byte) exprs {
	return slices.Concat(
		meta(unix.NFT_META_L4PROTO, regOther),
		cmp(unix.NFT_CMP_EQ, regOther, []byte{p}),
	)
}

// from holds for packets that arrived on an interface; a name that ends in * stands for all
// that begin so.
func (b *builder) from(name string) exprs { return b.arrived(name, unix.NFT_CMP_EQ) }

// notFrom holds for packets that arrived on another interface.
func (b *builder) notFrom(name string) exprs { return b.arrived(name, unix.NFT_CMP_NEQ) }

func (*builder) arrived(name string, op uint32) exprs {
	data := make([]byte, unix.IFNAMSIZ)
	copy(data, name)
	if begin, ok := strings.CutSuffix(name, "*"); ok {
		data = []byte(begin)
	}
	return slices.Concat(
		meta(unix.NFT_META_IIFNAME, regOther),
		cmp(op, regOther, data),
	)
}

// inside holds for packets from an address of a network.
func (*builder) inside(f family, n netip.Prefix) exprs {
	mask := make([]byte, f.addrLen)
	for i := range n.Bits() {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	return slices.Concat(
		payload(unix.NFT_PAYLOAD_NETWORK_HEADER, f.saddr, f.addrLen, regOther),
		bitwise(regOther, mask, make([]byte, f.addrLen), regOther),
		cmp(unix.NFT_CMP_EQ, regOther, n.Addr().AsSlice()),
	)
}

// local holds for packets to an address of this host.
func (*builder) local() exprs {
	return slices.Concat(
		fib(unix.NFTA_FIB_F_DADDR, unix.NFT_FIB_RESULT_ADDRTYPE, regOther),
		cmp(unix.NFT_CMP_EQ, regOther, binary.NativeEndian.AppendUint32(nil, unix.RTN_LOCAL)),
	)
}

// payload holds for packets that have data at an offset of a header.
func (*builder) payload(base, offset uint32, data []byte) exprs {
	return slices.Concat(
		payload(base, offset, uint32(len(data)), regOther),
		cmp(unix.NFT_CMP_EQ, regOther, data),
	)
}

// port holds for one source (offset 0) or destination port (offset 2). Say protocol first.
func (b *builder) port(offset uint32, port uint16) exprs {
	return b.payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, offset, number(port))
}

// anyPort holds for source (offset 0) or destination ports (offset 2) that are in a set. Say
// protocol first.
func (*builder) anyPort(offset uint32, set string) exprs {
	return slices.Concat(payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, offset, 2, reg0), lookup(reg0, set))
}

// reset holds for TCP segments with RST. Say protocol first.
func (*builder) reset() exprs {
	return slices.Concat(
		payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1, regOther),
		bitwise(regOther, []byte{0x04}, []byte{0}, regOther),
		cmp(unix.NFT_CMP_NEQ, regOther, []byte{0}),
	)
}

// direction holds for packets of the direction in which the connection was begun (0), or of
// the other (1).
func (*builder) direction(d byte) exprs {
	return slices.Concat(
		ct(unix.NFT_CT_DIRECTION, regOther),
		cmp(unix.NFT_CMP_EQ, regOther, []byte{d}),
	)
}

func (*builder) state(bit, op uint32) exprs {
	return slices.Concat(
		ct(unix.NFT_CT_STATE, regOther),
		bitwise(regOther, binary.NativeEndian.AppendUint32(nil, bit), make([]byte, 4), regOther),
		cmp(op, regOther, make([]byte, 4)),
	)
}

// related holds for errors about a connection's packets, and for connections that belong to it.
func (b *builder) related() exprs { return b.state(stateRelated, unix.NFT_CMP_NEQ) }

// translated holds for packets of connections whose destination was translated.
func (*builder) translated() exprs {
	return slices.Concat(
		ct(unix.NFT_CT_STATUS, regOther),
		bitwise(regOther, binary.NativeEndian.AppendUint32(nil, statusDNAT), make([]byte, 4), regOther),
		cmp(unix.NFT_CMP_NEQ, regOther, make([]byte, 4)),
	)
}

// tracked holds for packets that connection tracking was not told to leave alone.
func (b *builder) tracked() exprs { return b.state(stateUntracked, unix.NFT_CMP_EQ) }

func (*builder) count(name string) exprs { return objref(unix.NFT_OBJECT_COUNTER, name) }

// sourceKey builds the key of the maps: source . protocol . public port.
func (b *builder) sourceKey(f family) exprs {
	r := reg0 + f.addrLen/4
	return slices.Concat(b.address(f, f.saddr, reg0),
		meta(unix.NFT_META_L4PROTO, r),
		payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, r+1))
}

// liveKey builds the key of the live sets, source . protocol . target . target port . public
// port, from the headers at the offsets given; only the public port is no longer in the
// headers once the destination was translated.
func (b *builder) liveKey(f family, source, target, targetPort uint32) exprs {
	r := reg0 + f.addrLen/4
	port := r + 1 + f.addrLen/4
	return slices.Concat(b.address(f, source, reg0),
		meta(unix.NFT_META_L4PROTO, r),
		payload(unix.NFT_PAYLOAD_NETWORK_HEADER, target, f.addrLen, r+1),
		payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, targetPort, 2, port),
		ctOf(0, unix.NFT_CT_PROTO_DST, port+1))
}

// address loads a source's address and masks it to the prefix that counts.
func (*builder) address(f family, offset, reg uint32) exprs {
	load := payload(unix.NFT_PAYLOAD_NETWORK_HEADER, offset, f.addrLen, reg)
	if f.mask == nil {
		return load
	}
	return append(load, bitwise(reg, f.mask, make([]byte, f.addrLen), reg)...)
}

// number writes a 16-bit number in network byte order.
func number(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }
