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
