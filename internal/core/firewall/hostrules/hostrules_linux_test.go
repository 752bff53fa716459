package hostrules_test

import (
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/firewall/hostrules"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
)

func TestMain(m *testing.M) { bedtest.Main(m) }

// What the host's rules do with a packet is read from the kernel, whoever has written them; and where that can
// be tried with a packet, the kernel does it.
func TestObstacles(t *testing.T) {
	for _, program := range []string{"/usr/sbin/nft", "/usr/sbin/iptables-nft-restore", "/usr/sbin/iptables-legacy-restore"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%v: run the tests by make test, which installs it", err)
		}
	}
	forward := hostrules.Packet{Hook: "forward", TCP: true, Translated: true, In: "wan0", Out: "lan0"}
	knock := hostrules.Packet{Hook: "input", To: 54754, Untracked: true, In: "wan0"}
	back := hostrules.Packet{Hook: "forward", TCP: true, Translated: true, Established: true, In: "lan0", Out: "wan0"}
	answer := hostrules.Packet{Hook: "output", From: 54754, Untracked: true, Out: "wan0"}
	enters := hostrules.Packet{Hook: "prerouting", TCP: true, Translated: true, In: "wan0", To: 20007}
	answered := hostrules.Packet{Hook: "prerouting", TCP: true, Translated: true, Established: true, In: "lan0"}
	comes := hostrules.Packet{Hook: "prerouting", To: 54754, Untracked: true, In: "wan0"}
	leaves, left := forward, back
	leaves.Hook, left.Hook = "postrouting", "postrouting"
	left.From, left.Source = 7, netip.MustParseAddr("192.168.7.10")
	six := forward
	six.IPv6 = true
	anywhere := forward
	anywhere.In, anywhere.Out = "", ""
	from, back4, from6 := forward, back, six
	from.Source, from.Target = netip.MustParseAddr("198.51.100.10"), netip.MustParseAddr("192.168.7.10")
	back4.Source, back4.Target = from.Target, from.Source
	from6.Source, from6.Target = netip.MustParseAddr("2001:db8:1:1::10"), netip.MustParseAddr("fd00:7::10")
	inet := func(chains string) string { return "table inet host {\n" + chains + "\n}" }
	fwd := func(rules string) string {
		return inet("chain f { type filter hook forward priority filter; policy drop; " + rules + "\n}")
	}
	in := func(rules string) string {
		return inet("chain in { type filter hook input priority filter; policy drop; " + rules + "\n}")
	}
	dev := func(hook, rules string) string {
		return "table netdev host { chain d { type filter hook ingress " + hook + "; " + rules + "\n}\n}"
	}
	pre := func(priority, rules string) string {
		return inet("chain p { type filter hook prerouting priority " + priority + "; policy accept; " + rules + "\n}")
	}
	post := func(rules string) string {
		return inet("chain p { type filter hook postrouting priority mangle; policy drop; " + rules + "\n}")
	}
	raw := func(rules ...string) string {
		return "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n" + strings.Join(rules, "\n") + "\nCOMMIT\n"
	}
	ipt := func(rules ...string) string {
		return "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n" + strings.Join(rules, "\n") + "\nCOMMIT\n"
	}
	const none, yes, unsure = "", "drops", "may drop"
	for name, tc := range map[string]struct {
		rules  string
		packet hostrules.Packet
		want   string
	}{
		"no rules":                         {"", forward, none},
		"drops all":                        {fwd(""), forward, yes},
		"is asked for another hook":        {fwd(""), knock, none},
		"of the other family":              {strings.Replace(fwd(""), "inet", "ip", 1), six, none},
		"of this family":                   {strings.Replace(fwd(""), "inet", "ip6", 1), six, yes},
		"the usual router":                 {fwd(`iifname "lan0" oifname "wan0" accept; ct state established,related accept`), forward, yes},
		"what is translated":               {fwd(`ct status dnat accept`), forward, none},
		"what is translated, counted":      {fwd(`counter ct status dnat log accept`), forward, none},
		"what is not translated":           {fwd(`ct status & dnat == 0 accept`), forward, yes},
		"the way back by state":            {fwd(`ct state { established, related } accept`), back, none},
		"the way back by a map":            {fwd(`ct state vmap { established : accept, invalid : drop }`), back, none},
		"a map has another state":          {fwd(`ct state vmap { established : accept, invalid : drop }`), forward, yes},
		"the way back is shut":             {fwd(`ct state new ct status dnat accept`), back, yes},
		"by interface":                     {fwd(`iifname "wan0" oifname "lan0" accept`), forward, none},
		"by an interface's number":         {fwd(`iif "lo" drop; iif "wan0" oif "lan0" accept`), forward, none},
		"by another's number":              {fwd(`iif { "lo", "lan0" } accept`), forward, yes},
		"by another interface":             {fwd(`iifname "eth7" accept`), forward, yes},
		"by the beginning of interfaces":   {fwd(`iifname "wa*" accept`), forward, none},
		"by a set of interfaces":           {fwd(`iifname { "lo", "wan0" } accept`), forward, none},
		"by a set of others":               {fwd(`iifname { "lo", "lan0" } accept`), forward, yes},
		"by all but a set":                 {fwd(`iifname != { "lo", "lan0" } accept`), forward, none},
		"interfaces are not known":         {fwd(`iifname "wan0" accept`), anywhere, unsure},
		"by an address":                    {fwd(`ip daddr 192.168.7.10 accept`), forward, unsure},
		"from an address that is known":    {fwd(`ip saddr 198.51.100.10 ip daddr 192.168.7.10 accept`), from, none},
		"from another than that":           {fwd(`ip saddr 198.51.100.11 accept`), from, yes},
		"to another than that":             {fwd(`ip daddr 192.168.7.11 accept; ip daddr 198.51.100.10 accept`), from, yes},
		"back to it":                       {fwd(`ip saddr 192.168.7.10 ip daddr 198.51.100.10 accept`), back4, none},
		"from its network":                 {fwd(`ip saddr 198.51.100.0/24 ip daddr 192.168.0.0/20 accept`), from, none},
		"from another network":             {fwd(`ip saddr 192.0.2.0/25 accept`), from, yes},
		"from a set of addresses":          {fwd(`ip saddr { 192.0.2.0/24, 198.51.100.8-198.51.100.11 } accept`), from, none},
		"to an address of IPv6":            {fwd(`ip6 saddr 2001:db8:1:1::10 ip6 daddr fd00:7::/64 accept`), from6, none},
		"to another of IPv6":               {fwd(`ip6 daddr fd00:7::11 accept`), from6, yes},
		"by a port":                        {fwd(`tcp dport 22 accept`), forward, unsure},
		"another protocol":                 {fwd(`meta l4proto udp accept`), forward, yes},
		"a set of protocols":               {fwd(`meta l4proto { tcp, udp } accept`), forward, none},
		"in a limit":                       {fwd(`limit rate 10/second accept`), forward, none},
		"refused at the end":               {inet("chain f { type filter hook forward priority filter; policy accept; ct state established accept; reject; }"), forward, yes},
		"refused too late":                 {inet("chain f { type filter hook forward priority filter; policy accept; ct status dnat accept; drop; }"), forward, none},
		"two chains, of which one drops":   {fwd("ct status dnat accept") + "\ntable inet more { chain f { type filter hook forward priority 5; policy drop; }\n}", forward, yes},
		"in a zone's chain":                {inet("chain zone { ct status dnat accept; }\nchain f { type filter hook forward priority filter; policy drop; iifname \"wan0\" jump zone; }"), forward, none},
		"in another zone's chain":          {inet("chain zone { ct status dnat accept; }\nchain f { type filter hook forward priority filter; policy drop; iifname \"eth7\" jump zone; }"), forward, yes},
		"comes back from a chain":          {inet("chain zone { return; drop; }\nchain f { type filter hook forward priority filter; policy drop; jump zone; accept; }"), forward, none},
		"does not come back from a goto":   {inet("chain zone { tcp dport 1 return; }\nchain f { type filter hook forward priority filter; policy drop; goto zone; accept; }"), forward, yes},
		"may come back before it refuses":  {inet("chain zone { ip saddr 192.0.2.1 return; drop; }\nchain f { type filter hook forward priority filter; policy accept; jump zone; }"), forward, unsure},
		"to an address of the router":      {in(`fib daddr type != local drop; accept`), knock, none},
		"to another's address":             {in(`fib daddr type local drop; accept`), knock, yes},
		"a chain that refuses the rest":    {inet("chain rest { reject; }\nchain f { type filter hook forward priority filter; policy accept; jump rest; }"), forward, yes},
		"Ownline's own table":              {strings.Replace(fwd(""), "host", "ownline", 1), forward, none},
		"knocks by port":                   {in(`udp dport 54754 accept`), knock, none},
		"knocks by port and state":         {in(`udp dport 54754 ct state untracked accept`), knock, none},
		"knocks in a range":                {in(`udp dport 54000-55000 accept`), knock, none},
		"knocks in a set with ranges":      {in(`udp dport { 53, 54000-55000 } accept`), knock, none},
		"knocks at the end of a range":     {in(`udp dport { 53, 54000-54754 } accept`), knock, none},
		"knocks behind a range":            {in(`udp dport { 53, 54000-54753 } accept`), knock, yes},
		"knocks before a range":            {in(`udp dport { 54755-54760 } accept`), knock, yes},
		"knocks at another port":           {in(`udp dport 53 accept; tcp dport 54754 accept`), knock, yes},
		"knocks are not new":               {in(`ct state new udp dport 54754 accept`), knock, yes},
		"knocks are no connection":         {in(`ct status dnat accept`), knock, yes},
		"knocks have no status":            {in(`ct status & dnat == 0 accept`), knock, yes},
		"answers":                          {inet(`chain o { type filter hook output priority filter; policy drop; udp sport 54754 accept; }`), answer, none},
		"answers are shut in":              {inet(`chain o { type filter hook output priority filter; policy drop; udp sport 53 accept; }`), answer, yes},
		"iptables drops":                   {ipt("-A FORWARD -i lan0 -o wan0 -j ACCEPT", "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"), forward, yes},
		"iptables, what is translated":     {ipt("-A FORWARD -m conntrack --ctstate DNAT -j ACCEPT"), forward, none},
		"iptables, by another status":      {ipt("-A FORWARD -m conntrack --ctstatus EXPECTED -j ACCEPT"), forward, unsure},
		"iptables, what is not translated": {ipt("-A FORWARD -m conntrack ! --ctstate DNAT -j ACCEPT"), forward, yes},
		"iptables, the way back":           {ipt("-A FORWARD -m state --state RELATED,ESTABLISHED -j ACCEPT"), back, none},
		"iptables refuses":                 {strings.Replace(ipt("-A FORWARD -m comment --comment all -j REJECT"), "FORWARD DROP", "FORWARD ACCEPT", 1), forward, yes},
		"iptables, by an address":          {ipt("-A FORWARD -d 192.168.7.10 -j ACCEPT"), forward, unsure},
		"iptables, from an address":        {ipt("-A FORWARD -s 198.51.100.0/24 -d 192.168.7.10 -j ACCEPT"), from, none},
		"iptables, from another":           {ipt("-A FORWARD -s 198.51.100.11 -j ACCEPT", "-A FORWARD -d 192.168.7.11 -j ACCEPT"), from, yes},
		"iptables, not from another":       {ipt("-A FORWARD ! -s 198.51.100.11 -j ACCEPT"), from, none},
		"iptables, knocks":                 {ipt("-A INPUT -p udp -m udp --dport 54754 -m conntrack --ctstate UNTRACKED -j ACCEPT"), knock, none},
		"iptables, knocks at another port": {ipt("-A INPUT -p udp -m udp --dport 53:1000 -j ACCEPT"), knock, yes},
		"iptables, knocks that are new":    {ipt("-A INPUT -p udp -m udp --dport 54754 -m conntrack --ctstate NEW -j ACCEPT"), knock, yes},
		"iptables, an address's type":      {ipt(":own - [0:0]", "-A INPUT -j own", "-A INPUT -p udp --dport 54754 -j ACCEPT", "-A own -m addrtype --dst-type LOCAL -j RETURN", "-A own -j DROP"), knock, none},
		"iptables, another type":           {ipt(":own - [0:0]", "-A INPUT -j own", "-A INPUT -p udp --dport 54754 -j ACCEPT", "-A own -m addrtype ! --dst-type LOCAL -j RETURN", "-A own -j DROP"), knock, yes},
		"iptables, comes back for some":    {ipt(":own - [0:0]", "-A INPUT -j own", "-A INPUT -p udp --dport 54754 -j ACCEPT", "-A own -s 192.0.2.1 -j RETURN", "-A own -j DROP"), knock, unsure},
		"iptables, a list of ports":        {ipt("-A INPUT -p udp -m multiport --dports 53,54000:55000 -m comment --comment \"so \\\" -j DROP\" -j ACCEPT"), knock, none},
		"iptables, goes elsewhere":         {ipt(":own - [0:0]", "-A INPUT -i wan0 -g own", "-A INPUT -j ACCEPT", "-A own -p tcp -j ACCEPT"), knock, yes},
		"iptables, not by an interface":    {ipt("-A INPUT ! -i lan+ -p udp -j ACCEPT"), knock, none},
		"iptables, by a beginning":         {ipt("-A INPUT -i wan+ -p udp -j ACCEPT"), knock, none},
		"iptables, by others":              {ipt("-A INPUT -i lan+ -p udp -j ACCEPT"), knock, yes},
		"iptables, what else it does":      {ipt("-A INPUT -m limit --limit 3/min -j LOG --log-prefix \"x -j DROP \"", "-A INPUT -p tcp -j DROP", "-A INPUT -j ACCEPT"), knock, none},
		"iptables, Ownline's own chains":   {ipt(":ownline-gate - [0:0]", "-A ownline-gate -j ACCEPT", "-A FORWARD -j ownline-gate"), forward, yes},
		"at the device":                    {dev("device wan0 priority 0", "tcp dport 20007 drop"), enters, yes},
		"at the device, all":               {dev("device wan0 priority 0", "policy drop; meta protocol arp accept"), enters, yes},
		"at the device, another port":      {dev("device wan0 priority 0", "tcp dport 20008 drop; udp dport 20007 drop"), enters, none},
		"at the device, one's address":     {dev("device wan0 priority 0", "ip saddr 192.0.2.1 drop"), enters, none},
		"at the device, of IPv4":           {dev("device wan0 priority 0", "meta protocol ip tcp dport 20007 drop"), enters, yes},
		"at the device, of IPv6":           {dev("device wan0 priority 0", "meta protocol ip6 tcp dport 20007 drop"), enters, none},
		"at the device, but some":          {dev("device wan0 priority 0", "ip saddr 192.0.2.1 accept; tcp dport 20007 drop"), enters, unsure},
		"at the device, what comes back":   {dev("device lan0 priority 0", "meta l4proto tcp drop"), enters, none},
		"at the device, answers":           {dev("device lan0 priority 0", "meta l4proto tcp drop"), answered, yes},
		"at one of several devices":        {dev("devices = { lan0, wan0 } priority 0", "tcp dport 20007 drop"), enters, yes},
		"at the device, in a table of all": {inet("chain d { type filter hook ingress device wan0 priority 0; tcp dport 20007 drop; }"), enters, yes},
		"at the device, by state":          {inet("chain d { type filter hook ingress device wan0 priority 0; ct state new drop; ct status dnat drop; }"), enters, none},
		"at the device, knocks":            {dev("device wan0 priority 0", "udp dport 54754 drop"), comes, yes},
		"at the device, other datagrams":   {dev("device wan0 priority 0", "udp dport 53 drop; tcp dport 54754 drop"), comes, none},
		"before routing":                   {pre("raw", "tcp dport 20007 drop"), enters, yes},
		"before routing, of a host":        {pre("raw", "fib daddr type local drop"), enters, yes},
		"before routing, another port":     {pre("raw", "tcp dport 20008 drop"), enters, none},
		"before routing, by its interface": {pre("raw", "iifname lan0 drop"), enters, none},
		"nobody knows its state yet":       {pre("raw", "ct state new drop; ct status & dnat == 0 drop"), enters, none},
		"so it is taken for invalid":       {pre("raw", "ct state invalid drop"), enters, yes},
		"its state is known":               {pre("mangle", "ct state invalid drop"), enters, none},
		"what begins":                      {pre("mangle", "ct state new drop"), enters, yes},
		"it is not translated yet":         {pre("mangle", "ct status dnat drop"), enters, none},
		"its answer is":                    {pre("mangle", "ct status dnat drop"), answered, yes},
		"it is translated":                 {pre("-50", "ct status dnat drop"), enters, yes},
		"to another port by now":           {pre("-50", "tcp dport 20007 drop"), enters, none},
		"not of a host by now":             {pre("-50", "fib daddr type local drop"), enters, none},
		"a translator drops":               {inet("chain n { type nat hook prerouting priority -120; tcp dport 20007 drop; }"), enters, yes},
		"a translator drops answers":       {inet("chain n { type nat hook prerouting priority -120; iifname lan0 drop; }"), answered, none},
		"a translator that is too late":    {inet("chain n { type nat hook prerouting priority -50; drop; }"), enters, none},
		"knocks before routing":            {pre("-250", "udp dport 54754 ct state untracked drop"), comes, yes},
		"knocks are not invalid":           {pre("-250", "ct state invalid drop"), comes, none},
		"knocks are of no translator":      {inet("chain n { type nat hook prerouting priority -120; drop; }"), comes, none},
		"knocks before they are known":     {pre("-350", "ct state untracked drop"), comes, none},
		"iptables, before routing":         {raw("-A PREROUTING -i wan0 -p tcp -m tcp --dport 20007 -j DROP"), enters, yes},
		"iptables, nobody knows yet":       {raw("-A PREROUTING -m conntrack --ctstate NEW -j DROP"), enters, none},
		"iptables, taken for invalid":      {raw("-A PREROUTING -m conntrack --ctstate INVALID -j DROP"), enters, yes},
		"iptables, to a host":              {raw("-A PREROUTING -m addrtype ! --dst-type LOCAL -j DROP", "-A PREROUTING -p tcp -m multiport --dports 1,20000:21000 -j DROP"), enters, yes},
		"iptables, knocks before routing":  {raw("-A PREROUTING -i wan+ -p udp -m udp --dport 54754 -j DROP"), comes, yes},
		"iptables, what begins":            {"*mangle\n:PREROUTING DROP [0:0]\n-A PREROUTING -m conntrack ! --ctstate NEW -j ACCEPT\nCOMMIT\n", enters, yes},
		"knocks whose mark is set":         {in(`udp dport 54754 ct mark set 1 accept`), knock, none},
		"knocks of a mark":                 {in(`udp dport 54754 ct mark 1 accept`), knock, yes},
		"before marks of knocks":           {pre("raw", "udp dport 54754 ct mark set 1 drop"), comes, yes},
		"after routing":                    {post(""), leaves, yes},
		"after routing, what is let":       {post("ct status dnat accept; meta l4proto ipv6-icmp accept"), leaves, none},
		"after routing, answers":           {post(`oifname "lan0" accept`), left, yes},
		"after routing, both by interface": {post(`oifname "lan0" accept; oifname "wan0" ct state established accept`), left, none},
		"after routing, as it was sent":    {post(`oifname "lan0" accept; ip saddr 192.168.7.10 tcp sport 7 accept`), left, none},
		"after routing, as it will be":     {strings.Replace(post(`oifname "lan0" accept; ip saddr 192.168.7.10 tcp sport 7 accept`), "mangle", "110", 1), left, unsure},
		"iptables, after routing":          {"*mangle\n:POSTROUTING DROP [0:0]\n-A POSTROUTING -o lan0 -j ACCEPT\nCOMMIT\n", left, yes},
	} {
		t.Run(name, func(t *testing.T) {
			programs := map[string][]string{"": {"/usr/sbin/nft", "-f", "-"}}
			if strings.HasPrefix(tc.rules, "*") {
				programs = map[string][]string{"nft": {"/usr/sbin/iptables-nft-restore"}, "legacy": {"/usr/sbin/iptables-legacy-restore"}}
			}
			for variant, program := range programs {
				b := bedtest.New(t)
				tell(t, b.Router, tc.rules, program...)
				saved := ""
				if variant == "legacy" {
					saved = tell(t, b.Router, "", "/usr/sbin/iptables-legacy-save")
				}
				if got := looked(t, b.Router, saved, tc.packet); got != tc.want {
					t.Errorf("of %q: it %s, want it to %s", program[0], got, tc.want)
				}
				if both := looked(t, b.Router, saved, back); tc.packet == forward && tc.want != unsure && both != unsure && !strings.Contains(name, "Ownline's own") {
					passes(t, b, tc.want == none && both == none)
				}
				switch {
				case tc.want == unsure:
				case tc.packet == enters || tc.packet == answered:
					passes(t, b, looked(t, b.Router, saved, enters) == none && looked(t, b.Router, saved, answered) == none)
				case tc.packet == leaves || tc.packet == left:
					passes(t, b, looked(t, b.Router, saved, leaves) == none && looked(t, b.Router, saved, left) == none)
				case tc.packet == comes:
					arrives(t, b, tc.want == none)
				}
			}
		})
	}
}

