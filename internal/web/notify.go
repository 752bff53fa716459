package web

import (
	"log/slog"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/metrics"
	"github.com/ownline/ownline/internal/web/notify"
)

// newNotify makes the channels that tell people the news.
func newNotify(cfg config.Web, geo notify.Geo, places notify.Places, meter notify.Meter, log *slog.Logger) (*notify.Notify, error) {
	o := notify.Options{
		PublicURL: cfg.PublicURL, Systems: cfg.Policy.ASNDatabase != "", Geo: geo, Places: places, Meter: meter, Log: log.With(logging.Part, "notify"),
	}
	for _, c := range cfg.Notify {
		o.Channels = append(o.Channels, notify.Channel{Name: c.Name, URL: c.URL, Events: c.Events, Fold: c.Fold})
	}
	return notify.New(o)
}

// Notify returns the channels that tell people the news.
func (w *Web) Notify() *notify.Notify { return w.notify }

// tries has attempts to sign in counted and told.
type tries struct {
	metrics *metrics.Metrics
	notify  *notify.Notify
	access  *access.Access
}

// LoginTried counts and tells an attempt, or several that were alike.
func (c tries) LoginTried(a ownline.LoginAttempt) {
	for range a.Count {
		c.metrics.LoggedIn(string(a.Method), string(a.Result))
	}
	c.notify.LoginTried(a)
	if a.Result == ownline.LoginOK {
		c.access.SignedIn(a)
	}
}
