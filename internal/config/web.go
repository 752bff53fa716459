package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// WebFile is where ownline-web looks for its settings when no file is named.
const WebFile = "/etc/ownline/web.yaml"

// Web is web.yaml.
type Web struct {
	StateDir       string         `key:"state_dir"`
	Listen         string         `key:"listen"`          // "HOST:PORT" of the API and the pages
	PublicURL      string         `key:"public_url"`      // "": unknown; else scheme, host and port, without a path
	Database       ownline.Secret `key:"database"`        // "": SQLite in StateDir; else postgres://…
	SecretKeyFile  string         `key:"secret_key_file"` // "": made in StateDir on first start
	TrustedProxies []netip.Prefix `key:"trusted_proxies"`
	Publish        netip.AddrPort `key:"publish"`   // where routers reach Listen, to be a proxied service; zero: it is none
	Doorstep       bool           `key:"doorstep"`  // guests with an invitation meet us at the proxy; needs Publish
	PairFile       string         `key:"pair_file"` // "": pair by hand
	Link           WebLink        `key:"link"`
	Sessions       Sessions       `key:"sessions"`
	Policy         Policy         `key:"policy"`
	MQTT           MQTT           `key:"mqtt"`
	GuestPage      GuestPage      `key:"guest_page"`
	Notify         []Channel      `key:"notify"`
	OIDC           OIDC           `key:"oidc"`
	Metrics        WebMetrics     `key:"metrics"`
	Retention      Retention      `key:"retention"`
	Log            Log            `key:"log"`
}

// WebLink is where cores that dial web arrive.
type WebLink struct {
	Listen string `key:"listen"` // "HOST:PORT"; "": nowhere
}

// WebMetrics is where Prometheus finds the metrics.
type WebMetrics struct {
	Listen string `key:"listen"` // "HOST:PORT"; "": nowhere
}

// Retention is how long what is over is kept; 0: for ever.
type Retention struct {
	History time.Duration `key:"history"` // sessions, from their end
	Audit   time.Duration `key:"audit"`   // lines of the audit log
	Logins  time.Duration `key:"logins"`  // tries to sign in
}

// Sessions is what a session may be.
type Sessions struct {
	Default        time.Duration `key:"default"` // of a person's session
	Max            time.Duration `key:"max"`
	Automatic      time.Duration `key:"automatic"`   // of a session that a knock opens
	IPv6Prefix     int           `key:"ipv6_prefix"` // bits of an IPv6 source that count, 48 to 128
	PortRange      PortRange     `key:"port_range"`
	RoamingOverlap time.Duration `key:"roaming_overlap"` // how long the old address stays after a knock from a new one
}

// MQTT is the broker through which devices knock, and guests redeem invitations.
type MQTT struct {
	URL             string         `key:"url"`              // tcp://, tls://, ws:// or wss://; "": none
	Topic           string         `key:"topic"`            // of knocks
	InvitationTopic string         `key:"invitation_topic"` // to which guests publish
	Username        string         `key:"username"`
	Password        ownline.Secret `key:"password"`
	PasswordFile    string         `key:"password_file"`  // that holds it; what changes there counts
	CAFile          string         `key:"ca_file"`        // see Authorities
	CertFile        string         `key:"cert_file"`      // shows the broker who we are; see KeyPair
	KeyFile         string         `key:"key_file"`       // likewise
	MaxClockSkew    time.Duration  `key:"max_clock_skew"` // of devices that knock; 5s to 10m
	Devices         MQTTDevices    `key:"devices"`
	Embedded        MQTTEmbedded   `key:"embedded"`
}

// MQTTEmbedded is the broker inside web.
type MQTTEmbedded struct {
	Listen   string `key:"listen"`    // TCP and WebSocket; "": there is none
	URL      string `key:"url"`       // as devices reach it, for their profiles
	CertFile string `key:"cert_file"` // TLS; see KeyPair
	KeyFile  string `key:"key_file"`
	// Certificate says where it comes from if not from files: ProxyCertificate, or "".
	Certificate string `key:"certificate"`
}

// ProxyCertificate is a certificate from where those of a router's proxy come.
const ProxyCertificate = "proxy"

// MQTTDevices is what devices that are made from now on are told of the broker, in their
// profiles.
type MQTTDevices struct {
	URL         string         `key:"url"` // as devices reach it; "": mqtt.url
	Username    string         `key:"username"`
	Password    ownline.Secret `key:"password"`
	CAFile      string         `key:"ca_file"`      // see Authority; "": the devices' own authorities alone
	AddressURLs []string       `key:"address_urls"` // https:// or stun:HOST:PORT; empty: profiles have no broker
}

// GuestPage is the page for invited guests that is exported to another web host.
type GuestPage struct {
	URL         string   `key:"url"`          // where it is; "": links lead to Ownline itself
	Broker      string   `key:"broker"`       // ws:// or wss://, as guests' browsers reach it; "": mqtt.url
	Username    string   `key:"username"`     // at the broker, for everybody to see
	Password    string   `key:"password"`     // likewise
	AddressURLs []string `key:"address_urls"` // that answer with the caller's public address
}

