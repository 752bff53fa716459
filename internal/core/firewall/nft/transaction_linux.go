package nft

import (
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall/netlink"
	"github.com/ownline/ownline/internal/ownline"
)

const (
	tableName = "ownline"

	nftables = unix.NFNL_SUBSYS_NFTABLES << 8

	policyAccept = 1 // NF_ACCEPT

	// Not yet in golang.org/x/sys: see linux/netfilter/nf_tables.h.
	destroySetElem  = 30 // NFT_MSG_DESTROYSETELEM: like DELSETELEM, but it may be gone already (6.3)
	setExpr         = 17 // NFTA_SET_EXPR: what every element carries (5.7)
	udataSetOrder   = 0  // NFTNL_UDATA_SET_KEYBYTEORDER
	udataSetTypeof  = 3  // NFTNL_UDATA_SET_KEY_TYPEOF
	udataSetComment = 7  // NFTNL_UDATA_SET_COMMENT
	udataRule       = 0  // NFTNL_UDATA_RULE_COMMENT
	elementsPerMsg  = 32 << 10
)

// transaction collects changes that the kernel makes all or not at all.
type transaction struct {
	m     netlink.Message
	table string

	// the message of elements being built
	kind uint16
	name string
	list int
	open bool
}

// newTransaction starts one that the kernel refuses with ERESTART if the generation of its
// ruleset is not gen; 0 is any.
func newTransaction(table string, gen uint32) *transaction {
	t := &transaction{table: table}
	t.m.Begin(unix.NFNL_MSG_BATCH_BEGIN, 0)
	t.m.Raw(unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, unix.NFNL_SUBSYS_NFTABLES)
	if gen != 0 {
		t.m.Uint32(unix.NFNL_BATCH_GENID, gen)
	}
	return t
}

// message returns the finished batch.
func (t *transaction) message() *netlink.Message {
	t.endElements()
	t.m.Ack()
	t.m.Begin(unix.NFNL_MSG_BATCH_END, 0)
	t.m.Raw(unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, unix.NFNL_SUBSYS_NFTABLES)
	return &t.m
}

func (t *transaction) begin(kind, flags uint16) {
	t.endElements()
	begin(&t.m, nftables|kind, flags, unix.NFPROTO_INET)
}

// begin starts a message of nfnetlink.
func begin(m *netlink.Message, kind, flags uint16, family byte) {
	m.Begin(kind, flags)
	m.Raw(family, unix.NFNETLINK_V0, 0, 0)
}

func (t *transaction) deleteTable() {
	t.begin(unix.NFT_MSG_DELTABLE, 0)
	t.m.String(unix.NFTA_TABLE_NAME, t.table)
}

// create makes the table and all of the layout.
func (t *transaction) create(l layout) {
	t.begin(unix.NFT_MSG_NEWTABLE, unix.NLM_F_CREATE)
	t.m.String(unix.NFTA_TABLE_NAME, t.table)
	t.m.Uint32(unix.NFTA_TABLE_FLAGS, 0)
	for i, s := range l.sets {
		t.set(s, uint32(i+1))
	}
	for _, name := range l.counters {
		t.begin(unix.NFT_MSG_NEWOBJ, unix.NLM_F_CREATE)
		t.m.String(unix.NFTA_OBJ_TABLE, t.table)
		t.m.String(unix.NFTA_OBJ_NAME, name)
		t.m.Uint32(unix.NFTA_OBJ_TYPE, unix.NFT_OBJECT_COUNTER)
		t.m.Close(t.m.Open(unix.NFTA_OBJ_DATA))
	}
	for _, c := range l.chains { // all before any rule, so that rules may jump to each
		t.chain(c)
	}
	for _, c := range l.chains {
		for _, r := range c.rules {
			t.begin(unix.NFT_MSG_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_APPEND)
			t.m.String(unix.NFTA_RULE_TABLE, t.table)
			t.m.String(unix.NFTA_RULE_CHAIN, c.name)
			t.m.Nested(unix.NFTA_RULE_EXPRESSIONS, r.exprs)
			t.m.Bytes(unix.NFTA_RULE_USERDATA, udata(udataRule, r.comment))
		}
	}
}

