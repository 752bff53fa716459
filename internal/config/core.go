package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// CoreFile is where ownline-core looks for its settings when no file is named.
const CoreFile = "/etc/ownline/core.yaml"

// Core is core.yaml.
type Core struct {
	StateDir      string         `key:"state_dir"`
	ControlSocket string         `key:"control_socket"`
	PairFile      string         `key:"pair_file"` // "": pair by hand
	Link          CoreLink       `key:"link"`
	Knock         Knock          `key:"knock"`
	Firewall      Firewall       `key:"firewall"`
	Ports         Ports          `key:"ports"`
	Proxy         Proxy          `key:"proxy"`
	LocalNetworks []netip.Prefix `key:"local_networks"` // empty: found on the router's interfaces
	Metrics       Metrics        `key:"metrics"`
	Log           Log            `key:"log"`
}

// CoreLink is how core and web meet. At least one of the two is set.
type CoreLink struct {
	Listen string `key:"listen"` // "HOST:PORT" where web commands core; "": nowhere
	Dial   string `key:"dial"`   // "HOST:PORT" of a web that core dials; "": none
}

// Knock is where knocks arrive.
type Knock struct {
	Listen       netip.AddrPort `key:"listen"`
	FwknopListen netip.AddrPort `key:"fwknop_listen"`  // zero: packets of fwknop clients are not taken
	MaxClockSkew time.Duration  `key:"max_clock_skew"` // 5s to 10m
	Answer       bool           `key:"answer"`         // knocks that ask for an answer get one
}

// Firewall is how the kernel is kept.
type Firewall struct {
	Driver        string   `key:"driver"`         // nftables, iptables, ufw, firewalld, or auto: see ownline.AutoFirewall
	WANInterfaces []string `key:"wan_interfaces"` // empty: any
	ReservedPorts []uint16 `key:"reserved_ports"` // besides those that are found in use
	Masquerade    bool     `key:"masquerade"`
}

// Ports is how the router in front of this one is asked to lead public ports here.
type Ports struct {
	Open  string `key:"open"`  // off, auto, pcp, nat-pmp or upnp: see ownline.AutoPorts
	Knock bool   `key:"knock"` // the ports of knocks as well, as long as core runs
}

// Proxy is the reverse proxy. It serves when Domain is set.
type Proxy struct {
	Driver      string      `key:"driver"`     // embedded, nginx, caddy or none
	Listen      string      `key:"listen"`     // ":PORT" of every address of the router
	Domain      string      `key:"domain"`     // services are at NAME.Domain; "": nothing is served
	HTTP3       bool        `key:"http3"`      // as well, by the same port of UDP; needs a build that has it
	AccessLog   bool        `key:"access_log"` // every request, to the log
	Certificate Certificate `key:"certificate"`
	GateSocket  string      `key:"gate_socket"` // where another server asks who may come in
	GateGroup   string      `key:"gate_group"`  // of that server; "": its usual one
	Nginx       Nginx       `key:"nginx"`
	Caddy       Caddy       `key:"caddy"`
}

// Nginx is the nginx that serves with the driver of that name.
type Nginx struct {
	Directory string   `key:"directory"` // core's alone, included by nginx's configuration
	Program   string   `key:"program"`
	Config    string   `key:"config"`    // the file that it is started with; "": its own default
	Reload    []string `key:"reload"`    // a program and its arguments; empty: Program -s reload
	Templates bool     `key:"templates"` // web may replace what is written for a service
}

// Caddy is the Caddy that serves with the driver of that name.
type Caddy struct {
	Admin string `key:"admin"` // its admin API: http://ADDRESS:PORT of this machine, or unix:/path
}

// Serves reports whether services of kind proxy can be opened.
func (p Proxy) Serves() bool { return p.Domain != "" && p.Driver != ownline.NoProxy }

// Port returns the port of Listen.
func (p Proxy) Port() uint16 {
	_, port, _ := net.SplitHostPort(p.Listen)
	n, _ := strconv.ParseUint(port, 10, 16)
	return uint16(n)
}

// Certificate is where the proxy's certificates come from: files, an authority that speaks ACME,
// or one of core's own.
type Certificate struct {
	File     string `key:"file"`
	KeyFile  string `key:"key_file"`
	ACME     ACME   `key:"acme"`
	Internal bool   `key:"internal"`
}

// ACME is how an authority is asked for certificates. It is when Challenge is set.
type ACME struct {
	Challenge string   `key:"challenge"` // http-01, tls-alpn-01 or dns-01; "": it is not asked
	Email     string   `key:"email"`     // where it may write to; "": nowhere
	Directory string   `key:"directory"` // URL; "": Let's Encrypt's
	CAFile    string   `key:"ca_file"`   // PEM of who vouches for the directory; "": the system's authorities
	Hook      []string `key:"hook"`      // of dns-01: a program and its arguments
}

