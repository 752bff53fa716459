package core

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/hostinfo"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// lookEvery is how old what is known of the host may get: addresses come and go with
// leases, and programs start to listen.
const lookEvery = 5 * time.Second

// host keeps what is known of the router, so that opening a session reads no files.
type host struct {
	cfg  config.Core
	own  []firewall.Port // that core listens on itself
	log  *slog.Logger
	v4   bool // the firewall's driver has nothing for IPv6
	seen atomic.Pointer[hostinfo.Host]
	// looked is called after every look, by Run.
	looked func()
}

func newHost(cfg config.Core, own []firewall.Port, log *slog.Logger) (*host, error) {
	h := &host{cfg: cfg, own: own, log: log, looked: func() {}}
	return h, h.look()
}

func (h *host) look() error {
	now, err := hostinfo.Read(h.cfg.Firewall.WANInterfaces)
	if err != nil {
		return err
	}
	if was := h.seen.Swap(&now); now.Misnamed && (was == nil || !was.Misnamed) {
		h.log.Warn("none of firewall.wan_interfaces is there: nothing is opened by them, and only private networks count as the LAN", "wan_interfaces", h.cfg.Firewall.WANInterfaces)
	}
	return nil
}

// Run looks again now and then.
func (h *host) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := h.look(); err != nil {
				h.log.Warn("what the router serves and its addresses can't be read", logging.Err, err)
			}
			h.looked()
		}
	}
}

// localNetworks are those of the configuration, else those found.
func (h *host) localNetworks() []netip.Prefix {
	if len(h.cfg.LocalNetworks) > 0 {
		return h.cfg.LocalNetworks
	}
	return h.seen.Load().Networks()
}

// inside reports whether an address is in a local network.
func (h *host) inside(a netip.Addr) bool {
	return slices.ContainsFunc(h.localNetworks(), func(p netip.Prefix) bool { return p.Contains(a) })
}

// gateways are those that are in a local network, as those of a box behind the provider's router. If that
// rewrites sources, the whole internet comes from there, so what does counts as inside only where
// local_networks names the very address.
func (h *host) gateways() (out []netip.Addr) {
	for _, g := range h.seen.Load().Gateways {
		if h.inside(g) && !slices.Contains(h.cfg.LocalNetworks, netip.PrefixFrom(g, g.BitLen())) && !slices.Contains(out, g) {
			out = append(out, g)
		}
	}
	return out
}

// enters reports whether whoever has an address reaches the proxy without a session.
func (h *host) enters(a netip.Addr) bool { return h.inside(a) && !slices.Contains(h.gateways(), a) }

// hairpins are those of what web wants that this router can have: into the network that a target is in, at
// ports that nobody here uses.
func (h *host) hairpins(want []link.Inside) (out []firewall.Hairpin) {
	rules := firewall.Rules{Reserved: h.reserved()}
	for _, w := range want {
		if rules.Taken(w.Transport, w.PublicPort) {
			continue
		}
		for _, target := range [...]netip.AddrPort{w.Target4, w.Target6} {
			// Networks as they are, not as local_networks may sum them up: between two, the router's own
			// rules decide.
			for _, n := range h.seen.Load().Networks() {
				if p := (firewall.Hairpin{Network: n, Transport: w.Transport, Port: w.PublicPort, Target: target}); p.Validate() == nil && h.inside(target.Addr()) {
					out = append(out, p)
				}
			}
		}
	}
	return out
}

// gateway4 is the IPv4 router in front of this one, zero if there is none.
func (h *host) gateway4() netip.Addr {
	for _, a := range h.seen.Load().Gateways {
		if a.Is4() {
			return a
		}
	}
	return netip.Addr{}
}

// lanAddresses are where web in the LAN can reach this router, IPv4 in front.
func (h *host) lanAddresses() []netip.Addr {
	var v4, v6 []netip.Addr
	for _, a := range h.seen.Load().LAN {
		if a.Addr.Is4() {
			v4 = append(v4, a.Addr)
		} else {
			v6 = append(v6, a.Addr)
		}
	}
	return append(v4, v6...)
}

func (h *host) reserved() []firewall.Port {
	ports := slices.Concat(h.own, h.seen.Load().Served)
	for _, n := range h.cfg.Firewall.ReservedPorts {
		ports = append(ports, firewall.Port{Number: n})
	}
	return ports
}

// admit judges a session by the router's rules, and says where it leads: a proxied one to the
// proxy.
func (h *host) admit(s link.Session, ipv6Prefix int, proxy firewall.Proxy) (link.Session, error) {
	now := h.seen.Load()
	rules := firewall.Rules{
		Own: now.Own, Gateways: now.Gateways, LocalNetworks: h.localNetworks(), IPv6Prefix: ipv6Prefix, Reserved: h.reserved(),
		// Without an address of any kind, such as the loopback's, there is none in the kernel.
		IPv4Only: h.v4 || !slices.ContainsFunc(now.Own, netip.Addr.Is6),
	}
	key := firewall.Key{Source: s.Source, Transport: s.Transport, Port: s.PublicPort}
	switch s.Kind {
	case ownline.Forward:
		if proxy.UDP && s.Transport == ownline.UDP && s.PublicPort == proxy.Port {
			return s, ownline.Conflict("public_port", fmt.Sprintf("%d/udp is the reverse proxy's, for HTTP/3; choose another port", proxy.Port))
		}
		return s, rules.Check(firewall.Forward{Key: key, Target: s.Target}, s.AllowReserved)
	case ownline.Proxy:
	default:
		return s, ownline.Invalid("kind", fmt.Sprintf("%q is neither forward nor proxy", s.Kind))
	}
	if proxy.Port == 0 {
		return s, ownline.Invalid("kind", "this router serves no names: see proxy.domain in its core.yaml")
	}
	if s.Transport != ownline.TCP || s.PublicPort != proxy.Port {
		return s, ownline.Invalid("public_port", fmt.Sprintf("proxied services are at %d/tcp, and nowhere else", proxy.Port))
	}
	if s.ServiceID.IsZero() {
		return s, ownline.Invalid("service_id", "is missing")
	}
	s.Target = proxy.Target(s.Source.Addr())
	if !s.Target.Addr().IsValid() {
		return s, ownline.Invalid("source", fmt.Sprintf("%s is of a family that this router's proxy has no address of", s.Source))
	}
	return s, rules.CheckProxied(firewall.Forward{Key: key, Target: s.Target})
}
