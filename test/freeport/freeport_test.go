package freeport

import (
	"net/netip"
	"testing"
)

// What a test has, nobody gets again until it ends. By chance alone, a hundred of these would
// be had twice.
func TestAddrAlone(t *testing.T) {
	t.Parallel()
	had := make(map[netip.AddrPort]bool)
	for range 2000 {
		at := Addr(t)
		if had[at] {
			t.Fatalf("%v is had twice", at)
		}
		had[at] = true
	}
}
