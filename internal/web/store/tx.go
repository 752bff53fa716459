package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/ownline/ownline/internal/ownline"
)

// conn is one connection with the statements that were prepared on it. One user at a time.
type conn struct {
	db    *sql.DB
	d     *dialect
	c     *sql.Conn // nil: lost, and not made anew yet
	stmts map[string]*sql.Stmt
	ctx   context.Context // of the statements of the transaction that runs
	// failed is the first error of a statement of the transaction that runs. PostgreSQL
	// would answer the COMMIT of such a transaction by undoing it, without an error.
	failed error
}

func newConn(ctx context.Context, db *sql.DB, d *dialect) (*conn, error) {
	c := &conn{db: db, d: d}
	return c, c.connect(ctx)
}

// connect makes the connection anew.
func (c *conn) connect(ctx context.Context) (err error) {
	if c.c != nil {
		c.close() // it is lost, and says so
	}
	c.stmts = make(map[string]*sql.Stmt)
	if c.c, err = c.db.Conn(ctx); err != nil {
		c.c = nil
		return unavailable(err)
	}
	return nil
}

func (c *conn) close() error {
	if c.c == nil {
		return nil
	}
	for _, st := range c.stmts {
		st.Close()
	}
	return c.c.Close()
}

func (c *conn) lost() bool { return c.c == nil || c.d.lost(c.c) }

// begin starts a transaction. A connection that was lost since the last one, as when the
// database server was started anew, is made anew: nothing has been done on it yet.
func (c *conn) begin(ctx context.Context, statements []string) (err error) {
	for try := 0; ; try++ {
		if c.c == nil {
			if err := c.connect(ctx); err != nil {
				return err
			}
		}
		c.failed = nil
		for _, q := range statements {
			if _, err = c.exec(q); err != nil {
				break
			}
		}
		if err == nil || !c.lost() {
			return err
		}
		c.close() // it is lost, and says so
		c.c = nil
		if try == 1 {
			return unavailable(err)
		}
	}
}

// stmt returns the prepared statement of a text. There are as many texts as there are in
// this package, times the filters of a list.
func (c *conn) stmt(q string) (*sql.Stmt, error) {
	if st, ok := c.stmts[q]; ok {
		return st, nil
	}
	text := q
	if c.d.numbered {
		text = number(q)
	}
	st, err := c.c.PrepareContext(c.ctx, text)
	if err != nil {
		return nil, c.fail(fmt.Errorf("prepare %q: %w", q, err))
	}
	c.stmts[q] = st
	return st, nil
}

// fail remembers that a statement of the transaction went wrong.
func (c *conn) fail(err error) error {
	if err != nil && c.failed == nil && !errors.Is(err, sql.ErrNoRows) {
		c.failed = err
	}
	return err
}

// bg is the context of SQLite's statements: what has begun is finished, because a
// transaction is short, and a context that could end would cost a goroutine a statement.
var bg = context.Background()

func (c *conn) exec(q string, args ...any) (int64, error) {
	st, err := c.stmt(q)
	if err != nil {
		return 0, err
	}
	r, err := st.ExecContext(c.ctx, args...)
	if err != nil {
		return 0, c.fail(err)
	}
	return r.RowsAffected()
}

var errClosed = fmt.Errorf("the database is closed: %w", ownline.ErrUnavailable)

// Tx is one transaction. It is good until the function that it was given to returns, and
// for one goroutine. After an error of a method the transaction must be given up.
type Tx struct {
	s *Store
	c *conn
}

// Write runs f in a transaction that may write: it commits when f returns nil, and
// otherwise leaves everything as it was. Writers wait for each other, across processes.
// When Write returns nil the change is on the disk.
func (s *Store) Write(ctx context.Context, f func(*Tx) error) error {
	return s.run(ctx, s.writer, s.dialect.write, f)
}

