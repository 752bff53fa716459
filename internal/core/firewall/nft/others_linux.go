package nft

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/netlink"
)

const policyDrop = 0 // NF_DROP of linux/netfilter.h

var (
	familyNames = map[byte]string{unix.NFPROTO_INET: "inet", unix.NFPROTO_IPV4: "ip", unix.NFPROTO_IPV6: "ip6"}
	hookNames   = map[uint32]string{unix.NF_INET_LOCAL_IN: "input", unix.NF_INET_FORWARD: "forward"}
)

// Dropping returns the chains of other tables that packets which are forwarded, or are for the router
// itself, have to pass, and that drop what none of their rules accepts: those of iptables-nft too, not
// those of iptables-legacy, which nftables does not see.
func (d *Driver) Dropping(ctx context.Context) ([]firewall.Chain, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []firewall.Chain
	var m netlink.Message
	begin(&m, nftables|unix.NFT_MSG_GETCHAIN, unix.NLM_F_DUMP, unix.NFPROTO_UNSPEC)
	err := d.conn.Do(&m, func(_ uint16, body []byte) error {
		hook := find(body, unix.NFTA_CHAIN_HOOK)
		if hook == nil || netlink.Uint32(find(body, unix.NFTA_CHAIN_POLICY)) != policyDrop {
			return nil
		}
		c := firewall.Chain{
			Family: familyNames[body[0]], Table: netlink.String(find(body, unix.NFTA_CHAIN_TABLE)),
			Name: netlink.String(find(body, unix.NFTA_CHAIN_NAME)), Hook: hookNames[netlink.Uint32(inside(hook, unix.NFTA_HOOK_HOOKNUM))],
		}
		if c.Family != "" && c.Hook != "" && !(c.Family == "inet" && c.Table == d.table) {
			out = append(out, c)
		}
		return nil
	})
	if errors.Is(err, unix.EINTR) { // somebody changed rules meanwhile: what was read is good enough
		err = nil
	}
	return out, err
}
