package nft_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/nft"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
)

func knockOf(hint [8]byte) []byte {
	return append(hint[:], bytes.Repeat([]byte{0x5a}, settings.KnockLength-8)...)
}

// door is a bed with the knock filter in force and a socket behind it.
func door(t *testing.T, hints ...[8]byte) (*bed.Bed, *nft.Driver, chan netip.AddrPort) {
	t.Helper()
	b := bedtest.New(t)
	d := newDriver(t, b.Router, nft.Config{})
	want := ruleset(settings)
	for _, h := range hints {
		want.Hints = append(want.Hints, firewall.Hint{Value: h, Until: time.Now().Add(time.Hour)})
	}
	sync(t, d, want)
	u, err := b.Router.ListenUDP(netip.AddrPortFrom(netip.IPv6Unspecified(), settings.KnockPort))
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan netip.AddrPort, 1000)
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 2000)
		for {
			_, from, err := u.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			_, _ = u.WriteToUDPAddrPort([]byte("yes"), from)
			got <- from
		}
	}()
	t.Cleanup(func() { _ = u.Close(); <-done })
	return b, d, got
}

func knocks(t *testing.T, d *nft.Driver) firewall.KnockCounts {
	t.Helper()
	c, err := d.KnockCounters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// garbage is what strangers may send to the knock port: everything but a datagram of the
// right length that begins with a hint.
func garbage(hint [8]byte) map[string][]byte {
	other := hint
	other[7]++
	return map[string][]byte{
		"empty": {}, "one byte": {1}, "only a hint": hint[:], "too short": knockOf(hint)[:settings.KnockLength-1],
		"too long": append(knockOf(hint), 0), "another hint": knockOf(other), "large": make([]byte, 1400), "fragmented": make([]byte, 4000),
	}
}

// Invariant 1: nothing tells the knock port from the host's closed ports: the same packets
// come back to the byte, or none where the host's own rules are silent.
func TestKnockPortIsDark(t *testing.T) {
	hint := [8]byte{1, 2, 3, 4, 5, 6, 7, 8}
	b, d, got := door(t, hint)
	for _, tc := range []struct {
		name    string
		policy  func(c *nftables.Conn) error
		answers bool
	}{
		{"host without rules", func(*nftables.Conn) error { return nil }, true},
		{"host that drops", func(c *nftables.Conn) error {
			table := c.AddTable(&nftables.Table{Name: "other", Family: nftables.TableFamilyINet})
			drop := nftables.ChainPolicyDrop
			chain := c.AddChain(&nftables.Chain{
				Name: "input", Table: table, Type: nftables.ChainTypeFilter, Policy: &drop,
				Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter,
			})
			c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: append(append(toPort(ownline.UDP, settings.KnockPort),
				&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
				&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binary.NativeEndian.AppendUint32(nil, expr.CtStateBitUNTRACKED), Xor: make([]byte, 4)},
				&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)}), // ct state untracked
				&expr.Verdict{Kind: expr.VerdictAccept})})
			c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
				&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
				&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binary.NativeEndian.AppendUint32(nil, expr.CtStateBitESTABLISHED), Xor: make([]byte, 4)},
				&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
				&expr.Verdict{Kind: expr.VerdictAccept},
			}})
			return nil
		}, false},
	} {
		alter(t, b.Router, tc.policy)
		for _, s := range sides(b) {
			for name, payload := range garbage(hint) {
				t.Run(tc.name+" "+s.Name+" "+name, func(t *testing.T) {
					for round := range 2 { // the second is no news to connection tracking
						closed := errorFor(t, s, settings.KnockPort+1, payload, tc.answers)
						knock := errorFor(t, s, settings.KnockPort, payload, tc.answers)
						if len(closed) != map[bool]int{true: 1, false: 0}[tc.answers] {
							t.Fatalf("a closed port answers %d times", len(closed))
						}
						if !slices.EqualFunc(closed, knock, bytes.Equal) {
							t.Errorf("round %d: a closed port and the knock port answer\n%.100x\n%.100x", round, closed, knock)
						}
					}
				})
			}
			// An honest knock passes, and is answered, and makes nothing easier for what
			// follows it from the same port.
			c, err := s.Client.DialFrom("udp", netip.AddrPortFrom(s.Addr(s.Client), 40000), netip.AddrPortFrom(s.Router, settings.KnockPort), patience)
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Write(knockOf(hint))
			_ = c.SetReadDeadline(time.Now().Add(patience))
			_, err2 := c.Read(make([]byte, 100))
			if err := errors.Join(err, err2, c.Close()); err != nil {
				t.Errorf("%s, %s: a knock: %v", tc.name, s.Name, err)
			}
			if n := len(errorFor(t, s, settings.KnockPort, []byte("garbage"), tc.answers)); n > 0 != tc.answers {
				t.Errorf("%s, %s: garbage after a knock brings %d errors", tc.name, s.Name, n)
			}
		}
	}
	if n := len(got); n != 4 {
		t.Errorf("%d datagrams came to the socket, want the 4 knocks", n)
	}
	if c := knocks(t, d); c.Passed != 4 || c.Limited != 0 || c.Garbage < 2*2*2*8 {
		t.Errorf("counted %+v", c)
	}
}

