package nft

import (
	"encoding/binary"
	"strings"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The parts that rules are made of. Each leaves the rule when it does not hold.

// marking is how connections of ours are recognised.
type marking int

const (
	byLabel marking = iota + 1 // a bit of the connection's label, which hardly anybody else writes
	byMark                     // a bit of its mark, where the kernel has no labels
)

const (
	// labelByte and labelBit name the label's bit: the 16 bytes are compared as they lie in
	// memory, so the number that `nft` and conntrack give to the bit depends on the machine.
	labelByte = 9
	labelBit  = 0x40
	markBit   = 1 << 29 // clear of those that fw4, mwan3, Kubernetes and Tailscale use
)

func label() []byte {
	b := make([]byte, 16)
	b[labelByte] = labelBit
	return b
}

// set writes the bit. The kernel says nothing when it can't.
func (m marking) set() []expr.Any {
	if m == byLabel {
		return []expr.Any{
			&expr.Immediate{Register: regOther, Data: label()},
			&expr.Ct{Key: expr.CtKeyLABELS, Register: regOther, SourceRegister: true},
		}
	}
	bit := binary.NativeEndian.AppendUint32(nil, markBit)
	rest := binary.NativeEndian.AppendUint32(nil, ^uint32(markBit))
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeyMARK, Register: regOther},
		&expr.Bitwise{SourceRegister: regOther, DestRegister: regOther, Len: 4, Mask: rest, Xor: bit},
		&expr.Ct{Key: expr.CtKeyMARK, Register: regOther, SourceRegister: true},
	}
}

// isSet holds for connections that carry the bit.
func (m marking) isSet() []expr.Any {
	key, mask := expr.CtKeyMARK, binary.NativeEndian.AppendUint32(nil, markBit)
	if m == byLabel {
		key, mask = expr.CtKeyLABELS, label()
	}
	n := uint32(len(mask))
	return []expr.Any{
		&expr.Ct{Key: key, Register: regOther},
		&expr.Bitwise{SourceRegister: regOther, DestRegister: regOther, Len: n, Mask: mask, Xor: make([]byte, n)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: regOther, Data: make([]byte, n)},
	}
}

// family holds for packets of one family.
func (*builder) family(f family) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: regOther},
		&expr.Cmp{Op: expr.CmpOpEq, Register: regOther, Data: []byte{f.nfproto}},
	}
}

// protocol holds for one protocol on top of IP.
func (*builder) protocol(p byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: regOther},
		&expr.Cmp{Op: expr.CmpOpEq, Register: regOther, Data: []byte{p}},
	}
}

// from holds for packets that arrived on an interface; a name that ends in * stands for all
// that begin so.
func (*builder) from(name string) []expr.Any {
	data := make([]byte, unix.IFNAMSIZ)
	copy(data, name)
	if begin, ok := strings.CutSuffix(name, "*"); ok {
		data = []byte(begin)
	}
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: regOther},
		&expr.Cmp{Op: expr.CmpOpEq, Register: regOther, Data: data},
	}
}

// local holds for packets to an address of this host.
func (*builder) local() []expr.Any {
	return []expr.Any{
		&expr.Fib{Register: regOther, FlagDADDR: true, ResultADDRTYPE: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: regOther, Data: binary.NativeEndian.AppendUint32(nil, unix.RTN_LOCAL)},
	}
}

// payload holds for packets that have data at an offset of a header.
func (*builder) payload(base expr.PayloadBase, offset uint32, data []byte) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: regOther, Base: base, Offset: offset, Len: uint32(len(data))},
		&expr.Cmp{Op: expr.CmpOpEq, Register: regOther, Data: data},
	}
}

// port holds for one source (offset 0) or destination port (offset 2). Say protocol first.
func (b *builder) port(offset uint32, port uint16) []expr.Any {
	return b.payload(expr.PayloadBaseTransportHeader, offset, number(port))
}

// reset holds for TCP segments with RST. Say protocol first.
func (*builder) reset() []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: regOther, Base: expr.PayloadBaseTransportHeader, Offset: 13, Len: 1},
		&expr.Bitwise{SourceRegister: regOther, DestRegister: regOther, Len: 1, Mask: []byte{0x04}, Xor: []byte{0}},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: regOther, Data: []byte{0}},
	}
}

// direction holds for packets of the direction in which the connection was begun (0), or of
// the other (1).
func (*builder) direction(d byte) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeyDIRECTION, Register: regOther},
		&expr.Cmp{Op: expr.CmpOpEq, Register: regOther, Data: []byte{d}},
	}
}

func (*builder) state(bit uint32, op expr.CmpOp) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: regOther},
		&expr.Bitwise{SourceRegister: regOther, DestRegister: regOther, Len: 4, Mask: binary.NativeEndian.AppendUint32(nil, bit), Xor: make([]byte, 4)},
		&expr.Cmp{Op: op, Register: regOther, Data: make([]byte, 4)},
	}
}

// related holds for errors about a connection's packets, and for connections that belong to it.
func (b *builder) related() []expr.Any { return b.state(expr.CtStateBitRELATED, expr.CmpOpNeq) }

// tracked holds for packets that connection tracking was not told to leave alone.
func (b *builder) tracked() []expr.Any { return b.state(expr.CtStateBitUNTRACKED, expr.CmpOpEq) }

func (*builder) verdict(kind expr.VerdictKind, chain string) expr.Any {
	return &expr.Verdict{Kind: kind, Chain: chain}
}

func (*builder) count(name string) expr.Any {
	return &expr.Objref{Type: unix.NFT_OBJECT_COUNTER, Name: name}
}

// sourceKey builds the key of the maps: source . protocol . public port.
func (b *builder) sourceKey(f family) []expr.Any {
	r := reg0 + f.addrLen/4
	return append(b.address(f, f.saddr, reg0),
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: r},
		&expr.Payload{DestRegister: r + 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2})
}

// liveKey builds the key of the live sets, source . protocol . target . target port . public
// port, from the headers at the offsets given; only the public port is no longer in the
// headers once the destination was translated. (The library writes Direction as 32 bits
// where the kernel reads the first 8, so only 0, the original direction, says what it means.)
func (b *builder) liveKey(f family, source, target, targetPort uint32) []expr.Any {
	r := reg0 + f.addrLen/4
	port := r + 1 + f.addrLen/4
	return append(b.address(f, source, reg0),
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: r},
		&expr.Payload{DestRegister: r + 1, Base: expr.PayloadBaseNetworkHeader, Offset: target, Len: f.addrLen},
		&expr.Payload{DestRegister: port, Base: expr.PayloadBaseTransportHeader, Offset: targetPort, Len: 2},
		&expr.Ct{Key: expr.CtKeyPROTODST, Register: port + 1, Direction: 0})
}

// address loads a source's address and masks it to the prefix that counts.
func (*builder) address(f family, offset, reg uint32) []expr.Any {
	load := []expr.Any{&expr.Payload{DestRegister: reg, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: f.addrLen}}
	if f.mask == nil {
		return load
	}
	return append(load, &expr.Bitwise{SourceRegister: reg, DestRegister: reg, Len: f.addrLen, Mask: f.mask, Xor: make([]byte, f.addrLen)})
}

// number writes a 16-bit number in network byte order.
func number(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }

// attribute writes one netlink attribute.
func attribute(kind uint16, v []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(v)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, v...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}
