package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/auth"
	"github.com/ownline/ownline/internal/web/oidc"
)

// OIDC is signing in by an identity provider.
type OIDC struct {
	Provider *oidc.Provider
	Rules    access.ExternalRules
}

// OIDCCallback is the path that providers send browsers back to.
const OIDCCallback = base + "/auth/oidc/callback"

// oidcCookie keeps a browser's trip to the provider. It is not SameSite=Strict as the other:
// the way back begins at another site. It proves nothing without the provider's answer.
const oidcCookie = "__Host-ownline-oidc"

func tripCookie(value string, age int) http.Cookie {
	return http.Cookie{Name: oidcCookie, Value: value, Path: "/", MaxAge: age, HttpOnly: true, Secure: true, SameSite: http.SameSiteLaxMode}
}

var errNoOIDC = &ownline.FieldError{Kind: ownline.ErrNotFound, Detail: "no identity provider is configured here"}

var errNotBegun = &ownline.FieldError{Kind: ownline.ErrUnauthorized, Detail: "this browser did not begin to sign in here: begin again"}

func (s *Server) oidcResource() {
	const tag = "auth"
	type provider struct {
		Name string `json:"name" doc:"For the button: sign in with this"`
	}
	type methods struct {
		Password bool      `json:"password"`
		Passkeys bool      `json:"passkeys" doc:"Whether there can be passkeys: they need a public_url with a name in it"`
		OIDC     *provider `json:"oidc,omitempty" doc:"Absent: none is configured"`
	}
	register(s, operation{method: http.MethodGet, path: "/auth/methods", id: "auth-methods", who: anybody, tag: tag, summary: "What the sign-in page can offer"},
		func(context.Context, auth.Identity, *noInput) (*output[methods], error) {
			m := methods{Password: true, Passkeys: s.auth.PasskeysOff() == nil}
			if s.oidc != nil {
				m.OIDC = &provider{s.oidc.Provider.Name()}
			}
			return show(m), nil
		})

	fails := []int{http.StatusNotFound, http.StatusServiceUnavailable}
	type where struct {
		Location string `json:"location" doc:"Where the browser is to go"`
	}
	type sent struct {
		SetCookie http.Cookie `header:"Set-Cookie"`
		Body      where
	}
	register(s, operation{
		method: http.MethodPost, path: "/auth/oidc/link", id: "oidc-link", who: users, scope: []string{ownline.ScopeAdmin}, tag: tag, fails: append(fails, http.StatusForbidden),
		summary: "Begin to link one's own user with the identity provider, so as to sign in by it",
	}, func(ctx context.Context, id auth.Identity, _ *noInput) (*sent, error) {
		if s.oidc == nil {
			return nil, errNoOIDC
		}
		if id.Login.IsZero() {
			return nil, ownline.Forbidden("", "only a browser that is signed in can be linked")
		}
		address, kept, err := s.oidc.Provider.Start(ctx, oidc.Wish{Return: "/settings/sign-in", Link: id.User.ID, Login: id.Login})
		if err != nil {
			return nil, err
		}
		return &sent{tripCookie(kept, int(oidc.Lifetime.Seconds())), where{address}}, nil
	})
	type link struct {
		Issuer  string    `json:"issuer" doc:"The provider"`
		Created time.Time `json:"created"`
		Present bool      `json:"present" doc:"It is the provider that is configured now: others let nobody in"`
	}
	register(s, operation{
		method: http.MethodGet, path: "/auth/oidc/link", id: "list-oidc-links", who: users, scope: []string{ownline.ScopeRead}, tag: tag,
		summary: "List the identity providers that one's own user is linked with",
	}, func(ctx context.Context, id auth.Identity, _ *noInput) (*output[list[link]], error) {
		links, err := s.access.ExternalLinks(ctx, actor(id))
		return listOf(links, "", func(l ownline.ExternalLink) link {
			return link{l.Issuer, l.Created.UTC(), s.oidc != nil && s.oidc.Provider.Issuer() == l.Issuer}
		}), err
	})
	register(s, operation{
		method: http.MethodDelete, path: "/auth/oidc/link", id: "oidc-unlink", who: users, scope: []string{ownline.ScopeAdmin}, tag: tag, status: http.StatusNoContent, fails: []int{http.StatusConflict},
		summary: "Sign in by the identity provider no more",
	}, func(ctx context.Context, id auth.Identity, _ *noInput) (*struct{}, error) {
		return nil, s.access.UnlinkExternal(ctx, actor(id))
	})
	s.oidcStart(append(fails, http.StatusUnprocessableEntity))
	s.oidcCallback()
	s.servePageStyle()
}

func (s *Server) oidcStart(fails []int) {
	op := s.operation(operation{
		method: http.MethodGet, path: "/auth/oidc/start", id: "oidc-start", who: anybody, tag: "auth", status: http.StatusFound, fails: fails,
		summary:     "Send this browser to the identity provider to sign in",
		description: "Browsers get errors as a page, which leads back to the page that was asked for.",
	}, false)
	text := &huma.Header{Schema: &huma.Schema{Type: huma.TypeString}}
	op.Responses["302"] = &huma.Response{Description: "Found", Headers: map[string]*huma.Header{"Location": text, "Set-Cookie": text}}
	huma.Register(s.huma, op, func(_ context.Context, in *departure) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(hctx huma.Context) {
			address, kept, err := s.depart(hctx.Context(), in)
			if err != nil {
				s.trouble(hctx, err, in.Return)
				return
			}
			_, w := humago.Unwrap(hctx)
			trip := tripCookie(kept, int(oidc.Lifetime.Seconds()))
			http.SetCookie(w, &trip)
			w.Header().Set("Location", address)
			w.WriteHeader(http.StatusFound)
		}}, nil
	})
}

