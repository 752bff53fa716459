package api

import (
	"context"
	"net/http"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/auth"
)

type credentials struct {
	Name     string `json:"name" maxLength:"64"`
	Password string `json:"password" maxLength:"1024"`
}

// signedIn answers with a cookie.
type signedIn struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
	Body      me
}

func (s *Server) authResource() {
	const tag = "auth"
	register(s, operation{method: http.MethodPost, path: "/auth/login", id: "login", fails: []int{http.StatusUnauthorized, http.StatusTooManyRequests}, who: anybody, tag: tag, summary: "Sign this browser in"},
		func(ctx context.Context, id auth.Identity, in *body[credentials]) (*signedIn, error) {
			user, err := s.auth.Check(ctx, in.Body.Name, in.Body.Password, id)
			if err != nil {
				return nil, err
			}
			return s.signIn(ctx, user, ownline.ByPassword, id)
		})

	type setupRequest struct {
		Token    string `json:"token" maxLength:"128" doc:"From the link that the first start prints"`
		Name     string `json:"name" maxLength:"64"`
		Password string `json:"password" maxLength:"1024"`
	}
	register(s, operation{method: http.MethodPost, path: "/auth/setup", id: "setup", fails: []int{http.StatusConflict, http.StatusTooManyRequests}, who: anybody, tag: tag, summary: "Make the first admin, and sign this browser in"},
		func(ctx context.Context, id auth.Identity, in *body[setupRequest]) (*signedIn, error) {
			var user ownline.User
			err := s.setup.Redeem(ctx, in.Body.Token, func() (err error) {
				user, err = s.access.AddUser(ctx, access.System(), access.NewUser{Name: in.Body.Name, Password: in.Body.Password, Role: ownline.Admin})
				return err
			})
			if err != nil {
				return nil, err
			}
			return s.signIn(ctx, user, ownline.BySetup, id)
		})

	type tokenExchange struct {
		Name     string `json:"name" maxLength:"64"`
		Password string `json:"password" maxLength:"1024"`
		Label    string `json:"label,omitempty" maxLength:"64" doc:"What the token is for, as lists show it"`
	}
	type issued struct {
		Token   string     `json:"token" doc:"Shown only now"`
		TokenID string     `json:"token_id" format:"uuid"`
		Expires *time.Time `json:"expires,omitempty"`
	}
	register(s, operation{method: http.MethodPost, path: "/auth/token", id: "token", fails: []int{http.StatusUnauthorized, http.StatusTooManyRequests}, who: anybody, tag: tag, summary: "Exchange name and password for a bearer token"},
		func(ctx context.Context, id auth.Identity, in *body[tokenExchange]) (*output[issued], error) {
			user, err := s.auth.Check(ctx, in.Body.Name, in.Body.Password, id)
			if err != nil {
				return nil, err
			}
			label := in.Body.Label
			if label == "" {
				label = "command line"
			}
			t, value, err := s.auth.AddToken(ctx, auth.Identity{User: user, Client: id.Client}, label, []string{ownline.ScopeFull}, time.Now().Add(tokenLifetime))
			if err != nil {
				return nil, err
			}
			return show(issued{Token: value, TokenID: t.ID.String(), Expires: optional(t.Expires)}), nil
		})

	type signedOut struct {
		SetCookie http.Cookie `header:"Set-Cookie"`
	}
	register(s, operation{method: http.MethodPost, path: "/auth/logout", id: "logout", who: users, scope: anyScope(), tag: tag, status: http.StatusNoContent, summary: "Sign out: this browser, or the token that the request came with"},
		func(ctx context.Context, id auth.Identity, _ *noInput) (*signedOut, error) {
			if err := s.auth.EndLogin(ctx, id); err != nil {
				return nil, err
			}
			return &signedOut{SetCookie: cookie("", -1)}, nil
		})
}

// tokenLifetime is how long a token lasts that the command line asks for.
const tokenLifetime = 365 * 24 * time.Hour

// signIn signs a browser in for a user whom method has proved; id is of the request.
func (s *Server) signIn(ctx context.Context, user ownline.User, method ownline.LoginMethod, id auth.Identity) (*signedIn, error) {
	value, err := s.auth.StartLogin(ctx, user, method, id)
	if err != nil {
		return nil, err
	}
	body, err := s.me(ctx, auth.Identity{User: user, Client: id.Client})
	if err != nil {
		return nil, err
	}
	return &signedIn{SetCookie: cookie(value, cookieAge), Body: body}, nil
}

// cookieAge is the longest that browsers keep a cookie; how long it counts is for the
// server to say, and grows with use.
const cookieAge = 400 * 24 * 60 * 60

func cookie(value string, age int) http.Cookie {
	return http.Cookie{
		Name: auth.CookieName, Value: value, Path: "/", MaxAge: age,
		HttpOnly: true, Secure: true, SameSite: http.SameSiteStrictMode,
	}
}
