// Package hostinfo reads what the firewall's rules need to know of the router: its own
// addresses, its gateways, the networks that its interfaces are in, and the ports that it
// serves itself.
package hostinfo

import (
	"net/netip"
	"path"
	"slices"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/ownline"
)

// Host is a router as it was when it was read.
type Host struct {
	Own      []netip.Addr    // every address of every interface
	Gateways []netip.Addr    // next hops of default routes
	LAN      []Address       // private addresses of interfaces that do not face the internet
	Misnamed bool            // the settings name interfaces of the internet, and none of them is there
	Served   []firewall.Port // listening TCP and bound UDP sockets, but for those on loopback
}

// Address is an address of the router in one of its networks.
type Address struct {
	Addr      netip.Addr
	Network   netip.Prefix
	Interface string
}

// Uplink is an interface that a default route leads out by.
type Uplink struct {
	Interface string
	IPv6      bool
	Metric    uint32 // the lowest is taken
}

// Matches reports whether an interface is one of those that are named ("ppp*": all that begin so).
func Matches(wan []string, name string) bool {
	return slices.ContainsFunc(wan, func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return ok && err == nil
	})
}

// facing tells interfaces of the LAN from those that face the internet.
type facing struct {
	wan     []string // patterns of the settings
	named   bool     // one of them is there
	uplinks []Uplink
}

// inside reports whether an address of an interface is one of the LAN. Without a name of the settings that is
// there, which may be misspelt, or have become another, an address of the internet can't be told by its
// interface, but by what it is. With one, the others are the LAN's; but what a default route leads out by has
// somebody else's network behind it, where that is not private.
func (f *facing) inside(name string, a netip.Addr) bool {
	if Matches(f.wan, name) || a.IsLinkLocalUnicast() {
		return false
	}
	uplink := slices.ContainsFunc(f.uplinks, func(u Uplink) bool { return u.Interface == name })
	return ownline.KindOf(a) == ownline.SourcePrivate || f.named && !uplink
}

// Networks returns the networks of the LAN.
func (h Host) Networks() []netip.Prefix {
	out := make([]netip.Prefix, 0, len(h.LAN))
	for _, a := range h.LAN {
		if !slices.Contains(out, a.Network) {
			out = append(out, a.Network)
		}
	}
	return out
}
