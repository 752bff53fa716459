package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/netlink"
	"github.com/ownline/ownline/internal/ownline"
)

// Of connection tracking: see linux/netfilter/nfnetlink_conntrack.h.
const (
	ctGet    = 1 // IPCTNL_MSG_CT_GET
	ctDelete = 2 // IPCTNL_MSG_CT_DELETE

	ctaTupleOrig = 1
	ctaMark      = 8
	ctaID        = 12
	ctaZone      = 18
	ctaLabels    = 22
	ctaFilter    = 25 // 5.8; older kernels ignore it

	ctaTupleIP      = 1
	ctaTupleProto   = 2
	ctaIPv4Src      = 1
	ctaIPv6Src      = 3
	ctaProtoNum     = 1
	ctaProtoDstPort = 3

	ctaFilterOrig  = 1 // CTA_FILTER_ORIG_FLAGS: which parts of the tuple have to match
	filterProtoNum = 1 << 3
	filterProtoDst = 1 << 5
)

// forgetStale deletes entries of connection tracking that stand in the way of keys that were
// just opened: of the same source, protocol and port, but not ours. The kernel decides about
// translation once for each entry, so a UDP client that tried before its session was open
// would stay stuck for as long as it keeps trying.
//
// Only UDP needs it. A TCP client tries again from another port, and where it does not, its
// entry is in the way only if somebody accepted the SYN without a word: a SYN that a filter
// drops leaves no entry, and one that is refused takes its entry with it. An entry that does
// live belongs to a service of the router itself, behind a port that an admin has shared
// knowingly, and deleting it would cut that connection.
//
// Its price is that of walking through the kernel's hash table, whatever is in it: 0.5 to
// 2 ms with 262,144 buckets, 0.05 ms with 16,384.
func (d *Driver) forgetStale(opened []firewall.Key) error {
	for _, v4 := range []bool{true, false} {
		want := map[uint16][]netip.Prefix{}
		for _, k := range opened {
			if k.Transport == ownline.UDP && k.Source.Addr().Is4() == v4 {
				want[k.Port] = append(want[k.Port], k.Source)
			}
		}
		if len(want) == 0 {
			continue
		}
		if err := d.forgetFlows(v4, want); err != nil {
			// The session is open all the same, for everything that is not stuck.
			d.log.Warn("stale connections could not be forgotten", "err", err)
		}
	}
	return nil
}

func (d *Driver) forgetFlows(v4 bool, want map[uint16][]netip.Prefix) error {
	var stale netlink.Message
	family := byte(unix.AF_INET6)
	if v4 {
		family = unix.AF_INET
	}
	var deletes []netlink.Message
	err := d.conn.Do(dumpFlows(family, want), func(_ uint16, body []byte) error {
		f, ok := parseFlow(body)
		if !ok || f.proto != protoUDP || d.can.mark.ours(f) || !f.among(want[f.port]) {
			return nil
		}
		begin(&stale, ctnetlink|ctDelete, unix.NLM_F_ACK, family)
		stale.Nested(ctaTupleOrig, f.tuple)
		if f.zone != nil {
			stale.Bytes(ctaZone, f.zone)
		}
		stale.Bytes(ctaID, f.id)
		deletes = append(deletes, stale)
		stale = netlink.Message{}
		return nil
	})
	if err != nil && !errors.Is(err, netlink.ErrInterrupted) {
		return fmt.Errorf("list connections: %w", err)
	}
	for i := range deletes {
		if err := d.conn.Do(&deletes[i], nil); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("delete a connection: %w", err)
		}
	}
	return nil
}

// dumpFlows asks for UDP flows, and, when all want the same port, only those to it.
func dumpFlows(family byte, want map[uint16][]netip.Prefix) *netlink.Message {
	var m netlink.Message
	begin(&m, ctnetlink|ctGet, unix.NLM_F_DUMP, family)
	flags := uint32(filterProtoNum)
	tuple := m.Open(ctaTupleOrig)
	proto := m.Open(ctaTupleProto)
	m.Uint8(ctaProtoNum, protoUDP)
	if len(want) == 1 {
		flags |= filterProtoDst
		for port := range want {
			m.Uint16(ctaProtoDstPort, port)
		}
	}
	m.Close(proto)
	m.Close(tuple)
	filter := m.Open(ctaFilter)
	m.Bytes(ctaFilterOrig, binary.NativeEndian.AppendUint32(nil, flags)) // not in network byte order
	m.Close(filter)
	return &m
}

// flow is an entry of connection tracking, in the direction in which it began. Its slices
// are parts of the message.
type flow struct {
	source          netip.Addr
	proto           byte
	port            uint16 // the destination's
	tuple, zone, id []byte
	labels          []byte
	mark            uint32
}

func parseFlow(body []byte) (f flow, ok bool) {
	if len(body) < 4 {
		return f, false
	}
	for kind, v := range netlink.Attributes(body[4:]) {
		switch kind {
		case ctaTupleOrig:
			f.tuple = v
		case ctaMark:
			f.mark = netlink.Uint32(v)
		case ctaID:
			f.id = v
		case ctaZone:
			f.zone = v
		case ctaLabels:
			f.labels = v
		}
	}
	ip, proto := inside(f.tuple, ctaTupleIP), inside(f.tuple, ctaTupleProto)
	source := inside(ip, ctaIPv4Src)
	if source == nil {
		source = inside(ip, ctaIPv6Src)
	}
	num, port := inside(proto, ctaProtoNum), inside(proto, ctaProtoDstPort)
	f.source, ok = netip.AddrFromSlice(source)
	if !ok || len(num) != 1 || len(port) != 2 {
		return f, false
	}
	f.proto, f.port = num[0], binary.BigEndian.Uint16(port)
	return f, true
}

func (f flow) among(sources []netip.Prefix) bool {
	for _, p := range sources {
		if p.Contains(f.source) {
			return true
		}
	}
	return false
}

// ours reports whether a flow carries our bit.
func (m marking) ours(f flow) bool {
	if m == byLabel {
		return len(f.labels) > labelByte && f.labels[labelByte]&labelBit != 0
	}
	return f.mark&markBit != 0
}
