package api

import (
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
