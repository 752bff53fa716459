package access

import (
	"errors"
	"testing"

	"github.com/ownline/ownline/internal/ownline"
)

// What tokens of an admin and of a user may, by their scopes. Unknown scopes and none at all
// are good for nothing.
func TestScopes(t *testing.T) {
	id := ownline.NewID[ownline.User]()
	token := func(role ownline.Role, scopes ...string) Actor {
		return Actor{User: ownline.User{ID: id, Role: role}, By: ByToken, Scopes: scopes}
	}
	forbidden, unknown := ownline.ErrForbidden, ownline.ErrUnauthorized
	for name, tc := range map[string]struct {
		actor                 Actor
		read, open, add, list error // May(read), May(sessions), MustAdmin(), MustAdmin(read)
		admin, oversees       bool
	}{
		"nobody":                {Actor{}, unknown, unknown, unknown, unknown, false, false},
		"no scope":              {token(ownline.Admin), forbidden, forbidden, forbidden, forbidden, false, false},
		"unknown scope":         {token(ownline.Admin, "everything"), forbidden, forbidden, forbidden, forbidden, false, false},
		"full, admin":           {token(ownline.Admin, "full"), nil, nil, nil, nil, true, true},
		"full, user":            {token(ownline.Person, "full"), nil, nil, forbidden, forbidden, false, false},
		"read, admin":           {token(ownline.Admin, "read"), nil, forbidden, forbidden, nil, false, true},
		"read, user":            {token(ownline.Person, "read"), nil, forbidden, forbidden, forbidden, false, false},
		"sessions, admin":       {token(ownline.Admin, "sessions"), forbidden, nil, forbidden, forbidden, false, false},
		"sessions, read, admin": {token(ownline.Admin, "sessions", "read"), nil, nil, forbidden, nil, false, true},
		"admin, admin":          {token(ownline.Admin, "admin"), forbidden, forbidden, nil, nil, true, true},
		"admin, user":           {token(ownline.Person, "admin"), forbidden, forbidden, forbidden, forbidden, false, false},
		"a browser":             {Actor{User: ownline.User{ID: id, Role: ownline.Admin}, By: ByLogin}, nil, nil, nil, nil, true, true},
		"disabled":              {Actor{User: ownline.User{ID: id, Role: ownline.Admin, Disabled: true}, By: ByLogin}, forbidden, forbidden, forbidden, forbidden, false, false},
		"a command":             {Command(), nil, nil, nil, nil, true, true},
	} {
		for what, v := range map[string][2]error{
			"May(read)":       {tc.actor.May(ownline.ScopeRead), tc.read},
			"May(sessions)":   {tc.actor.May(ownline.ScopeSessions), tc.open},
			"MustAdmin()":     {tc.actor.MustAdmin(), tc.add},
			"MustAdmin(read)": {tc.actor.MustAdmin(ownline.ScopeRead), tc.list},
		} {
			if !errors.Is(v[0], v[1]) {
				t.Errorf("%s: %s = %v, want %v", name, what, v[0], v[1])
			}
		}
		if tc.actor.Admin() != tc.admin || tc.actor.Oversees() != tc.oversees {
			t.Errorf("%s: Admin %t, Oversees %t", name, tc.actor.Admin(), tc.actor.Oversees())
		}
	}
}
