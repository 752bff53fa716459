package portmap

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// The messages are those of RFC 6887, sections 7.1, 11.1, 13.2 and 13.3.
func TestPCPRequests(t *testing.T) {
	client := netip.MustParseAddr("192.168.1.2")
	const us = "00000000000000000000ffffc0a80102"
	const any4 = "00000000000000000000ffff00000000"
	const named = "6e6f6e6365206f6620313262" // the nonce
	n := nonce([]byte("nonce of 12b"))
	for want, got := range map[string][]byte{
		"02000000" + "00000000" + us: announce(client),
		"02010000" + "00000e10" + us + named + "06000000" + "4e204e20" + any4 +
			"02000000" + // PREFER_FAILURE
			"03000014" + "00000000" + any4 + // no other filters
			"03000014" + "00800000" + "00000000000000000000ffffc6336407" +
			"03000014" + "00800000" + "00000000000000000000ffffc6336408": (&mapRequest{
			client: client, lifetime: 3600, nonce: n, protocol: 6, port: 20000, exact: true, filtered: true, sources: []netip.Addr{ana, bob},
		}).bytes(),
		"02010000" + "00000000" + us + named + "11000000" + "4e200000" + any4: (&mapRequest{client: client, nonce: n, protocol: 17, port: 20000}).bytes(),
	} {
		if hex.EncodeToString(got) != want {
			t.Errorf("it is\n%x\nwant\n%s", got, want)
		}
	}
	all := make([]netip.Addr, maxFilters)
	for i := range all {
		all[i] = ana
	}
	full := (&mapRequest{client: client, exact: true, filtered: true, sources: all}).bytes()
	if len(full) > pcpMax || len(full)+filterSize <= pcpMax || len(full)%4 != 0 {
		t.Errorf("the longest request has %d bytes", len(full))
	}
}

// answerTo is what a server says to a request.
func answerTo(request []byte, result byte, lifetime, epoch uint32, external uint16) []byte {
	b := []byte{2, request[1] | 0x80, 0, result}
	b = binary.BigEndian.AppendUint32(b, lifetime)
	b = binary.BigEndian.AppendUint32(b, epoch)
	b = append(b, make([]byte, 12)...)
	if request[1] != opMap {
		return b
	}
	b = append(b, request[24:42]...)
	b = binary.BigEndian.AppendUint16(b, external)
	return append16(b, netip.MustParseAddr("203.0.113.9"))
}

