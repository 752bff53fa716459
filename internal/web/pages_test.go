package web

import (
	"slices"
	"testing"

	"github.com/ownline/ownline/internal/config"
)

// Pages connect to nobody but us, the broker of the devices and what tells addresses, and to
// these only where browsers can.
func TestConnectTo(t *testing.T) {
	addresses := []string{"stun:stun.example.org:3478", "https://a.example.org/", "https://a.example.org/ip", "https://b.example.org:8443/"}
	for name, tc := range map[string]struct {
		m    config.MQTT
		want []string
	}{
		"no broker":                       {config.MQTT{}, nil},
		"a broker, but no address":        {config.MQTT{URL: "wss://broker.example.org/mqtt"}, nil},
		"a broker that no browser speaks": {config.MQTT{URL: "tls://broker.example.org", Devices: config.MQTTDevices{AddressURLs: addresses}}, []string{"https://a.example.org", "https://b.example.org:8443"}},
		"one for devices": {
			config.MQTT{URL: "tls://broker.example.org", Devices: config.MQTTDevices{URL: "wss://broker.example.org:8084/mqtt", AddressURLs: addresses[:1]}},
			[]string{"wss://broker.example.org:8084"},
		},
		"our own": {
			config.MQTT{URL: "wss://other.example.org", Embedded: config.MQTTEmbedded{URL: "wss://ownline.example.org:8883/"}, Devices: config.MQTTDevices{AddressURLs: addresses[1:2]}},
			[]string{"wss://ownline.example.org:8883", "https://a.example.org"},
		},
		"what would be more than a host": {config.MQTT{URL: "wss://h;x", Devices: config.MQTTDevices{AddressURLs: []string{"https://a,b/"}}}, nil},
	} {
		if got := connectTo(tc.m); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}
