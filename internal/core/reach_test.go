package core

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

func TestReach(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := netip.MustParseAddrPort(l.Addr().String())
	everywhere := commands{&Core{host: &host{cfg: config.Core{LocalNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}}}
	if r, err := everywhere.Reach(t.Context(), target); err != nil || r.Failure != "" || r.Took <= 0 {
		t.Errorf("what listens: %+v, %v", r, err)
	}
	nowhere := commands{&Core{host: &host{cfg: config.Core{LocalNetworks: []netip.Prefix{netip.MustParsePrefix("192.168.7.0/24")}}}}}
	if _, err := nowhere.Reach(t.Context(), target); !errors.Is(err, ownline.ErrInvalid) {
		t.Errorf("outside of the LAN: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := everywhere.Reach(gone, target); !errors.Is(err, context.Canceled) {
		t.Errorf("when nobody waits any more: %+v, %v", r, err)
	}
	l.Close()
	if r, err := everywhere.Reach(t.Context(), target); err != nil || r.Failure != link.ReachRefused {
		t.Errorf("where nothing listens: %+v, %v", r, err)
	}
	if _, err := everywhere.Reach(t.Context(), netip.AddrPort{}); !errors.Is(err, ownline.ErrInvalid) {
		t.Errorf("nothing: %v", err)
	}
}
