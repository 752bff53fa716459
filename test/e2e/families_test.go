package e2e

import (
	"encoding/json"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/apiclient"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
)

// Invariant 3: one `ownline knock` at a name with addresses of both families opens a session for each, to
// the addresses that it comes from alone. To people the two are one, which one word closes.
func TestKnockByBothFamilies(t *testing.T) {
	const port, name = 20911, "router." + world.Domain
	s := start(t, world.Options{})
	s.call("PATCH", "/sites/"+s.Site, world.Map{"host": name}, nil)
	s.grant(s.echo, world.Map{"automatic": true, "public_port": port})
	client, lan := s.Bed.Client1, s.Bed.Lan
	away := &laptop{s, filepath.Join(t.TempDir(), "away")}
	home := &laptop{s, filepath.Join(t.TempDir(), "home")}
	home.must(lan, world.AdminPassword, programs.CLI, "login", "http://"+s.WebAddr().String(), "--name", world.AdminName, "--plain")
	d := s.device()
	away.must(client, d.Profile, programs.CLI, "enroll", "-", "--name", "home", "--keyring", "off")
	doors := func(h *bed.Host, open bool) {
		t.Helper()
		wantState(t, h, s.public(false, port), open)
		wantState(t, h, s.public(true, port), open)
	}
	// The router knows the device from here on, by both families.
	s.knock(d, client, false)
	s.knock(d, client, true)
	s.call("DELETE", "/sessions", nil, nil)
	doors(client, false)

	both := []netip.Addr{s.Bed.Router.IPv4, s.Bed.Router.IPv6}
	for tries := 1; ; tries++ {
		out, err := named(t, client.Run, "", name, both, programs.CLI, "knock", "--config-dir", away.dir, "--timeout", "20s", "--json")
		var told struct {
			Status  string
			Replies []struct{ Family, Sent int }
		}
		if jerr := json.Unmarshal(out, &told); err != nil || jerr != nil || told.Status != "opened" || len(told.Replies) != 2 {
			t.Fatalf("ownline knock: %v, %v: %s", err, jerr, out)
		}
		if told.Replies[0].Sent > 0 && told.Replies[1].Sent > 0 {
			break
		}
		// A machine that is busy enough lets one family be answered before the other has begun.
		if t.Logf("one family did not get to it: %s", out); tries == 5 {
			t.FailNow()
		}
		s.call("DELETE", "/sessions", nil, nil)
	}
	var live []world.Session
	eventually(t, patience, "a session of each family", func() bool {
		live = s.sessions()
		return len(live) == 2 && live[0].State == "active" && live[1].State == "active" && live[0].Source.Addr().Is4() != live[1].Source.Addr().Is4()
	})
	doors(client, true)
	doors(s.Bed.Client2, false)
	doors(s.Bed.Stranger, false)

	// People see one; programs see both.
	sessions := func(args ...string) []string {
		t.Helper()
		out := home.must(lan, "", programs.CLI, append([]string{"sessions"}, args...)...)
		return strings.Split(strings.TrimSpace(out), "\n")[1:]
	}
	four, six := netip.PrefixFrom(client.IPv4, 32), netip.PrefixFrom(client.IPv6, 64).Masked()
	lines := sessions()
	if len(lines) != 1 || !strings.Contains(lines[0], four.String()+", "+six.String()) {
		t.Fatalf("ownline sessions: %q", lines)
	}
	var all []apiclient.Session
	if err := json.Unmarshal([]byte(home.must(lan, "", programs.CLI, "sessions", "--json")), &all); err != nil || len(all) != 2 {
		t.Errorf("ownline sessions --json: %v, %+v", err, all)
	}
	id := regexp.MustCompile(`^[0-9a-f]{8}`).FindString(lines[0])
	if out := home.must(lan, "", programs.CLI, "extend", id, "--for", "40m"); !strings.Contains(out, client.IPv4.String()+", "+six.String()+", and ends in") {
		t.Errorf("ownline extend: %s", out)
	}
	if extended := s.sessions(); len(extended) != 2 || extended[0].Expires.Equal(live[0].Expires) || extended[1].Expires.Equal(live[1].Expires) {
		t.Errorf("extended: %+v, before: %+v", extended, live)
	}
	home.must(lan, "", programs.CLI, "close", id)
	doors(client, false)
	if live := s.sessions(); len(live) != 0 {
		t.Errorf("left open: %+v", live)
	}
	ended := sessions("--ended", "--reason", "closed")
	if len(ended) != 1 || !strings.Contains(ended[0], four.String()+", "+six.String()) {
		t.Errorf("ownline sessions --ended: %q", ended)
	}
}

// Invariants 3 and 6: a router without IPv6 refuses a session of IPv6 and nothing else, also when web names it
// among all that must be open.
func TestRouterWithoutIPv6(t *testing.T) {
	// Networks that it does not have do no harm, nor to the proxy, which they may reach.
	const named = "local_networks: [192.168.7.0/24, \"fd00:7::/64\"]\n" + world.ProxyYAML
	for name, driver := range map[string]string{"nftables": ownline.NFTables, "iptables": ownline.IPTables, "nftables, networks named": ownline.NFTables, "iptables, networks named": ownline.IPTables} {
		t.Run(name, func(t *testing.T) {
			yaml := "firewall: {driver: " + driver + "}\n"
			if name != driver {
				yaml += named
			}
			s := start(t, world.Options{CoreYAML: yaml})
			client := s.Bed.Client1
			four, six := s.open(s.web, client.IPv4, time.Hour, 0), s.open(s.web, client.IPv6, time.Hour, 0)
			at := s.public(false, four.PublicPort)
			wantState(t, client, at, true)
			wantState(t, client, s.public(true, six.PublicPort), true)
			must(t, s.Core.Kill())
			for _, of := range []string{"all", "lo", "wan0", "lan0"} {
				must(t, s.Bed.Router.Sysctl("net/ipv6/conf/"+of+"/disable_ipv6", "1"))
			}
			must(t, s.Core.Start(t.Context()))
			must(t, s.WaitConnected(t.Context()))
			eventually(t, patience, "the session of IPv6 is refused", func() bool {
				var got world.Session
				s.call("GET", "/sessions/"+six.ID, nil, &got)
				return got.State == "ended"
			})
			wantState(t, client, at, true)
			if fw := s.status().Firewall; !fw.OK {
				t.Errorf("the firewall: %s", fw.Error)
			}
			err := s.API.Call(t.Context(), "POST", "/sessions", world.Map{"service": s.web, "source": client.IPv6.String(), "for": "1h"}, nil)
			if err == nil || !strings.Contains(err.Error(), "is of IPv6, which this router does not have") {
				t.Errorf("a session of IPv6: %v", err)
			}
			at = s.public(false, s.open(s.echo, client.IPv4, time.Hour, 0).PublicPort)
			wantState(t, client, at, true)
			if name != driver {
				_, err := s.AddProxied(t.Context(), "cloud", bed.HTTPPort)
				must(t, err)
				lan := s.browser(s.Bed.Lan)
				eventually(t, patience, "a name is served in the LAN", func() bool { _, err := get(lan, "cloud", "/"); return err == nil })
			}
		})
	}
}
