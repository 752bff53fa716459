package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core"
	"github.com/ownline/ownline/internal/core/doctor"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
	"github.com/ownline/ownline/test/world"
)

// home is a suite of deployment B whose provider's router opens ports: core and web are on the box.
type home struct {
	*suite
	*bed.House
	igd *bedtest.IGD
}

// homeOf has core ask by a protocol; lines are more of the router's settings.
func homeOf(t *testing.T, protocol string, lines ...string) *home {
	t.Helper()
	h := new(home)
	guide := readPage(t, "how/port-opening.md", "open: auto", "open: "+protocol)
	h.suite = begin(t, world.Options{Place: func(b *bed.Bed) (p world.Place, err error) {
		if h.House, err = b.AddHouse(); err != nil {
			return p, err
		}
		h.igd = bedtest.NewIGD(t, h.Provider, "wan0", "lan0", h.LAN4, lines...)
		if _, err := h.NAS.TCPEcho(bed.EchoPort, h.NAS.IPv4); err != nil {
			return p, err
		}
		at := netip.MustParseAddrPort("127.0.0.1:8080")
		return world.Place{
			Core: h.Box, Web: h.Box, WebAt: at, WebFile: "listen: " + at.String() + "\n", CoreFile: guide.file("On the box", "/etc/ownline/core.yaml"),
			Name: "home", Host: h.Provider.IPv4.String(),
		}, nil
	}})
	h.echo = h.create("/services", world.Map{
		"site": h.Site, "name": "echo", "kind": "forward", "transport": "tcp", "target": netip.AddrPortFrom(h.NAS.IPv4, bed.EchoPort).String(),
	})
	h.asks(true, "the provider's router is found")
	return h
}

// lookOut is how long core may take to notice what became of the router in front.
const lookOut = 40 * time.Second

// asks waits until the router in front has opened what is wanted, or has not.
func (s *suite) asks(ok bool, what string) {
	s.t.Helper()
	eventually(s.t, lookOut, what, func() bool {
		p := s.status().Ports
		return p != nil && p.OK == ok && (p.Protocol != "" || !ok)
	})
}

// Invariants 1, 3, 4 and 5, with a router in front: it leads a port here while a session needs it and no
// longer, with core dead too, to its source alone if it is told; and it is asked again when it starts
// anew. Debian's miniupnpd takes PCP's filters and does not heed them; NAT-PMP has none.
func TestPortsOfRouterInFront(t *testing.T) {
	for protocol, narrow := range map[string]bool{ownline.PCPPorts: false, ownline.NATPMPPorts: false, ownline.UPnPPorts: true} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			s := homeOf(t, protocol)
			g, provider := s.igd, s.Provider.IPv4
			client := s.Bed.Client1
			neighbour := client.From(client.IPv4s[1])
			if p := s.status().Ports; p.Protocol != protocol || p.External.String() != "44.3.2.1" {
				t.Errorf("the status is %+v", p)
			}
			device := s.device()
			s.grant(s.echo, world.Map{"automatic": true})
			eventually(t, patience, "the knock port is open", func() bool {
				a, err := device.Send(client, netip.AddrPortFrom(provider, world.KnockPort), device.Knock(), time.Second)
				return err == nil && a.Sessions == 1
			})
			knocked := s.sessions()[0]
			wantState(t, client, netip.AddrPortFrom(provider, knocked.PublicPort), true) // at once
			s.close(knocked.ID)

			at := netip.AddrPortFrom(provider, 20000)
			opened := func(want bool) bool {
				_, open := g.Opened("tcp", at.Port())
				return open == want
			}
			wantState(t, client, at, false)
			const lasts = 10 * time.Minute
			until := time.Now().Add(lasts)
			session := s.open(s.echo, client.IPv4, lasts, at.Port())
			wantState(t, client, at, true)
			if lease, open := g.Opened("tcp", at.Port()); !open || lease.After(until.Add(time.Second)) || lease.Before(until.Add(-time.Minute)) {
				t.Errorf("open is %v, until %s; the session, until %s", open, lease, until)
			}
			arrives, err := s.Box.Capture(s.Box.Link, bed.Filter{})
			if err != nil {
				t.Fatal(err)
			}
			wantState(t, neighbour, at, false)
			packets, err := arrives.Drain()
			if err != nil {
				t.Fatal(err)
			}
			came := false
			for _, p := range packets {
				came = came || p.Src.Addr() == neighbour.IPv4
			}
			if came == narrow || (s.status().Ports.Narrow > 0) != (protocol != ownline.NATPMPPorts) {
				t.Errorf("what a neighbour sends gets through the router in front: %v; the status is %+v", came, s.status().Ports)
			}

			to := "to everybody"
			if protocol != ownline.NATPMPPorts {
				to = "to " + client.IPv4.String() + " alone"
			}
			s.says([]string{client.IPv4.String()}, "The router in front, 192.168.8.1, has port 20000/tcp open "+to, protocol)

			g.Reboot()
			if !opened(false) {
				t.Fatal("the router in front has not forgotten anything")
			}
			eventually(t, lookOut, "after a reboot, the port is open again", func() bool { return opened(true) })
			wantState(t, client, at, true)

			s.close(session.ID)
			eventually(t, patience, "after the session, the port is shut", func() bool { return opened(false) })
			wantState(t, client, at, false)

			const short = 8 * time.Second
			s.open(s.echo, client.IPv4, short, at.Port())
			ends := time.Now().Add(short)
			if err := s.Core.Kill(); err != nil {
				t.Fatal(err)
			}
			if !opened(true) {
				t.Error("the port is not open when core is killed")
			}
			eventually(t, lookOut, "with core dead, the port is shut", func() bool { return opened(false) })
			if early := time.Until(ends); early > 2*time.Second {
				t.Errorf("the port is shut %s before the session's end", early)
			}
		})
	}
}

