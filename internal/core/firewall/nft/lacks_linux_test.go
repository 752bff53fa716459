package nft_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/netlink"
	"github.com/ownline/ownline/internal/core/firewall/nft"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
)

// A kernel that lacks an expression of the filter of knocks refuses the whole table. Sessions open all
// the same, with as much of the filter as it takes, and log and driver say what is missing.
func TestKernelLacksFilter(t *testing.T) {
	hint := [8]byte{1, 2, 3, 4, 5, 6, 7, 8}
	for _, tc := range []struct {
		lacks, says string
		filters     bool
	}{
		{"hash", "no fair limit", true},
		{"notrack", "no filter", false},
	} {
		t.Run(tc.lacks, func(t *testing.T) {
			b := bedtest.New(t)
			servers(t, b)
			var log bytes.Buffer
			d := newDriver(t, b.Router, nft.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			d.Lack(tc.lacks)
			with := settings
			with.Fwknop = firewall.Shape{Port: 62201, Min: 183, Max: 399, FirstBits: []firewall.Bits{{Mask: 0xfe, Value: '8'}}, Spare: 1}
			f := forward(b.Client1.IPv4, ownline.TCP, 2222, netip.AddrPortFrom(b.Lan.IPv4, bed.EchoPort), time.Hour)
			want := ruleset(with, f)
			want.Hints = []firewall.Hint{{Value: hint, Until: time.Now().Add(time.Hour)}}
			sync(t, d, want)

			if err := d.Lacks(); err == nil || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), "no such file") {
				t.Errorf("lacks %v, want it to say %q and the kernel's reason", err, tc.says)
			}
			if !strings.Contains(log.String(), tc.says) {
				t.Errorf("the log is silent:\n%s", &log)
			}
			if d.Filters() != tc.filters {
				t.Errorf("filters %v, want %v", d.Filters(), tc.filters)
			}
			at := netip.AddrPortFrom(b.Router.IPv4, 2222)
			if st := b.Client1.ConnectTCP(at, patience).State; st != bed.Open {
				t.Errorf("the session is %v", st)
			}
			if st := b.Client2.ConnectTCP(at, silence).State; st == bed.Open {
				t.Error("open for a neighbour")
			}

			// What knocks reach the socket, and what else does.
			heard := func(port uint16, payload []byte) bool {
				t.Helper()
				u, err := b.Router.ListenUDP(netip.AddrPortFrom(b.Router.IPv4, port))
				if err != nil {
					t.Fatal(err)
				}
				defer u.Close()
				from, err := b.Client2.Dial("udp", netip.AddrPortFrom(b.Router.IPv4, port), patience)
				if err != nil {
					t.Fatal(err)
				}
				defer from.Close()
				if _, err := from.Write(payload); err != nil {
					t.Fatal(err)
				}
				_ = u.SetReadDeadline(time.Now().Add(silence))
				n, err := u.Read(make([]byte, 2000))
				return err == nil && n == len(payload)
			}
			bad := hint
			bad[0]++
			for name, c := range map[string]struct {
				port    uint16
				payload []byte
				want    bool
			}{
				"a knock":           {with.KnockPort, knockOf(hint), true},
				"garbage":           {with.KnockPort, knockOf(bad), !tc.filters},
				"a packet":          {with.Fwknop.Port, shapedPacket("8honest"), true},
				"no packet's shape": {with.Fwknop.Port, []byte("hello"), !tc.filters},
			} {
				ok := false
				for end := time.Now().Add(patience); ; { // what should come may be late
					if ok = heard(c.port, c.payload); ok || !c.want || time.Now().After(end) {
						break
					}
				}
				if ok != c.want {
					t.Errorf("%s comes to the socket: %v, want %v", name, ok, c.want)
				}
			}

			// Core starts anew, and others empty the ruleset: the same again, once.
			sync(t, d, want)
			if n := strings.Count(log.String(), "made the firewall table"); n != 1 {
				t.Errorf("the table was made %d times:\n%s", n, &log)
			}
			if err := d.Remove(t.Context()); err != nil {
				t.Fatal(err)
			}
			sync(t, d, want)
			change(t, d, nil, f.Key)
			if st := b.Client1.ConnectTCP(at, silence).State; st == bed.Open {
				t.Error("open after the session was closed")
			}
		})
	}
}

// What the table needs besides its filter is not left out: the error tells of it.
func TestKernelLacksMore(t *testing.T) {
	b := bedtest.New(t)
	d := newDriver(t, b.Router, nft.Config{})
	d.Lack("fib")
	for range 2 {
		if err := d.Sync(t.Context(), ruleset(settings)); err == nil || !strings.Contains(err.Error(), "no such file") {
			t.Fatalf("got %v, want the kernel's refusal", err)
		}
		if err := d.Lacks(); err != nil {
			t.Errorf("says that it works without the filter: %v", err)
		}
	}
	d.Lack("nosuchexpression")
	sync(t, d, ruleset(settings))
	if !d.Filters() || d.Lacks() != nil {
		t.Errorf("filters %v, lacks %v", d.Filters(), d.Lacks())
	}
}

// An error that may pass costs nobody the filter, and what the kernel once refused is tried again
// when the table is made anew.
func TestFilterComesBack(t *testing.T) {
	b := bedtest.New(t)
	var log bytes.Buffer
	d := newDriver(t, b.Router, nft.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	whole := func(when string, want bool) {
		t.Helper()
		if (d.Lacks() == nil) != want || !d.Filters() {
			t.Errorf("%s: filters %v, lacks %v", when, d.Filters(), d.Lacks())
		}
	}
	with := settings
	with.Fwknop = firewall.Shape{Port: 62201, Min: 183, Max: 399, FirstBits: []firewall.Bits{{Mask: 0xfe, Value: '8'}}, Spare: 1}
	d.Fail()
	if err := d.Sync(t.Context(), ruleset(with)); !errors.Is(err, unix.ERANGE) {
		t.Fatalf("got %v, want what the kernel said", err)
	}
	d.Lack("nosuchexpression")
	sync(t, d, ruleset(with))
	whole("after an error that passed", true)

	anew := func() {
		t.Helper()
		if err := d.Remove(t.Context()); err != nil {
			t.Fatal(err)
		}
		sync(t, d, ruleset(with))
	}
	d.Lack("hash")
	anew()
	whole("without hash", false)
	sync(t, d, ruleset(with))
	whole("and again", false)
	anew()
	if n := strings.Count(log.String(), "level=WARN"); n != 1 {
		t.Errorf("told %d times of the same:\n%s", n, &log)
	}
	if err := d.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.Fail()
	if err := d.Sync(t.Context(), ruleset(with)); !errors.Is(err, unix.ERANGE) {
		t.Fatalf("got %v, want what the kernel said", err)
	}
	d.Lack("nosuchexpression")
	sync(t, d, ruleset(with))
	whole("with hash", true)
}

func TestRefuses(t *testing.T) {
	for err, want := range map[error]bool{
		unix.ENOENT: true, unix.EOPNOTSUPP: true, unix.EINVAL: true,
		unix.ENOMEM: false, unix.ENOBUFS: false, unix.EAGAIN: false, unix.EINTR: false, unix.EPERM: false, unix.ERESTART: false, unix.EBUSY: false,
		netlink.ErrTooBig: false, errors.New("the kernel did not answer a batch"): false,
	} {
		if got := nft.Refuses(fmt.Errorf("message 3 of 9: %w", err)); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
	if nft.Refuses(nil) {
		t.Error("no error is one")
	}
}
