package api

import (
	"strings"
	"testing"

	"github.com/ownline/ownline/internal/ownline"
)

// An operation that doesn't say who may call it is never served.
func TestRule(t *testing.T) {
	for name, o := range map[string]operation{
		"nobody was thought of":      {},
		"unknown people":             {who: "everybody", scope: []string{ownline.ScopeRead}},
		"no scope":                   {who: users},
		"unknown scope":              {who: users, scope: []string{"reed"}},
		"full is not to be named":    {who: users, scope: []string{ownline.ScopeFull}},
		"a scope for nobody":         {who: anybody, scope: []string{ownline.ScopeRead}},
		"admins without their scope": {who: admins, scope: []string{ownline.ScopeRead}},
		"an owner of nothing":        {who: owner, scope: []string{ownline.ScopeRead}},
	} {
		func() {
			o.id, o.path = "test", "/things"
			defer func() {
				if got, _ := recover().(string); !strings.HasPrefix(got, "test") {
					t.Errorf("%s: it is taken (%q)", name, got)
				}
			}()
			new(Server).operation(o, false)
		}()
	}
}
