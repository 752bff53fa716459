package store_test

import (
	"bytes"
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/store"
	"github.com/ownline/ownline/internal/web/store/pgtest"
	"github.com/ownline/ownline/internal/web/store/storetest"
)

var drivers = map[string]string{"sqlite": "sqlite", "postgres": "pgx"}

func query(t *testing.T, kind, database, q string) (lines []string) {
	t.Helper()
	db, err := sql.Open(drivers[kind], database)
	must(t, err)
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), q)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var line string
		must(t, rows.Scan(&line))
		lines = append(lines, line)
	}
	must(t, rows.Err())
	return lines
}

// schema describes a database, less the notes of the migrations.
func schema(t *testing.T, kind, database string) []string {
	t.Helper()
	if kind == "sqlite" {
		return query(t, kind, database, `SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_master
			WHERE name NOT LIKE 'sqlite_%' AND tbl_name <> 'goose_db_version' ORDER BY 1`)
	}
	return query(t, kind, database, `
		SELECT 'column ' || table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || is_identity
			|| ' ' || coalesce(column_default, '') || ' ' || coalesce(collation_name, '') AS line
			FROM information_schema.columns WHERE table_schema = current_schema() AND table_name <> 'goose_db_version'
		UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = current_schema() AND tablename <> 'goose_db_version'
		UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
			WHERE connamespace = current_schema()::regnamespace AND conrelid::regclass::text <> 'goose_db_version'
		UNION ALL SELECT 'trigger ' || pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1`)
}

// The dumps of every released schema become what a new database is, with what is in them.
// The dump of another version is added when it is released.
func TestMigrationsForward(t *testing.T) {
	for kind, place := range databases {
		dumps, err := filepath.Glob("testdata/*." + kind + ".sql")
		if err != nil || len(dumps) == 0 {
			t.Fatal("no dumps", err)
		}
		fresh := place(t)
		openAt(t, fresh)
		want := schema(t, kind, fresh)
		for _, dump := range dumps {
			t.Run(filepath.Base(dump), func(t *testing.T) {
				database := place(t)
				load(t, kind, database, dump)
				s := openAt(t, database)
				for _, line := range difference(schema(t, kind, database), want) {
					t.Error(line)
				}
				f := inDump(t, s)
				must(t, s.Read(t.Context(), func(tx *store.Tx) error {
					ds, err := tx.CoreDevices(f.Site)
					if err != nil || len(ds) != 1 || !bytes.Equal(ds[0].Secret, bytes.Repeat([]byte{7}, 32)) {
						t.Errorf("CoreDevices = %v, %v", ds, err)
					}
					return nil
				}))
				if pem, err := s.LinkIdentity(t.Context(), nil); string(pem) != "PEM" || err != nil {
					t.Errorf("LinkIdentity = %q, %v", pem, err)
				}
				if kind == "sqlite" {
					checkCopies(t, database, dump)
				}
			})
		}
	}
}

// A migration that is cut short, again and again, leaves the copy of what was before it.
func TestCopyStays(t *testing.T) {
	const dump = "testdata/00001.sqlite.sql"
	database := databases["sqlite"](t)
	load(t, "sqlite", database, dump)
	// Something that stops a later migration half way.
	query(t, "sqlite", database, "CREATE TABLE totp (in_the_way)")
	for range 3 {
		if s, err := store.Open(t.Context(), database, key); err == nil {
			s.Close()
			t.Fatal("nothing was in the way")
		}
	}
	half := query(t, "sqlite", database, "SELECT max(version_id) FROM goose_db_version")
	if half[0] == "1" {
		t.Fatal("it was not cut short, but did not begin")
	}
	copies, err := filepath.Glob(database + ".before-*")
	if err != nil || len(copies) != 2 || copies[1] != copies[0]+".2" {
		t.Fatalf("copies = %v, %v; want one, and a later one that ends in .2", copies, err)
	}
	if v := query(t, "sqlite", copies[0], "SELECT max(version_id) FROM goose_db_version"); v[0] != "1" {
		t.Errorf("the copy is of version %s, want 1", v)
	}
	if v := query(t, "sqlite", copies[1], "SELECT max(version_id) FROM goose_db_version"); v[0] != half[0] {
		t.Errorf("the later copy is of version %s, want %s", v, half)
	}
}

