package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// follower reads a stream of events.
type follower struct {
	t      *testing.T
	events chan sseEvent // closed at the end of the stream
	status int
}

type sseEvent struct{ id, kind, data string }

func (w *world) follow(lastID string, headers ...string) *follower {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	w.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", w.server.URL+base+"/events", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	f := &follower{t: w.t, events: make(chan sseEvent, 100), status: resp.StatusCode}
	first := make(chan struct{})
	go func() {
		defer close(f.events)
		defer resp.Body.Close()
		var ev sseEvent
		began := false
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
			key, value, _ := strings.Cut(lines.Text(), ": ")
			switch key {
			case "id":
				ev.id = value
			case "event":
				ev.kind = value
			case "data":
				ev.data = value
			case "":
				if ev.kind != "" {
					f.events <- ev
				}
				ev = sseEvent{id: ev.id}
				if !began {
					began = true
					close(first)
				}
			}
		}
		if !began {
			close(first)
		}
	}()
	<-first // what happens from now on is in the stream
	return f
}

func (f *follower) next() sseEvent {
	f.t.Helper()
	select {
	case ev, ok := <-f.events:
		if !ok {
			f.t.Fatal("the stream has ended")
		}
		return ev
	case <-time.After(20 * time.Second):
		f.t.Fatal("no event")
	}
	return sseEvent{}
}

// ends fails when the stream goes on.
func (f *follower) ends() {
	f.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case ev, ok := <-f.events:
			if !ok {
				return
			}
			f.t.Errorf("still told: %+v", ev)
		case <-deadline:
			f.t.Fatal("the stream goes on")
		}
	}
}

// isToldTheEnd calls what ends the login of the stream, and fails unless the stream says so before
// it would have looked by itself, and ends.
func (f *follower) isToldTheEnd(end func()) {
	f.t.Helper()
	began := time.Now()
	end()
	for ev := f.next(); ev.kind != "end"; ev = f.next() {
		if ev.kind != "user" {
			f.t.Errorf("still told: %+v", ev)
		}
	}
	f.ends()
	if took := time.Since(began); took > aliveEvery*2/3 {
		f.t.Errorf("told after %v", took)
	}
}

func TestEvents(t *testing.T) {
	w := newWorld(t)
	ssh := w.addService("ssh", "192.168.7.10:22")
	web := w.addService("web", "192.168.7.10:80")
	w.addGrant(w.ana, ssh, nil)
	w.addGrant(w.bob, web, nil)
	ana, bob := w.follow("", "Authorization", "Bearer "+w.ana), w.follow("", "Authorization", "Bearer "+w.bob)

	made := as[session](w.do(w.ana, "POST", "/sessions", map[string]any{"service": ssh.ID}), 201)
	var got session
	var ev sseEvent
	for got.State != "active" {
		ev = ana.next()
		if err := json.Unmarshal([]byte(ev.data), &got); err != nil || ev.kind != "session" || got.ID != made.ID {
			t.Fatalf("got %+v, %v", ev, err)
		}
	}
	if got != made && got.Address != made.Address {
		t.Errorf("the event has %+v, the answer %+v", got, made)
	}
	as[session](w.do(w.bob, "POST", "/sessions", map[string]any{"service": web.ID}), 201)
	if ev := bob.next(); !strings.Contains(ev.data, web.ID) || strings.Contains(ev.data, ssh.ID) {
		t.Errorf("bob is told %+v", ev)
	}

	// Cut and resumed, nothing is missing.
	as[session](w.do(w.ana, "DELETE", "/sessions/"+made.ID, nil), 200)
	again := w.follow(ev.id, "Authorization", "Bearer "+w.ana)
	if ev := again.next(); ev.kind != "session" || !strings.Contains(ev.data, `"closed"`) {
		t.Errorf("resumed with %+v", ev)
	}
	for _, id := range []string{"5", "nonsense"} {
		if ev := w.follow(id, "Authorization", "Bearer "+w.ana).next(); ev.kind != "reset" {
			t.Errorf("resumed at %s with %+v", id, ev)
		}
	}

	// A grant that is gone is told to whom it was, with the service.
	grants := as[list[grant]](w.do(w.bob, "GET", "/grants", nil), 200).Items
	w.do(w.admin, "DELETE", "/grants/"+grants[0].ID, nil).want(204)
	for ev := bob.next(); ev.kind != "grant" || !strings.Contains(ev.data, `"removed":true`); ev = bob.next() {
	}
	if strings.Contains(w.log.String(), "level=ERROR") {
		t.Error(w.log.String())
	}
}

