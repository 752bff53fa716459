//go:build !noproxy

package doctor_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/ownline/ownline/internal/core/doctor"
	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/hostinfo"
	"github.com/ownline/ownline/internal/core/firewall/twin"
	"github.com/ownline/ownline/internal/core/session"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// What a copy of the router does with packets is told as sure as it is.
func TestProbeIsTold(t *testing.T) {
	chain := &firewall.Chain{Family: "inet", Table: "host", Name: "f"}
	for name, tc := range map[string]struct {
		outcome twin.Outcome
		err     error
		level   doctor.Level
		says    string
	}{
		"it passes":           {twin.Outcome{There: true, Back: true}, nil, doctor.Good, "gets there in a copy of this router"},
		"it is dropped":       {twin.Outcome{Dropped: chain}, nil, doctor.Problem, "on its way there, by the chain inet host f."},
		"its answer is":       {twin.Outcome{There: true, Dropped: chain}, nil, doctor.Problem, "the answer, on its way back, by the chain inet host f."},
		"by iptables-legacy":  {twin.Outcome{Legacy: true}, nil, doctor.Problem, "on its way there, by a chain of iptables-legacy."},
		"it may be dropped":   {twin.Outcome{Dropped: chain, Unsure: true}, nil, doctor.Warning, "by the chain inet host f. But some rule asks"},
		"it passes all rules": {twin.Outcome{There: true, Back: true, Unsure: true}, nil, doctor.Good, "so does the answer"},
		"it is lost":          {twin.Outcome{}, nil, doctor.Warning, "gets lost in a copy of this router"},
		"one can't be tried":  {twin.Outcome{Err: errors.New("no route")}, nil, doctor.Warning, "was sent through a copy of this router: no route."},
		"it can't be tried":   {twin.Outcome{}, errors.New("no tunnels"), doctor.Warning, "No packet was sent through a copy of this router: no tunnels."},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := router(t)
			r.Try = func(_ context.Context, ways []twin.Way) ([]twin.Outcome, error) {
				return slices.Repeat([]twin.Outcome{tc.outcome}, len(ways)), tc.err
			}
			n := 0
			for _, f := range r.Look(t.Context()) {
				if f.Check != "probe" {
					continue
				}
				n++
				if f.Level != tc.level || !strings.Contains(f.Text, tc.says) || strings.Contains(f.Text+f.Hint, "%!") {
					t.Errorf("it says %s: %s %s", f.Level, f.Text, f.Hint)
				}
			}
			if want := map[bool]int{true: 2, false: 1}[tc.err == nil]; n != want { // of a session, and of a knock
				t.Errorf("it says %d things, want %d", n, want)
			}
		})
	}
}

