package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/policy"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/auth"
	"github.com/ownline/ownline/internal/web/store"
	"github.com/ownline/ownline/internal/web/store/pgtest"
	"github.com/ownline/ownline/internal/web/transfer"
)

var update = flag.Bool("update", false, "write golden files anew")

var me = access.Command()

// cores obey, and count how often they are told.
type cores struct{ told int }

func (c *cores) Put(context.Context, ownline.SiteID, uint64, link.Session) error { return nil }

func (c *cores) End(context.Context, ownline.SiteID, uint64, []ownline.SessionID) error {
	c.told++
	return nil
}

func (c *cores) Sync(context.Context, ownline.SiteID, uint64) error {
	c.told++
	return nil
}

func (c *cores) Pass(context.Context, ownline.SiteID, uint64, link.Pass, []byte, []byte) error {
	return ownline.ErrUnavailable
}
func (c *cores) Health(ownline.SiteID) ownline.LinkHealth { return ownline.LinkHealth{} }
func (c *cores) Ping(context.Context, ownline.SiteID) (time.Duration, error) {
	return 0, nil
}

func (c *cores) Preview(context.Context, ownline.SiteID, link.Service) (string, error) {
	return "", ownline.ErrUnavailable
}

func (c *cores) Reach(context.Context, ownline.SiteID, netip.AddrPort) (link.Reached, error) {
	return link.Reached{}, ownline.ErrUnavailable
}

func (c *cores) Moved(context.Context, ownline.Site) error { return nil }

func (c *cores) Pair(context.Context, string) (link.Status, error) {
	return link.Status{}, ownline.ErrUnavailable
}

// database is an open one, with the use cases on it.
type database struct {
	t     testing.TB
	store *store.Store
	*access.Access
	cores *cores
}

func overStore(t testing.TB, st *store.Store) *database {
	t.Helper()
	if _, err := st.LinkIdentity(t.Context(), link.GenerateIdentity); err != nil {
		t.Fatal(err)
	}
	d := &database{t: t, store: st, cores: &cores{}}
	d.Access = access.New(access.Options{
		Store: access.Over(st), Enforcer: d.cores, Passwords: auth.CheapPasswords(), IPv6Prefix: 64,
		Limits:  policy.Limits{Default: time.Hour, Max: time.Hour, Automatic: time.Hour, PortMin: 20000, PortMax: 29999},
		Overlap: time.Minute, Log: slog.New(slog.DiscardHandler),
	})
	return d
}

func sqlite(t testing.TB) *database {
	t.Helper()
	return opened(t, filepath.Join(t.TempDir(), "web.db"), 1)
}

func postgres(t testing.TB) *database {
	t.Helper()
	return opened(t, pgtest.Database(t), 2)
}

