package iptables

import (
	"strings"

	"github.com/ownline/ownline/internal/core/firewall"
)

// Beside ufw, two chains of ours let in what is translated for sessions and for the proxy. They are
// asked after ufw's own rules and those of its admin, which may refuse it, and before ufw logs and
// refuses the rest:
//
//	filter  FORWARD  … ufw-before-forward, ownline-let, ufw-after-forward …
//	filter  INPUT    … ufw-before-input, ownline-let-in, ufw-after-input …
//
// Nothing is in ufw's chains or in its files. These it empties and writes anew, and leaves the kernel's
// own chains alone, so our hooks stay there whatever it does, also while core does not run.

const translated = "-m conntrack --ctstate DNAT "

// isUFWs reports whether a rule leads to where ufw asks its admin's rules. Until it does, ufw refuses nothing.
func isUFWs(id string) bool {
	rest, ok := strings.CutPrefix(id, "ufw")
	return ok && (strings.HasSuffix(rest, "-before-forward") || strings.HasSuffix(rest, "-before-input"))
}

// letsIn are the hooks beside ufw, where its own are there. The one for resets is before them.
func (k kernel) letsIn() (all []hook) {
	if n, ok := k.asked["FORWARD"]; ok {
		all = append(all, hook{filter, "FORWARD", jumps(translated, chainLet), n + 1})
	}
	if n, ok := k.asked["INPUT"]; ok {
		all = append(all, hook{filter, "INPUT", jumps("", chainLetIn), n + 1})
	}
	return all
}

// lets are the chains beside ufw. What no session has brought to the proxy, mangle has judged.
func lets(s firewall.Settings, f side) []chain {
	p, forward := s.Proxy, []rule{does(isMarked(ours), "ACCEPT")}
	for _, h := range s.Hairpins {
		if f.has(h.Target.Addr()) {
			forward = append(forward, does(back(h), "ACCEPT"))
		}
	}
	in := chain{table: filter, name: chainLetIn, rules: []rule{does(isMarked(ours)+translated, "ACCEPT")}}
	if to := f.of(p); p.Port != 0 && to.IsValid() {
		in.rules = append(in.rules, does("-d "+to.String()+" "+translated, "ACCEPT"))
	}
	return []chain{{filter, chainLet, forward, false}, in}
}
