package transfer_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite"

	"github.com/ownline/ownline/internal/web/transfer"
)

// moves are the columns that an export with secrets and history carries, row by row.
var moves = map[string]string{
	"users":          "id name password role disabled must_change created",
	"sites":          "id name host link pin knock_port local_networks reserved_ports proxy_driver proxy_domain proxy_port ipv6_prefix allowed_from created",
	"services":       "id site_id name kind transport target4 target6 options icon created",
	"service_icons":  "service_id kind content",
	"grants":         "id user_id service_id automatic public_port allow_reserved max_duration max_sources require_claimed allowed_from created",
	"devices":        "id user_id site_id name fwknop require_claimed allowed_from revoked created",
	"oidc_links":     "issuer subject user_id created",
	"totp":           "user_id confirmed last_step created",
	"recovery_codes": "user_id hash",
	"passkeys":       "id user_id name credential data cloned created last_used",
	"tokens":         "id user_id name scopes hash created expires last_used",
	"invitations":    "id user_id service_id message duration uses used countries hash created expires revoked",
	"sessions": "id site_id user_id service_id device_id source public_port transport target state reason detail opened expires ended " +
		"invitation_id up_bytes up_packets down_bytes down_packets",
}

// stays are the tables and columns that an export leaves out, and why.
var stays = map[string]string{
	"devices.secret":      "moves, but is sealed anew: TestRoundTrip compares what is in it",
	"totp.secret":         "likewise",
	"invitations.unseals": "likewise",

	"users.removed":    "what was removed does not move, but for the names in history",
	"sites.removed":    "likewise",
	"services.removed": "likewise",
	"devices.removed":  "likewise",
	"sites.cleared":    "it is about sites that were removed",

	"sites.fwknop_port": "its core tells it again as soon as it is met",

	"services.everybody": "web's own service only, which every web makes for itself when it starts",

	"sites.revision":     "the other database counts its own, in an epoch of its own",
	"sessions.revision":  "likewise",
	"sessions.reserved":  "it is about the port of a session that is open",
	"sessions.ended_by":  "whoever ended it may be nobody in the other database",
	"sessions.successor": "it is about sessions that are open, which do not move: the core of an open one obeys one database only",

	"devices.floor":       "it belongs to the knocks that were seen",
	"devices.last_knock":  "likewise",
	"devices.last_source": "likewise",
	"knocks":              "they count for a minute; docs/reference/export.md warns of it",
	"redeems":             "likewise",
	"device_places":       "the first knock at each place says it again",

	"logins":         "a browser signs in again; its cookie belongs to the address of the old server anyway",
	"passes":         "likewise, at the services where it signed in",
	"login_attempts": "it is kept for 90 days, and is about the old server's doors",
	"spent_steps":    "steps of a sign-in begun at the old server, which end within minutes",
	"idempotency":    "answers to requests that the old server was asked",

	"refusals":      "they are about the old server's doors",
	"refusals_told": "likewise: what its cores have counted",

	"audit":     "a log that a file can write into proves nothing: everybody who can edit the file could put words into another's mouth. It moves whole by backup and restore, and `ownline admin audit --json` keeps a copy to read",
	"audit_cut": "it is the end of the audit log",
	"settings":  "link_key moves and is in TestRoundTrip; the rest is the epoch, the check of the secret key and such, which each database makes for itself",

	"goose_db_version": "it is the form of the database itself",
	"sqlite_sequence":  "SQLite's own",
}

// columns lists every column of a database as TABLE.COLUMN.
func columns(t *testing.T, db *sql.DB) (out []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT m.name || '.' || c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' ORDER BY 1")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	if err := rows.Err(); err != nil || len(out) < 100 {
		t.Fatal(len(out), err)
	}
	return out
}

// A new table or column is thought of: it moves, or it is written down why it stays.
func TestEveryColumn(t *testing.T) {
	from, to := filepath.Join(t.TempDir(), "from.db"), filepath.Join(t.TempDir(), "to.db")
	a, b := opened(t, from, 1), opened(t, to, 2)
	a.imports(string(read(t, "house.yaml")), transfer.Options{})
	b.imports(a.export(true, true), transfer.Options{})
	dbs := map[string]*sql.DB{}
	for _, f := range []string{from, to} {
		db, err := sql.Open("sqlite", f)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		dbs[f] = db
	}
	met := map[string]bool{}
	for _, name := range columns(t, dbs[from]) {
		table, column, _ := strings.Cut(name, ".")
		moving := slices.Contains(strings.Fields(moves[table]), column)
		staying := stays[table] != "" || stays[name] != ""
		met[table], met[name] = true, true
		if moving == staying {
			t.Errorf("%s must either move, or have a reason why it stays", name)
		}
		if !moving {
			continue
		}
		var of int
		if err := dbs[from].QueryRowContext(t.Context(), "SELECT count(*) FROM "+table+" WHERE "+column+" NOT IN ('', 0) AND "+column+" IS NOT NULL").Scan(&of); err != nil {
			t.Fatal(err)
		}
		if of == 0 {
			t.Errorf("testdata/house.yaml has no %s, so nothing shows that it moves", name)
		}
	}
	for name := range stays {
		if !met[name] {
			t.Errorf("there is no %s that could stay", name)
		}
	}
	for table, columns := range moves {
		for _, c := range strings.Fields(columns) {
			if !met[table+"."+c] {
				t.Errorf("there is no %s.%s that could move", table, c)
			}
		}
		if d := cmp.Diff(rows(t, dbs[from], table, columns), rows(t, dbs[to], table, columns)); d != "" {
			t.Errorf("%s (-from +to):\n%s", table, d)
		}
	}
}

// rows writes down what a table holds in those columns, one row to a line.
func rows(t *testing.T, db *sql.DB, table, columns string) string {
	t.Helper()
	names := strings.Fields(columns)
	q := "SELECT " + strings.Join(names, ", ") + " FROM " + table + " ORDER BY 1, 2"
	rs, err := db.QueryContext(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	defer rs.Close()
	var out bytes.Buffer
	for rs.Next() {
		values, into := make([]any, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rs.Scan(into...); err != nil {
			t.Fatal(err)
		}
		for i, v := range values {
			fmt.Fprintf(&out, "%s=%v ", names[i], v)
		}
		out.WriteString("\n")
	}
	if err := rs.Err(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