// Metrics is where Prometheus may ask.
type Metrics struct {
	Listen string `key:"listen,later"`
}

// DefaultCore returns the settings of an empty file.
func DefaultCore() Core {
	return Core{
		StateDir:      "/var/lib/ownline-core",
		ControlSocket: "/run/ownline-core.sock",
		Link:          CoreLink{Listen: "127.0.0.1:57329"},
		Knock: Knock{
			Listen:       netip.AddrPortFrom(netip.IPv6Unspecified(), 54754),
			MaxClockSkew: time.Minute,
			Answer:       true,
		},
		Firewall: Firewall{Driver: ownline.NFTables},
		Ports:    Ports{Open: ownline.NoPorts, Knock: true},
		Proxy: Proxy{
			Driver: ownline.EmbeddedProxy, Listen: ":9999", GateSocket: "/run/ownline-core-gate.sock",
			Nginx: Nginx{Directory: "/etc/nginx/ownline.d", Program: "nginx"},
			Caddy: Caddy{Admin: "http://127.0.0.1:2019"},
		},
		Log: defaultLog(),
	}
}

// LoadCore reads the file at path, then env ("NAME=value", as os.Environ). With path ""
// it reads CoreFile, which may be missing. The error lists every mistake, one a line.
func LoadCore(path string, env []string) (Core, error) {
	return InspectCore(path, env, func(Core, func(string, string)) {})
}

// InspectCore is LoadCore for who goes by the settings: inspect reports what this machine lacks of what
// they name, by the key and what is wrong with it.
func InspectCore(path string, env []string, inspect func(c Core, report func(key, detail string))) (Core, error) {
	c := DefaultCore()
	s := source{path: path, standard: CoreFile, prefix: "OWNLINE_CORE_", env: env}
	s.then = func(report func(key, detail string)) { inspect(c, report) }
	err := load(s, &c)
	return c, err
}

func (c *Core) validate(report func(key, detail string)) {
	r := rules{report}
	r.notEmpty("state_dir", c.StateDir)
	r.notEmpty("control_socket", c.ControlSocket)
	r.hostPort("link.listen", c.Link.Listen, true)
	r.hostPort("link.dial", c.Link.Dial, true)
	if c.Link.Dial != "" && host(c.Link.Dial) == "" {
		report("link.dial", "needs the name or address of web's host, like web.example.org:57330")
	}
	if c.Link.Listen == "" && c.Link.Dial == "" {
		report("link", "neither listen nor dial is set, so web could never command this core")
	}
	if c.Knock.Listen.Port() == 0 {
		report("knock.listen", "needs a port from 1 to 65535")
	}
	if f := c.Knock.FwknopListen; f.IsValid() && (f.Port() == 0 || f.Port() == c.Knock.Listen.Port()) {
		report("knock.fwknop_listen", "needs a port from 1 to 65535 of its own, like [::]:62201")
	}
	r.oneOf("firewall.driver", c.Firewall.Driver, ownline.NFTables, ownline.IPTables, ownline.UFW, ownline.Firewalld, ownline.AutoFirewall)
	r.oneOf("ports.open", c.Ports.Open, ownline.NoPorts, ownline.AutoPorts, ownline.PCPPorts, ownline.NATPMPPorts, ownline.UPnPPorts)
	r.between("knock.max_clock_skew", c.Knock.MaxClockSkew, 5*time.Second, 10*time.Minute)
	for i, name := range c.Firewall.WANInterfaces {
		if begin := strings.TrimSuffix(name, "*"); begin == "" || len(name) > 15 || strings.ContainsFunc(begin, besides("._@-")) {
			report(at("firewall.wan_interfaces", i), fmt.Sprintf("%q is not the name of a network interface (1 to 15 of A-Z a-z 0-9 . _ @ -, like eth0; * at the end: all that begin so)", name))
		} else if slices.Contains(c.Firewall.WANInterfaces[:i], name) {
			report(at("firewall.wan_interfaces", i), fmt.Sprintf("%q is there twice", name))
		}
	}
	for i, n := range c.LocalNetworks {
		if n.Bits() == 0 {
			report(at("local_networks", i), fmt.Sprintf("with %s every address would be of the LAN; name the LAN's own networks", n))
		}
	}
	for i, port := range c.Firewall.ReservedPorts {
		if port == 0 {
			report(at("firewall.reserved_ports", i), "is not a port: 1 to 65535")
		}
	}
	if c.Proxy.Driver == ownline.NginxProxy && c.Proxy.Serves() { // which reads certificates there
		r.path("state_dir", c.StateDir)
	}
	c.Proxy.validate(r)
	r.log(c.Log)
}

