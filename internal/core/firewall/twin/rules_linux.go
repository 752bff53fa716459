package twin

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall/netlink"
)

// kind is one of the things that nf_tables holds: the messages that ask for it and make it, and what of it
// is copied. What the kernel only tells, such as handles, it does not take.
type kind struct {
	get, make uint16
	keep      []uint16
}

// Attributes that golang.org/x/sys lacks: linux/netfilter/nf_tables.h.
const (
	objUserdata             = 8
	setExpr, setExpressions = 17, 18
)

// In the order in which they can be made.
var (
	tables = kind{unix.NFT_MSG_GETTABLE, unix.NFT_MSG_NEWTABLE, []uint16{unix.NFTA_TABLE_NAME}}
	chains = kind{unix.NFT_MSG_GETCHAIN, unix.NFT_MSG_NEWCHAIN, []uint16{unix.NFTA_CHAIN_TABLE, unix.NFTA_CHAIN_NAME, unix.NFTA_CHAIN_HOOK, unix.NFTA_CHAIN_POLICY, unix.NFTA_CHAIN_TYPE}}
	objs   = kind{unix.NFT_MSG_GETOBJ, unix.NFT_MSG_NEWOBJ, []uint16{unix.NFTA_OBJ_TABLE, unix.NFTA_OBJ_NAME, unix.NFTA_OBJ_TYPE, unix.NFTA_OBJ_DATA, objUserdata}}
	sets   = kind{unix.NFT_MSG_GETSET, unix.NFT_MSG_NEWSET, []uint16{
		unix.NFTA_SET_TABLE, unix.NFTA_SET_NAME, unix.NFTA_SET_FLAGS, unix.NFTA_SET_KEY_TYPE, unix.NFTA_SET_KEY_LEN, unix.NFTA_SET_DATA_TYPE,
		unix.NFTA_SET_DATA_LEN, unix.NFTA_SET_POLICY, unix.NFTA_SET_DESC, unix.NFTA_SET_TIMEOUT, unix.NFTA_SET_GC_INTERVAL, unix.NFTA_SET_USERDATA,
		unix.NFTA_SET_OBJ_TYPE, setExpr, setExpressions,
	}}
	elements = kind{unix.NFT_MSG_GETSETELEM, unix.NFT_MSG_NEWSETELEM, []uint16{unix.NFTA_SET_ELEM_LIST_TABLE, unix.NFTA_SET_ELEM_LIST_SET, unix.NFTA_SET_ELEM_LIST_ELEMENTS}}
	rules    = kind{unix.NFT_MSG_GETRULE, unix.NFT_MSG_NEWRULE, []uint16{unix.NFTA_RULE_TABLE, unix.NFTA_RULE_CHAIN, unix.NFTA_RULE_EXPRESSIONS, unix.NFTA_RULE_USERDATA}}
)

// ruleset is one of nf_tables as messages that make it.
type ruleset struct {
	m     netlink.Message
	sets  uint32
	lacks bool // something that rules ask for
	ipset bool // rules ask for one

	numbers bool            // rules ask for interfaces by their numbers
	skips   map[string]bool // chains that were left out: of devices, which packets meet before they are routed
}

// read copies what is in force in the network namespace of the calling thread, as it was at one moment.
func (r *ruleset) read() error {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	defer c.Close()
	for range 20 {
		*r = ruleset{}
		before, err := c.Generation()
		if err == nil {
			err = r.all(c)
		}
		after, err2 := c.Generation()
		if err := errors.Join(err, err2); err != nil && !errors.Is(err, netlink.ErrInterrupted) {
			return err
		}
		if err == nil && before == after {
			return nil
		}
	}
	return errors.New("they change all the time")
}

func (r *ruleset) all(c *netlink.Conn) error {
	r.skips = map[string]bool{}
	r.m.Begin(unix.NFNL_MSG_BATCH_BEGIN, 0)
	r.m.Raw(unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, unix.NFNL_SUBSYS_NFTABLES)
	for _, k := range []*kind{&tables, &chains, &objs, &sets} {
		if err := r.copy(c, k, 0, nil); err != nil {
			return err
		}
	}
	var named []part
	if err := dump(c, &sets, 0, nil, func(p part) { named = append(named, p) }); err != nil {
		return err
	}
	for _, s := range named {
		of := []string{text(s.body, unix.NFTA_SET_TABLE), text(s.body, unix.NFTA_SET_NAME)}
		if err := r.copy(c, &elements, s.family, of); err != nil {
			return err
		}
	}
	return r.copy(c, &rules, 0, nil)
}

type part struct {
	family byte
	body   []byte
}

