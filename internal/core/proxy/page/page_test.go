package page

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestPrefersJSON(t *testing.T) {
	for accept, want := range map[string]bool{
		"": false, "*/*": false, "text/html": false, "application/json": true, "application/problem+json": true,
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": false,
		"application/json, text/plain, */*":                               true,
		"text/html;q=0.5, application/json;q=0.9":                         true,
		"text/html, application/json;q=0.9":                               false,
		"application/json;q=0":                                            false,
		"application/json;q=x":                                            false,
	} {
		if got := prefersJSON([]string{accept}); got != want {
			t.Errorf("%q: %v, want %v", accept, got, want)
		}
	}
}

// Nothing of what is said becomes markup.
func TestAnswer(t *testing.T) {
	f := &Failure{Status: 401, Name: "x", Title: "<b>", Text: "<i>", Login: `/"><script>`}
	for _, accept := range []string{"text/html", "application/json"} {
		w := httptest.NewRecorder()
		f.Answer(w, "GET", http.Header{"Accept": {accept}}, "<u>")
		got := w.Body.String()
		if w.Code != 401 || strings.ContainsAny(w.Header().Get("Content-Type"), "<") {
			t.Errorf("%d, %v", w.Code, w.Header())
		}
		if accept == "text/html" && (strings.Contains(got, "<b>") || strings.Contains(got, "<i>") || strings.Contains(got, "<u>") || strings.Contains(got, "<script")) {
			t.Errorf("%s", got)
		}
	}
	f.JSON = true
	w := httptest.NewRecorder()
	f.Answer(w, "GET", http.Header{"Accept": {"text/html"}}, "")
	if !strings.Contains(w.Header().Get("Content-Type"), "json") || !strings.Contains(w.Body.String(), `"login"`) {
		t.Errorf("%s", w.Body)
	}
}
