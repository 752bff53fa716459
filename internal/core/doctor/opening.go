//go:build !noproxy

package doctor

import "github.com/ownline/ownline/internal/ownline"

var (
	opens     = words{check: "port-opening", level: Good, text: "The router in front, %[1]s, opens ports as they are needed (%[2]s)."}
	notOpened = words{"port-opening", Problem, "The router in front does not open ports: %[1]s.", "", "allow it there (PCP, NAT-PMP or UPnP), or forward the ports there by hand and write `ports: {open: off}` into %[2]s"}
	opens4    = words{"port-opening", Warning, "The router in front is asked for ports of IPv4 alone, and this router has an address of IPv6, too: if the one in front lets nothing in by IPv6, knocks and sessions of IPv6 do not get here.", "", "let %[1]d/udp and the public ports of services through to this router there, or leave IPv6 out of the public name (AAAA)"}
	notPublic = words{"port-opening", Problem, "The router in front has the address %[1]s itself, which is none of the internet: there is another NAT in front of it.", "", "ask the provider for a public address, or for IPv6"}
)

// opening tells of the router in front, if that is asked for ports, and whether it opens them.
func (l *looking) opening() bool {
	p := l.status.Ports
	switch {
	case p == nil:
		return false
	case !p.OK:
		l.say(&notOpened, p.Error, l.File)
		return false
	case p.External.IsValid() && ownline.KindOf(p.External) != ownline.SourcePublic:
		l.say(&notPublic, p.External)
		return false
	}
	if l.public6() {
		l.say(&opens4, l.Config.Knock.Listen.Port())
	}
	l.say(&opens, p.Router, p.Protocol)
	return true
}
