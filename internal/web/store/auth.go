package store

import (
	"context"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// Credentials returns a user by name and the hash of their password. A name nobody has is
// ErrNotFound.
func (s *Store) Credentials(ctx context.Context, name string) (ownline.User, string, error) {
	return ownline.User{}, "", errUnfinished
}

// SetPassword replaces the hash of a user's password and forgets their logins and tokens.
func (s *Store) SetPassword(ctx context.Context, id ownline.UserID, hash string) error {
	return errUnfinished
}

// CountUsers returns how many users there are: 0 means that web has not been set up.
func (s *Store) CountUsers(ctx context.Context) (int, error) { return 0, errUnfinished }

// AddLogin keeps a login under the hash of its cookie.
func (s *Store) AddLogin(ctx context.Context, l ownline.Login, hash []byte) error {
	return errUnfinished
}

// Login returns the login with that hash and its user, or ErrNotFound when there is none
// that is valid at now or the user is disabled.
func (s *Store) Login(ctx context.Context, hash []byte, now time.Time) (ownline.Login, ownline.User, error) {
	return ownline.Login{}, ownline.User{}, errUnfinished
}

// ExtendLogin moves the end of a login.
func (s *Store) ExtendLogin(ctx context.Context, id ownline.LoginID, until time.Time) error {
	return errUnfinished
}

// DeleteLogin forgets a login.
func (s *Store) DeleteLogin(ctx context.Context, id ownline.LoginID) error { return errUnfinished }

// AddToken keeps a token under the hash of its value.
func (s *Store) AddToken(ctx context.Context, t ownline.Token, hash []byte) error {
	return errUnfinished
}

// Token returns the token with that hash and its user, or ErrNotFound when there is none
// that is valid at now or the user is disabled.
func (s *Store) Token(ctx context.Context, hash []byte, now time.Time) (ownline.Token, ownline.User, error) {
	return ownline.Token{}, ownline.User{}, errUnfinished
}

// Tokens lists a user's tokens, oldest first.
func (s *Store) Tokens(ctx context.Context, user ownline.UserID) ([]ownline.Token, error) {
	return nil, errUnfinished
}

// TouchToken records that a token was used.
func (s *Store) TouchToken(ctx context.Context, id ownline.TokenID, now time.Time) error {
	return errUnfinished
}

// DeleteToken forgets a token of that user's; another's is ErrNotFound.
func (s *Store) DeleteToken(ctx context.Context, user ownline.UserID, id ownline.TokenID) error {
	return errUnfinished
}

// Audit adds a line to the audit log.
func (s *Store) Audit(ctx context.Context, e ownline.AuditEntry) error { return errUnfinished }

// Setting returns a setting, "" when it was never set.
func (s *Store) Setting(ctx context.Context, key string) (string, error) { return "", errUnfinished }

// SetSetting keeps a setting; "" forgets it.
func (s *Store) SetSetting(ctx context.Context, key, value string) error { return errUnfinished }

// SwapSetting changes a setting from one value to another and reports whether it had the
// first: of two at once, one wins.
func (s *Store) SwapSetting(ctx context.Context, key, old, new string) (bool, error) {
	return false, errUnfinished
}

// LinkIdentity returns web's link key as PEM, which is kept sealed; the first time it is
// made by generate.
func (s *Store) LinkIdentity(ctx context.Context, generate func() ([]byte, error)) ([]byte, error) {
	return nil, errUnfinished
}
