package doctor

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"github.com/ownline/ownline/internal/core/firewall/hostinfo"
	"github.com/ownline/ownline/internal/ownline"
)

// leg is where a session's packets go on this router, or could.
type leg struct {
	what           string
	source, target netip.Addr
	made           bool // up: whether anybody goes there is not known
}

// routes tells of routes and policies that lead connections nowhere, or their answers elsewhere.
func (l *looking) routes() {
	n, all := len(l.found), l.led()
	for i := range all {
		l.route(&all[i])
	}
	if len(l.found) == n && len(all) > 0 {
		l.say(&routed)
	}
}

// led are the legs of sessions, each target once; and into each network of the LAN, as from somebody on the internet.
func (l *looking) led() (all []leg) {
	if l.Route == nil {
		return nil
	}
	add := func(g leg) {
		on := "net/ipv4/ip_forward"
		if g.source.Is6() {
			on = "net/ipv6/conf/all/forwarding"
		}
		// That nothing is forwarded, or comes, has been told.
		if l.uplink(g.source.Is6()) == "" || !g.target.IsValid() || slices.Contains(l.Host.Own, g.target) || l.sysctl(on) == "0" {
			return
		}
		for i := range all {
			if all[i].target == g.target {
				return
			}
		}
		all = append(all, g)
	}
	for i := range l.sessions {
		if s := &l.sessions[i]; s.Kind == ownline.Forward {
			add(leg{fmt.Sprintf("%q, %s", s.Service, s.Target), sourceOf(s.Source), s.Target.Addr(), false})
		}
	}
	for i := range l.Host.LAN {
		a := &l.Host.LAN[i]
		if to := l.neighbour(a); a.Addr.Is4() || l.public6() {
			add(leg{a.Network.String(), stranger(a.Addr.Is6()), to, true})
		}
	}
	return all
}

// sourceOf is an address of those that a session admits.
func sourceOf(p netip.Prefix) netip.Addr {
	if p.IsSingleIP() {
		return p.Addr()
	}
	return p.Addr().Next()
}

// route follows a connection, and the answer to it.
func (l *looking) route(g *leg) {
	level := notRouted.level
	if g.made { // a guests' network, say, that is meant to be shut
		level = Warning
	}
	wan := l.uplink(g.source.Is6())
	lan, err := l.Route(wan, g.source, g.target)
	if err == nil && slices.Contains(l.wan(), lan) && !slices.Contains(l.lan(), lan) {
		err = errors.New("they would leave by " + lan + ", to the internet")
	}
	if err != nil {
		l.say(&notRouted, "connections to "+g.what, why(err), g.target, g.source, wan).Level = level
		return
	}
	back, err := l.Route(lan, g.target, g.source)
	switch {
	case err != nil:
		l.say(&notRouted, "answers of "+g.what, why(err), g.source, g.target, lan).Level = level
	case !slices.Contains(l.wan(), back):
		l.say(&notRouted, "answers of "+g.what, "they would leave by "+back+", and not by where connections come from the internet", g.source, g.target, lan).Level = level
	}
}

// why is what the kernel means.
func why(err error) string {
	switch {
	case errors.Is(err, syscall.EXDEV) || errors.Is(err, syscall.EINVAL):
		return "it takes them for forged, as it would send what goes there by another interface (rp_filter; the larger of the interface's and that of `all` counts), or a route or a rule says `blackhole`"
	case errors.Is(err, syscall.EACCES):
		return "a route or a rule says `prohibit`"
	}
	return err.Error()
}

// stranger is an address of the internet that nobody is at here. Those of documentation would not do: hosts refuse
// them with all that is not routed.
func stranger(six bool) netip.Addr {
	if six {
		return netip.AddrFrom16([16]byte{0x2a, 0, 0, 7, 15: 7})
	}
	return netip.AddrFrom4([4]byte{198, 51, 101, 7})
}

// neighbour is an address of a network that is not the router's, if there is one. Whether somebody has it does not
// matter to routes, nor to a copy.
func (l *looking) neighbour(a *hostinfo.Address) netip.Addr {
	for _, next := range []func(netip.Addr) netip.Addr{netip.Addr.Next, netip.Addr.Prev} {
		for to := next(a.Addr); a.Network.Contains(to) && a.Network.Contains(next(to)); to = next(to) { // not the network's first or last
			if !slices.Contains(l.Host.Own, to) {
				return to
			}
		}
	}
	return netip.Addr{}
}

// uplink is the interface by which a family comes.
func (l *looking) uplink(six bool) (name string) {
	wan, metric := l.wan(), uint32(0)
	for _, u := range l.Uplinks {
		if u.IPv6 == six && slices.Contains(wan, u.Interface) && (name == "" || u.Metric < metric) {
			name, metric = u.Interface, u.Metric
		}
	}
	if name == "" && len(wan) > 0 {
		return wan[0]
	}
	return name
}
