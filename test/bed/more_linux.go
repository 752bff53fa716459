package bed

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// AddHost adds a host that no cable leads to yet. forwards says whether it passes on packets
// that are not for it. IPv4 and IPv6 become those of the first cable that brings both.
func (b *Bed) AddHost(name string, forwards bool) (*Host, error) {
	ns, err := newNamespace(name)
	if err != nil {
		return nil, err
	}
	h := &Host{Name: name, bed: b, ns: ns}
	if err := b.own(ns.close); err != nil {
		return nil, err
	}
	return h, h.prepare(forwards)
}

// Plug lays a cable to another host, whose interface has the addresses and default routes there.
func (h *Host) Plug(link string, at []netip.Prefix, other *Host, otherLink string, there []netip.Prefix, gateways ...netip.Addr) error {
	err := h.plug(end{link: link, addrs: at}, other, end{link: otherLink, addrs: there, gateway: gateways})
	h.settle()
	other.settle()
	return err
}

// settle has the first addresses count where none do yet.
func (h *Host) settle() {
	if !h.IPv4.IsValid() && len(h.IPv4s) > 0 {
		h.IPv4 = h.IPv4s[0]
	}
	if !h.IPv6.IsValid() && len(h.IPv6s) > 0 {
		h.IPv6 = h.IPv6s[0]
	}
}

// Switch makes interfaces of the host ports of one switch, by the name given, which takes addresses
// itself: its hosts are neighbours then, as in a LAN. Ports should have none.
func (h *Host) Switch(name string, addrs []netip.Prefix, ports ...string) error {
	err := h.ns.netlink(func(nl *netlink.Handle) error {
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name}}
		if err := nl.LinkAdd(bridge); err != nil {
			return err
		}
		for _, port := range ports {
			l, err := nl.LinkByName(port)
			if err != nil {
				return err
			}
			if err := nl.LinkSetMaster(l, bridge); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s: make switch %s: %w", h.Name, name, err)
	}
	if err := h.dress(end{link: name, addrs: addrs}); err != nil {
		return err
	}
	// A switch does not look into packets, as br_netfilter would where it is loaded.
	for _, family := range []string{"iptables", "ip6tables"} {
		if err := h.Sysctl("net/bridge/bridge-nf-call-"+family, "0"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	h.settle()
	return nil
}
