package trustclock

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestWhoseClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		synced := false
		c := newClock(func() bool { return synced }, time.Now)
		if now, from := c.Now(); from != Unknown || !now.IsZero() {
			t.Errorf("before web was heard: %v from %s, want none", now, from)
		}
		c.Tell(time.Time{})
		if _, from := c.Now(); from != Unknown {
			t.Errorf("a zero time was taken for web's")
		}
		web := time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)
		c.Tell(web)
		time.Sleep(90 * time.Second)
		if now, from := c.Now(); from != Web || !now.Equal(web.Add(90*time.Second)) {
			t.Errorf("after web was heard: %v from %s", now, from)
		}
		synced = true
		if now, from := c.Now(); from != System || !now.Equal(time.Now()) {
			t.Errorf("synchronised: %v from %s", now, from)
		}
	})
}
