package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/ownline/ownline/internal/ownline"
)

// RestoreOptions say what is restored, and into what.
type RestoreOptions struct {
	File     string // that Backup wrote
	Database string // as Open takes it
	KeyFile  string // of the key that the backup's secrets are sealed with
	Force    bool   // also over a database that has something in it
	Now      time.Time
	Audit    ownline.AuditEntry
}

// Errors of Restore that Force and patience help against.
var (
	ErrNotEmpty = errors.New("the database is not empty")
	ErrInUse    = errors.New("the database is in use: stop the server first")
)

// Restore puts a backup in the place of a database: whole or not at all. What was true when
// the backup was made may not be true any more, so nobody is signed in afterwards, no
// session is open, invitations are revoked (they may have been used up since), and no knock
// counts that was made before. A new epoch begins: cores take the restored state as newer
// than all they know.
func Restore(ctx context.Context, o RestoreOptions) (err error) {
	key, err := readKey(o.KeyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: bring back the one that belongs to the backup", err)
	}
	if err != nil {
		return err
	}
	// Beside an SQLite database, so that the new one can take its name.
	beside := os.TempDir()
	if !IsPostgres(o.Database) {
		beside = filepath.Dir(o.Database)
	}
	w, err := newScratch(beside)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	file := w.file("new")
	if err := copyBackup(ctx, o.File, file); err != nil {
		return fmt.Errorf("backup %s: %w", o.File, err)
	}
	if err := prepare(ctx, file, key, o); err != nil {
		return fmt.Errorf("backup %s: %w", o.File, err)
	}
	if IsPostgres(o.Database) {
		return restorePostgres(ctx, file, o)
	}
	return restoreSQLite(ctx, file, o)
}

// copyBackup copies a file that must be a sound SQLite database of ours.
func copyBackup(ctx context.Context, from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	magic := make([]byte, 16)
	_, err = io.ReadFull(in, magic)
	if err != nil || !bytes.Equal(magic, []byte("SQLite format 3\x00")) {
		out.Close()
		return errors.New("is not one that ownline-web backup wrote")
	}
	_, err = io.Copy(out, io.MultiReader(bytes.NewReader(magic), in))
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	db, readers, err := openSQLite(to)
	if err != nil {
		return err
	}
	defer db.Close()
	defer readers.Close()
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&verdict); err != nil {
		return fmt.Errorf("is damaged: %w", err)
	}
	if verdict != "ok" {
		return fmt.Errorf("is damaged: %s", verdict)
	}
	var made int
	err = db.QueryRowContext(ctx, "SELECT count(*) FROM settings, (SELECT 1 FROM goose_db_version LIMIT 1) WHERE key = ?", settingKeyCheck).Scan(&made)
	if err != nil || made != 1 {
		return errors.New("is not one that ownline-web backup wrote")
	}
	return nil
}

// prepare brings the schema of the copy up to date, and makes of it what is to be restored.
func prepare(ctx context.Context, file string, key ownline.Secret, o RestoreOptions) (err error) {
	s, err := Open(ctx, file, key)
	if err != nil {
		if errors.Is(err, errWrongKey) {
			err = fmt.Errorf("its secrets are sealed with another key than the one in %s: bring back the key file of the time of the backup", o.KeyFile)
		}
		return err
	}
	err = s.Write(ctx, func(t *Tx) error {
		if err := t.NewEpoch(); err != nil {
			return err
		}
		if err := t.exec("DELETE FROM passes"); err != nil {
			return err
		}
		if err := t.exec("DELETE FROM logins"); err != nil {
			return err
		}
		if err := t.SetSetting(settingNextKnown, ""); err != nil { // cores may have been paired anew since: they are told again
			return err
		}
		if err := t.exec("UPDATE devices SET floor = ? WHERE floor < ?", ms(o.Now), ms(o.Now)); err != nil {
			return err
		}
		if err := t.exec("UPDATE invitations SET revoked = ? WHERE revoked = 0", ms(o.Now)); err != nil {
			return err
		}
		err := t.exec("UPDATE sessions SET state = 'ended', reason = ?, detail = 'the database was restored', ended = ? WHERE state <> 'ended'",
			string(ownline.Flushed), ms(o.Now))
		if err != nil {
			return err
		}
		return t.Audit(o.Audit)
	})
	if err == nil {
		err = sound(ctx, s.writerDB)
	}
	return errors.Join(err, s.Close())
}

// sound reports a row that refers to one that is not there.
func sound(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, "PRAGMA foreign_key_check")
	if err != nil {
		return err
	}
	defer rows.Close()
	if rows.Next() {
		return errors.New("is damaged: rows refer to others that are missing")
	}
	return rows.Err()
}

// empty reports whether nobody has put anything into the database.
func empty(ctx context.Context, db *sql.DB) (bool, error) {
	var n int
	err := db.QueryRowContext(ctx, "SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM sites) + (SELECT count(*) FROM audit)").Scan(&n)
	return n == 0, err
}

