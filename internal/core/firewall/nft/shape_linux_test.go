package nft_test

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/nft"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
)

// Invariant 1: at the port of fwknop's clients only what has the shape of a packet comes to the
// socket, untracked; all else meets a closed port, to the byte.
func TestShapedPortIsDark(t *testing.T) {
	b := bedtest.New(t)
	d := newDriver(t, b.Router, nft.Config{})
	with := settings
	with.Fwknop = firewall.Shape{Port: 62201, Min: 183, Max: 399, FirstBits: []firewall.Bits{{Mask: 0xfe, Value: '8'}, {Mask: 0xfb, Value: '+'}}}
	sync(t, d, ruleset(with))
	u, err := b.Router.ListenUDP(netip.AddrPortFrom(netip.IPv6Unspecified(), with.Fwknop.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	packet := func(first string, n int) []byte { return []byte(first + strings.Repeat("A", n-1)) }
	garbage := map[string][]byte{
		"empty": {}, "a letter": packet("A", 200), "too short": packet("8", 182), "too long": packet("8", 400),
		"another figure": packet("7", 200), "a comma": packet(",", 200), "zeros": make([]byte, 200),
	}
	for _, s := range sides(b) {
		for name, payload := range garbage {
			closed, here := errorFor(t, s, with.Fwknop.Port+1, payload, true), errorFor(t, s, with.Fwknop.Port, payload, true)
			if len(closed) != 1 || !slices.EqualFunc(closed, here, bytes.Equal) {
				t.Errorf("%s, %s: a closed port and this one answer\n%.100x\n%.100x", s.Name, name, closed, here)
			}
		}
		for i, p := range [][]byte{packet("8", 183), packet("9", 200), packet("+", 399), packet("/", 225)} {
			if n := len(errorFor(t, s, with.Fwknop.Port, p, false)); n != 0 {
				t.Errorf("%s: packet %d brings %d errors", s.Name, i, n)
			}
			buf := make([]byte, 500)
			n, err := u.Read(buf)
			if err != nil || !bytes.Equal(buf[:n], p) {
				t.Errorf("%s: %.20q of %d bytes came to the socket, %v; want packet %d", s.Name, buf[:n], n, err, i)
			}
		}
	}
	if c := knocks(t, d); c.Passed != 8 || c.Garbage != uint64(2*len(garbage)) {
		t.Errorf("counted %+v", c)
	}
	if st := b.Client1.ProbeUDP(netip.AddrPortFrom(b.Router.IPv4, with.Fwknop.Port+1), packet("8", 200), patience); st.State == bed.Open {
		t.Error("the other port is open")
	}
}
