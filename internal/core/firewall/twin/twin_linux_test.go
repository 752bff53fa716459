package twin_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/firewall/twin"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
)

func TestMain(m *testing.M) { bedtest.Main(m) }

// forwards stands for what sessions do.
const forwards = `table ip forwards { chain in { type nat hook prerouting priority dstnat; tcp dport 20007 dnat to 192.168.7.10:7; udp dport 20007 dnat to 192.168.7.10:7
}
}
table ip6 forwards { chain in { type nat hook prerouting priority dstnat; tcp dport 20007 dnat to [fd00:7::10]:7
}
}
`

// What becomes of a packet in the copy becomes of one in the router, by whatever rules, and whoever wrote them. Which chain
// dropped it is told.
func TestTry(t *testing.T) {
	for _, program := range []string{"/usr/sbin/nft", "/usr/sbin/iptables-nft-restore", "/usr/sbin/iptables-legacy-restore"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%v: run the tests by make test, which installs it", err)
		}
	}
	inet := func(text string) string { return "table inet host {\n" + text + "\n}" }
	fwd := func(rules string) string {
		return inet("chain f { type filter hook forward priority filter; policy drop; ct state established accept; " + rules + "\n}")
	}
	ipt := func(rules ...string) string {
		return "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n" + strings.Join(rules, "\n") + "\nCOMMIT\n"
	}
	const legacy = "iptables-legacy"
	for name, tc := range map[string]struct {
		rules string
		by    string // who drops it; "": nobody
	}{
		"no rules":                 {"", ""},
		"drops all":                {fwd(""), "inet host f"},
		"what is translated":       {fwd("ct status dnat accept"), ""},
		"by an address":            {fwd("ip daddr 192.168.7.10 accept"), ""},
		"by another address":       {fwd("ip daddr 192.168.7.11 accept"), "inet host f"},
		"by a list of sources":     {inet("set s { type ipv4_addr; flags interval; elements = { 198.51.100.0/24 } }\nchain f { type filter hook forward priority filter; policy accept; ip saddr @s drop; }"), "inet host f"},
		"by another list":          {inet("set s { type ipv4_addr; flags interval; elements = { 192.0.2.0/24 } }\nchain f { type filter hook forward priority filter; policy accept; ip saddr @s drop; }"), ""},
		"by two things at once":    {inet("set s { type ipv4_addr . inet_service; elements = { 192.168.7.10 . 7 } }\nchain f { type filter hook forward priority filter; policy drop; ct state established accept; ip daddr . tcp dport @s accept; }"), ""},
		"by a map":                 {inet("chain zone { tcp dport 7 accept; }\nchain f { type filter hook forward priority filter; policy drop; ct state vmap { established : accept, invalid : drop }; iifname vmap { \"wan0\" : jump zone }; }"), ""},
		"by an interface's number": {fwd(`iif "wan0" oif "lan0" accept`), ""},
		"by another's number":      {fwd(`iif "lan0" accept`), "inet host f"},
		"in a chain of a chain":    {inet("chain rest { reject; }\nchain f { type filter hook forward priority filter; policy accept; ct state established accept; iifname wan0 jump rest; }"), "inet host rest"},
		"before it is routed":      {inet("chain p { type filter hook prerouting priority raw; tcp dport 20007 drop; }"), "inet host p"},
		"after it is routed":       {inet("chain p { type filter hook postrouting priority mangle; oifname lan0 tcp dport 7 drop; }"), "inet host p"},
		"by a mark":                {inet("chain p { type filter hook prerouting priority mangle; iifname wan0 meta mark set 7; }\nchain f { type filter hook forward priority filter; policy drop; ct state established accept; meta mark 7 accept; }"), ""},
		"counted by name":          {inet("counter c { }\nchain f { type filter hook forward priority filter; policy drop; counter name c accept; }"), ""},
		"an option is changed":     {inet("chain m { type filter hook forward priority mangle; tcp flags syn tcp option maxseg size set rt mtu; }"), ""},
		"in a limit":               {fwd("limit rate 10/second accept"), ""},
		"noted in a set":           {inet("set seen { type ipv4_addr; flags dynamic,timeout; timeout 1m; size 100; }\nchain f { type filter hook forward priority filter; policy drop; ct state established accept; add @seen { ip saddr limit rate 10/second } accept; }"), ""},
		"by a set that ends":       {inet("set s { type ipv4_addr; flags timeout; elements = { 192.168.7.10 timeout 1h } }\nchain f { type filter hook forward priority filter; policy drop; ct state established accept; ip daddr @s accept; }"), ""},
		"a table at rest":          {strings.Replace(fwd(""), "{\n", "{\nflags dormant;\n", 1), ""},
		"answers are dropped":      {inet("chain f { type filter hook forward priority filter; policy accept; iifname lan0 ct status dnat drop; }"), "inet host f"},
		"masqueraded":              {inet("chain s { type nat hook postrouting priority srcnat; oifname lan0 masquerade; }"), ""},
		"translated by another":    {inet("chain p { type nat hook prerouting priority dstnat - 10; tcp dport 20007 dnat ip to 192.168.7.99:7; }"), "elsewhere"},
		"of IPv6 alone":            {strings.Replace(fwd(""), "inet", "ip6", 1), ""},
		"iptables drops":           {ipt(), "ip filter FORWARD"},
		"iptables, translated":     {ipt("-A FORWARD -m conntrack --ctstate DNAT -j ACCEPT"), ""},
		"iptables, a port":         {ipt("-A FORWARD -p tcp -m tcp --dport 7 --syn -j ACCEPT"), ""},
		"iptables, ports":          {ipt("-A FORWARD -p tcp -m multiport --dports 7,9:10 -m comment --comment \"so\" -j ACCEPT"), ""},
		"iptables, other ports":    {ipt("-A FORWARD -p tcp -m multiport --dports 8,9:10 -j ACCEPT"), "ip filter FORWARD"},
		"iptables, another":        {ipt("-A FORWARD -p udp -m udp --dport 7 -j ACCEPT"), "ip filter FORWARD"},
		"iptables, in a chain":     {ipt(":own - [0:0]", "-A FORWARD -i wan0 -j own", "-A own -d 192.168.7.0/24 -o lan+ -m limit --limit 10/sec -j ACCEPT"), ""},
		"iptables refuses":         {ipt("-A FORWARD -i wan0 -j REJECT"), "ip filter FORWARD"},
	} {
		t.Run(name, func(t *testing.T) {
			programs := map[string][]string{"": {"/usr/sbin/nft", "-f", "-"}}
			if strings.HasPrefix(tc.rules, "*") {
				programs = map[string][]string{"nft": {"/usr/sbin/iptables-nft-restore"}, legacy: {"/usr/sbin/iptables-legacy-restore"}}
			}
			for variant, program := range programs {
				b := bedtest.New(t)
				tell(t, b.Router, tc.rules, program...)
				tell(t, b.Router, forwards, "/usr/sbin/nft", "-f", "-")
				var saved [2]string
				by := tc.by
				if variant == legacy {
					saved[0] = tell(t, b.Router, "", "/usr/sbin/iptables-legacy-save")
					if by != "" {
						by = legacy
					}
				}
				way := twin.Way{In: "wan0", Source: b.Client1.IPv4, Port: 20007, Target: netip.AddrPortFrom(b.Lan.IPv4, 7), TCP: true}
				before := state(t, b.Router)
				if got := dropper(tried(t, b.Router, saved, way)[0]); got != by {
					t.Errorf("of %s: dropped by %q, want %q", program[0], got, by)
				}
				if after := state(t, b.Router); after != before {
					t.Errorf("the router was\n%s\nand is\n%s", before, after)
				}
				passes(t, b, by == "")
			}
		})
	}
}

