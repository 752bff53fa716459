// Package web builds the web server from the rooms below it and runs them.
package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"

	"github.com/ownline/ownline/internal/broker"
	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/policy"
	"github.com/ownline/ownline/internal/version"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/auth"
	"github.com/ownline/ownline/internal/web/brokercert"
	"github.com/ownline/ownline/internal/web/geoip"
	"github.com/ownline/ownline/internal/web/metrics"
	"github.com/ownline/ownline/internal/web/mqttbroker"
	"github.com/ownline/ownline/internal/web/mqttknock"
	"github.com/ownline/ownline/internal/web/notify"
	"github.com/ownline/ownline/internal/web/redeem"
	"github.com/ownline/ownline/internal/web/sites"
	"github.com/ownline/ownline/internal/web/store"
	"github.com/ownline/ownline/internal/wholefile"
)

// Names of files in the state directory.
const (
	databaseFile = "ownline.db"
	keyFile      = "secret.key"
	setupFile    = "setup-url"
)

// Web is an open web: its database and what works on it. Close it.
type Web struct {
	cfg      config.Web
	log      *slog.Logger
	store    *store.Store
	identity *link.Identity
	door     *link.Door // nil: cores can't dial
	cores    *sites.Cores
	access   *access.Access
	auth     *auth.Auth
	broker   *broker.Conn       // nil: none is configured
	embedded *mqttbroker.Broker // likewise
	shown    certificate        // of embedded; nil: no TLS
	keeper   *brokercert.Keeper // of shown; nil: that is of files
	redeem   *redeem.Room       // nil: there is neither
	knocks   *mqttknock.Room    // likewise
	geoip    *geoip.Databases   // empty until Serve loads it
	notify   *notify.Notify
	metrics  *metrics.Metrics
}

// Open opens the database, making it and the key beside it on the first start, and what
// works on it. It starts nothing: commands use it as it is, beside a server that runs.
func Open(ctx context.Context, cfg config.Web, log *slog.Logger) (_ *Web, err error) {
	if err := wholefile.Folder(cfg.StateDir); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	w := &Web{cfg: cfg, log: log, metrics: metrics.New(version.String())}
	w.geoip = geoip.New(geoip.Options{Country: cfg.Policy.GeoIPDatabase, ASN: cfg.Policy.ASNDatabase, Log: log.With(logging.Part, "geoip")})
	if w.store, err = store.OpenKeyFile(ctx, database(cfg), secretKeyFile(cfg)); err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.store.Close())
		}
	}()
	pem, err := w.store.LinkIdentity(ctx, link.GenerateIdentity)
	if err != nil {
		return nil, fmt.Errorf("link key: %w", err)
	}
	if w.identity, err = link.ParseIdentity(pem); err != nil {
		return nil, err
	}
	if cfg.Link.Listen != "" {
		w.door = link.NewDoor(w.identity, log.With(logging.Part, "door"))
	}
	w.cores = sites.New(sites.Options{
		Identity: w.identity, Keys: w.store, Door: w.door, PairFile: cfg.PairFile, PairHost: pairHost(cfg.PublicURL), Log: log.With(logging.Part, "sites"),
	})
	if w.notify, err = newNotify(cfg, w.geoip, w.store, w.metrics, log); err != nil {
		return nil, err
	}
	devices, err := deviceBroker(cfg.MQTT)
	if err != nil {
		return nil, err
	}
	passwords := auth.NewPasswords()
	s := cfg.Sessions
	w.access = access.New(access.Options{
		Store: measured{access.Over(w.store), w.metrics}, Enforcer: w.cores, Passwords: passwords, Countries: w.countries(), ASNs: w.asns(),
		Limits: policy.Limits{
			Default: s.Default, Max: s.Max, Automatic: s.Automatic,
			PortMin: s.PortRange.First, PortMax: s.PortRange.Last,
			Origins: cfg.Policy.Origins(),
		},
		Overlap: s.RoamingOverlap, IPv6Prefix: s.IPv6Prefix, Reporter: w.notify, Log: log.With(logging.Part, "access"),
		Retention: access.Retention{History: cfg.Retention.History, Audit: cfg.Retention.Audit, Logins: cfg.Retention.Logins}, Broker: devices, OwnBroker: cfg.MQTT.Embedded.Listen != "", Signed: signedName(cfg.MQTT.Embedded), Publish: cfg.Publish, PublicURL: cfg.PublicURL, Doorstep: cfg.Doorstep, Meter: w.metrics,
	})
	w.auth = auth.New(auth.Options{Store: w.store, Passwords: passwords, TrustedProxies: cfg.TrustedProxies, PublicURL: cfg.PublicURL, Reporter: tries{w.metrics, w.notify, w.access}, Log: log.With(logging.Part, "auth")})
	w.watch()
	if err := w.openBroker(); err != nil {
		return nil, err
	}
	return w, nil
}

