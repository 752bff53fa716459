package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// validateMQTT checks the brokers, and the page that is exported for guests.
func (w *Web) validateMQTT(r rules) {
	if w.MQTT.URL != "" {
		r.address("mqtt.url", w.MQTT.URL, "tls://broker.example.org:8883", "tcp", "tls", "ws", "wss")
	}
	for _, t := range []struct{ key, topic string }{{"mqtt.topic", w.MQTT.Topic}, {"mqtt.invitation_topic", w.MQTT.InvitationTopic}} {
		if t.topic == "" || strings.ContainsAny(t.topic, "+#\x00") {
			r.report(t.key, fmt.Sprintf("%q is not one topic: it must not be empty or hold + or #", t.topic))
		}
	}
	if w.MQTT.Topic == w.MQTT.InvitationTopic {
		r.report("mqtt.topic", "must be another one than mqtt.invitation_topic")
	}
	r.between("mqtt.max_clock_skew", w.MQTT.MaxClockSkew, 5*time.Second, 10*time.Minute)
	if file := w.MQTT.PasswordFile; file != "" {
		password, err := Secret(file)
		if err != nil {
			r.report("mqtt.password_file", err.Error())
		} else if len(w.MQTT.Password) > 0 {
			r.report("mqtt.password_file", "is given together with password; keep one")
		}
		w.MQTT.Password = password
	}
	encrypted := strings.HasPrefix(w.MQTT.URL, "tls:") || strings.HasPrefix(w.MQTT.URL, "wss:")
	if w.MQTT.CAFile != "" && !encrypted {
		r.report("mqtt.ca_file", "is of no use without a mqtt.url of tls:// or wss://")
	} else {
		r.authorities("mqtt.ca_file", w.MQTT.CAFile)
	}
	if w.MQTT.CertFile+w.MQTT.KeyFile != "" && !encrypted {
		r.report("mqtt.cert_file", "is of no use without a mqtt.url of tls:// or wss://")
	} else {
		r.certificate("mqtt", w.MQTT.CertFile, w.MQTT.KeyFile)
	}
	w.MQTT.validateDevices(r)
	w.MQTT.validateEmbedded(r)
	w.validateGuestPage(r)
}

// hasBroker reports whether there is any way for messages to reach us.
func (m *MQTT) hasBroker() bool { return m.URL != "" || m.Embedded.Listen != "" }

// validateGuestPage checks the page for guests, and fills in how their browsers get to the
// broker when that is ours.
func (w *Web) validateGuestPage(r rules) {
	g := &w.GuestPage
	if g.URL != "" {
		r.address("guest_page.url", g.URL, "https://guests.example.org/", "https", "http")
	}
	for _, known := range []string{w.MQTT.Embedded.URL, w.MQTT.URL} {
		if g.Broker == "" && (strings.HasPrefix(known, "ws:") || strings.HasPrefix(known, "wss:")) {
			g.Broker = known
		}
	}
	if g.URL != "" && w.MQTT.Embedded.Listen != "" && g.Broker == w.MQTT.Embedded.URL && g.Username == "" {
		r.report("guest_page.username", "is needed, with guest_page.password: a name by which the embedded broker lets guests in; anything will do, and the exported page shows it to everybody")
	}
	if g.URL != "" && !w.MQTT.hasBroker() {
		r.report("guest_page.url", "needs mqtt.url, the broker from which Ownline takes what guests send; set it, or leave guest_page.url out")
	} else if g.URL != "" && g.Broker == "" {
		r.report("guest_page.url", "needs guest_page.broker, a ws:// or wss:// address at which guests' browsers reach the broker of mqtt.url")
	}
	if g.Broker != "" {
		r.address("guest_page.broker", g.Broker, "wss://broker.example.org/mqtt", "ws", "wss")
	}
	for i, a := range g.AddressURLs {
		r.address(at("guest_page.address_urls", i), a, "https://address.example.org/", "https", "http")
	}
}

