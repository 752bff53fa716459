package iptables

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/flows"
)

// The chains, all of which begin alike.
const (
	prefix      = "ownline-"
	chainIn     = prefix + "in"
	chainTake   = prefix + "take"
	chainDNAT   = prefix + "dnat"
	chainOut    = prefix + "out"
	chainInside = prefix + "inside"
	chainBack   = prefix + "back"
	chainGate   = prefix + "gate"
	chainUp     = prefix + "up"   // from the source
	chainDown   = prefix + "down" // to the source
	chainEnded  = prefix + "ended"
	chainInput  = prefix + "input"
	chainOutput = prefix + "output"
	chainLate   = prefix + "late"
	chainReset  = prefix + "reset"
	chainLet    = prefix + "let" // beside ufw: what it need not refuse
	chainLetIn  = prefix + "let-in"
	chainProbe  = prefix + "probe"
)

// Bits of a connection's mark.
const (
	ours  = flows.MarkBit
	ended = ours << 1 // its TCP was refused, and is to be reset
)

// The tables, in the order in which they are written: a session is first let through the gate,
// and then led there.
const (
	filter = "filter"
	mangle = "mangle"
	nat    = "nat"
)

var tables = [...]string{filter, mangle, nat}

func bit(b uint32) string { return "0x" + strconv.FormatUint(uint64(b), 16) }

func isMarked(b uint32) string    { return "-m connmark --mark " + bit(b) + "/" + bit(b) + " " }
func isNotMarked(b uint32) string { return "-m connmark ! --mark " + bit(b) + "/" + bit(b) + " " }

// Everybody together may begin so many connections a second at a port that is open for a while.
const everybody = "-m limit --limit 50/sec --limit-burst 200 "

// side is IPv4 or IPv6.
type side struct {
	v4            bool
	save, restore string // programs
}

func (s side) has(a netip.Addr) bool { return a.Is4() == s.v4 }

// of is the proxy's address of the family.
func (s side) of(p firewall.Proxy) netip.Addr {
	if s.v4 {
		return p.Addr4
	}
	return p.Addr6
}

// chain is one of ours: what is in it depends on the settings only.
type chain struct {
	table, name string
	rules       []rule
	lead        bool // to the chains of sessions, before these rules and in any order
}

// rule is what a line of iptables says, without the chain.
type rule string

// does is a rule that leads to no other chain. Its comment is a fingerprint of itself.
func does(match, target string) rule {
	sum := sha256.Sum256([]byte(match + target))
	return rule(match + "-m comment --comment " + prefix + hex.EncodeToString(sum[:6]) + " -j " + target)
}

// jumps is one that does, and comes back; goes is one that returns where its own chain would.
func jumps(match, name string) rule { return rule(match + "-j " + name) }
func goes(match, name string) rule  { return rule(match + "-g " + name) }

// hook is where a chain of the kernel's leads to one of ours.
type hook struct {
	table, chain string
	rule         rule
	at           int // so many are before it, when all hooks are there
}

func hooks(s firewall.Settings) []hook {
	all := append([]hook(nil), // what is made as a list has code to compare it, a KB of it
		hook{filter, "FORWARD", jumps(isMarked(ended), chainReset), 0},
		hook{filter, "INPUT", jumps(isMarked(ended), chainReset), 0},
		hook{mangle, "FORWARD", jumps(isMarked(ours), chainGate), 0},
		hook{mangle, "INPUT", jumps("", chainInput), 0},
		hook{mangle, "OUTPUT", jumps(isMarked(ours), chainOutput), 0},
		hook{mangle, "POSTROUTING", jumps(isMarked(ended), chainLate), 0},
		hook{nat, "PREROUTING", jumps("-m addrtype --dst-type LOCAL ", chainIn), 0},
	)
	if s.Masquerade {
		all = append(all, hook{nat, "POSTROUTING", jumps(isMarked(ours)+"-m conntrack --ctdir ORIGINAL ", chainOut), 0})
	}
	if len(s.Hairpins) > 0 {
		at := 0
		if s.Masquerade {
			at = 1
		}
		all = append(all, hook{nat, "POSTROUTING", jumps(isNotMarked(ours)+"-m conntrack --ctstate DNAT ", chainBack), at})
	}
	return all
}

