package core

import (
	"errors"
	"log/slog"
	"net/netip"
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
