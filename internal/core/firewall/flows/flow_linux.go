package flows

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall/netlink"
)

// Of connection tracking: see linux/netfilter/nfnetlink_conntrack.h.
const (
	ctnetlink = unix.NFNL_SUBSYS_CTNETLINK << 8
	ctNew     = 0 // IPCTNL_MSG_CT_NEW: changes an entry that is there
	ctGet     = 1 // IPCTNL_MSG_CT_GET
	ctDelete  = 2 // IPCTNL_MSG_CT_DELETE

	ctaTupleOrig = 1
	ctaMark      = 8
	ctaID        = 12
	ctaZone      = 18
	ctaMarkMask  = 21
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

	protoUDP = unix.IPPROTO_UDP
)

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

// name adds to a message which entry it is about.
func (f flow) name(m *netlink.Message) {
	m.Nested(ctaTupleOrig, f.tuple)
	if f.zone != nil {
		m.Bytes(ctaZone, f.zone)
	}
}

// labelled and marked report whether a flow carries our bit.
func (f flow) labelled() bool { return len(f.labels) > LabelByte && f.labels[LabelByte]&LabelBit != 0 }
func (f flow) marked() bool   { return f.mark&MarkBit != 0 }

// Mark gives our bit of the mark to the connections that have that of the label, so that who
// knows them by the mark alone takes them over.
func Mark(conn *netlink.Conn) error {
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		var dump netlink.Message
		begin(&dump, ctGet, unix.NLM_F_DUMP, family)
		var changes []*netlink.Message
		err := conn.Do(&dump, func(_ uint16, body []byte) error {
			f, ok := parseFlow(body)
			if !ok || !f.labelled() || f.marked() {
				return nil
			}
			var m netlink.Message
			begin(&m, ctNew, unix.NLM_F_ACK, family)
			f.name(&m)
			m.Uint32(ctaMark, MarkBit)
			m.Uint32(ctaMarkMask, MarkBit)
			changes = append(changes, &m)
			return nil
		})
		if err != nil && !errors.Is(err, netlink.ErrInterrupted) {
			return fmt.Errorf("list connections: %w", err)
		}
		for _, m := range changes {
			if err := conn.Do(m, nil); err != nil && !errors.Is(err, unix.ENOENT) {
				return fmt.Errorf("mark a connection: %w", err)
			}
		}
	}
	return nil
}

// begin starts a message to connection tracking.
func begin(m *netlink.Message, kind, flags uint16, family byte) {
	m.Begin(ctnetlink|kind, flags)
	m.Raw(family, unix.NFNETLINK_V0, 0, 0)
}

func inside(attributes []byte, kind uint16) []byte {
	for k, v := range netlink.Attributes(attributes) {
		if k == kind {
			return v
		}
	}
	return nil
}