// chains writes down all that depends on the settings only. What is for everybody until a time is
// left out when that is over.
func (e Ending) chains(s firewall.Settings, f side, now time.Time) []chain {
	const back = "RETURN"
	ourReset := does("-p tcp -m tcp --tcp-flags RST RST ", back)
	icmp := "icmp"
	if !f.v4 {
		icmp = "ipv6-icmp"
	}
	all := []chain{
		{filter, chainReset, []rule{does("-p tcp ", "REJECT --reject-with tcp-reset"), does("", "DROP")}, false},
		{mangle, chainGate, []rule{
			does("-p "+icmp+" -m conntrack --ctstate RELATED ", back), // errors about packets, path MTU among them
			goes("-m conntrack --ctdir ORIGINAL ", chainUp),
			goes("", chainDown),
		}, false},
		{mangle, chainUp, []rule{goes("", chainEnded)}, true},
		{mangle, chainDown, []rule{goes("", chainEnded)}, true},
		{mangle, chainEnded, []rule{does("! -p tcp ", "DROP"), does("", "CONNMARK --set-xmark "+bit(ended)+"/"+bit(ended))}, false},
		{mangle, chainInput, append([]rule{jumps(isMarked(ours), chainGate)}, e.fromElsewhere(s, f, now)...), false},
		{mangle, chainOutput, []rule{ourReset, jumps("", chainGate), does(isMarked(ended), "DROP")}, false},
		{mangle, chainLate, []rule{ourReset, does("", "DROP")}, false},
		// The mark comes first: the translation is the last that a packet meets here.
		{nat, chainTake, []rule{
			does("", "CONNMARK --set-xmark "+bit(ours)+"/"+bit(ours)),
			jumps("", chainDNAT),
			does("", "CONNMARK --set-xmark 0x0/"+bit(ours)),
		}, false},
		{nat, chainDNAT, nil, true},
	}
	all = append(all, chain{nat, chainInside, fromInside(s, f), false})
	in := chain{table: nat, name: chainIn, rules: []rule{jumps("", chainInside)}}
	if len(s.WAN) == 0 {
		in.rules = append(in.rules, jumps("", chainTake))
	}
	for _, name := range s.WAN {
		if begin, ok := strings.CutSuffix(name, "*"); ok {
			name = begin + "+"
		}
		in.rules = append(in.rules, jumps("-i "+name+" ", chainTake))
	}
	in.rules = append(in.rules, e.fromEverywhere(s.Proxy, f, now)...)
	all = append(all, in)
	if s.Masquerade {
		all = append(all, chain{nat, chainOut, []rule{does("", "MASQUERADE")}, false})
	}
	if len(s.Hairpins) > 0 {
		all = append(all, chain{nat, chainBack, fromHairpins(s.Hairpins, f), false})
	}
	return all
}

// fromEverywhere leads everybody to what is public for a while. Sessions have been asked for by
// then. What comes too fast finds a port as closed as it usually is.
func (e Ending) fromEverywhere(p firewall.Proxy, f side, now time.Time) (rules []rule) {
	for _, a := range p.Public {
		if f.has(a.Addr()) && a.Until.After(now) {
			rules = append(rules, does("-p tcp -m tcp --dport "+port(a.Port())+" "+e.until(a.Until, now)+everybody, "DNAT --to-destination "+a.String()))
		}
	}
	return rules
}

// fromElsewhere keeps others from the proxy's address: a neighbour of the router could send
// packets there without any translation.
func (e Ending) fromElsewhere(s firewall.Settings, f side, now time.Time) (rules []rule) {
	p := s.Proxy
	addr := f.of(p)
	if p.Port == 0 || !addr.IsValid() {
		return nil
	}
	to := "-d " + addr.String() + " "
	for _, a := range p.Public {
		if f.has(a.Addr()) && a.Stay.After(now) {
			rules = append(rules, does(to+"-p tcp -m tcp --dport "+port(a.Port())+" "+e.until(a.Stay, now)+"-m conntrack --ctstate DNAT ", "RETURN"))
		}
	}
	for _, g := range s.Gateways {
		if f.has(g) {
			rules = append(rules, does("-s "+g.String()+" "+to+isNotMarked(ours), "DROP"))
		}
	}
	for _, n := range p.LocalNetworks {
		if f.has(n.Addr()) {
			rules = append(rules, does("-s "+n.String()+" "+to, "RETURN"))
		}
	}
	return append(rules, does(to+"! -i lo "+isNotMarked(ours), "DROP"))
}

