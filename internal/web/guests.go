package web

import (
	"net/http"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/web/api"
	"github.com/ownline/ownline/internal/web/broker"
	"github.com/ownline/ownline/internal/web/guestpage"
	"github.com/ownline/ownline/internal/web/redeem"
	"github.com/ownline/ownline/internal/web/ui"
)

// openBroker makes the connection to the broker, if one is configured, and what answers there.
func (w *Web) openBroker() (err error) {
	m := w.cfg.MQTT
	if m.URL == "" {
		return nil
	}
	w.broker, err = broker.New(broker.Options{
		URL: m.URL, Username: m.Username, Password: m.Password, CAFile: m.CAFile, Log: w.log.With(logging.Part, "broker"),
	})
	if err != nil {
		return err
	}
	w.redeem = redeem.New(w.access, w.broker, w.log.With(logging.Part, "redeem"))
	w.broker.Handle(m.InvitationTopic, w.redeem.Handle)
	return nil
}

// brokerStatus tells admins how the broker is reached; nil: none is configured.
func (w *Web) brokerStatus() func() api.BrokerStatus {
	if w.broker == nil {
		return nil
	}
	return func() api.BrokerStatus { return api.BrokerStatus(w.broker.Status()) }
}

// GuestPage is what the exported page for guests has to know.
func GuestPage(cfg config.Web) guestpage.Config {
	g := cfg.GuestPage
	return guestpage.Config{Broker: g.Broker, Topic: cfg.MQTT.InvitationTopic, Username: g.Username, Password: g.Password, Addresses: g.AddressURLs}
}

// newPages serves the app, and the page for guests who can reach us.
func newPages() (http.Handler, error) {
	app, err := ui.New()
	if err != nil {
		return nil, err
	}
	guests, err := guestpage.Handler()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/", app)
	mux.Handle(guestpage.Path, guests)
	return mux, nil
}
