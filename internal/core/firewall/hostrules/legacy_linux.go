package hostrules

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Legacy adds the rules of iptables-legacy, of IPv4 or IPv6, as its iptables-save prints them.
func (r *Rules) Legacy(ipv6 bool, saved string) {
	of := chain{family: unix.NFPROTO_IPV4}
	if ipv6 {
		of.family = unix.NFPROTO_IPV6
	}
	of.Family, of.Legacy = families[of.family], true
	for line := range strings.Lines(saved) {
		w := words(strings.TrimSpace(line))
		switch {
		case len(w) == 0:
		case w[0][0] == '*':
			of.Table = w[0][1:]
		case w[0][0] == ':' && len(w) > 1 && !strings.HasPrefix(w[0], ":ownline-"):
			c := of
			c.Name, c.drops = w[0][1:], w[1] == "DROP"
			switch c.nat = c.Table == "nat"; c.Table {
			case "raw":
				c.priority = -300
			case "mangle":
				c.priority = -150
			}
			if hook := strings.ToLower(c.Name); slices.Contains(hooks[:], hook) && w[1] != "-" {
				c.Hook = hook
			}
			r.chains = append(r.chains, &c)
		case w[0] == "-A" && len(w) > 1:
			if c := r.beside(&of, w[1]); c != nil {
				c.lines = append(c.lines, w[2:])
			}
		}
	}
}

// words are those of a line; quotes hold some together.
func words(line string) (all []string) {
	word, quoted, escaped := "", false, false
	for _, b := range line + " " {
		switch {
		case escaped:
			word, escaped = word+string(b), false
		case b == '\\':
			escaped = true
		case b == '"':
			quoted = !quoted
		case b != ' ' || quoted:
			word += string(b)
		case word != "":
			all, word = append(all, word), ""
		}
	}
	return all
}

// legacy is judge for a rule of iptables-legacy.
func (p *Packet) legacy(rule []string) (t truth, v verdict, to string) {
	t = yes
	not := false
	for i := 0; i < len(rule); {
		option, arg := rule[i], ""
		if i++; option == "!" {
			not = true
			continue
		}
		for first := true; i < len(rule) && rule[i] != "!" && (first && option == "--comment" || rule[i][0] != '-'); i++ {
			if first {
				arg, first = rule[i], false
			}
		}
		if option == "-j" || option == "-g" {
			v, to = targets[arg], arg
			if _, ok := targets[arg]; !ok {
				if v = jump; option == "-g" {
					v = leaveFor
				}
			}
			return t, v, to
		}
		is := p.option(option, arg)
		if not {
			is, not = yes-is, false
		}
		t = min(t, is)
	}
	return t, goOn, ""
}

// targets are those that decide; others are chains, or do something besides.
var targets = map[string]verdict{"ACCEPT": accept, "DROP": drop, "REJECT": drop, "RETURN": comeBack, "MASQUERADE": rewrite, "SNAT": rewrite}

// option judges by one of a rule's.
func (p *Packet) option(name, arg string) truth {
	switch name {
	case "--comment", "--limit", "--limit-burst": // a limit is not exceeded
		return yes
	case "-m":
		return max(maybe, is(slices.Contains([]string{"tcp", "udp", "conntrack", "state", "comment", "limit", "multiport", "addrtype"}, arg)))
	case "-p":
		return is(arg == "tcp" && p.TCP || arg == "udp" && !p.TCP)
	case "-i":
		return isInterface(p.In, arg)
	case "-o":
		return isInterface(p.Out, arg)
	case "--sport", "--sports":
		return isPort(p.From, arg)
	case "--dport", "--dports":
		return isPort(p.To, arg)
	case "-s":
		return isIn(p.Source, arg)
	case "-d":
		return isIn(p.Target, arg)
	case "--dst-type":
		if p.local {
			return is(arg == "LOCAL")
		}
	case "--state", "--ctstate":
		for state := range strings.SplitSeq(arg, ",") {
			has := p.state()
			if state == "INVALID" && has == stateInvalid || state == "ESTABLISHED" && has == stateEstablished || state == "NEW" && has == stateNew || state == "UNTRACKED" && has == stateUntracked || state == "DNAT" && p.Translated {
				return yes
			}
		}
		return no
	}
	return maybe
}

// isIn reports whether an address is in a network, as iptables-save prints that.
func isIn(a netip.Addr, network string) truth {
	if n, err := netip.ParsePrefix(network); err == nil && a.IsValid() {
		return is(n.Contains(a))
	}
	return maybe
}

func isInterface(name, want string) truth {
	begin, ok := strings.CutSuffix(want, "+")
	switch {
	case name == "":
		return maybe
	case ok:
		return is(strings.HasPrefix(name, begin))
	}
	return is(name == want)
}

// isPort reports whether a list like "53,1000:2000" has a port.
func isPort(port uint16, list string) truth {
	if port == 0 {
		return maybe
	}
	for span := range strings.SplitSeq(list, ",") {
		from, to, ok := strings.Cut(span, ":")
		if !ok {
			to = from
		}
		a, _ := strconv.Atoi(from)
		if b, _ := strconv.Atoi(to); a <= int(port) && int(port) <= b {
			return yes
		}
	}
	return no
}
