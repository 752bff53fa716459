package keeper_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/proxy/keeper"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// gate keeps what it was told.
type gate struct {
	mu   sync.Mutex
	only map[ownline.ServiceID]string
	held bool
	cut  []ownline.ServiceID
}

func (g *gate) Only(v map[ownline.ServiceID]string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.only, g.held = v, false
}

func (g *gate) Hold() {
	g.Only(map[ownline.ServiceID]string{})
	g.held = true
}

func (g *gate) Cut(id ownline.ServiceID) { g.cut = append(g.cut, id) }

func (g *gate) admits(t *testing.T, want map[ownline.ServiceID]string) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.only == nil || !maps.Equal(g.only, want) {
		t.Errorf("the gate admits to %v, not %v", g.only, want)
	}
}

func service(name string) link.Service {
	return link.Service{ID: ownline.NewID[ownline.Service](), Name: name, Target4: netip.MustParseAddrPort("192.168.7.10:80")}
}

func versions(of string, services []link.Service) map[ownline.ServiceID]string {
	v := map[ownline.ServiceID]string{}
	for _, s := range services {
		v[s.ID] = of
	}
	return v
}

// While the server is told, the gate admits to what is new; when it fails, to what was before.
func TestChange(t *testing.T) {
	g := &gate{}
	var version string
	var before, refused error
	during := func() {}
	k := keeper.New(keeper.Config{Gate: g, Put: func(_ context.Context, services []link.Service, change keeper.Change) error {
		if before != nil {
			return before
		}
		return change(versions(version, services), func() error {
			during()
			return refused
		})
	}})
	g.admits(t, versions("", nil))
	a, b := service("a"), service("b")
	first, second := []link.Service{a}, []link.Service{b}

	before = errors.New("bad")
	if err := k.Apply(t.Context(), first); !errors.Is(err, before) {
		t.Errorf("%v", err)
	}
	g.admits(t, versions("", nil))

	before, version, refused = nil, "1", errors.New("refused")
	if err := k.Apply(t.Context(), first); !errors.Is(err, refused) || !g.held {
		t.Errorf("%v; nobody is told to wait: %v", err, !g.held)
	}
	refused = nil
	if err := k.Apply(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	g.admits(t, versions("1", first))
	if g.held {
		t.Error("who is not admitted is told to wait")
	}

	version, refused = "2", errors.New("refused")
	told := 0
	during = func() { told++; g.admits(t, versions("2", second)) }
	if err := k.Apply(t.Context(), second); !errors.Is(err, refused) || told != 1 {
		t.Errorf("told %d times: %v", told, err)
	}
	g.admits(t, versions("1", first))
	if len(g.cut) > 0 {
		t.Errorf("cut %v before the server took it", g.cut)
	}

	refused = nil
	if err := k.Apply(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	g.admits(t, versions("2", second))
	if !slices.Equal(g.cut, []ownline.ServiceID{a.ID}) {
		t.Errorf("cut %v", g.cut)
	}
	if err := k.Apply(t.Context(), []link.Service{a, service("a")}); !errors.Is(err, ownline.ErrConflict) || told != 2 {
		t.Errorf("two services of one name: %v", err)
	}
}

// What is another service in anything, or gone, is cut; what stays as it was, is not.
func TestCut(t *testing.T) {
	g := &gate{}
	k := keeper.New(keeper.Config{Gate: g, Put: func(_ context.Context, services []link.Service, change keeper.Change) error {
		return change(versions("1", services), func() error { return nil })
	}})
	same, gone, moved, other := service("same"), service("gone"), service("moved"), service("other")
	movedTo, otherNow := moved, other
	movedTo.Target4 = netip.MustParseAddrPort("192.168.7.11:80")
	otherNow.Options.Headers = map[string]string{"X": "y"}
	for _, services := range [][]link.Service{{same, gone, moved, other}, {service("added"), otherNow, movedTo, same}} {
		if err := k.Apply(t.Context(), services); err != nil {
			t.Fatal(err)
		}
	}
	if want := []ownline.ServiceID{gone.ID, moved.ID, other.ID}; !slices.Equal(g.cut, want) {
		t.Errorf("%v, want %v", g.cut, want)
	}
}

// What the server took is looked after, and nothing else; an error is told until it is mended.
func TestLook(t *testing.T) {
	g := &gate{}
	var (
		mu    sync.Mutex
		lost  error
		looks [][]link.Service
	)
	k := keeper.New(keeper.Config{
		Gate: g, Each: time.Millisecond, Lost: "lost", Logger: slog.New(slog.DiscardHandler),
		Put: func(_ context.Context, services []link.Service, change keeper.Change) error {
			return change(versions("1", services), func() error { return nil })
		},
		Look: func(_ context.Context, services []link.Service, change keeper.Change) error {
			mu.Lock()
			defer mu.Unlock()
			looks = append(looks, services)
			return change(versions("2", services), func() error { return lost })
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	var over sync.WaitGroup
	over.Go(func() { k.Run(ctx) })
	defer over.Wait()
	defer cancel()
	time.Sleep(20 * time.Millisecond)
	a := service("a")
	if err := k.Apply(t.Context(), []link.Service{a}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []error{errors.New("gone"), nil, errors.New("gone again")} {
		mu.Lock()
		lost = want
		mu.Unlock()
		for end := time.Now().Add(20 * time.Second); !errors.Is(k.Err(), want); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%v, want %v", k.Err(), want)
			}
		}
	}
	g.admits(t, versions("2", []link.Service{a}))
	cancel()
	over.Wait()
	for _, got := range looks {
		if len(got) != 1 || got[0].ID != a.ID {
			t.Errorf("%v is looked after", got)
		}
	}
	if len(g.cut) > 0 {
		t.Errorf("cut %v", g.cut)
	}
}
