package netlink

import "golang.org/x/sys/unix"

// Generation asks for the number that grows by one with every change to the nftables ruleset of
// the network namespace, whoever makes it.
func (c *Conn) Generation() (uint32, error) {
	var m Message
	m.Begin(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETGEN, unix.NLM_F_ACK)
	m.Raw(unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0)
	var gen uint32
	err := c.Do(&m, func(_ uint16, body []byte) error {
		for kind, v := range Attributes(body[min(4, len(body)):]) {
			if kind == unix.NFTA_GEN_ID {
				gen = Uint32(v)
			}
		}
		return nil
	})
	return gen, err
}
