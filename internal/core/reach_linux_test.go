package core

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed/bedtest"
)

func TestMain(m *testing.M) { bedtest.Main(m) }

// A host is there that refuses packets, however it says so; it is not where nobody is, or no way leads.
func TestAbsent(t *testing.T) {
	b := bedtest.New(t)
	lan := func(what string) {
		t.Helper()
		if err := b.Lan.Run(b.Lan.Command(t.Context(), "sh", "-ec", what)); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	router := func(what string) {
		t.Helper()
		if err := b.Router.Run(b.Router.Command(t.Context(), "sh", "-ec", what)); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	asked := func(ctx context.Context, a netip.Addr) (failure string) {
		t.Helper()
		if err := b.Router.Do(func() error { failure = answers(ctx, ownline.UDP, netip.AddrPortFrom(a, 53)); return nil }); err != nil {
			t.Fatal(err)
		}
		return failure
	}
	lan("nft 'add table inet host; add chain inet host i { type filter hook input priority 0; }'")
	for _, answer := range []string{
		"icmp type port-unreachable", "icmp type admin-prohibited", "icmp type host-prohibited", "icmp type net-prohibited",
		"icmpv6 type port-unreachable", "icmpv6 type admin-prohibited",
	} {
		a := b.Lan.IPv4
		if answer[4] == 'v' {
			a = b.Lan.IPv6
		}
		lan("nft 'flush chain inet host i; add rule inet host i udp dport 9 reject with " + answer + "'")
		if got := asked(t.Context(), a); got != "" {
			t.Errorf("a host that answers with %s: %q", answer, got)
		}
	}
	lan("nft 'flush chain inet host i; add rule inet host i udp dport 9 drop'")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if began, got := time.Now(), asked(ctx, b.Lan.IPv4); got != "" || time.Since(began) >= neighbourPatience {
		t.Errorf("a silent host: %q after %s, though nobody waits for it", got, time.Since(began))
	}
	router("for f in 4 6; do echo 50 >/proc/sys/net/ipv$f/neigh/lan0/retrans_time_ms; done")
	nobody := []netip.Addr{netip.MustParseAddr("192.168.7.99"), netip.MustParseAddr("fd00:7::99")}
	for _, a := range nobody {
		if got := asked(t.Context(), a); got != link.ReachNoRoute {
			t.Errorf("nobody at %s: %q", a, got)
		}
	}
	router("ip route add unreachable 192.168.7.99; ip -6 route add unreachable fd00:7::99")
	for _, a := range nobody {
		if got := asked(t.Context(), a); got != link.ReachNoRoute {
			t.Errorf("no way to %s: %q", a, got)
		}
	}
}
