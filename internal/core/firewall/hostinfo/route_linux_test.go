package hostinfo_test

import (
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall/hostinfo"
	"github.com/ownline/ownline/test/bed/bedtest"
)

func TestMain(m *testing.M) { bedtest.Main(m) }

// Where packets go is what the kernel says: by routes, by policies that go by who sends them, and whether they seem forged.
func TestRoute(t *testing.T) {
	// What it would answer by another interface, it takes for forged.
	b := bedtest.New(t)
	if err := b.Router.Sysctl("net/ipv4/conf/wan0/rp_filter", "1"); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		change string
		want   error
	}{{"true", nil}, {"ip route add " + b.Client1.IPv4.String() + " dev lan0", unix.EXDEV}} {
		if err := b.Router.Run(b.Router.Command(t.Context(), "sh", "-ec", tc.change)); err != nil {
			t.Fatalf("%s: %v", tc.change, err)
		}
		err := b.Router.Do(func() error { _, err := hostinfo.Route("wan0", b.Client1.IPv4, b.Lan.IPv4); return err })
		if !errors.Is(err, tc.want) && !(tc.want != nil && errors.Is(err, unix.EINVAL)) { // which newer kernels say
			t.Errorf("%s: %v, want %v", tc.change, err, tc.want)
		}
	}
	for change, want := range map[string]struct {
		there, back string // or the errors
	}{
		"true": {"lan0", "wan0"},
		"ip route add unreachable 192.168.7.10; ip -6 route add unreachable fd00:7::10":                      {unix.EHOSTUNREACH.Error(), "wan0"},
		"ip route add blackhole 192.168.7.10; ip -6 route add blackhole fd00:7::10":                          {unix.EINVAL.Error(), "wan0"},
		"ip route add prohibit 192.168.7.10; ip -6 route add prohibit fd00:7::10":                            {unix.EACCES.Error(), "wan0"},
		"for f in -4 -6; do ip $f rule add iif lan0 table 7; ip $f route add default dev lan0 table 7; done": {"lan0", "lan0"},
		"for f in -4 -6; do ip $f rule add iif wan0 prohibit; done":                                          {unix.EACCES.Error(), "wan0"},
	} {
		b := bedtest.New(t)
		cmd := b.Router.Command(t.Context(), "sh", "-ec", change)
		if err := b.Router.Run(cmd); err != nil {
			t.Fatalf("%s: %v", change, err)
		}
		for _, of := range [][2]netip.Addr{{b.Client1.IPv4, b.Lan.IPv4}, {b.Client1.IPv6, b.Lan.IPv6}} {
			asked := func(in string, from, to netip.Addr) (said string) {
				if err := b.Router.Do(func() (err error) { said, err = hostinfo.Route(in, from, to); return err }); err != nil {
					return err.Error()
				}
				return said
			}
			if got := asked("wan0", of[0], of[1]); got != want.there {
				t.Errorf("%s: to %s it goes by %q, want %q", change, of[1], got, want.there)
			}
			if got := asked("", netip.Addr{}, of[0]); got != "wan0" {
				t.Errorf("%s: from here to %s it goes by %q", change, of[0], got)
			}
			if got := asked("lan0", of[1], of[0]); got != want.back {
				t.Errorf("%s: to %s it goes by %q, want %q", change, of[0], got, want.back)
			}
		}
	}
}
