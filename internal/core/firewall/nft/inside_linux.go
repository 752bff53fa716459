package nft

import (
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/ownline"
)

// gatewaysAreOutside leaves the chain for what comes from a gateway: behind its address the whole internet
// may be.
func (b *builder) gatewaysAreOutside(gateways []netip.Addr, fams [2]family) {
	for _, f := range fams {
		for _, g := range gateways {
			if f.has(g) {
				b.rule("perhaps from outside", b.family(f), b.source(f, g), verdict(unix.NFT_RETURN, ""))
			}
		}
	}
}

// proxyFromInside leads the local networks to the proxy, by the names that lead to the router.
// Their connections are not marked: no session ends them.
func (b *builder) proxyFromInside(p firewall.Proxy, fams [2]family) {
	for _, f := range fams {
		for _, n := range p.LocalNetworks {
			to := p.Target(n.Addr())
			if !f.has(n.Addr()) || !to.IsValid() || to.Port() == 0 {
				continue
			}
			b.rule("the proxy, from inside", b.family(f), b.inside(f, n), b.protocol(protoTCP), b.port(2, p.Port), b.local(), leadTo(f, to))
			if p.UDP {
				b.rule("the proxy, from inside, over UDP", b.family(f), b.inside(f, n), b.protocol(protoUDP), b.port(2, p.Port), b.local(), leadTo(f, to))
			}
		}
	}
}

// hairpins lead the local networks to services in them, by the names that lead to the router. Their
// connections are not marked, either.
func (b *builder) hairpins(hs []firewall.Hairpin, fams [2]family) {
	for _, h := range hs {
		f, from := b.hairpinned(h, fams)
		b.rule("hairpin", from, b.port(2, h.Port), b.local(), leadTo(f, h.Target))
	}
}

// hairpinsBack has the answers come by the router: target and client are neighbours, and without it the
// client would be answered by somebody whom it has not asked.
func (b *builder) hairpinsBack(hs []firewall.Hairpin, fams [2]family) {
	for _, h := range hs {
		f, from := b.hairpinned(h, fams)
		b.rule("hairpin", from, b.payload(unix.NFT_PAYLOAD_NETWORK_HEADER, f.daddr, h.Target.Addr().AsSlice()), b.port(2, h.Target.Port()),
			b.translated(), b.publicPort(h.Port), b.mark.isNotSet(), masq())
	}
}

// hairpinned holds for what comes from a hairpin's network by its protocol.
func (b *builder) hairpinned(h firewall.Hairpin, fams [2]family) (f family, from exprs) {
	f, p := fams[0], byte(protoTCP)
	if !f.has(h.Target.Addr()) {
		f = fams[1]
	}
	if h.Transport == ownline.UDP {
		p = protoUDP
	}
	return f, slices.Concat(b.family(f), b.inside(f, h.Network), b.protocol(p))
}

// source holds for packets from one address.
func (b *builder) source(f family, a netip.Addr) exprs {
	return b.payload(unix.NFT_PAYLOAD_NETWORK_HEADER, f.saddr, a.AsSlice())
}

// publicPort holds for connections that came to a port before they were translated. Say protocol first.
func (*builder) publicPort(port uint16) exprs {
	return slices.Concat(ctOf(0, unix.NFT_CT_PROTO_DST, regOther), cmp(unix.NFT_CMP_EQ, regOther, number(port)))
}
