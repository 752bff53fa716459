package auth

import (
	"context"
	"crypto/subtle"
	"errors"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// setupLifetime is how long the link of a first start can be used.
const setupLifetime = time.Hour

// Setup is the one-time right to make the first admin. It lives only in memory: a restart
// makes another. The nil Setup redeems nothing. Safe for concurrent use.
type Setup struct {
	users   Counter
	expires time.Time

	mu   sync.Mutex // guards hash
	hash []byte     // nil: used
}

// Counter tells how many users there are.
type Counter interface {
	CountUsers(context.Context) (int, error)
}

// NewSetup returns a Setup and the token that redeems it until setupLifetime from now, as
// long as there are no users.
func NewSetup(users Counter) (*Setup, string) {
	token, hash := newValue("")
	return &Setup{users: users, expires: time.Now().Add(setupLifetime), hash: hash}, token
}

// Redeem runs f if the token is right, at most once with success.
func (s *Setup) Redeem(ctx context.Context, token string, f func() error) error {
	// That there are users already is no secret: who opens the pages is asked to sign in.
	finished := ownline.Forbidden("token", "the setup is finished: sign in instead")
	refused := ownline.Forbidden("token", "this setup link is too old, or was never valid; start ownline-web again for a new one, or run `ownline-web user add --admin NAME`")
	if s == nil {
		return finished
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hash == nil {
		return finished
	}
	if !time.Now().Before(s.expires) || subtle.ConstantTimeCompare(s.hash, hashOf(token)) != 1 {
		return refused
	}
	// Somebody may have made the admin by the command meanwhile.
	switch n, err := s.users.CountUsers(ctx); {
	case err != nil:
		return errors.Join(err, refused)
	case n > 0:
		return finished
	}
	if err := f(); err != nil {
		return err
	}
	s.hash = nil
	return nil
}
