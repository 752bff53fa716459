package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core"
	"github.com/ownline/ownline/internal/core/doctor"
	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
)

// patient is a router that the doctor looks at, with an /etc/sysctl.d of its own.
type patient struct {
	*suite
	sysctls string // what stands for /etc/sysctl.d
	config  string
	before  string // a shell command: what else is to be done to the doctor's own view of the files
}

func newPatient(s *suite) *patient {
	return &patient{suite: s, sysctls: s.t.TempDir(), config: s.Path("core.yaml")}
}

// examination is what the doctor prints.
type examination struct{ Findings, Mended []doctor.Finding }

// doctor has it look; it exits with 1 if, and only if, there is a problem.
func (p *patient) doctor(args ...string) examination { return p.answered("", args...) }

// answered has it look, and asked, answers.
func (p *patient) answered(answer string, args ...string) examination {
	p.t.Helper()
	view := "mount --bind '" + p.sysctls + "' /etc/sysctl.d && " + p.before + ` exec "$@"`
	cmd := p.CoreHost().Command(p.t.Context(), "unshare", append([]string{"-m", "sh", "-c", view, "sh", programs.Core, "doctor", "--json", "--config", p.config}, args...)...)
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(answer), &out, &said
	err := p.CoreHost().Run(cmd)
	var e examination
	if bad := json.Unmarshal(out.Bytes(), &e); bad != nil {
		p.t.Fatalf("doctor %v: %v, %v: %s%s", args, err, bad, &out, &said)
	}
	if strings.Contains(out.String(), "%!") {
		p.t.Errorf("words and what is filled in do not fit: %s", &out)
	}
	var exit *exec.ExitError
	failed := errors.As(err, &exit) && exit.ExitCode() == 1
	if problems := doctor.Problems(e.Findings); failed != (problems > 0) || !failed && err != nil {
		p.t.Errorf("doctor %v ends with %v and %d problems: %s", args, err, problems, &said)
	}
	return e
}

// finds has it look until a check says something on a level that has all the words; it returns that.
func (p *patient) finds(check string, level doctor.Level, words ...string) (f doctor.Finding) {
	p.t.Helper()
	var e examination
	eventually(p.t, patience, check+" says "+strings.Join(words, " … "), func() bool {
		e = p.doctor()
	next:
		for _, f = range e.Findings {
			text := strings.Join(append([]string{f.Text, f.Hint}, f.Fix...), "\n")
			for _, w := range words {
				if f.Check != check || f.Level != level || !strings.Contains(text, w) {
					continue next
				}
			}
			return true
		}
		return false
	})
	return f
}

// probed has packets sent; one that is as said comes to that level, and all the words are said of it.
func (p *patient) probed(as string, level doctor.Level, words ...string) {
	p.t.Helper()
	all := p.doctor("--probe").Findings
	said := ""
	for _, f := range all {
		if f.Check == "probe" && strings.Contains(f.Text, as) {
			said += string(f.Level) + ": " + f.Text + "\n"
		}
	}
	for line := range strings.Lines(said) {
		if strings.HasPrefix(line, string(level)+": ") && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			return
		}
	}
	p.t.Errorf("of a packet as %s is said\n%s, want %s: %q", as, said, level, words)
}

// passing is whether all packets that are sent come through, one of them as said.
func (p *patient) passing(as string) {
	p.t.Helper()
	p.probed(as, doctor.Good)
	for _, f := range p.doctor("--probe").Findings {
		if f.Check == "probe" && f.Level != doctor.Good {
			p.t.Errorf("a packet does not come through: %s", f.Text)
		}
	}
}

// well is whether a check, or all with "", finds no problem and no warning but of the machine's own clock.
func (p *patient) well(check string) {
	p.t.Helper()
	for _, f := range p.doctor().Findings {
		if f.Level != doctor.Good && (f.Check == check || check == "" && f.Check != "clock") {
			p.t.Errorf("%s says %s: %s", f.Check, f.Level, f.Text)
		}
	}
}

