// Package firewall: what the kernel must hold, as values: Forward and Ruleset; and Rules,
// which say what may be asked of a router at all. Its sub-folders put a Ruleset into a
// kernel (nft), read what Rules need to know of a host (hostinfo), and hold every driver to
// one contract (fwtest).
package firewall

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// ErrOutOfStep says that the kernel does not hold what the driver last put there: somebody
// deleted the table, or the driver has not looked yet. Nothing was changed; a Sync of the
// whole Ruleset repairs it.
var ErrOutOfStep = errors.New("the kernel's rules are not those that were last applied")

// Key names a hole in the router: who, by which protocol, to which public port.
type Key struct {
	Source    netip.Prefix // IPv4: 32 bits; IPv6: as many as Settings.IPv6Prefix
	Transport ownline.Transport
	Port      uint16 // public port
}

// String returns "198.51.100.7/32 tcp 443".
func (k Key) String() string {
	return fmt.Sprintf("%s %s %d", k.Source, k.Transport, k.Port)
}

// Validate refuses a key that no driver could put into a kernel, naming the field. An IPv6
// source has exactly prefix6 bits.
func (k Key) Validate(prefix6 int) error {
	want := 32
	if k.Source.Addr().Is6() {
		want = prefix6
	}
	switch {
	case !k.Source.IsValid(), k.Source.Addr().Is4In6(), k.Source.Addr().IsUnspecified(), k.Source.Masked() != k.Source, k.Source.Bits() != want:
		return ownline.Invalid("source", fmt.Sprintf("%s is not a network of %d bits", k.Source, want))
	case k.Transport != ownline.TCP && k.Transport != ownline.UDP:
		return ownline.Invalid("transport", fmt.Sprintf("%q is neither tcp nor udp", k.Transport))
	case k.Port == 0:
		return ownline.Invalid("public_port", "0 is not a port; use 1 to 65535")
	}
	return nil
}

// Forward opens one hole: packets of Key.Source to Key.Port of the router go to Target,
// until Until. Target has the family of the source.
type Forward struct {
	Key
	Target netip.AddrPort
	Until  time.Time // compared by its monotonic reading, so a jumping clock moves nothing
}

// Validate refuses a forward that no driver could put into a kernel, naming the field.
func (f Forward) Validate(prefix6 int) error {
	if err := f.Key.Validate(prefix6); err != nil {
		return err
	}
	switch a := f.Target.Addr(); {
	case !a.IsValid(), a.IsUnspecified(), a.IsMulticast(), a.IsLoopback(), a.Zone() != "", a.Is4In6(), f.Target.Port() == 0:
		return ownline.Invalid("target", fmt.Sprintf("%s is not an address and port that packets can be sent on to", f.Target))
	case a.Is4() != f.Source.Addr().Is4():
		return ownline.Invalid("target", fmt.Sprintf("%s and the source %s are not of one family", f.Target, f.Source))
	}
	return nil
}

// Hint is the first 8 bytes of a knock that is valid until Until (knock format version 1).
type Hint struct {
	Value [8]byte
	Until time.Time
}

// Settings is the part of a Ruleset that changes only with the configuration.
type Settings struct {
	WAN         []string // interfaces that sessions arrive on ("ppp*": all that begin so); empty: any
	Masquerade  bool     // rewrite the source of forwarded connections to the router's own address
	IPv6Prefix  int      // bits of an IPv6 source that count, 48 to 128
	KnockPort   uint16   // UDP port that only datagrams with a valid hint may reach; 0: no filter
	KnockLength int      // bytes of UDP payload of a knock, at least 8
	Fwknop      Shape    // of packets of fwknop's clients; only with a KnockPort
	Proxy       Proxy
	Hairpins    []Hairpin
	Gateways    []netip.Addr // what comes from these counts as from outside, whatever network they are in
}

// Hairpin leads a local network, by a port of any address of the router, to a target in that same network,
// without a session: the way back of a public name. The target sees the router as its client.
type Hairpin struct {
	Network   netip.Prefix
	Transport ownline.Transport
	Port      uint16
	Target    netip.AddrPort
}

// Validate refuses a hairpin that no driver could put into a kernel, naming the field, and one that would
// lead into another network: whether its own may go there is for others to say.
func (h Hairpin) Validate() error {
	switch {
	case h.Transport != ownline.TCP && h.Transport != ownline.UDP:
		return ownline.Invalid("transport", fmt.Sprintf("%q is neither tcp nor udp", h.Transport))
	case h.Port == 0 || h.Target.Port() == 0:
		return ownline.Invalid("public_port", "0 is not a port; use 1 to 65535")
	case !h.Network.IsValid() || h.Network.Masked() != h.Network || !h.Network.Contains(h.Target.Addr()):
		return ownline.Invalid("target", fmt.Sprintf("%s is not in the network %s", h.Target, h.Network))
	}
	return nil
}

// Shape is all that the kernel can tell of datagrams which have no hint.
type Shape struct {
	Port      uint16 // UDP port that no others may reach; 0: there is none
	Min, Max  int    // bytes of UDP payload
	FirstBits []Bits // what the first byte may be, one of these
	Spare     int    // how many a second may come beyond what each source may send
}

// Bits are those of a byte that count, and what they are.
type Bits struct{ Mask, Value byte }

// Proxy is where the reverse proxy listens. Sessions of proxied services are forwards to its
// addresses; the local networks reach it at the port of any address of the router, without
// a session; nobody else does.
type Proxy struct {
	Port          uint16     // TCP, of the router and of the addresses; 0: there is no proxy
	Addr4, Addr6  netip.Addr // of the loopback interface, and of nobody else; zero: none of that family
	UDP           bool       // the same port of UDP, too, for sessions and the local networks: HTTP/3
	LocalNetworks []netip.Prefix
	Public        []Public
}

