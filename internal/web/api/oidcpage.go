package api

import (
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/text/language"

	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/web/auth"
)

// page is what a browser is shown between the provider and our own pages.
type page struct {
	Next    string // where it goes on at once
	Error   string
	Spanish string // the same; "": there are no words for it
	Lang    string // what the page speaks
}

var pageTemplate = template.Must(template.New("").Parse(`<!doctype html>
{{$es := eq .Lang "es"}}<html lang="{{.Lang}}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Ownline</title>
{{if .Next}}<meta http-equiv="refresh" content="0; url={{.Next}}">{{end}}</head>
<body>{{if .Next}}<p>{{if $es}}Has entrado.{{else}}Signed in.{{end}} <a href="{{.Next}}">{{if $es}}Continuar{{else}}Go on{{end}}</a></p>
{{- else}}{{if and $es .Spanish}}<p role="alert">{{.Spanish}}</p>{{else}}<p role="alert" lang="en">{{.Error}}</p>{{end}}
<p><a href="/login">{{if $es}}Volver a entrar{{else}}Back to sign-in{{end}}</a></p>{{end}}</body></html>
`))

func (s *Server) page(w http.ResponseWriter, r *http.Request, status int, p page) {
	p.Lang = speaks(r.Header.Get("Accept-Language"))
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if err := pageTemplate.Execute(w, p); err != nil {
		s.log.Debug("a page was not read to its end", logging.Err, err)
	}
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
