package web

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"

	"github.com/ownline/ownline/internal/broker"
	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/api"
	"github.com/ownline/ownline/internal/web/brokercert"
	"github.com/ownline/ownline/internal/web/metrics"
	"github.com/ownline/ownline/internal/web/mqttbroker"
	"github.com/ownline/ownline/internal/web/mqttknock"
	"github.com/ownline/ownline/internal/web/redeem"
)

// openBroker makes the connection to the broker, and the broker inside web, as far as they are
// configured, and what answers there.
func (w *Web) openBroker() (err error) {
	m := w.cfg.MQTT
	if m.URL == "" && m.Embedded.Listen == "" {
		return nil
	}
	w.redeem = redeem.New(w.access, api.CodeOf, w.log.With(logging.Part, "redeem"))
	w.knocks = mqttknock.New(w.access, messages{w.metrics, w.access}, m.MaxClockSkew, w.log.With(logging.Part, "mqttknock"))
	if m.URL != "" {
		w.broker, err = broker.New(broker.Options{
			URL: m.URL, Username: m.Username, Password: m.Password, Reload: readFiles(m), Log: w.log.With(logging.Part, "broker"),
		})
		if err != nil {
			return err
		}
		w.broker.Handle(m.InvitationTopic, w.redeem.From(w.broker))
		w.broker.Handle(m.Topic, w.knocks.From(w.broker))
	}
	if m.Embedded.Listen == "" {
		return nil
	}
	log := w.log.With(logging.Part, "mqttbroker")
	o := mqttbroker.Options{
		Devices: w.access, Topic: m.Topic, InvitationTopic: m.InvitationTopic,
		Guest: w.cfg.GuestPage.Username, GuestPassword: ownline.Secret(w.cfg.GuestPage.Password), Log: log,
	}
	if err := w.openCertificate(log); err != nil {
		return err
	}
	if w.shown != nil {
		o.Certificate = w.shown.Certificate
	}
	if w.embedded, err = mqttbroker.New(o); err != nil {
		return err
	}
	w.embedded.Handle(m.InvitationTopic, w.redeem.From(w.embedded))
	w.embedded.Handle(m.Topic, w.knocks.From(w.embedded))
	return nil
}

// certificate is what the embedded broker shows.
type certificate interface {
	Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
	Status() brokercert.Status
}

func (w *Web) openCertificate(log *slog.Logger) error {
	e := w.cfg.MQTT.Embedded
	switch {
	case e.Certificate == config.ProxyCertificate:
		w.keeper = brokercert.Keep(brokercert.Options{Name: e.Name(), Store: w.store, Sites: w.access.Commanded, Cores: w.cores, Log: log})
		w.shown = w.keeper
	case e.CertFile != "":
		files, err := brokercert.Files(e.CertFile, e.KeyFile, log)
		if err != nil {
			return err
		}
		w.shown = files
	}
	return nil
}

// signedName is the embedded broker's host name, if a router signs its certificate.
func signedName(e config.MQTTEmbedded) string {
	if e.Certificate != config.ProxyCertificate {
		return ""
	}
	return e.Name()
}

// readFiles reads the files that the configuration names anew before every connection: a
// certificate that was renewed, and another password, count from the next one on.
func readFiles(m config.MQTT) func(*broker.Options) error {
	return func(o *broker.Options) (err error) {
		if o.Authorities, err = config.Authorities(m.CAFile); err != nil {
			return fmt.Errorf("mqtt.ca_file: %w", err)
		}
		if o.Certificate, err = config.KeyPair(m.CertFile, m.KeyFile); err != nil {
			return fmt.Errorf("mqtt.cert_file: %w", err)
		}
		if m.PasswordFile != "" {
			if o.Password, err = config.Secret(m.PasswordFile); err != nil {
				return fmt.Errorf("mqtt.password_file: %w", err)
			}
		}
		return nil
	}
}

