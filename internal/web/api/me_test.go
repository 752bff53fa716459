package api

import (
	"strings"
	"testing"
	"time"
)

// What a session may be, and until when one stays signed in, the app has to know beforehand.
func TestMeTellsLimits(t *testing.T) {
	w := newWorld(t)
	b := w.browser("laptop")
	as[me](b.login("ana", userPassword), 200)
	got := as[me](b.do("GET", "/me", nil), 200)
	if want := (limits{Default: 1800, Max: 7200, PortMin: 20000, PortMax: 20099}); got.Limits != want {
		t.Errorf("limits %+v", got.Limits)
	}
	if got.Until == nil || got.Until.Before(time.Now().Add(24*time.Hour)) {
		t.Errorf("signed in until %v", got.Until)
	}
}

// Who is signed in can be asked for without an error when nobody is, and says no more then.
func TestSignedIn(t *testing.T) {
	w := newWorld(t)
	b := w.browser("laptop")
	nobody := func(what string) {
		t.Helper()
		if got := strings.TrimSpace(string(b.do("GET", "/auth/login", nil).want(200).body)); got != "{}" {
			t.Errorf("%s: %s", what, got)
		}
	}
	nobody("at first")
	b.login("ana", userPassword).want(200)
	in := as[struct{ Me me }](b.do("GET", "/auth/login", nil), 200).Me
	if is := as[me](b.do("GET", "/me", nil), 200); in.Name != "ana" || in.ID != is.ID || in.Role != is.Role || in.Until == nil {
		t.Errorf("signed in: %+v, GET /me says %+v", in, is)
	}
	held := b.cookie
	b.do("POST", "/auth/logout", nil).want(204)
	nobody("signed out")
	b.cookie = held
	nobody("with a cookie of before")
}