// passes sends a packet, and its answer back, that the router translates, and sees whether both pass.
func passes(t *testing.T, b *bed.Bed, want bool) {
	t.Helper()
	lan, err := b.Lan.TCPEcho(7)
	if err != nil {
		t.Fatal(err)
	}
	defer lan.Close()
	tell(t, b.Router, "add table ip forwards; add chain ip forwards in { type nat hook prerouting priority dstnat; }; add rule ip forwards in tcp dport 20007 dnat to "+b.Lan.IPv4.String()+":7", "/usr/sbin/nft", "-f", "-")
	wait := 20 * time.Second
	if !want {
		wait = 200 * time.Millisecond
	}
	if got := b.Client1.ConnectTCP(netip.AddrPortFrom(b.Router.IPv4, 20007), wait).State == bed.Open; got != want {
		t.Errorf("the kernel lets it pass: %v", got)
	}
}

// arrives sends a datagram, of which the router knows no connection, and sees whether it comes to the router itself.
func arrives(t *testing.T, b *bed.Bed, want bool) {
	t.Helper()
	echo, err := b.Router.UDPEcho(54754)
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	tell(t, b.Router, "table inet ownline { chain k { type filter hook prerouting priority raw; udp dport 54754 notrack; }; }", "/usr/sbin/nft", "-f", "-")
	wait := 20 * time.Second
	if !want {
		wait = 200 * time.Millisecond
	}
	if got := b.Client1.ProbeUDP(netip.AddrPortFrom(b.Router.IPv4, 54754), []byte("knock"), wait).State == bed.Open; got != want {
		t.Errorf("the kernel lets it arrive: %v", got)
	}
}

