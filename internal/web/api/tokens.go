package api

import (
	"context"
	"net/http"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/auth"
)

// Token never holds the value.
type Token struct {
	ID       string     `json:"id" format:"uuid"`
	User     string     `json:"user" format:"uuid" doc:"Whose it is"`
	UserName string     `json:"user_name" example:"ana"`
	Name     string     `json:"name" example:"backup script"`
	Scopes   []string   `json:"scopes" nullable:"false" doc:"What it may do of what its user may" example:"[\"read\",\"sessions\"]"`
	Created  time.Time  `json:"created"`
	Expires  *time.Time `json:"expires,omitempty" doc:"Absent: never"`
	LastUsed *time.Time `json:"last_used,omitempty" doc:"To the minute; absent: never"`
}

type newToken struct {
	Token
	Value string `json:"token" doc:"What requests send as Authorization: Bearer. Shown only now" example:"own_…"`
}

func tokenView(t ownline.TokenInfo) Token {
	return Token{
		ID: t.ID.String(), User: t.User.String(), UserName: t.UserName, Name: t.Name, Scopes: append([]string{}, t.Scopes...), Created: t.Created.UTC(),
		Expires: optional(t.Expires), LastUsed: optional(t.LastUsed),
	}
}

const aboutScopes = "Scopes say what a token may do of what its user may: full (everything), read (see, and change nothing), " +
	"sessions (see one's services; open, renew and close one's own sessions), devices (one's own devices), invitations (one's own invitations), " +
	"tokens (one's own tokens) and admin (what admins may; for tokens of admins). They add up. " +
	"Each operation names those of which it takes one, as x-ownline-scope."

func (s *Server) tokens() {
	const tag = "tokens"
	type query struct {
		ListInput
		Whose
	}
	register(s, operation{method: http.MethodGet, path: "/tokens", id: "list-tokens", fails: []int{http.StatusNotFound}, who: users, scope: []string{ownline.ScopeRead, ownline.ScopeTokens, ownline.ScopeAdmin}, tag: tag, summary: "List bearer tokens, the oldest first: one's own, or an admin anybody's", description: aboutScopes},
		func(ctx context.Context, id auth.Identity, in *query) (*output[list[Token]], error) {
			user, err := in.of(id, actor(id).Oversees())
			if err != nil {
				return nil, err
			}
			items, next, err := s.auth.Tokens(ctx, in.page(), user)
			return listOf(items, next, tokenView), err
		})

	type tokenRequest struct {
		Name    string     `json:"name" minLength:"1" maxLength:"64" doc:"What it is for, as lists show it" example:"backup script"`
		Scopes  []string   `json:"scopes" nullable:"false" minItems:"1" maxItems:"16" enum:"full,read,sessions,devices,invitations,tokens,admin" doc:"What it may do of what its user may" example:"[\"read\",\"sessions\"]"`
		Expires *time.Time `json:"expires,omitempty" doc:"Absent: never, or when the token ends that the request came with"`
		Proof
	}
	register(s, operation{
		method: http.MethodPost, path: "/tokens", id: "add-token", who: users, scope: []string{ownline.ScopeTokens}, tag: tag, status: http.StatusCreated, fails: []int{http.StatusTooManyRequests}, summary: "Make a bearer token, and show it this once",
		description: aboutScopes + " A token can't make one that has more scopes or lasts longer than it does. A browser that did not sign in just now gives the user's password or a code.",
	},
		func(ctx context.Context, id auth.Identity, in *body[tokenRequest]) (*output[newToken], error) {
			var expires time.Time
			if in.Body.Expires != nil {
				expires = *in.Body.Expires
			}
			t, value, err := s.auth.AddToken(ctx, id, in.Body.Name, in.Body.Scopes, expires, in.Body.Password, in.Body.code())
			if err != nil {
				return nil, err
			}
			return show(newToken{tokenView(ownline.TokenInfo{Token: t, UserName: id.User.Name}), value}), nil
		})

	register(s, operation{method: http.MethodDelete, path: "/tokens/{id}", id: "remove-token", who: owner, scope: []string{ownline.ScopeTokens, ownline.ScopeAdmin}, tag: tag, status: http.StatusNoContent, summary: "Make a bearer token worthless: one's own, or an admin anybody's"},
		func(ctx context.Context, id auth.Identity, in *ByID) (*struct{}, error) {
			tid, err := parseID[ownline.Token]("id", in.ID)
			if err != nil {
				return nil, err
			}
			whose := id.User.ID
			if a := actor(id); a.Admin() {
				whose = ownline.UserID{}
			}
			return nil, s.auth.RemoveToken(ctx, id, whose, tid)
		})
}
