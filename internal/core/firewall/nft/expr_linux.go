package nft

import (
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"
)

// The expressions that rules are made of, one function for each, named as `nft --debug=netlink`
// names them, with a word more where one name does several things. Keys, operations and
// attributes are those of linux/netfilter/nf_tables.h. Registers that are read are called
// from, those that are written, to.
//
// Why we write them ourselves: docs/adr/0004-small-core.md. The tests compare them with those
// of github.com/google/nftables/expr.

// exprs is one or more expressions in a row, as NFTA_RULE_EXPRESSIONS holds them.
type exprs []byte

// Not in golang.org/x/sys: see linux/netfilter.h and linux/netfilter/nf_conntrack_common.h.
const (
	verdictDrop   = 0 // NF_DROP
	verdictAccept = 1 // NF_ACCEPT

	stateRelated   = 1 << 2 // NF_CT_STATE_BIT(IP_CT_RELATED)
	stateUntracked = 1 << 6 // NF_CT_STATE_UNTRACKED_BIT
	statusDNAT     = 1 << 5 // IPS_DST_NAT
)

// meta loads what is known about the packet: a key NFT_META_.
func meta(key, to uint32) exprs {
	return expression("meta", attr32(unix.NFTA_META_KEY, key), attr32(unix.NFTA_META_DREG, to))
}

// ct loads what is known about the packet's connection: a key NFT_CT_.
func ct(key, to uint32) exprs {
	return expression("ct", attr32(unix.NFTA_CT_KEY, key), attr32(unix.NFTA_CT_DREG, to))
}

// ctOf is ct for keys that differ between the two directions of a connection: 0 is that in
// which it was begun.
func ctOf(direction byte, key, to uint32) exprs {
	return expression("ct", attr32(unix.NFTA_CT_KEY, key), attr32(unix.NFTA_CT_DREG, to),
		attr(unix.NFTA_CT_DIRECTION, []byte{direction}))
}

// ctSet writes what is known about the packet's connection.
func ctSet(key, from uint32) exprs {
	return expression("ct", attr32(unix.NFTA_CT_KEY, key), attr32(unix.NFTA_CT_SREG, from))
}

// payload loads bytes of a header: base is a constant NFT_PAYLOAD_.
func payload(base, offset, length, to uint32) exprs {
	return expression("payload", attr32(unix.NFTA_PAYLOAD_DREG, to), attr32(unix.NFTA_PAYLOAD_BASE, base),
		attr32(unix.NFTA_PAYLOAD_OFFSET, offset), attr32(unix.NFTA_PAYLOAD_LEN, length))
}

// fib asks the routing table about the packet: result is a constant NFT_FIB_RESULT_, flags are NFTA_FIB_F_.
func fib(flags, result, to uint32) exprs {
	return expression("fib", attr32(unix.NFTA_FIB_DREG, to), attr32(unix.NFTA_FIB_FLAGS, flags), attr32(unix.NFTA_FIB_RESULT, result))
}

// immediate loads data that is written in the rule.
func immediate(data []byte, to uint32) exprs {
	return expression("immediate", attr32(unix.NFTA_IMMEDIATE_DREG, to), value(unix.NFTA_IMMEDIATE_DATA, data))
}

// verdict ends the rule: code is a constant NFT_, verdictDrop or verdictAccept. NFT_JUMP and
// NFT_GOTO need a chain, the others have none.
func verdict(code int32, chain string) exprs {
	data := attr32(unix.NFTA_VERDICT_CODE, uint32(code))
	if chain != "" {
		data = append(data, attrString(unix.NFTA_VERDICT_CHAIN, chain)...)
	}
	return expression("immediate", attr32(unix.NFTA_IMMEDIATE_DREG, unix.NFT_REG_VERDICT),
		nest(unix.NFTA_IMMEDIATE_DATA, nest(unix.NFTA_DATA_VERDICT, data)))
}

// bitwise computes (from & mask) ^ xor over as many bytes as mask and xor have. Both registers
// may be the same.
func bitwise(from uint32, mask, xor []byte, to uint32) exprs {
	return expression("bitwise", attr32(unix.NFTA_BITWISE_SREG, from), attr32(unix.NFTA_BITWISE_DREG, to),
		attr32(unix.NFTA_BITWISE_LEN, uint32(len(mask))), value(unix.NFTA_BITWISE_MASK, mask), value(unix.NFTA_BITWISE_XOR, xor))
}

// cmp leaves the rule unless the comparison holds: op is NFT_CMP_EQ or another NFT_CMP_.
func cmp(op, from uint32, data []byte) exprs {
	return expression("cmp", attr32(unix.NFTA_CMP_SREG, from), attr32(unix.NFTA_CMP_OP, op), value(unix.NFTA_CMP_DATA, data))
}

// lookup leaves the rule unless the set has the key.
func lookup(from uint32, set string) exprs {
	return expression("lookup", attr32(unix.NFTA_LOOKUP_SREG, from), attrString(unix.NFTA_LOOKUP_SET, set), attr32(unix.NFTA_LOOKUP_SET_ID, 0))
}

