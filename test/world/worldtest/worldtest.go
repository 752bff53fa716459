// Package worldtest: what tests need to use a world.
package worldtest

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"testing"

	"github.com/pion/stun/v3"

	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
	"github.com/ownline/ownline/test/world"
)

// Main is the whole TestMain of a package whose tests use worlds: as bedtest.Main, and programs are
// built first.
func Main(m *testing.M, programs *world.Programs) {
	if err := bed.Enter(); err != nil {
		fmt.Fprintln(os.Stderr, "tests that need a bed will skip:", err)
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "ownline-world-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		if *programs, err = world.Build(context.Background(), dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

// New makes a world that ends with the test; one that fails is told what core and web say. Where no
// bed can be built, the test skips.
func New(t *testing.T, o world.Options) *world.World {
	t.Helper()
	bedtest.Need(t)
	w, err := world.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("core says:\n%s", Tail(w.Core.Log()))
			t.Logf("web says:\n%s", Tail(w.Web.Log()))
		}
		if err := w.Close(); err != nil {
			t.Errorf("close the world: %v", err)
		}
	})
	return w
}

// Tail is the end of a log.
func Tail(s string) string { return s[max(0, len(s)-6000):] }

// ServeSTUN tells who asks at an address of a host from where they come (RFC 8489), until the test ends.
func ServeSTUN(t *testing.T, host *bed.Host, at netip.AddrPort) {
	t.Helper()
	conn, err := host.ListenUDP(at)
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		conn.Close()
		serving.Wait()
	})
	serving.Go(func() {
		var buf [1500]byte
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf[:])
			if err != nil {
				return
			}
			ask := &stun.Message{Raw: buf[:n]}
			if ask.Decode() != nil {
				continue
			}
			is := &stun.XORMappedAddress{IP: from.Addr().Unmap().AsSlice(), Port: int(from.Port())}
			answer := stun.MustBuild(stun.NewTransactionIDSetter(ask.TransactionID), stun.BindingSuccess, is)
			_, _ = conn.WriteToUDPAddrPort(answer.Raw, from) // UDP promises nothing
		}
	})
}
