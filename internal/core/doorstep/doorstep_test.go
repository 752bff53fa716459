package doorstep_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ownline/ownline/internal/core/doorstep"
)

// guest has been let in where they are: the doorstep is open to them when it is shut.
const guest = "198.51.100.77"

func expects(a netip.Addr) bool { return a.String() == guest }

// start runs a doorstep before a web that is a handler.
func start(t *testing.T, web http.HandlerFunc) (*doorstep.Doorstep, []netip.AddrPort) {
	t.Helper()
	server := httptest.NewServer(web)
	t.Cleanup(server.Close)
	d, err := doorstep.New(expects, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var over sync.WaitGroup
	over.Go(func() {
		if err := d.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() {
		stop()
		over.Wait()
	})
	return d, []netip.AddrPort{netip.MustParseAddrPort(server.Listener.Addr().String())}
}

// ask sends a request as a proxy passes it on.
func ask(t *testing.T, d *doorstep.Doorstep, method, path, body string, head ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+d.Addr().String()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "doorstep.home.example.org:9999"
	req.Header.Set("X-Forwarded-For", "198.51.100.7")
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(head); i += 2 {
		req.Header.Del(head[i])
		if head[i+1] != "" {
			req.Header.Set(head[i], head[i+1])
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

const redeem = "/api/v1/invitations/redeem"

// Invariants 8 and 9: web is told where the guest is and what they ask, and nothing by which they
// could be anybody; they are told the answer, and get no cookie.
func TestPassedOn(t *testing.T) {
	var got *http.Request
	var body string
	d, web := start(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got, body = r, string(b)
		http.SetCookie(w, &http.Cookie{Name: "login", Value: "x"})
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Security-Policy", "default-src 'none'")
		w.Header().Set("Alt-Svc", "h3")
		w.WriteHeader(http.StatusConflict)
		io.WriteString(w, "{}")
	})
	d.Set(web, time.Now().Add(time.Minute))
	resp := ask(t, d, "POST", redeem, `{"secret":"s"}`, "Cookie", "login=y", "Authorization", "Bearer z", "X-Request-Id", "12345678",
		"Origin", "https://doorstep.home.example.org:9999", "Sec-Fetch-Site", "same-origin", "Accept-Language", "es", "Forwarded", "for=1.2.3.4", "X-Real-Ip", "1.2.3.4")
	answer, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusConflict || string(answer) != "{}" || resp.Header.Get("Content-Security-Policy") == "" {
		t.Errorf("the guest is told %s %q %v", resp.Status, answer, resp.Header)
	}
	for _, name := range []string{"Set-Cookie", "Alt-Svc"} {
		if resp.Header.Get(name) != "" {
			t.Errorf("the guest gets %s", name)
		}
	}
	if body != `{"secret":"s"}` || got.Host != "doorstep.home.example.org:9999" || got.Header.Get("Accept-Language") != "es" ||
		got.Header.Get("X-Forwarded-For") != "198.51.100.7" || got.Header.Get("X-Forwarded-Proto") != "https" {
		t.Errorf("web is told %q %v", body, got.Header)
	}
	for _, name := range []string{"Cookie", "Authorization", "X-Request-Id", "Forwarded", "X-Real-Ip", "Origin", "Sec-Fetch-Site"} {
		if v := got.Header.Get(name); v != "" {
			t.Errorf("web is told %s: %s", name, v)
		}
	}
}

// Invariant 3: only the page and its four calls are there.
func TestRefused(t *testing.T) {
	asked := 0
	d, web := start(t, func(http.ResponseWriter, *http.Request) { asked++ })
	d.Set(web, time.Now().Add(time.Minute))
	for _, what := range []string{"GET /i/", "HEAD /i/", "GET /i/config.json", "GET /i/icon.svg", "GET /i/assets/index-Ab_1.js", "POST " + redeem, "POST /api/v1/invitations/preview", "POST /api/v1/invitations/icon", "POST /api/v1/invitations/leave"} {
		method, path, _ := strings.Cut(what, " ")
		if resp := ask(t, d, method, path, "{}"); resp.StatusCode != 200 {
			t.Errorf("%s: %s", what, resp.Status)
		}
	}
	if asked != 9 {
		t.Fatalf("web was asked %d times", asked)
	}
	for _, what := range []string{
		"GET /", "GET /i", "GET /i/index.html", "GET /i/?a", "GET /i/assets/", "GET /i/assets/../x", "GET /i/assets/.x", "GET /i/assets/a/b", "GET /i/assets/a%2fb", "GET /%69/",
		"GET " + redeem, "PUT " + redeem, "POST " + redeem + "/", "POST " + redeem + "?x", "POST /api/v1/invitations", "POST /api/v1/invitations/", "GET /api/v1/invitations/icon", "POST /i/", "OPTIONS /i/", "GET //i/", "GET /healthz",
	} {
		method, path, _ := strings.Cut(what, " ")
		if resp := ask(t, d, method, path, "{}"); resp.StatusCode != 404 {
			t.Errorf("%s: %s", what, resp.Status)
		}
	}
	for what, resp := range map[string]*http.Response{
		"from nowhere":           ask(t, d, "GET", "/i/", "", "X-Forwarded-For", ""),
		"from two":               ask(t, d, "GET", "/i/", "", "X-Forwarded-For", "198.51.100.7, 198.51.100.8"),
		"of another page":        ask(t, d, "POST", redeem, "{}", "Origin", "https://cloud.home.example.org:9999"),
		"of another page by tls": ask(t, d, "POST", redeem, "{}", "Sec-Fetch-Site", "same-site"),
		"no JSON":                ask(t, d, "POST", redeem, "{}", "Content-Type", "text/plain"),
		"too long":               ask(t, d, "POST", redeem, strings.Repeat(" ", 1025)),
	} {
		if resp.StatusCode != 400 {
			t.Errorf("%s: %s", what, resp.Status)
		}
	}
	if asked != 9 {
		t.Errorf("web was asked %d times", asked)
	}
	d.Set(web, time.Time{})
	if resp := ask(t, d, "GET", "/i/", ""); resp.StatusCode != 404 {
		t.Errorf("shut: %s", resp.Status)
	}
	for path, want := range map[string]int{"/i/": 200, "/": 404} {
		if resp := ask(t, d, "GET", path, "", "X-Forwarded-For", guest); resp.StatusCode != want {
			t.Errorf("shut, %s to a guest who was let in: %s", path, resp.Status)
		}
	}
	if resp := ask(t, d, "GET", "/i/", "", "X-Forwarded-For", guest+", 198.51.100.7"); resp.StatusCode != 404 {
		t.Errorf("shut, to two of whom one was let in: %s", resp.Status)
	}
	if asked != 10 {
		t.Errorf("web was asked %d times", asked)
	}
}

// Whom it refuses reads a page in their language, with nothing in it but words.
func TestWords(t *testing.T) {
	d, web := start(t, nil)
	d.Set(web, time.Time{})
	for languages, want := range map[string]string{
		"": "There is nothing here.", "de, en;q=0.5, es;q=0.4": "There is nothing here.", "es-ES,es;q=0.9,en;q=0.8": "Aquí no hay nada.", "ES": "Aquí no hay nada.", "fr;q=1, es;q=0.2": "Aquí no hay nada.",
	} {
		resp := ask(t, d, "GET", "/i/", "", "Accept-Language", languages, "Accept", "text/html")
		b, err := io.ReadAll(resp.Body)
		if err != nil || !strings.Contains(string(b), "<h1>"+want) || resp.Header.Get("Content-Type") != "text/html; charset=utf-8" ||
			!strings.HasPrefix(resp.Header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%q: %s %v", languages, b, resp.Header)
		}
		if lang := map[bool]string{true: `<html lang="es">`, false: `<html lang="en">`}[want[0] == 'A']; !strings.Contains(string(b), lang) {
			t.Errorf("%q: %s", languages, b)
		}
	}
}

// Invariant 11: one place can't take all the room that guests have, and all together can't take
// more than there is.
func TestRoom(t *testing.T) {
	begun, wait := make(chan struct{}, 100), make(chan struct{})
	d, web := start(t, func(http.ResponseWriter, *http.Request) {
		begun <- struct{}{}
		<-wait
	})
	d.Set(web, time.Now().Add(time.Minute))
	var over sync.WaitGroup
	hold := func(n int, from string) {
		for range n {
			over.Go(func() { ask(t, d, "GET", "/i/", "", "X-Forwarded-For", from) })
		}
		for range n {
			<-begun
		}
	}
	hold(12, "2001:db8::1")
	if resp := ask(t, d, "GET", "/i/", "", "X-Forwarded-For", "2001:db8::2"); resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("a thirteenth of one network: %s", resp.Status)
	}
	for _, from := range []string{"198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.4"} {
		hold(12, from)
	}
	hold(4, "198.51.100.5")
	if resp := ask(t, d, "GET", "/i/", "", "X-Forwarded-For", "198.51.100.6"); resp.StatusCode != 503 {
		t.Errorf("with no room left: %s", resp.Status)
	}
	close(wait)
	over.Wait()
	if resp := ask(t, d, "GET", "/i/", ""); resp.StatusCode != 200 {
		t.Errorf("with room again: %s", resp.Status)
	}
}

func TestWebAway(t *testing.T) {
	d, _ := start(t, nil)
	d.Set([]netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1")}, time.Now().Add(time.Minute))
	if resp := ask(t, d, "GET", "/i/", ""); resp.StatusCode != 503 {
		t.Errorf("with web away: %s", resp.Status)
	}
}

// Invariant 4: it is shut at its end with nobody's help, at once to who is new, and a moment
// later to who is there.
func TestShut(t *testing.T) {
	web := []netip.AddrPort{netip.MustParseAddrPort("192.168.7.5:8080")}
	synctest.Test(t, func(t *testing.T) {
		d, err := doorstep.New(expects, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		admitted := func() context.Context {
			t.Helper()
			live, ok := d.Admit()
			if !ok || live.Err() != nil {
				t.Fatal("open, it admits nobody")
			}
			return live
		}
		shut := func(when string) {
			t.Helper()
			if _, ok := d.Admit(); ok || !d.Until().IsZero() {
				t.Errorf("%s, it is open", when)
			}
		}
		shut("at first")
		d.Set(web, time.Now().Add(time.Minute))
		d.Set(web, time.Now().Add(time.Hour)) // another invitation
		time.Sleep(time.Hour - time.Nanosecond)
		live := admitted()
		time.Sleep(time.Nanosecond)
		shut("at its end")
		time.Sleep(doorstep.Grace - time.Nanosecond)
		synctest.Wait()
		if live.Err() != nil {
			t.Error("who was there got no time for an answer")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if live.Err() == nil {
			t.Error("who was there is there still")
		}
		// Opened while the ones from before have their moment.
		d.Set(web, time.Now().Add(time.Minute))
		first := admitted()
		d.Set(web, time.Time{})
		shut("shut")
		d.Set(web, time.Now().Add(time.Minute))
		second := admitted()
		time.Sleep(doorstep.Grace)
		synctest.Wait()
		if first.Err() == nil || second.Err() != nil {
			t.Errorf("of two openings, the first ended with %v, the second with %v", first.Err(), second.Err())
		}
		d.Set(nil, time.Now().Add(time.Minute))
		shut("with web nowhere")
		time.Sleep(doorstep.Grace)
	})
}
