package link

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/ownline"
)

// fakeCore obeys whoever pairs with the token "token", and remembers what it was told.
type fakeCore struct {
	mu    sync.Mutex
	web   Pin
	next  Pin
	state State
	put   Put
	pass  PutPass
	ended ownline.SessionID
	seq   uint64

	events chan Event
}

func (f *fakeCore) Trusted(p Pin) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next != "" && f.next.Equal(p) {
		f.web, f.next = p, ""
	}
	return f.web != "" && f.web.Equal(p)
}

func (f *fakeCore) NextKey(_, next Pin) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next = next
	return nil
}

func (f *fakeCore) Pair(_ context.Context, p Pin, token string) (Status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if token != "token" {
		return Status{}, ownline.Invalid("code", "used already")
	}
	f.web = p
	return Status{Version: "test"}, nil
}

func (f *fakeCore) Preview(_ context.Context, s Service) (string, error) {
	if s.Name == "" {
		return "", ownline.Invalid("name", "missing")
	}
	return "server " + s.Name, nil
}

func (f *fakeCore) Certify(_ context.Context, r CertificateRequest) (Certificate, error) {
	if len(r.CSR) == 0 {
		return Certificate{}, ownline.Invalid("csr", "missing")
	}
	return Certificate{Chain: "chain for " + string(r.CSR), Root: "root"}, nil
}

func (f *fakeCore) Reach(_ context.Context, target netip.AddrPort) (Reached, error) {
	if !target.IsValid() {
		return Reached{}, ownline.Invalid("target", "missing")
	}
	return Reached{Took: time.Duration(target.Port())}, nil
}

func (f *fakeCore) Status(context.Context) Status { return Status{Version: "test"} }

func (f *fakeCore) PutState(_ context.Context, s State) ([]Result, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state = s
	return []Result{{ID: s.Sessions[0].ID, Problem: ProblemOf(ownline.Conflict("public_port", "reserved"))}}, nil
}

func (f *fakeCore) PutSession(_ context.Context, p Put) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.put = p
	if p.PublicPort == 22 {
		return ownline.Conflict("public_port", "the router serves it itself")
	}
	return nil
}

func (f *fakeCore) EndSession(_ context.Context, r Revision, id ownline.SessionID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Revision < 5 {
		return ErrStale
	}
	f.ended = id
	return nil
}
func (f *fakeCore) Flush(context.Context, Revision) error { return nil }

func (f *fakeCore) PutPass(_ context.Context, p PutPass) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pass = p
	return nil
}

func (f *fakeCore) Verdict(_ context.Context, seq uint64, v Verdict) ([]Result, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seq = seq
	return []Result{{ID: v.Sessions[0].ID}}, nil
}

