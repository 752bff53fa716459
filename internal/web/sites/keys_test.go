package sites_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/sites/coretest"
)

// rotate begins to replace the link key, as the command does.
func (w *world) rotate() {
	w.t.Helper()
	err := w.store.NextLinkKey(w.t.Context(), link.GenerateIdentity, ownline.AuditEntry{At: time.Now(), By: "command", Action: "link_key.begin"})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) linkKeys() link.Keys {
	w.t.Helper()
	k, err := w.store.LinkKeys(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return k
}

// rotated waits until another key than the given one is used and the core is commanded by it.
func (w *world) rotated(old link.Keys) {
	w.t.Helper()
	w.until("another key is used", func() bool {
		k := w.linkKeys()
		return k.Next == nil && string(k.Present) != string(old.Present)
	})
	id, err := link.ParseIdentity(w.linkKeys().Present)
	if err != nil {
		w.t.Fatal(err)
	}
	w.until("core obeys it", func() bool { return w.core.Web() == id.Pin() })
	w.live()
	w.converge()
}

// byKey asks the core how it is, by that key.
func (w *world) byKey(pem []byte) error {
	w.t.Helper()
	id, err := link.ParseIdentity(pem)
	if err != nil {
		w.t.Fatal(err)
	}
	code, err := link.ParseCode(w.core.Code("x"))
	if err != nil {
		w.t.Fatal(err)
	}
	c := id.NewClient(code.Addr, code.Pin)
	defer c.Close()
	_, err = c.Status(w.t.Context())
	return err
}

// A session lives on while the link key is replaced, the core is commanded by the new one,
// and the old one is of no use.
func TestRotateLinkKey(t *testing.T) {
	w := newWorld(t)
	s, err := w.Open(t.Context(), w.ana, access.OpenAsk{Service: w.http.ID})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		old := w.linkKeys()
		w.rotate()
		w.rotated(old)
		if _, ok := w.core.Sessions()[s.ID]; !ok {
			t.Error("the session is gone")
		}
		if _, err := w.Renew(t.Context(), w.ana, s.ID, time.Hour); err != nil {
			t.Errorf("Renew = %v", err)
		}
		if err := w.byKey(old.Present); !errors.Is(err, link.ErrUnpaired) {
			t.Errorf("Status by the old key = %v, want ErrUnpaired", err)
		}
	}
	w.restart()
	w.live()
	w.converge()
}

// A core that is away is waited for, and told when it is back.
func TestRotateWaits(t *testing.T) {
	w := newWorld(t)
	w.live()
	w.core.Stop()
	old := w.linkKeys()
	w.rotate()
	time.Sleep(600 * time.Millisecond)
	if k := w.linkKeys(); k.Next == nil || len(k.Known) != 0 {
		t.Fatalf("keys = %+v; want a next one that nobody knows", k)
	}
	w.core.Start()
	w.rotated(old)
}

// Invariant 5: wherever the rotation is cut short, the two agree again.
func TestRotateCutShort(t *testing.T) {
	for _, when := range []string{"before", "after"} {
		for _, who := range []string{"core", "web"} {
			t.Run(who+" dies "+when+" core was told", func(t *testing.T) {
				w := newWorld(t)
				w.live()
				old := w.linkKeys()
				died := make(chan struct{})
				w.once(when, "key", func() {
					if who == "core" {
						go func() { w.core.Stop(); close(died) }()
					} else {
						w.core.Cut()
						go func() { w.halt(); close(died) }()
					}
				})
				w.rotate()
				<-died
				w.core.SetHooks(nil, nil)
				if who == "core" {
					w.core.Start()
				} else {
					w.start()
				}
				w.rotated(old)
			})
		}
	}
	t.Run("web dies before it uses the key that all know", func(t *testing.T) {
		w := newWorld(t)
		w.live()
		old := w.linkKeys()
		w.halt()
		w.start()
		w.live()
		w.rotate()
		next := w.linkKeys().Next
		w.rotated(old)
		if string(w.linkKeys().Present) != string(next) {
			t.Error("another key than the announced one is used")
		}
	})
}

// A core that is too old keeps web at its key and says so; sessions go on. Forced, web is
// unpaired from it until it is paired again, and the site is what it was.
func TestRotateForced(t *testing.T) {
	w := newWorld(t)
	s, err := w.Open(t.Context(), w.ana, access.OpenAsk{Service: w.http.ID})
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	w.core.SetHooks(func(op string) error {
		if op == "key" {
			asked.Add(1)
			return link.ErrUnknownRequest
		}
		return nil
	}, nil)
	old := w.linkKeys()
	w.rotate()
	pin := link.Pin(w.site.Pin)
	w.until("it is known why", func() bool { return w.linkKeys().Known[pin] != "" })
	time.Sleep(600 * time.Millisecond)
	if k := w.linkKeys(); string(k.Present) != string(old.Present) || asked.Load() != 1 {
		t.Errorf("keys = %+v, asked %d times; want the old one kept, and one question in ten seconds", k, asked.Load())
	}
	if _, err := w.Renew(t.Context(), w.ana, s.ID, time.Hour); err != nil {
		t.Errorf("Renew = %v", err)
	}
	done, ignorant, err := w.store.UseNextLinkKey(t.Context(), true, ownline.AuditEntry{At: time.Now(), By: "command", Action: "link_key.use"})
	if !done || len(ignorant) != 1 || err != nil {
		t.Fatalf("UseNextLinkKey = %v, %v, %v", done, ignorant, err)
	}
	w.until("core refuses the new key", func() bool { h := w.cores.Health(w.site.ID); return !h.Connected && h.Error != "" })
	w.core.NewToken("again")
	got, err := w.PairAgain(t.Context(), access.Command(), w.site.ID, w.core.Code("again"))
	if err != nil || got.ID != w.site.ID {
		t.Fatalf("PairAgain = %+v, %v", got, err)
	}
	w.live()
	w.converge()
	if _, ok := w.core.Sessions()[s.ID]; !ok {
		t.Error("the session is gone")
	}
}