type departure struct {
	Return string `query:"return" maxLength:"512" doc:"The path of our page to go on at, like /sessions"`
}

// depart returns where the provider signs somebody in, and what their browser keeps meanwhile.
func (s *Server) depart(ctx context.Context, in *departure) (address, kept string, err error) {
	if s.oidc == nil {
		return "", "", errNoOIDC
	}
	if err := checkText(in); err != nil {
		return "", "", err
	}
	return s.oidc.Provider.Start(ctx, oidc.Wish{Return: in.Return})
}

// trouble shows a browser on its way to the provider or back what is wrong, and how to begin again so as
// to come to the page that was asked for; all others get a problem.
func (s *Server) trouble(hctx huma.Context, err error, wanted string) {
	r, w := humago.Unwrap(hctx)
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		s.writeProblem(hctx, err)
		return
	}
	p := &huma.ErrorModel{}
	errors.As(s.problem(hctx.Context(), hctx.Operation(), err), &p)
	back, perr := oidc.LocalPath(wanted)
	if perr != nil {
		back = "/"
	}
	s.page(w, r, p.Status, page{Error: p.Detail, Spanish: inSpanish(err, p), Back: back})
}

func (s *Server) oidcCallback() {
	op := s.operation(operation{
		method: http.MethodGet, path: "/auth/oidc/callback", id: "oidc-callback", who: anybody, tag: "auth",
		fails:   []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusConflict, http.StatusTooManyRequests, http.StatusServiceUnavailable},
		summary: "Where the identity provider sends browsers back to",
		description: "Signs the browser in and answers with a page that goes on to our own pages: only what is asked for " +
			"by our own pages comes with the cookie that is set here. Browsers get errors as a page, too.",
	}, false)
	op.SkipValidateParams = true // providers add parameters of their own
	op.Responses = map[string]*huma.Response{"200": {
		Description: "Signed in", Content: map[string]*huma.MediaType{"text/html": {Schema: &huma.Schema{Type: huma.TypeString}}},
	}}
	type input struct {
		State string `query:"state" doc:"As it was sent"`
		Code  string `query:"code" doc:"What stands for the user for a moment"`
		Error string `query:"error" doc:"Why the provider did not sign anybody in"`
	}
	huma.Register(s.huma, op, func(ctx context.Context, _ *input) (*huma.StreamResponse, error) {
		id, _ := ctx.Value(identityKey{}).(auth.Identity)
		return &huma.StreamResponse{Body: func(hctx huma.Context) {
			r, w := humago.Unwrap(hctx)
			gone := tripCookie("", -1)
			http.SetCookie(w, &gone)
			next, err := s.arrive(w, r, id)
			w.Header().Set("Referrer-Policy", "no-referrer") // our own address holds the code
			if err != nil {
				s.trouble(hctx, err, next)
				return
			}
			s.page(w, r, http.StatusOK, page{Next: next})
		}}, nil
	})
}

// arrive judges a browser that comes back from the provider, and signs it in. It returns
// where it goes on, and where it wanted to, as far as that is known, with an error.
func (s *Server) arrive(w http.ResponseWriter, r *http.Request, id auth.Identity) (next string, err error) {
	if s.oidc == nil {
		return "", errNoOIDC
	}
	kept, err := r.Cookie(oidcCookie)
	if err != nil || kept.Value == "" {
		// Any page can have a browser ask for this address, but not with the cookie. Nothing
		// is guessed like that, and whose browser it is must not wait for it afterwards.
		return "", errNotBegun
	}
	ctx := r.Context()
	right, over, err := s.auth.Attempt(ctx, "oidc", id.Client)
	if err != nil {
		return "", err
	}
	defer over()
	wish, who, err := s.oidc.Provider.Finish(ctx, kept.Value, r.URL.Query())
	if err != nil {
		if !errors.Is(err, ownline.ErrUnavailable) {
			s.auth.Refuse(ctx, ownline.User{}, ownline.ByOIDC, id)
		}
		return wish.Return, err
	}
	right()
	if !wish.Link.IsZero() {
		return wish.Return, s.linkTo(ctx, wish, who, id)
	}
	user, err := s.access.SignInExternal(ctx, id.Client, who, s.oidc.Rules)
	if err != nil {
		s.auth.Refuse(ctx, user, ownline.ByOIDC, id)
		return wish.Return, err
	}
	value, err := s.auth.StartLogin(ctx, user, ownline.ByOIDC, id)
	if err != nil {
		return wish.Return, err
	}
	c := cookie(value, cookieAge)
	http.SetCookie(w, &c)
	return wish.Return, nil
}

// linkTo links the user who asked for it, if the login by which they did still counts: the
// cookie itself does not come along from another site.
func (s *Server) linkTo(ctx context.Context, wish oidc.Wish, who ownline.External, id auth.Identity) error {
	user, err := s.auth.LoggedIn(ctx, wish.Link, wish.Login)
	if err != nil {
		return err
	}
	_, err = s.access.LinkExternal(ctx, access.Actor{User: user, By: access.ByLogin, Client: id.Client}, who)
	return err
}
