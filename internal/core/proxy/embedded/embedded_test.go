package embedded_test

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"runtime/metrics"
	"sync"
	"testing"

	"github.com/ownline/ownline/internal/core/proxy"
	"github.com/ownline/ownline/internal/core/proxy/embedded"
	"github.com/ownline/ownline/internal/core/proxy/login"
	"github.com/ownline/ownline/internal/core/proxy/proxytest"
)

var (
	client    = netip.MustParseAddr("127.0.0.2")
	neighbour = netip.MustParseAddr("127.0.0.3")
	inside    = netip.MustParseAddr("127.0.0.1")
)

// world starts a proxy on the loopback interface, where every address of 127/8 can be a
// source.
func world(t testing.TB, change ...func(*embedded.Config)) proxytest.World {
	t.Helper()
	authority, door := proxytest.NewAuthority(t), proxytest.NewDoor()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := netip.MustParseAddrPort(l.Addr().String())
	logins := login.New(slog.New(slog.DiscardHandler))
	l.Close()
	c := embedded.Config{
		Settings: proxy.Settings{Domain: "home.example", Port: at.Port()}, Listen: []netip.AddrPort{at},
		Certificates: proxytest.Wildcard{Cert: authority.Issue("*.home.example")}, Admit: door.Admit,
		Logins: logins, Logger: slog.New(slog.DiscardHandler),
	}
	for _, f := range change {
		f(&c)
	}
	s, err := embedded.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var over sync.WaitGroup
	over.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		over.Wait()
	})
	return proxytest.World{
		Settings: c.Settings, Driver: s, Door: door, Roots: authority.Roots(), Client: client, Neighbour: neighbour, Inside: inside,
		Logins: logins, Memory: heap,
		Dial: func(ctx context.Context, from netip.Addr) (net.Conn, error) {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: from.AsSlice()}}
			return d.DialContext(ctx, "tcp", at.String())
		},
	}
}

func TestContract(t *testing.T) {
	proxytest.Contract(t, func(t *testing.T, test func(t *testing.T, w proxytest.World)) { test(t, world(t)) })
}

func TestLoad(t *testing.T) {
	proxytest.Load(t, func(t *testing.T, test func(t *testing.T, w proxytest.World)) { test(t, world(t)) })
}

// heap is what the collector has last left of everything, the test's own ends too, which are small. What
// a whole core takes is measured in test/e2e.
func heap() int64 {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	return int64(live[0].Value.Uint64())
}
