package doctor

import (
	"strings"

	"github.com/ownline/ownline/internal/core/firewall/hostrules"
)

const (
	// Into the zone of what comes from the internet, as that usually is.
	byFirewalld = "firewall-cmd --permanent --add-port=%[1]d/udp\nfirewall-cmd --reload"

	byUFW, byUFWOut = "ufw allow %[1]d/udp", "ufw allow out proto udp from any port %[2]d"
)

// remedy is what has a chain let a packet pass, and what to do besides, or instead. fix is the rule that would, were the
// chain nobody's but its admin's; "": there is none.
func (l *looking) remedy(o *hostrules.Obstacle, p *hostrules.Packet, fix string) (commands, hint string) {
	ufw := l.UFW && o.Table == "filter" && o.Name == strings.ToUpper(o.Hook)
	switch {
	case ufw && p.Translated:
		return "", "write `firewall: {driver: ufw}` into " + l.File + " and restart core, which then lets sessions in beside ufw"
	case ufw && p.Hook == "output":
		return fill(byUFWOut, []any{p.To, p.From}), ""
	case ufw:
		return fill(byUFW, []any{p.To}), ""
	case o.Firewalld && p.Hook == "input" && !p.Translated:
		return fill(byFirewalld, []any{p.To}), ""
	case fix == "":
		return "", "let that chain pass them: docs/how/host-firewall.md"
	case strings.HasPrefix(fix, "mkdir"): // files of OpenWrt's, which stay
		return fix, ""
	}
	return fix, "make it permanent in the way your system does: docs/how/host-firewall.md"
}