func (m *MQTT) validateDevices(r rules) {
	d := m.Devices
	if d.URL != "" {
		r.address("mqtt.devices.url", d.URL, "wss://broker.example.org/mqtt", "tcp", "tls", "ws", "wss")
	}
	for i, a := range d.AddressURLs {
		if strings.HasPrefix(a, "stun:") {
			r.hostPort(at("mqtt.devices.address_urls", i), strings.TrimPrefix(a, "stun:"), false)
		} else {
			r.address(at("mqtt.devices.address_urls", i), a, "https://address.example.org/", "https")
		}
	}
	if _, err := Authority(d.CAFile); err != nil {
		r.report("mqtt.devices.ca_file", err.Error())
	}
	if !m.hasBroker() && (d.URL != "" || len(d.AddressURLs) > 0) {
		r.report("mqtt.devices", "needs mqtt.url, the broker from which Ownline takes what devices send")
	}
	if len(d.AddressURLs) == 0 && (d.URL != "" || d.Username != "" || m.Embedded.Listen != "") {
		r.report("mqtt.devices.address_urls", "is needed: a device that knocks through a broker has to say its public address; name a service that tells it, like stun:HOST:3478")
	}
}

// validateEmbedded checks the broker inside web.
func (m *MQTT) validateEmbedded(r rules) {
	e := m.Embedded
	if e.Listen == "" {
		if e.URL+e.CertFile+e.KeyFile+e.Certificate != "" {
			r.report("mqtt.embedded", "needs listen, the address where the embedded broker takes connections, like :8883")
		}
		return
	}
	r.hostPort("mqtt.embedded.listen", e.Listen, false)
	r.certificate("mqtt.embedded", e.CertFile, e.KeyFile)
	near, err := netip.ParseAddr(host(e.Listen))
	loopback := err == nil && near.IsLoopback()
	switch {
	case e.Certificate != "" && e.CertFile != "":
		r.report("mqtt.embedded.certificate", "stands in the place of cert_file and key_file: leave one out")
	case e.Certificate != "":
		r.oneOf("mqtt.embedded.certificate", e.Certificate, ProxyCertificate)
		h := urlHost(e.URL)
		if below, ok := strings.CutPrefix(h, ownline.BrokerName+"."); e.URL != "" && (!ok || !domain(below)) {
			r.report("mqtt.embedded.url", fmt.Sprintf("needs the host name %s.DOMAIN with certificate: %s, where DOMAIN is the proxy.domain of a site's core.yaml, like wss://mqtt.home.example.org:8883/: the router signs for no other one; this one's is %q", ownline.BrokerName, ProxyCertificate, h))
		}
	case e.CertFile == "" && !loopback:
		r.report("mqtt.embedded.cert_file", "is needed, with key_file: devices send a password. Or set certificate: proxy to have the router sign one, or listen on 127.0.0.1, behind a server that ends TLS")
	}
	if e.URL == "" {
		r.report("mqtt.embedded.url", "is needed: where devices reach the embedded broker, like wss://ownline.example.org:8883/")
		return
	}
	schemes := []string{"wss", "tls"}
	if loopback && e.Certificate == "" {
		schemes = []string{"wss", "tls", "ws", "tcp"}
	}
	r.address("mqtt.embedded.url", e.URL, "wss://ownline.example.org:8883/", schemes...)
	if d := m.Devices; d.URL+d.Username != "" || len(d.Password) > 0 {
		r.report("mqtt.devices", "url, username and password are for the broker of mqtt.url; with mqtt.embedded every device gets a name and a password of its own: leave them out")
	}
}

// Name returns the host name of the broker inside web, as devices have it.
func (e MQTTEmbedded) Name() string { return urlHost(e.URL) }

func urlHost(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// address checks a URL that holds no secrets: neither user nor query, nor what is behind a #.
func (r rules) address(key, value, example string, schemes ...string) {
	u, err := url.Parse(value)
	switch {
	case err != nil || u.Hostname() == "" || !slices.Contains(schemes, u.Scheme):
		// A URL that can't be read may hold a password, too.
		r.report(key, fmt.Sprintf("is not an address like %s, beginning with %s://", example, strings.Join(schemes, ":// or ")))
	case u.User != nil || u.Fragment != "" || u.RawQuery != "":
		r.report(key, fmt.Sprintf("must have neither user, nor ? nor #; %s would be right", example))
	}
}
