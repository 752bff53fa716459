package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/logging"
)

// Proxy serves exactly the given services. After an error those from before are still served.
// Services makes one call at a time.
type Proxy interface {
	Apply(ctx context.Context, services []link.Service) error
}

// Services makes the proxy follow what web wants served. Run it; the other methods are safe for
// concurrent use.
type Services struct {
	proxy Proxy
	log   *slog.Logger
	wake  chan struct{}

	mu   sync.Mutex // guards the following
	want []link.Service
	err  error // of the last try
}

// NewServices makes a Services.
func NewServices(proxy Proxy, log *slog.Logger) *Services {
	return &Services{proxy: proxy, log: log, wake: make(chan struct{}, 1)}
}

// Set replaces what is to be served. It does not wait until it is.
func (s *Services) Set(want []link.Service) {
	s.mu.Lock()
	s.want = want
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Err returns why the proxy does not serve what is wanted, nil when it does.
func (s *Services) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Len returns how many services are to be served.
func (s *Services) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.want)
}

// Run works until ctx ends. Changes that come while one is applied become one; after a failure
// it tries again.
func (s *Services) Run(ctx context.Context) error {
	again := time.NewTimer(time.Hour)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-again.C:
		}
		s.mu.Lock()
		want := s.want
		s.mu.Unlock()
		err := s.proxy.Apply(ctx, want)
		if err != nil {
			again.Reset(retryEvery)
		}
		s.finish(err)
	}
}

// notRunning reports whether the server of somebody else that is the proxy is merely not there.
func notRunning(err error) bool {
	var away interface{ NotRunning() }
	return errors.As(err, &away)
}

func (s *Services) finish(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if (err == nil) != (s.err == nil) || notRunning(err) != notRunning(s.err) {
		if notRunning(err) {
			s.log.Warn("the proxy's server does not run yet; it gets the services as soon as it does", logging.Err, err)
		} else if err != nil {
			s.log.Error("the proxy refused the services; it serves those from before", logging.Err, err)
		} else {
			s.log.Info("the proxy serves what is wanted")
		}
	}
	s.err = err
}
