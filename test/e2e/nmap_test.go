package e2e

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
	"github.com/ownline/ownline/test/world"
)

// Not everybody's PATH leads there.
const nft = "/usr/sbin/nft"

// bannerPort is where the router itself serves everybody, with Ownline and without.
const bannerPort = 2222

// hostRules are a router's own firewall: what it does with what nobody asked for comes last.
const hostRules = `
table inet host {
	chain input {
		type filter hook input priority filter; policy drop;
		ct state established,related accept
		iifname { lo, lan0 } accept
		meta l4proto { icmp, ipv6-icmp } accept
		tcp dport %d accept
		%s
		%s
	}
	chain forward {
		type filter hook forward priority filter; policy drop;
		ct state established,related accept
		iifname lan0 accept
		%s
		%s
	}
}
`

// nmapSoak has every port scanned, not just those that anything uses and some others.
var nmapSoak = os.Getenv(soakVariable) != ""

// Invariant 1: to nmap, a router with Ownline is the router without it: before, during and after a
// session of somebody else's, on a host that drops what nobody asked for and on one that rejects it.
func TestNmap(t *testing.T) {
	bedtest.Need(t)
	if _, err := exec.LookPath("nmap"); err != nil {
		t.Skip("the package nmap would add it")
	}
	if _, err := exec.LookPath(nft); err != nil {
		t.Skip("the package nftables would add nft")
	}
	for name, refuse := range map[string]string{"drops": "", "rejects": "meta l4proto tcp reject with tcp reset; reject"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const session = 20443
			n := nmap{t: t, refuses: refuse != "", session: session}
			plain := bedtest.New(t)
			guard(t, plain.Router, refuse, false)
			without := n.look(plain)

			s := start(t, world.Options{CoreYAML: world.ProxyYAML + fmt.Sprintf("knock: {fwknop_listen: \"[::]:%d\"}\n", fwknopPort)})
			guard(t, s.Bed.Router, refuse, true)
			s.grant(s.echo, world.Map{"automatic": true, "public_port": session})
			s.grant(s.udp, world.Map{"automatic": true, "public_port": session})
			if _, err := s.AddProxied(t.Context(), "page-by-name", bed.HTTPPort); err != nil {
				t.Fatal(err)
			}
			d := s.device()
			n.same("before a session", without, n.look(s.Bed))
			for _, v6 := range []bool{false, true} {
				if a := s.knock(d, s.Bed.Client1, v6); a.Status != knock.Opened || a.Sessions != 3 {
					t.Fatalf("answer %+v, want three sessions opened", a)
				}
				for _, port := range []uint16{session, world.ProxyPort} {
					eventually(t, 20*time.Second, "the client gets in", func() bool { return reach(s.Bed.Client1, s.public(v6, port)) == bed.Open })
				}
			}
			n.same("during a session", without, n.look(s.Bed))
			s.call("DELETE", "/sessions?all=true", nil, nil)
			wantState(t, s.Bed.Client1, s.public(false, session), false)
			n.same("after a session", without, n.look(s.Bed))
		})
	}
}

// guard gives a router its firewall, with what Ownline's manual asks for or without, and a server.
func guard(t *testing.T, router *bed.Host, refuse string, ownline bool) {
	t.Helper()
	knocks, forwards := "", ""
	if ownline {
		knocks = fmt.Sprintf("udp dport { %d, %d } ct state untracked accept; ct status dnat accept", world.KnockPort, fwknopPort)
		forwards = "ct status dnat accept"
	}
	cmd := router.Command(t.Context(), nft, "-f", "-")
	cmd.Stdin = strings.NewReader(fmt.Sprintf(hostRules, bannerPort, knocks, refuse, forwards, refuse))
	if out, err := output(router, cmd); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	// How many errors a second the kernel sends is a matter of chance between scans.
	for _, name := range []string{"net/ipv4/icmp_ratelimit", "net/ipv6/icmp/ratelimit"} {
		if err := router.Sysctl(name, "0"); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range []netip.Addr{router.IPv4, router.IPv6} {
		l, err := router.ListenTCP(netip.AddrPortFrom(a, bannerPort))
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = c.Write([]byte("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"))
				_ = c.(*net.TCPConn).CloseWrite()
				_ = c.Close()
			}
		}()
		t.Cleanup(func() { _ = l.Close(); <-done })
	}
}

func output(h *bed.Host, cmd *exec.Cmd) ([]byte, error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := h.Run(cmd)
	return out.Bytes(), err
}

// nmap is what a stranger looks with.
type nmap struct {
	t       *testing.T
	refuses bool // every probe brings an answer
	session uint16
}

// seen is what nmap found, by scan and port.
type seen map[string]string

