package firewalld

import (
	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall/netlink"
)

// place is a chain where firewalld translates for our policy.
type place struct {
	family       byte
	table, chain string
}

// By which firewalld works is its FirewallBackend. What iptables-legacy holds is not to be seen.
var (
	byNFTables = []place{{unix.NFPROTO_INET, "firewalld", "nat_PRE_policy_" + policy + "_allow"}}
	byIPTables = []place{{unix.NFPROTO_IPV4, "nat", "PRE_" + policy + "_allow"}, {unix.NFPROTO_IPV6, "nat", "PRE_" + policy + "_allow"}}
)

// count tells how many rules the tables have, and how many of them translate for our policy.
func count(conn *netlink.Conn, at []place) (all, ours int, err error) {
	for _, p := range at {
		a, o, err := p.count(conn)
		if err != nil {
			return 0, 0, err
		}
		all, ours = all+a, ours+o
	}
	return all, ours, nil
}

func (p place) count(conn *netlink.Conn) (all, ours int, err error) {
	var m netlink.Message
	m.Begin(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETRULE, unix.NLM_F_DUMP)
	m.Raw(p.family, unix.NFNETLINK_V0, 0, 0)
	m.String(unix.NFTA_RULE_TABLE, p.table)
	err = conn.Do(&m, func(_ uint16, body []byte) error {
		in, of := "", ""
		if len(body) >= 4 {
			for kind, v := range netlink.Attributes(body[4:]) {
				switch kind {
				case unix.NFTA_RULE_TABLE:
					in = netlink.String(v)
				case unix.NFTA_RULE_CHAIN:
					of = netlink.String(v)
				}
			}
		}
		if in == p.table { // not every kernel filters them
			all++
			if of == p.chain {
				ours++
			}
		}
		return nil
	})
	return all, ours, err
}
