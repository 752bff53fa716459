package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

func TestNamesOnce(t *testing.T) {
	for body, want := range map[string]string{
		`{"a": 1, "b": {"a": 2, "c": [{"a": 3}, {"a": 4}]}}`: "",
		`{"a": 1, "a": 1}`:               `"a" is given more than once`,
		`{"b": [1, {"c": {}, "c": {}}]}`: `"c" is given more than once`,
		`[{"": 1, "": 2}]`:               `"" is given more than once`,
		`{"a": 1, "\u0061": 2}`:          `"a" is given more than once`,
		`"a"`:                            "",
		`[]`:                             "",
		strings.Repeat("[", 20_000):      "exceeded max depth",
	} {
		var v any
		err := unmarshal([]byte(body), &v)
		if got := err; want == "" && got != nil || want != "" && (got == nil || !strings.Contains(got.Error(), want)) {
			t.Errorf("%.60s: %v, want %q", body, err, want)
		}
		var plain any
		if want == "" && (json.Unmarshal([]byte(body), &plain) != nil || plain == nil) {
			t.Errorf("%s: what was read is not what JSON says", body)
		}
	}
}

// Whichever of two values is meant, nothing is done.
func TestBodyWithANameTwice(t *testing.T) {
	w := newWorld(t)
	before := w.do(w.admin, "GET", "/users", nil).want(http.StatusOK)
	got := w.do(w.admin, "POST", "/users", `{"name": "eve", "password": "correct horse battery", "role": "user", "role": "admin"}`).want(http.StatusBadRequest)
	if body := string(got.body); !strings.Contains(body, `\"role\" is given more than once`) || strings.Contains(body, "battery") {
		t.Errorf("what is wrong is not told: %s", body)
	}
	if after := w.do(w.admin, "GET", "/users", nil).want(http.StatusOK); string(after.body) != string(before.body) {
		t.Errorf("a user was made all the same: %s", after.body)
	}
}
