package doctor_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ownline/ownline/internal/core/doctor"
	"github.com/ownline/ownline/internal/core/firewall/hostinfo"
	"github.com/ownline/ownline/internal/core/session"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

func forward(service, source, target string) session.Session {
	return session.Session{Session: link.Session{
		Service: service, Kind: ownline.Forward, Transport: ownline.TCP, PublicPort: 20000, Source: netip.MustParsePrefix(source), Target: netip.MustParseAddrPort(target),
	}}
}

// Each target's connection is followed by the interface that it comes by, and the answer by that which leads to the target.
func TestRoutes(t *testing.T) {
	const there, back = "eth0 198.51.100.7>192.168.7.9", "eth1 192.168.7.9>198.51.100.7"
	const into, out = "eth0 198.51.101.7>192.168.7.2", "eth1 192.168.7.2>198.51.101.7"
	for name, tc := range map[string]struct {
		change func(*doctor.Router, *daemon)
		routes map[string]string // what is not named goes by eth1, and back by eth0
		asked  []string
		level  doctor.Level // "": nothing is said
		says   string
	}{
		"a network": {nil, nil, []string{into, out}, doctor.Good, "Routes lead"},
		"sessions": {func(_ *doctor.Router, d *daemon) {
			d.sessions = []session.Session{forward("nas", "198.51.100.7/32", "192.168.7.9:80"), forward("ssh", "198.51.100.8/32", "192.168.7.9:22"), forward("here", "198.51.100.8/32", "192.168.7.1:22")}
		}, nil, []string{there, back, into, out}, doctor.Good, "Routes lead"},
		"no way of a session": {func(_ *doctor.Router, d *daemon) {
			d.sessions = []session.Session{forward("nas", "198.51.100.7/32", "192.168.7.9:80")}
		}, map[string]string{there: "!"}, []string{there, into, out}, doctor.Problem, `connections to "nas", 192.168.7.9:80 as it has to: no route to host`},
		"no way there":    {nil, map[string]string{into: "!"}, []string{into}, doctor.Warning, "connections to 192.168.7.0/24 as it has to: no route to host"},
		"to the internet": {nil, map[string]string{into: "eth0"}, []string{into}, doctor.Warning, "they would leave by eth0, to the internet"},
		"no way back":     {nil, map[string]string{out: "!"}, []string{into, out}, doctor.Warning, "answers of 192.168.7.0/24 as it has to: no route to host"},
		"elsewhere":       {nil, map[string]string{out: "tun0"}, []string{into, out}, doctor.Warning, "leave by tun0"},
		"the other uplink": {func(r *doctor.Router, _ *daemon) {
			r.Uplinks = append(r.Uplinks, hostinfo.Uplink{Interface: "ppp0", Metric: 9})
		}, map[string]string{out: "ppp0"}, []string{into, out}, doctor.Good, "Routes lead"},
		"not forwarded":     {func(r *doctor.Router, _ *daemon) { setting(r, "net/ipv4/ip_forward", "0") }, nil, nil, "", ""},
		"no uplink":         {func(r *doctor.Router, _ *daemon) { r.Uplinks = nil }, nil, nil, "", ""},
		"what is no target": {func(r *doctor.Router, _ *daemon) { r.Host.LAN[0].Network = netip.MustParsePrefix("192.168.7.0/31") }, nil, nil, "", ""},
	} {
		r, d := router(t)
		if tc.change != nil {
			tc.change(r, d)
		}
		var asked []string
		r.Route = func(in string, from, to netip.Addr) (string, error) {
			way := fmt.Sprintf("%s %s>%s", in, from, to)
			asked = append(asked, way)
			switch by := tc.routes[way]; {
			case by == "!":
				return "", syscall.EHOSTUNREACH
			case by != "":
				return by, nil
			case in == "eth0":
				return "eth1", nil
			}
			return "eth0", nil
		}
		said := doctor.Level("")
		for _, f := range r.Look(t.Context()) {
			if f.Check != "routes" {
				continue
			}
			if said = f.Level; !strings.Contains(f.Text, tc.says) || strings.Contains(f.Text+strings.Join(f.Fix, ""), "%!") {
				t.Errorf("%s: it says %s %s, want %s", name, f.Text, f.Fix, tc.says)
			}
		}
		if said != tc.level || !slices.Equal(asked, tc.asked) {
			t.Errorf("%s: the level is %q, want %q; asked was %q, want %q", name, said, tc.level, asked, tc.asked)
		}
	}
}

func setting(r *doctor.Router, path, value string) {
	path = filepath.Join(r.Root, "/proc/sys", path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(value), 0o644)); err != nil {
		panic(err)
	}
}
