package auth

import (
	"crypto/subtle"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// SetupLifetime is how long the link of a first start can be used.
const SetupLifetime = time.Hour

// Setup is the one-time right to make the first admin. It lives only in memory: a restart
// makes another. The nil Setup redeems nothing. Safe for concurrent use.
type Setup struct {
	expires time.Time

	mu   sync.Mutex // guards hash
	hash []byte     // nil: used
}

// NewSetup returns a Setup and the token that redeems it until SetupLifetime from now.
func NewSetup() (*Setup, string) {
	token, hash := newValue("")
	return &Setup{expires: time.Now().Add(SetupLifetime), hash: hash}, token
}

// Redeem runs f if the token is right, at most once with success.
func (s *Setup) Redeem(token string, f func() error) error {
	refused := ownline.Forbidden("token", "this setup link was used, is too old, or was never valid; start ownline-web again for a new one, or run `ownline-web user add --admin NAME`")
	if s == nil {
		return refused
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hash == nil || !time.Now().Before(s.expires) || subtle.ConstantTimeCompare(s.hash, hashOf(token)) != 1 {
		return refused
	}
	if err := f(); err != nil {
		return err
	}
	s.hash = nil
	return nil
}
