package core

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/ownline/ownline/internal/link"
)

// paired starts a core, as far as keys go, on a state directory.
func paired(t *testing.T, dir string) commands {
	t.Helper()
	p := newPairing(t, dir)
	return commands{&Core{state: p.state, pairing: p, hub: newHub(), log: slog.New(slog.DiscardHandler)}}
}

// Invariant 7, and wherever core is killed: it obeys the old key until the first word by the
// next one, and then only that.
func TestNextKey(t *testing.T) {
	dir := t.TempDir()
	c := paired(t, dir)
	wants := func(what string, pins map[link.Pin]bool) {
		t.Helper()
		for pin, want := range pins {
			if got := c.Trusted(pin); got != want {
				t.Errorf("%s: Trusted(%q) = %v", what, pin, got)
			}
		}
	}
	announce := func(peer, next link.Pin) {
		t.Helper()
		if err := c.NextKey(peer, next); err != nil {
			t.Fatal(err)
		}
	}
	code, _, err := c.pairing.newCode("h", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.pairing.pair("old", code.Token); err != nil {
		t.Fatal(err)
	}
	wants("paired", map[link.Pin]bool{"old": true, "next": false, "": false})
	announce("old", "other")
	announce("old", "next")
	wants("announced twice", map[link.Pin]bool{"old": true, "other": false, "": false})
	announce("old", "")
	wants("withdrawn", map[link.Pin]bool{"old": true, "next": false, "": false})
	announce("old", "next")
	announce("old", "old")
	wants("the present one announced", map[link.Pin]bool{"old": true, "next": false})
	announce("old", "next")
	c = paired(t, dir) // killed
	wants("announced, and started again", map[link.Pin]bool{"old": true, "": false})

	// It can't be kept: then the next key is not obeyed, or a crash would bring the old one back.
	aside := dir + "-aside"
	if err := os.Rename(dir, aside); err != nil {
		t.Fatal(err)
	}
	wants("no disk", map[link.Pin]bool{"next": false, "old": true})
	if err := os.Rename(aside, dir); err != nil {
		t.Fatal(err)
	}

	events := c.hub.subscribe(t.Context(), link.Event{Type: link.EventHello})
	<-events
	wants("the next key appears", map[link.Pin]bool{"next": true})
	if _, open := <-events; open {
		t.Error("the old key is told more")
	}
	wants("the next key has appeared", map[link.Pin]bool{"next": true, "old": false, "": false})
	if err := c.NextKey("old", "thief"); !errors.Is(err, link.ErrUnpaired) {
		t.Errorf("NextKey of the old key = %v, want ErrUnpaired", err)
	}
	c = paired(t, dir)
	wants("started again", map[link.Pin]bool{"next": true, "old": false, "thief": false, "": false})

	announce("next", "third")
	if code, _, err = c.pairing.newCode("h", nil); err != nil {
		t.Fatal(err)
	}
	if err := c.pairing.pair("new", code.Token); err != nil {
		t.Fatal(err)
	}
	wants("paired anew", map[link.Pin]bool{"new": true, "next": false, "third": false})
	if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