// A router that refuses, or is none, keeps no session from being opened, and it is told who does not
// get here; core's own firewall is as ever.
func TestRouterInFrontRefuses(t *testing.T) {
	s := homeOf(t, ownline.AutoPorts, "deny 20001 0.0.0.0/0 0-65535")
	if p := s.status().Ports; p.Protocol != ownline.PCPPorts {
		t.Errorf("the status is %+v", p)
	}
	problem := func() (text string) {
		for _, f := range newPatient(s.suite).doctor().Findings {
			if f.Check == "port-opening" && f.Level == doctor.Problem {
				text = f.Text
			}
		}
		return text
	}
	if text := problem(); text != "" {
		t.Errorf("the doctor says %s", text)
	}
	client := s.Bed.Client1
	began := time.Now()
	session := s.open(s.echo, client.IPv4, time.Hour, 20001)
	t.Logf("a session that the router in front refuses is open after %s", time.Since(began))
	wantState(t, client, netip.AddrPortFrom(s.Provider.IPv4, 20001), false)
	if p := s.status().Ports; p.OK || !strings.Contains(p.Error, "20001/tcp: the router refuses") || fmt.Sprint(p.Refused) != "[20001/tcp]" {
		t.Errorf("the status is %+v", p)
	}
	if text := problem(); !strings.Contains(text, "20001/tcp") {
		t.Errorf("the doctor says %q", text)
	}
	s.says([]string{client.IPv4.String()}, "does not open port 20001/tcp: the router refuses", "forward the port there by hand")
	var list []core.Listed
	if out, err := s.CoreCommand(t.Context(), "sessions", "--json"); err != nil || json.Unmarshal(out, &list) != nil || len(list) != 1 ||
		list[0].InFront == nil || list[0].InFront.Open || !strings.Contains(list[0].InFront.Error, "the router refuses") {
		t.Errorf("sessions says %s, %v", out, err)
	}
	s.close(session.ID)
	s.asks(true, "nothing is refused")
	s.igd.Kill()
	s.asks(false, "no router in front answers")
	eventually(t, lookOut, "the doctor says why", func() bool {
		return strings.Contains(problem(), "192.168.8.1, opens no ports: pcp: connection refused")
	})
	s.open(s.echo, client.IPv4, time.Hour, 0)
	s.says([]string{client.IPv4.String()}, "does not open port", "connection refused")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if out, err := s.CoreCommand(ctx, "sessions"); err != nil || strings.Count(string(out), "\n") != 2 || !strings.Contains(string(out), "connection refused; upnp: ") {
		t.Errorf("the table of one session is\n%s, %v", out, err)
	}
	if out, err := s.CoreCommand(ctx, "status"); err != nil || !strings.Contains(string(out), "auto, FAILED: ") {
		t.Errorf("the status is\n%s, %v", out, err)
	}
}
