package core

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

func TestReach(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := netip.MustParseAddrPort(l.Addr().String())
	everywhere := func(netip.Addr) bool { return true }
	if r, err := reach(target, everywhere); err != nil || r.Failure != "" || r.Took <= 0 {
		t.Errorf("what listens: %+v, %v", r, err)
	}
	nowhere := func(netip.Addr) bool { return false }
	if _, err := reach(target, nowhere); !errors.Is(err, ownline.ErrInvalid) {
		t.Errorf("outside of the LAN: %v", err)
	}
	l.Close()
	if r, err := reach(target, everywhere); err != nil || r.Failure != link.ReachRefused {
		t.Errorf("where nothing listens: %+v, %v", r, err)
	}
	if _, err := reach(netip.AddrPort{}, everywhere); !errors.Is(err, ownline.ErrInvalid) {
		t.Errorf("nothing: %v", err)
	}
}