// dump reads everything of a kind; of elements, those of a set in a table.
func dump(c *netlink.Conn, k *kind, family byte, set []string, each func(part)) error {
	var m netlink.Message
	m.Begin(unix.NFNL_SUBSYS_NFTABLES<<8|k.get, unix.NLM_F_DUMP)
	m.Raw(family, unix.NFNETLINK_V0, 0, 0)
	if set != nil {
		m.String(unix.NFTA_SET_ELEM_LIST_TABLE, set[0])
		m.String(unix.NFTA_SET_ELEM_LIST_SET, set[1])
	}
	return c.Do(&m, func(_ uint16, body []byte) error {
		if len(body) > 4 && slices.Contains([]byte{unix.NFPROTO_INET, unix.NFPROTO_IPV4, unix.NFPROTO_IPV6}, body[0]) {
			each(part{body[0], slices.Clone(body[4:])}) // body is valid during the call only
		}
		return nil
	})
}

func (r *ruleset) copy(c *netlink.Conn, k *kind, family byte, set []string) error {
	return dump(c, k, family, set, func(p part) { r.add(k, p) })
}

// add has a thing be made again.
func (r *ruleset) add(k *kind, p part) {
	switch k {
	case &chains:
		if netlink.Find(p.body, unix.NFTA_CHAIN_HOOK, unix.NFTA_HOOK_DEV) != nil || netlink.Uint32(netlink.Find(p.body, unix.NFTA_CHAIN_HOOK, unix.NFTA_HOOK_HOOKNUM)) > unix.NF_INET_POST_ROUTING {
			r.skips[fmt.Sprint(p.family, text(p.body, unix.NFTA_CHAIN_TABLE), text(p.body, unix.NFTA_CHAIN_NAME))] = true
			return
		}
	case &elements:
		if netlink.Find(p.body, unix.NFTA_SET_ELEM_LIST_ELEMENTS) == nil {
			return
		}
	case &rules:
		if r.skips[fmt.Sprint(p.family, text(p.body, unix.NFTA_RULE_TABLE), text(p.body, unix.NFTA_RULE_CHAIN))] || offloads(p.body) {
			return
		}
	}
	flags := uint16(unix.NLM_F_CREATE)
	if k == &rules {
		flags |= unix.NLM_F_APPEND
		r.lacks = r.lacks || asksMore(p.body)
		r.ipset = r.ipset || asksIPSet(p.body)
		r.numbers = r.numbers || asksNumbers(p.body)
	}
	r.begin(k.make, flags, p.family)
	for kind, v := range netlink.Attributes(p.body) {
		switch {
		case k == &rules && kind == unix.NFTA_RULE_EXPRESSIONS:
			r.expressions(v)
		case slices.Contains(k.keep, kind):
			r.m.Bytes(kind, v)
		}
	}
	switch k {
	case &tables: // one that is at rest stays so; it is nobody's own here
		const dormant = 1 // NFT_TABLE_F_DORMANT
		r.m.Uint32(unix.NFTA_TABLE_FLAGS, netlink.Uint32(netlink.Find(p.body, unix.NFTA_TABLE_FLAGS))&dormant)
	case &sets:
		r.sets++
		r.m.Uint32(unix.NFTA_SET_ID, r.sets)
	case &rules:
		if protocol, foreign := matches(p.body); foreign {
			at := r.m.Open(unix.NFTA_RULE_COMPAT)
			r.m.Uint32(unix.NFTA_RULE_COMPAT_PROTO, uint32(protocol))
			r.m.Uint32(unix.NFTA_RULE_COMPAT_FLAGS, 0)
			r.m.Close(at)
		}
	}
}

// expressions are those of a rule as the kernel tells them. Of one, it does not take back all that it tells: of what
// changes an option of TCP.
func (r *ruleset) expressions(all []byte) {
	at := r.m.Open(unix.NFTA_RULE_EXPRESSIONS)
	for _, e := range netlink.Attributes(all) {
		data := netlink.Find(e, unix.NFTA_EXPR_DATA)
		if text(e, unix.NFTA_EXPR_NAME) != "exthdr" || netlink.Find(data, unix.NFTA_EXTHDR_SREG) == nil {
			r.m.Nested(unix.NFTA_LIST_ELEM, e)
			continue
		}
		r.expression("exthdr", func() {
			for kind, v := range netlink.Attributes(data) {
				if kind != unix.NFTA_EXTHDR_FLAGS {
					r.m.Bytes(kind, v)
				}
			}
		})
	}
	r.m.Close(at)
}

func (r *ruleset) begin(kind, flags uint16, family byte) {
	r.m.Begin(unix.NFNL_SUBSYS_NFTABLES<<8|kind, flags)
	r.m.Raw(family, unix.NFNETLINK_V0, 0, 0)
}

// write puts it all into the network namespace of the calling thread, or nothing.
func (r *ruleset) write() error {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	defer c.Close()
	r.m.Ack()
	r.m.Begin(unix.NFNL_MSG_BATCH_END, 0)
	r.m.Raw(unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, unix.NFNL_SUBSYS_NFTABLES)
	if err := c.Batch(&r.m); err != nil {
		return fmt.Errorf("the rules can't be copied: %w", err)
	}
	return nil
}

