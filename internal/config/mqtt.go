package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// validateMQTT checks the broker, and the page that is exported for guests. It fills in the
// guests' way to the broker when that is ours.
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
	g := &w.GuestPage
	if g.URL != "" {
		r.address("guest_page.url", g.URL, "https://guests.example.org/", "https", "http")
	}
	if g.Broker == "" && (strings.HasPrefix(w.MQTT.URL, "ws:") || strings.HasPrefix(w.MQTT.URL, "wss:")) {
		g.Broker = w.MQTT.URL
	}
	if g.URL != "" && w.MQTT.URL == "" {
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
	if m.URL == "" && (d.URL != "" || len(d.AddressURLs) > 0) {
		r.report("mqtt.devices", "needs mqtt.url, the broker from which Ownline takes what devices send")
	}
	if len(d.AddressURLs) == 0 && (d.URL != "" || d.Username != "") {
		r.report("mqtt.devices.address_urls", "is needed: a device that knocks through a broker has to say its public address; name a service that tells it, like stun:HOST:3478")
	}
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
