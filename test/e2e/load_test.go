package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/web/store/pgtest"
	"github.com/ownline/ownline/test/world"
)

// soakVariable says for how long a test that could go on for ever does, instead of seconds.
const soakVariable = "OWNLINE_SOAK"

func soak(t *testing.T, short time.Duration) time.Duration {
	t.Helper()
	v := os.Getenv(soakVariable)
	if v == "" {
		return short
	}
	d, err := time.ParseDuration(v)
	if err != nil {
		t.Fatalf("%s: %v", soakVariable, err)
	}
	return d
}

// Invariants 5 and 10: a web that is killed again and again while people open and close
// sessions loses nothing that it has confirmed, and core holds what the database says.
func TestKilledUnderLoad(t *testing.T) {
	for kind, yaml := range map[string]func() string{
		"sqlite":   func() string { return "" },
		"postgres": func() string { return fmt.Sprintf("database: %q\n", pgtest.Database(t)) },
	} {
		t.Run(kind, func(t *testing.T) {
			s := start(t, world.Options{WebYAML: yaml(), Quiet: true})
			s.grant(s.echo, nil)
			ctx, stop := context.WithTimeout(context.WithoutCancel(t.Context()), soak(t, 6*time.Second))
			defer stop()
			var wg sync.WaitGroup
			workers := make([]*worker, 4)
			for i := range workers {
				workers[i] = &worker{suite: s, name: fmt.Sprintf("w%d", i), net: byte(100 + i), confirmed: map[string]string{}}
				wg.Go(func() { workers[i].work(ctx) })
			}
			kills := 0
			for ctx.Err() == nil {
				time.Sleep(rand.N(400 * time.Millisecond))
				if err := s.Web.Kill(); err != nil {
					t.Fatal(err)
				}
				kills++
				if err := s.Web.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := s.WaitConnected(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			wg.Wait()
			opened, refused := 0, int64(0)
			for _, w := range workers {
				opened += len(w.confirmed)
				refused += w.broken.Load()
				w.check()
			}
			if opened < 10 || refused == 0 {
				t.Errorf("%d sessions confirmed, %d requests broken by %d kills: the test tests little", opened, refused, kills)
			}
			eventually(t, 20*time.Second, "core and the database agree", s.agree)
			t.Logf("%d kills, %d sessions confirmed, %d requests broken", kills, opened, refused)
		})
	}
}

// agree reports whether core holds exactly the sessions that web calls active.
func (s *suite) agree() bool {
	s.t.Helper()
	held := map[string]bool{}
	for _, h := range s.held() {
		held[h.ID.String()] = true
	}
	live := s.sessions()
	for _, x := range live {
		if x.State != "active" || !held[x.ID] {
			return false
		}
	}
	return len(live) == len(held)
}

// worker opens and closes sessions and makes users, and remembers what web has confirmed.
type worker struct {
	*suite
	name      string
	net       byte // its sources are its own: another's open would renew the session
	open      []string
	confirmed map[string]string // state by session: "active", "ended", or "" when a close got no answer
	users     []string
	broken    atomic.Int64
}

func (w *worker) work(ctx context.Context) {
	for i := 0; ctx.Err() == nil; i++ {
		source := netip.AddrFrom4([4]byte{203, 0, w.net, byte(1 + i%250)})
		id, err := w.API.Create(ctx, "/sessions", world.Map{"service": w.echo, "source": source.String(), "for": "1h"})
		if err == nil {
			w.open, w.confirmed[id] = append(w.open, id), "active"
		}
		w.tell(ctx, err)
		if len(w.open) > 10 {
			id := w.open[0]
			w.open, w.confirmed[id] = w.open[1:], ""
			err := w.API.Call(ctx, "DELETE", "/sessions/"+id, nil, nil)
			if err == nil {
				w.confirmed[id] = "ended"
			}
			w.tell(ctx, err)
		}
		if i%10 == 9 {
			name := fmt.Sprintf("%s-%d", w.name, i)
			_, err := w.API.Create(ctx, "/users", world.Map{"name": name, "password": world.AdminPassword})
			if err == nil {
				w.users = append(w.users, name)
			}
			w.tell(ctx, err)
		}
	}
}

// tell counts what got no answer; web is started again meanwhile.
func (w *worker) tell(ctx context.Context, err error) {
	if err == nil {
		return
	}
	w.broken.Add(1)
	select {
	case <-time.After(20 * time.Millisecond):
	case <-ctx.Done():
	}
}

// check compares what was confirmed with what web says now.
func (w *worker) check() {
	w.t.Helper()
	ctx := context.WithoutCancel(w.t.Context())
	for id, want := range w.confirmed {
		got, err := w.API.Session(ctx, id)
		if err != nil {
			w.t.Errorf("session %s was confirmed, and is lost: %v", id, err)
		} else if want != "" && got.State != want && got.Reason != "replaced" {
			w.t.Errorf("session %s was confirmed to be %s, and is %s %s %s", id, want, got.State, got.Reason, got.Detail)
		}
	}
	var l world.List[struct{ Name string }]
	there := map[string]bool{}
	for path := "/users?limit=200"; path != ""; {
		w.call("GET", path, nil, &l)
		for _, u := range l.Items {
			there[u.Name] = true
		}
		if path = ""; l.Next != "" {
			path = "/users?limit=200&cursor=" + l.Next
		}
		l = world.List[struct{ Name string }]{}
	}
	for _, name := range w.users {
		if !there[name] {
			w.t.Errorf("user %s was confirmed, and is lost", name)
		}
	}
}