// What the copy does not have may be what lets a packet pass: that it is dropped is not sure then.
func TestUnsure(t *testing.T) {
	mac := []string{"*filter", ":FORWARD DROP [0:0]", "-A FORWARD -m mac --mac-source 02:00:00:00:00:01 -j ACCEPT", "COMMIT", ""}
	for name, tc := range map[string]struct {
		program string
		rules   string
		want    bool
	}{
		"the kind of an interface": {"nft", "table inet host { chain f { type filter hook forward priority filter; policy drop; ct state established accept; meta iiftype ether accept\n}\n}", true},
		"a hardware address":       {"nft", "table inet host { chain f { type filter hook forward priority filter; policy drop; ether saddr 02:00:00:00:00:01 accept\n}\n}", true},
		"one for iptables":         {"iptables-nft-restore", strings.Join(mac, "\n"), true},
		"one for iptables-legacy":  {"iptables-legacy-restore", strings.Join(mac, "\n"), true},
		"what it has":              {"nft", "table inet host { chain f { type filter hook forward priority filter; policy drop; tcp flags syn tcp option maxseg size set rt mtu; meta mark 1 iifname \"eth7\" ip saddr 192.0.2.1 accept\n}\n}", false},
	} {
		b := bedtest.New(t)
		args := []string{"/usr/sbin/" + tc.program}
		if tc.program == "nft" {
			args = append(args, "-f", "-")
		}
		tell(t, b.Router, tc.rules, args...)
		tell(t, b.Router, forwards, "/usr/sbin/nft", "-f", "-")
		var saved [2]string
		if strings.Contains(tc.program, "legacy") {
			saved[0] = tell(t, b.Router, "", "/usr/sbin/iptables-legacy-save")
		}
		way := twin.Way{In: "wan0", Source: b.Client1.IPv4, Port: 20007, Target: netip.AddrPortFrom(b.Lan.IPv4, 7), TCP: true}
		if o := tried(t, b.Router, saved, way)[0]; o.Back || o.Unsure != tc.want {
			t.Errorf("%s: %+v", name, o)
		}
	}
}

