package bed

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"
)

const (
	udp4 = "4500001c00004000401100000a000001cb0071020fa0d5e20008000061"
	udp6 = "60000000000911400001000000000000000000000000000100020000000000000000000000000002" + "0fa0d5e20009000061"
	tcp4 = "4500002900004000400600000a000001cb00710200500fa0000000000000000050020000000000006162"
)

func TestParsePacket(t *testing.T) {
	for name, tc := range map[string]struct {
		packet   string
		protocol int
		src, dst string
		payload  string
	}{
		"UDP over IPv4":        {udp4, UDP, "10.0.0.1:4000", "203.0.113.2:54754", "a"},
		"UDP over IPv6":        {udp6, UDP, "[1::1]:4000", "[2::2]:54754", "a"},
		"TCP over IPv4":        {tcp4, TCP, "10.0.0.1:80", "203.0.113.2:4000", "ab"},
		"cut in the IP header": {packet: udp4[:30]},
		"nothing":              {},
	} {
		t.Run(name, func(t *testing.T) {
			raw, err := hex.DecodeString(tc.packet)
			if err != nil {
				t.Fatal(err)
			}
			var src, dst netip.AddrPort
			if tc.src != "" {
				src, dst = netip.MustParseAddrPort(tc.src), netip.MustParseAddrPort(tc.dst)
			}
			p := parsePacket(raw)
			if p.Protocol != tc.protocol || p.Src != src || p.Dst != dst || string(p.Payload) != tc.payload {
				t.Errorf("got %+v", p)
			}
		})
	}
}

func FuzzParsePacket(f *testing.F) {
	for _, s := range []string{udp4, udp6, tcp4} {
		raw, err := hex.DecodeString(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p := parsePacket(b)
		if !bytes.Equal(p.Raw, b) || !bytes.HasSuffix(b, p.Payload) {
			t.Errorf("%x became %+v", b, p)
		}
	})
}
