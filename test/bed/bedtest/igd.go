package bedtest

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/test/bed"
)

// IGD is a host as a provider's router: it lets nothing in from one interface to the other, unless
// its miniupnpd, as Debian installs it, is asked to by PCP, NAT-PMP or UPnP.
type IGD struct {
	host *bed.Host
	dir  string
	cmd  *exec.Cmd
	log  bytes.Buffer
	tb   testing.TB
}

// igdRules is what Debian's nft_init.sh makes, and what a router has besides.
const igdRules = `
table inet filter {
	chain forward {
		type filter hook forward priority 0;
		ct state established,related accept
		jump miniupnpd
		iifname "%[1]s" oifname "%[2]s" drop
	}
	chain miniupnpd { }
	chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
	chain prerouting_miniupnpd { }
	chain postrouting { type nat hook postrouting priority 100; jump postrouting_miniupnpd; oifname "%[1]s" ip saddr %[3]s masquerade; }
	chain postrouting_miniupnpd { }
}
`

// NewIGD makes one of a host. lines are more of its miniupnpd.conf.
func NewIGD(tb testing.TB, h *bed.Host, wan, lan string, network netip.Prefix, lines ...string) *IGD {
	tb.Helper()
	if _, err := exec.LookPath("/usr/sbin/miniupnpd"); err != nil {
		tb.Fatalf("%v: run the tests by make test, which installs it", err)
	}
	g := &IGD{host: h, dir: tb.TempDir(), tb: tb}
	g.nft(fmt.Sprintf(igdRules, wan, lan, network))
	// It opens nothing unless it has a public address, and those of the bed are for documentation.
	// Shorter leases than two minutes are for tests.
	conf := append([]string{
		"ext_ifname=" + wan, "listening_ip=" + lan, "ext_ip=44.3.2.1", "http_port=0", "enable_natpmp=yes", "enable_upnp=yes", "secure_mode=yes",
		"uuid=73a9f7ee-0000-4000-8000-000000000001", "lease_file=" + g.leases(), "min_lifetime=1",
	}, lines...)
	conf = append(conf, "allow 1024-65535 "+network.String()+" 1024-65535", "deny 0-65535 0.0.0.0/0 0-65535", "")
	if err := os.WriteFile(filepath.Join(g.dir, "conf"), []byte(strings.Join(conf, "\n")), 0o600); err != nil {
		tb.Fatal(err)
	}
	g.start()
	tb.Cleanup(func() {
		g.Kill()
		if tb.Failed() {
			tb.Logf("miniupnpd says:\n%s", g.log.String()[max(0, g.log.Len()-4000):])
		}
	})
	return g
}

func (g *IGD) leases() string { return filepath.Join(g.dir, "leases") }

func (g *IGD) nft(text string) string {
	g.tb.Helper()
	cmd := g.host.Command(context.Background(), "/usr/sbin/nft", "-f", "-")
	cmd.Stdin = strings.NewReader(text)
	out := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := g.host.Run(cmd); err != nil {
		g.tb.Fatalf("nft: %v: %s", err, out)
	}
	return out.String()
}

func (g *IGD) start() {
	g.tb.Helper()
	g.cmd = exec.Command("/usr/sbin/miniupnpd", "-d", "-f", filepath.Join(g.dir, "conf"), "-P", filepath.Join(g.dir, "pid"))
	g.cmd.Stdout, g.cmd.Stderr = &g.log, &g.log
	if err := g.host.Start(g.cmd); err != nil {
		g.tb.Fatal(err)
	}
}

// Kill ends miniupnpd. What it opened stays open.
func (g *IGD) Kill() {
	_ = g.cmd.Process.Kill() // it may be gone
	_ = g.cmd.Wait()
}

// rebootTakes is little for a router, but more than the 2 seconds by which clients of PCP let its clock be
// wrong (RFC 6887, section 8.5).
const rebootTakes = 4 * time.Second

// Reboot has the router begin anew: it has forgotten all that it was asked for.
func (g *IGD) Reboot() {
	g.tb.Helper()
	g.Kill()
	g.nft("flush chain inet filter miniupnpd\nflush chain inet filter prerouting_miniupnpd\n")
	if err := os.WriteFile(g.leases(), nil, 0o600); err != nil {
		g.tb.Fatal(err)
	}
	time.Sleep(rebootTakes)
	g.start()
}

// Opened reports whether a port leads somewhere, and the end of its lease.
func (g *IGD) Opened(transport string, port uint16) (until time.Time, open bool) {
	g.tb.Helper()
	if !strings.Contains(g.nft("list chain inet filter prerouting_miniupnpd"), "dport "+strconv.Itoa(int(port))+" dnat") {
		return until, false
	}
	b, err := os.ReadFile(g.leases())
	if err != nil {
		g.tb.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Split(line, ":")
		if len(f) > 4 && f[0] == strings.ToUpper(transport) && f[1] == strconv.Itoa(int(port)) {
			n, err := strconv.ParseInt(f[4], 10, 64)
			if err != nil {
				g.tb.Fatalf("its leases have %q", line)
			}
			return time.Unix(n, 0), true
		}
	}
	return until, true
}