// Invariant 7: rights are judged for every event, so nobody reads on after they were
// signed out or shut out.
func TestEventsEnd(t *testing.T) {
	w := newWorld(t)
	ssh := w.addService("ssh", "192.168.7.10:22")
	w.addGrant(w.ana, ssh, nil)
	w.addGrant(w.bob, ssh, nil)
	if f := w.follow(""); f.status != 401 {
		t.Errorf("a stranger: %d", f.status)
	}
	set := w.do("", "POST", "/auth/login", map[string]any{"name": "ana", "password": userPassword}).want(200).header.Get("Set-Cookie")
	cookie, _, _ := strings.Cut(set, ";")
	byCookie := w.follow("", "Cookie", cookie)
	byToken := w.follow("", "Authorization", "Bearer "+w.ana)
	bob := w.follow("", "Authorization", "Bearer "+w.bob)

	byCookie.isToldTheEnd(func() { // at once, though nothing else happens
		w.raw("POST", "/auth/logout", nil, "Cookie", cookie, "Origin", "https://own.example.org:9999").want(204)
	})
	made := as[session](w.do(w.ana, "POST", "/sessions", map[string]any{"service": ssh.ID}), 201)
	if ev := byToken.next(); !strings.Contains(ev.data, made.ID) {
		t.Errorf("the other stream got %+v", ev)
	}

	bob.isToldTheEnd(func() {
		w.do(w.admin, "PATCH", "/users/"+w.id(w.bob), map[string]any{"disabled": true}).want(200)
		w.do(w.admin, "PATCH", "/services/"+ssh.ID, map[string]any{"icon": "camera"}).want(200)
	})

	w.api.EndStreams()
	for range byToken.events { // what was still to be told
	}
}

// Who was signed in when an admin disabled or removed them is told so, whoever only signed out is not;
// and a change of their role is told to themselves.
func TestEventsTellWhy(t *testing.T) {
	w := newWorld(t)
	ana, bob := w.browser("ana"), w.browser("bob")
	for name, b := range map[string]*browser{"ana": ana, "bob": bob} {
		b.login(name, userPassword).want(200)
	}
	stream := func(b *browser) *follower { return w.follow("", "Cookie", b.cookie) }
	last := func(f *follower) (ev sseEvent) {
		for ev = f.next(); ev.kind == "user"; ev = f.next() {
		}
		return ev
	}
	f := stream(ana)
	w.do(w.admin, "PATCH", "/users/"+w.id(w.ana), m{"role": "admin"}).want(200)
	if ev := f.next(); ev.kind != "user" || !strings.Contains(ev.data, `"role":"admin"`) || !strings.Contains(ev.data, w.id(w.ana)) {
		t.Errorf("told of the role: %+v", ev)
	}
	w.do(w.admin, "PATCH", "/users/"+w.id(w.ana), m{"role": "user"}).want(200)
	if ev := f.next(); !strings.Contains(ev.data, `"role":"user"`) {
		t.Errorf("told of the role: %+v", ev)
	}
	w.do(w.admin, "PATCH", "/users/"+w.id(w.ana), m{"disabled": true}).want(200)
	if ev := last(f); ev.kind != "end" || ev.data != `{"reason": "disabled"}` {
		t.Errorf("disabled: %+v", ev)
	}
	f = stream(bob)
	other := w.browser("bob again")
	other.login("bob", userPassword).want(200)
	bob.do("POST", "/auth/logout", nil).want(204)
	if ev := last(f); ev.kind != "end" || ev.data != "{}" {
		t.Errorf("signed out: %+v", ev)
	}
	f = stream(other)
	w.do(w.admin, "DELETE", "/users/"+w.id(w.bob), nil).want(204)
	if ev := last(f); ev.kind != "end" || ev.data != `{"reason": "removed"}` {
		t.Errorf("removed: %+v", ev)
	}
}

