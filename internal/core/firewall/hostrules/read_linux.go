package hostrules

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/netlink"
)

// Rules are the host's as they were when they were read.
type Rules struct {
	conn   *netlink.Conn // for the sets that rules look into
	chains []*chain
	sets   map[setName][][]byte // their elements, once they were asked for
}

type setName struct {
	family     byte
	table, set string
}

type chain struct {
	family         byte
	firewall.Chain // without a hook it is only jumped to
	priority       int32
	devices        []string // of ingress; "ppp+": all that begin so
	nat            bool     // it sees what begins a connection, until one of its kind has translated that
	drops, seen    bool
	rules          [][]byte   // their lists of expressions
	lines          [][]string // of iptables-legacy: the words of its rules
}

var (
	families = [...]string{unix.NFPROTO_INET: "inet", unix.NFPROTO_IPV4: "ip", unix.NFPROTO_ARP: "arp", unix.NFPROTO_NETDEV: "netdev", unix.NFPROTO_BRIDGE: "bridge", unix.NFPROTO_IPV6: "ip6"}
	hooks    = [...]string{unix.NF_INET_PRE_ROUTING: "prerouting", unix.NF_INET_LOCAL_IN: "input", unix.NF_INET_FORWARD: "forward", unix.NF_INET_LOCAL_OUT: "output", unix.NF_INET_POST_ROUTING: "postrouting", 5: "ingress"}
)

// Attributes that golang.org/x/sys lacks: linux/netfilter/nf_tables.h.
const hookDevices, devicePrefix = 4, 2 // NFTA_HOOK_DEVS, NFTA_DEVICE_PREFIX

// Read reads the rules of the network namespace of the calling thread. A kernel without nf_tables has none.
func Read() (*Rules, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, err
	}
	r := &Rules{conn: conn, sets: map[setName][][]byte{}}
	var all chain
	err = errors.Join(r.dump(unix.NFT_MSG_GETCHAIN, &all, "", r.addChain), r.dump(unix.NFT_MSG_GETRULE, &all, "", r.addRule))
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, netlink.ErrInterrupted) {
		err = nil // no such subsystem; or somebody changed rules meanwhile: what was read is good enough
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return r, nil
}

// Close ends the reading.
func (r *Rules) Close() error { return r.conn.Close() }

// dump asks for everything of a kind, of all tables or of a set of that of a chain.
func (r *Rules) dump(kind uint16, of *chain, set string, each func(family byte, body []byte)) error {
	var m netlink.Message
	m.Begin(unix.NFNL_SUBSYS_NFTABLES<<8|kind, unix.NLM_F_DUMP)
	m.Raw(of.family, unix.NFNETLINK_V0, 0, 0)
	if set != "" {
		m.String(unix.NFTA_SET_ELEM_LIST_TABLE, of.Table)
		m.String(unix.NFTA_SET_ELEM_LIST_SET, set)
	}
	return r.conn.Do(&m, func(_ uint16, body []byte) error {
		if len(body) > 4 && int(body[0]) < len(families) && families[body[0]] != "" {
			each(body[0], append([]byte(nil), body[4:]...)) // body is valid during the call only
		}
		return nil
	})
}

func (r *Rules) addChain(family byte, b []byte) {
	c := &chain{family: family}
	c.Family, c.Table, c.Name = families[family], text(b, unix.NFTA_CHAIN_TABLE), text(b, unix.NFTA_CHAIN_NAME)
	if hook := netlink.Find(b, unix.NFTA_CHAIN_HOOK); hook != nil {
		switch n := number(hook, unix.NFTA_HOOK_HOOKNUM); {
		case family == unix.NFPROTO_NETDEV && n == unix.NF_NETDEV_INGRESS:
			c.Hook = "ingress"
		case family == unix.NFPROTO_NETDEV || family == unix.NFPROTO_BRIDGE || family == unix.NFPROTO_ARP:
			c.Hook = "other"
		case n < uint32(len(hooks)):
			c.Hook = hooks[n]
		}
		c.priority, c.nat = int32(number(hook, unix.NFTA_HOOK_PRIORITY)), text(b, unix.NFTA_CHAIN_TYPE) == "nat"
		c.devices = []string{text(hook, unix.NFTA_HOOK_DEV)} // of kernels before 5.5, which know but one
		for kind, v := range netlink.Attributes(netlink.Find(hook, hookDevices)) {
			name := netlink.String(v)
			if kind == devicePrefix {
				name += "+"
			}
			c.devices = append(c.devices, name)
		}
		const drop = 0 // NF_DROP
		c.drops = netlink.Find(b, unix.NFTA_CHAIN_POLICY) != nil && number(b, unix.NFTA_CHAIN_POLICY) == drop
	}
	// Not Ownline's own, by whichever driver.
	if !(family == unix.NFPROTO_INET && c.Table == "ownline" || strings.HasPrefix(c.Name, "ownline-")) {
		r.chains = append(r.chains, c)
	}
}

func (r *Rules) addRule(family byte, b []byte) {
	if c := r.chain(family, text(b, unix.NFTA_RULE_TABLE), text(b, unix.NFTA_RULE_CHAIN)); c != nil {
		c.rules = append(c.rules, netlink.Find(b, unix.NFTA_RULE_EXPRESSIONS))
	}
}

// chain finds one of nf_tables; nil: it is Ownline's, or gone.
func (r *Rules) chain(family byte, table, name string) *chain {
	return r.beside(&chain{family: family, Chain: firewall.Chain{Table: table}}, name)
}

// beside finds a chain of the same table.
func (r *Rules) beside(of *chain, name string) *chain {
	for _, c := range r.chains {
		if c.family == of.family && c.Legacy == of.Legacy && c.Table == of.Table && c.Name == name {
			return c
		}
	}
	return nil
}

// elements returns those of a set, which is read once.
func (r *Rules) elements(of *chain, set string) ([][]byte, error) {
	name := setName{of.family, of.Table, set}
	all, ok := r.sets[name]
	if ok {
		return all, nil
	}
	err := r.dump(unix.NFT_MSG_GETSETELEM, of, set, func(_ byte, b []byte) {
		for _, e := range netlink.Attributes(netlink.Find(b, unix.NFTA_SET_ELEM_LIST_ELEMENTS)) {
			all = append(all, e)
		}
	})
	if err == nil {
		r.sets[name] = all
	}
	return all, err
}

func number(b []byte, path ...uint16) uint32 { return netlink.Uint32(netlink.Find(b, path...)) }

func text(b []byte, kind uint16) string { return netlink.String(netlink.Find(b, kind)) }
