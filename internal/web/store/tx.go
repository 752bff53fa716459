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
	c     *sql.Conn
	stmts map[string]*sql.Stmt
}

func newConn(ctx context.Context, db *sql.DB) (*conn, error) {
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{c: c, stmts: make(map[string]*sql.Stmt)}, nil
}

func (c *conn) close() error {
	for _, st := range c.stmts {
		st.Close()
	}
	return c.c.Close()
}

// stmt returns the prepared statement of a text. There are as many texts as there are in
// this package, times the filters of a list.
func (c *conn) stmt(q string) (*sql.Stmt, error) {
	if st, ok := c.stmts[q]; ok {
		return st, nil
	}
	st, err := c.c.PrepareContext(bg, q)
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", q, err)
	}
	c.stmts[q] = st
	return st, nil
}

// bg is the context of statements: what has begun is finished, because a transaction is
// short, and a context that could end would cost a goroutine a statement.
var bg = context.Background()

func (c *conn) exec(q string, args ...any) (int64, error) {
	st, err := c.stmt(q)
	if err != nil {
		return 0, err
	}
	r, err := st.ExecContext(bg, args...)
	if err != nil {
		return 0, err
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
	return s.run(ctx, s.writer, s.dialect.begin, f)
}

// Read runs f in a transaction that sees one moment's state and does not wait for writers.
func (s *Store) Read(ctx context.Context, f func(*Tx) error) error {
	return s.run(ctx, s.readers, "BEGIN", f)
}

func (s *Store) run(ctx context.Context, pool chan *conn, begin string, f func(*Tx) error) (err error) {
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
	if _, err := c.exec(begin); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	committed := false
	defer func() {
		if !committed { // an error, or f panicked
			if _, rerr := c.exec("ROLLBACK"); rerr != nil && err != nil {
				err = errors.Join(err, fmt.Errorf("roll back: %w", rerr))
			}
		}
	}()
	if err := f(&Tx{s: s, c: c}); err != nil {
		return err
	}
	if _, err := c.exec("COMMIT"); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	committed = true
	return nil
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
	return st.QueryRowContext(bg, args...).Scan(dest...)
}

// scanner reads one row.
type scanner func(dest ...any) error

// all reads every row.
func all[T any](t *Tx, scan func(scanner) (T, error), q string, args ...any) ([]T, error) {
	st, err := t.c.stmt(q)
	if err != nil {
		return nil, err
	}
	rows, err := st.QueryContext(bg, args...)
	if err != nil {
		return nil, err
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
	return out, rows.Err()
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
