package nft_test

import (
	"context"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/nft"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
)

// shapedDoor is a bed with the filter in front of a socket at the port of fwknop's clients.
func shapedDoor(t *testing.T, spare int) (*bed.Bed, *nft.Driver, *atomic.Int64, netip.AddrPort) {
	t.Helper()
	b := bedtest.New(t)
	d := newDriver(t, b.Router, nft.Config{})
	with := settings
	with.Fwknop = firewall.Shape{Port: 62201, Min: 183, Max: 399, FirstBits: []firewall.Bits{{Mask: 0xfe, Value: '8'}}, Spare: spare}
	sync(t, d, ruleset(with))
	u, err := b.Router.ListenUDP(netip.AddrPortFrom(netip.IPv6Unspecified(), with.Fwknop.Port))
	if err != nil {
		t.Fatal(err)
	}
	var honest atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 500)
		for {
			n, _, err := u.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if strings.HasPrefix(string(buf[:n]), "9honest") {
				honest.Add(1)
			}
		}
	}()
	t.Cleanup(func() { _ = u.Close(); <-done })
	return b, d, &honest, netip.AddrPortFrom(b.Router.IPv4, with.Fwknop.Port)
}

// flood has the stranger forge packets until the end of the test.
func flood(t *testing.T, b *bed.Bed, to netip.AddrPort, source func(uint32) netip.Addr) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := b.Stranger.Forge(ctx, bed.Forgery{To: to, Payloads: [][]byte{shapedPacket("8garbage")}, Source: source, Rate: 20_000})
		done <- err
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func shapedPacket(begin string) []byte { return []byte(begin + strings.Repeat("A", 225-len(begin))) }

// Invariants 1 and 11: whoever floods the port of fwknop's clients, from one address or from some
// hundred that are not his own, uses up nothing of what other addresses have.
func TestSharesAreKept(t *testing.T) {
	b, d, honest, at := shapedDoor(t, 1)
	addrs := []netip.Addr{b.Client1.IPv4s[0], b.Client1.IPv4s[1], b.Client2.IPv4}
	flood(t, b, at, func(r uint32) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(r % 200)}) })
	limited := func(n uint64) {
		t.Helper()
		for end := time.Now().Add(patience); knocks(t, d).Limited < n; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("counted %+v", knocks(t, d))
			}
		}
	}
	limited(2000) // the shares of the forged sources are used up, and what is spare
	const each = 5
	for range each {
		for _, a := range addrs {
			if err := b.Client1.SpoofUDP(netip.AddrPortFrom(a, 0), at, shapedPacket("9honest")); err != nil {
				t.Fatal(err)
			}
		}
	}
	// By chance, a few of a hundred runs have one address share its place with one of the 200.
	for end := time.Now().Add(patience); honest.Load() < int64(each*(len(addrs)-1)); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d of %d packets came", honest.Load(), each*len(addrs))
		}
	}
	// One source has no more than its share.
	passed := knocks(t, d).Passed
	began := time.Now()
	conn, err := b.Client2.Dial("udp", at, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for range 500 {
		if _, err := conn.Write(shapedPacket("9honest")); err != nil {
			t.Fatal(err)
		}
	}
	limited(knocks(t, d).Limited + 100)
	most := 5 + 202*(1+uint64(time.Since(began)/time.Second)) // of each source that is there, one a second
	if n := knocks(t, d).Passed - passed; n > most {
		t.Errorf("%d more packets came, want at most %d", n, most)
	}
}

// Who knows an address and forges it can't shut it out: its packets have their chance at what is spare.
func TestForgedAddressIsNotShutOut(t *testing.T) {
	b, d, honest, at := shapedDoor(t, 5000)
	flood(t, b, at, func(uint32) netip.Addr { return b.Client1.IPv4 })
	conn, err := b.Client1.Dial("udp", at, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for end := time.Now().Add(patience); honest.Load() < 3 || knocks(t, d).Limited < 1000; time.Sleep(10 * time.Millisecond) {
		if _, err := conn.Write(shapedPacket("9honest")); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(end) {
			t.Fatalf("%d packets came, counted %+v", honest.Load(), knocks(t, d))
		}
	}
}
