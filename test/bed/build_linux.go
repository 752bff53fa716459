package bed

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// build makes the hosts and their cables. What exists when it fails is left to Close.
func (b *Bed) build(ctx context.Context, p plan) error {
	byName := make(map[string]*Host)
	for i, name := range hostNames() {
		into := []**Host{&b.Internet, &b.Client1, &b.Client2, &b.Stranger, &b.Router, &b.Lan}[i]
		ns, err := newNamespace(name)
		if err != nil {
			return err
		}
		h := &Host{Name: name, bed: b, ns: ns}
		*into, byName[name] = h, h
		b.hosts = append(b.hosts, h)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	var g errgroup.Group
	for _, h := range b.hosts {
		g.Go(func() error { return h.prepare(forwards(h.Name)) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, c := range p.cables {
		near, far := byName[c.near.host], byName[c.far.host]
		if !p.lanRoute && far == b.Lan {
			c.far.gateway = nil
		}
		if err := near.plug(c.near, far, c.far); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	// The address that a cable's far end brought comes first: on the router that of wan0.
	for _, h := range b.hosts {
		if len(h.IPv4s) > 0 && len(h.IPv6s) > 0 {
			h.IPv4, h.IPv6 = h.IPv4s[0], h.IPv6s[0]
		}
	}
	return nil
}

// prepare sets what must be in place before a host has interfaces, since they inherit it,
// and brings loopback up.
func (h *Host) prepare(forwards bool) error {
	forward := "0"
	if forwards {
		forward = "1"
	}
	err := h.Do(func() error {
		for _, s := range [][2]string{
			// Addresses work at once: no duplicate address detection, no waiting for routers.
			{"net/ipv6/conf/all/disable_ipv6", "0"},
			{"net/ipv6/conf/default/disable_ipv6", "0"},
			{"net/ipv6/conf/all/accept_dad", "0"},
			{"net/ipv6/conf/default/accept_dad", "0"},
			{"net/ipv6/conf/default/dad_transmits", "0"},
			{"net/ipv6/conf/default/accept_ra", "0"},
			{"net/ipv6/conf/default/router_solicitations", "0"},
			{"net/ipv4/ip_forward", forward},
			{"net/ipv6/conf/all/forwarding", forward},
			{"net/ipv6/conf/default/forwarding", forward},
			// Losing its first address costs a host nothing else.
			{"net/ipv4/conf/all/promote_secondaries", "1"},
			{"net/ipv4/conf/default/promote_secondaries", "1"},
			// Distributions differ here; a test that wants it sets it.
			{"net/ipv4/conf/all/rp_filter", "0"},
			{"net/ipv4/conf/default/rp_filter", "0"},
			// Every ICMP error is sent, so that a probe's silence means silence.
			{"net/ipv4/icmp_ratemask", "0"},
			{"net/ipv6/icmp/ratelimit", "0"},
			{"net/ipv6/icmp/ratemask", "255"},
		} {
			if err := writeSysctl(s[0], s[1]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("prepare %s: %w", h.Name, err)
	}
	return h.SetLink("lo", true)
}

// plug lays a cable from one host to another.
func (h *Host) plug(at end, other *Host, there end) error {
	err := h.ns.netlink(func(nl *netlink.Handle) error {
		return nl.LinkAdd(&netlink.Veth{
			LinkAttrs:     netlink.LinkAttrs{Name: at.link},
			PeerName:      there.link,
			PeerNamespace: netlink.NsFd(other.ns.fd),
		})
	})
	if err != nil {
		if errors.Is(err, unix.EOPNOTSUPP) {
			err = fmt.Errorf("%w (the kernel needs the module veth: modprobe veth)", err)
		}
		return fmt.Errorf("join %s and %s: %w", h.Name, other.Name, err)
	}
	if err := h.dress(at); err != nil {
		return err
	}
	if other.Link == "" {
		other.Link = there.link
	}
	return other.dress(there)
}

// dress gives an interface its addresses and routes and brings it up.
func (h *Host) dress(e end) error {
	if err := h.SetLink(e.link, true); err != nil {
		return err
	}
	first := len(h.IPv6s)
	for _, p := range e.addrs {
		if p.Addr().Is6() {
			h.IPv6s = append(h.IPv6s, p.Addr())
			continue
		}
		h.IPv4s = append(h.IPv4s, p.Addr())
		if err := h.AddAddr(e.link, p); err != nil {
			return err
		}
	}
	// Among equals Linux takes the oldest IPv4 address as the source, but the newest of IPv6.
	for _, p := range slices.Backward(e.addrs) {
		if p.Addr().Is4() {
			continue
		}
		if err := h.AddAddr(e.link, p); err != nil {
			return err
		}
	}
	for _, gw := range e.gateway {
		r := netlink.Route{Dst: ipNet(netip.PrefixFrom(unspecified(gw), 0)), Gw: gw.AsSlice()}
		if gw.Is6() {
			r.Src = h.IPv6s[first].AsSlice() // also after AddAddr
		}
		if err := h.route("add", (*netlink.Handle).RouteAdd, r); err != nil {
			return err
		}
	}
	return nil
}

func unspecified(like netip.Addr) netip.Addr {
	if like.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// AddAddr gives an interface of the host one more address, usable at once. The host's fields
// stay as they are; From takes the new address.
func (h *Host) AddAddr(link string, p netip.Prefix) error {
	return h.onLink("add address "+p.String()+" to", link, func(nl *netlink.Handle, l netlink.Link) error {
		return nl.AddrAdd(l, &netlink.Addr{IPNet: ipNet(p), Flags: unix.IFA_F_NODAD})
	})
}

// DelAddr takes an address away.
func (h *Host) DelAddr(link string, p netip.Prefix) error {
	return h.onLink("remove address "+p.String()+" from", link, func(nl *netlink.Handle, l netlink.Link) error {
		return nl.AddrDel(l, &netlink.Addr{IPNet: ipNet(p)})
	})
}

// SetLink brings an interface up or down. Down, it loses its routes and its IPv6 addresses,
// as on any Linux host.
func (h *Host) SetLink(link string, up bool) error {
	if up {
		return h.onLink("bring up", link, (*netlink.Handle).LinkSetUp)
	}
	return h.onLink("bring down", link, (*netlink.Handle).LinkSetDown)
}

// AddRoute adds a route through a gateway.
func (h *Host) AddRoute(to netip.Prefix, via netip.Addr) error {
	return h.route("add", (*netlink.Handle).RouteAdd, netlink.Route{Dst: ipNet(to), Gw: via.AsSlice()})
}

// DelRoute removes a route through a gateway.
func (h *Host) DelRoute(to netip.Prefix, via netip.Addr) error {
	return h.route("remove", (*netlink.Handle).RouteDel, netlink.Route{Dst: ipNet(to), Gw: via.AsSlice()})
}

func (h *Host) route(verb string, change func(*netlink.Handle, *netlink.Route) error, r netlink.Route) error {
	if err := h.ns.netlink(func(nl *netlink.Handle) error { return change(nl, &r) }); err != nil {
		return fmt.Errorf("%s: %s route to %s via %s: %w", h.Name, verb, r.Dst, r.Gw, err)
	}
	return nil
}

func (h *Host) onLink(what, link string, change func(*netlink.Handle, netlink.Link) error) error {
	err := h.ns.netlink(func(nl *netlink.Handle) error {
		l, err := nl.LinkByName(link)
		if err != nil {
			return err
		}
		return change(nl, l)
	})
	if err != nil {
		return fmt.Errorf("%s: %s %s: %w", h.Name, what, link, err)
	}
	return nil
}

// Sysctl writes a setting of the host's network, by its path below /proc/sys: for example
// "net/ipv4/ip_forward". Only "net/…" belongs to a namespace, so anything else is refused.
func (h *Host) Sysctl(name, value string) error {
	err := h.Do(func() error { return writeSysctl(name, value) })
	if err != nil {
		return fmt.Errorf("%s: %w", h.Name, err)
	}
	return nil
}

// writeSysctl writes a setting of the calling thread's namespace.
func writeSysctl(name, value string) error {
	if filepath.Clean(name) != name || !strings.HasPrefix(name, "net/") {
		return fmt.Errorf("set %s: only settings below net/ belong to a host of the bed", name)
	}
	if err := os.WriteFile("/proc/sys/"+name, []byte(value), 0o644); err != nil {
		return fmt.Errorf("set %s to %s: %w", name, value, err)
	}
	return nil
}

// Fd returns the file descriptor of the host's network namespace, for libraries that make
// their own sockets in it. It stays the bed's: do not close it, and do not use it after
// Close. Libraries that enter the namespace and go back need root: in the user namespace of
// Enter there is no way back to the network outside. Calling them inside Do works always.
func (h *Host) Fd() int { return h.ns.fd }

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
