package config

import (
	"strings"
	"testing"
)

// Every key is told, what differs as other than it was, and of a list, which may be a program with a password, no word.
func TestEach(t *testing.T) {
	values := func(c Core) map[string]string {
		all := map[string]string{}
		c.Each(func(key, value string) { all[key] = value })
		return all
	}
	c := DefaultCore()
	before := values(c)
	if before["knock.listen"] != "[::]:54754" || before["knock.max_clock_skew"] != "1m0s" || before["firewall.masquerade"] != "false" {
		t.Errorf("told are %v", before)
	}
	c.Firewall.WANInterfaces = []string{} // as good as none
	for key, value := range values(c) {
		if value != before[key] {
			t.Errorf("%s is %q, and was %q", key, value, before[key])
		}
	}
	c.Proxy.Certificate.ACME.Hook = []string{"/bin/hook", "hunter2"}
	c.Firewall.Driver = "ufw"
	for key, value := range values(c) {
		changed := key == "firewall.driver" || key == "proxy.certificate.acme.hook"
		if (value != before[key]) != changed || strings.Contains(value, "hunter2") {
			t.Errorf("%s is %q, and was %q", key, value, before[key])
		}
	}
}

// Lists that differ have other digests, however their words are cut.
func TestEachTellsListsApart(t *testing.T) {
	seen := map[string]any{}
	for _, list := range []any{
		[]string{"/bin/hook x"},
		[]string{"/bin/hook", "x"},
		[]string{"/bin/hook", "x", ""},
		[]string{"[/bin/hook x]"},
		[]uint16{0xd800},
		[]uint16{0xd801},
		[]uint16{2, 22},
		[]uint16{22, 2},
	} {
		c := DefaultCore()
		key := "proxy.certificate.acme.hook"
		switch list := list.(type) {
		case []string:
			c.Proxy.Certificate.ACME.Hook = list
		case []uint16:
			c.Firewall.ReservedPorts, key = list, "firewall.reserved_ports"
		}
		c.Each(func(k, value string) {
			if k != key {
				return
			}
			if other := seen[value]; other != nil {
				t.Errorf("%q and %q are told as the same", list, other)
			}
			seen[value] = list
		})
	}
	if len(seen) != 8 {
		t.Errorf("%d lists are told apart", len(seen))
	}
}
