package iptables

import (
	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/ownline"
)

// fromInside leads the local networks to the proxy, and to services in them, by the names that lead to the
// router. Their connections are not marked: no session ends them. What comes from a gateway is left out:
// behind its address the whole internet may be.
func fromInside(s firewall.Settings, f side) (rules []rule) {
	for _, g := range s.Gateways {
		if f.has(g) {
			rules = append(rules, does("-s "+g.String()+" ", "RETURN"))
		}
	}
	for _, n := range s.Proxy.LocalNetworks {
		to := s.Proxy.Target(n.Addr())
		if !f.has(n.Addr()) || !to.IsValid() || to.Port() == 0 {
			continue
		}
		for _, t := range []ownline.Transport{ownline.TCP, ownline.UDP} {
			if t == ownline.TCP || s.Proxy.UDP {
				rules = append(rules, does("-s "+n.String()+" "+toPort(t, s.Proxy.Port), "DNAT --to-destination "+to.String()))
			}
		}
	}
	for _, h := range s.Hairpins {
		if f.has(h.Target.Addr()) {
			rules = append(rules, does("-s "+h.Network.String()+" "+toPort(h.Transport, h.Port), "DNAT --to-destination "+h.Target.String()))
		}
	}
	return rules
}

// fromHairpins has the answers of services come by the router: they and their clients are neighbours, and
// without it a client would be answered by somebody whom it has not asked.
func fromHairpins(hs []firewall.Hairpin, f side) (rules []rule) {
	for _, h := range hs {
		if f.has(h.Target.Addr()) {
			rules = append(rules, does(back(h), "MASQUERADE"))
		}
	}
	return rules
}

// back holds for what a hairpin has translated.
func back(h firewall.Hairpin) string {
	return "-s " + h.Network.String() + " -d " + h.Target.Addr().String() + " " + toPort(h.Transport, h.Target.Port()) +
		"-m conntrack --ctorigdstport " + port(h.Port) + " "
}

func toPort(t ownline.Transport, n uint16) string {
	return "-p " + string(t) + " -m " + string(t) + " --dport " + port(n) + " "
}
