package login

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

var (
	wiki   = ownline.NewID[ownline.Service]()
	source = netip.MustParseAddr("198.51.100.7")
)

const pages = "https://ownline.home.example"

func rev(epoch string, n uint64) link.Revision { return link.Revision{Epoch: epoch, Revision: n} }

func same(t time.Time) time.Time { return t }

func passFor(l ownline.LoginID, life time.Duration) link.Pass {
	return link.Pass{Login: l, Service: wiki, User: "ana", Expires: time.Now().Add(life)}
}

func newBook(t *testing.T) *Book {
	t.Helper()
	b := New(slog.New(slog.DiscardHandler))
	b.Replace(rev("e", 1), pages, nil, same)
	return b
}

func sumOf(s string) []byte { sum := sha256.Sum256([]byte(s)); return sum[:] }

// person is a browser that was sent to log in.
type person struct {
	b      *Book
	login  ownline.LoginID
	cookie string
	state  []byte
}

func begin(t *testing.T, b *Book, l ownline.LoginID) *person {
	t.Helper()
	p := &person{b: b, login: l}
	r := p.ask("/")
	if r == nil || len(r.Cookies) != 1 {
		t.Fatalf("%+v", r)
	}
	u, err := url.Parse(r.Location)
	if err != nil {
		t.Fatal(err)
	}
	if p.state, err = base64.RawURLEncoding.DecodeString(u.Query().Get("state")); err != nil {
		t.Fatal(err)
	}
	p.cookie, _, _ = strings.Cut(r.Cookies[0], ";")
	return p
}

func (p *person) ask(uri string) *Reply {
	h := http.Header{"Accept": {"text/html"}}
	if p.cookie != "" {
		h.Set("Cookie", p.cookie)
	}
	_, instead := p.b.Admit(Request{Service: wiki, Source: source, Method: "GET", URI: uri, Header: h})
	return instead
}

func (p *person) put(at link.Revision, code string, life time.Duration) error {
	return p.b.Put(link.PutPass{Stamp: link.Stamp{Revision: at}, Pass: passFor(p.login, life), Code: sumOf(code), State: p.state}, time.Now().Add(life))
}

// bring brings a code, and reports whether the browser is in.
func (p *person) bring(code string) bool {
	r := p.ask(Path + "?code=" + code)
	if r.Location == "" {
		return false
	}
	p.cookie, _, _ = strings.Cut(r.Cookies[0], ";")
	return p.in()
}

func (p *person) in() bool { return p.ask("/") == nil }

func TestTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook(t)
		ana := begin(t, b, ownline.NewID[ownline.Login]())
		if err := ana.put(rev("e", 2), "late", time.Hour); err != nil {
			t.Fatal(err)
		}
		time.Sleep(codeLife)
		if ana.bring("late") {
			t.Error("a code lives longer than it should")
		}
		ana.put(rev("e", 3), "in time", time.Hour)
		time.Sleep(codeLife - 1)
		if !ana.bring("in time") {
			t.Fatal("a code lives shorter than it should")
		}
		live, _ := b.Admit(Request{Service: wiki, Source: source, Method: "GET", URI: "/", Header: http.Header{"Cookie": {ana.cookie}}})
		time.Sleep(time.Hour - codeLife)
		if synctest.Wait(); live.Err() != nil || !ana.in() {
			t.Error("a pass ends too early")
		}
		time.Sleep(time.Second)
		if synctest.Wait(); live.Err() == nil || ana.in() {
			t.Error("a pass does not end on time")
		}
		// One that is renewed goes on.
		ana = begin(t, b, ana.login)
		ana.put(rev("e", 4), "x", time.Minute)
		if !ana.bring("x") {
			t.Fatal("out")
		}
		b.Replace(rev("e", 5), pages, []link.Pass{passFor(ana.login, time.Hour)}, same)
		time.Sleep(2 * time.Minute)
		if synctest.Wait(); !ana.in() {
			t.Error("a renewed pass ended at its old end")
		}
		b.Replace(rev("e", 6), pages, nil, same)
		if len(b.browsers)+len(b.passes) != 0 {
			t.Error("something is left of what has ended")
		}
	})
}

