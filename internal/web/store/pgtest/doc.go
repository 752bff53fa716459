// Package pgtest starts PostgreSQL for tests: throw-away servers on Unix sockets, of the
// programs that are installed on this machine, and databases on them.
package pgtest
