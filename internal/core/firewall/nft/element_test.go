package nft

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/ownline"
)

func TestKeys(t *testing.T) {
	for name, tc := range map[string]struct {
		forward      firewall.Forward
		source, live []byte
	}{
		"IPv4": {
			firewall.Forward{
				Key:    firewall.Key{Source: netip.MustParsePrefix("198.51.100.7/32"), Transport: ownline.TCP, Port: 0x1234},
				Target: netip.MustParseAddrPort("192.168.7.10:22"),
			},
			[]byte{198, 51, 100, 7, 6, 0, 0, 0, 0x12, 0x34, 0, 0},
			[]byte{198, 51, 100, 7, 6, 0, 0, 0, 192, 168, 7, 10, 0, 22, 0, 0, 0x12, 0x34, 0, 0},
		},
		"IPv6": {
			firewall.Forward{
				Key:    firewall.Key{Source: netip.MustParsePrefix("2001:db8:1:2::/64"), Transport: ownline.UDP, Port: 0x1234},
				Target: netip.MustParseAddrPort("[fd00::1]:53"),
			},
			[]byte{0x20, 1, 0xd, 0xb8, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 0, 0x12, 0x34, 0, 0},
			[]byte{
				0x20, 1, 0xd, 0xb8, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 0,
				0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 53, 0, 0, 0x12, 0x34, 0, 0,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			source, live := mapKey(tc.forward.Key), liveKey(tc.forward.Key, tc.forward.Target)
			if !bytes.Equal(source, tc.source) || !bytes.Equal(live, tc.live) {
				t.Errorf("keys\n%v\n%v; want\n%v\n%v", source, live, tc.source, tc.live)
			}
			if k, ok := parseMapKey(source, 64); !ok || k != tc.forward.Key {
				t.Errorf("read %v, %v", k, ok)
			}
			if k, target, ok := parseLiveKey(live, 64); !ok || k != tc.forward.Key || target != tc.forward.Target {
				t.Errorf("read %v, %v, %v", k, target, ok)
			}
			if target, ok := parseMapValue(mapValue(tc.forward.Target)); !ok || target != tc.forward.Target {
				t.Errorf("read %v, %v", target, ok)
			}
		})
	}
}

func TestMilliseconds(t *testing.T) {
	now := time.Now()
	for left, want := range map[time.Duration]uint64{
		-time.Second: 0, 0: 0, 1: 1, time.Millisecond: 1, time.Millisecond + 1: 2, time.Hour: 3600_000,
	} {
		if got := milliseconds(now.Add(left), now); got != want {
			t.Errorf("milliseconds of %s = %d, want %d", left, got, want)
		}
	}
}

// A key that can be read is written the same way: one encoding for each value.
func FuzzLiveKey(f *testing.F) {
	f.Add(make([]byte, 20), 64)
	f.Add(make([]byte, 44), 56)
	f.Add([]byte{198, 51, 100, 7, 6, 0, 0, 0, 192, 168, 7, 10, 0, 22, 0, 0, 0x12, 0x34, 0, 0}, 64)
	f.Fuzz(func(t *testing.T, b []byte, prefix6 int) {
		prefix6 = 48 + max(prefix6, -prefix6, 0)%81
		k, target, ok := parseLiveKey(b, prefix6)
		if !ok {
			return
		}
		again := liveKey(k, target)
		k2, target2, ok := parseLiveKey(again, prefix6)
		if !ok || k2 != k || target2 != target {
			t.Errorf("%v becomes %v %v, then %v %v", b, k, target, k2, target2)
		}
	})
}