// listenMQTT takes the embedded broker's address, if there is one.
func (w *Web) listenMQTT(ctx context.Context) (net.Listener, error) {
	if w.embedded == nil {
		return nil, nil
	}
	if w.keeper != nil {
		if err := w.keeper.Load(ctx); err != nil {
			return nil, fmt.Errorf("mqtt.embedded.certificate: %w", err)
		}
	}
	l, err := net.Listen("tcp", w.cfg.MQTT.Embedded.Listen)
	if err != nil {
		return nil, fmt.Errorf("mqtt.embedded.listen: %w", err)
	}
	return l, nil
}

// brokerParts are the loops that the brokers need.
func (w *Web) brokerParts(l net.Listener) (parts []func(context.Context) error) {
	if w.knocks != nil {
		parts = append(parts,
			func(ctx context.Context) error {
				return w.redeem.Run(ctx, w.access.Subscribe(access.System(), 0))
			},
			func(ctx context.Context) error {
				return w.knocks.Run(ctx, w.access.Subscribe(access.System(), 0))
			})
	}
	if w.broker != nil {
		parts = append(parts, w.broker.Run)
	}
	if w.keeper != nil {
		parts = append(parts, func(ctx context.Context) error {
			return w.keeper.Run(ctx, w.access.Subscribe(access.System(), 0))
		})
	}
	if w.embedded != nil {
		parts = append(parts, func(ctx context.Context) error {
			return w.embedded.Serve(ctx, l, w.access.Subscribe(access.System(), 0))
		})
	}
	return parts
}

// brokerStatus tells admins how the brokers do.
func (w *Web) brokerStatus() (b api.Brokers) {
	if w.broker != nil {
		b.Outer = func() api.BrokerStatus { return api.BrokerStatus(w.broker.Status()) }
	}
	if w.embedded != nil {
		b.Embedded = func() api.EmbeddedStatus {
			s := w.embedded.Status()
			status := api.EmbeddedStatus{Serving: s.Serving, Since: s.Since, Clients: s.Clients, RefusedLogins: s.Logins.Refused, LastRefused: s.Logins.Last, RefusedFrom: s.Logins.From}
			if w.shown != nil {
				c := w.shown.Status()
				status.Certificate = &api.CertificateStatus{Expires: c.Expires, Problem: c.Problem, Next: c.Next}
			}
			return status
		}
	}
	return b
}

// brokerMetrics tells what the brokers have done.
func (w *Web) brokerMetrics() (all []metrics.Broker) {
	if w.broker != nil {
		n := w.broker.Counts()
		all = append(all, metrics.Broker{
			Name: "outer", Up: w.broker.Status().Connected, Connections: n.Connections, Taken: n.Taken, Dropped: n.Dropped,
		})
	}
	if w.embedded != nil {
		n, s := w.embedded.Counts(), w.embedded.Status()
		m := metrics.Broker{
			Name: "embedded", Up: s.Serving, Connections: n.Connections, Taken: n.Taken, Dropped: n.Dropped, Refused: n.Refused, Clients: s.Clients,
		}
		if w.shown != nil {
			m.TLS, m.Expires = true, w.shown.Status().Expires
		}
		all = append(all, m)
	}
	return all
}

// brokerURL is the broker as devices reach it.
func brokerURL(m config.MQTT) string { return cmp.Or(m.Embedded.URL, m.Devices.URL, m.URL) }

// deviceBroker is what new devices are told; none where they could not learn their address.
func deviceBroker(m config.MQTT) (b ownline.Broker, err error) {
	d := m.Devices
	if len(d.AddressURLs) == 0 {
		return b, nil
	}
	b = ownline.Broker{URL: brokerURL(m), Username: d.Username, Password: d.Password, AddressURLs: d.AddressURLs}
	if m.Topic != ownline.DefaultTopic {
		b.Topic = m.Topic
	}
	if b.Authority, err = config.Authority(d.CAFile); err != nil {
		return b, fmt.Errorf("mqtt.devices.ca_file: %w", err)
	}
	return b, nil
}

// messages counts what comes to the topic of knocks.
type messages struct {
	metrics *metrics.Metrics
	access  *access.Access
}

// KnockedByBroker counts a message. What access has decided on, it counts itself.
func (m messages) KnockedByBroker(result string) {
	m.metrics.KnockedByBroker(result)
	if result != "taken" && result != "ignored" {
		m.access.RefusedByBroker(result)
	}
}
