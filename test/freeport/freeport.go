// Package freeport picks ports on loopback for programs that have to be told where to listen,
// and for those that come back to where they listened.
//
// They lie below the range from which the system takes ports for connections and for
// listeners that name none. So nobody who works beside the test gets one while nobody
// listens there.
package freeport

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
)

const first, last = 12_000, 31_999 // Linux takes its own from 32768 on, others from 49152 on

// Addr returns an address of loopback that nobody listens on.
func Addr(t testing.TB) netip.AddrPort {
	t.Helper()
	return Addrs(t, 1)[0]
}

// Addrs returns n of them, no two the same.
func Addrs(t testing.TB, n int) []netip.AddrPort {
	t.Helper()
	var addrs []netip.AddrPort
	for range 100 * n {
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(first+rand.IntN(last-first+1)))
		l, err := net.Listen("tcp", at.String())
		if err != nil {
			continue // somebody has it
		}
		defer l.Close() // once all are found
		if addrs = append(addrs, at); len(addrs) == n {
			return addrs
		}
	}
	t.Fatal("there is no free port")
	return nil
}
