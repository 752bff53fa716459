package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/ownline/ownline/internal/ownline"
)

// dialect is what one kind of database does in its own way.
type dialect struct {
	goose      goose.Dialect
	migrations fs.FS
	// write and read are the statements that start a transaction that writes, and one that
	// sees one moment's state.
	write, read []string
	numbered    bool          // placeholders are $1, $2 … instead of ?
	limit       time.Duration // after which a transaction is given up; 0: never
	unique      func(error) bool
	size        string               // asks for the size of the database in bytes
	lost        func(*sql.Conn) bool // the connection is of no use any more
	// alone runs f while no other process does the same.
	alone func(ctx context.Context, db *sql.DB, f func() error) error
}

// IsPostgres reports whether a database is one of PostgreSQL's, and not a file.
func IsPostgres(database string) bool {
	return strings.HasPrefix(database, "postgres://") || strings.HasPrefix(database, "postgresql://")
}

// open returns two handles, for the writer and for readers. name may be shown to people.
func open(database string) (d dialect, writer, readers *sql.DB, name string, err error) {
	if IsPostgres(database) {
		return openPostgres(database)
	}
	writer, readers, err = openSQLite(database)
	return sqliteDialect(), writer, readers, database, err
}

// migrate brings the schema up to date. Another process may do the same at the same time:
// whoever comes second finds it done. An SQLite database that has something in it already is
// copied first, and what killed processes left beside it is removed: path is where it is, ""
// for neither.
func migrate(ctx context.Context, db *sql.DB, d dialect, path string) error {
	p, err := goose.NewProvider(d.goose, db, d.migrations, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	if path != "" {
		held, err := lock(ctx, path+".lock")
		if err != nil {
			return err
		}
		defer held.Close()
		sweep(filepath.Dir(path))
	}
	copied := false
	return d.alone(ctx, db, func() error {
		have, err := p.GetDBVersion(ctx)
		if err != nil {
			return fmt.Errorf("read the schema's version: %w", err)
		}
		sources := p.ListSources()
		if newest := sources[len(sources)-1].Version; have > newest {
			return fmt.Errorf("the database has version %d, but this program only knows version %d: %w", have, newest, errNewer)
		} else if path != "" && have > 0 && have < newest && !copied {
			if err := copyBefore(ctx, db, path, newest); err != nil {
				return fmt.Errorf("copy the database before its schema changes: %w", err)
			}
			copied = true
		}
		if _, err := p.Up(ctx); err != nil {
			return fmt.Errorf("bring the schema up to date: %w", err)
		}
		return nil
	})
}

var errNewer = errors.New("run a newer one")

// number writes placeholders as $1, $2 and so on. Those inside of 'text' stay.
func number(q string) string {
	var b strings.Builder
	n, quoted := 0, false
	for _, r := range q {
		switch {
		case r == '\'':
			quoted = !quoted
		case r == '?' && !quoted:
			n++
			fmt.Fprintf(&b, "$%d", n)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// unavailable marks the error of a database that could not be reached.
func unavailable(err error) error {
	return fmt.Errorf("%w: %w", &ownline.FieldError{Kind: ownline.ErrUnavailable, Detail: "the database does not answer"}, err)
}
