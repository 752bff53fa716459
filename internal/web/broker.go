package web

import (
	"cmp"
	"fmt"

	"github.com/ownline/ownline/internal/broker"
	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/api"
	"github.com/ownline/ownline/internal/web/mqttknock"
	"github.com/ownline/ownline/internal/web/redeem"
)

// openBroker makes the connection to the broker, if one is configured, and what answers there.
func (w *Web) openBroker() (err error) {
	m := w.cfg.MQTT
	if m.URL == "" {
		return nil
	}
	w.broker, err = broker.New(broker.Options{
		URL: m.URL, Username: m.Username, Password: m.Password, Reload: readFiles(m), Log: w.log.With(logging.Part, "broker"),
	})
	if err != nil {
		return err
	}
	w.redeem = redeem.New(w.access, w.broker, w.log.With(logging.Part, "redeem"))
	w.broker.Handle(m.InvitationTopic, w.redeem.Handle)
	w.knocks = mqttknock.New(w.access, w.broker, m.MaxClockSkew, w.log.With(logging.Part, "mqttknock"))
	w.broker.Handle(m.Topic, w.knocks.Handle)
	return nil
}

// readFiles reads the files that the configuration names anew before every connection: a
// certificate that was renewed counts from the next one on.
func readFiles(m config.MQTT) func(*broker.Options) error {
	return func(o *broker.Options) (err error) {
		if o.Authorities, err = config.Authorities(m.CAFile); err != nil {
			return fmt.Errorf("mqtt.ca_file: %w", err)
		}
		if o.Certificate, err = config.KeyPair(m.CertFile, m.KeyFile); err != nil {
			return fmt.Errorf("mqtt.cert_file: %w", err)
		}
		return nil
	}
}

// brokerStatus tells admins how the broker is reached; nil: none is configured.
func (w *Web) brokerStatus() func() api.BrokerStatus {
	if w.broker == nil {
		return nil
	}
	return func() api.BrokerStatus { return api.BrokerStatus(w.broker.Status()) }
}

// deviceBroker is what new devices are told; none where they could not learn their address.
func deviceBroker(m config.MQTT) ownline.Broker {
	d := m.Devices
	if len(d.AddressURLs) == 0 {
		return ownline.Broker{}
	}
	b := ownline.Broker{URL: cmp.Or(d.URL, m.URL), Username: d.Username, Password: d.Password, AddressURLs: d.AddressURLs}
	if m.Topic != ownline.DefaultTopic {
		b.Topic = m.Topic
	}
	return b
}
