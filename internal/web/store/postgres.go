package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/postgres/*.sql
var postgresMigrations embed.FS

// postgresLock is the advisory lock that writers hold, and that a migration holds.
const postgresLock = "69654636965463" // "ownline" on the keys of a telephone, twice

// postgresProgram with a word behind it that nobody else has is what the server knows a
// Store by: a restore looks whether others are there.
const postgresProgram = "ownline-web "

const (
	postgresDial  = 5 * time.Second
	postgresLimit = 30 * time.Second // longer than the wait of any writer for the others
)

func postgresDialect() dialect {
	dir, err := fs.Sub(postgresMigrations, "migrations/postgres")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return dialect{
		goose: goose.DialectPostgres, migrations: dir, numbered: true, limit: postgresLimit,
		// The rules that span rows (a port has one session, a knock counts once, the last
		// admin stays) hold because writers come one after the other, as with SQLite. The
		// lock is of the transaction, so that a writer that dies lets go of it, and is taken
		// before the first snapshot is: what comes after it sees all that was written.
		write:  []string{"BEGIN", "SELECT pg_advisory_xact_lock(" + postgresLock + ")"},
		read:   []string{"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"},
		size:   "SELECT pg_database_size(current_database())",
		unique: func(err error) bool { return sqlState(err) == "23505" },
		lost: func(c *sql.Conn) bool {
			closed := true
			err := c.Raw(func(driver any) error {
				closed = driver.(*stdlib.Conn).Conn().IsClosed()
				return nil
			})
			return err != nil || closed
		},
		alone: postgresAlone,
	}
}

func sqlState(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// openPostgres takes an address as psql does. Its password is in no error.
func openPostgres(address string) (d dialect, writer, readers *sql.DB, name string, err error) {
	cfg, err := pgx.ParseConfig(address)
	if err != nil {
		// pgx quotes the address, and parts of it when it guesses wrong where they end.
		return d, nil, nil, "", errors.New("database is not an address like postgres://USER:PASSWORD@HOST/NAME, or names a file that can't be read")
	}
	cfg.ConnectTimeout = postgresDial
	cfg.DialFunc = (&net.Dialer{
		Timeout:         postgresDial,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3},
	}).DialContext
	cfg.RuntimeParams["application_name"] = postgresProgram + rand.Text()[:8]
	// A writer whose machine has vanished holds the lock no longer than this.
	cfg.RuntimeParams["idle_in_transaction_session_timeout"] = strconv.FormatInt(postgresLimit.Milliseconds(), 10)
	// A commit that was reported has reached the disk, whatever the server's default is. What
	// is more than "on" stays.
	durable := stdlib.OptionAfterConnect(func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'")
		return err
	})
	writer = stdlib.OpenDB(*cfg, durable)
	// Lists are planned for what is asked for: whether a filter finds much or nothing decides
	// which index is the right one.
	reading := cfg.Copy()
	reading.RuntimeParams["plan_cache_mode"] = "force_custom_plan"
	return postgresDialect(), writer, stdlib.OpenDB(*reading, durable), "postgres://" + cfg.Host + "/" + cfg.Database, nil
}

// postgresAlone holds the writers' lock: those of other replicas wait, and see either schema
// whole.
func postgresAlone(ctx context.Context, db *sql.DB, f func() error) (err error) {
	c, err := db.Conn(ctx)
	if err != nil {
		return unavailable(err)
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	var version int
	if err := c.QueryRowContext(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		return err
	}
	if version < 130000 {
		return fmt.Errorf("PostgreSQL %d is too old: 13 or newer is needed", version/10000)
	}
	if _, err := c.ExecContext(ctx, "SELECT pg_advisory_lock("+postgresLock+")"); err != nil {
		return err
	}
	defer func() {
		_, uerr := c.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock("+postgresLock+")")
		err = errors.Join(err, uerr)
	}()
	err = f()
	if err != nil && sqlState(err) == "42501" && strings.Contains(err.Error(), "schema") {
		return fmt.Errorf("%w: let the user create tables, as by ALTER DATABASE … OWNER TO", err)
	}
	return err
}
