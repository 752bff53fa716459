package apiclient

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ownline/ownline/internal/ownline"
)

func TestProblems(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		body   string
		kind   error
		want   string
	}{
		"one field":    {422, `{"status":422,"detail":"target: is wrong","errors":[{"location":"body.target","message":"is wrong"}]}`, ownline.ErrInvalid, "target: is wrong"},
		"two fields":   {422, `{"status":422,"detail":"x","errors":[{"location":"body.a","message":"b"},{"location":"body.c","message":"d"}]}`, ownline.ErrInvalid, "a: b; c: d"},
		"signed out":   {401, `{"status":401,"detail":"nobody is signed in"}`, ownline.ErrUnauthorized, "not signed in, or signed out meanwhile; run `ownline login URL`"},
		"no such":      {404, `{"status":404,"detail":"session: \"x\" not found"}`, ownline.ErrNotFound, `session: "x" not found`},
		"unreachable":  {503, `{"status":503,"detail":"core can't be reached"}`, ownline.ErrUnavailable, "core can't be reached"},
		"bare":         {409, `{"status":409}`, ownline.ErrConflict, "the server answered 409 Conflict"},
		"another page": {404, `<html>`, nil, "answered 404 Not Found; is this an Ownline server?"},
		"redirect":     {302, ``, nil, "answered 302 Found; is this an Ownline server?"},
		"not ours":     {200, `<html>`, nil, "gave an answer that is not one of Ownline's"},
	} {
		t.Run(name, func(t *testing.T) {
			elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the token was carried elsewhere") }))
			defer elsewhere.Close()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/api/v1/me" || r.Header.Get("Authorization") != "Bearer own_x" {
					t.Errorf("asked %s with %v", r.URL, r.Header)
				}
				w.Header().Set("Location", elsewhere.URL)
				w.WriteHeader(tc.status)
				_, _ = w.Write([]byte(tc.body))
			}))
			defer s.Close()
			_, err := (&Client{URL: s.URL, Token: "own_x"}).Me(t.Context())
			if err == nil || !strings.Contains(err.Error(), tc.want) || tc.kind != nil && !errors.Is(err, tc.kind) {
				t.Errorf("got %v", err)
			}
		})
	}
	_, err := (&Client{URL: "http://127.0.0.1:1"}).Me(context.Background())
	if !errors.Is(err, ownline.ErrUnavailable) || !strings.HasPrefix(err.Error(), "http://127.0.0.1:1 can't be reached: ") {
		t.Errorf("got %v", err)
	}
}

func TestPages(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next := map[string]string{"": `,"next":"p2"`, "p2": `,"next":"p3"`, "p3": ""}[r.URL.Query().Get("cursor")]
		_, _ = w.Write([]byte(`{"items":[{"name":"` + r.URL.Query().Get("cursor") + `"}]` + next + `}`))
	}))
	defer s.Close()
	list, err := (&Client{URL: s.URL}).Services(t.Context())
	if err != nil || len(list) != 3 || list[2].Name != "p3" {
		t.Errorf("got %+v, %v", list, err)
	}
}

func TestCheckURL(t *testing.T) {
	for in, want := range map[string]string{
		"https://own.example.org:9999/": "https://own.example.org:9999",
		"http://127.0.0.1:8080":         "http://127.0.0.1:8080",
		"own.example.org":               "", "ftp://x": "", "https://": "", "https://a@b": "", "https://a/?q": "",
	} {
		got, err := CheckURL(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v", in, got, err)
		}
	}
}