func (f *fakeCore) Subscribe(ctx context.Context) <-chan Event {
	out := make(chan Event)
	go func() {
		defer close(out)
		for {
			select {
			case ev := <-f.events:
				select {
				case out <- ev:
				case <-ctx.Done():
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

func identity(t *testing.T) *Identity {
	t.Helper()
	b, err := GenerateIdentity()
	if err != nil {
		t.Fatal(err)
	}
	id, err := ParseIdentity(b)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// connect starts a core and returns it with a client of web, over a connection that the
// named end opens.
func connect(t *testing.T, dialler string) (*fakeCore, *Client, *Identity, *Identity) {
	core, coreID, webID := &fakeCore{events: make(chan Event)}, identity(t), identity(t)
	server := NewServer(coreID, core, slog.New(slog.DiscardHandler))
	server.Certifies(core)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() { cancel(); wg.Wait() })
	l := listen(t)
	if dialler == "web" {
		wg.Go(func() {
			if err := server.Serve(ctx, l); err != nil {
				t.Errorf("Serve = %v", err)
			}
		})
		c := webID.NewClient(l.Addr().String(), coreID.Pin())
		t.Cleanup(c.Close)
		return core, c, coreID, webID
	}
	door := NewDoor(webID, slog.New(slog.DiscardHandler))
	wg.Go(func() {
		if err := door.Serve(ctx, l); err != nil {
			t.Errorf("Serve = %v", err)
		}
	})
	wg.Go(func() { server.Dial(ctx, l.Addr().String()) })
	c := door.NewClient(coreID.Pin())
	t.Cleanup(c.Close)
	return core, c, coreID, webID
}

func TestBothDirections(t *testing.T) {
	for _, dialler := range []string{"web", "core"} {
		t.Run(dialler+" dials", func(t *testing.T) {
			core, c, _, _ := connect(t, dialler)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()

			if _, err := c.Status(ctx); !errors.Is(err, ErrUnpaired) {
				t.Fatalf("Status before pairing = %v, want ErrUnpaired", err)
			}
			if _, err := c.Pair(ctx, "wrong"); !errors.Is(err, ownline.ErrInvalid) {
				t.Fatalf("Pair with a wrong token = %v, want ErrInvalid", err)
			}
			if s, err := c.Pair(ctx, "token"); err != nil || s.Version != "test" {
				t.Fatalf("Pair = %+v, %v", s, err)
			}
			sess := Session{
				ID: ownline.NewID[ownline.Session](), Source: netip.MustParsePrefix("198.51.100.7/32"),
				Transport: ownline.TCP, PublicPort: 20000, Target: netip.MustParseAddrPort("192.168.7.10:80"),
				Expires: time.Now().Add(time.Hour).UTC().Round(0),
			}
			stamp := Stamp{Revision{"e", 5}, time.Now().UTC().Round(0)}
			results, err := c.PutState(ctx, State{Stamp: stamp, Sessions: []Session{sess}})
			if err != nil || len(results) != 1 {
				t.Fatalf("PutState = %v, %v", results, err)
			}
			if err := results[0].Problem.Err(); !errors.Is(err, ownline.ErrConflict) || err.Error() != "public_port: reserved" {
				t.Errorf("problem = %v", err)
			}
			if got := core.state.Sessions[0]; got != sess || core.state.Stamp != stamp {
				t.Errorf("state arrived as %+v, want %+v", core.state, sess)
			}
			if err := c.PutSession(ctx, Put{stamp, sess}); err != nil || core.put.Session != sess {
				t.Errorf("PutSession = %v; arrived %+v", err, core.put)
			}
			reserved := sess
			reserved.PublicPort = 22
			if err := c.PutSession(ctx, Put{stamp, reserved}); !errors.Is(err, ownline.ErrConflict) {
				t.Errorf("PutSession of a reserved port = %v", err)
			}
			if err := c.EndSession(ctx, Revision{"e", 4}, sess.ID); !errors.Is(err, ErrStale) {
				t.Errorf("EndSession of an old revision = %v", err)
			}
			if err := c.EndSession(ctx, Revision{"e", 6}, sess.ID); err != nil || core.ended != sess.ID {
				t.Errorf("EndSession = %v", err)
			}
			pass := PutPass{Stamp: stamp, Pass: Pass{User: "ana"}, Code: []byte{1}, State: []byte{2}}
			if err := c.PutPass(ctx, pass); err != nil || !reflect.DeepEqual(core.pass, pass) {
				t.Errorf("PutPass = %v; core got %+v", err, core.pass)
			}
			rs, err := c.Verdict(ctx, 7, Verdict{Stamp: stamp, Status: knock.Opened, Sessions: []Session{sess}})
			if err != nil || len(rs) != 1 || rs[0].Problem.Err() != nil || core.seq != 7 {
				t.Errorf("Verdict = %v, %v", rs, err)
			}

			if text, err := c.Preview(ctx, Service{Name: "wiki"}); err != nil || text != "server wiki" {
				t.Errorf("Preview = %q, %v", text, err)
			}
			if _, err := c.Preview(ctx, Service{}); !errors.Is(err, ownline.ErrInvalid) || err.Error() != "name: missing" {
				t.Errorf("Preview of nothing = %v", err)
			}

			if got, err := c.Certify(ctx, CertificateRequest{[]byte("a key")}); err != nil || got != (Certificate{"chain for a key", "root"}) {
				t.Errorf("Certify = %+v, %v", got, err)
			}
			if _, err := c.Certify(ctx, CertificateRequest{}); !errors.Is(err, ownline.ErrInvalid) {
				t.Errorf("Certify nothing = %v", err)
			}
			if _, err := c.Certify(ctx, CertificateRequest{make([]byte, maxPair)}); !errors.Is(err, ownline.ErrInvalid) {
				t.Errorf("Certify too much = %v", err)
			}
			if r, err := c.Reach(ctx, netip.MustParseAddrPort("192.168.7.12:80")); err != nil || r != (Reached{Took: 80}) {
				t.Errorf("Reach = %+v, %v", r, err)
			}
			if _, err := c.Reach(ctx, netip.AddrPort{}); !errors.Is(err, ownline.ErrInvalid) || err.Error() != "target: missing" {
				t.Errorf("Reach of nothing = %v", err)
			}

			stop := errors.New("enough")
			done := make(chan error)
			go func() {
				done <- c.Events(ctx, func(ev Event) error {
					if ev.Type != EventEnded || ev.Ended.ID != sess.ID || ev.Ended.Reason != ownline.Expired {
						t.Errorf("event = %+v", ev)
					}
					return stop
				})
			}()
			core.events <- Event{Type: EventEnded, Ended: &Ended{ID: sess.ID, Reason: ownline.Expired}}
			if err := <-done; !errors.Is(err, stop) {
				t.Errorf("Events = %v", err)
			}
		})
	}
}

// Invariant 7: every state change is authenticated.
func TestStrangers(t *testing.T) {
	_, c, coreID, _ := connect(t, "web")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := c.Pair(ctx, "token"); err != nil {
		t.Fatal(err)
	}
	addr := ""
	// The address is inside the client's dialler; a second core stands in for "wrong key".
	core2 := &fakeCore{events: make(chan Event), web: "x"}
	l := listen(t)
	addr = l.Addr().String()
	s2 := NewServer(identity(t), core2, slog.New(slog.DiscardHandler))
	s2.Certifies(core2)
	ctx2, cancel2 := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { s2.Serve(ctx2, l) })
	defer wg.Wait()
	defer cancel2()

	imposter := identity(t).NewClient(addr, coreID.Pin())
	defer imposter.Close()
	if _, err := imposter.Status(ctx); !errors.Is(err, ErrWrongKey) || !errors.Is(err, ownline.ErrUnavailable) {
		t.Errorf("Status of a core with another key = %v, want ErrWrongKey", err)
	}
	stranger := identity(t).NewClient(addr, s2.identity.Pin())
	defer stranger.Close()
	if _, err := stranger.Preview(ctx, Service{Name: "a"}); !errors.Is(err, ErrUnpaired) {
		t.Errorf("preview for a stranger: %v", err)
	}
	if _, err := stranger.Certify(ctx, CertificateRequest{[]byte("a key")}); !errors.Is(err, ErrUnpaired) {
		t.Errorf("a certificate for a stranger: %v", err)
	}
	if _, err := stranger.Reach(ctx, netip.MustParseAddrPort("192.168.7.12:80")); !errors.Is(err, ErrUnpaired) {
		t.Errorf("a target is tried for a stranger: %v", err)
	}
	if err := stranger.Flush(ctx, Revision{}); !errors.Is(err, ErrUnpaired) {
		t.Errorf("Flush by a stranger = %v, want ErrUnpaired", err)
	}
}

func TestCode(t *testing.T) {
	id := identity(t)
	for name, c := range map[string]Code{
		"listening": {Addr: "192.168.1.1:57329", Pin: id.Pin(), Token: NewToken()},
		"ipv6":      {Addr: "[fd00::1]:57329", Pin: id.Pin(), Token: NewToken()},
		"dialling":  {Pin: id.Pin(), Token: NewToken()},
	} {
		got, err := ParseCode(c.String())
		if err != nil || got != c {
			t.Errorf("%s: ParseCode(String) = %+v, %v", name, got, err)
		}
	}
	good := Code{Addr: "h:1", Pin: id.Pin(), Token: "t"}.String()
	for _, bad := range []string{
		"", "http://h:1?pin=x&token=y", good + "&more=1", good[:len(good)-8],
		"ownline-core://h?pin=" + string(id.Pin()) + "&token=t",
		"ownline-core://h:0?pin=" + string(id.Pin()) + "&token=t",
		"ownline-core://h:70000?pin=" + string(id.Pin()) + "&token=t",
		"ownline-core://h:1?pin=short&token=t",
		"ownline-core://h:1?pin=" + string(id.Pin()) + "&token=",
	} {
		if _, err := ParseCode(bad); !errors.Is(err, ownline.ErrInvalid) {
			t.Errorf("ParseCode(%q) = %v, want ErrInvalid", bad, err)
		}
	}
}

func FuzzParseCode(f *testing.F) {
	f.Add("ownline-core://192.168.1.1:57329?pin=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA&token=t")
	f.Add("ownline-core://dial?pin=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA&token=t")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCode(s)
		if err != nil {
			return
		}
		if again, err := ParseCode(c.String()); err != nil || again != c {
			t.Fatalf("%q is %+v, which is written %q and read as %+v, %v", s, c, c, again, err)
		}
	})
}
