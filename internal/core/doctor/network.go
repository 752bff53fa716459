package doctor

import (
	"cmp"
	"context"
	"slices"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/hostrules"
	"github.com/ownline/ownline/internal/ownline"
)

// need is a kind of packets that the host's own rules have to let pass.
type need struct {
	what     string
	nft, ipt string // the rule that accepts it, for nftables and iptables
	packet   hostrules.Packet
}

const (
	translated, byIPTables = "ct status dnat accept", "-m conntrack --ctstate DNAT -j ACCEPT"

	toServices, toLAN, fromLAN = "connections to services", "connections to services in the LAN", "what services in the LAN answer"
)

// Which ports are meant is set in needs: see rules.
var (
	lanNeeds = [...]need{
		{toLAN, translated, byIPTables, hostrules.Packet{Hook: "forward", Translated: true}},
		{fromLAN, translated, byIPTables, hostrules.Packet{Hook: "forward", Translated: true, Established: true}},
		{toLAN, translated, byIPTables, hostrules.Packet{Hook: "postrouting", Translated: true}},
		{fromLAN, translated, byIPTables, hostrules.Packet{Hook: "postrouting", Translated: true, Established: true}},
	}
	entryNeeds = [...]need{ // before they are translated, and what comes back
		{toServices, "", "", hostrules.Packet{Hook: "prerouting", Translated: true}},
		{fromLAN, "", "", hostrules.Packet{Hook: "prerouting", Translated: true, Established: true}},
	}
	routerNeed = need{"connections to services on this router", translated, byIPTables, hostrules.Packet{Hook: "input", Translated: true}}
	proxyNeed  = need{"connections to the reverse proxy", translated, byIPTables, hostrules.Packet{Hook: "input", Translated: true, TCP: true}}
	knockNeed  = need{"knocks", "udp dport %[1]d%[2]s accept", "-p udp --dport %[1]d%[3]s -j ACCEPT", hostrules.Packet{Hook: "input"}}
	answerNeed = need{"answers to knocks", "udp sport %[1]d%[2]s accept", "-p udp --sport %[1]d%[3]s -j ACCEPT", hostrules.Packet{Hook: "output"}}
)

// rules tells of the host's own chains that drop what Ownline lets in.
func (l *looking) rules(ctx context.Context) {
	rules, err := l.Rules(ctx)
	if rules != nil {
		defer rules.Close()
	}
	l.drops(rules, err)
}

// drops tells of those that rules drop; err is which of these were not read.
func (l *looking) drops(rules Rules, err error) {
	first := len(l.found)
	if err != nil {
		l.say(&unread, err)
	}
	if rules == nil {
		return
	}
	c := &chains{looking: l, rules: rules, lan: l.lan(), told: map[string]int{}}
	driver := l.driver()
	// Beside ufw, the driver lets in what it has translated; firewalld does so itself.
	beside := driver == ownline.UFW && l.UFW || driver == ownline.Firewalld
	c.untracked = l.untracked()
	wan := l.wan()
	if len(wan) == 0 {
		l.say(&noWAN, l.File)
	} else if len(c.lan) == 0 && !beside && l.way == nil {
		l.say(&noLAN, l.File)
	}
	for _, c.wan = range wan {
		for i := range entryNeeds {
			c.both(entryNeeds[i])
		}
		for i := range l.sessions {
			s, n := &l.sessions[i], entryNeeds[0]
			n.packet.TCP = s.Transport == ownline.TCP
			c.look(&n, s.PublicPort)
		}
		for i := range lanNeeds {
			if !beside || lanNeeds[i].packet.Hook != "forward" {
				c.both(lanNeeds[i])
			}
		}
		for i := range l.sessions {
			if s := &l.sessions[i]; s.Kind == ownline.Forward && slices.Contains(l.Host.Own, s.Target.Addr()) && !beside {
				n := routerNeed
				n.packet.TCP = s.Transport == ownline.TCP
				c.look(&n, s.Target.Port())
			}
		}
		if p := &l.Config.Proxy; p.Serves() && !beside {
			c.look(&proxyNeed, p.Port())
		}
		knock := &l.Config.Knock
		c.look(&knockNeed, knock.Listen.Port())
		if knock.FwknopListen.IsValid() {
			c.look(&knockNeed, knock.FwknopListen.Port())
		}
		if knock.Answer {
			c.look(&answerNeed, knock.Listen.Port())
		}
	}
	for _, o := range rules.Unseen() {
		l.say(&unseen, o)
	}
	if len(l.found) == first {
		l.say(&passes)
	}
	if !l.Config.Firewall.Masquerade { // else they know
		c.sources()
	}
}

