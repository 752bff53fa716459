package hostinfo

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/ownline/ownline/internal/ownline"
)

// word prints 4 bytes of an address as the kernel does.
func word(b ...byte) string { return fmt.Sprintf("%08X", binary.NativeEndian.Uint32(b)) }

func TestParse(t *testing.T) {
	routes4 := "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n" +
		"eth0\t00000000\t" + word(203, 0, 113, 254) + "\t0003\t0\t0\t0\t00000000\t0\t0\t0\n" +
		"eth1\t" + word(192, 168, 7, 0) + "\t00000000\t0001\t0\t0\t0\t" + word(255, 255, 255, 0) + "\t0\t0\t0\n" +
		"damaged\n"
	if got := parseRoutes4([]byte(routes4)); !slices.Equal(got, []netip.Addr{netip.MustParseAddr("203.0.113.254")}) {
		t.Errorf("parseRoutes4 = %v", got)
	}
	zero := "00000000000000000000000000000000"
	routes6 := zero + " 00 " + zero + " 00 20010db8000f00000000000000000001 00000400 00000001 00000000 00000003 eth0\n" +
		"20010db8000f00000000000000000000 40 " + zero + " 00 " + zero + " 00000100 00000001 00000000 00000001 eth0\n"
	if got := parseRoutes6([]byte(routes6)); !slices.Equal(got, []netip.Addr{netip.MustParseAddr("2001:db8:f::1")}) {
		t.Errorf("parseRoutes6 = %v", got)
	}
	heading := "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	tcp := heading +
		"   0: 00000000:0016 00000000:0000 0A 0 0\n" + // 0.0.0.0:22 listens
		"   1: " + word(127, 0, 0, 1) + ":1F90 00000000:0000 0A 0 0\n" + // loopback
		"   2: " + word(192, 168, 7, 1) + ":01BB " + word(10, 0, 0, 1) + ":9000 01 0 0\n" // established
	if got := parseSockets([]byte(tcp), ownline.TCP); !slices.Equal(got, []uint16{22}) {
		t.Errorf("parseSockets(tcp) = %v, want 22", got)
	}
	mapped := "00000000" + "00000000" + word(0, 0, 0xff, 0xff) + word(127, 0, 0, 1)
	udp6 := heading + "  10: " + zero + ":0035 " + zero + ":0000 07 0 0\n  11: " + mapped + ":0036 " + zero + ":0000 07 0 0\n"
	if got := parseSockets([]byte(udp6), ownline.UDP); !slices.Equal(got, []uint16{53}) {
		t.Errorf("parseSockets(udp6) = %v, want 53", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("a 00000000 01020304 0 0 0 0 00000000\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		parseRoutes4(b)
		parseRoutes6(b)
		for _, n := range parseSockets(b, ownline.TCP) {
			if n == 0 {
				t.Fatal("port 0 is served by nobody")
			}
		}
	})
}
