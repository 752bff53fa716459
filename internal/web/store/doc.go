// Package store: schema, migrations, and what web keeps: in an SQLite file or in PostgreSQL.
// Time is always passed in; identifiers are text, times whole milliseconds since 1970 in UTC.
//
// One connection writes, in transactions that begin by taking the write lock; several read,
// each transaction from one moment's state. Another process may open the same database.
// The statements are the same for both: what differs is in a dialect.
package store