// Packets leave by the interface that the route to the target names, whatever its addresses are. They come by one
// that may have none of their family. A way that can't be tried keeps no other from it.
func TestGoesAsRoutesLead(t *testing.T) {
	const drops = "table inet host { chain f { type filter hook forward priority filter; policy accept; iifname wan0 oifname lan0 drop\n}\n}"
	for name, change := range map[string]string{
		"as ever":            "true",
		"no address":         "ip addr flush dev lan0; ip route add 192.168.7.0/24 dev lan0; ip -6 route add fd00:7::/64 dev lan0",
		"another's address":  "ip route add 192.168.7.10 dev lan0 src $(ip -4 -o addr show wan0 | sed 's/.*inet //; s,/.*,,')",
		"loopback's address": "ip addr add 10.9.9.9/32 dev lo; ip route add 192.168.7.10 dev lan0 src 10.9.9.9",
		"the link's alone":   "ip -6 addr flush dev wan0 scope global",
	} {
		b := bedtest.New(t)
		tell(t, b.Router, change+"; ip route add unreachable 10.99.0.0/16", "/bin/sh", "-es")
		tell(t, b.Router, forwards, "/usr/sbin/nft", "-f", "-")
		ways := []twin.Way{
			{In: "wan0", Source: b.Client1.IPv4, Port: 20007, Target: netip.MustParseAddrPort("10.99.0.1:7"), TCP: true},
			{In: "gone0", Source: b.Client1.IPv4, Port: 20007, Target: netip.AddrPortFrom(b.Lan.IPv4, 7), TCP: true},
			{In: "wan0", Source: b.Client1.IPv4, Port: 20007, Target: netip.AddrPortFrom(b.Lan.IPv4, 7), TCP: true},
			{In: "wan0", Source: b.Client1.IPv6, Port: 20007, Target: netip.AddrPortFrom(b.Lan.IPv6, 7), TCP: true},
		}
		for _, want := range []string{"", "inet host f"} {
			out := tried(t, b.Router, [2]string{}, ways...)
			if out[0].Err == nil || out[1].Err == nil {
				t.Errorf("%s: ways that lead nowhere: %+v", name, out[:2])
			}
			for i, o := range out[2:] {
				if got := dropper(o); got != want || o.Err != nil {
					t.Errorf("%s: packet %d is dropped by %q, want %q; %v", name, i, got, want, o.Err)
				}
			}
			tell(t, b.Router, drops, "/usr/sbin/nft", "-f", "-")
		}
	}
}