// Public is an address of the proxy that everybody is led to for a while, from the same TCP
// port of the router: while a certificate authority looks, or a guest is expected. Sessions
// come first: a connection that one of them brings is its own, and ends with it.
type Public struct {
	netip.AddrPort
	Until time.Time // from then on nobody new is led there
	Stay  time.Time // from then on connections from before get no further, either
}

// Target returns the proxy's address of the family of addr.
func (p Proxy) Target(addr netip.Addr) netip.AddrPort {
	if addr.Is4() {
		return netip.AddrPortFrom(p.Addr4, p.Port)
	}
	return netip.AddrPortFrom(p.Addr6, p.Port)
}

// Validate refuses settings that no driver could follow, naming the key of the configuration.
func (s Settings) Validate() error {
	for _, name := range s.WAN {
		if n := len(name); n == 0 || n > 15 || name == "*" {
			return ownline.Invalid("firewall.wan_interfaces", fmt.Sprintf("%q is not the name of an interface", name))
		}
	}
	switch {
	case s.IPv6Prefix < 48 || s.IPv6Prefix > 128:
		return ownline.Invalid("sessions.ipv6_prefix", fmt.Sprintf("%d is not between 48 and 128", s.IPv6Prefix))
	case s.KnockPort != 0 && (s.KnockLength < 8 || s.KnockLength > 1400):
		return ownline.Invalid("knock.length", fmt.Sprintf("%d bytes are not a knock", s.KnockLength))
	case s.Proxy.Port != 0 && !(s.Proxy.Addr4.Is4() || s.Proxy.Addr6.Is6()):
		return ownline.Invalid("proxy.listen", "the proxy has no address")
	}
	for _, a := range s.Proxy.Public {
		if a.Port() == 0 || a.Addr() != s.Proxy.Addr4 && a.Addr() != s.Proxy.Addr6 {
			return ownline.Invalid("proxy", fmt.Sprintf("%s is not an address of the proxy", a.AddrPort))
		}
	}
	for _, p := range s.Proxy.LocalNetworks {
		if !p.IsValid() || p.Masked() != p {
			return ownline.Invalid("local_networks", fmt.Sprintf("%s is not a network", p))
		}
	}
	for _, h := range s.Hairpins {
		if err := h.Validate(); err != nil {
			return fmt.Errorf("hairpin of %s %d: %w", h.Transport, h.Port, err)
		}
	}
	return nil
}

// Ruleset is everything that Ownline wants of the kernel.
type Ruleset struct {
	Settings
	Forwards map[Key]Forward
	Hints    []Hint

	// Adopt leaves a table that exists as it is: core has just started and does not know yet
	// what must be open, and sessions outlive it. Without a table, one is made all the same.
	Adopt bool
}

// Validate refuses a ruleset that no driver could put into a kernel: see Settings, Key and
// Forward. The error is about the first forward that is wrong.
func (r Ruleset) Validate() error {
	if err := r.Settings.Validate(); err != nil {
		return err
	}
	for key, f := range r.Forwards {
		if key != f.Key {
			return fmt.Errorf("forward of %s is filed under %s", f.Key, key)
		}
		if err := f.Validate(r.IPv6Prefix); err != nil {
			return fmt.Errorf("forward of %s: %w", key, err)
		}
	}
	return nil
}

// KnockCounts tells what the kernel did with datagrams to the knock ports since the driver
// was made.
type KnockCounts struct {
	Passed  uint64 // had a valid hint, or the shape, went to the socket
	Limited uint64 // came too fast, though they had a valid hint or the shape, and were dropped
	Garbage uint64 // were treated like datagrams to a closed port
}

// Chain is a base chain of somebody else's.
type Chain struct {
	Family string // "ip", "ip6", "inet", "netdev", "bridge" or "arp"
	Table  string
	Name   string
	Hook   string // of the five of netfilter ("prerouting" and so on) or "ingress"; "other": one that no packet of ours is followed to
	Legacy bool   // of iptables-legacy
}

// String returns "inet filter forward", as nft takes it.
func (c Chain) String() string { return c.Family + " " + c.Table + " " + c.Name }

// Accept is the command that has the chain let a packet pass, by a rule in the words of nftables and of
// iptables: as the last one, where what others refuse is to stay refused, or as the first.
func (c Chain) Accept(rule, ipt string, last bool) string {
	verb, option := "insert", " -I "
	if last {
		verb, option = "add", " -A "
	}
	switch {
	case c.Family == "inet" && c.Table == "fw4": // OpenWrt's, which has files of others become part of its chains
		dir := "/usr/share/nftables.d/chain-pre/" + c.Name
		return "mkdir -p " + dir + "\necho '" + rule + "' >> " + dir + "/ownline.nft\nservice firewall reload"
	case c.Family != "ip" && c.Family != "ip6" || !slices.Contains(tables[:], c.Table) || c.Name != strings.ToUpper(c.Hook):
		return "nft " + verb + " rule " + c.String() + " " + rule
	}
	// It is of iptables, which does not like what nft writes into its tables.
	program := "iptables"
	if c.Family == "ip6" {
		program = "ip6tables"
	}
	if c.Legacy {
		program += "-legacy"
	}
	if c.Table != "filter" {
		program += " -t " + c.Table
	}
	return program + option + c.Name + " " + ipt
}

// tables are those of iptables in which packets are dropped.
var tables = [...]string{"filter", "raw", "mangle"}
