package portmap

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// pmp is a server of NAT-PMP. The library knows its port alone, so it has an address of its own.
type pmp struct {
	addr netip.Addr

	mu     sync.Mutex
	result uint16
	since  uint32
	shift  uint16      // of the port that is given
	asked  [][3]uint32 // opcode, external port, lifetime
	mute   bool
}

func servePMP(t *testing.T) *pmp {
	t.Helper()
	s := &pmp{addr: netip.AddrFrom4([4]byte{127, byte(rand.IntN(255)), byte(rand.IntN(255)), byte(2 + rand.IntN(250))}), since: 50}
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(s.addr, pcpPort)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 100)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if out := s.answer(buf[:n]); out != nil {
				conn.WriteToUDPAddrPort(out, from)
			}
		}
	}()
	return s
}

func (s *pmp) answer(b []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mute {
		return nil
	}
	out := binary.BigEndian.AppendUint16([]byte{0, b[1] | 0x80}, s.result)
	out = binary.BigEndian.AppendUint32(out, s.since)
	if b[1] == 0 {
		return append(out, 203, 0, 113, 9)
	}
	external, lifetime := binary.BigEndian.Uint16(b[6:]), binary.BigEndian.Uint32(b[8:])
	s.asked = append(s.asked, [3]uint32{uint32(b[1]), uint32(external), lifetime})
	out = append(out, b[4:6]...)
	if lifetime > 0 {
		external += s.shift
	}
	out = binary.BigEndian.AppendUint16(out, external)
	return binary.BigEndian.AppendUint32(out, lifetime/2)
}

func TestNATPMP(t *testing.T) {
	s := servePMP(t)
	p, err := dialNATPMP(t.Context(), s.addr, nil)
	if err != nil || p.external() != netip.MustParseAddr("203.0.113.9") {
		t.Fatal(p, err)
	}
	did := func(what string, want ...[3]uint32) {
		t.Helper()
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.asked) != len(want) {
			t.Errorf("%s, it asked %v", what, s.asked)
		}
		for i := range min(len(want), len(s.asked)) {
			if s.asked[i] != want[i] {
				t.Errorf("%s, it asked %v", what, s.asked)
			}
		}
		s.asked = nil
	}
	change := func(f func()) {
		s.mu.Lock()
		defer s.mu.Unlock()
		f()
	}
	if g, err := p.open(t.Context(), wanted, time.Minute); err != nil || g != (grant{lease: 30 * time.Second}) {
		t.Errorf("it gives %+v, %v", g, err)
	}
	did("open", [3]uint32{2, 20000, 60})
	if _, err := p.open(t.Context(), &Opening{Transport: ownline.UDP, Port: 54754}, time.Hour); err != nil {
		t.Error(err)
	}
	did("of UDP", [3]uint32{1, 54754, 3600})
	if err := p.shut(t.Context(), tcp20000); err != nil {
		t.Error(err)
	}
	did("shut", [3]uint32{2, 0, 0})
	change(func() { s.shift = 1 })
	if _, err := p.open(t.Context(), wanted, time.Minute); !refused(err) {
		t.Errorf("another port: %v", err)
	}
	did("another port", [3]uint32{2, 20000, 60}, [3]uint32{2, 0, 0})
	change(func() { s.result = 2 })
	if _, err := p.open(t.Context(), wanted, time.Minute); !refused(err) || err.Error() != "the router refuses: NAT-PMP result 2 (Not Authorized/Refused)" {
		t.Errorf("refused: %v", err)
	}
	change(func() { s.result, s.shift = 0, 0 })
	look := func(want bool) {
		t.Helper()
		if lost, err := p.look(t.Context(), nil); lost != want || err != nil {
			t.Errorf("lost is %v, %v", lost, err)
		}
	}
	look(false)
	change(func() { s.since = 1 })
	if _, err := p.open(t.Context(), wanted, time.Minute); err != nil {
		t.Error(err)
	}
	look(true)
	look(false)
	change(func() { s.mute = true })
	if _, err := p.look(t.Context(), nil); !errors.Is(err, errSilent) {
		t.Errorf("silence: %v", err)
	}
}