// A core that is paired while a rotation is under way has forgotten what it was told.
func TestPairedWhileRotating(t *testing.T) {
	w := newWorld(t)
	w.live()
	other := coretest.Serve(t, coretest.New("t2"))
	if _, err := w.PairSite(t.Context(), access.Command(), other.Code("t2"), "far", "far.example.org"); err != nil {
		t.Fatal(err)
	}
	other.Stop() // so that the rotation waits
	old := w.linkKeys()
	w.rotate()
	w.until("core was told", func() bool { why, told := w.linkKeys().Known[link.Pin(w.site.Pin)]; return told && why == "" })
	w.core.NewToken("again")
	if _, err := w.PairAgain(t.Context(), access.Command(), w.site.ID, w.core.Code("again")); err != nil {
		t.Fatal(err)
	}
	w.until("core was told again", func() bool { return w.core.Carried("key") == 2 })
	other.Start()
	w.rotated(old)
}

// A site gets another router, or its router another key.
func TestPairAgain(t *testing.T) {
	w := newWorld(t)
	w.live()
	other := coretest.Serve(t, coretest.New("t2"))
	for what, tc := range map[string]struct {
		actor access.Actor
		site  ownline.SiteID
		code  string
		kind  error
	}{
		"by a user":     {w.ana, w.site.ID, other.Code("t2"), ownline.ErrForbidden},
		"unknown site":  {access.Command(), ownline.NewID[ownline.Site](), other.Code("t2"), ownline.ErrNotFound},
		"not a code":    {access.Command(), w.site.ID, "hello", ownline.ErrInvalid},
		"an older code": {access.Command(), w.site.ID, other.Code("t1"), ownline.ErrInvalid},
	} {
		if _, err := w.PairAgain(t.Context(), tc.actor, tc.site, tc.code); !errors.Is(err, tc.kind) {
			t.Errorf("%s: PairAgain = %v, want %v", what, err, tc.kind)
		}
	}
	far := coretest.Serve(t, coretest.New("t3"))
	if _, err := w.PairSite(t.Context(), access.Command(), far.Code("t3"), "far", "far.example.org"); err != nil {
		t.Fatal(err)
	}
	far.NewToken("t4")
	if _, err := w.PairAgain(t.Context(), access.Command(), w.site.ID, far.Code("t4")); !errors.Is(err, ownline.ErrConflict) {
		t.Errorf("PairAgain with another site's core = %v, want ErrConflict", err)
	}
	got, err := w.PairAgain(t.Context(), access.Command(), w.site.ID, other.Code("t2"))
	if err != nil || got.Pin == w.site.Pin || got.Name != "home" {
		t.Fatalf("PairAgain = %+v, %v", got, err)
	}
	w.core = other
	w.live()
	if s, err := w.Open(t.Context(), w.ana, access.OpenAsk{Service: w.http.ID}); err != nil || len(other.Sessions()) != 1 {
		t.Errorf("Open = %+v, %v; the other core holds %v", s, err, other.Sessions())
	}
}

// A core that dials web meets the new key when it dials again.
func TestRotateDialled(t *testing.T) {
	w := newWorld(t)
	w.halt()
	w.dial = listen(t)
	w.start()
	model, coreID := coretest.New("t2"), coretest.Identity(t)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { link.NewServer(coreID, model, slog.New(slog.DiscardHandler)).Dial(ctx, w.dial.Addr().String()) })
	s, err := w.PairSite(ctx, access.Command(), link.Code{Pin: coreID.Pin(), Token: "t2"}.String(), "far", "far.example.org")
	if err != nil {
		t.Fatal(err)
	}
	old := w.linkKeys()
	w.rotate()
	w.rotated(old)
	id, err := link.ParseIdentity(w.linkKeys().Present)
	if err != nil {
		t.Fatal(err)
	}
	w.until("the core that dials obeys it", func() bool { return model.Web() == id.Pin() })
	w.until("it is connected", func() bool { return w.cores.Health(s.ID).Connected })
	if _, err := w.ApplySite(ctx, access.Command(), s.ID); err != nil {
		t.Errorf("ApplySite = %v", err)
	}
}