// Invariant 5, and old commands undo no newer one.
func TestOrder(t *testing.T) {
	l := ownline.NewID[ownline.Login]()
	fresh := New(slog.New(slog.DiscardHandler))
	p := &person{b: fresh, login: l, state: sumOf("s")}
	if err := p.put(rev("e", 9), "c", time.Hour); !errors.Is(err, link.ErrStale) {
		t.Errorf("before the first state: %v", err)
	}
	b := newBook(t)
	ana := begin(t, b, l)
	b.Replace(rev("e", 10), pages, nil, same)
	for _, at := range []link.Revision{rev("e", 10), rev("e", 9), rev("f", 11)} {
		if err := ana.put(at, "c", time.Hour); !errors.Is(err, link.ErrStale) {
			t.Errorf("%v after state 10: %v", at, err)
		}
	}
	if ana.bring("c") {
		t.Error("a stale code counts")
	}
	if err := ana.put(rev("e", 12), "d", time.Hour); err != nil || !ana.bring("d") {
		t.Fatal(err)
	}
	b.Replace(rev("e", 11), pages, nil, same) // was on its way
	if !ana.in() {
		t.Error("an older state undid a newer pass")
	}
	b.Replace(rev("e", 12), pages, []link.Pass{passFor(l, time.Hour)}, same)
	if err := ana.put(rev("e", 12), "e", time.Hour); err != nil || !ana.in() {
		t.Errorf("a code for a pass that the state has: %v", err)
	}
	b.Replace(rev("f", 1), pages, nil, same)
	if ana.in() {
		t.Error("another epoch's state left a pass")
	}
	if ana.bring("e") {
		t.Error("a code outlived its pass")
	}
	for what, bad := range map[string]link.PutPass{
		"nothing": {}, "short code": {Pass: passFor(l, time.Hour), Code: []byte{1}, State: sumOf("s")},
		"no login": {Pass: passFor(ownline.LoginID{}, time.Hour), Code: sumOf("c"), State: sumOf("s")},
	} {
		if err := b.Put(bad, time.Now().Add(time.Hour)); !errors.Is(err, ownline.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Invariant 11: memory is bounded; and 1: nobody's guesses keep somebody else out.
func TestBounds(t *testing.T) {
	b := newBook(t)
	l := ownline.NewID[ownline.Login]()
	first := begin(t, b, l)
	var n uint64 = 2
	enter := func(p *person) {
		t.Helper()
		n++
		code := random()
		if err := p.put(rev("e", n), code, time.Hour); err != nil || !p.bring(code) {
			t.Fatal(err)
		}
	}
	enter(first)
	for range maxBrowsers - 1 {
		enter(begin(t, b, l))
	}
	if !first.in() {
		t.Error("out too early")
	}
	enter(begin(t, b, l))
	if first.in() || len(b.browsers) != maxBrowsers {
		t.Errorf("%d browsers have one pass", len(b.browsers))
	}
	guesser := begin(t, b, l)
	for i := range wrongAtMost + 5 {
		want := 403
		if i >= wrongAtMost {
			want = 429
		}
		if r := guesser.ask(Path + "?code=x"); r.Failure == nil || r.Failure.Status != want {
			t.Fatalf("guess %d: %+v", i, r)
		}
	}
	enter(begin(t, b, l)) // a neighbour
	for i := range 2 * maxSources {
		b.guessed(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
	}
	if len(b.wrong) > maxSources {
		t.Errorf("%d sources are remembered", len(b.wrong))
	}
	var err error
	for i := 0; i < 2*maxCodes && err == nil; i++ {
		err = guesser.put(rev("e", n+1), random(), time.Hour)
	}
	if !errors.Is(err, ownline.ErrConflict) || len(b.codes) > maxCodes {
		t.Errorf("%d codes: %v", len(b.codes), err)
	}
}

func TestStrip(t *testing.T) {
	for in, want := range map[string]string{
		"a=b": "a=b", "a=b; __Host-ownline-pass=x": "a=b", "__Host-ownline-pass=x;__Host-ownline-state=y": "",
		"__Host-ownline-pass=x; a=b;c=d": "a=b; c=d", "__HOST-OWNLINE-PASS=x; __Host-ownline=web": "__Host-ownline=web",
		" __Host-ownline-pass =x": "", "__Host-ownline-pass": "", "a=__Host-ownline-pass": "a=__Host-ownline-pass", "": "",
	} {
		h := http.Header{"Cookie": {in, "__Host-ownline-state=z"}}
		Strip(h)
		if got := strings.Join(h["Cookie"], "|"); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

// Paths of ours are no way back; those that only begin alike are the service's.
func TestInside(t *testing.T) {
	for to, want := range map[string]string{
		"/x?y=z": "/x?y=z", "/.ownline": "/", "/.ownline?x": "/", "/.ownline/": "/", "/.ownline/login?to=/": "/",
		"/.ownlinex": "/.ownlinex", "/.ownline-docs/a?b": "/.ownline-docs/a?b", "/a/.ownline": "/a/.ownline", "//x": "/",
	} {
		if got := inside(to); got != want {
			t.Errorf("%q leads to %q, want %q", to, got, want)
		}
	}
}

// Whatever a login is told to lead to, it leads to a path of the same host.
func FuzzInside(f *testing.F) {
	for _, s := range []string{"/page?x=1", "//evil.example", `/\evil.example`, "https://evil.example", "/\t/evil.example", "/a/../..//evil.example", "/.ownline/login"} {
		f.Add(s)
	}
	base, _ := url.Parse("https://wiki.home.example/.ownline/login")
	f.Fuzz(func(t *testing.T, to string) {
		got := inside(to)
		u, err := url.Parse(got)
		if err != nil {
			return // no browser's path either: the request had it
		}
		if r := base.ResolveReference(u); r.Host != base.Host || r.Scheme != "https" || strings.ContainsAny(got, "\r\n\t\\") || got[0] != '/' {
			t.Errorf("%q leads to %s", to, r)
		}
	})
}
