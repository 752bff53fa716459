package api

import (
	"context"
	"encoding/json"
	"errors"
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

// Code is a second factor that people type.
type Code struct {
	TOTP     string `json:"otp,omitempty" maxLength:"16" example:"492039" doc:"The six digits that the app shows now"`
	Recovery string `json:"recovery_code,omitempty" maxLength:"64" doc:"A recovery code, in place of otp"`
}

func (c Code) code() auth.Code { return auth.Code{TOTP: c.TOTP, Recovery: c.Recovery} }

// ceremony is what a browser hands to its authenticators.
type ceremony struct {
	Challenge string `json:"challenge" doc:"To be sent back with what the authenticator answers, within 5 minutes and once"`
	Options   any    `json:"options" doc:"For PublicKeyCredential.parseCreationOptionsFromJSON or parseRequestOptionsFromJSON"`
}

// signedIn answers with a cookie.
type signedIn struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
	Body      me
}

func (s *Server) authResource() {
	const tag = "auth"
	register(s, operation{method: http.MethodPost, path: "/auth/login", id: "login", fails: []int{http.StatusUnauthorized, http.StatusTooManyRequests}, who: anybody, tag: tag, refusal: secondFactorProblem{}, summary: "Sign this browser in. A user with a second factor gets a challenge for POST /auth/second-factor or POST /auth/passkey/options"},
		func(ctx context.Context, id auth.Identity, in *body[credentials]) (*signedIn, error) {
			user, method, err := s.auth.Check(ctx, in.Body.Name, in.Body.Password, auth.Code{}, id)
			if err != nil {
				return nil, err
			}
			return s.signIn(ctx, user, method, id)
		})

	type secondFactor struct {
		Challenge string `json:"challenge" maxLength:"8192" doc:"From the answer to the password"`
		Code
	}
	register(s, operation{method: http.MethodPost, path: "/auth/second-factor", id: "second-factor", fails: []int{http.StatusUnauthorized, http.StatusTooManyRequests}, who: anybody, tag: tag, summary: "Sign this browser in by a code, after the password"},
		func(ctx context.Context, id auth.Identity, in *body[secondFactor]) (*signedIn, error) {
			user, method, err := s.auth.CheckSecond(ctx, in.Body.Challenge, in.Body.code(), id)
			if err != nil {
				return nil, err
			}
			return s.signIn(ctx, user, method, id)
		})

	type askPasskey struct {
		Challenge string `json:"challenge,omitempty" maxLength:"8192" doc:"From the answer to the password; absent: sign in by a passkey alone"`
	}
	register(s, operation{method: http.MethodPost, path: "/auth/passkey/options", id: "passkey-options", fails: []int{http.StatusConflict}, who: anybody, tag: tag, summary: "Begin to sign this browser in by a passkey: what navigator.credentials.get needs"},
		func(ctx context.Context, id auth.Identity, in *body[askPasskey]) (*output[ceremony], error) {
			c, err := s.auth.AskPasskey(ctx, in.Body.Challenge, id)
			return show(ceremony{c.Challenge, c.Options}), err
		})

	type passkeyAnswer struct {
		Challenge  string         `json:"challenge" maxLength:"8192" doc:"What came with the options"`
		Credential map[string]any `json:"credential" doc:"What the authenticator answered, by toJSON()"`
	}
	register(s, operation{method: http.MethodPost, path: "/auth/passkey", id: "passkey", fails: []int{http.StatusUnauthorized, http.StatusConflict, http.StatusTooManyRequests}, who: anybody, tag: tag, summary: "Sign this browser in by what a passkey answered"},
		func(ctx context.Context, id auth.Identity, in *body[passkeyAnswer]) (*signedIn, error) {
			answer, err := json.Marshal(in.Body.Credential)
			if err != nil {
				return nil, err
			}
			user, err := s.auth.CheckPasskey(ctx, in.Body.Challenge, answer, id)
			if err != nil {
				return nil, err
			}
			return s.signIn(ctx, user, ownline.ByPasskey, id)
		})

	type setupRequest struct {
		Token    string `json:"token" maxLength:"128" doc:"From the link that the first start prints"`
		Name     string `json:"name" maxLength:"64"`
		Password string `json:"password" maxLength:"1024"`
	}
	register(s, operation{method: http.MethodPost, path: "/auth/setup", id: "setup", fails: []int{http.StatusConflict}, who: anybody, tag: tag, summary: "Make the first admin, and sign this browser in"},
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
		Code
	}
	type issued struct {
		Token   string     `json:"token" doc:"Shown only now"`
		TokenID string     `json:"token_id" format:"uuid"`
		Expires *time.Time `json:"expires,omitempty"`
		// MustChange: the token is good for that only, before.
		MustChange bool `json:"must_change_password" doc:"The user has to choose another password first"`
	}
	register(s, operation{method: http.MethodPost, path: "/auth/token", id: "token", fails: []int{http.StatusUnauthorized, http.StatusTooManyRequests}, who: anybody, tag: tag, refusal: secondFactorProblem{}, summary: "Exchange name and password, and a code if the user has a second factor, for a bearer token"},
		func(ctx context.Context, id auth.Identity, in *body[tokenExchange]) (*output[issued], error) {
			user, method, err := s.auth.Check(ctx, in.Body.Name, in.Body.Password, in.Body.code(), id)
			if err != nil {
				return nil, err
			}
			label := in.Body.Label
			if label == "" {
				label = "command line"
			}
			t, value, err := s.auth.StartToken(ctx, user, method, id, label, []string{ownline.ScopeFull}, time.Now().Add(tokenLifetime))
			if fe, ok := errors.AsType[*ownline.FieldError](err); ok && fe.Field == "name" {
				err = ownline.Invalid("label", fe.Detail) // the name is the user's here
			}
			if err != nil {
				return nil, err
			}
			return show(issued{Token: value, TokenID: t.ID.String(), Expires: optional(t.Expires), MustChange: user.MustChange}), nil
		})

	type signedOut struct {
		SetCookie http.Cookie `header:"Set-Cookie"`
	}
	register(s, operation{method: http.MethodPost, path: "/auth/logout", id: "logout", restricted: true, who: users, scope: anyScope(), tag: tag, status: http.StatusNoContent, summary: "Sign out: this browser, or the token that the request came with"},
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