func (p Proxy) validate(r rules) {
	r.oneOf("proxy.driver", p.Driver, ownline.EmbeddedProxy, ownline.NginxProxy, ownline.CaddyProxy, ownline.NoProxy)
	if p.Driver == ownline.NginxProxy || p.Driver == ownline.CaddyProxy {
		r.path("proxy.gate_socket", p.GateSocket)
	}
	if p.Driver == ownline.CaddyProxy && !caddyAdmin(p.Caddy.Admin) {
		r.report("proxy.caddy.admin", fmt.Sprintf("%q is not http://ADDRESS:PORT of this very machine, like http://127.0.0.1:2019, and not unix:/path; certificates' keys go there", p.Caddy.Admin))
	}
	if p.Driver == ownline.NginxProxy {
		r.path("proxy.nginx.directory", p.Nginx.Directory)
		r.notEmpty("proxy.nginx.program", p.Nginx.Program)
	}
	if p.AccessLog && p.Driver != ownline.EmbeddedProxy {
		r.report("proxy.access_log", "is of the embedded driver: nginx and Caddy write logs of their own, as their configurations say; leave this one out")
	}
	if p.HTTP3 && p.Driver != ownline.EmbeddedProxy {
		r.report("proxy.http3", "is of the embedded driver; leave it out")
	}
	r.hostPort("proxy.listen", p.Listen, false)
	if host(p.Listen) != "" {
		r.report("proxy.listen", fmt.Sprintf("%q names an address, but the proxy is reached at every address of the router: only the port can be chosen, like :9999", p.Listen))
	}
	if p.Domain != "" && !domain(p.Domain) {
		r.report("proxy.domain", fmt.Sprintf("%q is not a name like home.example.org, in lower case and without a final dot", p.Domain))
	}
	c := p.Certificate
	if (c.File == "") != (c.KeyFile == "") {
		r.report("proxy.certificate", "file and key_file belong together")
	}
	sources := 0
	for _, set := range []bool{c.File != "", c.ACME.Challenge != "", c.Internal} {
		if set {
			sources++
		}
	}
	if sources > 1 {
		r.report("proxy.certificate", "more than one of file, acme and internal is set; choose one")
	}
	if p.Serves() && sources == 0 {
		r.report("proxy.certificate", "is needed with a domain: set acme.challenge, or file and key_file, or internal: true to try it out with an authority of core's own")
	}
	c.ACME.validate(r)
	if c.ACME.Challenge == "tls-alpn-01" && p.Port() == 443 {
		r.report("proxy.certificate.acme.challenge", "tls-alpn-01 needs port 443, which proxy.listen has; use http-01 or dns-01")
	}
}

// path checks a path that is written into the configuration of another program.
func (r rules) path(key, path string) {
	if !strings.HasPrefix(path, "/") || strings.ContainsFunc(path, besides("/._-")) {
		r.report(key, fmt.Sprintf("%q is not an absolute path of A-Z a-z 0-9 / . _ -", path))
	}
}

// besides tells what is neither a letter or digit of ASCII nor one of others.
func besides(others string) func(rune) bool {
	return func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune(others, c))
	}
}

func caddyAdmin(address string) bool {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return strings.HasPrefix(path, "/")
	}
	hostPort, ok := strings.CutPrefix(strings.TrimSuffix(address, "/"), "http://")
	h, port, err := net.SplitHostPort(hostPort)
	n, perr := strconv.ParseUint(port, 10, 16)
	addr, aerr := netip.ParseAddr(h)
	return ok && err == nil && perr == nil && n != 0 && (h == "localhost" || aerr == nil && addr.IsLoopback())
}

func (a ACME) validate(r rules) {
	if a.Challenge == "" {
		if a.Email != "" || a.Directory != "" || a.CAFile != "" || len(a.Hook) > 0 {
			r.report("proxy.certificate.acme.challenge", "is needed: http-01, tls-alpn-01 or dns-01")
		}
		return
	}
	r.oneOf("proxy.certificate.acme.challenge", a.Challenge, "http-01", "tls-alpn-01", "dns-01")
	if (a.Challenge == "dns-01") != (len(a.Hook) > 0) {
		r.report("proxy.certificate.acme.hook", "belongs to dns-01, which needs it: the absolute path of a program that is called with present|cleanup NAME VALUE, and arguments to come before those")
	} else if len(a.Hook) > 0 && !strings.HasPrefix(a.Hook[0], "/") {
		r.report(at("proxy.certificate.acme.hook", 0), fmt.Sprintf("%q is not the absolute path of a program, like /etc/ownline/dns", a.Hook[0]))
	}
}

// domain reports whether s is a host name in lower case that a service's name still fits in
// front of.
func domain(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if ownline.CheckServiceName(label) != nil {
			return false
		}
	}
	return len(s) <= 253-64
}
