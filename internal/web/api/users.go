package api

import (
	"context"
	"net/http"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/auth"
)

type user struct {
	ID         string     `json:"id" format:"uuid"`
	Name       string     `json:"name"`
	Role       string     `json:"role" enum:"admin,user"`
	Disabled   bool       `json:"disabled"`
	Created    time.Time  `json:"created"`
	LastSignIn *time.Time `json:"last_sign_in,omitempty" doc:"Absent: not as far back as tries to sign in are kept"`
	// MustChange: an admin knows the password.
	MustChange bool `json:"must_change_password" doc:"The user has to choose another password at the next sign-in"`
}

func userView(u ownline.User) user {
	return user{ID: u.ID.String(), Name: u.Name, Role: string(u.Role), Disabled: u.Disabled, Created: u.Created.UTC(), LastSignIn: optional(u.LastSignIn), MustChange: u.MustChange}
}

func (s *Server) users() {
	const tag, one = "users", "/users/{id}"
	type query struct {
		ListInput
		Role     string `query:"role" enum:"admin,user" doc:"Absent: both"`
		Disabled string `query:"disabled" enum:"true,false" doc:"Absent: both"`
		Name     string `query:"name" maxLength:"64" example:"an" doc:"Only those whose name has this in it"`
	}
	register(s, operation{method: http.MethodGet, path: "/users", id: "list-users", who: admins, scope: []string{ownline.ScopeRead, ownline.ScopeAdmin}, tag: tag, summary: "List users (admin)"},
		func(ctx context.Context, id auth.Identity, in *query) (*output[list[user]], error) {
			q := ownline.UserQuery{Page: in.page(), Role: ownline.Role(in.Role), Named: in.Name}
			if in.Disabled != "" {
				is := in.Disabled == "true"
				q.Disabled = &is
			}
			items, next, err := s.access.Users(ctx, actor(id), q)
			return listOf(items, next, userView), err
		})

	type newUser struct {
		Name     string `json:"name" maxLength:"64"`
		Password string `json:"password" maxLength:"1024" doc:"The user has to choose another at the first sign-in"`
		Role     string `json:"role,omitempty" enum:"admin,user" doc:"user when absent"`
	}
	register(s, operation{method: http.MethodPost, path: "/users", id: "add-user", fails: []int{http.StatusConflict}, who: admins, scope: []string{ownline.ScopeAdmin}, tag: tag, status: http.StatusCreated, summary: "Make a user (admin)"},
		func(ctx context.Context, id auth.Identity, in *body[newUser]) (*output[user], error) {
			u, err := s.access.AddUser(ctx, actor(id), access.NewUser{Name: in.Body.Name, Password: in.Body.Password, Role: ownline.Role(in.Body.Role)})
			return show(userView(u)), err
		})

	register(s, operation{method: http.MethodGet, path: one, id: "get-user", who: owner, scope: []string{ownline.ScopeRead, ownline.ScopeAdmin}, tag: tag, summary: "Show a user: an admin any, others themselves"},
		func(ctx context.Context, id auth.Identity, in *ByID) (*output[user], error) {
			uid, err := parseID[ownline.User]("id", in.ID)
			if err != nil {
				return nil, err
			}
			u, err := s.access.User(ctx, actor(id), uid)
			return show(userView(u)), err
		})

	type userChange struct {
		Name     *string       `json:"name,omitempty" maxLength:"64"`
		Password *string       `json:"password,omitempty" maxLength:"1024" doc:"Signs the user out everywhere; they have to choose another at the next sign-in. Not for oneself: see PUT /me/password"`
		Role     *ownline.Role `json:"role,omitempty" enum:"admin,user"`
		Disabled *bool         `json:"disabled,omitempty" doc:"true ends the user's sessions and signs them out"`
	}
	register(s, operation{method: http.MethodPatch, path: one, id: "change-user", fails: []int{http.StatusConflict}, who: admins, scope: []string{ownline.ScopeAdmin}, tag: tag, summary: "Change a user (admin)"},
		func(ctx context.Context, id auth.Identity, in *bodyByID[userChange]) (*output[user], error) {
			uid, err := parseID[ownline.User]("id", in.ID)
			if err != nil {
				return nil, err
			}
			b := in.Body
			u, err := s.access.ChangeUser(ctx, actor(id), uid, access.UserChange{Name: b.Name, Password: b.Password, Role: b.Role, Disabled: b.Disabled})
			return show(userView(u)), err
		})

	register(s, operation{method: http.MethodDelete, path: one, id: "remove-user", fails: []int{http.StatusConflict}, who: admins, scope: []string{ownline.ScopeAdmin}, tag: tag, status: http.StatusNoContent, summary: "Remove a user, and end their sessions (admin)"},
		func(ctx context.Context, id auth.Identity, in *ByID) (*struct{}, error) {
			uid, err := parseID[ownline.User]("id", in.ID)
			if err != nil {
				return nil, err
			}
			return nil, s.access.RemoveUser(ctx, actor(id), uid)
		})

	register(s, operation{method: http.MethodDelete, path: one + "/factors", id: "reset-factors", who: admins, scope: []string{ownline.ScopeAdmin}, tag: tag, status: http.StatusNoContent, summary: "Take a user's second factor, recovery codes and passkeys away, and sign them out (admin)"},
		func(ctx context.Context, id auth.Identity, in *ByID) (*struct{}, error) {
			uid, err := parseID[ownline.User]("id", in.ID)
			if err != nil {
				return nil, err
			}
			return nil, s.access.ResetFactors(ctx, actor(id), uid)
		})
}