// Check finds what is wrong with a configuration and else only shows when it is used:
// channels and databases of addresses. It sends nothing.
func Check(cfg config.Web) error {
	log := slog.New(slog.DiscardHandler)
	if _, err := newNotify(cfg, nil, nil, nil, log); err != nil {
		return err
	}
	if err := checkCountries(cfg); err != nil {
		return err
	}
	return geoip.New(geoip.Options{Country: cfg.Policy.GeoIPDatabase, ASN: cfg.Policy.ASNDatabase, Log: log}).Load()
}

// checkCountries is not in config, which is the router's as well: the countries there are would not fit.
func checkCountries(cfg config.Web) error {
	return access.CheckCountries("policy.countries", cfg.Policy.Countries)
}

// countries knows where addresses are, if the configuration names a database.
func (w *Web) countries() access.Countries {
	if w.cfg.Policy.GeoIPDatabase == "" {
		return nil
	}
	return w.geoip
}

// asns likewise.
func (w *Web) asns() access.ASNs {
	if w.cfg.Policy.ASNDatabase == "" {
		return nil
	}
	return w.geoip
}

func database(cfg config.Web) string {
	if len(cfg.Database) > 0 {
		return string(cfg.Database)
	}
	return filepath.Join(cfg.StateDir, databaseFile)
}

func secretKeyFile(cfg config.Web) string {
	if cfg.SecretKeyFile != "" {
		return cfg.SecretKeyFile
	}
	return filepath.Join(cfg.StateDir, keyFile)
}

// pairHost is the name that a site gets that pairs by the file on this machine. No device
// gets a profile for localhost: an admin has to name the site's host first.
func pairHost(publicURL string) string {
	if u, err := url.Parse(publicURL); err == nil && u.Hostname() != "" {
		return u.Hostname()
	}
	return "localhost"
}

// Access returns the use cases.
func (w *Web) Access() *access.Access { return w.access }

// Core returns a way to ask the core of a site, beside the server that commands it. Close
// it. A core that dials web can only be asked by the server itself: then it is nil.
func (w *Web) Core(addr, pin string) *link.Client {
	if addr == "" {
		return nil
	}
	return w.identity.NewClient(addr, link.Pin(pin))
}

// OpenDoor lets cores dial in, for a command that pairs with one while no server runs. The
// result closes the door and waits for what it started.
func (w *Web) OpenDoor(ctx context.Context) (func() error, error) {
	if w.door == nil {
		return nil, ownline.Invalid("code", "is of a core that dials web; set link.listen in web.yaml to where it dials")
	}
	l, err := net.Listen("tcp", w.cfg.Link.Listen)
	if err != nil {
		return nil, fmt.Errorf("this core dials web, but link.listen is taken: %w. If it is by the server that runs, stop that for a moment, or have it pair: POST /api/v1/sites", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- w.door.Serve(ctx, l) }()
	return func() error {
		cancel()
		return <-done
	}, nil
}

// Close closes the database.
func (w *Web) Close() error { return w.store.Close() }
