package nft

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/netlink"
	"github.com/ownline/ownline/internal/logging"
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

// sweeper deletes entries of connection tracking that stand in the way of keys that were
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
// The kernel can only find such entries by walking through its whole hash table, locking
// every bucket, however few connections there are: about 40 ns each, so 10 ms with the
// 262,144 that machines with more than 4 GB have. That is 600 times what opening takes, so
// Run does it behind the answer, for all keys that were opened meanwhile in one walk.
type sweeper struct {
	log  *slog.Logger
	mark marking

	conn *netlink.Conn // used by one sweep at a time

	mu      sync.Mutex // guards what follows
	pending []firewall.Key
	wake    chan struct{} // not nil while Run runs
}

// sweepAfter lets the answer to the knock, and the client's first packets, go first: the
// kernel does not interrupt a walk, and a small router has few processors.
const sweepAfter = 20 * time.Millisecond

// restFor is how many times longer than a sweep took the next one waits, so that sweeping
// never takes more than a tenth of a processor.
const restFor = 9

// forget sweeps for the keys: now, or soon when Run runs.
func (s *sweeper) forget(keys []firewall.Key) {
	keys = slices.DeleteFunc(keys, func(k firewall.Key) bool { return k.Transport != ownline.UDP })
	if len(keys) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = append(s.pending, keys...)
	if s.wake == nil {
		s.sweep(s.take())
		return
	}
	select {
	case s.wake <- struct{}{}:
	default: // awake already
	}
}

func (s *sweeper) take() []firewall.Key {
	keys := s.pending
	s.pending = nil
	return keys
}

// run sweeps in the background until ctx ends, and then once more.
func (s *sweeper) run(ctx context.Context) {
	wake := make(chan struct{}, 1)
	s.mu.Lock()
	s.wake = wake
	s.mu.Unlock()
	for {
		select {
		case <-wake:
		case <-ctx.Done():
		}
		if !wait(ctx, sweepAfter) {
			break
		}
		s.mu.Lock()
		keys := s.take()
		s.mu.Unlock()
		start := time.Now()
		s.sweep(keys)
		if !wait(ctx, restFor*time.Since(start)) {
			break
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wake = nil
	s.sweep(s.take())
}

// wait reports whether the time passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// sweep deletes what is in the way of the keys. What it can't do is logged only: the
// sessions are open all the same, for everyone who is not stuck.
func (s *sweeper) sweep(keys []firewall.Key) {
	for _, v4 := range []bool{true, false} {
		want := map[uint16][]netip.Prefix{}
		for _, k := range keys {
			if k.Source.Addr().Is4() == v4 {
				want[k.Port] = append(want[k.Port], k.Source)
			}
		}
		if len(want) == 0 {
			continue
		}
		if err := s.forgetFlows(v4, want); err != nil {
			s.log.Warn("stale connections could not be forgotten", logging.Err, err)
		}
	}
}

func (s *sweeper) forgetFlows(v4 bool, want map[uint16][]netip.Prefix) error {
	family := byte(unix.AF_INET6)
	if v4 {
		family = unix.AF_INET
	}
	var deletes []*netlink.Message
	err := s.conn.Do(dumpFlows(family, want), func(_ uint16, body []byte) error {
		f, ok := parseFlow(body)
		if !ok || f.proto != protoUDP || s.mark.ours(f) || !f.among(want[f.port]) {
			return nil
		}
		var m netlink.Message
		begin(&m, ctnetlink|ctDelete, unix.NLM_F_ACK, family)
		m.Nested(ctaTupleOrig, f.tuple)
		if f.zone != nil {
			m.Bytes(ctaZone, f.zone)
		}
		m.Bytes(ctaID, f.id)
		deletes = append(deletes, &m)
		return nil
	})
	if err != nil && !errors.Is(err, netlink.ErrInterrupted) {
		return fmt.Errorf("list connections: %w", err)
	}
	for _, m := range deletes {
		if err := s.conn.Do(m, nil); err != nil && !errors.Is(err, unix.ENOENT) {
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