func port(n uint16) string { return strconv.Itoa(int(n)) }

// until holds until a time, where rules can say so.
func (e Ending) until(t, now time.Time) string {
	if e != ByTime {
		return ""
	}
	return "-m time --datestop " + stop(t, now) + " "
}

// stamp is how xt_time is told a time.
const stamp = "2006-01-02T15:04:05"

// stop is the last second, by the host's clock, in which there is access until t: rules know no
// parts of seconds.
func stop(t, now time.Time) string {
	return now.Round(0).Add(t.Sub(now)).Add(time.Second - 1).Truncate(time.Second).Add(-time.Second).UTC().Format(stamp)
}

// session is a forward in the kernel.
type session struct {
	firewall.Forward
	name string // of its chains
	stop string
}

func (e Ending) session(f firewall.Forward, now time.Time) session {
	sum := sha256.Sum256([]byte(f.Key.String() + " " + f.Target.String()))
	return session{Forward: f, name: prefix + hex.EncodeToString(sum[:8]), stop: stop(f.Until, now)}
}

// jumped reports whether the host's clock was set since a session was written, by more than rounding
// does, so that its rules say another time than they should.
func (e Ending) jumped(had, s session) bool {
	a, err := time.Parse(stamp, had.stop)
	b, err2 := time.Parse(stamp, s.stop)
	return e == ByTime && (err != nil || err2 != nil || a.Sub(b).Abs() > time.Second)
}

// isSession reports whether a chain of ours is a session's.
func isSession(name string) bool { return len(name) == len(prefix)+16 }

// leads are the rules that lead to a session's chains.
func (s session) leads() []placed {
	proto := string(s.Transport)
	from, to, of := " "+s.Source.String(), " "+s.Target.Addr().String(), " -p "+proto+" -m "+proto
	inside := port(s.Target.Port()) + " -m conntrack --ctorigdstport " + port(s.Port) + " "
	return append([]placed(nil), // likewise
		placed{mangle, chainUp, goes("-s"+from+" -d"+to+of+" --dport "+inside, s.name)},
		placed{mangle, chainDown, goes("-s"+to+" -d"+from+of+" --sport "+inside, s.name)},
		placed{nat, chainDNAT, goes("-s"+from+of+" --dport "+port(s.Port)+" ", s.name)},
	)
}

// placed is a rule in a chain.
type placed struct {
	table, chain string
	rule         rule
}

// own are the session's chains.
func (s session) own(e Ending) [2]chain {
	var live []string
	switch e {
	case ByTime:
		live = []string{"-m time --datestop " + s.stop + " "}
	case BySet:
		live = []string{"-m set --match-set " + s.set(mangle) + " dst,dst,src ", "-m set --match-set " + s.set(mangle) + " src,src,dst "}
	default:
		live = []string{""}
	}
	gate := chain{table: mangle, name: s.name}
	for _, match := range live {
		gate.rules = append(gate.rules, does(match, "RETURN"))
	}
	if e != ByCore {
		gate.rules = append(gate.rules, goes("", chainEnded))
	}
	lead := live[0]
	if e == BySet {
		lead = "-m set --match-set " + s.set(nat) + " src,dst "
	}
	return [2]chain{gate, {table: nat, name: s.name, rules: []rule{does("-p "+string(s.Transport)+" "+lead, "DNAT --to-destination "+s.Target.String())}}}
}

// identity is what iptables-save shows of a rule in whatever words: its comment, or else where
// it leads.
func identity(line string) string {
	words := strings.Fields(line)
	for _, what := range []string{"--comment", "-j", "-g"} {
		if i := slices.Index(words, what); i >= 0 && i+1 < len(words) {
			return strings.Trim(words[i+1], `"`)
		}
	}
	return ""
}