// A chain by which services do not see who comes is found, whoever has written it.
func TestRewrites(t *testing.T) {
	post := func(rules string) string {
		return "table ip host { chain s { type nat hook postrouting priority srcnat; " + rules + "; }; }"
	}
	ipt := func(rule string) string {
		return "*nat\n:POSTROUTING ACCEPT [0:0]\n:own - [0:0]\n" + rule + "\nCOMMIT\n"
	}
	for rules, want := range map[string]string{
		post("oifname lan0 masquerade"):                                                     "ip host s",
		post("oifname lan0 snat to 192.168.7.1"):                                            "ip host s",
		post("oifname wan0 masquerade"):                                                     "",
		post("ip saddr 192.0.2.1 oifname lan0 masquerade"):                                  "", // somebody's
		post("ct status dnat accept; masquerade"):                                           "",
		ipt("-A POSTROUTING -o lan+ -j MASQUERADE"):                                         "ip nat POSTROUTING",
		ipt("-A POSTROUTING -j own\n-A own -o lan0 -p tcp -j SNAT --to-source 192.168.7.1"): "ip nat POSTROUTING",
		ipt("-A POSTROUTING -o wan0 -j MASQUERADE"):                                         "",
	} {
		programs := map[string][]string{"": {"/usr/sbin/nft", "-f", "-"}}
		if strings.HasPrefix(rules, "*") {
			programs = map[string][]string{"nft": {"/usr/sbin/iptables-nft-restore"}, "legacy": {"/usr/sbin/iptables-legacy-restore"}}
		}
		for variant, program := range programs {
			b := bedtest.New(t)
			tell(t, b.Router, rules, program...)
			saved, got := "", ""
			if variant == "legacy" {
				saved = tell(t, b.Router, "", "/usr/sbin/iptables-legacy-save")
			}
			if err := b.Router.Do(func() error {
				r, err := hostrules.Read()
				if err != nil {
					return err
				}
				r.Legacy(false, saved)
				if c := r.Rewrites(&hostrules.Packet{Hook: "postrouting", TCP: true, Translated: true, Out: "lan0"}); c != nil {
					got = c.String()
				}
				return r.Close()
			}); err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("%s, %s: rewritten by %q, want %q", variant, rules, got, want)
			}
		}
	}
}

