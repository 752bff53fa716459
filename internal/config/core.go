package config

import (
	"net/netip"
	"time"
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
	FwknopListen string         `key:"fwknop_listen,later"`
	MaxClockSkew time.Duration  `key:"max_clock_skew"` // 5s to 10m
	Answer       bool           `key:"answer"`         // knocks that ask for an answer get one
}

// Firewall is how the kernel is kept.
type Firewall struct {
	Driver        string   `key:"driver,later"`
	WANInterfaces []string `key:"wan_interfaces"` // empty: any
	ReservedPorts []uint16 `key:"reserved_ports"` // besides those that are found in use
	Masquerade    bool     `key:"masquerade"`
}

// Proxy is the reverse proxy. Nothing but the defaults is supported yet.
type Proxy struct {
	Driver      string      `key:"driver,later"`
	Listen      string      `key:"listen,later"`
	Domain      string      `key:"domain,later"`
	Certificate Certificate `key:"certificate,later"`
}

// Certificate is where the proxy's certificates come from.
type Certificate struct {
	File     string   `key:"file"`
	KeyFile  string   `key:"key_file"`
	ACME     struct{} `key:"acme"`
	Internal bool     `key:"internal"`
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
		Firewall: Firewall{Driver: "nftables"},
		Proxy:    Proxy{Driver: "embedded", Listen: ":9999"},
		Log:      defaultLog(),
	}
}

// LoadCore reads the file at path, then env ("NAME=value", as os.Environ). With path ""
// it reads CoreFile, which may be missing. The error lists every mistake, one a line.
func LoadCore(path string, env []string) (Core, error) {
	c := DefaultCore()
	err := load(source{path: path, standard: CoreFile, prefix: "OWNLINE_CORE_", env: env}, &c)
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
	r.between("knock.max_clock_skew", c.Knock.MaxClockSkew, 5*time.Second, 10*time.Minute)
	for i, name := range c.Firewall.WANInterfaces {
		if name == "" || len(name) > 15 {
			report(at("firewall.wan_interfaces", i), "is not the name of a network interface (1 to 15 characters, like eth0)")
		}
	}
	for i, port := range c.Firewall.ReservedPorts {
		if port == 0 {
			report(at("firewall.reserved_ports", i), "is not a port: 1 to 65535")
		}
	}
	r.log(c.Log)
}
