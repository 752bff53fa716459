package transfer_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/transfer"
)

// What lets people in is added where it is missing, and what is there stays.
func TestKeys(t *testing.T) {
	from, to := house(t), sqlite(t)
	whole := from.export(true, false)
	to.imports(whole, transfer.Options{})
	ana := idOf[ownline.User](t, "019b0000-0000-7000-8000-000000000011")
	root := idOf[ownline.User](t, "019b0000-0000-7000-8000-000000000013")

	// The second factor works with the other database's key, and its used codes stay used.
	f, err := to.store.TOTP(t.Context(), ana)
	if err != nil || string(f.Secret) != strings.Repeat("s", 20) || !f.Confirmed || f.LastStep != 59000000 {
		t.Errorf("got %+v, %v", f, err)
	}
	if ok, err := to.store.UseStep(t.Context(), ana, 59000000); ok || err != nil {
		t.Errorf("a used code counts again: %v", err)
	}
	if ok, err := to.store.UseRecoveryCode(t.Context(), ana, []byte(strings.Repeat("2", 32))); !ok || err != nil {
		t.Errorf("a recovery code does not count: %v, %v", ok, err)
	}
	token := func() error {
		_, _, err := to.store.Token(t.Context(), []byte(strings.Repeat("t", 32)), time.Now())
		return err
	}
	if err := token(); err != nil {
		t.Error(err)
	}
	// Used codes do not come back with a second import.
	if r := to.imports(whole, transfer.Options{}); len(r.Changes) != 0 {
		t.Errorf("it changes %+v", r.Changes)
	}
	if n, err := to.store.CountRecoveryCodes(t.Context(), ana); n != 1 || err != nil {
		t.Errorf("%d recovery codes, %v", n, err)
	}
	// Another second factor that the user has chosen here stays, and that is told.
	if err := to.store.RemoveTOTP(t.Context(), ana); err != nil {
		t.Fatal(err)
	}
	if err := to.store.OfferTOTP(t.Context(), ana, []byte(strings.Repeat("o", 20)), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := to.store.ConfirmTOTP(t.Context(), ana, time.Unix(1, 0), 1, nil); err != nil {
		t.Fatal(err)
	}
	if r := to.imports(whole, transfer.Options{}); len(r.Changes) != 0 || !strings.Contains(fmt.Sprint(r.Notes), "user ana keeps the second factor") {
		t.Errorf("got %+v", r)
	}
	// A password that the file has signs out; the tokens that the file has count on.
	if err := to.RestorePassword(t.Context(), me, root, "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$b3RoZXJvdGhlcm90aGVyb3RoZXJvdGhlcm90aGVybzE", false); err != nil {
		t.Fatal(err)
	}
	if err := token(); err == nil {
		t.Error("another password leaves tokens alone")
	}
	r := to.imports(whole, transfer.Options{})
	var got []string
	for _, c := range r.Changes {
		got = append(got, fmt.Sprintf("%s %s %s %s", c.Op, c.Kind, c.Name, c.Fields))
	}
	if s := strings.Join(got, "; "); s != "changed user root [{password_hash [secret] [secret]} {must_change  true}]; added token root/backup [{hash [secret] [secret]}]" {
		t.Errorf("got %s", s)
	}
	if err := token(); err != nil {
		t.Error(err)
	}
}

// Whether a password must be changed comes with the password alone.
func TestMustChange(t *testing.T) {
	d := house(t)
	if r := d.imports("users: [{name: root, role: admin}]\n", transfer.Options{}); len(r.Changes) != 0 {
		t.Errorf("got %+v", r.Changes)
	}
	d.imports("users: [{name: eve, must_change: true}]\n", transfer.Options{})
	if got := d.export(false, false); strings.Count(got, "must_change: true") != 2 {
		t.Errorf("got %s", got)
	}
}

// A picture is drawn anew when it is another one, and goes when the file has none.
func TestPicture(t *testing.T) {
	d := house(t)
	const other = "PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCA5IDkiPjxzY3JpcHQ+eDwvc2NyaXB0PjxwYXRoIGQ9Ik0xIDFoN3Y3SDF6Ij48L3BhdGg+PC9zdmc+"
	service := func(picture string) transfer.Result {
		return d.imports("services: [{name: camera, target: 192.168.7.20:80, "+picture+"}]\n", transfer.Options{})
	}
	if r := service("picture: " + other); len(r.Changes) != 1 || r.Changes[0].Fields[0].Name != "picture" {
		t.Errorf("got %+v", r)
	}
	if got := d.export(false, false); strings.Contains(got, other) || !strings.Contains(got, "picture: PHN2Zy") {
		t.Errorf("the picture was taken as it is, or not at all:\n%s", got)
	}
	service("icon: key")
	if got := d.export(false, false); strings.Contains(got, "picture:") || !strings.Contains(got, "icon: key") {
		t.Errorf("got %s", got)
	}
}
