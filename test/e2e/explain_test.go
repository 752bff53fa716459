package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"

	"github.com/ownline/ownline/internal/core"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
)

// explain asks the router why somebody can't get in.
func (s *suite) explain(args ...string) core.Explanation {
	s.t.Helper()
	out, err := s.CoreCommand(s.t.Context(), append([]string{"explain", "--json"}, args...)...)
	var e core.Explanation
	if bad := json.Unmarshal(out, &e); bad != nil {
		s.t.Fatalf("explain %v: %v, %v: %s", args, err, bad, out)
	}
	if (err == nil) != (e.Problems() == 0) {
		s.t.Errorf("explain %v ends with %v and %d problems", args, err, e.Problems())
	}
	return e
}

// says waits until something that explain finds has all the words.
func (s *suite) says(args []string, words ...string) {
	s.t.Helper()
	eventually(s.t, patience, "explain says "+strings.Join(words, " … "), func() bool {
	next:
		for _, f := range s.explain(args...).Findings {
			for _, w := range words {
				if !strings.Contains(f.Text+" → "+f.Fix, w) {
					continue next
				}
			}
			return true
		}
		return false
	})
}

// The router tells its admin why somebody can't get in, and what to do; and that they can, when they can.
func TestExplain(t *testing.T) {
	s := start(t, world.Options{})
	client, stranger := s.Bed.Client1, s.Bed.Stranger
	explain, says := s.explain, s.says
	from := []string{client.IPv4.String()}

	nas := s.service("nas", "tcp", s.Bed.Lan, bed.HTTPPort)
	s.grant(nas, world.Map{"automatic": true})
	says([]string{stranger.IPv4.String()}, "No session is open", "knock from there")
	says([]string{stranger.IPv4.String()}, "No knock from there has reached core", "/udp")
	says([]string{s.Bed.Lan.IPv4.String()}, "in a local network", "needs no session")
	says([]string{s.Bed.Router.IPv4.String()}, "router's own address")
	says([]string{"100.64.1.1"}, "carrier's NAT")

	device := s.device()
	s.knock(device, client, false)
	says(from, `"nas" is open`, "not one packet", "forwards port")
	says(from, "last knock from there", "opened")
	says(append(from, "camera"), `No session for "camera"`)
	says(append(from, "camera"), "last knock from there", `was not about "camera"`)
	open := explain(from...).Sessions
	if len(open) != 1 || !open[0].Live || open[0].Service != "nas" {
		t.Fatalf("open are %+v", open)
	}
	at := s.public(false, open[0].PublicPort)

	// The host's own firewall drops what it does not know.
	drop := nftables.ChainPolicyDrop
	host := func(change func(*nftables.Conn, *nftables.Table)) {
		t.Helper()
		err := s.Bed.Router.Do(func() error {
			c, err := nftables.New()
			if err != nil {
				return err
			}
			change(c, &nftables.Table{Name: "host", Family: nftables.TableFamilyINet})
			return c.Flush()
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	host(func(c *nftables.Conn, table *nftables.Table) {
		c.AddTable(table)
		c.AddChain(&nftables.Chain{Name: "fwd", Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter, Policy: &drop})
	})
	client.ConnectTCP(at, 500*time.Millisecond)
	says(from, "nothing goes back", "host's own firewall", "nft add rule inet host fwd ct status dnat accept")
	host(func(c *nftables.Conn, table *nftables.Table) { c.DelTable(table) })
	wantState(t, client, at, true)
	eventually(t, patience, "all is well", func() bool { return explain(from...).Problems() == 0 })
	says(from, "so it works")

	// One service opens, and another is refused by a list: each is told.
	camera := s.service("camera", "tcp", s.Bed.Lan, bed.HTTPPort)
	s.grant(camera, world.Map{"automatic": true, "allowed_from": []string{"192.0.2.0/24"}})
	s.knock(device, client, false)
	says(append(from, "camera"), "last knock from there", `did not open "camera"`, "allow list of its grant", "audit log")
	says(append(from, "nas"), "last knock from there", `renewed "nas"`)
	if e := explain(append(from, "nas")...); e.Problems() != 0 {
		t.Errorf("problems with nas: %+v", e.Findings)
	}
	says(from, `did not open "camera"`)

	// Nothing listens at the target.
	dead := s.service("dead", "tcp", s.Bed.Lan, 9)
	s.grant(dead, nil)
	s.open(dead, client.IPv4, time.Minute, 0)
	says(append(from, "dead"), "nothing listens at", "start the service")

	// A device that web no longer knows is a stranger.
	s.call("DELETE", "/devices/"+device.ID, nil, nil)
	says(append(from, "nas"), "No session")
	says(append(from, "nas"), `last knock from there`, `renewed "nas", which was ended since: revoked`, "enrol it anew")
	if e := explain(from...); len(e.Knocks) != 2 || !e.Knocks[0].Gone {
		t.Errorf("knocks of a device that is gone: %+v", e.Knocks)
	}
	says([]string{stranger.IPv4.String(), "nas"}, "No knock from there")

	if err := s.Web.Kill(); err != nil {
		t.Fatal(err)
	}
	says(from, "ownline-web is not connected")
	if _, err := s.CoreCommand(t.Context(), "explain", "nobody"); err == nil || !strings.Contains(err.Error(), "no address") {
		t.Errorf("explain nobody: %v", err)
	}
}