// restoreSQLite gives the new file the database's name. Nobody opens the old one meanwhile.
func restoreSQLite(ctx context.Context, file string, o RestoreOptions) error {
	held, err := lock(ctx, o.Database+".lock")
	if err != nil {
		return err
	}
	defer held.Close()
	if _, err := os.Stat(o.Database); err == nil {
		if err := setAside(ctx, o); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := single(ctx, file); err != nil {
		return err
	}
	if err := syncFile(file); err != nil {
		return err
	}
	// At this instant, and no other.
	if err := os.Rename(file, o.Database); err != nil {
		return err
	}
	return syncDir(filepath.Dir(o.Database))
}

// BeforeRestore is where the database that a restore replaces is kept.
func BeforeRestore(database string) string { return database + ".before-restore" }

// setAside makes sure that the database may go, and gives it a second name to be found by.
func setAside(ctx context.Context, o RestoreOptions) error {
	db, readers, err := openSQLite(o.Database)
	if err != nil {
		return err
	}
	defer db.Close()
	defer readers.Close()
	if nothing, err := empty(ctx, db); !o.Force && (err != nil || !nothing) {
		return ErrNotEmpty // also one that can't be read, or is not ours
	}
	if err := errors.Join(db.Close(), readers.Close()); err != nil {
		return err
	}
	// SQLite leaves its log only when nobody else has the file open.
	switch err := single(ctx, o.Database); {
	case err == nil:
	case sqliteCode(err) == sqlite3.SQLITE_BUSY || sqliteCode(err) == sqlite3.SQLITE_LOCKED:
		return ErrInUse
	case o.Force && (sqliteCode(err) == sqlite3.SQLITE_CORRUPT || sqliteCode(err) == sqlite3.SQLITE_NOTADB):
	default:
		return err
	}
	if err := os.Remove(BeforeRestore(o.Database)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Link(o.Database, BeforeRestore(o.Database))
}

// single makes an SQLite database one file with nothing beside it.
func single(ctx context.Context, file string) (err error) {
	db, err := sql.Open("sqlite", sqliteAddress(file, "busy_timeout(1000)"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var mode string
	return db.QueryRowContext(ctx, "PRAGMA journal_mode = DELETE").Scan(&mode)
}

func sqliteCode(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff // without what it says more exactly
	}
	return 0
}

// restorePostgres replaces all rows by those of the file, in one transaction.
func restorePostgres(ctx context.Context, file string, o RestoreOptions) (err error) {
	// Not as Open does it: the key is the backup's, and what is replaced may have another.
	d, db, idle, name, err := open(o.Database)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close(), idle.Close()) }()
	if err := migrate(ctx, db, d, ""); err != nil {
		return fmt.Errorf("open database %s: %w", name, err)
	}
	from, readers, err := openSQLite(file)
	if err != nil {
		return err
	}
	defer from.Close()
	defer readers.Close()
	tables, err := readTables(ctx, from)
	if err != nil {
		return err
	}
	rows, err := from.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer rows.Rollback() // it has changed nothing
	c, err := db.Conn(ctx)
	if err != nil {
		return unavailable(err)
	}
	defer c.Close()
	return c.Raw(func(driver any) error {
		pg := driver.(*stdlib.Conn).Conn()
		return pgx.BeginFunc(ctx, pg, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock("+postgresLock+")"); err != nil {
				return err
			}
			var others int
			// Every Store has a name of its own there.
			err := tx.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
				AND application_name LIKE $1 AND application_name <> current_setting('application_name')`, postgresProgram+"%").Scan(&others)
			if err != nil {
				return err
			}
			if others > 0 {
				return ErrInUse
			}
			if nothing, err := emptyPostgres(ctx, tx); err != nil || !nothing && !o.Force {
				return errors.Join(err, ErrNotEmpty)
			}
			return replaceRows(ctx, tx, rows, tables)
		})
	})
}

func emptyPostgres(ctx context.Context, tx pgx.Tx) (bool, error) {
	var n int
	err := tx.QueryRow(ctx, "SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM sites) + (SELECT count(*) FROM audit)").Scan(&n)
	return n == 0, err
}

func replaceRows(ctx context.Context, tx pgx.Tx, rows *sql.Tx, tables []table) error {
	for i := len(tables) - 1; i >= 0; i-- {
		t := tables[i]
		for _, q := range []string{"ALTER TABLE " + t.name + " DISABLE TRIGGER USER", "DELETE FROM " + t.name} {
			if _, err := tx.Exec(ctx, q); err != nil {
				return fmt.Errorf("table %s: %w", t.name, err)
			}
		}
	}
	for _, t := range tables {
		w := &copier{ctx: ctx, tx: tx, t: t}
		if err := w.finish(t.each(ctx, rows, w.row)); err != nil {
			return fmt.Errorf("table %s: %w", t.name, err)
		}
	}
	for _, t := range tables {
		if _, err := tx.Exec(ctx, "ALTER TABLE "+t.name+" ENABLE TRIGGER USER"); err != nil {
			return err
		}
	}
	// Numbers that the database gives out go on behind those that were restored.
	counted, err := tx.Query(ctx, `SELECT table_name::text, column_name::text FROM information_schema.columns
		WHERE table_schema = current_schema() AND is_identity = 'YES'`)
	if err != nil {
		return err
	}
	type column struct{ Table, Name string }
	columns, err := pgx.CollectRows(counted, pgx.RowToStructByPos[column])
	if err != nil {
		return err
	}
	for _, c := range columns {
		if c.Table == "goose_db_version" {
			continue
		}
		_, err := tx.Exec(ctx, fmt.Sprintf("SELECT setval(pg_get_serial_sequence('%s', '%s'), coalesce(max(%s), 0) + 1, false) FROM %s", c.Table, c.Name, c.Name, c.Table))
		if err != nil {
			return err
		}
	}
	return nil
}

// copier sends rows to a table in batches.
type copier struct {
	ctx     context.Context
	tx      pgx.Tx
	t       table
	pending [][]any
}

const copyBatch = 1000

func (c *copier) row(row []any) error {
	if c.pending = append(c.pending, append([]any(nil), row...)); len(c.pending) < copyBatch {
		return nil
	}
	return c.finish(nil)
}

func (c *copier) finish(err error) error {
	if err != nil || len(c.pending) == 0 {
		return err
	}
	_, err = c.tx.CopyFrom(c.ctx, pgx.Identifier{c.t.name}, c.t.columns, pgx.CopyFromRows(c.pending))
	c.pending = c.pending[:0]
	return err
}