// What no packet meets, and may drop something on its way, is told; what is followed, or empty, is not.
func TestUnseen(t *testing.T) {
	b := bedtest.New(t)
	tell(t, b.Router, `table netdev host {
	chain wan { type filter hook ingress device wan0 priority 0; udp dport 9 drop; }
	chain lan { type filter hook ingress device lan0 priority 0; udp dport 9 drop; }
	chain empty { type filter hook ingress device lan0 priority 1; }
	chain out { type filter hook egress device wan0 priority 0; udp dport 9 drop; }
}
table bridge host { chain f { type filter hook forward priority 0; policy drop; }; }
table arp host { chain empty { type filter hook input priority 0; }; }
table inet host { chain f { type filter hook forward priority 0; policy drop; }; }`, "/usr/sbin/nft", "-f", "-")
	want := []string{"bridge host f", "netdev host lan", "netdev host out"}
	var got []string
	if err := b.Router.Do(func() error {
		rules, err := hostrules.Read()
		if err != nil {
			return err
		}
		rules.Obstacles(&hostrules.Packet{Hook: "prerouting", In: "wan0"})
		for _, c := range rules.Unseen() {
			got = append(got, c.String())
		}
		return rules.Close()
	}); err != nil {
		t.Fatal(err)
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("unseen are %q, want %q", got, want)
	}
}

