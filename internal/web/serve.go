package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/systemd"
	"github.com/ownline/ownline/internal/version"
	"github.com/ownline/ownline/internal/web/api"
	"github.com/ownline/ownline/internal/web/auth"
	"github.com/ownline/ownline/internal/web/front"
)

// How long a client may take, and how long requests get to finish at the end. Streams of
// events set deadlines of their own.
const (
	headerTimeout   = 10 * time.Second
	requestTimeout  = time.Minute
	idleTimeout     = 2 * time.Minute
	shutdownTimeout = 10 * time.Second
	maxHeader       = 32 << 10
)

// ServeOptions are what Serve needs beside the configuration.
type ServeOptions struct {
	// Terminal is where the setup URL of a first start is shown; nil: there is none, and
	// the URL goes to a file that only we can read.
	Terminal io.Writer
	// Listening, if not nil, is told where the server listens once it does.
	Listening func(net.Addr)
	// Manager is told that the server is up, that it lives and that it stops.
	Manager systemd.Manager
}

// Serve runs the server until ctx ends and has stopped everything when it returns: first
// the requests, then what they need.
func (w *Web) Serve(ctx context.Context, o ServeOptions) (err error) {
	release, err := w.store.Serve()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	if err := checkCountries(w.cfg); err != nil {
		return err
	}
	if err := w.geoip.Load(); err != nil {
		return err
	}
	if err := w.access.CheckLists(ctx); err != nil {
		return err
	}
	setup, forget, err := w.firstStart(ctx, o.Terminal)
	if err != nil {
		return err
	}
	defer forget()
	provider, err := w.oidc()
	if err != nil {
		return err
	}
	rest, err := api.New(api.Options{
		OIDC: provider, Brokers: w.brokerStatus(),
		Access: w.access, Auth: w.auth, Notifications: w.notify, Setup: setup, PublicURL: w.cfg.PublicURL, PagesURL: w.pagesURL(), GuestPage: w.cfg.GuestPage.URL,
		IPv6Prefix: w.cfg.Sessions.IPv6Prefix, Log: w.log.With(logging.Part, "api"),
	})
	if err != nil {
		return err
	}
	pages, err := newPages(w.cfg.MQTT)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", w.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	defer listener.Close()
	var doorListener net.Listener
	if w.door != nil {
		if doorListener, err = net.Listen("tcp", w.cfg.Link.Listen); err != nil {
			return fmt.Errorf("link.listen: %w", err)
		}
		defer doorListener.Close()
	}
	mqttListener, err := w.listenMQTT(ctx)
	if err != nil {
		return err
	}
	if mqttListener != nil {
		defer mqttListener.Close()
	}
	w.warnUnencrypted(listener.Addr())
	w.warnPublished(listener.Addr())
	if err := w.access.KeepOwn(ctx); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	health := &health{ask: w.ask, loops: []loop{{"what ends sessions", w.access.Turned}, {"what commands cores", w.cores.Turned}}, log: w.log}
	measuring, err := w.measuring(health)
	if err != nil {
		return err
	}
	defer measuring.Close()

	log := w.log.With(logging.Part, "http")
	server := newServer(front.New(front.Options{Next: w.routes(rest, pages, health), Callers: w.auth, Meter: w.metrics, Log: log}), log)
	server.RegisterOnShutdown(rest.EndStreams)

	// The rooms outlive the requests: they get a context of their own.
	roomsCtx, stopRooms := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRooms()
	g, roomsCtx := errgroup.WithContext(roomsCtx)
	g.Go(func() error { return w.store.Run(roomsCtx) })
	g.Go(func() error { return w.geoip.Run(roomsCtx) })
	g.Go(func() error { return w.notify.Run(roomsCtx, w.access) })
	g.Go(func() error { return w.access.Run(roomsCtx) })
	g.Go(func() error { return w.access.Follow(roomsCtx) })
	g.Go(func() error { return w.auth.Follow(roomsCtx) })
	g.Go(func() error { return w.cores.Run(roomsCtx, w.access) })
	for _, run := range w.brokerParts(mqttListener) {
		g.Go(func() error { return run(roomsCtx) })
	}
	if w.door != nil {
		g.Go(func() error { return w.door.Serve(roomsCtx, doorListener) })
	}
	g.Go(func() error { return measuring.Run(roomsCtx) })
	g.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.Go(func() error {
		select {
		case <-ctx.Done():
		case <-roomsCtx.Done(): // a room has failed
		}
		defer stopRooms()
		health.stopping.Store(true)
		if err := o.Manager.Tell(systemd.Stopping); err != nil {
			w.log.Warn("the service manager was not told that web stops", logging.Err, err)
		}
		sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		if err := server.Shutdown(sctx); err != nil {
			return errors.Join(fmt.Errorf("requests did not finish: %w", err), server.Close())
		}
		return nil
	})
	g.Go(func() error { return health.tell(roomsCtx, o.Manager) })
	w.log.Info("web is up", "version", version.String(), "listen", listener.Addr().String())
	if o.Listening != nil {
		o.Listening(listener.Addr())
	}
	err = g.Wait()
	w.log.Info("web is down")
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// newServer makes a server that no slow client can wear out.
func newServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: requestTimeout, WriteTimeout: requestTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// warnUnencrypted says what will not work: browsers keep our cookie only over TLS, or from
// this very machine.
func (w *Web) warnUnencrypted(addr net.Addr) {
	ap, err := netip.ParseAddrPort(addr.String())
	if err == nil && !ap.Addr().IsLoopback() && !strings.HasPrefix(w.cfg.PublicURL, "https://") {
		w.log.Warn("listening for other machines without encryption: browsers there can't sign in; put a proxy with TLS in front and set public_url", "listen", addr.String())
	}
}

// warnPublished says what is missing where web is a proxied service.
func (w *Web) warnPublished(addr net.Addr) {
	if !w.cfg.Publish.IsValid() {
		return
	}
	if len(w.cfg.TrustedProxies) == 0 {
		w.log.Warn("publish is set, and trusted_proxies is empty: whoever comes through the router's proxy seems to come from the router, and can open nothing; name the address by which the router reaches us")
	}
	if !strings.HasPrefix(w.cfg.PublicURL, "https://") {
		w.log.Warn("publish is set, and public_url is not: set it to https://" + ownline.OwnService + ".DOMAIN:PORT, with proxy.domain and the port of proxy.listen of core.yaml")
	}
	if ap, err := netip.ParseAddrPort(addr.String()); err == nil && ap.Addr().IsLoopback() {
		w.log.Warn("publish is set, but listen is on loopback, where no other machine gets", "listen", addr.String())
	}
}

// firstStart makes the one-time setup URL while there are no users. forget removes what
// was written of it.
func (w *Web) firstStart(ctx context.Context, terminal io.Writer) (setup *auth.Setup, forget func(), err error) {
	file := filepath.Join(w.cfg.StateDir, setupFile)
	forget = func() {
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			w.log.Warn("the old setup URL can't be removed", "file", file, logging.Err, err)
		}
	}
	forget()
	n, err := w.store.CountUsers(ctx)
	if err != nil || n > 0 {
		return nil, forget, err
	}
	setup, token := auth.NewSetup(w.store)
	// Behind the #, where no server logs it.
	address := w.pagesURL() + "/setup#" + token
	if terminal != nil {
		fmt.Fprintf(terminal, "\nThere are no users yet. To make the first admin, open this within an hour:\n\n  %s\n\n", address)
		return setup, forget, nil
	}
	if err := os.WriteFile(file, []byte(address+"\n"), 0o600); err != nil {
		return nil, forget, fmt.Errorf("setup URL: %w", err)
	}
	w.log.Info("there are no users yet: the file holds the URL, valid for an hour, that makes the first admin", "file", file)
	return setup, forget, nil
}
