package main

import (
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/link"
)

// A filter that the kernel does not take whole is told after the firewall.
func TestStatusOfFilter(t *testing.T) {
	for want, fw := range map[string]link.Firewall{
		"nftables, ok\n": {Driver: "nftables", OK: true, Filter: true},
		"nftables, ok, but with no filter: core looks at all: the kernel refuses the table\n": {Driver: "nftables", OK: true, Lacks: "no filter: core looks at all: the kernel refuses the table"},
		"nftables, FAILED: no table\n": {Driver: "nftables", Error: "no table", Lacks: "no filter"},
	} {
		var out strings.Builder
		if err := printStatus(&out, link.Status{Firewall: fw}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), want) {
			t.Errorf("lacks %q:\n%s", want, &out)
		}
	}
}

// What the kernel keeps away is told, and where fwknop's clients are heard.
func TestStatusOfDoors(t *testing.T) {
	for want, s := range map[string]link.Status{
		"knock port 54754/udp\nfwknop port 62201/udp\nknock filter on: garbage dies in the kernel\n": {KnockPort: 54754, FwknopPort: 62201, Firewall: link.Firewall{OK: true, Filter: true}},
		"fwknop port none: its packets are not taken\nknock filter off: every datagram":              {KnockPort: 54754, Firewall: link.Firewall{OK: true, Lacks: "no filter"}},
		"knock filter on in part:": {Firewall: link.Firewall{OK: true, Filter: true, Lacks: "no limit"}},
	} {
		var out strings.Builder
		if err := printStatus(&out, s); err != nil {
			t.Fatal(err)
		}
		var lines []string
		for line := range strings.Lines(out.String()) {
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
		if got := strings.Join(lines, "\n"); !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
}

// How long core is up has nothing to do with the clock, which may have jumped.
func TestStatusOfUp(t *testing.T) {
	var out strings.Builder
	if err := printStatus(&out, link.Status{Version: "1.2.3", Started: time.Unix(0, 0), Up: 90 * time.Second}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "1.2.3, up 1m30s\n") {
		t.Errorf("the status says\n%s", &out)
	}
}

// What docs/how says is in the status is in its text, too.
func TestStatusOfProxy(t *testing.T) {
	until := time.Now().Add(time.Hour)
	at := until.Local().Format(time.DateTime)
	for name, tc := range map[string]struct {
		proxy link.Proxy
		want  []string
		not   []string
	}{
		"none": {link.Proxy{Driver: "none", OK: true}, []string{"proxy  none"}, []string{"certificates", "doorstep", "FAILED"}},
		"ok": {
			link.Proxy{Driver: "nginx", Domain: "home.example.org", Port: 9999, OK: true, Services: 3, Expires: until},
			[]string{"nginx, ok", "3 at *.home.example.org, port 9999", "valid until " + at, "doorstep  shut"},
			[]string{"FAILED"},
		},
		"failed": {
			link.Proxy{Driver: "embedded", Domain: "home.example.org", Port: 9999, Error: "acme: the authority says no"},
			[]string{"embedded, FAILED: acme: the authority says no", "certificates  none yet"},
			[]string{"valid until"},
		},
		"warned": {
			link.Proxy{Driver: "caddy", Domain: "home.example.org", Port: 9999, OK: true, Error: "the kernel can't end connections"},
			[]string{"caddy, ok, but the kernel can't end connections"},
			[]string{"FAILED"},
		},
		"expired": {
			link.Proxy{Driver: "embedded", Domain: "home.example.org", Port: 9999, OK: true, Expires: time.Now().Add(-time.Hour)},
			[]string{"EXPIRED"},
			[]string{"valid until"},
		},
		"doorstep": {
			link.Proxy{Driver: "embedded", Domain: "home.example.org", Port: 9999, OK: true, Doorstep: until},
			[]string{"open to everybody until " + at},
			[]string{"shut"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if err := printStatus(&out, link.Status{Firewall: link.Firewall{OK: true}, Proxy: tc.proxy}); err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(out.String(), "\n")
			for i, l := range lines {
				lines[i] = strings.Join(strings.Fields(l), " ")
			}
			got := strings.Join(lines, "\n")
			for _, w := range tc.want {
				if !strings.Contains(got, strings.ReplaceAll(w, "  ", " ")) {
					t.Errorf("lacks %q:\n%s", w, got)
				}
			}
			for _, w := range tc.not {
				if strings.Contains(got, w) {
					t.Errorf("has %q:\n%s", w, got)
				}
			}
		})
	}
}
