package firewall

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/ownline/ownline/internal/ownline"
)

// Rules say what may be asked of this router at all, whoever asks. They are the router's
// own last line: web has judged before.
type Rules struct {
	Own           []netip.Addr   // addresses of the router itself
	Gateways      []netip.Addr   // an ISP's box that rewrites sources shows itself as the source of all
	LocalNetworks []netip.Prefix // where targets are
	IPv6Prefix    int            // bits of an IPv6 source that count
	Reserved      []Port         // that core uses, the router serves, or the configuration names
	IPv4Only      bool           // the router has no IPv6, or no programs for it
}

// Port is a port of one transport; an empty transport stands for both.
type Port struct {
	Transport ownline.Transport
	Number    uint16
}

// Check refuses a forward that must never be opened, naming the field. A reserved port is
// let pass when an admin allowed it in the grant.
func (r Rules) Check(f Forward, allowReserved bool) error {
	if err := f.Validate(r.IPv6Prefix); err != nil {
		return err
	}
	if err := r.checkSource(f.Source); err != nil {
		return err
	}
	target := f.Target.Addr()
	if !slices.ContainsFunc(r.LocalNetworks, func(p netip.Prefix) bool { return p.Contains(target) }) {
		return ownline.Invalid("target", fmt.Sprintf("%s is in none of the router's local networks %v; see local_networks in core.yaml", target, r.LocalNetworks))
	}
	if !allowReserved && r.Taken(f.Transport, f.Port) {
		return ownline.Conflict("public_port", fmt.Sprintf("%d/%s is used by the router itself; choose another port, or let an admin allow it in the grant", f.Port, f.Transport))
	}
	return nil
}

// CheckProxied refuses a hole to the proxy that must never be opened, naming the field.
func (r Rules) CheckProxied(f Forward) error {
	if err := f.Validate(r.IPv6Prefix); err != nil {
		return err
	}
	return r.checkSource(f.Source)
}

func (r Rules) checkSource(source netip.Prefix) error {
	if kind := ownline.KindOf(source.Addr()); kind != ownline.SourcePublic {
		return ownline.Invalid("source", fmt.Sprintf("%s is not a public address (%s)", source, kind))
	}
	if r.IPv4Only && source.Addr().Is6() {
		return ownline.Invalid("source", fmt.Sprintf("%s is of IPv6, which this router does not have", source))
	}
	if slices.ContainsFunc(r.Own, source.Contains) {
		return ownline.Invalid("source", fmt.Sprintf("%s is, or holds, an address of the router itself", source))
	}
	if slices.ContainsFunc(r.Gateways, source.Contains) {
		return ownline.Invalid("source", fmt.Sprintf("%s is the router's gateway: the box in front of it rewrites sources, so this session would admit everybody", source))
	}
	return nil
}

// Taken reports whether the router uses that port itself.
func (r Rules) Taken(t ownline.Transport, number uint16) bool {
	return slices.ContainsFunc(r.Reserved, func(p Port) bool {
		return p.Number == number && (p.Transport == "" || p.Transport == t)
	})
}
