package web

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/metrics"
)

// measured is a store whose transactions are measured.
type measured struct {
	store   access.Store
	metrics *metrics.Metrics
}

// Read measures a transaction that reads.
func (m measured) Read(ctx context.Context, f func(access.Tx) error) error {
	began := time.Now()
	defer func() { m.metrics.Transaction("read", time.Since(began)) }()
	return m.store.Read(ctx, f)
}

// Write measures a transaction that may write.
func (m measured) Write(ctx context.Context, f func(access.Tx) error) error {
	began := time.Now()
	defer func() { m.metrics.Transaction("write", time.Since(began)) }()
	return m.store.Write(ctx, f)
}

// watch has the metrics look at how things stand.
func (w *Web) watch() {
	w.metrics.Watch(func(ctx context.Context) (st metrics.State, err error) {
		st.Brokers = w.brokerMetrics()
		began := time.Now()
		if err := w.ask(ctx); err != nil {
			return st, err
		}
		st.DatabaseTook = time.Since(began)
		if st.DatabaseBytes, err = w.store.Size(ctx); err != nil {
			return st, err
		}
		live, sites, err := w.access.Standing(ctx)
		for _, n := range live {
			st.Sessions = append(st.Sessions, metrics.Sessions{Site: n.Site, State: string(n.State), Number: n.Number})
		}
		for _, s := range sites {
			st.Links = append(st.Links, metrics.Link{Site: s.Name, Up: s.Health.Connected, Wanted: s.Health.Wanted, Applied: s.Health.Applied})
		}
		return st, err
	}, w.log.With(logging.Part, "metrics"))
}

// measuring is the listener of its own that shows metrics and signs of life; the latter are
// to be had there while the server shuts down, too. Without an address it does nothing.
type measuring struct {
	listener net.Listener
	server   *http.Server
}

func (w *Web) measuring(h *health) (*measuring, error) {
	addr := w.cfg.Metrics.Listen
	if addr == "" {
		return &measuring{}, nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("metrics.listen: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", w.metrics.Handler())
	h.signs(mux)
	return &measuring{l, newServer(mux, w.log.With(logging.Part, "metrics"))}, nil
}

// Run shows metrics until ctx ends.
func (m *measuring) Run(ctx context.Context) error {
	if m.server == nil {
		return nil
	}
	done := make(chan error, 1)
	go func() { done <- m.server.Serve(m.listener) }()
	select {
	case err := <-done:
		return fmt.Errorf("metrics: %w", err)
	case <-ctx.Done():
	}
	err := m.server.Close()
	<-done
	return err
}

// Close gives the address up.
func (m *measuring) Close() {
	if m.listener != nil {
		_ = m.listener.Close() // closed already when it was served
	}
}