// opened opens a database with a key of its own.
func opened(t testing.TB, where string, key byte) *database {
	t.Helper()
	st, err := store.Open(context.Background(), where, bytes.Repeat([]byte{key}, 32))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return overStore(t, st)
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// golden compares with a file, or writes it.
func golden(t testing.TB, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(filepath.Join("testdata", name), got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff(string(read(t, name)), string(got)); d != "" {
		t.Errorf("%s (-want +got):\n%s", name, d)
	}
}

func (d *database) tryImport(text string, o transfer.Options) (transfer.Result, error) {
	d.t.Helper()
	f, err := transfer.Parse("FILE", []byte(text))
	if err != nil {
		return transfer.Result{}, err
	}
	return transfer.Import(d.t.Context(), d.Access, me, f, o)
}

func (d *database) imports(text string, o transfer.Options) transfer.Result {
	d.t.Helper()
	r, err := d.tryImport(text, o)
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

func (d *database) export(secrets, history bool) string {
	d.t.Helper()
	doc, err := transfer.Export(d.t.Context(), d.Access, me, secrets, history)
	if err != nil {
		d.t.Fatal(err)
	}
	var b bytes.Buffer
	if err := doc.WriteYAML(&b); err != nil {
		d.t.Fatal(err)
	}
	return b.String()
}

// house is a database with what testdata/house.yaml says.
func house(t testing.TB) *database {
	d := sqlite(t)
	d.imports(string(read(t, "house.yaml")), transfer.Options{})
	return d
}

// What was exported comes out of another database as it was, byte for byte; a second time
// changes nothing.
func TestRoundTrip(t *testing.T) {
	t.Run("SQLite to PostgreSQL", func(t *testing.T) { roundTrip(t, sqlite(t), postgres(t)) })
	t.Run("PostgreSQL to SQLite", func(t *testing.T) { roundTrip(t, postgres(t), sqlite(t)) })
}

func roundTrip(t *testing.T, from, to *database) {
	t.Helper()
	from.imports(string(read(t, "house.yaml")), transfer.Options{})
	whole := from.export(true, true)
	golden(t, "house.yaml", []byte(withoutKey(whole)))
	if withoutKey(whole) == whole {
		t.Error("the link key is not in the file")
	}
	r := to.imports(whole, transfer.Options{})
	if !r.Applied || r.History != 3 || len(r.Changes) == 0 {
		t.Errorf("got %+v", r)
	}
	if d := cmp.Diff(whole, to.export(true, true)); d != "" {
		t.Errorf("the other database holds something else (-from +to):\n%s", d)
	}
	if to.cores.told == 0 {
		t.Error("the cores were not told")
	}
	for _, o := range []transfer.Options{{}, {Prune: true}} {
		if r := to.imports(whole, o); len(r.Changes) != 0 || r.History != 0 {
			t.Errorf("the second import changes %+v", r)
		}
	}
	// The other database opens the secrets with its own key.
	if err := to.store.Read(t.Context(), func(tx *store.Tx) error {
		ds, err := tx.CoreDevices(idOf[ownline.Site](t, "019b0000-0000-7000-8000-000000000001"))
		if len(ds) != 1 || string(ds[0].Secret) != strings.Repeat("k", 32) {
			t.Errorf("core would be told %+v", ds)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// withoutKey leaves the link key out, which is another one in every run.
func withoutKey(text string) string {
	return regexp.MustCompile(`(?m)^link_key: \|\n(  .*\n)+`).ReplaceAllString(text, "")
}

func idOf[T any](t testing.TB, s string) ownline.ID[T] {
	t.Helper()
	id, err := ownline.ParseID[T](s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Without --secrets nothing secret is in the file, and whoever imports it is told what is
// left to do.
func TestWithoutSecrets(t *testing.T) {
	from := house(t)
	text := from.export(false, false)
	golden(t, "public.yaml", []byte(text))
	for _, secret := range []string{"argon2", "pbkdf2", "PRIVATE KEY", "a2tra2", "secret:", "history:"} {
		if strings.Contains(text, secret) {
			t.Errorf("%s is in the file", secret)
		}
	}
	to := sqlite(t)
	r := to.imports(text, transfer.Options{})
	notes := strings.Join(r.Notes, "\n")
	for _, want := range []string{"site home: its core obeys", "user ana has no password yet", "device ana/ana's 📱 phone"} {
		if !strings.Contains(notes, want) {
			t.Errorf("no note %q in\n%s", want, notes)
		}
	}
	if got := to.export(false, false); got != text {
		t.Errorf("got %s", cmp.Diff(text, got))
	}
	if r := from.imports(text, transfer.Options{}); len(r.Changes) > 0 {
		t.Errorf("where it came from it changes %+v", r.Changes)
	}
}

const handWritten = `
services:
  - {name: wiki, target: 192.168.7.20:80}
  - {name: ssh, target: 192.168.7.10:22, target6: "[fd00:7::10]:22", icon: terminal}
grants:
  - {user: bob, service: wiki, max_duration: 2h}
  - {user: ana, service: home/ssh, automatic: true, public_port: 443, allow_reserved: true, max_duration: 1m30s, max_sources: 3, require_claimed_source: true, allowed_from: [198.51.100.0/24]}
`

// Services and grants by names are enough; what is not named stays.
func TestHandWritten(t *testing.T) {
	d := house(t)
	before := d.export(true, true)
	dry := d.imports(handWritten, transfer.Options{DryRun: true})
	if dry.Applied || d.export(true, true) != before {
		t.Error("a dry run changed something")
	}
	r := d.imports(handWritten, transfer.Options{})
	var got []string
	for _, c := range r.Changes {
		got = append(got, c.Op+" "+c.Kind+" "+c.Name)
	}
	want := []string{"added service home/wiki", "added grant bob home/wiki"}
	if d := cmp.Diff(want, got); d != "" || len(dry.Changes) != len(r.Changes) {
		t.Errorf("changes (-want +got):\n%s\ndry: %+v", d, dry.Changes)
	}
	if r := d.imports(handWritten, transfer.Options{}); len(r.Changes) != 0 {
		t.Errorf("a second time changes %+v", r.Changes)
	}
	// A grant that is there gets what it requires.
	claims := "grants: [{user: ana, service: ssh, automatic: true, public_port: 443, allow_reserved: true, max_duration: 1m30s, max_sources: 3, allowed_from: [198.51.100.0/24]}]"
	r = d.imports(claims, transfer.Options{})
	if len(r.Changes) != 1 || !slices.Equal(r.Changes[0].Fields, []transfer.Field{{Name: "require_claimed_source", From: "true"}}) {
		t.Errorf("got %+v", r.Changes)
	}
	if r := d.imports(claims, transfer.Options{}); len(r.Changes) != 0 {
		t.Errorf("a second time changes %+v", r.Changes)
	}
	// A key that is left out has its default.
	r = d.imports("services: [{name: ssh, target: 192.168.7.10:22}]", transfer.Options{})
	if len(r.Changes) != 1 || len(r.Changes[0].Fields) != 2 || r.Changes[0].Fields[0] != (transfer.Field{Name: "target6", From: "[fd00:7::10]:22"}) {
		t.Errorf("got %+v", r.Changes)
	}
}

// A site's shorter prefix comes after the lists that have to fit it, so that one file can change both.
func TestShorterPrefix(t *testing.T) {
	d := house(t)
	const list = "grants: [{user: ana, service: ssh, allowed_from: ['2001:db8:0:10::/%d']}]\ndevices: [{name: tablet, user: ana, allowed_from: ['2001:db8:0:10::/%d']}]\n"
	const site = "sites: [{name: home, host: home.example.org, ipv6_prefix: 56}]\n"
	importable := func() {
		t.Helper()
		sqlite(t).imports(d.export(true, true), transfer.Options{})
	}
	d.imports(fmt.Sprintf(list, 64, 60), transfer.Options{})
	importable()
	for _, text := range []string{site, site + fmt.Sprintf(list, 56, 60), site + fmt.Sprintf(list, 60, 56)} {
		if _, err := d.tryImport(text, transfer.Options{}); err == nil || !strings.Contains(err.Error(), "FILE:1:59: sites[0].ipv6_prefix: is shorter than networks in allowed_from") {
			t.Errorf("lists that do not fit: %v", err)
		}
		importable()
	}
	d.imports(site+fmt.Sprintf(list, 56, 56), transfer.Options{})
	importable()
	if text := d.export(false, false); !strings.Contains(text, "ipv6_prefix: 56") || strings.Count(text, "2001:db8::/56") != 2 {
		t.Errorf("now there is\n%s", text)
	}
	// And it gets longer before they do.
	d.imports(strings.Replace(site, "56", "64", 1)+fmt.Sprintf(list, 64, 64), transfer.Options{})
	importable()
}

// Only sections that the file has are pruned.
func TestPrune(t *testing.T) {
	d := house(t)
	r := d.imports("grants: []\nusers: [{name: root, role: admin}]\n", transfer.Options{Prune: true})
	var got []string
	for _, c := range r.Changes {
		got = append(got, c.Op+" "+c.Kind+" "+c.Name)
	}
	if d := cmp.Diff([]string{"removed grant ana home/ssh", "removed user ana", "removed user bob"}, got); d != "" {
		t.Errorf("changes (-want +got):\n%s", d)
	}
	after := d.export(true, false)
	if strings.Contains(after, "ana") || !strings.Contains(after, "name: ssh") {
		t.Errorf("now there is\n%s", after)
	}
	// What was removed comes back with a file that has it.
	d.imports(string(read(t, "house.yaml")), transfer.Options{})
	golden(t, "house.yaml", []byte(withoutKey(d.export(true, true))))
	if _, err := d.tryImport("users: [{name: ana}]", transfer.Options{Prune: true}); err == nil || !strings.Contains(err.Error(), "last admin") {
		t.Errorf("the last admin can be removed: %v", err)
	}
}

// A mistake is named with line and column, all at once where they are the file's own, and
// nothing is changed.
func TestMistakes(t *testing.T) {
	d := house(t)
	before := d.export(true, true)
	for name, tc := range map[string]struct{ text, want string }{
		"unknown key":     {"users:\n  - name: eve\n    rolle: admin\n", `FILE:3:5: users[0].rolle: unknown key; did you mean role?`},
		"unknown section": {"people: []\n", `FILE:1:1: people: unknown key; known are: `},
		"not a list":      {"users: {name: eve}\n", `FILE:1:8: users: must be a list of groups of keys, not a group of keys; begin every one with -`},
		"type":            {"grants:\n- {user: ana, service: ssh, automatic: maybe}\n", `FILE:2:40: grants[0].automatic: must be true or false, not "maybe"`},
		"no origin":       {"grants:\n- {user: ana, service: ssh, allowed_from: [\"\"]}\n", `FILE:2:43: grants[0].allowed_from: has an empty entry`},
		"id":              {"users: [{name: ana, id: x}]\n", `FILE:1:25: users[0].id: "x" is not an identifier of 36 characters`},
		"version":         {"version: 2\n", "FILE:1:10: version: is not one that this program knows"},
		"name missing":    {"users:\n  - role: admin\n", "FILE:2:5: users[0].name: is missing"},
		"role":            {"users:\n  - name: eve\n    role: king\n", `FILE:3:11: users[0].role: must be "admin" or "user"`},
		"name":            {"users:\n  - name: Eve!\n", `FILE:2:11: users[0].name: must be 1 to 64 of a-z 0-9 . _ -`},
		"hash":            {"users:\n  - name: eve\n    password_hash: hunter2\n", "FILE:3:20: users[0].password_hash: is neither an argon2id hash"},
		"another one":     {"users:\n- {name: ana, id: 019b0000-0000-7000-8000-00000000ffff}\n", "FILE:2:19: users[0].id: what is called ana here is another one; leave id out to mean that"},
		"twice":           {"users: [{name: ana}, {name: ana}]\n", "FILE:1:22: users[1]: ana is given twice"},
		"target":          {"services:\n- {name: x, target: 10.0.0.1:1}\n", "FILE:2:21: services[0].target: 10.0.0.1 is in none of the site's local networks"},
		"no such user":    {"grants:\n- {user: eve, service: ssh}\n", `FILE:2:10: grants[0].user: there is no user "eve"; known are: ana, bob, root`},
		"no such service": {"grants:\n- {user: ana, service: wiki}\n", `FILE:2:24: grants[0].service: there is no service "wiki"; known are: home/camera, home/journal, home/ssh`},
		"new site":        {"sites: [{name: cabin, host: c.example}]\n", "FILE:1:9: sites[0]: there is no site cabin, and only pairing makes one"},
		"reserved port":   {"grants:\n- {user: bob, service: ssh, public_port: 22}\n", "FILE:2:42: grants[0].public_port: the router itself serves port 22"},
		"link key":        {"link_key: x\n", "FILE:1:11: link_key: the sites here obey another key; leave link_key out"},
		"anchors":         {"users: &a [{name: ana}]\n", "anchors and aliases are not supported"},
		"revoked":         {"devices: [{name: old, user: ana, id: 019b0000-0000-7000-8000-000000000042}]\n", "devices[0].revoked: the device was revoked here"},
		"secret":          {"devices: [{name: new, user: ana, secret: aGk=}]\n", "FILE:1:42: devices[0].secret: is not 32 bytes in base64"},
		"picture":         {"services: [{name: camera, target: 192.168.7.20:80, picture: aGk=}]\n", "services[0].icon: must be a PNG, JPEG, WebP or SVG picture"},
		"picture, icon":   {"services: [{name: camera, target: 192.168.7.20:80, picture: aGk=, icon: key}]\n", "FILE:1:61: services[0].picture: stands in place of icon"},
		"token":           {"tokens: [{name: x, user: ana, id: 019b0000-0000-7000-8000-0000000000aa, hash: aGk=, scopes: [read]}]\n", "FILE:1:79: tokens[0].hash: must be one of 32 bytes"},
		"scope":           {"tokens: [{name: x, user: ana, id: 019b0000-0000-7000-8000-0000000000aa, hash: eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg=, scopes: [all]}]\n", "tokens[0].scopes: must be of "},
		"no id":           {"passkeys: [{name: x, user: ana, credential: aGk=, data: aGk=}]\n", "passkeys[0].id: is missing"},
		"whose link":      {"links: [{user: ana, issuer: 'https://id.example.org', subject: '8231'}]\n", "links[0].subject: is another user here"},
		"short secret":    {"second_factors: [{user: root, secret: aGk=}]\n", "FILE:1:39: second_factors[0].secret: is too short"},
		"uses":            {"invitations: [{user: ana, service: ssh, id: 019b0000-0000-7000-8000-0000000000aa, hash: eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg=, uses: 1, used: 2}]\n", "invitations[0].uses: must be 1 to"},
		"history":         {"history: [{user: ana}]\n", "FILE:1:11: history[0]: needs id, user_id"},
		"the last counts": {"users: [{name: eve}]\nservices:\n- {name: y, target: 192.168.7.9:1}\n- {name: -, target: 192.168.7.9:1}\n", "FILE:4:10: services[1].name: must be 1 to 63"},
		"all at once":     {"users: [{name: ana, role: admin}, {}]\ngrants: [{user: a, service: b}]\n", "users[1].name: is missing\nFILE:2:17: grants[0].user: there is no user \"a\""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := d.tryImport(tc.text, transfer.Options{})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v\nwant %s", err, tc.want)
			}
			if after := d.export(true, true); after != before {
				t.Errorf("it changed %s", cmp.Diff(before, after))
			}
		})
	}
}

// A password of the prototype's is taken once: never over one that is there.
func TestOldPasswords(t *testing.T) {
	d := house(t)
	old := "pbkdf2:sha256:1000$salt$" + strings.Repeat("0a", 32)
	file := "users:\n- {name: ana, password_hash: '" + old + "'}\n- {name: eve, password_hash: '" + old + "'}\n"
	r := d.imports(file, transfer.Options{})
	if len(r.Changes) != 1 || r.Changes[0].Name != "eve" || !strings.Contains(strings.Join(r.Notes, "\n"), "user ana keeps the password") {
		t.Errorf("got %+v", r)
	}
	for _, c := range r.Changes {
		for _, f := range c.Fields {
			if strings.Contains(f.From+f.To, "pbkdf2") {
				t.Errorf("a difference shows %+v", f)
			}
		}
	}
}

// Nobody but a command may move secrets or history.
func TestWhoMay(t *testing.T) {
	d := house(t)
	root := access.Actor{By: access.ByLogin, User: ownline.User{ID: ownline.NewID[ownline.User](), Name: "root", Role: ownline.Admin}}
	if _, err := transfer.Export(t.Context(), d.Access, root, false, false); !errors.Is(err, ownline.ErrForbidden) {
		t.Errorf("Export = %v", err)
	}
	f, err := transfer.Parse("FILE", []byte("users: [{name: eve}]"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := transfer.Import(t.Context(), d.Access, root, f, transfer.Options{}); !errors.Is(err, ownline.ErrForbidden) {
		t.Errorf("Import = %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"house.yaml", "public.yaml", "prototype.yaml"} {
		f.Add(read(f, name))
	}
	f.Add([]byte(handWritten))
	f.Fuzz(func(t *testing.T, content []byte) {
		file, err := transfer.Parse("FILE", content)
		if err != nil {
			return
		}
		var one, two bytes.Buffer
		if err := file.WriteYAML(&one); err != nil {
			t.Fatal(err)
		}
		again, err := transfer.Parse("FILE", one.Bytes())
		if err != nil {
			t.Fatalf("what was written can't be read: %v\n%s", err, one.Bytes())
		}
		if err := again.WriteYAML(&two); err != nil || !bytes.Equal(one.Bytes(), two.Bytes()) {
			t.Fatalf("written twice: %v\n%s\n%s", err, one.Bytes(), two.Bytes())
		}
	})
}