func (t *transaction) set(s set, id uint32) {
	t.begin(unix.NFT_MSG_NEWSET, unix.NLM_F_CREATE)
	t.m.String(unix.NFTA_SET_TABLE, t.table)
	t.m.String(unix.NFTA_SET_NAME, s.name)
	t.m.Uint32(unix.NFTA_SET_FLAGS, s.flags)
	t.m.Uint32(unix.NFTA_SET_KEY_TYPE, s.keyType)
	t.m.Uint32(unix.NFTA_SET_KEY_LEN, s.keyLen)
	if s.dataLen > 0 {
		t.m.Uint32(unix.NFTA_SET_DATA_TYPE, s.dataType)
		t.m.Uint32(unix.NFTA_SET_DATA_LEN, s.dataLen)
	}
	t.m.Uint32(unix.NFTA_SET_ID, id)
	if s.size > 0 {
		at := t.m.Open(unix.NFTA_SET_DESC)
		t.m.Uint32(unix.NFTA_SET_DESC_SIZE, s.size)
		t.m.Close(at)
	}
	bigEndian := binary.NativeEndian.AppendUint32([]byte{udataSetOrder, 4}, 2)
	t.m.Bytes(unix.NFTA_SET_USERDATA, slices.Concat(bigEndian, s.typeof, udata(udataSetComment, s.comment)))
	if s.counter {
		at := t.m.Open(setExpr)
		t.m.String(unix.NFTA_EXPR_NAME, "counter")
		t.m.Close(t.m.Open(unix.NFTA_EXPR_DATA))
		t.m.Close(at)
	}
}

func (t *transaction) chain(c chain) {
	t.begin(unix.NFT_MSG_NEWCHAIN, unix.NLM_F_CREATE)
	t.m.String(unix.NFTA_CHAIN_TABLE, t.table)
	t.m.String(unix.NFTA_CHAIN_NAME, c.name)
	if c.kind == "" {
		return
	}
	at := t.m.Open(unix.NFTA_CHAIN_HOOK)
	t.m.Uint32(unix.NFTA_HOOK_HOOKNUM, c.hook)
	t.m.Uint32(unix.NFTA_HOOK_PRIORITY, uint32(c.priority))
	t.m.Close(at)
	t.m.Uint32(unix.NFTA_CHAIN_POLICY, policyAccept)
	t.m.String(unix.NFTA_CHAIN_TYPE, c.kind)
}

// udata writes user data as nft does, so that it shows the comment.
func udata(kind byte, comment string) []byte {
	return append(append([]byte{kind, byte(len(comment) + 1)}, comment...), 0)
}

// element is one element of a set or map.
type element struct {
	key, data []byte
	timeout   uint64          // milliseconds
	traffic   ownline.Traffic // what its counter begins with: UpBytes and UpPackets, for any direction
}

// add makes an element, or, where the kernel can, gives the existing one its time. The
// expiration goes along: a timeout that equals the old one would otherwise change nothing.
func (t *transaction) add(set string, e element) {
	t.elements(unix.NFT_MSG_NEWSETELEM, unix.NLM_F_CREATE, set)
	at := t.m.Open(unix.NFTA_LIST_ELEM)
	t.value(unix.NFTA_SET_ELEM_KEY, e.key)
	if e.data != nil {
		t.value(unix.NFTA_SET_ELEM_DATA, e.data)
	}
	t.m.Uint64(unix.NFTA_SET_ELEM_TIMEOUT, e.timeout)
	t.m.Uint64(unix.NFTA_SET_ELEM_EXPIRATION, e.timeout)
	if e.traffic != (ownline.Traffic{}) {
		x := t.m.Open(unix.NFTA_SET_ELEM_EXPR)
		t.m.String(unix.NFTA_EXPR_NAME, "counter")
		c := t.m.Open(unix.NFTA_EXPR_DATA)
		t.m.Uint64(unix.NFTA_COUNTER_BYTES, e.traffic.UpBytes)
		t.m.Uint64(unix.NFTA_COUNTER_PACKETS, e.traffic.UpPackets)
		t.m.Close(c)
		t.m.Close(x)
	}
	t.m.Close(at)
}

// remove deletes an element by a message of kind DELSETELEM or DESTROYSETELEM.
func (t *transaction) remove(kind uint16, set string, key []byte) {
	t.elements(kind, 0, set)
	at := t.m.Open(unix.NFTA_LIST_ELEM)
	t.value(unix.NFTA_SET_ELEM_KEY, key)
	t.m.Close(at)
}

func (t *transaction) value(kind uint16, v []byte) {
	at := t.m.Open(kind)
	t.m.Bytes(unix.NFTA_DATA_VALUE, v)
	t.m.Close(at)
}

// elements makes sure that the message being built takes elements of this kind and set, and
// has room for one more.
func (t *transaction) elements(kind, flags uint16, set string) {
	if t.open && t.kind == kind && t.name == set && t.m.Size() < elementsPerMsg {
		return
	}
	t.begin(kind, flags)
	t.m.String(unix.NFTA_SET_ELEM_LIST_TABLE, t.table)
	t.m.String(unix.NFTA_SET_ELEM_LIST_SET, set)
	t.kind, t.name, t.open = kind, set, true
	t.list = t.m.Open(unix.NFTA_SET_ELEM_LIST_ELEMENTS)
}

func (t *transaction) endElements() {
	if t.open {
		t.m.Close(t.list)
		t.open = false
	}
}