// mends has the doctor do it, which may be no more than that.
func (p *patient) mends(check string) {
	p.t.Helper()
	e := p.doctor("--fix", "--yes")
	if len(e.Mended) == 0 || slices.ContainsFunc(e.Mended, func(f doctor.Finding) bool { return f.Check != check }) {
		p.t.Errorf("mended were %+v, want %s alone", e.Mended, check)
	}
	p.well(check)
}

// does runs the commands of a finding as an admin would.
func (p *patient) does(f doctor.Finding) {
	p.t.Helper()
	for _, line := range f.Fix {
		cmd := p.Bed.Router.Command(p.t.Context(), "sh", "-c", line)
		cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
		if err := p.Bed.Router.Run(cmd); err != nil {
			p.t.Errorf("%s: %v", line, err)
		}
	}
}

func (p *patient) kept(line string) {
	p.t.Helper()
	b, err := os.ReadFile(filepath.Join(p.sysctls, "99-zz-ownline.conf"))
	if err != nil || strings.Count("\n"+string(b), "\n"+line+"\n") != 1 {
		p.t.Errorf("for the next start there is %q, %v; want %q in it", b, err, line)
	}
}

func (p *patient) nft(text string) {
	p.t.Helper()
	cmd := p.Bed.Router.Command(p.t.Context(), "/usr/sbin/nft", text)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := p.Bed.Router.Run(cmd); err != nil {
		p.t.Fatalf("nft %s: %v: %s", text, err, &said)
	}
}

func (p *patient) sysctl(path, value string) {
	p.t.Helper()
	if err := p.Bed.Router.Sysctl(path, value); err != nil {
		p.t.Fatal(err)
	}
}

