package doctor_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/core/doctor"
	"github.com/ownline/ownline/internal/core/firewall/hostinfo"
	"github.com/ownline/ownline/internal/core/firewall/hostrules"
	"github.com/ownline/ownline/internal/core/session"
	"github.com/ownline/ownline/internal/link"
)

// Faults that can't be made here are put into the mouth of a daemon; those that can, test/e2e makes.

type daemon struct {
	status link.Status
	err    error
}

func (d daemon) Status(context.Context) (link.Status, error)         { return d.status, d.err }
func (d daemon) Sessions(context.Context) ([]session.Session, error) { return nil, d.err }
func (d daemon) Knocked(context.Context, netip.Addr) bool            { return false }

type noRules struct{}

func (noRules) Obstacles(*hostrules.Packet) []hostrules.Obstacle { return nil }
func (noRules) Close() error                                     { return nil }

func router(t *testing.T) (*doctor.Router, *daemon) {
	t.Helper()
	d := &daemon{status: link.Status{
		Paired: true, Connected: true, Firewall: link.Firewall{Driver: "nftables", OK: true}, Clock: link.Clock{Now: time.Now()},
	}}
	cfg := config.DefaultCore()
	r := &doctor.Router{
		Config: &cfg, File: "core.yaml", Daemon: d, Root: t.TempDir(), Synced: func() bool { return true },
		Driver: func(context.Context) error { return nil },
		Rules:  func() (doctor.Rules, error) { return noRules{}, nil },
		Host:   hostinfo.Host{Own: []netip.Addr{netip.MustParseAddr("203.0.113.2")}},
	}
	r.Config.StateDir, r.Config.ControlSocket = filepath.Join(r.Root, "state"), filepath.Join(r.Root, "socket")
	return r, d
}

func TestWhatTheDaemonSays(t *testing.T) {
	served := link.Proxy{Driver: "embedded", Domain: "home.example.org", OK: true, Services: 2, Expires: time.Now().Add(60 * 24 * time.Hour)}
	proxy := func(change func(*link.Proxy)) func(*doctor.Router, *daemon) {
		return func(_ *doctor.Router, d *daemon) {
			d.status.Proxy = served
			change(&d.status.Proxy)
		}
	}
	for name, tc := range map[string]struct {
		fault func(*doctor.Router, *daemon)
		check string
		level doctor.Level
		says  string
	}{
		"all is well":     {func(*doctor.Router, *daemon) {}, "firewall", doctor.Good, "has Ownline's rules (nftables)"},
		"it does not run": {func(_ *doctor.Router, d *daemon) { d.err = errors.New("nobody") }, "daemon", doctor.Problem, "nobody"},
		"no rules": {func(_ *doctor.Router, d *daemon) {
			d.status.Firewall = link.Firewall{Driver: "iptables", Error: "no table"}
		}, "firewall", doctor.Problem, "(iptables): no table"},
		"no filter":         {func(_ *doctor.Router, d *daemon) { d.status.Firewall.Lacks = "no filter" }, "firewall", doctor.Warning, "but with no filter"},
		"web dials":         {func(_ *doctor.Router, d *daemon) { d.status.Connected = false }, "web", doctor.Problem, "not connected"},
		"core dials":        {func(r *doctor.Router, d *daemon) { d.status.Connected, r.Config.Link.Dial = false, "web.example.org:1" }, "web", doctor.Problem, "web.example.org:1 (link.dial)"},
		"not paired":        {func(_ *doctor.Router, d *daemon) { d.status.Paired = false }, "web", doctor.Problem, "ownline-core pair"},
		"no clock":          {func(_ *doctor.Router, d *daemon) { d.status.Clock = link.Clock{Why: "nobody told"} }, "clock", doctor.Problem, "nobody told"},
		"web's clock":       {func(_ *doctor.Router, d *daemon) { d.status.Clock.Why = "it is web's" }, "clock", doctor.Warning, "it is web's"},
		"an unsynced clock": {func(r *doctor.Router, d *daemon) { d.err, r.Synced = errors.New("none"), func() bool { return false } }, "clock", doctor.Warning, "not synchronised"},
		"a synced clock":    {func(_ *doctor.Router, d *daemon) { d.err = errors.New("none") }, "clock", doctor.Good, "is synchronised"},
		"rules are secret": {func(r *doctor.Router, _ *daemon) {
			r.Rules = func() (doctor.Rules, error) { return nil, os.ErrPermission }
		}, "host-rules", doctor.Warning, "permission denied"},
		"a driver is missing": {func(r *doctor.Router, d *daemon) {
			d.err, r.Driver = errors.New("none"), func(context.Context) error { return errors.New("no module") }
		}, "firewall", doctor.Problem, "modprobe -a nf_tables"},
		"settings are wrong": {func(r *doctor.Router, _ *daemon) { r.Lacks = errors.New("no nginx") }, "settings", doctor.Problem, "no nginx"},
		"served":             {proxy(func(*link.Proxy) {}), "certificate", doctor.Good, "*.home.example.org"},
		"nothing served yet": {proxy(func(p *link.Proxy) { p.Services, p.Expires = 0, time.Time{} }), "certificate", doctor.Good, "none needs a certificate"},
		"no certificate yet": {proxy(func(p *link.Proxy) { p.Expires = time.Time{} }), "certificate", doctor.Problem, "no certificate for *.home.example.org"},
		"soon over":          {proxy(func(p *link.Proxy) { p.Expires = time.Now().Add(13 * 24 * time.Hour) }), "certificate", doctor.Warning, "about to expire"},
		"over":               {proxy(func(p *link.Proxy) { p.OK, p.Expires = false, time.Now().Add(-time.Hour) }), "certificate", doctor.Problem, "has expired"},
		"not served":         {proxy(func(p *link.Proxy) { p.OK, p.Error = false, "no nginx runs" }), "certificate", doctor.Problem, "does not serve: no nginx runs"},
		"served somehow":     {proxy(func(p *link.Proxy) { p.Error = "no badges" }), "certificate", doctor.Warning, "but no badges"},
	} {
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
					if f.Level != doctor.Good && tc.check != "daemon" && d.err == nil {
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
	const kept = "/etc/sysctl.d/99-ownline.conf"
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