// inDump returns the session of the dump.
func inDump(t *testing.T, s *store.Store) ownline.Session {
	t.Helper()
	u, hash, err := s.Credentials(t.Context(), "ana")
	if err != nil || hash != "hash" || u.Role != ownline.Person || !u.Created.Equal(storetest.T0) {
		t.Fatalf("Credentials = %+v, %q, %v", u, hash, err)
	}
	var ss []ownline.SessionInfo
	must(t, s.Read(t.Context(), func(tx *store.Tx) (err error) {
		ss, _, err = tx.Sessions(ownline.SessionQuery{User: u.ID})
		return err
	}))
	if len(ss) != 1 || ss[0].ServiceName != "ssh" || ss[0].DeviceName != "phone" {
		t.Fatalf("Sessions = %+v", ss)
	}
	return ss[0].Session
}

func load(t *testing.T, kind, database, dump string) {
	t.Helper()
	b, err := os.ReadFile(dump)
	must(t, err)
	db, err := sql.Open(drivers[kind], database)
	must(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), string(b))
	must(t, err)
}

// checkCopies looks for the copy that was made before the schema changed.
func checkCopies(t *testing.T, database, dump string) {
	t.Helper()
	copies, err := filepath.Glob(database + ".before-*")
	if err != nil || len(copies) != 1 {
		t.Fatalf("copies = %v, %v; want one", copies, err)
	}
	if fi, err := os.Stat(copies[0]); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	original := filepath.Join(t.TempDir(), "original")
	load(t, "sqlite", original, dump)
	for _, line := range difference(schema(t, "sqlite", copies[0]), schema(t, "sqlite", original)) {
		t.Error("in the copy:", line)
	}
	if n := query(t, "sqlite", copies[0], "SELECT count(*) FROM sessions"); n[0] != "1" {
		t.Errorf("the copy has %s sessions", n)
	}
	// It is opened again, and nothing needs to be copied.
	must(t, os.Remove(copies[0]))
	openAt(t, database)
	if copies, err := filepath.Glob(database + ".before-*"); err != nil || len(copies) > 0 {
		t.Errorf("copies of a database that is up to date: %v, %v", copies, err)
	}
}

func difference(got, want []string) (lines []string) {
	for _, l := range got {
		if !slices.Contains(want, l) {
			lines = append(lines, "unexpected: "+l)
		}
	}
	for _, l := range want {
		if !slices.Contains(got, l) {
			lines = append(lines, "missing: "+l)
		}
	}
	return lines
}

// What is moved from one kind of database to the other has its place there.
func TestSchemasAgree(t *testing.T) {
	lite, post := databases["sqlite"](t), pgtest.Database(t)
	openAt(t, lite)
	openAt(t, post)
	got := query(t, "sqlite", lite, `SELECT m.name || '.' || c.name || ' ' || CASE c.type WHEN 'BLOB' THEN 'bytea' WHEN 'INTEGER' THEN 'bigint' ELSE lower(c.type) END
		|| CASE WHEN c."notnull" OR c.pk THEN '' ELSE ' or null' END
		FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name <> 'goose_db_version' ORDER BY 1`)
	want := query(t, "postgres", post, `SELECT table_name || '.' || column_name || ' ' || data_type || CASE is_nullable WHEN 'YES' THEN ' or null' ELSE '' END
		FROM information_schema.columns WHERE table_schema = current_schema() AND table_name <> 'goose_db_version' ORDER BY 1`)
	for _, line := range difference(got, want) {
		t.Errorf("SQLite's, compared to PostgreSQL's: %s", line)
	}
	names := func(lines []string) (out []string) {
		for _, l := range lines {
			if f := strings.Fields(l); f[0] == "index" {
				out = append(out, f[1])
			}
		}
		return out
	}
	for _, name := range names(schema(t, "sqlite", lite)) {
		if n := query(t, "postgres", post, "SELECT indexname FROM pg_indexes WHERE indexname = '"+name+"'"); len(n) != 1 {
			t.Errorf("PostgreSQL has no index %s", name)
		}
	}
}
