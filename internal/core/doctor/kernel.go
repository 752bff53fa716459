package doctor

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ownline/ownline/internal/core/firewall/hostinfo"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/wholefile"
)

// dropIn is where settings of the kernel are kept that Mend has made.
// By its name it comes after 99-sysctl.conf, by which Debian has /etc/sysctl.conf read (sysctl.d(5)).
const dropIn = "/etc/sysctl.d/99-zz-ownline.conf"

// setting is one of the kernel's: "net/ipv4/ip_forward" and a value.
type setting struct{ path, value string }

// name is what sysctl calls it: names of interfaces may have dots.
func (s setting) name() string {
	if strings.Contains(s.path, ".") {
		return s.path
	}
	return strings.ReplaceAll(s.path, "/", ".")
}

// sysctl returns a setting; "" if there is none.
func (l *looking) sysctl(path string) string {
	b, _ := os.ReadFile(filepath.Join(l.Root, "/proc/sys", path)) // that it is not there says the same
	return string(bytes.TrimSpace(b))
}

// set has a finding be mended by settings, now and after the next start.
func (l *looking) set(f *Finding, all ...setting) {
	for _, s := range all {
		f.Fix = append(f.Fix, "sysctl -w "+s.name()+"="+s.value, "echo "+s.name()+"="+s.value+" >> "+dropIn)
	}
	l.mends(f, func() error {
		for _, s := range all {
			if err := os.WriteFile(filepath.Join(l.Root, "/proc/sys", s.path), []byte(s.value), 0o644); err != nil {
				return err
			}
		}
		return l.keep(all)
	})
}

// keep writes settings to the file, in place of what it says of them.
func (l *looking) keep(all []setting) error {
	file := filepath.Join(l.Root, dropIn)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text := string(old)
	if text == "" {
		text = "# Made by `ownline-core doctor --fix`.\n"
	}
	for _, s := range all {
		kept := ""
		for line := range strings.Lines(text) {
			if key, _, _ := strings.Cut(line, "="); strings.TrimSpace(key) != s.name() {
				kept += line
			}
		}
		text = strings.TrimSuffix(kept, "\n") + "\n" + s.name() + "=" + s.value + "\n"
	}
	return wholefile.Write(file, []byte(text), 0o644)
}

// forwarding tells whether the kernel passes packets on at all.
func (l *looking) forwarding() {
	l.forwards(false)
	if l.public6() { // else nobody comes by IPv6
		l.forwards(true)
	}
}

// public6 is whether the router has an address of the internet of IPv6.
func (l *looking) public6() bool {
	for _, a := range l.Host.Own {
		if a.Is6() && ownline.KindOf(a) == ownline.SourcePublic {
			return true
		}
	}
	return false
}

func (l *looking) forwards(six bool) {
	family, on := "IPv4", setting{"net/ipv4/ip_forward", "1"}
	if six {
		family, on = "IPv6", setting{"net/ipv6/conf/all/forwarding", "1"}
	}
	if l.sysctl(on.path) != "0" {
		l.say(&forwarded, family)
		return
	}
	var all []setting
	for i := range l.Uplinks {
		// A host that forwards no longer learns its routes from others, unless it is told to before.
		u := &l.Uplinks[i]
		if accept := "net/ipv6/conf/" + u.Interface + "/accept_ra"; u.IPv6 && six && l.sysctl(accept) == "1" {
			all = append(all, setting{accept, "2"})
		}
	}
	l.set(l.say(&notForwarded, family), append(all, on)...)
}

// wan returns the interfaces that face the internet: those of the settings that are there, else those of
// default routes.
func (l *looking) wan() (out []string) {
	if l.way != nil && l.way.wan != "" {
		return []string{l.way.wan}
	}
	if all := l.Config.Firewall.WANInterfaces; len(all) > 0 {
		there, _ := os.ReadDir(filepath.Join(l.Root, "/proc/sys/net/ipv4/conf")) // none: nothing can be said of them
		for _, dir := range there {
			if hostinfo.Matches(all, dir.Name()) {
				out = append(out, dir.Name())
			}
		}
		return out
	}
	for i := range l.Uplinks {
		out = with(out, l.Uplinks[i].Interface)
	}
	return out
}

// lan returns the interfaces of the LAN.
func (l *looking) lan() (out []string) {
	if l.way != nil && l.way.lan == "" {
		return nil
	} else if l.way != nil {
		return []string{l.way.lan}
	}
	for i := range l.Host.LAN {
		out = with(out, l.Host.LAN[i].Interface)
	}
	return out
}

func with(all []string, name string) []string {
	if slices.Contains(all, name) {
		return all
	}
	return append(all, name)
}

// paths tells of interfaces by which packets come that the kernel takes for forged, because it would
// answer them by another (rp_filter, RFC 3704).
func (l *looking) paths() {
	best, metric := "", uint32(0)
	for _, u := range l.Uplinks {
		if !u.IPv6 && (best == "" || u.Metric < metric) {
			best, metric = u.Interface, u.Metric
		}
	}
	n := len(l.found)
	wan := l.wan()
	if len(wan) == 0 {
		l.say(&noPaths, l.File)
	}
	for _, name := range wan {
		own := "net/ipv4/conf/" + name + "/rp_filter"
		if name != best && max(l.sysctl("net/ipv4/conf/all/rp_filter"), l.sysctl(own)) == "1" { // the larger counts
			l.set(l.say(&forged, name), setting{own, "2"})
		}
	}
	if len(l.found) == n {
		l.say(&notForged)
	}
}
