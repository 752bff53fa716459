package firewalld

import (
	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall/netlink"
)

// The names in the kernel, of the family inet, where firewalld works by nftables.
const (
	table = "firewalld"
	chain = "nat_PRE_policy_" + policy + "_allow"
)

// count tells how many rules firewalld's table has, and how many of them translate for our policy.
func count(conn *netlink.Conn) (all, ours int, err error) {
	var m netlink.Message
	m.Begin(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETRULE, unix.NLM_F_DUMP)
	m.Raw(unix.NFPROTO_INET, unix.NFNETLINK_V0, 0, 0)
	m.String(unix.NFTA_RULE_TABLE, table)
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
		if in == table { // not every kernel filters them
			all++
			if of == chain {
				ours++
			}
		}
		return nil
	})
	return all, ours, err
}
