package hostinfo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
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
	var got []netip.Addr
	add := func(a netip.Addr) { got = append(got, a) }
	if err := parseRoutes4(strings.NewReader(routes4), add); err != nil || !slices.Equal(got, []netip.Addr{netip.MustParseAddr("203.0.113.254")}) {
		t.Errorf("parseRoutes4 = %v, %v", got, err)
	}
	zero := "00000000000000000000000000000000"
	routes6 := zero + " 00 " + zero + " 00 20010db8000f00000000000000000001 00000400 00000001 00000000 00000003 eth0\n" +
		"20010db8000f00000000000000000000 40 " + zero + " 00 " + zero + " 00000100 00000001 00000000 00000001 eth0\n"
	got = nil
	if err := parseRoutes6(strings.NewReader(routes6), add); err != nil || !slices.Equal(got, []netip.Addr{netip.MustParseAddr("2001:db8:f::1")}) {
		t.Errorf("parseRoutes6 = %v, %v", got, err)
	}
	var uplinks []Uplink
	up := func(u Uplink) { uplinks = append(uplinks, u) }
	routes4 += "ppp0\t00000000\t00000000\t0001\t0\t0\t7\t00000000\t0\t0\t0\n" // has no next hop
	if err := parseUplinks4(strings.NewReader(routes4), up); err != nil || !slices.Equal(uplinks, []Uplink{{Interface: "eth0"}, {Interface: "ppp0", Metric: 7}}) {
		t.Errorf("parseUplinks4 = %v, %v", uplinks, err)
	}
	uplinks = nil
	routes6 += zero + " 00 " + zero + " 00 " + zero + " ffffffff 00000001 00000000 00200200 lo\n"
	if err := parseUplinks6(strings.NewReader(routes6), up); err != nil || !slices.Equal(uplinks, []Uplink{{"eth0", true, 1024}}) {
		t.Errorf("parseUplinks6 = %v, %v", uplinks, err)
	}
	heading := "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	tcp := heading +
		"   0: 00000000:0016 00000000:0000 0A 0 0\n" + // 0.0.0.0:22 listens
		"   1: " + word(127, 0, 0, 1) + ":1F90 00000000:0000 0A 0 0\n" + // loopback
		"   2: " + word(192, 168, 7, 1) + ":01BB " + word(10, 0, 0, 1) + ":9000 01 0 0\n" // established
	var ports []uint16
	serves := func(n uint16) { ports = append(ports, n) }
	if err := parseSockets(strings.NewReader(tcp), ownline.TCP, serves); err != nil || !slices.Equal(ports, []uint16{22}) {
		t.Errorf("parseSockets(tcp) = %v, %v, want 22", ports, err)
	}
	mapped := "00000000" + "00000000" + word(0, 0, 0xff, 0xff) + word(127, 0, 0, 1)
	udp6 := heading + "  10: " + zero + ":0035 " + zero + ":0000 07 0 0\n  11: " + mapped + ":0036 " + zero + ":0000 07 0 0\n"
	ports = nil
	if err := parseSockets(strings.NewReader(udp6), ownline.UDP, serves); err != nil || !slices.Equal(ports, []uint16{53}) {
		t.Errorf("parseSockets(udp6) = %v, %v, want 53", ports, err)
	}
}

// A router with many connections has many lines about them, which are neither read nor kept.
func TestManyConnections(t *testing.T) {
	const line = "   1: 0100007F:01BB 0100007F:9000 06 00000000:00000000 03:00000F2F 00000000     0        0 0 3 0000000000000000\n"
	listens := "  sl  local_address rem_address   st\n   0: 00000000:0016 00000000:0000 0A 0 0\n"
	r := &endless{line: line, Reader: strings.NewReader(listens)}
	var ports []uint16
	if err := parseSockets(r, ownline.TCP, func(n uint16) { ports = append(ports, n) }); err != nil || !slices.Equal(ports, []uint16{22}) {
		t.Errorf("%v, %v", ports, err)
	}
	if r.read > 64<<10 {
		t.Errorf("%d bytes were read", r.read)
	}
	udp := strings.Repeat(line, 1000) + "   0: 00000000:0035 00000000:0000 07 0 0\n" // these stand anywhere
	ports = nil
	if err := parseSockets(strings.NewReader(udp), ownline.UDP, func(n uint16) { ports = append(ports, n) }); err != nil || !slices.Equal(ports, []uint16{53}) {
		t.Errorf("%v, %v", ports, err)
	}
}

// endless says a line again and again behind what it begins with.
type endless struct {
	*strings.Reader
	line string
	read int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.Len() == 0 {
		e.Reset(e.line)
	}
	n, err := e.Reader.Read(p)
	if e.read += n; e.read > 1<<20 {
		return 0, errors.New("too much was read")
	}
	return n, err
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("a 00000000 01020304 0 0 0 0 00000000\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		none := func(netip.Addr) {}
		_ = parseRoutes4(bytes.NewReader(b), none)
		_ = parseRoutes6(bytes.NewReader(b), none)
		_ = parseSockets(bytes.NewReader(b), ownline.TCP, func(n uint16) {
			if n == 0 {
				t.Error("port 0 is served by nobody")
			}
		})
	})
}
