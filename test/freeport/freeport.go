// Package freeport picks ports on loopback for programs that have to be told where to listen,
// and for those that come back to where they listened.
//
// They lie below the range from which the system takes ports for connections and for
// listeners that name none, and a test that has one has it alone until it ends, however many
// test binaries run side by side. So nobody who works beside the test gets one while nobody
// listens there.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
)

const first, last = 12_000, 31_999 // Linux takes its own from 32768 on, others from 49152 on

// Addr returns an address of loopback that nobody listens on, and that no other test gets
// before this one has ended.
func Addr(t testing.TB) netip.AddrPort {
	t.Helper()
	for range 100 {
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(first+rand.IntN(last-first+1)))
		// A socket in Linux's abstract namespace stands for the claim: it belongs to the same
		// network namespace as the port, and goes with the process, whatever becomes of it.
		claim, err := net.Listen("unix", fmt.Sprintf("@ownline-test-port-%d", at.Port()))
		if err != nil {
			continue // another test has it
		}
		l, err := net.Listen("tcp", at.String())
		if err != nil {
			claim.Close()
			continue // somebody has it
		}
		l.Close()
		t.Cleanup(func() { claim.Close() })
		return at
	}
	t.Fatal("there is no free port")
	panic("unreachable")
}
