package watch

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// The kernel lets us listen, nothing is told when nothing happens, and it all ends with its context.
func TestTellers(t *testing.T) {
	for name, open := range map[string]func() (teller, error){"network": openNetwork, "sleep": openSleep} {
		teller, err := open()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- teller.run(ctx, func() {}) }()
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(30 * time.Second):
			t.Errorf("%s does not end", name)
		}
	}
}

func address(ip string, flags uint32) *rtnetlink.AddressMessage {
	return &rtnetlink.AddressMessage{Index: 2, Attributes: &rtnetlink.AddressAttributes{Address: net.ParseIP(ip), Flags: flags}}
}

func TestApply(t *testing.T) {
	w := ways{}
	local := address("fe80::1", 0)
	local.Scope = unix.RT_SCOPE_LINK
	route := func(length uint8, gateway string) *rtnetlink.RouteMessage {
		m := &rtnetlink.RouteMessage{Family: unix.AF_INET, DstLength: length, Type: unix.RTN_UNICAST, Table: unix.RT_TABLE_MAIN}
		m.Attributes.Gateway, m.Attributes.OutIface = net.ParseIP(gateway), 2
		return m
	}
	for i, step := range []struct {
		what    string
		kind    netlink.HeaderType
		message rtnetlink.Message
		changes bool
	}{
		{"an address", unix.RTM_NEWADDR, address("192.168.1.7", 0), true},
		{"its lifetime renewed", unix.RTM_NEWADDR, address("192.168.1.7", 0), false},
		{"of this link alone", unix.RTM_NEWADDR, local, false},
		{"not usable yet", unix.RTM_NEWADDR, address("2001:db8::7", unix.IFA_F_TENTATIVE), false},
		{"usable", unix.RTM_NEWADDR, address("2001:db8::7", 0), true},
		{"a way out", unix.RTM_NEWROUTE, route(0, "192.168.1.1"), true},
		{"renewed", unix.RTM_NEWROUTE, route(0, "192.168.1.1"), false},
		{"to a neighbour", unix.RTM_NEWROUTE, route(24, "192.168.1.9"), false},
		{"half of the internet", unix.RTM_NEWROUTE, route(1, "10.8.0.1"), true},
		{"another router", unix.RTM_NEWROUTE, route(0, "192.168.1.2"), true},
		{"gone", unix.RTM_DELROUTE, route(0, "192.168.1.1"), true},
		{"gone again", unix.RTM_DELROUTE, route(0, "192.168.1.1"), false},
		{"the address gone", unix.RTM_DELADDR, address("192.168.1.7", 0), true},
		{"what nobody knew gone", unix.RTM_DELADDR, address("192.168.1.8", 0), false},
		{"something else", unix.RTM_NEWLINK, &rtnetlink.LinkMessage{}, false},
	} {
		changes := w.apply(step.kind, step.message)
		if changes != step.changes {
			t.Errorf("%d, %s: changes %v, want %v", i, step.what, changes, step.changes)
		}
	}
}