// offloads is whether a rule only has others forward a connection: see the package hostrules.
func offloads(rule []byte) bool {
	for _, e := range netlink.Attributes(netlink.Find(rule, unix.NFTA_RULE_EXPRESSIONS)) {
		if text(e, unix.NFTA_EXPR_NAME) == "flow_offload" {
			return true
		}
	}
	return false
}

// asksMore is whether a rule asks for what the copy does not have: hardware addresses, kinds of interfaces, bridges,
// routes that go by more than the target, IPsec.
func asksMore(rule []byte) bool {
	for _, e := range netlink.Attributes(netlink.Find(rule, unix.NFTA_RULE_EXPRESSIONS)) {
		data := netlink.Find(e, unix.NFTA_EXPR_DATA)
		switch text(e, unix.NFTA_EXPR_NAME) {
		case "xfrm":
			return true
		case "rt": // but for what changes the size of segments
			if netlink.Uint32(netlink.Find(data, unix.NFTA_RT_KEY)) != unix.NFT_RT_TCPMSS {
				return true
			}
		case "payload":
			if netlink.Uint32(netlink.Find(data, unix.NFTA_PAYLOAD_BASE)) == unix.NFT_PAYLOAD_LL_HEADER {
				return true
			}
		case "meta":
			switch netlink.Uint32(netlink.Find(data, unix.NFTA_META_KEY)) {
			case unix.NFT_META_IIFTYPE, unix.NFT_META_OIFTYPE, unix.NFT_META_BRI_IIFNAME, unix.NFT_META_BRI_OIFNAME, 25: // NFT_META_SECPATH
				if netlink.Find(data, unix.NFTA_META_DREG) != nil {
					return true
				}
			}
		case "match":
			if slices.Contains(notHad[:], text(data, unix.NFTA_MATCH_NAME)) {
				return true
			}
		}
	}
	return false
}

// asksIPSet is whether a rule asks for an ipset, or adds to one. The kernel tells of it by a number that is of the
// router's network namespace alone.
func asksIPSet(rule []byte) bool {
	for _, e := range netlink.Attributes(netlink.Find(rule, unix.NFTA_RULE_EXPRESSIONS)) {
		data := netlink.Find(e, unix.NFTA_EXPR_DATA)
		if text(data, unix.NFTA_MATCH_NAME) == "set" || text(data, unix.NFTA_TARGET_NAME) == "SET" {
			return true
		}
	}
	return false
}

// asksNumbers is whether a rule asks for an interface by its number.
func asksNumbers(rule []byte) bool {
	for _, e := range netlink.Attributes(netlink.Find(rule, unix.NFTA_RULE_EXPRESSIONS)) {
		data := netlink.Find(e, unix.NFTA_EXPR_DATA)
		if key := netlink.Find(data, unix.NFTA_META_KEY); text(e, unix.NFTA_EXPR_NAME) == "meta" && (netlink.Uint32(key) == unix.NFT_META_IIF || netlink.Uint32(key) == unix.NFT_META_OIF) {
			return true
		}
	}
	return false
}

// notHad are matches of iptables that ask for the same.
var notHad = [...]string{"mac", "physdev", "policy"}

// matches is whether a rule has something of iptables' own, to which the kernel wants to be told the protocol
// that the rule asks for.
func matches(rule []byte) (protocol byte, foreign bool) {
	asks := false
	for _, e := range netlink.Attributes(netlink.Find(rule, unix.NFTA_RULE_EXPRESSIONS)) {
		data := netlink.Find(e, unix.NFTA_EXPR_DATA)
		switch text(e, unix.NFTA_EXPR_NAME) {
		case "match", "target":
			foreign = true
		case "meta":
			asks = netlink.Uint32(netlink.Find(data, unix.NFTA_META_KEY)) == unix.NFT_META_L4PROTO
		case "payload":
			at := netlink.Uint32(netlink.Find(data, unix.NFTA_PAYLOAD_OFFSET))
			asks = netlink.Uint32(netlink.Find(data, unix.NFTA_PAYLOAD_BASE)) == unix.NFT_PAYLOAD_NETWORK_HEADER && netlink.Uint32(netlink.Find(data, unix.NFTA_PAYLOAD_LEN)) == 1 && (at == 9 || at == 6)
		case "cmp":
			v := netlink.Find(data, unix.NFTA_CMP_DATA, unix.NFTA_DATA_VALUE)
			if asks && len(v) == 1 && netlink.Uint32(netlink.Find(data, unix.NFTA_CMP_OP)) == unix.NFT_CMP_EQ {
				protocol = v[0]
			}
			asks = false
		}
	}
	return protocol, foreign
}

func text(b []byte, kind uint16) string { return netlink.String(netlink.Find(b, kind)) }
