package doctor_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/core/doctor"
	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/hostinfo"
	"github.com/ownline/ownline/internal/core/firewall/hostrules"
	"github.com/ownline/ownline/internal/core/session"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// Faults that can't be made here are put into the mouth of a daemon; those that can, test/e2e makes.

type daemon struct {
	status   link.Status
	sessions []session.Session
	err      error
	settings map[string]string
	untold   error // of settings
}

func (d daemon) Settings(context.Context) (map[string]string, error) { return d.settings, d.untold }

func (d daemon) Status(context.Context) (link.Status, error)         { return d.status, d.err }
func (d daemon) Sessions(context.Context) ([]session.Session, error) { return d.sessions, d.err }
func (d daemon) Knocked(context.Context, netip.Addr) bool            { return false }

// rules are the host's: none, but for what asks.
type rules struct {
	asked func(*hostrules.Packet)
	drops func(*hostrules.Packet) []hostrules.Obstacle
}

func (r rules) Obstacles(p *hostrules.Packet) []hostrules.Obstacle {
	if r.asked != nil {
		r.asked(p)
	}
	if r.drops != nil {
		return r.drops(p)
	}
	return nil
}

func (rules) Rewrites(*hostrules.Packet) *firewall.Chain { return nil }

func (rules) Unseen() []*firewall.Chain { return nil }
func (rules) Close() error              { return nil }

func router(t *testing.T) (*doctor.Router, *daemon) {
	t.Helper()
	d := &daemon{status: link.Status{
		Paired: true, Connected: true, Firewall: link.Firewall{Driver: "nftables", OK: true}, Clock: link.Clock{Now: time.Now()},
	}}
	cfg := config.DefaultCore()
	r := &doctor.Router{
		Config: &cfg, File: "core.yaml", Daemon: d, Root: t.TempDir(), Synced: func() bool { return true },
		Driver:  func(context.Context) error { return nil },
		Rules:   func(context.Context) (doctor.Rules, error) { return rules{}, nil },
		Uplinks: []hostinfo.Uplink{{Interface: "eth0"}},
		Host: hostinfo.Host{
			Own: []netip.Addr{netip.MustParseAddr("203.0.113.2"), netip.MustParseAddr("192.168.7.1")},
			LAN: []hostinfo.Address{{Addr: netip.MustParseAddr("192.168.7.1"), Network: netip.MustParsePrefix("192.168.7.0/24"), Interface: "eth1"}},
		},
	}
	r.Config.StateDir, r.Config.ControlSocket = filepath.Join(r.Root, "state"), filepath.Join(r.Root, "socket")
	return r, d
}

// saying is a fault, and what a check says of it.
type saying struct {
	fault func(*doctor.Router, *daemon)
	check string
	level doctor.Level
	says  string
}

