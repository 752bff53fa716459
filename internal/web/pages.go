package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/web/guestpage"
	"github.com/ownline/ownline/internal/web/ui"
)

// pagesURL is where links to our pages begin.
func (w *Web) pagesURL() string {
	if w.cfg.PublicURL != "" {
		return w.cfg.PublicURL
	}
	return "http://" + w.cfg.Listen
}

// GuestPage is what the exported page for guests has to know.
func GuestPage(cfg config.Web) guestpage.Config {
	g := cfg.GuestPage
	return guestpage.Config{Broker: g.Broker, Topic: cfg.MQTT.InvitationTopic, Username: g.Username, Password: g.Password, Addresses: g.AddressURLs}
}

// newPages serves the app, and the page for guests who can reach us.
func newPages(m config.MQTT) (http.Handler, error) {
	app, err := ui.New(connectTo(m)...)
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

// connectTo is where the app in a browser connects to beside us: the broker that it knocks
// through, and what tells it its address.
func connectTo(m config.MQTT) (origins []string) {
	if len(m.Devices.AddressURLs) == 0 {
		return nil // then profiles have no broker
	}
	for _, address := range append([]string{brokerURL(m)}, m.Devices.AddressURLs...) {
		u, err := url.Parse(address)
		if err != nil || !slices.Contains([]string{"ws", "wss", "https"}, u.Scheme) {
			continue // no browser connects there by itself
		}
		if strings.ContainsAny(u.Host, ";, ") {
			continue // no host has these, and they would end what is allowed
		}
		if origin := u.Scheme + "://" + u.Host; !slices.Contains(origins, origin) {
			origins = append(origins, origin)
		}
	}
	return origins
}

// routes puts the API, the pages and the signs of life together.
func (w *Web) routes(rest, pages http.Handler, h *health) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/", rest)
	mux.Handle("/", pages)
	h.signs(mux)
	secure := strings.HasPrefix(w.cfg.PublicURL, "https://")
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		head := rw.Header()
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("X-Frame-Options", "DENY")
		head.Set("Referrer-Policy", "no-referrer")
		head.Set("Cross-Origin-Opener-Policy", "same-origin")
		head.Set("Cross-Origin-Resource-Policy", "same-origin")
		head.Set("Permissions-Policy", "camera=(self), geolocation=(), microphone=()") // the camera reads QR codes
		if secure {
			head.Set("Strict-Transport-Security", "max-age=31536000")
		}
		mux.ServeHTTP(rw, r)
	})
}