// What a chain's policy drops, a rule at its end accepts; what another rule drops, or what does not come
// to the end, needs one before.
func TestWhereARuleBelongs(t *testing.T) {
	for rules, last := range map[string]bool{
		"policy drop; ct state established accept;":                 true,
		"policy drop; jump zone;":                                   true,
		"policy drop; goto zone;":                                   false,
		"policy drop; meta l4proto tcp return; tcp dport 1 accept;": false,
		"policy drop; reject;":                                      false,
		"policy accept; drop;":                                      false,
	} {
		b := bedtest.New(t)
		tell(t, b.Router, "table inet host { chain zone { tcp dport 1 accept; return; }\nchain f { type filter hook forward priority filter; "+rules+" }\n}", "/usr/sbin/nft", "-f", "-")
		all := obstacles(t, b.Router, "", hostrules.Packet{Hook: "forward", TCP: true, Translated: true})
		if len(all) != 1 || all[0].Last != last {
			t.Errorf("%s: %+v, want one, and the last rule to do: %v", rules, all, last)
			continue
		}
		tell(t, b.Router, all[0].Accept("ct status dnat accept", "", all[0].Last), "/bin/sh", "-s")
		if all := obstacles(t, b.Router, "", hostrules.Packet{Hook: "forward", TCP: true, Translated: true}); len(all) != 0 {
			t.Errorf("%s: with what is said to mend it, there are still %+v", rules, all)
		}
	}
}