// errorFor sends a datagram and returns the ICMP errors that it brings, without what
// differs between any two of them.
func errorFor(t *testing.T, s side, port uint16, payload []byte, expect bool) [][]byte {
	t.Helper()
	proto := bed.ICMP
	if s.Router.Is6() {
		proto = bed.ICMPv6
	}
	capture, err := s.Client.Capture(s.Client.Link, bed.Filter{Protocol: proto, Addr: s.Router})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = capture.Close() }()
	c, err := s.Client.DialFrom("udp", netip.AddrPortFrom(s.Addr(s.Client), 40000), netip.AddrPortFrom(s.Router, port), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Write(payload); err != nil {
		t.Fatal(err)
	}
	wait := 30 * time.Millisecond
	if expect {
		wait = patience
	}
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	var all [][]byte
	for {
		p, err := capture.Next(ctx)
		if err != nil {
			break
		}
		if icmp := p.Payload; s.Router.Is6() && icmp[0] >= 128 { // neighbour discovery
			continue
		}
		all = append(all, normal(p.Raw, s.Router.Is6()))
		cancel()
		ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond) // nothing more
		defer cancel()
	}
	return all
}

// normal clears what differs between the errors for any two packets: checksums,
// identifications, the port.
func normal(b []byte, v6 bool) []byte {
	b = slices.Clone(b)
	zero := func(at ...int) {
		for _, i := range at {
			b[i] = 0
		}
	}
	if v6 {
		const inner = 40 + 8
		zero(42, 43, inner+1, inner+2, inner+3, // the flow label is the sender's own
			inner+40+2, inner+40+3, inner+40+6, inner+40+7)
		return b
	}
	zero(4, 5, 10, 11, 22, 23)
	const inner = 20 + 8
	zero(inner+4, inner+5, inner+10, inner+11, inner+20+2, inner+20+3, inner+20+6, inner+20+7)
	return b
}

// Invariant 11: a flood with one hint does not stop knocks with another; hints end by
// themselves; a knock leaves no connection behind.
func TestKnockRate(t *testing.T) {
	busy, other := [8]byte{1}, [8]byte{2}
	b, d, got := door(t, busy, other)
	at := netip.AddrPortFrom(b.Router.IPv4, settings.KnockPort)
	began := time.Now()
	for range 200 {
		if err := b.Stranger.SendUDP(at, knockOf(busy)); err != nil {
			t.Fatal(err)
		}
	}
	if st := b.Client1.ProbeUDP(at, knockOf(other), patience); st.State != bed.Open {
		t.Errorf("during a flood a knock finds the port %s", st)
	}
	c := knocks(t, d)
	most := 41 + uint64(20*time.Since(began)/time.Second) + 1 // a burst of 40 and 20 a second, and the other one
	if c.Passed+c.Limited != 201 || c.Passed < 40 || c.Passed > most || c.Garbage != 0 {
		t.Errorf("counted %+v, and at most %d may pass", c, most)
	}
	for end := time.Now().Add(patience); uint64(len(got)) < c.Passed && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	if n := len(got); uint64(n) != c.Passed {
		t.Errorf("%d came to the socket, %d were let through", n, c.Passed)
	}

	want := ruleset(settings)
	for last := 300 * time.Millisecond; ; last *= 2 { // a machine under load needs more to look before the end
		until := time.Now().Add(last)
		want.Hints = []firewall.Hint{{Value: other, Until: until}}
		sync(t, d, want)
		st := b.Client1.ProbeUDP(at, knockOf(other), patience)
		if time.Now().After(until) && last < patience {
			continue
		}
		if st.State != bed.Open {
			t.Errorf("a hint that stays finds the port %s", st)
		}
		if st := b.Client1.ProbeUDP(at, knockOf(busy), patience); st.State != bed.Refused {
			t.Errorf("a hint that was dropped finds the port %s", st)
		}
		time.Sleep(time.Until(until.Add(late)))
		break
	}
	if st := b.Client1.ProbeUDP(at, knockOf(other), patience); st.State != bed.Refused {
		t.Errorf("a hint whose time is over finds the port %s", st)
	}
	// A new table counts on.
	before := knocks(t, d)
	s := settings
	s.Masquerade = true
	sync(t, d, ruleset(s))
	if after := knocks(t, d); after != before {
		t.Errorf("counted %+v, and %+v before the table was replaced", after, before)
	}
	// Nor does what others delete make it count back.
	if err := d.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if after := knocks(t, d); after != before {
			t.Errorf("counted %+v, and %+v before the table was deleted", after, before)
		}
		sync(t, d, ruleset(s))
	}
	// Another driver counts from its own beginning, whatever the table that it finds has counted.
	if err := b.Stranger.SendUDP(at, []byte("garbage")); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); knocks(t, d).Garbage == before.Garbage && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	next := newDriver(t, b.Router, nft.Config{})
	if c := knocks(t, next); c != (firewall.KnockCounts{}) {
		t.Errorf("a new driver has counted %+v", c)
	}
	sync(t, next, ruleset(s))
	if err := b.Stranger.SendUDP(at, []byte("garbage")); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); knocks(t, next).Garbage != 1; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("a new driver has counted %+v of one datagram", knocks(t, next))
		}
	}
	s.Masquerade = false
	sync(t, next, ruleset(s))
	if c := knocks(t, next); c != (firewall.KnockCounts{Garbage: 1}) {
		t.Errorf("counted %+v after the table was replaced", c)
	}
}
