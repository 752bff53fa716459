package doctor

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/ownline"
)

// daemon tells whether core runs and obeys a web; err is why it does not answer.
func (l *looking) daemon(err error) {
	if !l.runs {
		l.say(&notRuns, err, l.File)
		return
	}
	l.say(&runs, l.status.Version, l.status.Up.Round(time.Second))
	switch c := l.Config.Link; {
	case !l.status.Paired:
		l.say(&unpaired)
	case l.status.Connected:
		l.say(&web, l.status.SiteName)
	case c.Dial != "":
		l.say(&away, "this router dials it at "+c.Dial+" (link.dial)")
	default:
		l.say(&away, "it reaches this router at "+c.Listen+" (link.listen)")
	}
}

// settings tells of those that were changed since core has started.
func (l *looking) settings(ctx context.Context) {
	if !l.runs {
		return
	}
	all, err := l.Daemon.Settings(ctx)
	if err != nil {
		l.say(&untold, err)
		return
	}
	stale := ""
	l.Config.Each(func(key, value string) {
		is, ok := all[key]
		if !ok || is == value {
			return
		}
		stale += ", " + key
		if key == "firewall.driver" {
			stale += " (" + value + "; core runs with " + l.driver() + ")"
		}
	})
	if stale != "" {
		l.say(&outdated, l.File, stale[2:])
	}
}

// firewall tells how the driver does; without a daemon, whether it could.
func (l *looking) firewall(ctx context.Context) {
	name, fw := l.Config.Firewall.Driver, &l.status.Firewall
	switch {
	case !l.runs:
		if err := l.Driver(ctx); err != nil {
			l.say(&unable, name, err, l.install(name), l.File)
			return
		}
		l.say(&able, name)
	case !fw.OK:
		restart := ""
		if strings.Contains(fw.Error, ownline.Firewalld) {
			restart = "systemctl restart firewalld"
		}
		l.say(&failed, fw.Driver, fw.Error, restart)
	case fw.Lacks != "":
		l.say(&lacking, fw.Driver, fw.Lacks)
	default:
		l.say(&ruled, fw.Driver)
	}
	if l.driver() == ownline.UFW && !l.UFW {
		l.say(&idle, l.File)
	}
}

// install is how a system gets what a driver needs.
func (l *looking) install(driver string) string {
	openWrt, iptables := l.exists("/etc/openwrt_release"), driver == ownline.IPTables || driver == ownline.UFW
	switch {
	case driver == ownline.Firewalld:
		return "systemctl enable --now firewalld"
	case openWrt && iptables:
		return "opkg update\nopkg install iptables ip6tables kmod-ipt-conntrack-extra kmod-ipt-extra kmod-ipt-nat6"
	case openWrt:
		return "opkg update\nopkg install kmod-nft-core kmod-nft-fib kmod-nft-nat"
	case iptables:
		return "apt install iptables ipset"
	}
	return "modprobe -a nf_tables nf_conntrack nft_ct nft_chain_nat nft_nat nft_masq nft_fib_inet nft_reject_inet"
}

// ports tells of those that core and somebody else want.
func (l *looking) ports() {
	n := len(l.found)
	for i := range l.sessions {
		if s := &l.sessions[i]; s.Kind == ownline.Forward && slices.Contains(l.status.ReservedPorts, s.PublicPort) {
			l.say(&shared, s.Service, s.PublicPort, string(s.Transport), s.Source)
		}
	}
	if !l.runs {
		for i := range l.Ports {
			l.taken(&l.Ports[i])
		}
	}
	if len(l.found) == n {
		l.say(&free)
	}
}

// taken tells if somebody has a port that core needs.
func (l *looking) taken(port *firewall.Port) {
	proxy := &l.Config.Proxy
	if port.Number == proxy.Port() && (!proxy.Serves() || proxy.Driver != ownline.EmbeddedProxy) {
		return // core does not listen there
	}
	for i := range l.Host.Served {
		if l.Host.Served[i] == *port {
			l.say(&taken, port.Number, string(port.Transport), l.File)
		}
	}
}

func (l *looking) clock() {
	why, level := l.status.Clock.Why, Warning
	if !l.runs && !l.Synced() {
		why = "it is not synchronised, and until ownline-web has told the time, no knock can be taken"
	}
	if why == "" {
		l.say(&synced)
		return
	}
	if l.runs && l.status.Clock.Now.IsZero() {
		level = Problem
	}
	fix := "timedatectl set-ntp true"
	if l.exists("/etc/openwrt_release") {
		fix = "service sysntpd enable\nservice sysntpd restart"
	}
	l.say(&unsynced, why, fix).Level = level
}

// soon is when a certificate should long have been renewed: those that core renews are a month before.
const soon = 14 * 24 * time.Hour

func (l *looking) certificate() {
	p := &l.status.Proxy
	if p.Domain == "" { // nor does a daemon run
		return
	}
	hint := "core renews it by itself; its log says what keeps it from that"
	if c := &l.Config.Proxy.Certificate; c.File != "" {
		hint = "put a new one into " + c.File + " and " + c.KeyFile + "; core reads them by itself"
	}
	w := &serving
	switch left := time.Until(p.Expires); {
	case left <= 0 && !p.Expires.IsZero():
		w = &over
	case !p.OK:
		w = &notServed
	case p.Expires.IsZero() && p.Services > 0:
		w = &none
	case p.Expires.IsZero():
		w = &early
	case left < soon:
		w = &ending
	case p.Error != "":
		w = &limping
	}
	l.say(w, p.Error, p.Domain, p.Expires.Local().Format(time.DateTime), hint)
}

// modes tells of files that others can read or change.
func (l *looking) modes() {
	n := len(l.found)
	state := l.Config.StateDir
	l.mode(l.File, 0o022) // it may name programs, which core runs
	l.mode(filepath.Dir(l.File), 0o022)
	for _, path := range []string{state, filepath.Join(state, "link.pem"), filepath.Join(state, "core.json"), filepath.Join(state, "ports.key"), l.Config.Proxy.Certificate.KeyFile, l.Config.PairFile, l.Config.ControlSocket} {
		l.mode(path, 0o077)
	}
	if len(l.found) == n {
		l.say(&closed)
	}
}

// mode finds rights of others to a file, if it is there, that it must not give.
func (l *looking) mode(path string, not os.FileMode) {
	info, err := os.Stat(path)
	// What others have put into a sticky folder is theirs, and the rest is not.
	if err != nil || info.Mode().Perm()&not == 0 || info.Mode()&os.ModeSticky != 0 && not == 0o022 {
		return
	}
	want := info.Mode().Perm() &^ not
	l.mends(l.say(&open, path, info.Mode().Perm(), want, quoted(path)), func() error { return os.Chmod(path, want) })
}

func (*looking) mends(f *Finding, mend func() error) { f.Mends, f.mend = true, mend }

// quoted is a word as a shell reads it back.
func quoted(s string) string {
	if strings.ContainsAny(s, " \t\n'\"\\$&|;<>()*?[]{}~#!`") {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}
