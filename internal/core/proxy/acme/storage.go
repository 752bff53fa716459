package acme

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"sync"

	"github.com/caddyserver/certmagic"
)

// storage is the library's files, but locks are held in memory: the directory is core's
// alone, and a lock file of a core that was killed would have to be waited for.
type storage struct {
	certmagic.FileStorage

	mu   sync.Mutex // guards held
	held map[string]chan struct{}
}

// Lock waits for the lock or for ctx to end.
func (s *storage) Lock(ctx context.Context, name string) error {
	for {
		s.mu.Lock()
		other, taken := s.held[name]
		if !taken {
			s.take(name)
		}
		s.mu.Unlock()
		if !taken {
			return nil
		}
		select {
		case <-other:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// TryLock takes the lock if it is free.
func (s *storage) TryLock(_ context.Context, name string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.held[name]; taken {
		return false, nil
	}
	s.take(name)
	return true, nil
}

func (s *storage) take(name string) {
	if s.held == nil {
		s.held = map[string]chan struct{}{}
	}
	s.held[name] = make(chan struct{})
}

// Unlock lets the next one in.
func (s *storage) Unlock(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, taken := s.held[name]; taken {
		close(c)
		delete(s.held, name)
	}
	return nil
}

// mend removes a certificate and a key that do not belong together, so that the library,
// which would stop there, gets new ones.
func (s *storage) mend(ctx context.Context, issuer, name string) error {
	chain, err := s.Load(ctx, certmagic.StorageKeys.SiteCert(issuer, name))
	var key []byte
	if err == nil {
		key, err = s.Load(ctx, certmagic.StorageKeys.SitePrivateKey(issuer, name))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := tls.X509KeyPair(chain, key); err == nil {
		return nil
	}
	return s.Delete(ctx, certmagic.StorageKeys.CertsSitePrefix(issuer, name))
}