// passes sends a packet, and its answer back, through the router itself.
func passes(t *testing.T, b *bed.Bed, want bool) {
	t.Helper()
	lan, err := b.Lan.TCPEcho(7)
	if err != nil {
		t.Fatal(err)
	}
	defer lan.Close()
	wait := 20 * time.Second
	if !want {
		wait = 200 * time.Millisecond
	}
	if got := b.Client1.ConnectTCP(netip.AddrPortFrom(b.Router.IPv4, 20007), wait).State == bed.Open; got != want {
		t.Errorf("the router lets it pass: %v", got)
	}
}

// What nobody waits for any more is not waited for.
func TestEndsWithItsCaller(t *testing.T) {
	b := bedtest.New(t)
	must(t, b.Router.Sysctl("net/ipv4/ip_forward", "0"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	way := twin.Way{In: "wan0", Source: b.Client1.IPv4, Port: 20007, Target: netip.AddrPortFrom(b.Lan.IPv4, 7), TCP: true}
	must(t, b.Router.Do(func() error {
		out, err := twin.Try(ctx, [2]string{}, []twin.Way{way})
		if err == nil && !errors.Is(out[0].Err, context.Canceled) {
			t.Errorf("a packet was waited for: %+v", out[0])
		}
		return err
	}))
}

// Ipsets are not copied. That is said, rather than what the kernel makes of rules without them.
func TestNamesIPSets(t *testing.T) {
	for _, program := range []string{"iptables-nft", "iptables-legacy"} {
		for _, rule := range []string{"-A FORWARD -m set --match-set those src -j DROP", "-A FORWARD -i wan0 -j SET --add-set those src"} {
			b := bedtest.New(t)
			tell(t, b.Router, "create those hash:ip", "/usr/sbin/ipset", "restore")
			tell(t, b.Router, "*filter\n"+rule+"\nCOMMIT\n", "/usr/sbin/"+program+"-restore")
			var saved [2]string
			if program == "iptables-legacy" {
				saved[0] = tell(t, b.Router, "", "/usr/sbin/iptables-legacy-save")
			}
			err := b.Router.Do(func() error {
				_, err := twin.Try(t.Context(), saved, nil)
				return err
			})
			if err == nil || !strings.Contains(err.Error(), "ask for an ipset") {
				t.Errorf("%s, %s: %v", program, rule, err)
			}
		}
	}
}

// An interface whose number is taken gets another. What becomes of a packet is sure but for rules that go by numbers.
func TestTakenNumbers(t *testing.T) {
	for rule, want := range map[string]struct {
		by     string
		unsure bool
		err    string
	}{
		"accept":                         {"", false, ""},
		"iifname wan0 drop; accept":      {"inet host f", false, ""},
		"iif wan0 accept":                {"inet host f", true, ""},
		"iif wan0 oif lan0 drop; accept": {"elsewhere", true, "the numbers of interfaces"},
	} {
		b := bedtest.New(t)
		tell(t, b.Router, "table inet host { chain f { type filter hook forward priority filter; policy drop; ct state established accept; "+rule+"\n}\n}", "/usr/sbin/nft", "-f", "-")
		tell(t, b.Router, forwards, "/usr/sbin/nft", "-f", "-")
		way := twin.Way{In: "wan0", Source: b.Client1.IPv4, Port: 20007, Target: netip.AddrPortFrom(b.Lan.IPv4, 7), TCP: true}
		must(t, b.Router.Do(func() error {
			out, err := twin.TryTaken(t.Context(), "wan0", []twin.Way{way})
			if err != nil {
				return err
			}
			o := out[0]
			if got := dropper(o); got != want.by || o.Unsure != want.unsure || (o.Err != nil) != (want.err != "") || o.Err != nil && !strings.Contains(o.Err.Error(), want.err) {
				t.Errorf("%s: dropped by %q, %+v", rule, got, o)
			}
			return nil
		}))
	}
}

// Rules of iptables-legacy are put back by the variant that printed them.
func TestRestorer(t *testing.T) {
	for name, tc := range map[string]struct {
		has  []string
		want string
	}{
		"both variants": {[]string{"ip6tables-legacy-save", "ip6tables-legacy-restore", "ip6tables-save", "ip6tables-restore"}, "ip6tables-legacy-restore"},
		"no names":      {[]string{"ip6tables-save", "ip6tables-restore"}, "ip6tables-restore"},
		"half of it":    {[]string{"ip6tables-legacy-save", "ip6tables-restore"}, "ip6tables-legacy-restore"},
		"nothing":       {nil, "ip6tables-legacy-restore"},
	} {
		folder := t.TempDir()
		for _, program := range tc.has {
			must(t, os.WriteFile(filepath.Join(folder, program), nil, 0o755))
		}
		if got := filepath.Base(twin.Restorer("ip6", t.TempDir(), folder)); got != tc.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func dropper(o twin.Outcome) string {
	switch {
	case o.Back:
		return ""
	case o.Dropped != nil:
		return o.Dropped.String()
	case o.Legacy:
		return "iptables-legacy"
	}
	return "elsewhere"
}

func tried(t *testing.T, h *bed.Host, legacy [2]string, ways ...twin.Way) (out []twin.Outcome) {
	t.Helper()
	if err := h.Do(func() (err error) { out, err = twin.Try(t.Context(), legacy, ways); return err }); err != nil {
		t.Fatal(err)
	}
	return out
}

// state is all of a router that a look at it must not change.
func state(t *testing.T, h *bed.Host) string {
	t.Helper()
	return tell(t, h, "ip -o link | cut -d: -f2; ip -4 -o addr; ip -4 route | sed s/linkdown//; nft list ruleset | sed 's/ expires [0-9a-z]*//'", "/bin/sh", "-s")
}

// All ways are gone at once: of both families and protocols, with a session or as if there were one; each tells its own.
func TestTriesSeveral(t *testing.T) {
	b := bedtest.New(t)
	tell(t, b.Router, forwards+"table inet host { chain f { type filter hook forward priority filter; policy drop; ct state established accept; meta l4proto udp accept; tcp dport 443 accept\n}\n}", "/usr/sbin/nft", "-f", "-")
	lan4, lan6 := netip.AddrPortFrom(b.Lan.IPv4, 7), netip.AddrPortFrom(b.Lan.IPv6, 7)
	other4, other6 := netip.MustParseAddr("198.51.101.7"), netip.MustParseAddr("2a00:7::7")
	if ownline.KindOf(other4) != ownline.SourcePublic {
		t.Fatal("no such source is let in")
	}
	ways := []twin.Way{
		{In: "wan0", Source: b.Client1.IPv4, Port: 20007, Target: lan4, TCP: true},
		{In: "wan0", Source: b.Client1.IPv4, Port: 20007, Target: lan4},
		{In: "wan0", Source: b.Client1.IPv6, Port: 20007, Target: lan6, TCP: true},
		{In: "wan0", Source: other4, Port: 443, Target: netip.AddrPortFrom(b.Lan.IPv4, 443), TCP: true, Pretends: true},
		{In: "wan0", Source: other6, Port: 443, Target: netip.AddrPortFrom(b.Lan.IPv6, 443), TCP: true, Pretends: true},
	}
	var got []string
	for _, o := range tried(t, b.Router, [2]string{}, ways...) {
		got = append(got, dropper(o))
		if o.Dropped != nil && !o.Policy {
			t.Errorf("%s: the policy drops it, not a rule", o.Dropped)
		}
	}
	if want := []string{"inet host f", "", "inet host f", "", ""}; !slices.Equal(got, want) {
		t.Errorf("dropped are they by %q, want %q", got, want)
	}
	must(t, b.Router.Sysctl("net/ipv4/ip_forward", "0"))
	if o := tried(t, b.Router, [2]string{}, ways[3])[0]; o.There || o.Dropped != nil {
		t.Errorf("of a router that does not forward: %+v", o)
	}
}

// However many rules a packet passes before, the one that drops it is told.
func TestTellsAfterManyRules(t *testing.T) {
	b := bedtest.New(t)
	tell(t, b.Router, forwards+"table inet host { chain f { type filter hook forward priority filter; "+strings.Repeat("counter; ", 1000)+"meta l4proto udp drop\n}\n}", "/usr/sbin/nft", "-f", "-")
	way := twin.Way{In: "wan0", Source: b.Client1.IPv4, Port: 20007, Target: netip.AddrPortFrom(b.Lan.IPv4, 7), TCP: true}
	datagram := way
	datagram.TCP = false
	var got []string
	for _, o := range tried(t, b.Router, [2]string{}, way, way, datagram) {
		got = append(got, dropper(o))
	}
	if want := []string{"", "", "inet host f"}; !slices.Equal(got, want) {
		t.Errorf("dropped are they by %q, want %q", got, want)
	}
}

// Knocks come to the copy's own socket, as untracked as the kernel's filter makes them, and are answered from there.
func TestKnocks(t *testing.T) {
	in := func(rules string) string {
		return "table inet host { chain i { type filter hook input priority filter; policy drop; " + rules + "\n}\n}"
	}
	out := func(rules string) string {
		return "table inet host { chain o { type filter hook output priority filter; policy accept; " + rules + "\n}\n}"
	}
	pre := func(priority, rules string) string {
		return "table inet host { chain p { type filter hook prerouting priority " + priority + "; policy accept; " + rules + "\n}\n}"
	}
	// Ownline's own filter counts what has no hint, and knows nobody's.
	const filter = "table inet ownline { chain knock_closed { type filter hook input priority 100; udp dport 54754 ct state != untracked reject\n}\n}\n"
	for name, tc := range map[string]struct {
		rules   string
		want    string // who drops it, of an untracked one
		tracked string // and of a tracked one
	}{
		"no rules":          {"", "", "inet ownline knock_closed"},
		"drops all":         {in(""), "inet host i", "inet host i"},
		"by its state":      {in("udp dport 54754 ct state untracked accept"), "", "inet host i"},
		"what is new":       {in("ct state new accept"), "inet host i", "inet ownline knock_closed"},
		"by its size":       {in("udp length 136 accept"), "", "inet ownline knock_closed"},
		"before routing":    {pre("raw", "udp dport 54754 drop"), "inet host p", "inet host p"},
		"behind the filter": {pre("mangle", "ct state untracked drop"), "inet host p", "inet ownline knock_closed"},
		"its answer":        {out("udp sport 54754 drop"), "inet host o", "inet ownline knock_closed"},
		"other answers":     {out("ct state != untracked udp sport 54754 drop"), "", "inet ownline knock_closed"},
	} {
		b := bedtest.New(t)
		tell(t, b.Router, filter+tc.rules, "/usr/sbin/nft", "-f", "-")
		var ways []twin.Way
		for _, source := range []string{"198.51.101.8", "2a00:7::8"} {
			ways = append(ways, twin.Way{In: "wan0", Source: netip.MustParseAddr(source), Port: 54754, Knock: true, Untracked: true})
		}
		before := state(t, b.Router)
		for _, o := range tried(t, b.Router, [2]string{}, ways...) {
			if got := dropper(o); got != tc.want || o.Err != nil || o.There != (tc.want == "" || tc.want == "inet host o") {
				t.Errorf("%s: dropped by %q, want %q: %+v", name, got, tc.want, o)
			}
		}
		ways[0].Untracked, ways[0].Silent = false, true
		if o := tried(t, b.Router, [2]string{}, ways[0])[0]; dropper(o) != tc.tracked || o.Err != nil {
			t.Errorf("%s: tracked, it is dropped by %q, want %q: %+v", name, dropper(o), tc.tracked, o)
		}
		if after := state(t, b.Router); after != before {
			t.Errorf("%s: the router was\n%s\nand is\n%s", name, before, after)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tell runs a program on a host as its admin would, and returns what it prints.
func tell(t *testing.T, h *bed.Host, input string, program ...string) string {
	t.Helper()
	cmd := h.Command(t.Context(), program[0], program[1:]...)
	var out, said strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &said
	if err := h.Run(cmd); err != nil {
		t.Fatalf("%v: %v: %s", program, err, &said)
	}
	return out.String()
}