// Every fault that the doctor knows of is made, keeps people out, is named, and mended by what it says.
func TestDoctor(t *testing.T) {
	for _, program := range []string{"/usr/sbin/nft", "/usr/sbin/iptables"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%v: run the tests by make test, which installs it", err)
		}
	}
	s := start(t, world.Options{})
	p := newPatient(s)
	client := s.Bed.Client1
	nas := s.service("nas", "tcp", s.Bed.Lan, bed.HTTPPort)
	s.grant(nas, nil)
	at := s.public(false, s.open(nas, client.IPv4, time.Hour, 0).PublicPort)
	at6 := s.public(true, s.open(nas, client.IPv6, time.Hour, 0).PublicPort)
	device := s.device()
	s.knock(device, client, false)
	wantState(t, client, at, true)
	wantState(t, client, at6, true)
	p.well("")

	t.Run("forwarding", func(t *testing.T) {
		p, s := p.of(t)
		p.sysctl("net/ipv4/ip_forward", "0")
		wantState(t, client, at, false)
		p.finds("forwarding", doctor.Problem, "does not forward IPv4", "sysctl -w net.ipv4.ip_forward=1")
		for _, answer := range []string{"", "n\n", "maybe\n"} {
			if e := p.answered(answer, "--fix"); len(e.Mended) > 0 || doctor.Problems(e.Findings) != 1 {
				t.Errorf("answered by %q, it mended %+v", answer, e.Mended)
			}
		}
		wantState(t, client, at, false)
		p.mends("forwarding")
		p.kept("net.ipv4.ip_forward=1")
		wantState(t, client, at, true)
		p.sysctl("net/ipv4/ip_forward", "0")
		if e := p.answered("Yes\n", "--fix"); len(e.Mended) != 1 || doctor.Problems(e.Findings) != 0 {
			t.Errorf("answered by yes, it mended %+v, and finds %+v", e.Mended, e.Findings)
		}

		p.sysctl("net/ipv6/conf/wan0/accept_ra", "1")
		p.sysctl("net/ipv6/conf/all/forwarding", "0")
		wantState(t, client, at6, false)
		p.finds("forwarding", doctor.Problem, "does not forward IPv6", "sysctl -w net.ipv6.conf.wan0.accept_ra=2")
		p.mends("forwarding")
		p.kept("net.ipv4.ip_forward=1")
		p.kept("net.ipv6.conf.all.forwarding=1")
		p.kept("net.ipv6.conf.wan0.accept_ra=2")
		wantState(t, client, at6, true)
		var ra string
		if err := s.Bed.Router.Do(func() error {
			b, err := os.ReadFile("/proc/sys/net/ipv6/conf/wan0/accept_ra")
			ra = strings.TrimSpace(string(b))
			return err
		}); err != nil || ra != "2" {
			t.Errorf("accept_ra is %q, %v", ra, err)
		}
	})

	t.Run("forged", func(t *testing.T) {
		p, s := p.of(t)
		r := s.Bed.Router
		// There is another uplink, by which the default route leads, and this one has a lesser one.
		everywhere := netip.MustParsePrefix("0.0.0.0/0")
		must(t, r.DelRoute(everywhere, s.Bed.Internet.IPv4s[len(s.Bed.Internet.IPv4s)-1]))
		must(t, r.AddRoute(everywhere, s.Bed.Lan.IPv4))
		p.sysctl("net/ipv4/conf/wan0/rp_filter", "1")
		came := func() uint64 {
			client.ConnectTCP(at, 300*time.Millisecond)
			return p.packets(client)
		}
		if before := came(); came() != before {
			t.Errorf("packets come in spite of rp_filter")
		}
		p.finds("rp_filter", doctor.Problem, "come by wan0", "sysctl -w net.ipv4.conf.wan0.rp_filter=2")
		p.mends("rp_filter")
		p.kept("net.ipv4.conf.wan0.rp_filter=2")
		if before := came(); came() == before {
			t.Errorf("no packet comes, though it was mended")
		}
		// That gateway is in the LAN, whose hosts would answer by it.
		p.finds("masquerade", doctor.Problem, s.Bed.Lan.IPv4.String(), s.Bed.LAN4.String(), "masquerade: true")
		must(t, r.DelRoute(everywhere, s.Bed.Lan.IPv4))
		must(t, r.AddRoute(everywhere, s.Bed.Internet.IPv4s[len(s.Bed.Internet.IPv4s)-1]))
		p.sysctl("net/ipv4/conf/wan0/rp_filter", "0")
		p.well("")
		wantState(t, client, at, true)
	})

	t.Run("rules of nftables", func(t *testing.T) {
		p, s := p.of(t)
		p.nft("add table inet host; add chain inet host f { type filter hook forward priority filter; policy drop; }; " +
			"add rule inet host f ct state established,related accept; add rule inet host f iifname lan0 oifname wan0 accept")
		wantState(t, client, at, false)
		f := p.finds("host-rules", doctor.Problem, "inet host f drops connections to services in the LAN", "nft add rule inet host f ct status dnat accept")
		p.does(f)
		p.well("")
		wantState(t, client, at, true)
		p.nft("delete table inet host")

		p.nft("add table inet host; add chain inet host i { type filter hook input priority filter; policy drop; }; " +
			"add rule inet host i iifname lan0 accept; add rule inet host i iifname lo accept; add rule inet host i meta l4proto ipv6-icmp accept")
		if _, err := device.Send(client, s.KnockAddr(false), device.Knock(), time.Second/2); err == nil {
			t.Error("a knock is answered, which the host's rules should drop")
		}
		f = p.finds("host-rules", doctor.Problem, "inet host i drops knocks", "nft add rule inet host i udp dport 54754 ct state untracked accept")
		p.does(f)
		p.well("")
		s.knock(device, client, false)
		p.nft("delete table inet host")

		p.nft("add table inet host; add chain inet host o { type filter hook output priority filter; policy drop; }; " +
			"add rule inet host o oifname lan0 accept; add rule inet host o oifname lo accept; add rule inet host o ct state established accept; add rule inet host o meta l4proto ipv6-icmp accept")
		if _, err := device.Send(client, s.KnockAddr(false), device.Knock(), time.Second/2); err == nil {
			t.Error("a knock is answered, which the host's rules should drop")
		}
		p.does(p.finds("host-rules", doctor.Problem, "inet host o drops answers to knocks", "nft add rule inet host o udp sport 54754 ct state untracked accept"))
		p.well("")
		s.knock(device, client, false)
		p.nft("delete table inet host")

		p.nft("add table inet host; add chain inet host f { type filter hook forward priority filter; policy drop; }; add rule inet host f ip daddr 192.168.7.99 accept; add rule inet host f ip6 nexthdr tcp accept; add rule inet host f ct state established accept")
		p.finds("host-rules", doctor.Problem, "inet host f drops connections")
		p.nft("flush chain inet host f; add rule inet host f ip daddr 192.168.7.99 accept; add rule inet host f ip6 daddr fd00:7::99 accept; add rule inet host f ct state established accept")
		p.finds("host-rules", doctor.Warning, "inet host f drops connections", "unless one of its rules")
		p.nft("delete table inet host")
		p.well("")
	})

	t.Run("rules before routing", func(t *testing.T) {
		p, s := p.of(t)
		unanswered := func() {
			t.Helper()
			if _, err := device.Send(client, s.KnockAddr(false), device.Knock(), time.Second/2); err == nil {
				t.Error("a knock is answered, which the host's rules should drop")
			}
		}
		p.nft(fmt.Sprintf("add table netdev host; add chain netdev host d { type filter hook ingress device wan0 priority 0; }; add rule netdev host d udp dport %d drop; add rule netdev host d tcp dport %d drop", world.KnockPort, at.Port()))
		wantState(t, client, at, false)
		unanswered()
		p.finds("host-rules", doctor.Problem, "netdev host d drops connections to services", "let that chain pass them")
		p.does(p.finds("host-rules", doctor.Problem, "netdev host d drops knocks", "nft insert rule netdev host d udp dport 54754 accept"))
		s.knock(device, client, false)
		p.nft("delete table netdev host")
		p.well("")

		p.nft(fmt.Sprintf("add table inet host; add chain inet host p { type filter hook prerouting priority -200; }; add rule inet host p tcp dport %d drop; add rule inet host p udp dport %d drop", at.Port(), world.KnockPort))
		wantState(t, client, at, false)
		unanswered()
		p.finds("host-rules", doctor.Problem, "inet host p drops connections to services")
		p.does(p.finds("host-rules", doctor.Problem, "inet host p drops knocks", "nft insert rule inet host p udp dport 54754 ct state untracked accept"))
		s.knock(device, client, false)
		p.nft("delete table inet host")

		iptables := func(args ...string) {
			t.Helper()
			must(t, s.Bed.Router.Run(s.Bed.Router.Command(t.Context(), "/usr/sbin/iptables-legacy", append([]string{"-t", "raw"}, args...)...)))
		}
		iptables("-A", "PREROUTING", "-i", "wan0", "-p", "udp", "-j", "DROP")
		unanswered()
		p.does(p.finds("host-rules", doctor.Problem, "ip raw PREROUTING drops knocks", "iptables-legacy -t raw -I PREROUTING -p udp --dport 54754 -j ACCEPT"))
		s.knock(device, client, false)
		iptables("-F")

		// What no packet was followed through is not called well.
		p.nft("add table netdev host; add chain netdev host d { type filter hook egress device wan0 priority 0; policy drop; }")
		p.finds("host-rules", doctor.Warning, "netdev host d drops was not looked at")
		p.nft("delete table netdev host")
		p.well("")
	})

	t.Run("sources", func(t *testing.T) {
		p, _ := p.of(t)
		p.nft("add table ip host; add chain ip host s { type nat hook postrouting priority srcnat; }; add rule ip host s oifname lan0 masquerade")
		p.finds("sources", doctor.Good, "ip host s puts the router's address in place")
		p.well("")
		p.nft("delete table ip host")
	})

	t.Run("rules of iptables", func(t *testing.T) {
		p, s := p.of(t)
		drop := s.Bed.Router.Command(t.Context(), "/usr/sbin/iptables-nft", "-P", "FORWARD", "DROP")
		must(t, s.Bed.Router.Run(drop))
		wantState(t, client, at, false)
		p.does(p.finds("host-rules", doctor.Problem, "ip filter FORWARD drops", "iptables -A FORWARD -m conntrack --ctstate DNAT -j ACCEPT"))
		p.well("")
		wantState(t, client, at, true)
		p.nft("delete table ip filter")
	})

	t.Run("rules of iptables-legacy", func(t *testing.T) {
		p, s := p.of(t)
		legacy := func(args ...string) {
			t.Helper()
			must(t, s.Bed.Router.Run(s.Bed.Router.Command(t.Context(), "/usr/sbin/iptables-legacy", args...)))
		}
		legacy("-P", "FORWARD", "DROP")
		wantState(t, client, at, false)
		f := p.finds("host-rules", doctor.Problem, "ip filter FORWARD drops", "iptables-legacy -A FORWARD -m conntrack --ctstate DNAT -j ACCEPT")
		q := *p
		q.before = "mount --bind /dev/null /usr/sbin/xtables-legacy-multi &&"
		q.finds("host-rules", doctor.Warning, "iptables-legacy has some", "was not looked at")
		p.does(f)
		p.well("")
		wantState(t, client, at, true)
		legacy("-P", "FORWARD", "ACCEPT")
	})

	t.Run("packets", func(t *testing.T) {
		p, s := p.of(t)
		p.probed(`"nas"`, doctor.Good, "192.168.7.10:80/tcp", "198.51.100.10/32", "so does the answer")
		p.probed(`"nas"`, doctor.Good, "[fd00:7::10]:80/tcp", "2001:db8:1:1::/64")
		if e := p.doctor(); slices.ContainsFunc(e.Findings, func(f doctor.Finding) bool { return f.Check == "probe" }) {
			t.Error("packets are sent unasked")
		}
		// What rules ask for that is not known beforehand, the kernel knows.
		p.nft("add table inet host; add chain inet host f { type filter hook forward priority filter; policy drop; }; add rule inet host f ip daddr 192.168.7.10 accept; add rule inet host f ip6 daddr fd00:7::99 accept; add rule inet host f ct state established accept")
		p.finds("host-rules", doctor.Warning, "inet host f drops connections", "unless one of its rules")
		p.probed(`"nas", 192.168.7.10`, doctor.Good)
		p.probed(`"nas", [fd00:7::10]`, doctor.Problem, "on its way there, by the chain inet host f")
		p.nft("flush chain inet host f; chain inet host f { policy accept; }; add rule inet host f ip saddr 198.51.100.0/24 drop; add rule inet host f iifname lan0 ct status dnat ip6 saddr fd00:7::10 drop")
		p.probed(`"nas", 192.168.7.10`, doctor.Problem, "on its way there, by the chain inet host f")
		p.probed(`"nas", [fd00:7::10]`, doctor.Problem, "the answer, on its way back, by the chain inet host f")
		p.nft("delete table inet host")

		// So it is with knocks, also where chains come before routing.
		p.probed("the knock port, 54754/udp, from 198.51.101.8", doctor.Good, "so does the answer")
		p.probed("the knock port, 54754/udp, from 2a00:7::8", doctor.Good)
		p.nft("add table inet host; add chain inet host p { type filter hook prerouting priority raw; }; add rule inet host p ip protocol udp udp dport 54754 drop; add chain inet host o { type filter hook output priority 0; }; add rule inet host o meta nfproto ipv6 udp sport 54754 drop")
		p.probed("the knock port, 54754/udp, from 198.51.101.8", doctor.Problem, "on its way there, by the chain inet host p")
		p.probed("the knock port, 54754/udp, from 2a00:7::8", doctor.Problem, "the answer, on its way back, by the chain inet host o")
		p.nft("delete table inet host")

		// Killed at any moment, nothing of it is left.
		state := func() string {
			t.Helper()
			cmd := s.Bed.Router.Command(t.Context(), "sh", "-c", "ip -o link; nft list tables; nft list table inet ownline | grep -v element; cat /proc/sys/net/ipv4/ip_forward")
			cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
			var out bytes.Buffer
			cmd.Stdout = &out
			must(t, s.Bed.Router.Run(cmd))
			return regexp.MustCompile(`expires \w+|packets \d+ bytes \d+`).ReplaceAllString(out.String(), "")
		}
		before := state()
		for i := range 8 {
			cmd := s.Bed.Router.Command(t.Context(), programs.Core, "doctor", "--probe", "--config", p.config)
			must(t, s.Bed.Router.Start(cmd))
			time.Sleep(time.Duration(i) * 15 * time.Millisecond)
			cmd.Process.Kill()
			cmd.Wait()
			if after := state(); after != before {
				t.Fatalf("killed, it leaves\n%s\nwhere there was\n%s", after, before)
			}
		}
		p.probed(`"nas", 192.168.7.10`, doctor.Good)
		wantState(t, client, at, true)
	})

	t.Run("files", func(t *testing.T) {
		p, s := p.of(t)
		for path, mode := range map[string]os.FileMode{"core": 0o755, "core/link.pem": 0o644, "core/core.json": 0o640, "core.yaml": 0o622, "core.sock": 0o666} {
			info, err := os.Stat(s.Path(path))
			must(t, err)
			must(t, os.Chmod(s.Path(path), mode))
			p.finds("modes", doctor.Problem, "can read or change "+s.Path(path), fmt.Sprintf("chmod %04o %s", info.Mode().Perm(), s.Path(path)))
			p.mends("modes")
			if after, err := os.Stat(s.Path(path)); err != nil || after.Mode() != info.Mode() {
				t.Errorf("%s has mode %v, %v; it had %v", path, after.Mode(), err, info.Mode())
			}
		}
	})

	t.Run("a port of the router", func(t *testing.T) {
		p, s := p.of(t)
		const port = 2222
		l, err := s.Bed.Router.ListenTCP(netip.AddrPortFrom(netip.IPv4Unspecified(), port))
		must(t, err)
		defer l.Close()
		other := s.service("other", "tcp", s.Bed.Lan, bed.EchoPort)
		s.grant(other, world.Map{"allow_reserved": true, "public_port": port})
		var id string
		eventually(t, patience, "it is open", func() bool {
			var got world.Session
			err := s.API.Call(t.Context(), "POST", "/sessions", world.Map{"service": other, "source": client.IPv4.String(), "for": "1h", "public_port": port}, &got)
			id = got.ID
			return err == nil && got.State == "active"
		})
		p.finds("ports", doctor.Warning, `"other" is open at port 2222/tcp`, "which this router uses itself")
		s.close(id)
		p.well("")
	})

	t.Run("routes", func(t *testing.T) {
		p, s := p.of(t)
		ip := func(words string) {
			t.Helper()
			must(t, s.Bed.Router.Run(s.Bed.Router.Command(t.Context(), "ip", strings.Fields(words)...)))
		}
		ip("route add unreachable 192.168.7.10")
		wantState(t, client, at, false)
		p.finds("routes", doctor.Problem, `connections to "nas", 192.168.7.10:80 as it has to: no route to host`, "ip route get 192.168.7.10 from 198.51.100.10 iif wan0")
		ip("route del unreachable 192.168.7.10")

		ip("rule add iif lan0 to 198.51.100.0/24 table 77")
		ip("route add 198.51.100.0/24 via 192.168.7.10 table 77")
		wantState(t, client, at, false)
		p.does(p.finds("routes", doctor.Problem, `answers of "nas", 192.168.7.10:80 as it has to: they would leave by lan0`, "ip route get 198.51.100.10 from 192.168.7.10 iif lan0"))
		ip("rule del iif lan0 to 198.51.100.0/24 table 77")
		wantState(t, client, at, true)

		off := s.service("off", "tcp", s.Bed.Lan, 9)
		s.grant(off, nil)
		id := s.open(off, client.IPv4, time.Hour, 0).ID
		p.finds("targets", doctor.Warning, `"off", 192.168.7.10:9, refuses`)
		s.close(id)
		p.well("")
	})

	t.Run("a box in front", func(t *testing.T) {
		p, s := p.of(t)
		p.finds("address", doctor.Good, "has an address of the internet")
		nft := func(text string) {
			t.Helper()
			must(t, s.Bed.Internet.Run(s.Bed.Internet.Command(t.Context(), "/usr/sbin/nft", text)))
		}
		nft("add table ip box; add chain ip box p { type nat hook postrouting priority srcnat; }; add rule ip box p oifname router masquerade")
		if a, err := device.Send(client, s.KnockAddr(false), device.Knock(), patience); err == nil && a.Status == knock.Opened {
			t.Error("a session was opened for the gateway")
		}
		p.finds("address", doctor.Warning, "Knocks come from this router's own gateway, 203.0.113.1")
		nft("delete table ip box")
	})

	t.Run("settings that were changed", func(t *testing.T) {
		p, _ := p.of(t)
		yaml, err := os.ReadFile(p.config)
		must(t, err)
		p.config = filepath.Join(t.TempDir(), "core.yaml")
		changed := strings.Replace(string(yaml), "firewall: {", "firewall: {driver: iptables, reserved_ports: [2223], ", 1) + "\nknock: {answer: false}\n"
		must(t, os.WriteFile(p.config, []byte(changed), 0o600))
		p.finds("settings", doctor.Warning, p.config+" has now: knock.answer, firewall.driver (iptables; core runs with nftables), firewall.reserved_ports.", "restart core")
	})

	t.Run("web", func(t *testing.T) {
		p, s := p.of(t)
		must(t, s.Web.Kill())
		p.finds("web", doctor.Problem, "not connected", "link.listen")
		must(t, s.Core.Kill())
		must(t, os.Remove(s.Path("core/core.json")))
		must(t, s.Core.Start(t.Context()))
		p.finds("web", doctor.Problem, "No ownline-web is paired", "ownline-core pair")
	})

	t.Run("the daemon", func(t *testing.T) {
		p, s := p.of(t)
		must(t, s.Core.Kill())
		f := p.finds("daemon", doctor.Problem, "No ownline-core answers")
		if want := "ownline-core run --config " + p.config; !slices.Equal(f.Fix, []string{want}) {
			t.Errorf("to start it: %q, want %q", f.Fix, want)
		}
		p.finds("firewall", doctor.Good, "has what firewall.driver nftables needs")
		p.probed("made up", doctor.Good, "/tcp from 198.51.101.7", "and so does the answer")
		p.probed("made up", doctor.Good, "/tcp from 2a00:7::7")
		p.finds("ports", doctor.Good, "No two want the same port")
		u, err := s.Bed.Router.ListenUDP(netip.AddrPortFrom(netip.IPv4Unspecified(), world.KnockPort))
		must(t, err)
		defer u.Close()
		p.finds("ports", doctor.Problem, "Another program has port 54754/udp", "ss -lntup 'sport = :54754'")

		// A driver whose program is missing.
		yaml, err := os.ReadFile(p.config)
		must(t, err)
		p.config = filepath.Join(t.TempDir(), "core.yaml")
		must(t, os.WriteFile(p.config, []byte(strings.Replace(string(yaml), "firewall: {", "firewall: {driver: iptables, ", 1)), 0o600))
		p.finds("firewall", doctor.Good, "firewall.driver iptables needs")
		p.before = "mount --bind /dev/null /usr/sbin/xtables-nft-multi && mount --bind /dev/null /usr/sbin/xtables-legacy-multi &&"
		p.finds("firewall", doctor.Problem, "iptables-save", "not installed", "apt install iptables ipset")
	})

	t.Run("the address", func(t *testing.T) {
		p, s := p.of(t)
		r := s.Bed.Router
		for _, a := range []string{"203.0.113.2/24", "2001:db8:7:1::2/64"} {
			must(t, r.DelAddr("wan0", netip.MustParsePrefix(a)))
		}
		must(t, r.AddAddr("wan0", netip.MustParsePrefix("192.168.99.2/24")))
		p.finds("address", doctor.Warning, "no address of the internet", "54754/udp")
		must(t, r.AddAddr("wan0", netip.MustParsePrefix("100.64.3.2/24")))
		p.finds("address", doctor.Problem, "carriers use inside")
	})
}

