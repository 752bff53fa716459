package iptables

import (
	"slices"
	"strconv"
	"strings"

	"github.com/ownline/ownline/internal/ownline"
)

// placedName is a chain of a table.
type placedName struct{ table, chain string }

// kernel is what iptables-save shows that concerns us.
type kernel struct {
	chains  map[placedName][]string // ours: the identities of their rules
	built   map[placedName][]line   // the kernel's own, and what of them leads to ours
	traffic map[string]ownline.Traffic
	asked   map[string]int // chains of the filter: how many rules of others there are until ufw's have been asked
	ufw     bool           // is active
}

// line is a rule of the kernel's own chains that leads to one of ours.
type line struct {
	at   int // how many are before it
	rule rule
}

// parse reads what iptables-save -c prints.
func parse(saved string) kernel {
	k := kernel{chains: map[placedName][]string{}, built: map[placedName][]line{}, traffic: map[string]ownline.Traffic{}, asked: map[string]int{}}
	before := map[placedName]int{}
	table := ""
	for l := range strings.Lines(saved) {
		l = strings.TrimSpace(l)
		if name, ok := strings.CutPrefix(l, "*"); ok {
			table = name
			continue
		}
		if name, ok := strings.CutPrefix(l, ":"); ok {
			name, _, _ := strings.Cut(name, " ")
			k.ufw = k.ufw || name == "ufw-user-forward"
			if strings.HasPrefix(name, prefix) {
				k.chains[placedName{table, name}] = nil
			}
			continue
		}
		var counted string
		if strings.HasPrefix(l, "[") {
			counted, l, _ = strings.Cut(l[1:], "] ")
		}
		l, ok := strings.CutPrefix(l, "-A ")
		if !ok {
			continue
		}
		name, text, _ := strings.Cut(l, " ")
		at := placedName{table, name}
		id := identity(text)
		if !strings.HasPrefix(name, prefix) {
			if strings.HasPrefix(id, prefix) {
				k.built[at] = append(k.built[at], line{before[at], rule(text)})
			}
			before[at]++
			if table == filter && isUFWs(id) {
				k.asked[name] = before[at] - len(k.built[at])
			}
			continue
		}
		k.chains[at] = append(k.chains[at], id)
		if table == mangle && isSession(id) {
			k.count(name, id, counted)
		}
	}
	return k
}

// count notes what a rule counted that leads to a session.
func (k kernel) count(chain, session, counted string) {
	p, b, _ := strings.Cut(counted, ":")
	packets, _ := strconv.ParseUint(p, 10, 64)
	bytes, _ := strconv.ParseUint(b, 10, 64)
	t := k.traffic[session]
	if chain == chainUp {
		t.UpPackets, t.UpBytes = packets, bytes
	} else {
		t.DownPackets, t.DownBytes = packets, bytes
	}
	k.traffic[session] = t
}

// hooks are the rules of the kernel's own chains that lead to ours.
func (k kernel) hooks() (all []hook) {
	for at, lines := range k.built {
		for _, l := range lines {
			all = append(all, hook{at.table, at.chain, l.rule, l.at})
		}
	}
	return all
}

// empty reports whether nothing of ours is there.
func (k kernel) empty() bool { return len(k.chains) == 0 && len(k.built) == 0 }

// placed reports whether each of our hooks is where it belongs, if it is there.
func (k kernel) placed(hooks []hook) bool {
	for _, h := range hooks {
		if l, ok := k.find(h); ok && l.at != h.at {
			return false
		}
	}
	return true
}

// find returns the rule that is a hook.
func (k kernel) find(h hook) (line, bool) {
	lines := k.built[placedName{h.table, h.chain}]
	i := slices.IndexFunc(lines, func(l line) bool { return identity(string(l.rule)) == identity(string(h.rule)) })
	if i < 0 {
		return line{}, false
	}
	return lines[i], true
}

// same reports whether the kernel holds exactly these.
func (k kernel) same(e Ending, static []chain, hooks []hook, sessions []session) bool {
	if len(k.hooks()) != len(hooks) {
		return false
	}
	for _, h := range hooks {
		if _, ok := k.find(h); !ok {
			return false
		}
	}
	chains := 0
	for _, c := range static {
		got, ok := k.chains[placedName{c.table, c.name}]
		if !ok || !slices.Equal(identities(c.rules), got[max(len(got)-len(c.rules), 0):]) || !c.lead && len(got) != len(c.rules) {
			return false
		}
		if c.lead && !leadsTo(got[:len(got)-len(c.rules)], sessions) {
			return false
		}
		chains++
	}
	for _, s := range sessions {
		for _, c := range s.own(e) {
			if got, ok := k.chains[placedName{c.table, c.name}]; !ok || !slices.Equal(identities(c.rules), got) {
				return false
			}
			chains++
		}
	}
	return len(k.chains) == chains
}

func identities(rules []rule) []string {
	out := make([]string, len(rules))
	for i, r := range rules {
		out[i] = identity(string(r))
	}
	return out
}

// leadsTo reports whether rules lead to each session once.
func leadsTo(got []string, sessions []session) bool {
	if len(got) != len(sessions) {
		return false
	}
	there := make(map[string]bool, len(got))
	for _, id := range got {
		there[id] = true
	}
	for _, s := range sessions {
		if !there[s.name] {
			return false
		}
	}
	return true
}
