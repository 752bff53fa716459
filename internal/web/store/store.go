package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// Store is an open database. Safe for concurrent use; Close it.
type Store struct {
	path    string // of the file; "": there is none
	dialect dialect
	keys    *keyring

	writerDB  *sql.DB
	readersDB *sql.DB
	writer    chan *conn // holds the one connection that writes, while nobody uses it
	readers   chan *conn // holds those that read, likewise
	opened    int        // connections that belong into the two
	closed    chan struct{}
	closing   sync.Once
	doubted   atomic.Bool // the last transaction that was to write met an error of the database
}

const readerCount = 4

// Keys of settings of the store's own.
const (
	settingKeyCheck = "store.key_check"
	settingEpoch    = "link.epoch"
	settingChanges  = "events.changes"
	settingEnded    = "logins.ended"
	settingIdentity = "link.identity"
	settingTrial    = "store.trial" // see Writable

	settingBroker = "broker.certificate" // see ownline.BrokerCertificate

	settingNextIdentity = "link.identity.next"  // the link key that is to take its place; there is one while that is under way
	settingNextKnown    = "link.identity.known" // what the cores know of it: see link.Keys
)

// Open opens a database and brings its schema up to date: the SQLite file at a path, which
// is made (mode 0600) when it is not there, or PostgreSQL's at an address of the form
// postgres://USER:PASSWORD@HOST/NAME. key (32 bytes) seals the secrets in it; another key
// than the one it was made with is an error.
func Open(ctx context.Context, database string, key ownline.Secret) (*Store, error) {
	return openWith(ctx, database, &keyring{fixed: key, boxes: make(map[string]*box)})
}

// OpenKeyFile is Open with the key in a file, which KeyFile makes for a new database, and
// which Rotate may replace while the database is open.
func OpenKeyFile(ctx context.Context, database, path string) (*Store, error) {
	if _, err := KeyFile(ctx, path, database); err != nil {
		return nil, err
	}
	return openWith(ctx, database, &keyring{path: path, boxes: make(map[string]*box)})
}

func openWith(ctx context.Context, database string, keys *keyring) (_ *Store, err error) {
	s := &Store{keys: keys, writer: make(chan *conn, 1), readers: make(chan *conn, readerCount), closed: make(chan struct{})}
	if !IsPostgres(database) {
		s.path = database
	}
	var name string
	defer func() {
		if err != nil {
			s.Close()
			err = fmt.Errorf("open database %s: %w", name, damaged(err))
		}
	}()
	if s.dialect, s.writerDB, s.readersDB, name, err = open(database); err != nil {
		return nil, err
	}
	if err := migrate(ctx, s.writerDB, s.dialect, s.path); err != nil {
		return nil, err
	}
	w, err := newConn(ctx, s.writerDB, &s.dialect)
	if err != nil {
		return nil, err
	}
	s.writer <- w
	s.opened++
	for range readerCount {
		r, err := newConn(ctx, s.readersDB, &s.dialect)
		if err != nil {
			return nil, err
		}
		s.readers <- r
		s.opened++
	}
	if err := s.checkKey(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Close waits for the transactions that run, and closes the database. What comes later is
// ErrUnavailable.
func (s *Store) Close() error {
	var errs []error
	s.closing.Do(func() {
		close(s.closed)
		for range s.opened {
			select {
			case c := <-s.writer:
				errs = append(errs, c.close())
			case c := <-s.readers:
				errs = append(errs, c.close())
			}
		}
		for _, db := range []*sql.DB{s.readersDB, s.writerDB} {
			if db != nil {
				errs = append(errs, db.Close())
			}
		}
	})
	return errors.Join(errs...)
}

// checkpointEvery and checkpointSize: a log of a few megabytes is moved into the database
// file at the next turn, beside the writers and without making them wait.
const (
	checkpointEvery = 2 * time.Second
	checkpointSize  = 4 << 20
)

// Run keeps SQLite's log short until ctx ends. PostgreSQL does that itself.
func (s *Store) Run(ctx context.Context) error {
	if s.path == "" {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(checkpointEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if fi, err := os.Stat(s.path + "-wal"); err != nil || fi.Size() < checkpointSize {
			continue
		}
		if _, err := s.writerDB.ExecContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)"); err != nil && ctx.Err() == nil {
			return fmt.Errorf("checkpoint: %w", err)
		}
	}
}

// newEpoch makes a name for an epoch.
func newEpoch() string {
	b := make([]byte, 12)
	rand.Read(b) // never fails: crypto/rand crashes the program instead
	return base64.RawURLEncoding.EncodeToString(b)
}

// Path returns where the SQLite file is; "" when the database is PostgreSQL's.
func (s *Store) Path() string { return s.path }