// driver is the firewall's that is at work, or would be.
func (l *looking) driver() string {
	if l.runs {
		return l.status.Firewall.Driver
	}
	return l.Config.Firewall.Driver
}

// untracked is whether valid knocks are: they are where the kernel filters them.
func (l *looking) untracked() bool {
	driver := l.driver()
	return l.status.Firewall.Filter || !l.runs && driver != ownline.IPTables && driver != ownline.UFW
}

// chains are those of the host.
type chains struct {
	*looking
	rules     Rules
	told      map[string]int // findings, by what mends them
	wan       string
	lan       []string
	untracked bool // knocks are
}

// sources tells of chains by which services do not see whom they serve.
func (c *chains) sources() {
	said := map[*firewall.Chain]bool{}
	for _, lan := range c.lan {
		p := hostrules.Packet{Hook: "postrouting", Translated: true, TCP: true, Out: lan}
		for _, p.IPv6 = range [...]bool{false, true} {
			if by := c.rules.Rewrites(&p); by != nil && !said[by] {
				said[by] = true
				c.say(&rewritten, by)
			}
		}
	}
}

// both looks at any ports of TCP, and of UDP.
func (c *chains) both(n need) {
	c.look(&n, 0)
	n.packet.TCP = true
	c.look(&n, 0)
}

// look tells which chains drop what is needed.
func (c *chains) look(n *need, port uint16) {
	p := n.packet
	p.In, p.To = c.wan, port
	state, ipt := "", ""
	switch {
	case p.Hook == "forward" || p.Hook == "postrouting" || p.Established:
		for _, lan := range c.lan {
			if p.Out = lan; p.Established {
				p.In, p.Out = lan, c.wan
			}
			c.tell(n, &p, nil)
		}
		return
	case p.Translated:
	case c.untracked:
		p.Untracked, state, ipt = true, " ct state untracked", " -m conntrack --ctstate UNTRACKED"
	}
	if p.Hook == "output" {
		p.In, p.Out, p.To, p.From, p.Established = "", c.wan, 0, port, !c.untracked
	}
	args := []any{port, state, ipt}
	c.tell(n, &p, args)
	switch {
	case p.Translated:
		return
	case p.Hook == "input": // a knock
		p.Hook = "prerouting"
	default:
		p.Hook = "postrouting"
	}
	c.tell(n, &p, args)
}

// tell adds the chains that drop a packet, each once for a rule that would mend it.
func (c *chains) tell(n *need, p *hostrules.Packet, args []any) {
	for _, p.IPv6 = range [...]bool{false, true} {
		for _, o := range c.rules.Obstacles(p) {
			fix := ""
			if n.nft != "" { // else there is none for all that comes
				words := args
				if o.Blind {
					words = []any{p.To, "", ""}
				}
				fix = o.Accept(fill(n.nft, words), fill(n.ipt, words), o.Last)
			}
			fix, hint := c.remedy(&o, p, fix)
			key := cmp.Or(fix, hint)
			if n.nft == "" {
				key = o.String() + n.what
			}
			w := &drops
			if o.Unsure {
				w = &mayDrop
			}
			at, told := c.told[key]
			if told && (o.Unsure || c.found[at].Level == Problem) {
				continue
			}
			f := c.say(w, o.Chain, n.what, fix, hint)
			if told { // now it is sure
				c.found[at] = *f
				c.found = c.found[:len(c.found)-1]
				continue
			}
			c.told[key] = len(c.found) - 1
		}
	}
}

// masquerade tells of a box that the LAN's hosts do not route through, so that their answers go elsewhere.
func (l *looking) masquerade() {
	for _, gateway := range l.Host.Gateways {
		for i := range l.Host.LAN {
			network := l.Host.LAN[i].Network
			if l.Config.Firewall.Masquerade || !network.Contains(gateway) {
				continue
			}
			f := l.say(&elsewhere, gateway, network, l.File)
			if len(l.lan()) > 1 { // another may be what matters
				f.Level = Warning
			}
			return
		}
	}
	l.say(&back)
}

// address tells of a NAT in front of the router.
func (l *looking) address(ctx context.Context) {
	for _, gateway := range l.Host.Gateways {
		if l.runs && l.Daemon.Knocked(ctx, gateway) {
			l.say(&rewrites, gateway)
		}
	}
	opens := l.opening()
	w, public := &behind, ""
	for _, a := range l.Host.Own {
		switch ownline.KindOf(a) {
		case ownline.SourcePublic:
			public += ", " + a.String()
		case ownline.SourceCarrierNAT:
			w = &carrier
		}
	}
	if public != "" {
		l.say(&internet, public[2:])
		return
	}
	if opens && w == &behind {
		return // nobody has to forward anything there
	}
	l.say(w, l.Config.Knock.Listen.Port())
}