// Channel is a way to tell people what happens. In the file it is a group, or just its URL.
type Channel struct {
	URL    ownline.Secret `key:"url,alone"` // what it is and where, with its secrets
	Name   string         `key:"name"`      // "": after the kind of service
	Events []string       `key:"events"`    // kinds, or what stands before their dot; "-" leaves out; empty: all
	Fold   time.Duration  `key:"fold"`      // 0: a minute; how long what is alike is gathered into one message
}

// PortRange is the public ports that sessions get, both ends included.
type PortRange struct{ First, Last uint16 }

// String writes "FIRST-LAST".
func (p PortRange) String() string { return fmt.Sprintf("%d-%d", p.First, p.Last) }

// UnmarshalText reads what String writes.
func (p *PortRange) UnmarshalText(b []byte) error {
	from, to, ok := strings.Cut(string(b), "-")
	first, err1 := strconv.ParseUint(from, 10, 16)
	last, err2 := strconv.ParseUint(to, 10, 16)
	if !ok || err1 != nil || err2 != nil || first == 0 {
		return fmt.Errorf("%q is not a range of ports like 20000-29999", b)
	}
	if first > last {
		return fmt.Errorf("%q ends before it begins", b)
	}
	*p = PortRange{uint16(first), uint16(last)}
	return nil
}

// DefaultWeb returns the settings of an empty file.
func DefaultWeb() Web {
	return Web{
		StateDir: "/var/lib/ownline-web",
		Listen:   "127.0.0.1:8080",
		Sessions: Sessions{
			Default:        30 * time.Minute,
			Max:            24 * time.Hour,
			Automatic:      30 * time.Minute,
			IPv6Prefix:     64,
			PortRange:      PortRange{20000, 29999},
			RoamingOverlap: time.Minute,
		},
		MQTT:      MQTT{Topic: "ownline/knock", InvitationTopic: "ownline/redeem", MaxClockSkew: time.Minute},
		OIDC:      OIDC{Scopes: []string{"openid", "profile"}, Name: "single sign-on", UsernameClaim: "preferred_username"},
		Retention: Retention{History: 365 * day, Audit: 2 * 365 * day, Logins: 90 * day},
		Log:       defaultLog(),
	}
}

// LoadWeb reads the file at path, then env ("NAME=value", as os.Environ). With path "" it
// reads WebFile, which may be missing. The error lists every mistake, one a line.
func LoadWeb(path string, env []string) (Web, error) {
	w := DefaultWeb()
	err := load(source{path: path, standard: WebFile, prefix: "OWNLINE_WEB_", env: env}, &w)
	return w, err
}

func (w *Web) validate(report func(key, detail string)) {
	r := rules{report}
	r.notEmpty("state_dir", w.StateDir)
	r.hostPort("listen", w.Listen, false)
	r.hostPort("link.listen", w.Link.Listen, true)
	w.OIDC.validate(r, w.PublicURL)
	r.hostPort("metrics.listen", w.Metrics.Listen, true)
	r.keep("retention.history", w.Retention.History)
	r.keep("retention.audit", w.Retention.Audit)
	r.keep("retention.logins", w.Retention.Logins)
	if w.PublicURL != "" {
		u, err := url.Parse(w.PublicURL)
		switch {
		case err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Hostname() == "":
			report("public_url", fmt.Sprintf("%q is not an address like https://ownline.example.org:9999", w.PublicURL))
		case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
			report("public_url", fmt.Sprintf("must have nothing behind the host; %s://%s would be right", u.Scheme, u.Host))
		}
		w.PublicURL = strings.TrimRight(w.PublicURL, "/")
	}
	if d := string(w.Database); d != "" && !strings.HasPrefix(d, "postgres://") && !strings.HasPrefix(d, "postgresql://") {
		report("database", "is not an address like postgres://USER:PASSWORD@HOST/NAME; leave it empty for SQLite in state_dir")
	}
	if a := w.Publish.Addr(); w.Publish != (netip.AddrPort{}) &&
		(w.Publish.Port() == 0 || a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() || a.Is4In6()) {
		report("publish", fmt.Sprintf("%s can't be reached from a router: name the address and port in the LAN, as in 192.168.1.5:8080", w.Publish))
	}
	if w.Doorstep && !w.Publish.IsValid() {
		report("doorstep", "needs publish: the doorstep leads guests to where routers reach web")
	}
	w.validateMQTT(r)
	w.Policy.validate(r, w.Sessions.IPv6Prefix)
	s := w.Sessions
	r.between("sessions.max", s.Max, time.Minute, 366*24*time.Hour)
	r.between("sessions.default", s.Default, 10*time.Second, s.Max)
	r.between("sessions.automatic", s.Automatic, 10*time.Second, s.Max)
	r.between("sessions.roaming_overlap", s.RoamingOverlap, 0, time.Hour)
	if s.IPv6Prefix < 48 || s.IPv6Prefix > 128 {
		report("sessions.ipv6_prefix", fmt.Sprintf("%d is not from 48 to 128", s.IPv6Prefix))
	}
	for i, c := range w.Notify {
		r.notEmpty(at("notify", i)+".url", string(c.URL))
		if c.Fold != 0 {
			r.between(at("notify", i)+".fold", c.Fold, time.Second, time.Hour)
		}
	}
	r.log(w.Log)
}