// Who signs in as a user is told to them, and to nobody else but admins.
func TestEventsOfLogins(t *testing.T) {
	w := newWorld(t)
	ana, bob := w.follow("", "Authorization", "Bearer "+w.ana), w.follow("", "Authorization", "Bearer "+w.bob)
	user := func(token string) ownline.UserID {
		id, err := ownline.ParseID[ownline.User](w.id(token))
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	for _, token := range []string{w.ana, w.bob} {
		w.api.access.SignedIn(ownline.LoginAttempt{User: user(token), Method: ownline.ByPasskey, Result: ownline.LoginOK, Client: netip.MustParseAddr("198.51.100.9"), Agent: "a browser"})
	}
	ev := ana.next()
	var got loginAttempt
	if err := json.Unmarshal([]byte(ev.data), &got); err != nil || ev.kind != "login" || got.User != w.id(w.ana) || got.Method != "passkey" || got.Address != "198.51.100.9" || got.Agent != "a browser" {
		t.Errorf("ana is told %+v, %v", ev, err)
	}
	if ev := bob.next(); ev.kind != "login" || !strings.Contains(ev.data, w.id(w.bob)) {
		t.Errorf("bob is told %+v first", ev)
	}
}

// patientRecorder takes deadlines as the writer of a server does.
type patientRecorder struct{ *httptest.ResponseRecorder }

func (patientRecorder) SetWriteDeadline(time.Time) error { return nil }

// A login that ends after it let the request in, and before the stream waits, is not missed.
func TestEventsEndedBefore(t *testing.T) {
	w := newWorld(t)
	r := httptest.NewRequest("GET", base+"/events", nil)
	r.Header.Set("Authorization", "Bearer "+w.ana)
	id, err := w.api.auth.Identify(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.api.auth.RemoveToken(t.Context(), id, id.User.ID, id.Token); err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	began := time.Now()
	if err := w.api.stream(r.WithContext(t.Context()), patientRecorder{rec}, id, ""); !errors.Is(err, ownline.ErrUnauthorized) {
		t.Errorf("the stream ended with %v", err)
	}
	if took := time.Since(began); took > aliveEvery*2/3 {
		t.Errorf("it took %v", took)
	}
	if got := rec.Body.String(); !strings.HasSuffix(got, "event: end\ndata: {}\n\n") {
		t.Errorf("it said %q", got)
	}
}

// The server's limits for reading and writing a request do not end a stream.
func TestEventsOutliveTimeouts(t *testing.T) {
	w := newWorld(t)
	ssh := w.addService("ssh", "192.168.7.10:22")
	w.addGrant(w.ana, ssh, nil)
	w.server.Close()
	w.server = httptest.NewUnstartedServer(w.api)
	c := w.server.Config
	c.ReadHeaderTimeout, c.ReadTimeout, c.WriteTimeout = 20*time.Second, time.Second, time.Second
	w.server.Start()
	f := w.follow("", "Authorization", "Bearer "+w.ana)
	time.Sleep(1500 * time.Millisecond) // longer than they are
	made := as[session](w.do(w.ana, "POST", "/sessions", map[string]any{"service": ssh.ID}), 201)
	if ev := f.next(); !strings.Contains(ev.data, made.ID) {
		t.Errorf("got %+v", ev)
	}
}
