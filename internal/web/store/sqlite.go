package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

//go:embed migrations/sqlite/*.sql
var sqliteMigrations embed.FS

// dialect is what differs between databases.
type dialect struct {
	goose      goose.Dialect
	migrations fs.FS
	begin      string // starts a transaction that writes
	unique     func(error) bool
}

func sqliteDialect() dialect {
	dir, err := fs.Sub(sqliteMigrations, "migrations/sqlite")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return dialect{
		goose: goose.DialectSQLite3, migrations: dir,
		// Taking the lock at once keeps a transaction that reads first and then writes from
		// failing in the middle because another process wrote in between.
		begin: "BEGIN IMMEDIATE",
		unique: func(err error) bool {
			e, ok := errors.AsType[*sqlite.Error](err)
			return ok && (e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
		},
	}
}

// openSQLite returns two handles to one file, for the writer and for readers. The write
// path never runs a checkpoint of its own short of 10,000 pages: Run does that beside it.
func openSQLite(path string) (writer, readers *sql.DB, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, nil, err
	}
	// Made here for its mode, which SQLite gives to the files beside it, too.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, err
	}
	if err := f.Close(); err != nil {
		return nil, nil, err
	}
	open := func(pragmas ...string) (*sql.DB, error) {
		// synchronous=FULL: in WAL mode every commit is on the disk before it is reported.
		q := url.Values{"_pragma": append([]string{
			"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
			"wal_autocheckpoint(10000)", "temp_store(MEMORY)", "cache_size(-8000)",
		}, pragmas...)}
		return sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String())
	}
	if writer, err = open(); err != nil {
		return nil, nil, err
	}
	if readers, err = open("query_only(1)"); err != nil {
		writer.Close()
		return nil, nil, err
	}
	return writer, readers, nil
}

// migrate brings the schema up to date. Another process may do the same at the same time:
// whoever comes second finds it done at the next try.
func migrate(ctx context.Context, db *sql.DB, d dialect) error {
	p, err := goose.NewProvider(d.goose, db, d.migrations, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	for try := 0; ; try++ {
		have, err := p.GetDBVersion(ctx)
		if err == nil {
			sources := p.ListSources()
			if newest := sources[len(sources)-1].Version; have > newest {
				return fmt.Errorf("the database has version %d, but this program only knows version %d: run a newer one", have, newest)
			}
			if _, err = p.Up(ctx); err == nil {
				return nil
			}
		}
		if try == 10 || ctx.Err() != nil {
			return fmt.Errorf("bring the schema up to date: %w", err)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}
