package link

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// Web goes over to another key, and the core that it commands forgets the old one with the
// first request that comes by the new one, whichever end dials.
func TestAnotherKeyOfWeb(t *testing.T) {
	for _, dialler := range []string{"web", "core"} {
		t.Run(dialler+" dials", func(t *testing.T) {
			core, coreID, oldID, nextID := &fakeCore{events: make(chan Event)}, identity(t), identity(t), identity(t)
			server := NewServer(coreID, core, slog.New(slog.DiscardHandler))
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			var wg sync.WaitGroup
			defer wg.Wait()
			defer cancel()
			l := listen(t)
			door := NewDoor(oldID, slog.New(slog.DiscardHandler))
			meet := func(id *Identity) *Client {
				if dialler == "core" {
					door.Use(id)
					return door.NewClient(coreID.Pin())
				}
				return id.NewClient(l.Addr().String(), coreID.Pin())
			}
			old := meet(oldID)
			if dialler == "core" {
				wg.Go(func() { door.Serve(ctx, l) })
				wg.Go(func() { server.Dial(ctx, l.Addr().String()) })
			} else {
				wg.Go(func() { server.Serve(ctx, l) })
			}
			if err := old.AnnounceKey(ctx, nextID.Pin()); !errors.Is(err, ErrUnpaired) {
				t.Errorf("AnnounceKey before pairing = %v, want ErrUnpaired", err)
			}
			if _, err := old.Pair(ctx, "token"); err != nil {
				t.Fatal(err)
			}
			if err := old.AnnounceKey(ctx, "short"); !errors.Is(err, ownline.ErrInvalid) {
				t.Errorf("AnnounceKey of what is no pin = %v", err)
			}
			if err := old.AnnounceKey(ctx, nextID.Pin()); err != nil {
				t.Fatal(err)
			}
			if _, err := old.Status(ctx); err != nil {
				t.Errorf("Status by the old key, after the next was announced: %v", err)
			}
			next := meet(nextID)
			defer next.Close()
			if dialler == "core" {
				old.Close() // core dials again
			}
			if _, err := next.Status(ctx); err != nil {
				t.Fatalf("Status by the next key: %v", err)
			}
			if dialler == "web" { // the old connection is still there, and of no use
				if _, err := old.Status(ctx); !errors.Is(err, ErrUnpaired) {
					t.Errorf("Status by the old key = %v, want ErrUnpaired", err)
				}
				old.Close()
			}
			if core.web != nextID.Pin() {
				t.Error("core obeys another key than the next one")
			}
		})
	}
}

// A core that came in before the key changed is not commanded by the old one.
func TestDoorTurnsAwayWhoMetTheOldKey(t *testing.T) {
	old, next, coreID := identity(t), identity(t), identity(t)
	core := &fakeCore{events: make(chan Event), web: next.Pin()}
	door := NewDoor(old, slog.New(slog.DiscardHandler))
	c := door.NewClient(coreID.Pin())
	defer c.Close()
	door.queue(coreID.Pin()) // expected
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	l := listen(t)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { door.Serve(ctx, l) })
	wg.Go(func() { NewServer(coreID, core, slog.New(slog.DiscardHandler)).Dial(ctx, l.Addr().String()) })
	time.Sleep(100 * time.Millisecond) // it has met the old key, and waits to be taken
	door.Use(next)
	if _, err := c.Status(ctx); err != nil {
		t.Errorf("Status = %v; the core should have met the next key", err)
	}
}

// A core that is older than the request says so in no words of ours.
func TestCoreTooOld(t *testing.T) {
	id, coreID := identity(t), identity(t)
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = coreID.tlsConfig(anyPeer)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	c := id.NewClient(server.Listener.Addr().String(), coreID.Pin())
	defer c.Close()
	if err := c.AnnounceKey(t.Context(), id.Pin()); !errors.Is(err, ErrUnknownRequest) {
		t.Errorf("AnnounceKey = %v, want ErrUnknownRequest", err)
	}
}
