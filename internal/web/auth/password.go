package auth

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"

	"github.com/ownline/ownline/internal/ownline"
)

// The bounds of a password. The upper one keeps a request from costing more than it should;
// there are no other rules, because length is what counts (NIST SP 800-63B, section 3.1.1).
const (
	minPassword = 12   // characters
	maxPassword = 1024 // bytes
)

// checkPassword refuses a password that is too easy to guess. The error is about the field
// "password" and never repeats it.
func checkPassword(password string) error {
	switch {
	case !utf8.ValidString(password):
		return ownline.Invalid("password", "is not valid text")
	case utf8.RuneCountInString(password) < minPassword:
		return ownline.Invalid("password", fmt.Sprintf("is too short: at least %d characters, for instance four words", minPassword))
	case len(password) > maxPassword:
		return ownline.Invalid("password", fmt.Sprintf("is too long: at most %d bytes", maxPassword))
	case strings.Count(password, password[:1]) == len(password):
		return ownline.Invalid("password", "is one character over and over")
	}
	return nil
}

// Passwords makes and compares hashes, a few at a time: each takes 64 MiB for a moment, and
// strangers must not be able to ask for hundreds at once. Safe for concurrent use.
type Passwords struct {
	params *argon2id.Params
	slots  chan struct{} // for anybody
	kept   chan struct{} // for those who signed in from where they are before
	dummy  func() string // what an unknown user's password is compared with
}

// NewPasswords uses the second choice of RFC 9106, section 4: 3 passes over 64 MiB.
func NewPasswords() *Passwords {
	return newPasswords(&argon2id.Params{Memory: 64 * 1024, Iterations: 3, Parallelism: 4, SaltLength: 16, KeyLength: 32})
}

// CheapPasswords makes hashes of the same format that are cheap to make, and to break: for
// tests.
func CheapPasswords() *Passwords {
	return newPasswords(&argon2id.Params{Memory: 8, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32})
}

func newPasswords(params *argon2id.Params) *Passwords {
	p := &Passwords{params: params, slots: make(chan struct{}, 2), kept: make(chan struct{}, 1)}
	p.dummy = sync.OnceValue(func() string {
		hash, err := argon2id.CreateHash("nobody's password", params)
		if err != nil {
			panic(err) // only if the system has no randomness
		}
		return hash
	})
	return p
}

// Hash makes the hash to keep of a password, or refuses one that checkPassword refuses.
func (p *Passwords) Hash(password string) (string, error) {
	if err := checkPassword(password); err != nil {
		return "", err
	}
	return p.hash(password)
}

// hash is Hash for a password that somebody has already, however short.
func (p *Passwords) hash(password string) (string, error) {
	p.slots <- struct{}{}
	defer func() { <-p.slots }()
	hash, err := argon2id.CreateHash(password, p.params)
	if err != nil {
		return "", fmt.Errorf("hash a password: %w", err)
	}
	return hash, nil
}

// match compares. An empty hash matches nothing and takes as long as any other, so that
// the time does not tell whether there is such a user. Whoever is known has a place of
// their own in the queue.
func (p *Passwords) match(ctx context.Context, password, hash string, known bool) (bool, error) {
	var kept chan struct{}
	if known {
		kept = p.kept
	}
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case kept <- struct{}{}:
		defer func() { <-p.kept }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	if len(password) > maxPassword {
		password = ""
	}
	if isForeign(hash) {
		return matchForeign(password, hash)
	}
	against := hash
	if hash == "" {
		against = p.dummy()
	}
	if err := p.CheckHash(against); err != nil {
		return false, fmt.Errorf("compare a password: %w", err)
	}
	ok, err := argon2id.ComparePasswordAndHash(password, against)
	if err != nil {
		return false, fmt.Errorf("compare a password: %w", err)
	}
	return ok && hash != "", nil
}
