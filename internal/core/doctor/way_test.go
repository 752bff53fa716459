package doctor_test

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ownline/ownline/internal/core/doctor"
	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/hostinfo"
	"github.com/ownline/ownline/internal/core/firewall/hostrules"
	"github.com/ownline/ownline/internal/core/session"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// Of a source's knocks and sessions, the packets are followed that they consist of, with all that is known of them; and
// the settings count that they depend on.
func TestWays(t *testing.T) {
	r, d := router(t)
	d.status.Firewall.Filter = true // so that knocks and their answers are of no connection
	v4, v6 := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("2001:db8:7::7")
	r.Host.Own = append(r.Host.Own, netip.MustParseAddr("2001:db8::2"))
	r.Host.LAN = append(r.Host.LAN, hostinfo.Address{Network: netip.MustParsePrefix("192.168.9.0/24"), Interface: "eth2"}, hostinfo.Address{Network: netip.MustParsePrefix("fd00:7::/64"), Interface: "eth1"})
	opened := func(kind ownline.ServiceKind, t ownline.Transport, target string) session.Session {
		return session.Session{Session: link.Session{Kind: kind, Transport: t, PublicPort: 20022, Target: netip.MustParseAddrPort(target)}}
	}
	r.Route = func(in string, _, to netip.Addr) (string, error) {
		switch to.String() {
		case "192.168.9.3":
			return "eth2", nil
		case "fd00:7::3":
			return "eth1", nil
		case "10.0.0.3":
			return "wg0", nil
		case "10.0.0.4": // a policy keeps it from those who come by the internet's interface
			if in == "" {
				return "wg0", nil
			}
		case v4.String(), v6.String():
			if in != "eth0" && in != "eth9" {
				return "eth0", nil
			}
		}
		return "", syscall.EHOSTUNREACH
	}
	r.Config.Proxy.Domain, r.Config.Proxy.Listen = "home.example.org", ":9999"
	var asked map[string]bool
	read, closed := 0, 0
	var source netip.Addr
	host := rules{asked: func(p *hostrules.Packet) {
		if p.IPv6 != source.Is6() {
			t.Errorf("from %s, one of the other family was followed: %+v", source, p)
		}
		asked[fmt.Sprintf("%s %s>%s %v %s:%d>%s:%d", p.Hook, p.In, p.Out, p.TCP, p.Source, p.From, p.Target, p.To)] = true
	}}
	r.Rules = func(context.Context) (doctor.Rules, error) { read++; return closing{host, &closed}, nil }
	never := "invalid IP"
	for name, tc := range map[string]struct {
		source netip.Addr
		open   session.Session
		want   []string
	}{
		"in the LAN": {v4, opened(ownline.Forward, ownline.TCP, "192.168.9.3:22"), []string{
			"forward eth0>eth2 true 198.51.100.7:0>192.168.9.3:22", "forward eth2>eth0 true 192.168.9.3:22>198.51.100.7:0",
		}},
		"behind another router": {v4, opened(ownline.Forward, ownline.UDP, "10.0.0.3:53"), []string{
			"forward eth0>wg0 false 198.51.100.7:0>10.0.0.3:53", "forward wg0>eth0 false 10.0.0.3:53>198.51.100.7:0",
		}},
		"that nobody gets to": {v4, opened(ownline.Forward, ownline.TCP, "10.0.0.4:53"), []string{
			"forward eth0>wg0 true 198.51.100.7:0>10.0.0.4:53", "forward wg0>eth0 true 10.0.0.4:53>198.51.100.7:0",
		}},
		"by IPv6": {v6, opened(ownline.Forward, ownline.TCP, "[fd00:7::3]:22"), []string{
			"forward eth0>eth1 true 2001:db8:7::7:0>fd00:7::3:22", "forward eth1>eth0 true fd00:7::3:22>2001:db8:7::7:0",
		}},
		"on the router": {v4, opened(ownline.Forward, ownline.TCP, "192.168.7.1:22"), []string{"input eth0> true 198.51.100.7:0>" + never + ":22"}},
		"of the proxy":  {v4, opened(ownline.Proxy, ownline.TCP, "198.18.0.1:9999"), []string{"input eth0> true 198.51.100.7:0>" + never + ":9999"}},
	} {
		asked, source = map[string]bool{}, tc.source
		own := *r
		w := own.Way(t.Context(), d.status, tc.source)
		tc.open.Source = netip.PrefixFrom(tc.source, tc.source.BitLen())
		if n := doctor.Problems(append(w.Look(nil), w.Look(&tc.open)...)); n > 0 != (name == "that nobody gets to") {
			t.Errorf("%s: %d problems", name, n)
		}
		w.Close()
		want := map[string]bool{
			fmt.Sprintf("input eth0> false %s:0>%s:54754", tc.source, never): true, fmt.Sprintf("prerouting eth0> false %s:0>%s:54754", tc.source, never): true,
			fmt.Sprintf("output >eth0 false %s:54754>%s:0", never, tc.source): true, fmt.Sprintf("postrouting >eth0 false %s:54754>%s:0", never, tc.source): true,
		}
		want[fmt.Sprintf("prerouting eth0> %v %s:0>%s:20022", tc.open.Transport == ownline.TCP, tc.source, never)] = true
		for _, p := range tc.want {
			if from, back, ok := strings.Cut(p, ">eth0 "); ok {
				answer, _, _ := strings.Cut(back, ">")
				want["prerouting "+strings.TrimPrefix(from, "forward ")+">eth0 "+answer+">"+never+":0"] = true
			}
			if rest, ok := strings.CutPrefix(p, "forward "); ok {
				want["postrouting "+rest] = true
			}
			want[p] = true
		}
		if !maps.Equal(asked, want) {
			t.Errorf("%s: followed were %v, want %v", name, asked, want)
		}
	}
	if read != closed || read == 0 {
		t.Errorf("the rules were read %d times, and closed %d", read, closed)
	}

	set := func(path, value string) {
		t.Helper()
		path = filepath.Join(r.Root, "/proc/sys", path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(value), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	set("net/ipv6/conf/all/forwarding", "0")
	lan := []*session.Session{new(opened(ownline.Forward, ownline.TCP, "192.168.9.3:22")), new(opened(ownline.Proxy, ownline.TCP, "198.18.0.1:9999"))}
	checks := func(from netip.Addr) (all string) {
		source = from
		own := *r
		w := own.Way(t.Context(), d.status, source)
		defer w.Close()
		for _, s := range append([]*session.Session{nil}, lan...) {
			all += "|"
			if s != nil {
				s.Source = netip.PrefixFrom(from, from.BitLen())
			}
			for _, f := range w.Look(s) {
				if f.Level != doctor.Good {
					all += f.Check
				}
				if f.Level == doctor.Warning {
					all += "?"
				}
			}
		}
		return all
	}
	if got := checks(v4); got != "|||" {
		t.Errorf("IPv6 is not forwarded, and of IPv4 it finds %s", got)
	}
	if got := checks(v6); got != "||forwarding|" {
		t.Errorf("IPv6 is not forwarded, and it finds %s", got)
	}
	set("net/ipv4/ip_forward", "0")
	r.Uplinks = append(r.Uplinks, hostinfo.Uplink{Interface: "eth9", Metric: 5})
	set("net/ipv4/conf/eth9/rp_filter", "1")
	if got := checks(v4); got != "|rp_filter?|forwardingrp_filter?|rp_filter?" {
		t.Errorf("IPv4 is not forwarded, and forged is what comes by the lesser uplink; it finds %s", got)
	}
	set("net/ipv4/ip_forward", "1")
	r.Config.Firewall.WANInterfaces = []string{"eth9"}
	if got := checks(v4); got != "|rp_filter|routesrp_filter|rp_filter" {
		t.Errorf("forged is what comes by the only one, answers leave by another, and it finds %s", got)
	}
	r.Config.Firewall.WANInterfaces = nil
	set("net/ipv4/conf/eth9/rp_filter", "0")
	var in string
	chain := hostrules.Obstacle{Chain: &firewall.Chain{Family: "inet", Table: "filter", Name: "f", Hook: "forward"}}
	r.Rules = func(context.Context) (doctor.Rules, error) {
		return rules{drops: func(p *hostrules.Packet) []hostrules.Obstacle {
			if p.Hook == "forward" && !p.Established && (p.In == in || in == "") {
				return []hostrules.Obstacle{chain}
			}
			return nil
		}}, nil
	}
	routed, unrouted := v4, netip.MustParseAddr("198.51.100.8")
	for by, want := range map[string][2]string{"eth0": {"", "?"}, "eth9": {"?", "?"}, "": {"", ""}} {
		in = by
		if got := [...]string{checks(routed), checks(unrouted)}; got != [...]string{"||host-rules" + want[0] + "|", "||routeshost-rules" + want[1] + "|"} {
			t.Errorf("dropped is what comes by %q, and it finds %q, where there is no route back by either %q", in, got[0], got[1])
		}
	}
}

// closing counts how often rules are closed.
type closing struct {
	rules
	closed *int
}

func (c closing) Close() error { *c.closed++; return nil }