func TestWhatTheDaemonSays(t *testing.T) {
	served := link.Proxy{Driver: "embedded", Domain: "home.example.org", OK: true, Services: 2, Expires: time.Now().Add(60 * 24 * time.Hour)}
	proxy := func(change func(*link.Proxy)) func(*doctor.Router, *daemon) {
		return func(_ *doctor.Router, d *daemon) {
			d.status.Proxy = served
			change(&d.status.Proxy)
		}
	}
	said(t, map[string]saying{
		"all is well":     {func(*doctor.Router, *daemon) {}, "firewall", doctor.Good, "has Ownline's rules (nftables)"},
		"it does not run": {func(_ *doctor.Router, d *daemon) { d.err = errors.New("nobody") }, "daemon", doctor.Problem, "nobody"},
		"no rules": {func(_ *doctor.Router, d *daemon) {
			d.status.Firewall = link.Firewall{Driver: "iptables", Error: "no table"}
		}, "firewall", doctor.Problem, "(iptables): no table"},
		"no rules of firewalld's": {func(_ *doctor.Router, d *daemon) {
			d.status.Firewall = link.Firewall{Driver: "firewalld", Error: "somebody has taken firewalld's rules out of the kernel"}
		}, "firewall", doctor.Problem, "\nsystemctl restart firewalld"},
		"no filter":         {func(_ *doctor.Router, d *daemon) { d.status.Firewall.Lacks = "no filter" }, "firewall", doctor.Warning, "but with no filter"},
		"web dials":         {func(_ *doctor.Router, d *daemon) { d.status.Connected = false }, "web", doctor.Problem, "not connected"},
		"core dials":        {func(r *doctor.Router, d *daemon) { d.status.Connected, r.Config.Link.Dial = false, "web.example.org:1" }, "web", doctor.Problem, "web.example.org:1 (link.dial)"},
		"not paired":        {func(_ *doctor.Router, d *daemon) { d.status.Paired = false }, "web", doctor.Problem, "ownline-core pair"},
		"no clock":          {func(_ *doctor.Router, d *daemon) { d.status.Clock = link.Clock{Why: "nobody told"} }, "clock", doctor.Problem, "nobody told"},
		"web's clock":       {func(_ *doctor.Router, d *daemon) { d.status.Clock.Why = "it is web's" }, "clock", doctor.Warning, "it is web's"},
		"an unsynced clock": {func(r *doctor.Router, d *daemon) { d.err, r.Synced = errors.New("none"), func() bool { return false } }, "clock", doctor.Warning, "not synchronised"},
		"a synced clock":    {func(_ *doctor.Router, d *daemon) { d.err = errors.New("none") }, "clock", doctor.Good, "is synchronised"},
		"rules are secret": {func(r *doctor.Router, _ *daemon) {
			r.Rules = func(context.Context) (doctor.Rules, error) { return nil, os.ErrPermission }
		}, "host-rules", doctor.Warning, "permission denied"},
		"some rules are secret": {func(r *doctor.Router, _ *daemon) {
			r.Rules = func(context.Context) (doctor.Rules, error) { return rules{}, errors.New("ip6tables-legacy has some") }
		}, "host-rules", doctor.Warning, "can't be read: ip6tables-legacy has some"},
		"no default route": {func(r *doctor.Router, _ *daemon) { r.Uplinks = nil }, "host-rules", doctor.Warning, "was not looked at: no interface leads to the internet"},
		"no way back": {func(r *doctor.Router, _ *daemon) {
			r.Uplinks, r.Config.Firewall.WANInterfaces = nil, []string{"eth0"}
		}, "interfaces", doctor.Warning, "gets no answer"},
		"nor are paths": {func(r *doctor.Router, _ *daemon) { r.Uplinks = nil }, "rp_filter", doctor.Warning, "was not looked at: no interface leads there"},
		"nobody dialled": {func(r *doctor.Router, _ *daemon) {
			r.Config.Firewall.WANInterfaces = []string{"ppp*"}
		}, "host-rules", doctor.Warning, "was not looked at: no interface leads to the internet"},
		"misnamed": {func(r *doctor.Router, _ *daemon) {
			r.Config.Firewall.WANInterfaces, r.Host.Misnamed = []string{"wann"}, true
		}, "interfaces", doctor.Problem, "names is there: wann"},
		"no LAN": {func(r *doctor.Router, _ *daemon) { r.Host.LAN = nil }, "host-rules", doctor.Warning, "was not looked at: no interface is in the LAN"},
		"two want a port": {func(r *doctor.Router, d *daemon) {
			d.status.ReservedPorts = []uint16{22}
			d.sessions = []session.Session{{Session: link.Session{Kind: ownline.Forward, Service: "ssh", PublicPort: 22, Transport: ownline.TCP, Source: netip.MustParsePrefix("198.51.100.7/32")}}}
		}, "ports", doctor.Warning, `"ssh" is open at port 22/tcp`},
		"a port is taken": {func(r *doctor.Router, d *daemon) {
			port := firewall.Port{Transport: ownline.UDP, Number: 54754}
			d.err, r.Ports, r.Host.Served = errors.New("none"), []firewall.Port{port}, []firewall.Port{port}
		}, "ports", doctor.Problem, "has port 54754/udp"},
		"an open file": {func(r *doctor.Router, _ *daemon) {
			r.Config.StateDir = r.Root // which tests may enter
			if err := os.Chmod(r.Root, 0o755); err != nil {
				panic(err)
			}
		}, "modes", doctor.Problem, "its mode is 0755"},
		"an open key": {func(r *doctor.Router, _ *daemon) {
			if err := errors.Join(os.Mkdir(r.Config.StateDir, 0o700), os.WriteFile(filepath.Join(r.Config.StateDir, "ports.key"), nil, 0o644)); err != nil {
				panic(err)
			}
		}, "modes", doctor.Problem, "state/ports.key: its mode is 0644"},
		"an open folder": {func(r *doctor.Router, _ *daemon) {
			folder := filepath.Join(r.Root, "ownline")
			r.File = filepath.Join(folder, "core.yaml")
			if err := errors.Join(os.Mkdir(folder, 0o700), os.Chmod(folder, 0o722)); err != nil {
				panic(err)
			}
		}, "modes", doctor.Problem, "its mode is 0722"},
		"a driver is missing": {func(r *doctor.Router, d *daemon) {
			d.err, r.Driver = errors.New("none"), func(context.Context) error { return errors.New("no module") }
		}, "firewall", doctor.Problem, "modprobe -a nf_tables"},
		"forwarding by hand": {func(r *doctor.Router, _ *daemon) {
			r.Host.Own = []netip.Addr{netip.MustParseAddr("192.168.1.2")}
		}, "address", doctor.Warning, "let that box forward 54754/udp"},
		"settings were changed": {func(r *doctor.Router, d *daemon) {
			r.Config.Firewall.Driver = "auto"
			d.settings = map[string]string{"firewall.driver": "nftables", "knock.listen": "[::]:1", "knock.answer": "true", "log.format": "text", "firewall.wan_interfaces": "0"}
		}, "settings", doctor.Warning, "than core.yaml has now: knock.listen, firewall.driver (auto; core runs with nftables), firewall.wan_interfaces."},
		"settings are not told": {func(_ *doctor.Router, d *daemon) { d.untold = errors.New("core answered 500") }, "settings", doctor.Warning, "it runs with: core answered 500"},
		"settings are wrong":    {func(r *doctor.Router, _ *daemon) { r.Lacks = errors.New("no nginx") }, "settings", doctor.Problem, "no nginx"},
		"served":                {proxy(func(*link.Proxy) {}), "certificate", doctor.Good, "*.home.example.org"},
		"nothing served yet":    {proxy(func(p *link.Proxy) { p.Services, p.Expires = 0, time.Time{} }), "certificate", doctor.Good, "none needs a certificate"},
		"no certificate yet":    {proxy(func(p *link.Proxy) { p.Expires = time.Time{} }), "certificate", doctor.Problem, "no certificate for *.home.example.org"},
		"soon over":             {proxy(func(p *link.Proxy) { p.Expires = time.Now().Add(13 * 24 * time.Hour) }), "certificate", doctor.Warning, "about to expire"},
		"over":                  {proxy(func(p *link.Proxy) { p.OK, p.Expires = false, time.Now().Add(-time.Hour) }), "certificate", doctor.Problem, "has expired"},
		"not served":            {proxy(func(p *link.Proxy) { p.OK, p.Error = false, "no nginx runs" }), "certificate", doctor.Problem, "does not serve: no nginx runs"},
		"served somehow":        {proxy(func(p *link.Proxy) { p.Error = "no badges" }), "certificate", doctor.Warning, "but no badges"},
	})
}