// Whose a chain is that drops knocks is known, whatever firewalld works by.
func TestFirewalldsOwn(t *testing.T) {
	for by, want := range map[string]bool{"": true, "nft": true, "legacy": true, "nobody": false} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			b, saved := bedtest.New(t), ""
			if by == "nobody" {
				tell(t, b.Router, "-P INPUT DROP", "/usr/bin/xargs", "/usr/sbin/iptables-nft")
			} else {
				f := bedtest.NewFirewalld(t, b.Router)
				f.IPTables = by
				f.Start()
			}
			if by == "legacy" {
				saved = tell(t, b.Router, "", "/usr/sbin/iptables-legacy-save")
			}
			all := obstacles(t, b.Router, saved, hostrules.Packet{Hook: "input", To: 54754, Untracked: true, In: "wan0"})
			if len(all) != 1 || all[0].Firewalld != want {
				t.Errorf("%+v", all)
			}
		})
	}
}

// A set is read once, however many rules look into it.
func TestSetsAreReadOnce(t *testing.T) {
	b := bedtest.New(t)
	rules := "table inet host { set ports { type inet_service; elements = { 53 } }\nchain in { type filter hook input priority filter; policy drop; "
	for range 50 {
		rules += "udp dport @ports accept; "
	}
	tell(t, b.Router, rules+"}\n}", "/usr/sbin/nft", "-f", "-")
	var r *hostrules.Rules
	if err := b.Router.Do(func() (err error) { r, err = hostrules.Read(); return err }); err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := hostrules.Packet{Hook: "input", To: 54754}
	if got := len(r.Obstacles(&p)); got != 1 {
		t.Fatalf("%d chains drop it", got)
	}
	// What comes into the set meanwhile is not seen.
	tell(t, b.Router, "add element inet host ports { 54754 }", "/usr/sbin/nft", "-f", "-")
	if got := len(r.Obstacles(&p)); got != 1 {
		t.Error("the set was read again")
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

func obstacles(t *testing.T, h *bed.Host, legacy string, p hostrules.Packet) []hostrules.Obstacle {
	t.Helper()
	var all []hostrules.Obstacle
	if err := h.Do(func() error {
		rules, err := hostrules.Read()
		if err != nil {
			return err
		}
		rules.Legacy(false, legacy)
		all = rules.Obstacles(&p)
		return rules.Close()
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func looked(t *testing.T, h *bed.Host, legacy string, p hostrules.Packet) string {
	t.Helper()
	all := obstacles(t, h, legacy, p)
	for _, o := range all {
		if !o.Unsure {
			return "drops"
		}
	}
	if len(all) > 0 {
		return "may drop"
	}
	return ""
}
