package core

import (
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

func newPairing(t *testing.T, dir string) *pairing {
	t.Helper()
	state, id, err := openState(dir)
	if err != nil {
		t.Fatal(err)
	}
	return &pairing{pin: id.Pin(), listen: "[::]:57329", state: state, log: slog.New(slog.DiscardHandler)}
}

func TestPairing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		p := newPairing(t, dir)
		lan := []netip.Addr{netip.MustParseAddr("192.168.7.1")}
		newCode := func() link.Code {
			c, _, err := p.newCode("", lan)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		refused := func(what, token, says string) {
			t.Helper()
			err := p.pair("web", token)
			if !errors.Is(err, ownline.ErrInvalid) || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v, want a refusal that says %q", what, err, says)
			}
		}
		refused("no code is out", "", "used already")
		old := newCode()
		if old.Addr != "192.168.7.1:57329" {
			t.Errorf("the code leads to %s, not to an address of the LAN", old.Addr)
		}
		c := newCode()
		refused("an older code", old.Token, "newest")
		time.Sleep(codeLife + 1)
		refused("too late", c.Token, "older than 10 minutes")
		c = newCode()
		time.Sleep(codeLife)
		if err := p.pair("web", c.Token); err != nil {
			t.Fatalf("in time: %v", err)
		}
		refused("a second time", c.Token, "used already")
		if web := newPairing(t, dir).state.get().Web; web != "web" {
			t.Errorf("after a restart core obeys %q", web)
		}
	})
}

// Invariant 9: what core keeps is for its owner alone.
func TestStateFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	p := newPairing(t, dir)
	c, _, err := p.newCode("router.lan", nil)
	if err != nil || c.Addr != "router.lan:57329" {
		t.Fatalf("code for %s, %v", c.Addr, err)
	}
	if err := p.pair("web", c.Token); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".", keyFile, savedFile} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: mode %v, %v", name, info.Mode(), err)
		}
	}
	if again := newPairing(t, dir); again.pin != p.pin {
		t.Error("a restart changed the link key")
	}
	if err := os.WriteFile(filepath.Join(dir, savedFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := openState(dir); err == nil || !strings.Contains(err.Error(), savedFile) {
		t.Errorf("damaged state: %v, want an error that names the file", err)
	}
}

func TestHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		if h.send(link.Event{}) {
			t.Error("somebody listens before anybody has subscribed")
		}
		slow := h.subscribe(t.Context(), link.Event{Type: link.EventHello})
		for range eventBuffer + 1 {
			h.send(link.Event{Type: link.EventAlive})
		}
		n := 0
		for range slow {
			n++
		}
		if n != eventBuffer || h.connected() {
			t.Errorf("a slow reader got %d events and is connected %v; want it cut off", n, h.connected())
		}
		cut := h.subscribe(t.Context(), link.Event{Type: link.EventHello})
		h.cut()
		if ev := <-cut; ev.Type != link.EventHello {
			t.Errorf("first event %+v", ev)
		}
		if _, open := <-cut; open {
			t.Error("a stream goes on after the cut")
		}
	})
}
