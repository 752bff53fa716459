//go:build !noproxy

package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/ownline/ownline/internal/core/firewall/twin"
	"github.com/ownline/ownline/internal/ownline"
)

// Probe sends real packets through a copy of the router: see twin.Try. Without Try, none was asked for.
type Probe struct {
	Try func(context.Context, []twin.Way) ([]twin.Outcome, error)
}

const probed = " in a copy of this router, with the rules that are in force, but for those of devices (netdev, ingress)"

var (
	came    = words{check: "probe", level: Good, text: "A packet to %[1]s gets there" + probed + ", and so does the answer to it."}
	quiet   = words{check: "probe", level: Good, text: "A packet to %[1]s gets there" + probed + "."}
	stopped = words{"probe", Problem, "A packet to %[1]s is dropped" + probed + ": %[2]s, by %[3]s.", "", "have that chain accept it, or the list that it is in; what `host-rules` says of the chain does for all: docs/how/host-firewall.md"}
	mayStop = words{"probe", Warning, "A packet to %[1]s is dropped" + probed + ": %[2]s, by %[3]s. But some rule asks for what the copy does not have, such as hardware addresses, and may let it pass in truth.", "", "try it from outside"}
	strays  = words{"probe", Warning, "A packet to %[1]s gets lost" + probed + ": %[2]s, and no rule drops it.", "", "see forwarding, and `ip rule`: what the copy does not have, as routes that go by more than the target, may lead it on"}
	unsent  = words{"probe", Warning, "No packet to %[1]s was sent through a copy of this router: %[2]v.", "", "host-rules has read the rules all the same"}
	untried = words{"probe", Warning, "No packet was sent through a copy of this router: %[1]v.", "", "it takes root, network namespaces, and /dev/net/tun (on OpenWrt `kmod-tun`), and rules that ask for no ipset; host-rules has read the rules all the same"}
)

// mostWays is how many are tried: what many sessions have in common is seen by few of them.
const mostWays = 8

// probe tells what becomes of real packets.
func (l *looking) probe(ctx context.Context) {
	if l.Try == nil {
		return
	}
	ways, names := l.ways()
	if len(ways) == 0 {
		l.say(&unsent, "a service", "no session is open, and none can be made up here; open one, and run this again")
	}
	if ways, names = l.knocks(ways, names); len(ways) == 0 {
		return
	}
	all, err := l.Try(ctx, ways)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		l.say(&untried, err)
		return
	}
	for i := range all {
		o := &all[i]
		at := "on its way there"
		if o.There {
			at = "the answer, on its way back"
		}
		w, by := &stopped, "a chain of iptables-legacy"
		if o.Unsure {
			w = &mayStop
		}
		if o.Dropped != nil {
			by = "the chain " + o.Dropped.String()
		}
		switch {
		case o.Err != nil:
			l.say(&unsent, names[i], o.Err)
		case o.Back && ways[i].Silent:
			l.say(&quiet, names[i])
		case o.Back:
			l.say(&came, names[i])
		case o.Dropped != nil || o.Legacy:
			l.say(w, names[i], at, by)
		default:
			l.say(&strays, names[i], at)
		}
	}
}

// ways are those of sessions that are open; and of a family that has none, one that is made up, where no other
// firewall would have to be asked for it.
func (l *looking) ways() (ways []twin.Way, names []string) {
	has := map[bool]bool{}
	add := func(w twin.Way, name string) {
		six := w.Source.Is6()
		if w.In = l.uplink(six); w.In == "" || len(ways) == mostWays && has[six] {
			return
		}
		same := func(o twin.Way) bool { return o.Target == w.Target && o.TCP == w.TCP }
		if has[six] = true; slices.ContainsFunc(ways, same) {
			return
		}
		if len(ways) == mostWays { // all of the other family
			ways, names = ways[:mostWays-1], names[:mostWays-1]
		}
		ways, names = append(ways, w), append(names, name)
	}
	for i := range l.sessions {
		s := &l.sessions[i]
		if s.Kind != ownline.Forward || slices.Contains(l.Host.Own, s.Target.Addr()) {
			continue
		}
		add(twin.Way{Source: sourceOf(s.Source), Port: s.PublicPort, Target: s.Target, TCP: s.Transport == ownline.TCP},
			fmt.Sprintf("%q, %s/%s, from %s", s.Service, s.Target, s.Transport, s.Source))
	}
	if driver := l.driver(); driver == ownline.UFW || driver == ownline.Firewalld {
		return ways, names
	}
	for i := range l.Host.LAN {
		a := &l.Host.LAN[i]
		from, other := stranger(a.Addr.Is6()), l.neighbour(a)
		if other.IsValid() && !has[from.Is6()] && (from.Is4() || l.public6()) {
			to := netip.AddrPortFrom(other, 443)
			add(twin.Way{Source: from, Port: to.Port(), Target: to, TCP: true, Pretends: true},
				fmt.Sprintf("%s/tcp from %s, made up as no session is open,", to, from))
		}
	}
	return ways, names
}

// knocks adds some to each port that takes them.
func (l *looking) knocks(ways []twin.Way, names []string) ([]twin.Way, []string) {
	k := &l.Config.Knock
	for _, six := range [...]bool{false, true} {
		for i, at := range [...]netip.AddrPort{k.Listen, k.FwknopListen} {
			in, a := l.uplink(six), at.Addr()
			if in == "" || !at.IsValid() || six && !l.public6() || a.Is6() != six && !(a.Is6() && a.IsUnspecified()) {
				continue
			}
			// Another than that of a session that is made up.
			w := twin.Way{In: in, Source: stranger(six).Next(), Port: at.Port(), Knock: true, Untracked: l.untracked(), Silent: i > 0 || !k.Answer}
			ways, names = append(ways, w), append(names, fmt.Sprintf("the knock port, %d/udp, from %s,", w.Port, w.Source))
		}
	}
	return ways, names
}
