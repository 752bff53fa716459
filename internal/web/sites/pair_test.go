package sites_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/sites"
	"github.com/ownline/ownline/internal/web/sites/coretest"
)

func copyDB(t *testing.T, dir string)    { move(t, dir, "web.db", "copy") }
func restoreDB(t *testing.T, dir string) { move(t, dir, "copy", "web.db") }

func move(t *testing.T, dir, from, to string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, from))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, to), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(filepath.Join(dir, to+"-wal"))
	os.Remove(filepath.Join(dir, to+"-shm"))
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func field(err error) string {
	if fe, ok := errors.AsType[*ownline.FieldError](err); ok {
		return fe.Field
	}
	return ""
}

func TestPairErrors(t *testing.T) {
	w := newWorld(t)
	other := coretest.Serve(t, coretest.New("t2"))
	gone := coretest.Serve(t, coretest.New("t3"))
	gone.Stop()
	addr := func(s *coretest.Server) string {
		c, err := link.ParseCode(s.Code("x"))
		if err != nil {
			t.Fatal(err)
		}
		return c.Addr
	}
	for name, tc := range map[string]struct {
		code, name, host string
		kind             error
		field            string
	}{
		"not a code":       {"hello", "x", "h", ownline.ErrInvalid, "code"},
		"wrong token":      {other.Code("wrong"), "x", "h", ownline.ErrInvalid, "code"},
		"wrong key":        {link.Code{Addr: addr(other), Pin: coretest.Identity(t).Pin(), Token: "t2"}.String(), "x", "h", ownline.ErrInvalid, "code"},
		"core not there":   {gone.Code("t3"), "x", "h", ownline.ErrUnavailable, "code"},
		"no door":          {link.Code{Pin: coretest.Identity(t).Pin(), Token: "t"}.String(), "x", "h", ownline.ErrInvalid, "code"},
		"known core":       {w.core.Code("token"), "x", "h", ownline.ErrConflict, "code"},
		"name taken":       {other.Code("t2"), "home", "h", ownline.ErrConflict, "name"},
		"no name":          {other.Code("t2"), "", "h", ownline.ErrInvalid, "name"},
		"host with a port": {other.Code("t2"), "x", "h:80", ownline.ErrInvalid, "host"},
	} {
		_, err := w.PairSite(t.Context(), access.Command(), tc.code, tc.name, tc.host)
		if !errors.Is(err, tc.kind) || field(err) != tc.field {
			t.Errorf("%s: PairSite = %v, want %v about %q", name, err, tc.kind, tc.field)
		}
	}
	ss, err := w.Sites(t.Context(), access.Command())
	if err != nil || len(ss) != 1 {
		t.Errorf("sites = %+v, %v; want only the first", ss, err)
	}
	if _, err := w.PairSite(t.Context(), access.Command(), other.Code("t2"), "x", "h"); err != nil {
		t.Errorf("the code was spent by refused tries: %v", err)
	}
	if _, err := w.PairSite(t.Context(), w.ana, other.Code("t2"), "x", "h"); !errors.Is(err, ownline.ErrForbidden) {
		t.Errorf("PairSite by a user = %v", err)
	}
}

func TestPairFile(t *testing.T) {
	w := newWorld(t)
	w.halt()
	other := coretest.Serve(t, coretest.New("t2"))
	file := filepath.Join(w.dir, "pair")
	p := w.process(false)
	defer p.stop()
	cores := sites.New(sites.Options{Identity: w.id, PairFile: file, PairHost: "h.example.org", Log: slog.New(slog.DiscardHandler)})
	a := access.New(access.Options{Store: access.Over(p.store), Enforcer: cores, Passwords: plain{}, Limits: limit, IPv6Prefix: 64, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { cores.Run(ctx, a) })
	if err := os.WriteFile(file, []byte(other.Code("t2")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var s ownline.SiteInfo
	w.until("the site is there", func() (ok bool) {
		var err error
		s, err = a.SiteNamed(ctx, access.Command(), "home-2") // "home" is taken
		return err == nil
	})
	w.until("it is connected", func() bool { return cores.Health(s.ID).Connected })
	if s.Host != "h.example.org" || s.KnockPort != 54754 {
		t.Errorf("site = %+v", s)
	}
	// The core lost its pairing and leaves another code: the site stays the same.
	other.NewToken("t4")
	if err := os.WriteFile(file, []byte(other.Code("t4")), 0o600); err != nil {
		t.Fatal(err)
	}
	w.until("it has paired again", func() bool { return other.Carried("pair") == 2 })
	ss, err := a.Sites(ctx, access.Command())
	if err != nil || len(ss) != 2 {
		t.Errorf("sites = %d, %v; want 2", len(ss), err)
	}
}

// A core that dials web is commanded in the same way.
func TestDialledFromCore(t *testing.T) {
	w := newWorld(t)
	w.halt()
	log := slog.New(slog.DiscardHandler)
	door := link.NewDoor(w.id, log)
	model := coretest.New("t2")
	coreID := coretest.Identity(t)
	p := w.process(false)
	defer p.stop()
	cores := sites.New(sites.Options{Identity: w.id, Door: door, Log: log})
	a := access.New(access.Options{Store: access.Over(p.store), Enforcer: cores, Passwords: plain{}, Limits: limit, IPv6Prefix: 64, Log: log})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	l := listen(t)
	wg.Go(func() { door.Serve(ctx, l) })
	wg.Go(func() { cores.Run(ctx, a) })
	wg.Go(func() { link.NewServer(coreID, model, log).Dial(ctx, l.Addr().String()) })
	code := link.Code{Pin: coreID.Pin(), Token: "t2"}.String()
	s, err := a.PairSite(ctx, access.Command(), code, "far", "far.example.org")
	if err != nil {
		t.Fatal(err)
	}
	w.until("it is connected", func() bool { return cores.Health(s.ID).Connected })
	if took, err := a.PingSite(ctx, access.Command(), s.ID); err != nil || took <= 0 {
		t.Errorf("PingSite = %s, %v", took, err)
	}
	if _, err := a.ApplySite(ctx, access.Command(), s.ID); err != nil {
		t.Errorf("ApplySite = %v", err)
	}
}