// Packets go as sessions do: each way once, and no more than some. Of a family that has none, one is made up, but not
// where another firewall would have to be asked.
func TestWaysOfPackets(t *testing.T) {
	forward := func(source, target string) session.Session {
		return session.Session{Session: link.Session{
			Service: "nas", Kind: ownline.Forward, Transport: ownline.TCP, PublicPort: 20000, Source: netip.MustParsePrefix(source), Target: netip.MustParseAddrPort(target),
		}}
	}
	proxied := forward("198.51.100.9/32", "127.0.0.9:9999")
	proxied.Kind = ownline.Proxy
	many := []session.Session{}
	for i := range 20 {
		many = append(many, forward("198.51.100.7/32", fmt.Sprintf("192.168.7.9:%d", 80+i)))
	}
	six := func(r *doctor.Router, _ *daemon) {
		r.Host.Own = append(r.Host.Own, netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("fd00:7::1"))
		r.Host.LAN = append(r.Host.LAN, hostinfo.Address{Addr: netip.MustParseAddr("fd00:7::1"), Network: netip.MustParsePrefix("fd00:7::/64"), Interface: "eth1"})
		r.Uplinks = append(r.Uplinks, hostinfo.Uplink{Interface: "ppp0", IPv6: true})
	}
	const madeUp, madeUp6 = "eth0 198.51.101.7 192.168.7.2:443 true", "ppp0 2a00:7::7 [fd00:7::2]:443 true"
	for name, tc := range map[string]struct {
		sessions []session.Session
		change   func(*doctor.Router, *daemon)
		want     []string
	}{
		"no session":      {nil, nil, []string{madeUp}},
		"of two families": {nil, six, []string{madeUp, madeUp6}},
		"one session":     {[]session.Session{forward("198.51.100.7/32", "192.168.7.9:80")}, nil, []string{"eth0 198.51.100.7 192.168.7.9:80 false"}},
		"of one family":   {[]session.Session{forward("2001:db8:1::/64", "[fd00:7::9]:80")}, six, []string{"ppp0 2001:db8:1::1 [fd00:7::9]:80 false", madeUp}},
		"two of a target": {[]session.Session{forward("198.51.100.7/32", "192.168.7.9:80"), forward("198.51.100.8/32", "192.168.7.9:80")}, nil, []string{"eth0 198.51.100.7 192.168.7.9:80 false"}},
		"beside our own": {nil, func(r *doctor.Router, _ *daemon) {
			r.Host.Own = append(r.Host.Own, netip.MustParseAddr("192.168.7.2"), netip.MustParseAddr("192.168.7.3"))
		}, []string{"eth0 198.51.101.7 192.168.7.4:443 true"}},
		"at the end of a network": {nil, func(r *doctor.Router, _ *daemon) {
			r.Host.LAN[0].Addr = netip.MustParseAddr("192.168.7.254")
			r.Host.Own = append(r.Host.Own, r.Host.LAN[0].Addr)
		}, []string{"eth0 198.51.101.7 192.168.7.253:443 true"}},
		"a network of nobody else": {nil, func(r *doctor.Router, _ *daemon) { r.Host.LAN[0].Network = netip.MustParsePrefix("192.168.7.0/31") }, nil},
		"proxied":                  {[]session.Session{proxied}, nil, []string{madeUp}},
		"to the router":            {[]session.Session{forward("198.51.100.7/32", "192.168.7.1:22")}, nil, []string{madeUp}},
		"beside ufw":               {nil, func(_ *doctor.Router, d *daemon) { d.status.Firewall.Driver = ownline.UFW }, nil},
		"beside firewalld":         {many[:1], func(_ *doctor.Router, d *daemon) { d.status.Firewall.Driver = ownline.Firewalld }, []string{"eth0 198.51.100.7 192.168.7.9:80 false"}},
		"with no daemon":           {many, func(_ *doctor.Router, d *daemon) { d.err = errors.New("none") }, []string{madeUp}},
		"with no uplink":           {nil, func(r *doctor.Router, _ *daemon) { r.Uplinks = nil }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r, d := router(t)
			d.sessions = tc.sessions
			if tc.change != nil {
				tc.change(r, d)
			}
			var got []string
			r.Try = func(_ context.Context, ways []twin.Way) ([]twin.Outcome, error) {
				for _, w := range ways {
					if w.Knock {
						continue
					}
					got = append(got, fmt.Sprintf("%s %s %s %v", w.In, w.Source, w.Target, w.Pretends))
				}
				return make([]twin.Outcome, len(ways)), nil
			}
			all := r.Look(t.Context())
			if !slices.Equal(got, tc.want) {
				t.Errorf("packets go %q, want %q", got, tc.want)
			}
			if none := slices.ContainsFunc(all, func(f doctor.Finding) bool { return strings.Contains(f.Text, "No packet to a service was sent") }); none != (len(got) == 0) {
				t.Errorf("that none was sent, it says: %v", none)
			}
		})
	}
	both := append(slices.Clone(many), forward("2001:db8:1::9/128", "[fd00:7::9]:80"), forward("2001:db8:1::9/128", "[fd00:7::9]:81"))
	for name, tc := range map[string]struct {
		sessions []session.Session
		change   func(*doctor.Router, *daemon)
		last     string
	}{
		"of one family":               {many, func(*doctor.Router, *daemon) {}, "192.168.7.9:87"},
		"one of the other":            {both, six, "[fd00:7::9]:80"},
		"one of the other is made up": {many, six, "[fd00:7::2]:443"},
	} {
		r, d := router(t)
		tc.change(r, d)
		d.sessions = tc.sessions
		r.Try = func(_ context.Context, ways []twin.Way) ([]twin.Outcome, error) {
			ways = slices.DeleteFunc(ways, func(w twin.Way) bool { return w.Knock })
			if last := ways[len(ways)-1].Target.String(); len(ways) != 8 || last != tc.last {
				t.Errorf("%s: %d packets are sent, the last to %s", name, len(ways), last)
			}
			return make([]twin.Outcome, len(ways)), nil
		}
		r.Look(t.Context())
	}
}

