package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ownline/ownline/internal/ownline"
)

func write(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

var byText = cmp.Options{
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
}

func TestCore(t *testing.T) {
	c, err := LoadCore(write(t, `
state_dir: /srv/core
link: {listen: "", dial: "web.example.org:57330"}
knock:
  listen: "192.0.2.1:1234"
  max_clock_skew: 90s
  answer: false
firewall: {wan_interfaces: [eth0, pppoe-wan], reserved_ports: [22, 443], masquerade: true}
proxy: {driver: embedded, certificate: {acme: {}, internal: false}}
local_networks: [192.168.7.0/24, "fd00:7::/64", 10.0.0.1]
pair_file:
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := DefaultCore()
	want.StateDir = "/srv/core"
	want.Link = CoreLink{Dial: "web.example.org:57330"}
	want.Knock.Listen = netip.MustParseAddrPort("192.0.2.1:1234")
	want.Knock.MaxClockSkew = 90 * time.Second
	want.Knock.Answer = false
	want.Firewall = Firewall{Driver: "nftables", WANInterfaces: []string{"eth0", "pppoe-wan"}, ReservedPorts: []uint16{22, 443}, Masquerade: true}
	want.LocalNetworks = []netip.Prefix{netip.MustParsePrefix("192.168.7.0/24"), netip.MustParsePrefix("fd00:7::/64"), netip.MustParsePrefix("10.0.0.1/32")}
	if diff := cmp.Diff(want, c, byText); diff != "" {
		t.Error(diff)
	}
}

func TestDefaults(t *testing.T) {
	for name, content := range map[string]string{"empty": "", "comments": "# nothing\n", "mark": "---\n"} {
		t.Run(name, func(t *testing.T) {
			c, err := LoadCore(write(t, content), nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(DefaultCore(), c, byText); diff != "" {
				t.Error(diff)
			}
		})
	}
	if _, err := LoadCore(filepath.Join(t.TempDir(), "none.yaml"), nil); err == nil {
		t.Error("a file that was named and is missing was passed over")
	}
	s := source{standard: filepath.Join(t.TempDir(), "none.yaml"), prefix: "X_"}
	w := DefaultWeb()
	if err := load(s, &w); err != nil {
		t.Errorf("missing standard file: %v", err)
	}
}

func TestEnvironment(t *testing.T) {
	w, err := LoadWeb(write(t, "listen: 127.0.0.1:1\nsessions: {max: 2h}\n"), []string{
		"HOME=/root", "OWNLINE_CORE_NONSENSE=1", "OWNLINE_WEB_PORT=tcp://10.0.0.1:80", "OWNLINE_WEB_SERVICE_HOST=10.0.0.1",
		"OWNLINE_WEB_LISTEN=[::1]:9", "OWNLINE_WEB_SESSIONS_DEFAULT=45m", "OWNLINE_WEB_SESSIONS_PORT_RANGE=5-6",
		"OWNLINE_WEB_METRICS_LISTEN=127.0.0.1:9100", "OWNLINE_WEB_RETENTION_HISTORY=90d", "OWNLINE_WEB_RETENTION_AUDIT=0s",
		"OWNLINE_WEB_TRUSTED_PROXIES=127.0.0.1, 10.0.0.0/8", "OWNLINE_WEB_PUBLIC_URL=https://own.example.org/",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := DefaultWeb()
	want.Listen = "[::1]:9"
	want.PublicURL = "https://own.example.org"
	want.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("10.0.0.0/8")}
	want.Metrics.Listen, want.Retention = "127.0.0.1:9100", Retention{History: 90 * day, Logins: 90 * day}
	want.Sessions.Default, want.Sessions.Max = 45*time.Minute, 2*time.Hour
	want.Sessions.PortRange = PortRange{5, 6}
	if diff := cmp.Diff(want, w, byText); diff != "" {
		t.Error(diff)
	}
	c, err := LoadCore(write(t, ""), []string{"OWNLINE_CORE_LINK_LISTEN=:57329", "OWNLINE_CORE_FIREWALL_RESERVED_PORTS=1,2", "OWNLINE_CORE_FIREWALL_WAN_INTERFACES="})
	if err != nil || c.Link.Listen != ":57329" || len(c.Firewall.ReservedPorts) != 2 || c.Firewall.WANInterfaces != nil {
		t.Errorf("got %+v, %v", c, err)
	}
}

// Every mistake names its place, its key, and what would be right. (Invariant 10.)
func TestMistakes(t *testing.T) {
	for name, tc := range map[string]struct {
		yaml string
		env  []string
		want []string // "FILE" stands for the file's name; in any order
	}{
		"unknown key":        {"knok: {}\n", nil, []string{"FILE:1:1: knok: unknown key; did you mean knock?"}},
		"unknown inner key":  {"link:\n  lissen: x\n  port: 1\n", nil, []string{"FILE:2:3: link.lissen: unknown key; did you mean listen?", "FILE:3:3: link.port: unknown key; known are: dial, listen"}},
		"hyphen":             {"state-dir: /x\n", nil, []string{"FILE:1:1: state-dir: unknown key; did you mean state_dir?"}},
		"twice":              {"state_dir: /a\nstate_dir: /b\n", nil, []string{"FILE:2:1: state_dir: is given twice"}},
		"text for a group":   {"link: yes please\n", nil, []string{`FILE:1:7: link: must be a group of keys, not "yes please"`}},
		"list at the top":    {"- a\n", nil, []string{"FILE:1:1: must be a group of keys, not a list"}},
		"number for text":    {"state_dir: 5\n", nil, []string{"FILE:1:12: state_dir: must be text, not the number 5"}},
		"duration, no unit":  {"knock: {max_clock_skew: 60}\n", nil, []string{"FILE:1:25: knock.max_clock_skew: must be a duration like 30m or 90s, not the number 60"}},
		"duration, nonsense": {"knock: {max_clock_skew: soon}\n", nil, []string{`FILE:1:25: knock.max_clock_skew: "soon" is not a duration like 30m or 90s`}},
		"duration, range":    {"knock: {max_clock_skew: 1h}\n", nil, []string{"FILE:1:25: knock.max_clock_skew: 1h0m0s is not from 5s to 10m0s"}},
		"truth":              {"knock: {answer: maybe}\n", nil, []string{`FILE:1:17: knock.answer: must be true or false, not "maybe"`}},
		"way to open ports":  {"ports: {open: igd}\n", nil, []string{`FILE:1:15: ports.open: "igd" is not one of off, auto, pcp, nat-pmp, upnp`}},
		"address":            {"knock: {listen: here}\n", nil, []string{`FILE:1:17: knock.listen: "here" is not an address and port like 127.0.0.1:8080 or [::]:8080`}},
		"port":               {"firewall:\n  reserved_ports: [22, 70000]\n", nil, []string{`FILE:2:24: firewall.reserved_ports[1]: "70000" is not a number from 0 to 65535`}},
		"port zero":          {"firewall:\n  reserved_ports: [22, 0]\n", nil, []string{`FILE:2:24: firewall.reserved_ports[1]: is not a port: 1 to 65535`}},
		"not a list":         {"local_networks: 10.0.0.0/8\n", nil, []string{`FILE:1:17: local_networks: must be a list of networks, not "10.0.0.0/8"; write [a, b]`}},
		"host bits":          {"local_networks: [192.168.7.5/24]\n", nil, []string{`FILE:1:18: local_networks[0]: "192.168.7.5/24" has bits set behind the network; 192.168.7.0/24 would be right`}},
		"alias":              {"link: &a {}\nknock: *a\n", nil, []string{"FILE:1:7: link: anchors and aliases are not supported; write the value out", "FILE:2:8: knock: anchors and aliases are not supported; write the value out"}},
		"two documents":      {"state_dir: /a\n---\nstate_dir: /b\n", nil, []string{"FILE: holds more than one YAML document; keep one"}},
		"not yaml":           {"link: {\n", nil, []string{"FILE:1:1: not valid YAML: did not find expected node content"}},
		"nothing to meet on": {"link: {listen: ''}\n", nil, []string{"FILE:1:7: link: neither listen nor dial is set, so web could never command this core"}},
		"later":              {"metrics: {listen: ':9'}\n", nil, []string{"FILE:1:19: metrics.listen: is not supported yet; leave it out"}},
		"firewall driver":    {"firewall: {driver: pf}\n", nil, []string{`FILE:1:20: firewall.driver: "pf" is not one of nftables, iptables, ufw, firewalld, auto`}},
		"interfaces": {"firewall: {wan_interfaces: ['eth0; drop', '*', 'eth*0', 'eth0 x', 'a/b', '', 'abcdefghijklmnop', 'ppp**', 'ppp+']}\n", nil, []string{
			`FILE:1:29: firewall.wan_interfaces[0]: "eth0; drop" is not the name of a network interface (1 to 15 of A-Z a-z 0-9 . _ @ -, like eth0; * at the end: all that begin so)`,
			`FILE:1:43: firewall.wan_interfaces[1]: "*" is not the name of a network interface (1 to 15 of A-Z a-z 0-9 . _ @ -, like eth0; * at the end: all that begin so)`,
			`FILE:1:48: firewall.wan_interfaces[2]: "eth*0" is not the name of a network interface (1 to 15 of A-Z a-z 0-9 . _ @ -, like eth0; * at the end: all that begin so)`,
			`FILE:1:57: firewall.wan_interfaces[3]: "eth0 x" is not the name of a network interface (1 to 15 of A-Z a-z 0-9 . _ @ -, like eth0; * at the end: all that begin so)`,
			`FILE:1:67: firewall.wan_interfaces[4]: "a/b" is not the name of a network interface (1 to 15 of A-Z a-z 0-9 . _ @ -, like eth0; * at the end: all that begin so)`,
			`FILE:1:74: firewall.wan_interfaces[5]: "" is not the name of a network interface (1 to 15 of A-Z a-z 0-9 . _ @ -, like eth0; * at the end: all that begin so)`,
			`FILE:1:78: firewall.wan_interfaces[6]: "abcdefghijklmnop" is not the name of a network interface (1 to 15 of A-Z a-z 0-9 . _ @ -, like eth0; * at the end: all that begin so)`,
			`FILE:1:98: firewall.wan_interfaces[7]: "ppp**" is not the name of a network interface (1 to 15 of A-Z a-z 0-9 . _ @ -, like eth0; * at the end: all that begin so)`,
			`FILE:1:107: firewall.wan_interfaces[8]: "ppp+" is not the name of a network interface (1 to 15 of A-Z a-z 0-9 . _ @ -, like eth0; * at the end: all that begin so)`,
		}},
		"interface twice": {"firewall: {wan_interfaces: [eth0, ppp*, br-lan.7, veth@if3, eth0]}\n", nil, []string{`FILE:1:61: firewall.wan_interfaces[4]: "eth0" is there twice`}},
		"all is the LAN": {"local_networks: [0.0.0.0/0, '::/0']\n", nil, []string{
			"FILE:1:18: local_networks[0]: with 0.0.0.0/0 every address would be of the LAN; name the LAN's own networks",
			"FILE:1:29: local_networks[1]: with ::/0 every address would be of the LAN; name the LAN's own networks",
		}},
		"caddy elsewhere":     {"proxy: {driver: caddy, caddy: {admin: 'http://192.168.1.2:2019'}}\n", nil, []string{`FILE:1:39: proxy.caddy.admin: "http://192.168.1.2:2019" is not http://ADDRESS:PORT of this very machine, like http://127.0.0.1:2019, and not unix:/path; certificates' keys go there`}},
		"caddy, no scheme":    {"proxy: {driver: caddy, caddy: {admin: 'localhost:2019'}}\n", nil, []string{`FILE:1:39: proxy.caddy.admin: "localhost:2019" is not http://ADDRESS:PORT of this very machine, like http://127.0.0.1:2019, and not unix:/path; certificates' keys go there`}},
		"proxy driver":        {"proxy: {driver: apache}\n", nil, []string{`FILE:1:17: proxy.driver: "apache" is not one of embedded, nginx, caddy, none`}},
		"proxy address":       {"proxy: {listen: '1.2.3.4:9999'}\n", nil, []string{`FILE:1:17: proxy.listen: "1.2.3.4:9999" names an address, but the proxy is reached at every address of the router: only the port can be chosen, like :9999`}},
		"proxy port":          {"proxy: {listen: ':0'}\n", nil, []string{`FILE:1:17: proxy.listen: ":0" is not a host and port like 127.0.0.1:8080`}},
		"nginx's HTTP/3":      {"proxy: {driver: nginx, http3: true}\n", nil, []string{"FILE:1:31: proxy.http3: is of the embedded driver; leave it out"}},
		"nginx's log":         {"proxy: {driver: nginx, access_log: true}\n", nil, []string{"FILE:1:36: proxy.access_log: is of the embedded driver: nginx and Caddy write logs of their own, as their configurations say; leave this one out"}},
		"proxy domain":        {"proxy: {domain: 'Home;}', certificate: {internal: true}}\n", nil, []string{`FILE:1:17: proxy.domain: "Home;}" is not a name like home.example.org, in lower case and without a final dot`}},
		"no certificate":      {"proxy: {domain: example.org}\n", nil, []string{"FILE:1:8: proxy.certificate: is needed with a domain: set acme.challenge, or file and key_file, or internal: true to try it out with an authority of core's own"}},
		"half a certificate":  {"proxy: {certificate: {file: a}}\n", nil, []string{"FILE:1:22: proxy.certificate: file and key_file belong together"}},
		"two certificates":    {"proxy: {certificate: {file: a, key_file: b, internal: true}}\n", nil, []string{"FILE:1:22: proxy.certificate: more than one of file, acme and internal is set; choose one"}},
		"acme challenge":      {"proxy: {certificate: {acme: {challenge: dns}}}\n", nil, []string{`FILE:1:41: proxy.certificate.acme.challenge: "dns" is not one of http-01, tls-alpn-01, dns-01`}},
		"acme port":           {"proxy: {listen: ':443', certificate: {acme: {challenge: tls-alpn-01}}}\n", nil, []string{"FILE:1:57: proxy.certificate.acme.challenge: tls-alpn-01 needs port 443, which proxy.listen has; use http-01 or dns-01"}},
		"acme without":        {"proxy: {certificate: {acme: {email: me@example.org}}}\n", nil, []string{"FILE:1:29: proxy.certificate.acme.challenge: is needed: http-01, tls-alpn-01 or dns-01"}},
		"gate socket":         {"proxy: {driver: caddy, gate_socket: gate.sock}\n", nil, []string{`FILE:1:37: proxy.gate_socket: "gate.sock" is not an absolute path of A-Z a-z 0-9 / . _ -`}},
		"gate socket, blank":  {"proxy: {driver: nginx, gate_socket: /a b}\n", nil, []string{`FILE:1:37: proxy.gate_socket: "/a b" is not an absolute path of A-Z a-z 0-9 / . _ -`}},
		"gate socket, end":    {"proxy: {driver: nginx, gate_socket: '/a;'}\n", nil, []string{`FILE:1:37: proxy.gate_socket: "/a;" is not an absolute path of A-Z a-z 0-9 / . _ -`}},
		"nginx's folder":      {"proxy: {driver: nginx, nginx: {directory: relative}}\n", nil, []string{`FILE:1:43: proxy.nginx.directory: "relative" is not an absolute path of A-Z a-z 0-9 / . _ -`}},
		"relative hook":       {"proxy: {certificate: {acme: {challenge: dns-01, hook: [rel/path]}}}\n", nil, []string{`FILE:1:56: proxy.certificate.acme.hook[0]: "rel/path" is not the absolute path of a program, like /etc/ownline/dns`}},
		"acme hook":           {"proxy: {certificate: {acme: {challenge: dns-01}}}\n", nil, []string{"FILE:1:29: proxy.certificate.acme.hook: belongs to dns-01, which needs it: the absolute path of a program that is called with present|cleanup NAME VALUE, and arguments to come before those"}},
		"level":               {"log: {level: loud}\n", nil, []string{`FILE:1:14: log.level: "loud" is not one of debug, info, warn, error`}},
		"variable, unknown":   {"", []string{"OWNLINE_CORE_KNOCK_PORT=1"}, []string{"$OWNLINE_CORE_KNOCK_PORT: there is no such key; variables are named like OWNLINE_CORE_STATE_DIR"}},
		"variable, bad":       {"", []string{"OWNLINE_CORE_KNOCK_ANSWER=x"}, []string{`$OWNLINE_CORE_KNOCK_ANSWER: knock.answer: "x" is not true or false`}},
		"variable, bad item":  {"", []string{"OWNLINE_CORE_LOCAL_NETWORKS=10.0.0.0/8,x"}, []string{`$OWNLINE_CORE_LOCAL_NETWORKS: local_networks[1]: "x" is not a network like 192.168.1.0/24 or fd00::/64`}},
		"variable, bad range": {"knock: {max_clock_skew: 30s}", []string{"OWNLINE_CORE_KNOCK_MAX_CLOCK_SKEW=1s"}, []string{`$OWNLINE_CORE_KNOCK_MAX_CLOCK_SKEW: knock.max_clock_skew: 1s is not from 5s to 10m0s`}},
		"variable, later":     {"", []string{"OWNLINE_CORE_METRICS_LISTEN=:9"}, []string{`$OWNLINE_CORE_METRICS_LISTEN: metrics.listen: is not supported yet; leave it out`}},
		"default, bad mix":    {"", []string{"OWNLINE_CORE_LINK_DIAL=:7"}, []string{"$OWNLINE_CORE_LINK_DIAL: link.dial: needs the name or address of web's host, like web.example.org:57330"}},
	} {
		t.Run(name, func(t *testing.T) {
			file := write(t, tc.yaml)
			_, err := LoadCore(file, tc.env)
			if err == nil {
				t.Fatal("taken")
			}
			got := strings.ReplaceAll(err.Error(), file, "FILE")
			if want := strings.Join(tc.want, "\n"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestWebMistakes(t *testing.T) {
	for name, tc := range map[string]struct{ yaml, want string }{
		"default above max":          {"sessions: {default: 2h, max: 1h}\n", "FILE:1:21: sessions.default: 2h0m0s is not from 10s to 1h0m0s"},
		"prefix":                     {"sessions: {ipv6_prefix: 32}\n", "FILE:1:25: sessions.ipv6_prefix: 32 is not from 48 to 128"},
		"range":                      {"sessions: {port_range: 9-5}\n", `FILE:1:24: sessions.port_range: "9-5" ends before it begins`},
		"range, nonsense":            {"sessions: {port_range: '20000'}\n", `FILE:1:24: sessions.port_range: "20000" is not a range of ports like 20000-29999`},
		"url":                        {"public_url: example.org\n", `FILE:1:13: public_url: "example.org" is not an address like https://ownline.example.org:9999`},
		"publish, no port":           {"publish: 192.168.1.5\n", `FILE:1:10: publish: "192.168.1.5" is not an address and port like 127.0.0.1:8080 or [::]:8080`},
		"publish, loopback":          {"publish: 127.0.0.1:8080\n", "FILE:1:10: publish: 127.0.0.1:8080 can't be reached from a router: name the address and port in the LAN, as in 192.168.1.5:8080"},
		"doorstep alone":             {"doorstep: true\n", "FILE:1:11: doorstep: needs publish: the doorstep leads guests to where routers reach web"},
		"publish, any":               {"publish: '[::]:8080'\n", "FILE:1:10: publish: [::]:8080 can't be reached from a router: name the address and port in the LAN, as in 192.168.1.5:8080"},
		"url with a path":            {"public_url: https://a.b/c\n", `FILE:1:13: public_url: must have nothing behind the host; https://a.b would be right`},
		"listen":                     {"listen: '8080'\n", `FILE:1:9: listen: "8080" is not a host and port like 127.0.0.1:8080`},
		"database":                   {"database: mysql://u:hunter2@h/d\n", "FILE:1:11: database: is not an address like postgres://USER:PASSWORD@HOST/NAME; leave it empty for SQLite in state_dir"},
		"mqtt knocks":                {"mqtt: {topic: ownline/redeem}\n", "FILE:1:15: mqtt.topic: must be another one than mqtt.invitation_topic"},
		"mqtt skew":                  {"mqtt: {max_clock_skew: 1h}\n", "FILE:1:24: mqtt.max_clock_skew: 1h0m0s is not from 5s to 10m0s"},
		"mqtt":                       {"mqtt: {url: 'http://h'}\n", "FILE:1:13: mqtt.url: is not an address like tls://broker.example.org:8883, beginning with tcp:// or tls:// or ws:// or wss://"},
		"mqtt password":              {"mqtt: {url: 'tcp://u:hunter2@h'}\n", "FILE:1:13: mqtt.url: must have neither user, nor ? nor #; tls://broker.example.org:8883 would be right"},
		"mqtt, two passwords":        {"mqtt: {password: x, password_file: /dev/null}\n", "FILE:1:36: mqtt.password_file: is given together with password; keep one"},
		"mqtt, no password":          {"mqtt: {password_file: /nowhere}\n", "FILE:1:23: mqtt.password_file: open /nowhere: no such file or directory"},
		"mqtt topics":                {"mqtt: {invitation_topic: 'a/#'}\n", `FILE:1:26: mqtt.invitation_topic: "a/#" is not one topic: it must not be empty or hold + or #`},
		"mqtt authorities":           {"mqtt: {ca_file: /x, url: 'tcp://h'}\n", "FILE:1:17: mqtt.ca_file: is of no use without a mqtt.url of tls:// or wss://"},
		"mqtt, no such CA":           {"mqtt: {ca_file: /nowhere, url: 'tls://h'}\n", "FILE:1:17: mqtt.ca_file: open /nowhere: no such file or directory"},
		"mqtt certificate":           {"mqtt: {cert_file: /x, key_file: /y, url: 'tcp://h'}\n", "FILE:1:19: mqtt.cert_file: is of no use without a mqtt.url of tls:// or wss://"},
		"mqtt, no key":               {"mqtt: {cert_file: /x, url: 'tls://h'}\n", "FILE:1:19: mqtt.cert_file: and key_file belong together: name both, or none"},
		"mqtt, no such":              {"mqtt: {cert_file: /nowhere, key_file: /y, url: 'tls://h'}\n", "FILE:1:19: mqtt.cert_file: open /nowhere: no such file or directory; it must be a certificate in PEM, and key_file the key to it"},
		"devices' CA":                {"mqtt: {url: 'tls://h', devices: {ca_file: /nowhere}}\n", "FILE:1:43: mqtt.devices.ca_file: open /nowhere: no such file or directory"},
		"embedded, rest":             {"mqtt: {embedded: {url: 'wss://h'}}\n", "FILE:1:18: mqtt.embedded: needs listen, the address where the embedded broker takes connections, like :8883"},
		"embedded, no TLS":           {"mqtt: {embedded: {listen: ':8883', url: 'wss://h'}, devices: {address_urls: ['stun:h:1']}}\n", "FILE:1:18: mqtt.embedded.cert_file: is needed, with key_file: devices send a password. Or set certificate: proxy to have the router sign one, or listen on 127.0.0.1, behind a server that ends TLS"},
		"embedded, signed and files": {"mqtt: {embedded: {listen: ':8883', url: 'wss://mqtt.h', certificate: proxy, cert_file: 'testdata/none', key_file: 'testdata/none'}, devices: {address_urls: ['stun:h:1']}}\n", "FILE:1:88: mqtt.embedded.cert_file: open testdata/none: no such file or directory; it must be a certificate in PEM, and key_file the key to it\nFILE:1:70: mqtt.embedded.certificate: stands in the place of cert_file and key_file: leave one out"},
		"embedded, signed by whom":   {"mqtt: {embedded: {listen: ':8883', url: 'wss://mqtt.h', certificate: acme}, devices: {address_urls: ['stun:h:1']}}\n", "FILE:1:70: mqtt.embedded.certificate: \"acme\" is not one of proxy"},
		"embedded, signed address":   {"mqtt: {embedded: {listen: ':8883', url: 'wss://192.0.2.1:8883', certificate: proxy}, devices: {address_urls: ['stun:h:1']}}\n", "FILE:1:41: mqtt.embedded.url: needs the host name mqtt.DOMAIN with certificate: proxy, where DOMAIN is the proxy.domain of a site's core.yaml, like wss://mqtt.home.example.org:8883/: the router signs for no other one; this one's is \"192.0.2.1\""},
		"embedded, signed name":      {"mqtt: {embedded: {listen: ':8883', url: 'wss://nas.home.example.org', certificate: proxy}, devices: {address_urls: ['stun:h:1']}}\n", "FILE:1:41: mqtt.embedded.url: needs the host name mqtt.DOMAIN with certificate: proxy, where DOMAIN is the proxy.domain of a site's core.yaml, like wss://mqtt.home.example.org:8883/: the router signs for no other one; this one's is \"nas.home.example.org\""},
		"embedded, signed, open":     {"mqtt: {embedded: {listen: '127.0.0.1:8883', url: 'ws://mqtt.h', certificate: proxy}, devices: {address_urls: ['stun:h:1']}}\n", "FILE:1:50: mqtt.embedded.url: is not an address like wss://ownline.example.org:8883/, beginning with wss:// or tls://"},
		"embedded, signed, rest":     {"mqtt: {embedded: {certificate: proxy}}\n", "FILE:1:18: mqtt.embedded: needs listen, the address where the embedded broker takes connections, like :8883"},
		"embedded, no URL":           {"mqtt: {embedded: {listen: '127.0.0.1:8883'}, devices: {address_urls: ['stun:h:1']}}\n", "FILE:1:18: mqtt.embedded.url: is needed: where devices reach the embedded broker, like wss://ownline.example.org:8883/"},
		"embedded, logins":           {"mqtt: {embedded: {listen: '127.0.0.1:8883', url: 'wss://h'}, devices: {username: u, address_urls: ['stun:h:1']}}\n", "FILE:1:71: mqtt.devices: url, username and password are for the broker of mqtt.url; with mqtt.embedded every device gets a name and a password of its own: leave them out"},
		"embedded, address":          {"mqtt: {embedded: {listen: '127.0.0.1:8883', url: 'wss://h'}}\n", "FILE:1:7: mqtt.devices.address_urls: is needed: a device that knocks through a broker has to say its public address; name a service that tells it, like stun:HOST:3478"},
		"embedded, guests":           {"mqtt: {embedded: {listen: '127.0.0.1:8883', url: 'wss://h'}, devices: {address_urls: ['stun:h:1']}}\nguest_page: {url: 'https://g'}\n", "FILE:2:13: guest_page.username: is needed, with guest_page.password: a name by which the embedded broker lets guests in; anything will do, and the exported page shows it to everybody"},
		"guest broker":               {"guest_page: {broker: 'tls://h'}\n", "FILE:1:22: guest_page.broker: is not an address like wss://broker.example.org/mqtt, beginning with ws:// or wss://"},
		"guests, no broker":          {"guest_page: {url: 'https://g'}\n", "FILE:1:19: guest_page.url: needs mqtt.url, the broker from which Ownline takes what guests send; set it, or leave guest_page.url out"},
		"guests, no way":             {"mqtt: {url: 'tls://h'}\nguest_page: {url: 'https://g'}\n", "FILE:2:19: guest_page.url: needs guest_page.broker, a ws:// or wss:// address at which guests' browsers reach the broker of mqtt.url"},
		"oidc, no scope":             {"public_url: https://a.b\noidc: {issuer: 'https://login.example.org', client_id: x, scopes: [openid, '']}\n", "FILE:2:76: oidc.scopes[1]: must not be empty"},
		"oidc, two scopes":           {"public_url: https://a.b\noidc: {issuer: 'https://login.example.org', client_id: x, scopes: ['openid email']}\n", "FILE:2:68: oidc.scopes[0]: \"openid email\" is not one scope; write [a, b]"},
		"notify, one":                {"notify: telegram://1:hunter2@telegram\n", "FILE:1:9: notify: must be a list of groups of keys, not text; begin every one with -"},
		"notify, empty":              {"notify: [{name: x}]\n", "FILE:1:10: notify[0].url: must not be empty"},
		"notify, key":                {"notify:\n- ntfy://hunter2\n- {url: ntfy://hunter2, event: [x]}\n", "FILE:3:25: notify[1].event: unknown key; did you mean events?"},
		"notify, fold":               {"notify: [{url: ntfy://hunter2, fold: 1h30m}]\n", "FILE:1:38: notify[0].fold: 1h30m0s is not from 1s to 1h0m0s"},
		"notify, number":             {"notify: [5]\n", "FILE:1:10: notify[0].url: must be text in quotes"},
		"oidc, no tls":               {"public_url: https://a.b\noidc: {issuer: 'http://login.example.org', client_id: x}\n", `FILE:2:16: oidc.issuer: "http://login.example.org" is not an address like https://login.example.org/realms/home`},
		"oidc, no client":            {"public_url: https://a.b\noidc: {issuer: 'https://login.example.org'}\n", "FILE:2:7: oidc.client_id: must not be empty"},
		"oidc, no way back":          {"oidc: {issuer: 'https://login.example.org', client_id: x}\n", "FILE:1:16: oidc.issuer: needs public_url, where the provider sends browsers back to"},
		"oidc, no issuer":            {"oidc: {client_id: x}\n", "FILE:1:19: oidc.client_id: is of no use without oidc.issuer"},
		"oidc, no claim":             {"public_url: https://a.b\noidc: {issuer: 'https://login.example.org', client_id: x, admin_values: [a]}\n", "FILE:2:7: oidc.role_claim: is needed for admin_values and user_values"},
		"oidc, no values":            {"public_url: https://a.b\noidc: {issuer: 'https://login.example.org', client_id: x, role_claim: groups}\n", "FILE:2:71: oidc.role_claim: needs admin_values, user_values or both"},
		"oidc, no such CA":           {"public_url: https://a.b\noidc: {issuer: 'https://login.example.org', client_id: x, ca_file: /dev/null}\n", "FILE:2:68: oidc.ca_file: /dev/null holds no certificate in PEM"},
		"retention":                  {"retention: {history: 30m}\n", "FILE:1:22: retention.history: 30m0s is less than a day, 24h; 0s would keep all for ever"},
		"retention, below":           {"retention: {audit: -1d}\n", `FILE:1:20: retention.audit: "-1d" is not a duration like 30m or 90s`},
		"metrics":                    {"metrics: {listen: here}\n", `FILE:1:19: metrics.listen: "here" is not a host and port like 127.0.0.1:8080`},
		"policy, no database":        {"policy: {countries: [ES]}\n", "FILE:1:21: policy.countries: needs policy.geoip_database, which tells where addresses are"},
		"policy, no systems":         {"policy: {asns: [AS3352]}\n", "FILE:1:16: policy.asns: needs policy.asn_database, which tells whose addresses are"},
		"policy, no code":            {"policy: {geoip_database: /x, countries: [ES, Spain]}\n", `FILE:1:46: policy.countries[1]: "Spain" is not a code of two capital letters like ES (ISO 3166-1)`},
		"policy, no number":          {"policy: {asn_database: /x, asns: [AS4294967296]}\n", `FILE:1:35: policy.asns[0]: "AS4294967296" is not the number of an autonomous system like AS3352`},
		"policy, small network":      {"policy: {networks: ['2001:db8:7:1::5/128']}\n", "FILE:1:21: policy.networks[0]: 2001:db8:7:1::5/128 is smaller than what a session lets in: name a network of 64 bits or fewer, as in sessions.ipv6_prefix"},
		"policy, no network":         {"policy: {networks: [198.51.100.7/24]}\n", `FILE:1:21: policy.networks[0]: "198.51.100.7/24" has bits set behind the network; 198.51.100.0/24 would be right`},
	} {
		t.Run(name, func(t *testing.T) {
			file := write(t, tc.yaml)
			_, err := LoadWeb(file, nil)
			if err == nil {
				t.Fatal("taken")
			}
			if got := strings.ReplaceAll(err.Error(), file, "FILE"); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

// A channel is a group, or just its URL; in the environment, URLs that may have commas within.
func TestNotify(t *testing.T) {
	secret := write(t, "telegram://1:hunter2@telegram?chats=1,2\n")
	w, err := LoadWeb(write(t, "notify:\n- syslog:///dev/log\n- {name: phone, url_file: "+secret+", events: [session, -session.ended], fold: 5m}\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	url := func(s string) ownline.Secret { return ownline.Secret(s) }
	want := []Channel{
		{URL: url("syslog:///dev/log")},
		{URL: url("telegram://1:hunter2@telegram?chats=1,2"), Name: "phone", Events: []string{"session", "-session.ended"}, Fold: 5 * time.Minute},
	}
	if diff := cmp.Diff(want, w.Notify); diff != "" {
		t.Error(diff)
	}
	w, err = LoadWeb(write(t, ""), []string{"OWNLINE_WEB_NOTIFY=telegram://1:hunter2@telegram?chats=1,@two, ntfy://ntfy.sh/x"})
	if err != nil {
		t.Fatal(err)
	}
	want = []Channel{{URL: url("telegram://1:hunter2@telegram?chats=1,@two")}, {URL: url("ntfy://ntfy.sh/x")}}
	if diff := cmp.Diff(want, w.Notify); diff != "" {
		t.Error(diff)
	}
}

// secrets stands in for a program whose secrets are supported already.
type secrets struct {
	Key ownline.Secret `key:"key"`
	In  struct {
		Word ownline.Secret `key:"word"`
	} `key:"in"`
}

func (*secrets) validate(func(string, string)) {}

func TestSecrets(t *testing.T) {
	file := write(t, "")
	secret := write(t, "hunter2\n")
	read := func(content string, env ...string) (secrets, error) {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		var s secrets
		err := load(source{path: file, prefix: "X_", env: env}, &s)
		return s, err
	}
	for name, f := range map[string]func() (secrets, error){
		"plain":         func() (secrets, error) { return read("key: hunter2\nin: {word: hunter2}\n") },
		"file":          func() (secrets, error) { return read("key_file: " + secret + "\nin: {word_file: " + secret + "}\n") },
		"variable":      func() (secrets, error) { return read("", "X_KEY=hunter2", "X_IN_WORD=hunter2") },
		"file variable": func() (secrets, error) { return read("", "X_KEY_FILE="+secret, "X_IN_WORD_FILE="+secret) },
	} {
		t.Run(name, func(t *testing.T) {
			s, err := f()
			if err != nil || string(s.Key) != "hunter2" || string(s.In.Word) != "hunter2" {
				t.Errorf("got %q, %q, %v", []byte(s.Key), []byte(s.In.Word), err)
			}
		})
	}
	for content, want := range map[string]string{
		"key_file: /nonexistent/x\n":                     "key_file: open /nonexistent/x: no such file or directory",
		"key: hunter2\nkey_file: " + secret + "\n":       "key_file: is given together with key; keep one",
		"key: [hunter2]\n":                               "key: must be text, not a list",
		"in: {word: hunter2, word_file: " + secret + "}": "in.word_file: is given together with word; keep one",
	} {
		_, err := read(content)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v", content, err)
		}
	}
}