// of is the patient in a part of the test.
func (p *patient) of(t *testing.T) (*patient, *suite) {
	s := *p.suite
	s.t = t
	q := *p
	q.suite = &s
	return &q, &s
}

// packets counts what a client has sent through its sessions, as the kernel has it now.
func (p *patient) packets(client *bed.Host) (n uint64) {
	p.t.Helper()
	out, _ := p.CoreCommand(p.t.Context(), "explain", "--json", client.IPv4.String()) // it ends with what it has to say of it
	var e core.Explanation
	if err := json.Unmarshal(out, &e); err != nil || len(e.Sessions) == 0 {
		p.t.Fatalf("explain says %s, %v", out, err)
	}
	for _, s := range e.Sessions {
		n += s.Traffic.UpPackets
	}
	return n
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A certificate is told of before it ends, and what lets the proxy be reached.
func TestDoctorOfProxy(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certify := func(from, until time.Time) {
		t.Helper()
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(t, err)
		template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: until, DNSNames: []string{"*." + world.Domain, world.Domain}}
		der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
		must(t, err)
		secret, err := x509.MarshalPKCS8PrivateKey(k)
		must(t, err)
		must(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
		must(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	}
	now := time.Now()
	certify(now.Add(-time.Hour), now.Add(90*24*time.Hour))
	s := start(t, world.Options{CoreYAML: fmt.Sprintf("proxy: {domain: %s, certificate: {file: %q, key_file: %q}}\n", world.Domain, cert, key)})
	p := newPatient(s)
	p.well("")
	p.finds("certificate", doctor.Good, "*."+world.Domain)

	must(t, os.Chmod(key, 0o640))
	p.finds("modes", doctor.Problem, key)
	p.mends("modes")

	again := func() {
		t.Helper()
		must(t, s.Core.Kill())
		must(t, s.Core.Start(t.Context()))
	}
	certify(now.Add(-time.Hour), now.Add(3*24*time.Hour))
	again()
	p.finds("certificate", doctor.Warning, "is about to expire", cert)
	certify(now.Add(-2*time.Hour), now.Add(-time.Hour))
	again()
	p.finds("certificate", doctor.Problem, "has expired", cert)

	p.nft("add table inet host; add chain inet host i { type filter hook input priority filter; policy drop; }; add rule inet host i iifname != wan0 accept; add rule inet host i udp dport 54754 accept; add rule inet host i meta l4proto ipv6-icmp accept")
	p.does(p.finds("host-rules", doctor.Problem, "inet host i drops connections to the reverse proxy", "nft add rule inet host i ct status dnat accept"))
	p.well("host-rules")
}