// look scans a router from the stranger.
func (n nmap) look(b *bed.Bed) seen {
	n.t.Helper()
	used := fmt.Sprintf("%d,%d,%d,%d,%d,53,123", n.session, world.KnockPort, world.ProxyPort, fwknopPort, world.KnockPort+1)
	tcp := used + fmt.Sprintf(",%d,22,80,443,8080,57329,20000-20050,1000-1050", bannerPort)
	rate := "1000"
	if nmapSoak {
		tcp, rate = "1-65535", "5000"
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	found := seen{}
	for name, args := range map[string][]string{
		"SYN, versions": {"-Pn", "-sS", "-sV", "--version-light", "-p", tcp},
		"connect":       {"-Pn", "-sT", "-p", tcp},
		"UDP":           {"-Pn", "-sU", "-p", used},
		"ping":          {"-sn", "-PE"},
	} {
		for family, at := range map[string]netip.Addr{"IPv4": b.Router.IPv4, "IPv6": b.Router.IPv6} {
			if at.Is6() && name == "connect" && !nmapSoak {
				continue // which the SYN has told
			}
			wg.Go(func() {
				ports, err := n.scan(b.Stranger, at, append([]string{"--min-rate", rate}, args...)...)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					n.t.Errorf("%s, %s: %v", name, family, err)
				}
				for port, state := range ports {
					found[name+" "+family+" "+port] = state
				}
			})
		}
	}
	wg.Wait()
	if n.t.Failed() {
		n.t.FailNow()
	}
	return found
}

// scan runs nmap.
func (n nmap) scan(from *bed.Host, at netip.Addr, args ...string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(n.t.Context(), 10*time.Minute)
	defer cancel()
	args = append(args, "-n", "--reason", "-vv", "-oX", "-", at.String())
	if at.Is6() {
		args = append(args, "-6")
	}
	if n.refuses { // what brings no answer was lost on a busy machine
		args = append(args, "--max-retries", "8", "--initial-rtt-timeout", "500ms", "--max-rtt-timeout", "3s")
	} else {
		args = append(args, "--max-retries", "1", "--initial-rtt-timeout", "150ms", "--max-rtt-timeout", "150ms")
	}
	out, err := from.Command(ctx, "nmap", args...), error(nil)
	var said, complaint bytes.Buffer
	out.Stdout, out.Stderr = &said, &complaint
	if err = from.Run(out); err != nil {
		return nil, fmt.Errorf("nmap: %w: %s", err, complaint.String())
	}
	var report struct {
		Host []struct {
			Status struct {
				State  string `xml:"state,attr"`
				Reason string `xml:"reason,attr"`
				TTL    string `xml:"reason_ttl,attr"`
			} `xml:"status"`
			Ports struct {
				Port []struct {
					Protocol string `xml:"protocol,attr"`
					Number   string `xml:"portid,attr"`
					State    struct {
						State  string `xml:"state,attr"`
						Reason string `xml:"reason,attr"`
						TTL    string `xml:"reason_ttl,attr"`
					} `xml:"state"`
					Service struct {
						Name    string `xml:"name,attr"`
						Product string `xml:"product,attr"`
						Version string `xml:"version,attr"`
					} `xml:"service"`
				} `xml:"port"`
				Extra []struct {
					State   string `xml:"state,attr"`
					Count   string `xml:"count,attr"`
					Reasons []struct {
						Reason string `xml:"reason,attr"`
						Count  string `xml:"count,attr"`
						Ports  string `xml:"ports,attr"`
					} `xml:"extrareasons"`
				} `xml:"extraports"`
			} `xml:"ports"`
		} `xml:"host"`
	}
	if err := xml.Unmarshal(said.Bytes(), &report); err != nil {
		return nil, err
	}
	if len(report.Host) != 1 {
		return nil, fmt.Errorf("nmap tells of %d hosts: %s", len(report.Host), said.String())
	}
	h := report.Host[0]
	found := map[string]string{"host": fmt.Sprint(h.Status)}
	for _, p := range h.Ports.Port {
		found[p.Number+"/"+p.Protocol] = fmt.Sprint(p.State, p.Service)
	}
	for _, e := range h.Ports.Extra {
		found["others "+e.State] = fmt.Sprint(e.Count, e.Reasons)
	}
	return found, nil
}

// same compares two looks.
func (n nmap) same(when string, without, with seen) {
	n.t.Helper()
	if open := without[fmt.Sprintf("SYN, versions IPv4 %d/tcp", bannerPort)]; !strings.Contains(open, "OpenSSH") {
		n.t.Fatalf("nmap sees nothing of the router's own server: %v", without)
	}
	all := maps.Clone(without)
	maps.Copy(all, with)
	for _, what := range slices.Sorted(maps.Keys(all)) {
		if without[what] != with[what] {
			n.t.Errorf("%s: %s is %q to nmap, and %q without Ownline", when, what, with[what], without[what])
		}
	}
}