// A knock comes to each port that takes some, of each family that can come, as the kernel's filter would let it pass.
func TestKnocksOfProbe(t *testing.T) {
	six := func(r *doctor.Router, _ *daemon) {
		r.Host.Own = append(r.Host.Own, netip.MustParseAddr("2001:db8::2"))
		r.Uplinks = append(r.Uplinks, hostinfo.Uplink{Interface: "ppp0", IPv6: true})
	}
	for name, tc := range map[string]struct {
		change func(*doctor.Router, *daemon)
		want   string
	}{
		"as ever":          {func(*doctor.Router, *daemon) {}, "eth0 198.51.101.8 54754 tracked"},
		"of two families":  {six, "eth0 198.51.101.8 54754 tracked; ppp0 2a00:7::8 54754 tracked"},
		"filtered":         {func(_ *doctor.Router, d *daemon) { d.status.Firewall.Filter = true }, "eth0 198.51.101.8 54754"},
		"without a daemon": {func(_ *doctor.Router, d *daemon) { d.err = errors.New("none") }, "eth0 198.51.101.8 54754"},
		"beside ufw":       {func(_ *doctor.Router, d *daemon) { d.status.Firewall.Driver = ownline.UFW }, "eth0 198.51.101.8 54754 tracked"},
		"no answers":       {func(r *doctor.Router, _ *daemon) { r.Config.Knock.Answer = false }, "eth0 198.51.101.8 54754 tracked silent"},
		"of fwknop": {func(r *doctor.Router, _ *daemon) {
			r.Config.Knock.FwknopListen = netip.MustParseAddrPort("0.0.0.0:62201")
		}, "eth0 198.51.101.8 54754 tracked; eth0 198.51.101.8 62201 tracked silent"},
		"of IPv4 alone": {func(r *doctor.Router, d *daemon) {
			six(r, d)
			r.Config.Knock.Listen = netip.MustParseAddrPort("0.0.0.0:54754")
		}, "eth0 198.51.101.8 54754 tracked"},
		"of IPv6 alone": {func(r *doctor.Router, d *daemon) {
			six(r, d)
			r.Config.Knock.Listen = netip.MustParseAddrPort("[2001:db8::2]:54754")
		}, "ppp0 2a00:7::8 54754 tracked"},
		"with no uplink": {func(r *doctor.Router, _ *daemon) { r.Uplinks = nil }, ""},
	} {
		r, d := router(t)
		tc.change(r, d)
		var got []string
		r.Try = func(_ context.Context, ways []twin.Way) ([]twin.Outcome, error) {
			for _, w := range ways {
				if !w.Knock {
					continue
				}
				way := fmt.Sprintf("%s %s %d", w.In, w.Source, w.Port)
				if !w.Untracked {
					way += " tracked"
				}
				if w.Silent {
					way += " silent"
				}
				got = append(got, way)
			}
			return make([]twin.Outcome, len(ways)), nil
		}
		r.Look(t.Context())
		if got := strings.Join(got, "; "); got != tc.want {
			t.Errorf("%s: knocks come as %q, want %q", name, got, tc.want)
		}
	}
}
