package api

import (
	"regexp"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
)

// The page shows every operation, runs no script, and takes nothing from elsewhere.
func TestDocs(t *testing.T) {
	w := newWorld(t)
	get := func(path string) answer { return w.raw("GET", "/../docs"+path, nil).want(200) }
	page := get("")
	body := string(page.body)
	eachOperation(w.api.huma.OpenAPI(), func(path string, op *huma.Operation) {
		if !strings.Contains(body, `id="`+op.OperationID+`"`) || !strings.Contains(body, path) {
			t.Errorf("%s is not shown", op.OperationID)
		}
	})
	policy := page.header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || page.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("headers %v", page.header)
	}
	for _, bad := range []string{"<script", "style=", "onclick", "javascript:"} {
		if strings.Contains(body, bad) {
			t.Errorf("the page has %s", bad)
		}
	}
	for _, m := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(body, -1) {
		if !strings.HasPrefix(m[1], "/api/") && !strings.HasPrefix(m[1], "#") {
			t.Errorf("the page points to %s", m[1])
		}
	}
	if css := get("/style.css"); css.header.Get("Content-Type") != "text/css; charset=utf-8" || strings.Contains(string(css.body), "url(") {
		t.Errorf("style %v", css.header)
	}
}
