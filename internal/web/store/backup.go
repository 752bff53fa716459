package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A backup is an SQLite file with our schema, whatever database it was made of: it can be
// looked into, needs no program beside this one, and can be restored into either kind.

// Backup writes a copy of the database, as it is at one moment, to a new file (mode 0600).
// The database may be in use. Nothing is at path before the copy is whole and on the disk.
func (s *Store) Backup(ctx context.Context, path string) (err error) {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s: %w", path, fs.ErrExist)
	}
	w, err := newScratch(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	file := w.file("copy")
	if s.path != "" {
		err = vacuumInto(ctx, s.writerDB, file)
	} else {
		err = s.export(ctx, file)
	}
	if err != nil {
		return fmt.Errorf("copy the database: %w", err)
	}
	if err := os.Link(file, path); err != nil { // unlike a rename, never over another's
		return err
	}
	return syncDir(filepath.Dir(path))
}

// vacuumInto writes a compact copy of an SQLite database, also while others write to it.
func vacuumInto(ctx context.Context, db *sql.DB, file string) error {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) // SQLite would take another mode
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", file); err != nil {
		return err
	}
	return syncFile(file)
}

// copyBefore copies an SQLite database to path.before-N, where N is the version of the schema
// that it is about to get. A copy that is there stays, whatever it is of: one of an earlier
// try that was cut short is what it takes to go back. The new one is called path.before-N.2
// then, and so on; there is none when it would be the same as one that is there.
func copyBefore(ctx context.Context, db *sql.DB, path string, newest int64) (err error) {
	w, err := newScratch(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	file := w.file("copy")
	if err := vacuumInto(ctx, db, file); err != nil {
		return err
	}
	name := fmt.Sprintf("%s.before-%d", path, newest)
	for n := 2; ; n++ {
		err := os.Link(file, name)
		if err == nil {
			return syncDir(filepath.Dir(path))
		}
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		if same, err := sameContent(file, name); err != nil || same {
			return err
		}
		name = fmt.Sprintf("%s.before-%d.%d", path, newest, n)
	}
}

// export writes the state that one transaction sees to a new SQLite file.
func (s *Store) export(ctx context.Context, file string) (err error) {
	db, readers, err := openSQLite(file)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, readers.Close(), db.Close()); err == nil {
			err = syncFile(file)
		}
	}()
	if err := migrate(ctx, db, sqliteDialect(), ""); err != nil {
		return err
	}
	tables, err := readTables(ctx, db)
	if err != nil {
		return err
	}
	to, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer to.Rollback() // in vain after the commit
	from, err := s.readersDB.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return unavailable(err)
	}
	defer from.Rollback() // it has changed nothing
	// What guards the rows of a database that lives would refuse those that are copied.
	guards, err := dropTriggers(ctx, to)
	if err != nil {
		return err
	}
	for _, t := range tables {
		// A migration brings rows of its own, which are among those that are copied.
		if _, err := to.ExecContext(ctx, "DELETE FROM "+t.name); err != nil {
			return fmt.Errorf("table %s: %w", t.name, err)
		}
	}
	for _, t := range tables {
		if err := t.copy(ctx, from, to); err != nil {
			return fmt.Errorf("table %s: %w", t.name, err)
		}
	}
	for _, g := range guards {
		if _, err := to.ExecContext(ctx, g); err != nil {
			return err
		}
	}
	if err := to.Commit(); err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "PRAGMA journal_mode = DELETE") // one file, and nothing beside it
	return err
}

// dropTriggers drops the triggers of an SQLite database and returns what makes them again.
func dropTriggers(ctx context.Context, tx *sql.Tx) (again []string, err error) {
	rows, err := tx.QueryContext(ctx, "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY rowid")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			return nil, err
		}
		names, again = append(names, name), append(again, text)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, err := tx.ExecContext(ctx, "DROP TRIGGER "+name); err != nil {
			return nil, err
		}
	}
	return again, nil
}

// table is a table of ours.
type table struct {
	name    string
	columns []string
	parents []string // tables that its rows refer to
}

func (t table) insert() string {
	return "INSERT INTO " + t.name + " (" + strings.Join(t.columns, ", ") + ") VALUES (?" + strings.Repeat(", ?", len(t.columns)-1) + ")"
}

func (t table) each(ctx context.Context, from *sql.Tx, f func([]any) error) error {
	rows, err := from.QueryContext(ctx, "SELECT "+strings.Join(t.columns, ", ")+" FROM "+t.name)
	if err != nil {
		return err
	}
	defer rows.Close()
	row, dest := make([]any, len(t.columns)), make([]any, len(t.columns))
	for i := range row {
		dest[i] = &row[i]
	}
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		if err := f(row); err != nil {
			return err
		}
	}
	return rows.Err()
}

// copy copies the rows into an SQLite database.
func (t table) copy(ctx context.Context, from, to *sql.Tx) error {
	insert, err := to.PrepareContext(ctx, t.insert())
	if err != nil {
		return err
	}
	defer insert.Close()
	return t.each(ctx, from, func(row []any) error {
		_, err := insert.ExecContext(ctx, row...)
		return err
	})
}

// readTables lists the tables of an SQLite database, each behind those it refers to.
func readTables(ctx context.Context, db *sql.DB) ([]table, error) {
	byName := make(map[string]*table)
	var names []string
	pairs := func(q string, f func(a, b string)) error {
		rows, err := db.QueryContext(ctx, q)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var a, b string
			if err := rows.Scan(&a, &b); err != nil {
				return err
			}
			f(a, b)
		}
		return rows.Err()
	}
	const ours = "m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name <> 'goose_db_version'"
	err := pairs("SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE "+ours+" ORDER BY m.name, c.cid", func(name, column string) {
		if byName[name] == nil {
			byName[name] = &table{name: name}
			names = append(names, name)
		}
		byName[name].columns = append(byName[name].columns, column)
	})
	if err != nil {
		return nil, err
	}
	err = pairs(`SELECT DISTINCT m.name, f."table" FROM sqlite_master m, pragma_foreign_key_list(m.name) f WHERE `+ours, func(name, parent string) {
		byName[name].parents = append(byName[name].parents, parent)
	})
	if err != nil {
		return nil, err
	}
	var out []table
	placed := make(map[string]bool)
	var place func(name string, below []string) error
	place = func(name string, below []string) error {
		if placed[name] {
			return nil
		}
		for _, b := range below {
			if b == name {
				return fmt.Errorf("tables refer to each other in a circle: %s", strings.Join(append(below, name), ", "))
			}
		}
		for _, p := range byName[name].parents {
			if err := place(p, append(below, name)); err != nil {
				return err
			}
		}
		placed[name] = true
		out = append(out, *byName[name])
		return nil
	}
	for _, name := range names {
		if err := place(name, nil); err != nil {
			return nil, err
		}
	}
	return out, nil
}
