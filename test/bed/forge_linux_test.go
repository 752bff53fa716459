package bed_test

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
)

func TestForge(t *testing.T) {
	b := bedtest.New(t)
	u, err := b.Router.ListenUDP(netip.AddrPortFrom(b.Router.IPv4, 0))
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	sources := []netip.Addr{netip.MustParseAddr("11.1.2.3"), b.Client1.IPv4}
	payloads := []string{"a", "longer than that"}
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	type result struct {
		sent uint64
		err  error
	}
	done := make(chan result, 1)
	go func() {
		n, err := b.Stranger.Forge(ctx, bed.Forgery{
			To: u.LocalAddr().(*net.UDPAddr).AddrPort(), Payloads: [][]byte{[]byte(payloads[0]), []byte(payloads[1])},
			Source: func(r uint32) netip.Addr { return sources[r%2] }, Senders: 2, Rate: 1000,
		})
		done <- result{n, err}
	}()
	seen := map[string]int{}
	buf := make([]byte, 100)
	for len(seen) < 4 {
		n, from, err := u.ReadFromUDPAddrPort(buf)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(sources, from.Addr()) || !slices.Contains(payloads, string(buf[:n])) {
			t.Fatalf("%q came from %s", buf[:n], from)
		}
		seen[from.Addr().String()+string(buf[:n])]++
	}
	stop()
	if r := <-done; r.err != nil || r.sent < 4 {
		t.Errorf("%d sent, %v", r.sent, r.err)
	}
}

func TestEverybody(t *testing.T) {
	for i := range uint32(100_000) {
		if a := bed.Everybody(i * 42949); a.IsPrivate() || a.IsLoopback() || a.IsMulticast() || a.IsUnspecified() {
			t.Fatalf("%s is nobody's", a)
		}
	}
}
