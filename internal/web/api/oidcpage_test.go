package api

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ownline/ownline/internal/web/auth"
)

func TestPageSpeaks(t *testing.T) {
	for accepted, want := range map[string]string{
		"": "en", "es": "es", "es-MX,es;q=0.9,en;q=0.8": "es", "en-GB, es": "en", "en;q=0.5, es;q=0.9": "es",
		"de, es;q=0.7, en;q=0.6": "es", "fr": "en", "*": "en", "es, ///": "en",
	} {
		if got := speaks(accepted); got != want {
			t.Errorf("to who accepts %q it speaks %s, want %s", accepted, got, want)
		}
	}
}

func TestPageAfterTheProvider(t *testing.T) {
	w := newWorld(t)
	for language, want := range map[string]string{
		"es-ES,es;q=0.9": `<html lang="es">|<p role="alert">Este navegador no había empezado a entrar aquí: empieza de nuevo.</p>|<a href="/">Volver a intentarlo`,
		"en":             `<html lang="en">|<p role="alert">This browser did not begin to sign in here: begin again.</p>|<a href="/">Try again`,
	} {
		got := w.do("", "GET", "/auth/oidc/callback?code=x&state=y", nil, "Accept", "text/html", "Accept-Language", language).want(http.StatusUnauthorized)
		for part := range strings.SplitSeq(want, "|") {
			if !strings.Contains(string(got.body), part) {
				t.Errorf("%s: the page lacks %s:\n%s", language, part, got.body)
			}
		}
	}
	// It looks like the app, by a style sheet of its own, and has nothing inline.
	got := w.do("", "GET", "/auth/oidc/callback?code=x&state=y", nil, "Accept", "text/html")
	style := w.do("", "GET", strings.TrimPrefix(oidcStylePath, base), nil).want(http.StatusOK)
	if !strings.Contains(string(got.body), `<link rel="stylesheet" href="`+oidcStylePath+`">`) || !strings.HasPrefix(style.header.Get("Content-Type"), "text/css") || !strings.Contains(string(style.body), "light-dark(#0a6570, #62cbd9)") {
		t.Errorf("without its style:\n%s\n%s", got.body, style.body)
	}
	if csp := got.header.Get("Content-Security-Policy"); csp != oidcPolicy || strings.Contains(csp, "unsafe") || strings.Contains(string(got.body), "style=") {
		t.Errorf("the policy is %q", csp)
	}
	// Before the provider, too; whoever is no browser gets a problem.
	const wrong = "/auth/oidc/start?return=//elsewhere.example"
	start := w.do("", "GET", wrong, nil, "Accept", "text/html", "Accept-Language", "es").want(http.StatusUnprocessableEntity)
	if got := string(start.body); !strings.Contains(got, "must be the path of one of our pages") || !strings.Contains(got, `<a href="/">Volver a intentarlo`) {
		t.Errorf("no way back from the start:\n%s", got)
	}
	if got := w.do("", "GET", wrong, nil).want(http.StatusUnprocessableEntity); !strings.Contains(string(got.body), `"status":422`) {
		t.Errorf("no problem for a program:\n%s", got.body)
	}
	show := func(p page) string {
		rec := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Accept-Language", "es")
		w.api.page(rec, r, http.StatusOK, p)
		return rec.Body.String()
	}
	if got := show(page{Next: "/sessions"}); !strings.Contains(got, `<h1>Has entrado.</h1><a href="/sessions">Continuar</a>`) {
		t.Errorf("signed in:\n%s", got)
	}
	if got := show(page{Error: "is <new>"}); !strings.Contains(got, `<p role="alert" lang="en">Is &lt;new&gt;.</p>`) {
		t.Errorf("a sentence without words:\n%s", got)
	}
}

// Whatever keeps somebody from signing in by a provider has Spanish words, and there are none for
// what nobody says.
func TestProviderTroubleInSpanish(t *testing.T) {
	said := map[string]string{internalWords: "problem.go"}
	for _, k := range kinds {
		said[k.words] = "problem.go"
	}
	for path, calls := range map[string]string{
		"../access/external.go": "Forbidden Conflict", "../oidc/oidc.go": "Forbidden unavailable", "../oidc/flow.go": "refused unavailable",
		"../store/external.go": "taken", "oidc.go": "FieldError", "../auth/signin.go": "Forbidden", "../access/users.go": "Conflict", "../access/actor.go": "Forbidden",
	} {
		n := len(said)
		readWords(t, path, strings.Fields(calls), said)
		if len(said) == n {
			t.Errorf("%s says nothing; the test looks in the wrong place", path)
		}
	}
	for words := range spanish {
		if said[words] == "" {
			t.Errorf("nobody says %q; take it out", words)
		}
	}
	// Of these files, what else they say never gets here.
	others := []string{"../auth/signin.go", "../access/users.go", "../access/actor.go"}
	never := map[string]bool{"something in the request is wrong": true, "there is no such thing": true, "the present state is in the way": true, "too many tries": true}
	for words, place := range said {
		if spanish[words] == "" && !never[words] && !strings.Contains(strings.Join(others, " "), place) {
			t.Errorf("%s: %q has no Spanish words", place, words)
		}
	}
	if got := inSpanish(&auth.ThrottledError{RetryAfter: 90 * time.Second}, &huma.ErrorModel{}); got != "Demasiados intentos; espera 1m30s." {
		t.Errorf("who must wait is told %q", got)
	}
	p := &huma.ErrorModel{Detail: "role: this is the last admin who can sign in; make another one first", Errors: []*huma.ErrorDetail{{Message: "this is the last admin who can sign in; make another one first"}}}
	if got := inSpanish(errors.New("x"), p); !strings.Contains(got, "administrador") {
		t.Errorf("about a field: %q", got)
	}
}

// readWords reads the sentences that a file gives to some functions, or to the details of an error.
func readWords(t *testing.T, path string, calls []string, said map[string]string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	note := func(e ast.Expr) {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if words, err := strconv.Unquote(lit.Value); err == nil {
				said[words] = path
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		for _, name := range calls {
			switch n := n.(type) {
			case *ast.CallExpr:
				if nameOf(n.Fun) == name {
					note(n.Args[len(n.Args)-1])
				}
			case *ast.CompositeLit:
				if nameOf(n.Type) != name {
					break
				}
				for _, e := range n.Elts {
					if kv, ok := e.(*ast.KeyValueExpr); ok && nameOf(kv.Key) == "Detail" {
						note(kv.Value)
					}
				}
			}
		}
		return true
	})
}
