package ui

import (
	"compress/gzip"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

func TestHandler(t *testing.T) {
	page := "<!doctype html><title>app</title>" + strings.Repeat(" ", 2000)
	h, err := newHandler(fstest.MapFS{
		"index.html":             {Data: []byte(page)},
		"assets/_a-1234.js":      {Data: []byte("let a")},
		"manifest.webmanifest":   {Data: []byte("{}")},
		"assets/font-1234.woff2": {Data: make([]byte, 4000)},
	}, []string{"wss://broker.example.org:8084", "https://address.example.org"})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		method, path string
		status       int
		kind, cache  string
		body         string
	}{
		"root":            {"GET", "/", 200, "text/html; charset=utf-8", "no-cache", page},
		"a page":          {"GET", "/sessions/7", 200, "text/html; charset=utf-8", "no-cache", page},
		"hashed":          {"GET", "/assets/_a-1234.js", 200, "text/javascript; charset=utf-8", "public, max-age=31536000, immutable", "let a"},
		"old hashed":      {"GET", "/assets/_a-0000.js", 404, "text/plain; charset=utf-8", "no-store", "not found\n"},
		"manifest":        {"GET", "/manifest.webmanifest", 200, "application/manifest+json", "no-cache", "{}"},
		"no such file":    {"GET", "/favicon.ico", 404, "text/plain; charset=utf-8", "no-store", "not found\n"},
		"out of the tree": {"GET", "/../../etc/passwd", 200, "text/html; charset=utf-8", "no-cache", page},
		"head":            {"HEAD", "/", 200, "text/html; charset=utf-8", "no-cache", ""},
		"post":            {"POST", "/", 405, "text/plain; charset=utf-8", "", "method not allowed\n"},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(tc.method, "http://x"+tc.path, nil))
			got := w.Result()
			if got.StatusCode != tc.status || got.Header.Get("Content-Type") != tc.kind || got.Header.Get("Cache-Control") != tc.cache || w.Body.String() != tc.body {
				t.Errorf("got %d %v %q", got.StatusCode, got.Header, w.Body)
			}
			if csp := got.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; script-src 'self';") || strings.Contains(csp, "unsafe") ||
				!strings.Contains(csp, "; connect-src 'self' wss://broker.example.org:8084 https://address.example.org; ") {
				t.Errorf("policy %q", csp)
			}
		})
	}

	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Accept-Encoding", "br, gzip;q=0.8")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	z, err := gzip.NewReader(w.Body)
	if err != nil || w.Header().Get("Content-Encoding") != "gzip" || w.Header().Get("Vary") != "Accept-Encoding" {
		t.Fatal(err, w.Header())
	}
	if b, err := io.ReadAll(z); err != nil || string(b) != page {
		t.Errorf("got %q, %v", b, err)
	}
	r.Header.Set("If-None-Match", w.Header().Get("ETag"))
	w = httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 304 {
		t.Errorf("got %d for what the browser has", w.Code)
	}
}

// Whatever was built, or nothing: a page is served.
func TestEmbedded(t *testing.T) {
	h, err := New()
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != 200 || !strings.Contains(w.Body.String(), "Ownline") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

// A browser sees another worker when the policy is another one, and fetches the pages anew.
func TestWorker(t *testing.T) {
	fetch := func(connect ...string) string {
		h, err := newHandler(fstest.MapFS{"index.html": {Data: []byte("x")}, "sw.js": {Data: []byte("let a")}}, connect)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/sw.js", nil))
		if w.Code != 200 || w.Header().Get("Cache-Control") != "no-cache" || !strings.HasPrefix(w.Body.String(), "let a\n") {
			t.Errorf("got %d %v %q", w.Code, w.Header(), w.Body)
		}
		return w.Body.String()
	}
	alone, again := fetch(), fetch()
	if alone != again || alone == fetch("wss://broker.example.org") {
		t.Error("the worker does not follow the policy")
	}
}
