package flows

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

// Sweeper deletes entries of connection tracking that stand in the way of keys that were
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
type Sweeper struct {
	log     *slog.Logger
	byLabel bool

	conn *netlink.Conn // used by one sweep at a time

	mu      sync.Mutex // guards what follows
	pending []firewall.Key
	wake    chan struct{} // not nil while Run runs
}

// NewSweeper opens a socket in the network namespace of the calling thread. It knows our connections
// by the label, or else by the mark.
func NewSweeper(log *slog.Logger, byLabel bool) (*Sweeper, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, err
	}
	return &Sweeper{log: log, byLabel: byLabel, conn: conn}, nil
}

// Close closes the socket, after Run has returned.
func (s *Sweeper) Close() error { return s.conn.Close() }

func (s *Sweeper) ours(f flow) bool {
	if s.byLabel {
		return f.labelled()
	}
	return f.marked()
}

// sweepAfter lets the answer to the knock, and the client's first packets, go first: the
// kernel does not interrupt a walk, and a small router has few processors.
const sweepAfter = 20 * time.Millisecond

// restFor is how many times longer than a sweep took the next one waits, so that sweeping
// never takes more than a tenth of a processor.
const restFor = 9

// Forget sweeps for the keys: now, or soon when Run runs.
func (s *Sweeper) Forget(keys []firewall.Key) {
	keys = slices.DeleteFunc(slices.Clone(keys), func(k firewall.Key) bool { return k.Transport != ownline.UDP })
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

func (s *Sweeper) take() []firewall.Key {
	keys := s.pending
	s.pending = nil
	return keys
}

// Run sweeps in the background until ctx ends, and then once more. At most one Run at a time.
func (s *Sweeper) Run(ctx context.Context) {
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
func (s *Sweeper) sweep(keys []firewall.Key) {
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

func (s *Sweeper) forgetFlows(v4 bool, want map[uint16][]netip.Prefix) error {
	family := byte(unix.AF_INET6)
	if v4 {
		family = unix.AF_INET
	}
	var deletes []*netlink.Message
	err := s.conn.Do(dumpFlows(family, want), func(_ uint16, body []byte) error {
		f, ok := parseFlow(body)
		if !ok || f.proto != protoUDP || s.ours(f) || !f.among(want[f.port]) {
			return nil
		}
		var m netlink.Message
		begin(&m, ctDelete, unix.NLM_F_ACK, family)
		f.name(&m)
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
	begin(&m, ctGet, unix.NLM_F_DUMP, family)
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
