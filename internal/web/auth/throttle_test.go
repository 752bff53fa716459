package auth

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

var (
	home     = netip.MustParseAddr("198.51.100.7")
	stranger = netip.MustParseAddr("203.0.113.9")
)

// guesser makes tries that fail, one after another.
type guesser struct{ throttle }

func (g *guesser) fails(t *testing.T, account string, from netip.Addr, known bool) error {
	try, err := g.enter(t.Context(), account, from, known)
	if err == nil {
		try.wrong()
	}
	return err
}

func (g *guesser) fail(t *testing.T, account string, from netip.Addr, known bool) {
	t.Helper()
	if err := g.fails(t, account, from, known); err != nil {
		t.Fatal(err)
	}
}

func (g *guesser) succeed(t *testing.T, account string, from netip.Addr, known bool) {
	t.Helper()
	try, err := g.enter(t.Context(), account, from, known)
	if err != nil {
		t.Fatal(err)
	}
	try.right()
}

func TestAddressWaitsEverLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var th guesser
		for range freeTries {
			th.fail(t, "ana", stranger, false)
		}
		for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900} {
			want *= time.Second
			err := th.fails(t, "bob", stranger, false)
			throttled, ok := errors.AsType[*ThrottledError](err)
			if !ok || !errors.Is(err, ownline.ErrThrottled) || throttled.RetryAfter != want {
				t.Fatalf("got %v, want to wait %s", err, want)
			}
			time.Sleep(want - 1)
			if th.fails(t, "bob", stranger, false) == nil {
				t.Fatalf("let in before %s", want)
			}
			time.Sleep(time.Nanosecond)
			if err := th.fails(t, fmt.Sprint("other", want), stranger, false); err != nil {
				t.Fatalf("after %s: %v", want, err)
			}
		}
		// The whole IPv4 address, not the port; a neighbour is not slowed.
		if err := th.fails(t, "carl", home, false); err != nil {
			t.Error(err)
		}
		time.Sleep(forgetAfter + 1)
		if err := th.fails(t, "dora", stranger, false); err != nil {
			t.Errorf("after an hour: %v", err)
		}
	})
}

// Many strangers guess at one account: its owner gets in without waiting from where they
// signed in before, and within seconds from elsewhere.
func TestNobodyIsLockedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var th guesser
		for i := range 1000 {
			addr := netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)})
			for range 3 {
				go th.fails(t, "Ana", addr, false)
			}
		}
		synctest.Wait()
		start := time.Now()
		if err := th.fails(t, "ana", home, true); err != nil || time.Since(start) > 0 {
			t.Errorf("from home: %v after %s", err, time.Since(start))
		}
		if err := th.fails(t, "ana", netip.MustParseAddr("192.0.2.1"), false); err != nil || time.Since(start) != maxSlow {
			t.Errorf("from elsewhere: %v after %s", err, time.Since(start))
		}
		synctest.Wait()
	})
}

func TestKnownPlaceIsThrottledForItsAccountOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var th guesser
		for range freeTries {
			th.fail(t, "ana", home, true)
		}
		if err := th.fails(t, "ana", home, true); !errors.Is(err, ownline.ErrThrottled) {
			t.Errorf("guessing from a known place goes on: %v", err)
		}
		if err := th.fails(t, "bob", home, true); err != nil {
			t.Errorf("bob at the same place: %v", err)
		}
		time.Sleep(time.Second)
		th.succeed(t, "ana", home, true)
		if err := th.fails(t, "ana", home, true); err != nil {
			t.Errorf("after signing in: %v", err)
		}
	})
}

// Whoever has an account can't wash the guesses at another one away by signing in.
func TestSuccessTakesBackOnlyItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var th guesser
		for range freeTries - 1 {
			_ = th.fails(t, "ana", stranger, false)
		}
		th.succeed(t, "mallory", stranger, false)
		th.fail(t, "ana", stranger, false)
		if th.fails(t, "ana", stranger, false) == nil {
			t.Error("guessing goes on")
		}
	})
}

func TestThrottleStaysSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var th guesser
		for range 3 * freeTries {
			_ = th.fails(t, "guilty", stranger, false)
			time.Sleep(time.Minute)
		}
		for i := range 2 * maxRemembers {
			th.mu.Lock()
			th.accounts.at(spot{account: fmt.Sprint(i)}, time.Now()).fail(time.Now())
			th.mu.Unlock()
		}
		if n := len(th.accounts.m); n > maxRemembers {
			t.Errorf("%d accounts remembered", n)
		}
		if r := th.accounts.m[spot{account: "guilty"}]; r == nil || r.count == 0 {
			t.Error("a flood washed away who was guessed at")
		}
	})
}
