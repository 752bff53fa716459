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
	Name     string     `json:"name"`
	Scopes   []string   `json:"scopes" nullable:"false"`
	Created  time.Time  `json:"created"`
	Expires  *time.Time `json:"expires,omitempty" doc:"Absent: never"`
	LastUsed *time.Time `json:"last_used,omitempty"`
}

type newToken struct {
	Token
	Value string `json:"token" doc:"What requests send as Authorization: Bearer. Shown only now"`
}

func tokenView(t ownline.Token) Token {
	return Token{
		ID: t.ID.String(), Name: t.Name, Scopes: append([]string{}, t.Scopes...), Created: t.Created.UTC(),
		Expires: optional(t.Expires), LastUsed: optional(t.LastUsed),
	}
}

func (s *Server) tokens() {
	const tag = "tokens"
	register(s, operation{method: http.MethodGet, path: "/tokens", id: "list-tokens", who: users, scope: []string{ownline.ScopeRead, ownline.ScopeTokens, ownline.ScopeAdmin}, tag: tag, summary: "List one's own bearer tokens"},
		func(ctx context.Context, id auth.Identity, _ *noInput) (*output[list[Token]], error) {
			items, err := s.auth.Tokens(ctx, id)
			return listOf(items, "", tokenView), err
		})

	type tokenRequest struct {
		Name    string     `json:"name" maxLength:"64"`
		Expires *time.Time `json:"expires,omitempty" doc:"Absent: never"`
	}
	register(s, operation{method: http.MethodPost, path: "/tokens", id: "add-token", who: users, scope: []string{ownline.ScopeTokens}, tag: tag, status: http.StatusCreated, summary: "Make a bearer token, and show it this once"},
		func(ctx context.Context, id auth.Identity, in *body[tokenRequest]) (*output[newToken], error) {
			var expires time.Time
			if in.Body.Expires != nil {
				expires = *in.Body.Expires
			}
			t, value, err := s.auth.AddToken(ctx, id, in.Body.Name, []string{ownline.ScopeFull}, expires)
			if err != nil {
				return nil, err
			}
			return show(newToken{tokenView(t), value}), nil
		})

	register(s, operation{method: http.MethodDelete, path: "/tokens/{id}", id: "remove-token", who: owner, scope: []string{ownline.ScopeTokens, ownline.ScopeAdmin}, tag: tag, status: http.StatusNoContent, summary: "Make a bearer token worthless"},
		func(ctx context.Context, id auth.Identity, in *ByID) (*struct{}, error) {
			tid, err := parseID[ownline.Token]("id", in.ID)
			if err != nil {
				return nil, err
			}
			return nil, s.auth.RemoveToken(ctx, id, tid)
		})
}