func said(t *testing.T, all map[string]saying) {
	t.Helper()
	for name, tc := range all {
		t.Run(name, func(t *testing.T) {
			r, d := router(t)
			tc.fault(r, d)
			all := r.Look(t.Context())
			for _, f := range all {
				text := strings.Join(append([]string{f.Text, f.Hint}, f.Fix...), "\n")
				if strings.Contains(text, "%!") {
					t.Errorf("words and what is filled in do not fit: %s", text)
				}
				if f.Check != tc.check {
					if f.Level != doctor.Good && tc.check != "daemon" && d.err == nil && !strings.Contains(f.Text, "was not looked at") {
						t.Errorf("%s says %s: %s", f.Check, f.Level, f.Text)
					}
					continue
				}
				if f.Level != tc.level || !strings.Contains(text, tc.says) {
					t.Errorf("%s says %s: %s; want %s: %s", f.Check, f.Level, text, tc.level, tc.says)
				}
				return
			}
			t.Errorf("%s says nothing: %+v", tc.check, all)
		})
	}
}

// Packets are followed by each interface that patterns name and that is there, and by the LAN's; also those
// to a service on the router itself.
func TestWhichPacketsAreFollowed(t *testing.T) {
	r, d := router(t)
	for _, name := range []string{"all", "default", "lo", "eth1", "ppp0", "ppp1"} {
		if err := os.MkdirAll(filepath.Join(r.Root, "/proc/sys/net/ipv4/conf", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r.Config.Firewall.WANInterfaces = []string{"ppp*", "eth7"}
	d.sessions = []session.Session{{Session: link.Session{Kind: ownline.Forward, Transport: ownline.TCP, PublicPort: 20022, Target: netip.MustParseAddrPort("192.168.7.1:22")}}}
	asked := map[string]bool{}
	r.Rules = func(context.Context) (doctor.Rules, error) {
		return rules{asked: func(p *hostrules.Packet) {
			asked[fmt.Sprintf("%s %s>%s %v %d", p.Hook, p.In, p.Out, p.TCP, p.To)] = true
		}}, nil
	}
	for _, f := range r.Look(t.Context()) {
		if f.Check == "host-rules" && f.Level != doctor.Good {
			t.Errorf("%+v", f)
		}
	}
	want := map[string]bool{}
	for _, wan := range []string{"ppp0", "ppp1"} {
		for _, tcp := range []string{"true", "false"} {
			for _, hook := range []string{"forward ", "postrouting "} {
				want[hook+wan+">eth1 "+tcp+" 0"], want[hook+"eth1>"+wan+" "+tcp+" 0"] = true, true
			}
		}
		want["prerouting "+wan+"> true 0"], want["prerouting "+wan+"> false 0"], want["prerouting "+wan+"> true 20022"], want["prerouting "+wan+"> false 54754"] = true, true, true, true
		want["prerouting eth1>"+wan+" true 0"], want["prerouting eth1>"+wan+" false 0"] = true, true
		want["input "+wan+"> true 22"], want["input "+wan+"> false 54754"], want["output >"+wan+" false 0"] = true, true, true
		want["postrouting >"+wan+" false 0"] = true
	}
	if !maps.Equal(asked, want) {
		t.Errorf("followed were %v, want %v", asked, want)
	}
}

// dropping are rules of the host's by which one chain drops packets of a hook.
type dropping struct {
	rules
	translated bool
	hostrules.Obstacle
}

func (d dropping) Obstacles(p *hostrules.Packet) []hostrules.Obstacle {
	if p.Hook != d.Hook || p.Translated != d.translated || p.IPv6 {
		return nil
	}
	return []hostrules.Obstacle{d.Obstacle}
}

// Each firewall is told by its own program; and to make something permanent, only what is not.
func TestRemedies(t *testing.T) {
	const again, driver = "make it permanent", "write `firewall: {driver: ufw}` into core.yaml"
	of := func(family, table, name, hook string) hostrules.Obstacle {
		return hostrules.Obstacle{Chain: &firewall.Chain{Family: family, Table: table, Name: name, Hook: hook}, Last: true}
	}
	firewalld := func(o hostrules.Obstacle) hostrules.Obstacle { o.Firewalld = true; return o }
	for name, tc := range map[string]struct {
		chain           hostrules.Obstacle
		ufw, translated bool
		fix, hint       string
	}{
		"rules of one's own":      {of("inet", "filter", "input", "input"), true, false, "nft add rule inet filter input udp dport 54754 accept", again},
		"iptables":                {of("ip", "filter", "INPUT", "input"), false, false, "iptables -A INPUT -p udp --dport 54754 -j ACCEPT", again},
		"OpenWrt":                 {of("inet", "fw4", "input_wan", "input"), false, false, "mkdir -p ", ""},
		"firewalld":               {firewalld(of("inet", "firewalld", "filter_INPUT", "input")), false, false, "firewall-cmd --permanent --add-port=54754/udp\nfirewall-cmd --reload", ""},
		"firewalld by iptables":   {firewalld(of("ip", "filter", "INPUT", "input")), false, false, "firewall-cmd --permanent --add-port=54754/udp\nfirewall-cmd --reload", ""},
		"Docker beside firewalld": {firewalld(of("ip", "filter", "FORWARD", "forward")), false, true, "iptables -A FORWARD -m conntrack --ctstate DNAT -j ACCEPT", again},
		"ufw":                     {of("ip", "filter", "INPUT", "input"), true, false, "ufw allow 54754/udp", ""},
		"ufw, answers":            {of("ip", "filter", "OUTPUT", "output"), true, false, "ufw allow out proto udp from any port 54754", ""},
		"ufw, sessions":           {of("ip", "filter", "FORWARD", "forward"), true, true, "", driver},
		"before routing":          {of("inet", "filter", "p", "prerouting"), false, true, "", "let that chain pass them"},
	} {
		r, _ := router(t)
		r.UFW = tc.ufw
		r.Rules = func(context.Context) (doctor.Rules, error) { return dropping{rules{}, tc.translated, tc.chain}, nil }
		var found []doctor.Finding
		for _, f := range r.Look(t.Context()) {
			if f.Check == "host-rules" {
				found = append(found, f)
			}
		}
		if len(found) == 0 || !strings.HasPrefix(strings.Join(found[0].Fix, "\n"), tc.fix) || !strings.HasPrefix(found[0].Hint, tc.hint) ||
			(tc.fix == "") != (len(found[0].Fix) == 0) || (tc.hint == "") != (found[0].Hint == "") {
			t.Errorf("%s: %+v", name, found)
		}
		if tc.hint == driver && len(found) != 1 {
			t.Errorf("%s: it is said %d times", name, len(found))
		}
	}
}

// What is kept for the next start leaves alone what else stands there, and says everything once.
func TestSettingsAreKept(t *testing.T) {
	r, _ := router(t)
	write := func(path, text string) {
		t.Helper()
		path = filepath.Join(r.Root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const kept = "/etc/sysctl.d/99-zz-ownline.conf"
	write("/proc/sys/net/ipv4/conf/eth0.7/rp_filter", "1\n")
	write("/proc/sys/net/ipv4/conf/all/rp_filter", "0\n")
	write("/proc/sys/net/ipv4/ip_forward", "0\n")
	write(kept, "# mine\nnet.ipv4.ip_forward = 0\nvm.swappiness=1")
	r.Config.Firewall.WANInterfaces = []string{"eth0.7"}
	for _, f := range r.Look(t.Context()) {
		if !f.Mends {
			continue
		}
		if err := f.Mend(); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{
		kept:                            "# mine\nvm.swappiness=1\nnet.ipv4.ip_forward=1\nnet/ipv4/conf/eth0.7/rp_filter=2\n",
		"/proc/sys/net/ipv4/ip_forward": "1",
		"/proc/sys/net/ipv4/conf/eth0.7/rp_filter": "2",
	} {
		b, err := os.ReadFile(filepath.Join(r.Root, path))
		if err != nil || string(b) != want {
			t.Errorf("%s has %q, %v; want %q", path, b, err, want)
		}
	}
	if n := doctor.Problems(r.Look(t.Context())); n != 0 {
		t.Errorf("%d problems are left", n)
	}
}
