package firewalld

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/ownline"
)

// entry is what a rich rule of ours says.
type entry struct {
	key    firewall.Key
	target netip.AddrPort
}

// rule writes an entry as firewalld prints it.
func (e entry) rule() string {
	family, source := "ipv4", e.key.Source.String()
	if e.key.Source.Addr().Is6() {
		family = "ipv6"
	}
	if e.key.Source.IsSingleIP() {
		source = e.key.Source.Addr().String()
	}
	return fmt.Sprintf("rule family=%q source address=%q forward-port port=\"%d\" protocol=%q to-port=\"%d\" to-addr=%q",
		family, source, e.key.Port, string(e.key.Transport), e.target.Port(), e.target.Addr().String())
}

// parse reads what rule writes; false for a rule of somebody else's.
func parse(rule string) (e entry, ok bool) {
	said := map[string]string{}
	for _, word := range strings.Fields(rule) {
		if name, value, found := strings.Cut(word, "="); found {
			said[name] = strings.Trim(value, `"`)
		}
	}
	source, err := netip.ParsePrefix(said["address"])
	if err != nil {
		addr, err := netip.ParseAddr(said["address"])
		if err != nil {
			return e, false
		}
		source = netip.PrefixFrom(addr, addr.BitLen())
	}
	port, err := strconv.ParseUint(said["port"], 10, 16)
	to, err2 := netip.ParseAddrPort(net(said["to-addr"], said["to-port"]))
	if err != nil || err2 != nil {
		return e, false
	}
	e = entry{firewall.Key{Source: source, Transport: ownline.Transport(said["protocol"]), Port: uint16(port)}, to}
	return e, e.key.Validate(source.Bits()) == nil && e.rule() == rule
}

func net(addr, port string) string {
	if strings.Contains(addr, ":") {
		return "[" + addr + "]:" + port
	}
	return addr + ":" + port
}

// held is what the policy holds: all of its rules, and which of them are ours.
type held struct {
	rules []string
	ours  map[entry]bool
}

func hold(rules []string) held {
	h := held{rules: rules, ours: map[entry]bool{}}
	for _, r := range rules {
		if e, ok := parse(r); ok {
			h.ours[e] = true
		}
	}
	return h
}

// keys are those that firewalld may translate.
func (h held) keys() (all []firewall.Key) {
	for e := range h.ours {
		all = append(all, e.key)
	}
	return all
}

// is reports whether the policy holds nothing but what is wanted.
func (h held) is(want map[entry]bool) bool {
	if len(h.rules) != len(want) {
		return false
	}
	for e := range want {
		if !h.ours[e] {
			return false
		}
	}
	return true
}

// steps are the rules that the policy is to have, one after the other, until it holds what is wanted: what goes
// goes first. Each step changes no more than a few, as firewalld answers nobody else meanwhile.
func (h held) steps(want map[entry]bool, few int) (all [][]string) {
	var now, gone []string
	for _, r := range h.rules {
		if e, ok := parse(r); ok && want[e] {
			now = append(now, r)
		} else {
			gone = append(gone, r)
		}
	}
	for len(gone) > few {
		gone = gone[few:]
		all = append(all, append(append([]string{}, now...), gone...))
	}
	n := len(gone)
	for e := range want {
		if h.ours[e] {
			continue
		}
		if n == few {
			all = append(all, append([]string{}, now...))
			n = 0
		}
		now = append(now, e.rule())
		n++
	}
	if n > 0 {
		all = append(all, now)
	}
	return all
}
