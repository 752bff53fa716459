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

func sqliteDialect() dialect {
	dir, err := fs.Sub(sqliteMigrations, "migrations/sqlite")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return dialect{
		goose: goose.DialectSQLite3, migrations: dir,
		// Taking the lock at once keeps a transaction that reads first and then writes from
		// failing in the middle because another process wrote in between.
		write: []string{"BEGIN IMMEDIATE"},
		read:  []string{"BEGIN"},
		size:  "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
		unique: func(err error) bool {
			e, ok := errors.AsType[*sqlite.Error](err)
			return ok && (e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
		},
		lost:  func(*sql.Conn) bool { return false }, // a file does not hang up
		alone: sqliteAlone,
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
		return sql.Open("sqlite", sqliteAddress(path, append([]string{
			"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
			"wal_autocheckpoint(10000)", "temp_store(MEMORY)", "cache_size(-8000)",
		}, pragmas...)...))
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

func sqliteAddress(path string, pragmas ...string) string {
	return (&url.URL{Scheme: "file", Path: path, RawQuery: url.Values{"_pragma": pragmas}.Encode()}).String()
}

// sqliteAlone tries again when another process was in the middle of the same.
func sqliteAlone(ctx context.Context, _ *sql.DB, f func() error) error {
	for try := 0; ; try++ {
		err := f()
		if err == nil || errors.Is(err, errNewer) || try == 10 || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// errDamaged says what to do about a file that SQLite can't make sense of.
var errDamaged = errors.New("the database is damaged: stop the server and restore a backup with `ownline-web restore --force FILE`")

// damaged marks the error of such a file.
func damaged(err error) error {
	if c := sqliteCode(err); (c == sqlite3.SQLITE_CORRUPT || c == sqlite3.SQLITE_NOTADB) && !errors.Is(err, errDamaged) {
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	return err
}