// lookupMap leaves the rule unless the map has the key, and loads what it is mapped to.
func lookupMap(from uint32, set string, to uint32) exprs {
	return expression("lookup", attr32(unix.NFTA_LOOKUP_SREG, from), attr32(unix.NFTA_LOOKUP_DREG, to),
		attrString(unix.NFTA_LOOKUP_SET, set), attr32(unix.NFTA_LOOKUP_SET_ID, 0))
}

// hash computes a number below modulus from length bytes. The kernel makes a secret of its own for
// each rule, so that nobody outside knows which data have the same number.
func hash(from, length, modulus, to uint32) exprs {
	return expression("hash", attr32(unix.NFTA_HASH_SREG, from), attr32(unix.NFTA_HASH_DREG, to),
		attr32(unix.NFTA_HASH_LEN, length), attr32(unix.NFTA_HASH_MODULUS, modulus),
		attr32(unix.NFTA_HASH_OFFSET, 0), attr32(unix.NFTA_HASH_TYPE, unix.NFT_HASH_JENKINS))
}

// dynset adds or renews an element, by an operation NFT_DYNSET_OP_, for so many milliseconds.
// It leaves the rule unless the one expression holds that each element carries.
func dynset(op, from uint32, set string, timeout uint64, each exprs) exprs {
	return expression("dynset", attr32(unix.NFTA_DYNSET_SREG_KEY, from), attr32(unix.NFTA_DYNSET_OP, op),
		attr64(unix.NFTA_DYNSET_TIMEOUT, timeout), attrString(unix.NFTA_DYNSET_SET_NAME, set), attr32(unix.NFTA_DYNSET_SET_ID, 0),
		nest(unix.NFTA_DYNSET_EXPR, each[attrHead:]), attr32(unix.NFTA_DYNSET_FLAGS, 0))
}

// limit leaves the rule when more packets come than rate each second, after a burst.
func limit(rate uint64, burst uint32) exprs { return limited(rate, burst, 0) }

// limitOver leaves the rule unless they do.
func limitOver(rate uint64, burst uint32) exprs { return limited(rate, burst, unix.NFT_LIMIT_F_INV) }

func limited(rate uint64, burst, flags uint32) exprs {
	const second = 1
	return expression("limit", attr64(unix.NFTA_LIMIT_RATE, rate), attr64(unix.NFTA_LIMIT_UNIT, second), attr32(unix.NFTA_LIMIT_BURST, burst),
		attr32(unix.NFTA_LIMIT_TYPE, unix.NFT_LIMIT_PKTS), attr32(unix.NFTA_LIMIT_FLAGS, flags))
}

// dnat translates the destination to the address and port that two registers hold.
func dnat(family, address, port uint32) exprs {
	return expression("nat", attr32(unix.NFTA_NAT_TYPE, unix.NFT_NAT_DNAT), attr32(unix.NFTA_NAT_FAMILY, family),
		attr32(unix.NFTA_NAT_REG_ADDR_MIN, address), attr32(unix.NFTA_NAT_REG_PROTO_MIN, port),
		attr32(unix.NFTA_NAT_FLAGS, unix.NF_NAT_RANGE_PROTO_SPECIFIED))
}

// masq translates the source to the address of the interface that the packet leaves by.
func masq() exprs { return expression("masq") }

// notrack keeps connection tracking from the packet.
func notrack() exprs { return list(attrString(unix.NFTA_EXPR_NAME, "notrack")) }

// reject refuses the packet: kind is a constant NFT_REJECT_, and code, where the kind has
// codes, too.
func reject(kind uint32, code byte) exprs {
	return expression("reject", attr32(unix.NFTA_REJECT_TYPE, kind), attr(unix.NFTA_REJECT_ICMP_CODE, []byte{code}))
}

// objref uses an object of the table that has a name: kind is a constant NFT_OBJECT_.
func objref(kind uint32, name string) exprs {
	return expression("objref", attr32(unix.NFTA_OBJREF_IMM_TYPE, kind), attr(unix.NFTA_OBJREF_IMM_NAME, []byte(name)))
}

// expression writes one expression.
func expression(name string, attributes ...[]byte) exprs {
	return list(slices.Concat(attrString(unix.NFTA_EXPR_NAME, name), nest(unix.NFTA_EXPR_DATA, attributes...)))
}

// list writes an element of a list.
func list(v []byte) exprs { return nest(unix.NFTA_LIST_ELEM, v) }

// value writes an attribute that holds data as registers do.
func value(kind uint16, data []byte) []byte { return nest(kind, attr(unix.NFTA_DATA_VALUE, data)) }

// nest writes an attribute that holds attributes.
func nest(kind uint16, attributes ...[]byte) []byte {
	return attr(unix.NLA_F_NESTED|kind, slices.Concat(attributes...))
}

func attrString(kind uint16, v string) []byte { return attr(kind, append([]byte(v), 0)) }

func attr32(kind uint16, v uint32) []byte { return attr(kind, binary.BigEndian.AppendUint32(nil, v)) }

func attr64(kind uint16, v uint64) []byte { return attr(kind, binary.BigEndian.AppendUint64(nil, v)) }

// attrHead is the size of what stands before an attribute's value, its length and type.
const attrHead = unix.SizeofNlAttr

// attr writes one netlink attribute.
func attr(kind uint16, v []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(attrHead+len(v)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, v...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}
