package watch

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Where nothing tells, it is seen within half a minute that the machine sends from another address, and that
// the clock went another way than the timers.
func TestPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // guards what follows
		var from [2]netip.Addr
		asleep := time.Duration(0)
		networks, wakes := 0, 0
		do := func(f func()) {
			mu.Lock()
			defer mu.Unlock()
			f()
		}
		p := poll{
			sources: func() (a [2]netip.Addr) { do(func() { a = from }); return a },
			wall:    func() (at time.Time) { do(func() { at = time.Now().Add(asleep) }); return at },
			network: func() { do(func() { networks++ }) }, woke: func() { do(func() { wakes++ }) },
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.run(ctx) }()
		check := func(what string, wantNetworks, wantWakes int) {
			t.Helper()
			time.Sleep(every + time.Second)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if networks != wantNetworks || wakes != wantWakes {
				t.Errorf("%s: told %d times of the network and %d times of sleep, want %d and %d", what, networks, wakes, wantNetworks, wantWakes)
			}
			networks, wakes = 0, 0
		}
		check("nothing", 0, 0)
		do(func() { from[0] = netip.MustParseAddr("192.168.1.7") })
		check("IPv4", 1, 0)
		do(func() { from[1] = netip.MustParseAddr("2001:db8:1::7") })
		check("IPv6", 1, 0)
		do(func() { from = [2]netip.Addr{} })
		check("gone", 1, 0)
		do(func() { asleep += time.Hour })
		check("slept", 0, 1)
		do(func() { asleep -= 2 * time.Hour })
		check("clock set back", 0, 1)
		do(func() { asleep += time.Second })
		check("clock set a little", 0, 0)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
