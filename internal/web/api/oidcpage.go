package api

import (
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/text/language"

	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/web/auth"
)

//go:embed oidcpage.css
var oidcStyle []byte

const oidcStylePath = base + "/auth/oidc/page.css"

// oidcPolicy lets the page load its style sheet and our mark, and nothing else; it has no script.
const oidcPolicy = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// page is what a browser is shown between the provider and our own pages.
type page struct {
	Next    string // where it goes on at once
	Error   string
	Spanish string // the same; "": there are no words for it
	Back    string // where another try begins, with an error: the page that was asked for leads through the sign-in
	Lang    string // what the page speaks
}

// Style is where the page's style sheet is.
func (page) Style() string { return oidcStylePath }

// Sentence is the error as people write one.
func (p page) Sentence() string {
	text := p.Error
	if p.Lang == "es" && p.Spanish != "" {
		text = p.Spanish
	}
	first, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + strings.TrimSuffix(text[n:], ".") + "."
}

var pageTemplate = template.Must(template.New("").Parse(`<!doctype html>
{{$es := eq .Lang "es"}}<html lang="{{.Lang}}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<title>Ownline</title><link rel="icon" href="/icon.svg" type="image/svg+xml"><link rel="stylesheet" href="{{.Style}}">
{{if .Next}}<meta http-equiv="refresh" content="0; url={{.Next}}">{{end}}</head>
<body><main><img src="/icon.svg" alt="" width="52" height="52">
{{if .Next}}<h1>{{if $es}}Has entrado.{{else}}Signed in.{{end}}</h1><a href="{{.Next}}">{{if $es}}Continuar{{else}}Go on{{end}}</a>
{{- else}}<h1>{{if $es}}No ha funcionado{{else}}That didn’t work{{end}}</h1>
<p role="alert"{{if and $es (not .Spanish)}} lang="en"{{end}}>{{.Sentence}}</p>
<a href="{{.Back}}">{{if $es}}Volver a intentarlo{{else}}Try again{{end}}</a>{{end}}</main></body></html>
`))

func (s *Server) page(w http.ResponseWriter, r *http.Request, status int, p page) {
	p.Lang = speaks(r.Header.Get("Accept-Language"))
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", oidcPolicy)
	w.WriteHeader(status)
	if err := pageTemplate.Execute(w, p); err != nil {
		s.log.Debug("a page was not read to its end", logging.Err, err)
	}
}

func (s *Server) servePageStyle() {
	s.mux.HandleFunc("GET "+oidcStylePath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write(oidcStyle) // a client that went away needs no answer
	})
}

// speaks is the first language of a browser that we speak, as for the app.
func speaks(accepted string) string {
	tags, _, _ := language.ParseAcceptLanguage(accepted) // of what can't be read, there are none
	for _, tag := range tags {
		if base, _ := tag.Base(); base.String() == "en" || base.String() == "es" {
			return base.String()
		}
	}
	return "en"
}

// inSpanish says what is wrong in Spanish; "": there are no words for it.
func inSpanish(err error, p *huma.ErrorModel) string {
	if throttled, ok := errors.AsType[*auth.ThrottledError](err); ok {
		return fmt.Sprintf("Demasiados intentos; espera %s.", max(throttled.RetryAfter.Round(time.Second), time.Second))
	}
	if len(p.Errors) > 0 {
		return spanish[p.Errors[0].Message] // without the name of the field
	}
	return spanish[p.Detail]
}

// spanish has words for what can be wrong with signing in by a provider.
var spanish = map[string]string{
	"no identity provider is configured here":                                                                                         "Aquí no hay configurado ningún proveedor de identidad.",
	"this browser did not begin to sign in here: begin again":                                                                         "Este navegador no había empezado a entrar aquí: empieza de nuevo.",
	"it took too long: begin again":                                                                                                   "Se ha tardado demasiado: empieza de nuevo.",
	"the identity provider did not sign you in":                                                                                       "El proveedor de identidad no te ha dejado entrar.",
	"the answer is of another identity provider":                                                                                      "La respuesta es de otro proveedor de identidad.",
	"what the identity provider sent is not good; begin again, and tell an admin if that does not help":                               "Lo que ha enviado el proveedor de identidad no vale; empieza de nuevo y, si no sirve, díselo a un administrador.",
	"the identity provider does not answer; try again later, or sign in another way":                                                  "El proveedor de identidad no responde; inténtalo más tarde, o entra de otra manera.",
	"the identity provider knows you, but does not say that you may come in here":                                                     "El proveedor de identidad te conoce, pero no dice que puedas entrar aquí.",
	"the identity provider knows you, but no user here is linked with you: ask an admin":                                              "El proveedor de identidad te conoce, pero ningún usuario de aquí está vinculado contigo: pídeselo a un administrador.",
	"the user of that name is linked with somebody else at the identity provider":                                                     "El usuario con ese nombre está vinculado con otra persona en el proveedor de identidad.",
	"there is a user of that name, who is not linked with the identity provider: sign in another way and link it under your account":  "Hay un usuario con ese nombre que no está vinculado con el proveedor de identidad: entra de otra manera y vincúlalo en tu cuenta.",
	"the name that the identity provider has for you is none for a user here: 1 to 64 of a-z 0-9 . _ -, with a letter or digit first": "El nombre que tiene de ti el proveedor de identidad no vale para un usuario de aquí: de 1 a 64 de a-z 0-9 . _ -, con una letra o una cifra al principio.",
	"you are linked with another user here as the identity provider knows you":                                                        "Como te conoce el proveedor de identidad, ya estás vinculado con otro usuario de aquí.",
	"another user is linked already":                                                                                                  "Ya hay otro usuario vinculado.",
	"this is the last admin who can sign in; make another one first":                                                                  "El proveedor de identidad te quita el papel de administrador, y eres el último que puede entrar: nombra antes a otro.",
	"this user may not sign in":                                                                                                       "Este usuario no puede entrar.",
	"this user may not do that":                                                                                                       "Este usuario no puede hacer eso.",
	"this is not allowed":                                                                                                             "Esto no está permitido.",
	"nobody is signed in":                                                                                                             "Ya no hay nadie que haya entrado: entra de nuevo.",
	"a part of Ownline that is needed does not answer":                                                                                "Una parte de Ownline que hace falta no responde.",
	internalWords: "Algo ha ido mal aquí; el registro del servidor dice más.",
}
