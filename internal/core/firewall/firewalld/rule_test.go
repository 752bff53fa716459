package firewalld

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/ownline"
)

func entryOf(source, target string, t ownline.Transport) entry {
	return entry{firewall.Key{Source: netip.MustParsePrefix(source), Transport: t, Port: 24000}, netip.MustParseAddrPort(target)}
}

// What is written is read, and nothing else is taken for ours.
func TestRule(t *testing.T) {
	for want, e := range map[string]entry{
		`rule family="ipv4" source address="198.51.100.7" forward-port port="24000" protocol="tcp" to-port="22" to-addr="192.168.7.10"`:    entryOf("198.51.100.7/32", "192.168.7.10:22", ownline.TCP),
		`rule family="ipv6" source address="2001:db8:7:1::/64" forward-port port="24000" protocol="udp" to-port="53" to-addr="fd00:7::10"`: entryOf("2001:db8:7:1::/64", "[fd00:7::10]:53", ownline.UDP),
		`rule family="ipv6" source address="2001:db8::1" forward-port port="24000" protocol="tcp" to-port="22" to-addr="fd00:7::10"`:       entryOf("2001:db8::1/128", "[fd00:7::10]:22", ownline.TCP),
	} {
		if got := e.rule(); got != want {
			t.Errorf("rule = %s, want %s", got, want)
		}
		if got, ok := parse(want); !ok || got != e {
			t.Errorf("parse(%s) = %+v, %v", want, got, ok)
		}
	}
	for _, other := range []string{
		"",
		`rule family="ipv4" source address="198.51.100.7" accept`,
		`rule priority="5" family="ipv4" source address="198.51.100.7" forward-port port="24000" protocol="tcp" to-port="22" to-addr="192.168.7.10"`,
		`rule family="ipv4" source address="198.51.100.7" forward-port port="24000-24001" protocol="tcp" to-port="22" to-addr="192.168.7.10"`,
		`rule family="ipv4" source address="198.51.100.7" forward-port port="24000" protocol="sctp" to-port="22" to-addr="192.168.7.10"`,
		`rule family="ipv4" source address="198.51.100.7" forward-port port="24000" protocol="tcp" to-addr="192.168.7.10"`,
		`rule family="ipv4" source NOT address="198.51.100.7" forward-port port="24000" protocol="tcp" to-port="22" to-addr="192.168.7.10"`,
	} {
		if e, ok := parse(other); ok {
			t.Errorf("parse(%s) = %+v", other, e)
		}
	}
}

func FuzzRule(f *testing.F) {
	f.Add(entryOf("2001:db8:7:1::/64", "[fd00:7::10]:53", ownline.UDP).rule())
	f.Add(`rule family="ipv4" source address="0.0.0.0/0" port="=`)
	f.Add(`rule priority="5" ` + strings.TrimPrefix(entryOf("198.51.100.7/32", "192.168.7.10:22", ownline.TCP).rule(), "rule "))
	f.Add(strings.Replace(entryOf("198.51.100.7/32", "192.168.7.10:22", ownline.TCP).rule(), "24000", "024000", 1))
	f.Fuzz(func(t *testing.T, rule string) {
		if e, ok := parse(rule); ok && e.rule() != rule {
			t.Errorf("%q is read as %q", rule, e.rule())
		}
	})
}

// Step by step, the policy comes to hold what is wanted. No step changes more than a few rules, adds one that
// is there, or has two of one key.
func TestSteps(t *testing.T) {
	want, had := map[entry]bool{}, []string{`rule family="ipv4" source address="192.0.2.1" drop`}
	for i := range 100 {
		e := entryOf(fmt.Sprintf("198.51.100.%d/32", i+1), "192.168.7.10:22", ownline.TCP)
		switch i % 4 {
		case 0:
			had = append(had, e.rule()) // goes
		case 1:
			had = append(had, e.rule())
			want[e] = true // stays
		case 2:
			had = append(had, e.rule())
			e.target = netip.MustParseAddrPort("192.168.7.11:22")
			want[e] = true // leads elsewhere
		case 3:
			want[e] = true // comes
		}
	}
	const few = 7
	now := had
	for i, next := range hold(had).steps(want, few) {
		changes, keys := 0, map[firewall.Key]int{}
		for _, r := range now {
			if !slices.Contains(next, r) {
				changes++
			}
		}
		for _, r := range next {
			if !slices.Contains(now, r) {
				changes++
			}
			if e, ok := parse(r); ok {
				if keys[e.key]++; keys[e.key] > 1 {
					t.Errorf("step %d has %s twice", i, e.key)
				}
			}
		}
		if changes == 0 || changes > few {
			t.Errorf("step %d changes %d rules", i, changes)
		}
		now = next
	}
	if !hold(now).is(want) {
		t.Errorf("at the end, the policy holds %q", now)
	}
	if hold(had).is(want) || hold(append(now, had[0])).is(want) {
		t.Error("what else was there passes for what is wanted")
	}
	if steps := hold(now).steps(want, few); len(steps) != 0 {
		t.Errorf("steps to where it is: %q", steps)
	}
	if steps := hold(had).steps(nil, 1000); len(steps) != 1 || len(steps[0]) != 0 {
		t.Errorf("steps to nothing: %q", steps)
	}
}
