//go:build !noproxy

package core

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/portmap"
	"github.com/ownline/ownline/internal/core/session"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// What the router in front does with a session's port is told, as a problem if that keeps somebody out.
func TestExplainsTheRouterInFront(t *testing.T) {
	ana, bob := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("198.51.100.8")
	until := time.Now().Add(time.Hour)
	for name, tc := range map[string]struct {
		port    *portmap.FrontPort
		down    uint64
		problem bool
		says    string
	}{
		"open to its source": {&portmap.FrontPort{Open: true, For: []netip.Addr{ana}, Until: until}, 0, false, "has port 20000/tcp open to 198.51.100.7 alone"},
		"open to several":    {&portmap.FrontPort{Open: true, For: []netip.Addr{ana, bob}, Until: until}, 0, false, "open to 198.51.100.7 and 1 more alone"},
		"open to everybody":  {&portmap.FrontPort{Open: true, Until: until}, 0, false, "open to everybody, as it can't be told who comes"},
		"refused":            {&portmap.FrontPort{Error: "the router refuses: no"}, 0, true, "does not open port 20000/tcp: the router refuses: no."},
		"forwarded by hand":  {&portmap.FrontPort{Error: "it does not answer"}, 5, false, "it does not answer. Packets of it got here all the same."},
		"of IPv6":            {nil, 0, false, "is not asked for port 20000/tcp, as it is asked for IPv4 alone"},
	} {
		e := explaining{Core: &Core{ports: &ports{portmap.New(portmap.Config{Protocol: ownline.AutoPorts})}}}
		s := &Explained{Listed: Listed{Session: session.Session{Session: link.Session{PublicPort: 20000, Transport: ownline.TCP}}, InFront: tc.port}}
		s.Traffic.DownPackets = tc.down
		e.inFront(s)
		got := append(e.Findings, e.notes...)
		if len(got) != 1 || got[0].Problem != tc.problem || got[0].Warning != (tc.down > 0) || !strings.Contains(got[0].Text, tc.says) || tc.problem != (got[0].Fix != "") {
			t.Errorf("%s: %+v", name, got)
		}
	}
	early := &ports{portmap.New(portmap.Config{Protocol: ownline.AutoPorts})}
	s := session.Session{Session: link.Session{Source: netip.PrefixFrom(ana, 32), PublicPort: 20000, Transport: ownline.TCP}}
	if got := early.of(&s); got == nil || got.Error != "it was not asked yet" {
		t.Errorf("before the first round, it says %+v", got)
	}
	e := explaining{Core: new(Core)}
	if e.inFront(new(Explained)); len(e.notes)+len(e.Findings) > 0 {
		t.Errorf("with no router in front, it says %+v", e.notes)
	}
}