func TestPCPAnswers(t *testing.T) {
	request := (&mapRequest{nonce: nonce([]byte("nonce of 12b")), protocol: 6, port: 20000, lifetime: 60, client: ana}).bytes()
	good := answerTo(request, 0, 120, 77, 20001)
	got, err := parsePCP(good)
	want := pcpResponse{op: opMap, lifetime: 120, epoch: 77, mapped: mapped{
		nonce: nonce([]byte("nonce of 12b")), protocol: 6, internal: 20000, external: 20001, addr: netip.MustParseAddr("203.0.113.9"),
	}}
	if err != nil || got != want {
		t.Errorf("it is read as %+v, %v", got, err)
	}
	if got, err = parsePCP(append(good, 2, 0, 0, 0)); err != nil || got != want { // with an option
		t.Errorf("it is read as %+v, %v", got, err)
	}
	changed := func(i int, to byte) []byte {
		b := bytes.Clone(good)
		b[i] = to
		return b
	}
	for name, tc := range map[string]struct {
		bytes []byte
		err   error
	}{
		"nothing":                    {nil, errNotPCP},
		"a request":                  {changed(1, opMap), errNotPCP},
		"half":                       {good[:40], errNotPCP},
		"not in words of four bytes": {append(bytes.Clone(good), 0), errNotPCP},
		"too long":                   {append(good, make([]byte, 1100)...), errNotPCP},
		"another version":            {changed(0, 1), errPCPVersion},
		"another version wanted":     {changed(3, pcpUnsuppVersion), errPCPVersion},
		"of NAT-PMP alone":           {[]byte{0, 0x80, 0, 1, 0, 0, 0, 9}, errPCPVersion},
	} {
		if _, err := parsePCP(tc.bytes); err != tc.err {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// No bytes of a router's, or of who speaks in its name, do harm; and what is read of an answer is all
// that it says of a port.
func FuzzPCPAnswer(f *testing.F) {
	request := (&mapRequest{protocol: 6, port: 20000, lifetime: 60, client: ana}).bytes()
	f.Add(answerTo(request, 0, 120, 77, 20001))
	f.Add(answerTo(announce(ana), 0, 120, 77, 0))
	f.Add([]byte{0, 0x80, 0, 1, 0, 0, 0, 9})
	f.Add(answerTo(request, 0, 120, 77, 20001)[:headerSize])        // of a port, and says none
	f.Add(answerTo(request, byte(len(pcpResults)), 120, 77, 20001)) // a result that nobody knows
	f.Add(answerTo(announce(ana), 0, 120, 77, 0)[:8])               // as short as one of NAT-PMP
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parsePCP(b)
		if err != nil {
			return
		}
		_ = pcpRefusal(r.result).Error()
		if r.op != opMap {
			return
		}
		b = bytes.Clone(b)
		b[1] = opMap // the rest has the same fields where a request has them
		again := answerTo(b, r.result, r.lifetime, r.epoch, r.mapped.external)
		addr := r.mapped.addr.As16()
		copy(again[44:], addr[:])
		if got, err := parsePCP(again); err != nil || got != r {
			t.Errorf("%x is read as %+v, %x as %+v, %v", b, r, again, got, err)
		}
	})
}

// server is one of PCP on the loopback interface. It answers what its function says; nothing is silence.
type server struct {
	at netip.AddrPort
	mu sync.Mutex
	// asked are the requests so far.
	asked [][]byte
}

func serve(t *testing.T, answer func(s *server, request []byte) []byte) *server {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	s := &server{at: conn.LocalAddr().(*net.UDPAddr).AddrPort()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 2000)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			request := bytes.Clone(buf[:n])
			s.mu.Lock()
			s.asked = append(s.asked, request)
			out := answer(s, request)
			s.mu.Unlock()
			if out != nil {
				conn.WriteToUDPAddrPort(out, from)
			}
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return s
}

// times is how often it was asked.
func (s *server) times() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

// maps are the requests for ports so far, without the heads that are of no interest.
func (s *server) maps() (all [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.asked {
		if b[1] == opMap {
			all = append(all, b)
		}
	}
	return all
}

// options are the codes of those in a request for a port.
func options(request []byte) (codes []byte) {
	for b := request[headerSize+mapSize:]; len(b) >= 4; {
		codes = append(codes, b[0])
		b = b[4+int(binary.BigEndian.Uint16(b[2:])):]
	}
	return codes
}

func pcpOf(t *testing.T, s *server) protocol {
	t.Helper()
	p, err := dialPCPAt(t.Context(), s.at, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var wanted = &Opening{Transport: ownline.TCP, Port: 20000, Sources: []netip.Addr{ana}}

func TestPCPOpens(t *testing.T) {
	s := serve(t, func(_ *server, r []byte) []byte { return answerTo(r, 0, 600, 5, 20000) })
	p := pcpOf(t, s)
	g, err := p.open(t.Context(), wanted, time.Minute)
	if err != nil || g != (grant{10 * time.Minute, true}) || p.external() != netip.MustParseAddr("203.0.113.9") {
		t.Errorf("it gives %+v, %v, at %s", g, err, p.external())
	}
	if err := p.shut(t.Context(), wanted.key()); err != nil {
		t.Error(err)
	}
	// After a restart of core, the same nonce; for another port, another.
	if _, err := pcpOf(t, s).open(t.Context(), &Opening{Transport: ownline.TCP, Port: 20000}, time.Hour); err != nil {
		t.Error(err)
	}
	pcpOf(t, s).open(t.Context(), &Opening{Transport: ownline.UDP, Port: 20000}, time.Second) // its answer fits, too
	m := s.maps()
	if len(m) != 4 {
		t.Fatalf("it asked %d times", len(m))
	}
	for i, want := range []struct {
		lifetime uint32
		options  []byte
	}{{60, []byte{2, 3, 3}}, {0, nil}, {3600, []byte{2, 3}}} {
		if got := binary.BigEndian.Uint32(m[i][4:]); got != want.lifetime || !slices.Equal(options(m[i]), want.options) {
			t.Errorf("request %d is for %d s with options %v", i, got, options(m[i]))
		}
		if !bytes.Equal(m[i][24:36], m[0][24:36]) {
			t.Errorf("request %d has another nonce", i)
		}
	}
	if bytes.Equal(m[3][24:36], m[0][24:36]) || bytes.Equal(m[0][24:36], make([]byte, 12)) {
		t.Error("one nonce for all")
	}
}

// What a router lacks is done without, but another port is no use.
func TestPCPLacks(t *testing.T) {
	for name, tc := range map[string]struct {
		sources int
		answer  func(options []byte) (result byte, external uint16)
		narrow  bool
		refused string
		asked   [][]byte // options of the requests
	}{
		"filters": {1, func(o []byte) (byte, uint16) {
			if slices.Contains(o, optFilter) {
				return pcpUnsuppOption, 0
			}
			return 0, 20000
		}, false, "", [][]byte{{2, 3, 3}, {2}}},
		"all options": {1, func(o []byte) (byte, uint16) {
			if len(o) > 0 {
				return pcpUnsuppOption, 0
			}
			return 0, 20000
		}, false, "", [][]byte{{2, 3, 3}, {2}, nil}},
		"room for a second source": {2, func(o []byte) (byte, uint16) {
			if len(o) > 3 {
				return pcpManyRemotePeers, 0
			}
			return 0, 20000
		}, false, "", [][]byte{{2, 3, 3, 3}, {2, 3}}},
		"room in the message": {maxFilters + 1, func([]byte) (byte, uint16) { return 0, 20000 }, false, "", [][]byte{{2, 3}}},
		"permission":          {1, func([]byte) (byte, uint16) { return 2, 0 }, false, "the router refuses: not authorised", [][]byte{{2, 3, 3}}},
		"words":               {1, func([]byte) (byte, uint16) { return 200, 0 }, false, "the router refuses: PCP result 200", [][]byte{{2, 3, 3}}},
		"the port":            {1, func([]byte) (byte, uint16) { return 0, 20001 }, false, "the router refuses: another device has the port; it offers 20001 instead", [][]byte{{2, 3, 3}, nil}},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(_ *server, r []byte) []byte {
				if r[1] != opMap {
					return answerTo(r, 0, 0, 5, 0)
				}
				result, external := tc.answer(options(r))
				return answerTo(r, result, 60, 5, external)
			})
			o := *wanted
			o.Sources = slices.Repeat([]netip.Addr{ana}, tc.sources)
			p := pcpOf(t, s)
			g, err := p.open(t.Context(), &o, time.Minute)
			if g.narrow != tc.narrow || (err == nil) != (tc.refused == "") || err != nil && (err.Error() != tc.refused || !refused(err)) {
				t.Errorf("it gives %+v, %v", g, err)
			}
			m := s.maps()
			for i := range m {
				if i >= len(tc.asked) || !slices.Equal(options(m[i]), tc.asked[i]) {
					t.Errorf("request %d has the options %v", i, options(m[i]))
				}
			}
			if len(m) != len(tc.asked) {
				t.Errorf("it asked %d times", len(m))
			}
		})
	}
}

// Whoever speaks in the router's name has to know the nonce; lost packets are sent again; a restart
// is seen; and who speaks no PCP is known at once.
func TestPCPHears(t *testing.T) {
	var since uint32 = 100
	s := serve(t, func(s *server, r []byte) []byte {
		switch {
		case r[1] != opMap:
			return answerTo(r, 5, 0, since, 0) // it may not know this, but it has answered
		case len(s.asked) == 2: // the first for a port
			r[24]++ // another nonce
			return answerTo(r, 2, 0, since, 20000)
		case len(s.asked) == 3:
			return nil
		}
		return answerTo(r, 0, 60, since, 20000)
	})
	p := pcpOf(t, s)
	if _, err := p.open(t.Context(), wanted, time.Minute); err != nil {
		t.Error(err)
	}
	if n := len(s.maps()); n != 3 {
		t.Errorf("it asked %d times", n)
	}
	look := func(want bool) {
		t.Helper()
		if lost, err := p.look(t.Context(), nil); lost != want || err != nil {
			t.Errorf("lost is %v, %v", lost, err)
		}
	}
	look(false)
	s.mu.Lock()
	since = 2
	s.mu.Unlock()
	if _, err := p.open(t.Context(), wanted, time.Minute); err != nil { // who opens hears it as well
		t.Error(err)
	}
	look(true)
	look(false)

	old := serve(t, func(*server, []byte) []byte { return []byte{0, 0x80, 0, 1, 0, 0, 0, 9} })
	if _, err := dialPCPAt(t.Context(), old.at, nil); err != errPCPVersion || old.times() != 1 {
		t.Errorf("NAT-PMP alone: %v, asked %d times", err, old.times())
	}
	silent := serve(t, func(*server, []byte) []byte { return nil })
	if _, err := dialPCPAt(t.Context(), silent.at, nil); !errors.Is(err, errSilent) || silent.times() != len(pcpTries) {
		t.Errorf("silence: %v, asked %d times", err, silent.times())
	}
}
