package web

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/broker"
	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/test/freeport"
)

// A device that is made while there is an embedded broker gets in there by what its profile
// says; its knocks count as any, once over both brokers, and a revoked one is cut off.
func TestKnockByEmbeddedBroker(t *testing.T) {
	addr := freeport.Addr(t).String()
	p := newParty(t, func(c *config.Web) {
		c.MQTT.Embedded = config.MQTTEmbedded{Listen: addr, URL: "ws://" + addr + "/"}
		c.MQTT.Devices.AddressURLs = []string{"stun:stun.example.org:3478"}
	})
	d := p.phone()
	if d.way.URL != "ws://"+addr+"/" || d.way.Username != d.id.String() || len(d.way.Password) != 43 {
		t.Fatalf("the profile names %+v", d.way)
	}
	if a := d.knock("198.51.100.40"); a.Sessions != 1 || a.Source.String() != "198.51.100.40" {
		t.Fatalf("the first knock: %+v", a)
	}
	if n := p.web.embedded.Counts(); n.Taken == 0 {
		t.Errorf("went another way: %+v", n)
	}
	outer := d
	outer.way = broker.Options{URL: p.broker.TCP, Log: d.way.Log}
	// The same knock by both ways.
	n := newKnock("198.51.100.41")
	sealed := d.keys.Seal(n)
	if a, ok := outer.send(n.Nonce, 20*time.Second, sealed[:]); !ok || a.Status != knock.Opened {
		t.Fatalf("through the outer broker: %+v, %v", a, ok)
	}
	revision := p.revision()
	if a, ok := d.send(n.Nonce, time.Second, sealed[:], sealed[:]); ok || p.revision() != revision {
		t.Errorf("counts again through the embedded broker: %+v", a)
	}
	// Another device's login is of no use with this one's knock, and the other way round; but
	// what is sealed decides.
	other := p.phoneNamed("other")
	mixed := d
	mixed.way.Username = other.way.Username
	c, err := broker.New(mixed.way)
	if err != nil {
		t.Fatal(err)
	}
	stop := runBroker(t, c)
	eventually(t, func() string {
		if strings.Contains(c.Status().Error, "name or the password") {
			return ""
		}
		return "somebody else's name is let in"
	})
	stop()

	c, err = broker.New(d.way)
	if err != nil {
		t.Fatal(err)
	}
	stop = runBroker(t, c)
	defer stop()
	eventually(t, func() string {
		if c.Status().Connected {
			return ""
		}
		return "the device does not get in: " + c.Status().Error
	})
	if _, err := p.web.Access().RevokeDevice(t.Context(), p.host, d.id); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() string {
		if s := c.Status(); !s.Connected && strings.Contains(s.Error, "name or the password") {
			return ""
		}
		return "a revoked device is let in"
	})
}

// runBroker runs a connection until the result is called.
func runBroker(t *testing.T, c *broker.Conn) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// A broker's address that is taken keeps web from starting, and it says whose it is.
func TestEmbeddedBrokerAddress(t *testing.T) {
	w := open(t, func(c *config.Web) {
		c.MQTT.Embedded = config.MQTTEmbedded{Listen: c.Listen, URL: "tcp://127.0.0.1:1"}
	})
	addr := freeport.Addr(t).String()
	w.cfg.Listen, w.cfg.MQTT.Embedded.Listen = addr, addr
	if err := w.Serve(t.Context(), ServeOptions{}); err == nil || !strings.Contains(err.Error(), "mqtt.embedded.listen") {
		t.Errorf("Serve() = %v", err)
	}
	if b, err := deviceBroker(config.MQTT{URL: "tls://b", Embedded: config.MQTTEmbedded{URL: "tls://own"}}); err != nil || b.URL != "" {
		t.Errorf("devices are told of %+v though they can't learn their address; %v", b, err)
	}
}