// Writable tells whether the database takes what is written: after a write that went wrong
// it tries one that is of no account, as a full disk or a file that may only be read still
// answer those who read.
func (s *Store) Writable(ctx context.Context) error {
	if !s.doubted.Load() {
		return nil
	}
	return s.SetSetting(ctx, settingTrial, newEpoch())
}

// Read runs f in a transaction that sees one moment's state and does not wait for writers.
func (s *Store) Read(ctx context.Context, f func(*Tx) error) error {
	return s.run(ctx, s.readers, s.dialect.read, f)
}

func (s *Store) run(ctx context.Context, pool chan *conn, begin []string, f func(*Tx) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	var c *conn
	select {
	case <-s.closed:
		return errClosed
	default:
	}
	select {
	case c = <-pool:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closed:
		return errClosed
	}
	defer func() { pool <- c }()
	defer func() { err = damaged(err) }()
	c.ctx = bg
	if s.dialect.limit > 0 {
		limited, cancel := context.WithTimeout(bg, s.dialect.limit)
		defer cancel()
		c.ctx = limited
	}
	writes := pool == s.writer
	if err := c.begin(ctx, begin); err != nil {
		if writes {
			s.doubted.Store(true)
		}
		c.undo()
		return fmt.Errorf("begin: %w", err)
	}
	committed := false
	defer func() {
		if writes && (committed || c.failed != nil) {
			s.doubted.Store(!committed)
		}
		if !committed { // an error, or f panicked
			if rerr := c.undo(); rerr != nil && err != nil {
				err = errors.Join(err, fmt.Errorf("roll back: %w", rerr))
			}
		}
	}()
	if err := f(&Tx{s: s, c: c}); err != nil {
		if c.lost() {
			err = unavailable(err)
		}
		return err
	}
	if c.failed != nil {
		return fmt.Errorf("an error in a transaction was passed over: %w", c.failed)
	}
	if _, err := c.exec("COMMIT"); err != nil {
		if c.lost() {
			err = unavailable(err)
		}
		return fmt.Errorf("commit: %w", err)
	}
	committed = true
	return nil
}

// undo rolls back. A connection that can't is closed, which undoes the same.
func (c *conn) undo() error {
	if c.c == nil {
		return nil
	}
	_, err := c.exec("ROLLBACK")
	if c.lost() {
		c.close() // it is lost, and says so
		c.c = nil
		return nil
	}
	return err
}

func (t *Tx) exec(q string, args ...any) error {
	_, err := t.c.exec(q, args...)
	return err
}

// one reads the first row into dest; sql.ErrNoRows when there is none.
func (t *Tx) one(q string, args []any, dest ...any) error {
	st, err := t.c.stmt(q)
	if err != nil {
		return err
	}
	return t.c.fail(st.QueryRowContext(t.c.ctx, args...).Scan(dest...))
}

// scanner reads one row.
type scanner func(dest ...any) error

// all reads every row.
func all[T any](t *Tx, scan func(scanner) (T, error), q string, args ...any) ([]T, error) {
	st, err := t.c.stmt(q)
	if err != nil {
		return nil, err
	}
	rows, err := st.QueryContext(t.c.ctx, args...)
	if err != nil {
		return nil, t.c.fail(err)
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		v, err := scan(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, t.c.fail(rows.Err())
}

// first reads one row, or says that the named thing is not found.
func first[T any](t *Tx, what, name string, scan func(scanner) (T, error), q string, args ...any) (T, error) {
	v, err := scan(func(dest ...any) error { return t.one(q, args, dest...) })
	if errors.Is(err, sql.ErrNoRows) {
		return v, ownline.NotFound(what, name)
	}
	return v, err
}

// taken turns the refusal of a value that must be unique into a conflict about the field.
func (t *Tx) taken(err error, field, detail string) error {
	if err != nil && t.s.dialect.unique(err) {
		return ownline.Conflict(field, detail)
	}
	return err
}

// Exec runs one statement as a transaction of its own, for maintenance by hand and tests.
func (s *Store) Exec(ctx context.Context, statement string) error {
	return s.Write(ctx, func(t *Tx) error { return t.exec(statement) })
}
