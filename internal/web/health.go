package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/systemd"
)

const (
	answerWithin = 5 * time.Second // the database
	turnWithin   = 2 * time.Minute // a loop, which turns far more often
)

// health knows whether the server is alive and ready, and tells whoever keeps it running.
type health struct {
	ask      func(context.Context) error // a small question to the database
	loops    []loop
	stopping atomic.Bool
	log      *slog.Logger
}

// loop is something that comes round again and again.
type loop struct {
	name   string
	turned func() time.Time // when it last began a turn; zero: it has not begun
}

// alive says which loop has stopped turning.
func (h *health) alive() error {
	for _, lp := range h.loops {
		if at := lp.turned(); !at.IsZero() && time.Since(at) > turnWithin {
			return fmt.Errorf("%s has not gone on for %s", lp.name, time.Since(at).Round(time.Second))
		}
	}
	return nil
}

var errStopping = errors.New("shutting down")

// ready says why requests should go elsewhere.
func (h *health) ready(ctx context.Context) error {
	if h.stopping.Load() {
		return errStopping
	}
	if err := h.alive(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	if err := h.ask(ctx); err != nil {
		h.log.WarnContext(ctx, "not ready", logging.Err, err)
		if errors.Is(err, errUnwritable) {
			return errUnwritable
		}
		return errors.New("the database does not answer")
	}
	return nil
}

// signs answers those who ask for signs of life.
func (h *health) signs(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { sign(w, h.alive(), "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { sign(w, h.ready(r.Context()), "ready") })
}

func sign(w http.ResponseWriter, err error, good string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		good = err.Error()
	}
	_, _ = io.WriteString(w, good+"\n") // a client that went away needs no answer
}

// tell keeps the service manager informed until ctx ends: at once that the server is ready,
// and then that it lives, as long as its loops turn. A database that does not answer is no
// reason to start anew: that mends nothing, and interrupts what goes on without it.
func (h *health) tell(ctx context.Context, m systemd.Manager) error {
	if err := m.Tell(systemd.Ready); err != nil {
		return err
	}
	if m.AliveEvery() == 0 {
		return nil
	}
	tick := time.NewTicker(m.AliveEvery())
	defer tick.Stop()
	for {
		if err := h.alive(); err == nil {
			if err := m.Tell(systemd.Alive); err != nil {
				h.log.Warn("the service manager was not told that web lives", logging.Err, err)
			}
		} else {
			h.log.Error("web is not well; the service manager is not told that it lives", logging.Err, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

var errUnwritable = errors.New("the database can't be written")

// ask asks the database a small question, and whether it can be written.
func (w *Web) ask(ctx context.Context) error {
	if _, err := w.store.CountUsers(ctx); err != nil {
		return err
	}
	if err := w.store.Writable(ctx); err != nil {
		return fmt.Errorf("%w: %w", errUnwritable, err)
	}
	return nil
}
