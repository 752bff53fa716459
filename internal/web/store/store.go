package store

import (
	"context"
	"errors"

	"github.com/ownline/ownline/internal/ownline"
)

// Store is an open database. Safe for concurrent use; Close it.
type Store struct{}

var errUnfinished = errors.New("unfinished")

// Open opens the SQLite file at path, making it (mode 0600) when it is not there, and
// brings its schema up to date. key (32 bytes) seals the secrets in it; another key than
// the one it was made with is an error.
func Open(ctx context.Context, path string, key ownline.Secret) (*Store, error) {
	return nil, errUnfinished
}

// Close closes the database after what is running.
func (s *Store) Close() error { return nil }

// Run keeps the database's log short until ctx ends.
func (s *Store) Run(ctx context.Context) error { return errUnfinished }
