package proxy

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// Invariant 10: a service that could break another program's configuration, or leads out of the
// LAN, is left out, and named; the others are served.
func TestGood(t *testing.T) {
	lan := []netip.Prefix{netip.MustParsePrefix("192.168.7.0/24")}
	nas := link.Service{ID: ownline.NewID[ownline.Service](), Name: "nas", Target4: netip.MustParseAddrPort("192.168.7.10:80")}
	bad := func(edit func(*link.Service)) link.Service {
		s := nas
		s.ID, s.Name = ownline.NewID[ownline.Service](), "other"
		edit(&s)
		return s
	}
	for name, s := range map[string]link.Service{
		"a;}":         bad(func(s *link.Service) { s.Name = "a;}" }),
		"../x":        bad(func(s *link.Service) { s.Name = "../x" }),
		"quotes":      bad(func(s *link.Service) { s.Name = `a"b` }),
		"newline":     bad(func(s *link.Service) { s.Name = "a\nb" }),
		"long":        bad(func(s *link.Service) { s.Name = strings.Repeat("a", 300) }),
		"no id":       bad(func(s *link.Service) { s.ID = ownline.ServiceID{} }),
		"no target":   bad(func(s *link.Service) { s.Target4 = netip.AddrPort{} }),
		"no port":     bad(func(s *link.Service) { s.Target4 = netip.AddrPortFrom(s.Target4.Addr(), 0) }),
		"elsewhere":   bad(func(s *link.Service) { s.Target4 = netip.MustParseAddrPort("8.8.8.8:80") }),
		"the router":  bad(func(s *link.Service) { s.Target4 = netip.MustParseAddrPort("127.0.0.1:80") }),
		"one of two":  bad(func(s *link.Service) { s.Target6 = netip.MustParseAddrPort("[2001:db8::1]:80") }),
		"same name":   bad(func(s *link.Service) { s.Name = "nas" }),
		"same id":     bad(func(s *link.Service) { s.ID = nas.ID }),
		"doorstep":    bad(func(s *link.Service) { s.Name = ownline.Doorstep }),
		"broker":      bad(func(s *link.Service) { s.Name = ownline.BrokerName }),
		"its id":      bad(func(s *link.Service) { s.ID = ownline.DoorstepID }),
		"bad options": bad(func(s *link.Service) { s.Options.PathPrefix = "/a;b" }),
	} {
		good, err := Good([]link.Service{nas, s}, lan)
		if len(good) != 1 || good[0].Name != "nas" || err == nil {
			t.Errorf("%s: %d are served, %v", name, len(good), err)
		} else if len(err.Error()) > 500 || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the error is %q", name, err)
		}
	}
	if good, err := Good([]link.Service{nas}, lan); len(good) != 1 || err != nil {
		t.Errorf("%v, %v", good, err)
	}
}
