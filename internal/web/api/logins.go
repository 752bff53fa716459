package api

import (
	"context"
	"net/http"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/auth"
)

type login struct {
	ID       string    `json:"id" format:"uuid"`
	User     string    `json:"user" format:"uuid"`
	UserName string    `json:"user_name"`
	Method   string    `json:"method" enum:"password,totp,recovery_code,passkey,oidc,setup"`
	Address  string    `json:"address,omitempty" doc:"Where it signed in from"`
	Agent    string    `json:"agent,omitempty" doc:"What the browser says that it is"`
	Created  time.Time `json:"created"`
	Seen     time.Time `json:"seen" doc:"When it was last used, give or take some minutes"`
	Expires  time.Time `json:"expires" doc:"When it ends if it is not used before"`
	Current  bool      `json:"current" doc:"This request came with it"`
}

type loginAttempt struct {
	ID       string    `json:"id" format:"uuid"`
	User     string    `json:"user,omitempty" format:"uuid" doc:"Absent: the name that was typed is nobody's, and not kept"`
	UserName string    `json:"user_name,omitempty"`
	Method   string    `json:"method" enum:"password,totp,recovery_code,passkey,oidc,setup"`
	Result   string    `json:"result" enum:"ok,wrong_password,wrong_code,wrong_passkey,throttled,refused"`
	Address  string    `json:"address,omitempty"`
	Agent    string    `json:"agent,omitempty"`
	At       time.Time `json:"at"`
	Latest   time.Time `json:"latest" doc:"The last of several"`
	Count    int       `json:"count" doc:"How many there were; failures that are alike are one"`
}

func attemptView(a ownline.LoginAttempt) loginAttempt {
	v := loginAttempt{
		ID: a.ID.String(), UserName: a.UserName, Method: string(a.Method), Result: string(a.Result), Agent: a.Agent,
		At: a.At.UTC(), Latest: a.Latest.UTC(), Count: a.Count,
	}
	if !a.User.IsZero() {
		v.User = a.User.String()
	}
	if a.Client.IsValid() {
		v.Address = a.Client.String()
	}
	return v
}

func loginView(current ownline.LoginID) func(ownline.LoginInfo) login {
	return func(l ownline.LoginInfo) login {
		v := login{
			ID: l.ID.String(), User: l.User.String(), UserName: l.UserName, Method: string(l.Method), Agent: l.Agent,
			Created: l.Created.UTC(), Seen: l.Seen.UTC(), Expires: l.Expires.UTC(), Current: l.ID == current,
		}
		if l.Client.IsValid() {
			v.Address = l.Client.String()
		}
		return v
	}
}

// Whose selects whose logins or tokens are meant.
type Whose struct {
	User string `query:"user" format:"uuid" doc:"Whose (admin); absent: one's own"`
	All  bool   `query:"all" doc:"Everybody's (admin)"`
}

// of returns who is meant, zero for everybody's.
func (w Whose) of(id auth.Identity, admin bool) (ownline.UserID, error) {
	u, err := parseID[ownline.User]("user", w.User)
	switch {
	case err != nil:
		return u, err
	case w.All && w.User != "":
		return u, ownline.Invalid("all", "and user can't be given together")
	case w.All && !admin:
		return u, ownline.Forbidden("all", "only an admin sees everybody's")
	case w.All:
		return u, nil
	case w.User == "":
		return id.User.ID, nil
	case u != id.User.ID && !admin:
		return u, ownline.NotFound("user", w.User)
	}
	return u, nil
}

func (s *Server) logins() {
	const tag = "logins"
	seeing := []string{ownline.ScopeRead, ownline.ScopeAdmin}
	type loginList struct {
		ListInput
		Whose
	}
	register(s, operation{method: http.MethodGet, path: "/logins", id: "list-logins", fails: []int{http.StatusNotFound}, who: users, scope: seeing, tag: tag, summary: "List the browsers that are signed in, the newest first"},
		func(ctx context.Context, id auth.Identity, in *loginList) (*output[list[login]], error) {
			user, err := in.of(id, actor(id).Oversees())
			if err != nil {
				return nil, err
			}
			items, next, err := s.auth.Logins(ctx, ownline.LoginQuery{Page: in.page(), User: user})
			return listOf(items, next, loginView(id.Login)), err
		})

	type attemptList struct {
		ListInput
		Whose
		Method string    `query:"method" enum:"password,totp,recovery_code,passkey,oidc,setup"`
		Result string    `query:"result" enum:"ok,wrong_password,wrong_code,wrong_passkey,throttled,refused"`
		Since  time.Time `query:"since" doc:"Tries of then or later"`
		Until  time.Time `query:"until" doc:"Tries before then"`
	}
	register(s, operation{method: http.MethodGet, path: "/logins/attempts", id: "list-login-attempts", fails: []int{http.StatusNotFound}, who: users, scope: seeing, tag: tag, summary: "List who tried to sign in, the newest first. The list is kept short"},
		func(ctx context.Context, id auth.Identity, in *attemptList) (*output[list[loginAttempt]], error) {
			user, err := in.of(id, actor(id).Oversees())
			if err != nil {
				return nil, err
			}
			items, next, err := s.auth.Attempts(ctx, ownline.AttemptQuery{
				Page: in.page(), User: user, Method: ownline.LoginMethod(in.Method), Result: ownline.LoginResult(in.Result), Since: in.Since, Until: in.Until,
			})
			return listOf(items, next, attemptView), err
		})

	register(s, operation{method: http.MethodDelete, path: "/logins/{id}", id: "end-login", who: owner, scope: []string{ownline.ScopeAdmin}, tag: tag, status: http.StatusNoContent, summary: "Sign a browser out"},
		func(ctx context.Context, id auth.Identity, in *ByID) (*struct{}, error) {
			lid, err := parseID[ownline.Login]("id", in.ID)
			if err != nil {
				return nil, err
			}
			whose := id.User.ID
			if actor(id).Admin() {
				whose = ownline.UserID{}
			}
			return nil, s.auth.SignOut(ctx, id, whose, lid)
		})

	type everywhere struct {
		User   string `query:"user" format:"uuid" doc:"Whose (admin); absent: one's own"`
		Tokens bool   `query:"tokens" doc:"Make the bearer tokens worthless, too"`
	}
	type signedOut struct {
		Ended int `json:"ended" doc:"How many logins and tokens that were"`
	}
	register(s, operation{method: http.MethodDelete, path: "/logins", id: "end-logins", fails: []int{http.StatusNotFound}, who: users, scope: []string{ownline.ScopeAdmin}, tag: tag, summary: "Sign a user out everywhere else"},
		func(ctx context.Context, id auth.Identity, in *everywhere) (*output[signedOut], error) {
			user, err := Whose{User: in.User}.of(id, actor(id).Admin())
			if err != nil {
				return nil, err
			}
			n, err := s.auth.SignOutEverywhere(ctx, id, user, in.Tokens)
			return show(signedOut{n}), err
		})
}
