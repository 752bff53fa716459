package doorstep

import (
	"net/http"
	"strings"

	"github.com/ownline/ownline/internal/core/proxy/page"
)

// refusal is what a guest reads instead of the page: in English, or in another language of the page's.
type refusal map[string]*page.Failure

var (
	nothing = refusal{
		"en": {Status: 404, Name: "not-found", Title: "There is nothing here.", Text: "An invitation's link may be used up, or over. Ask whoever sent it for another one."},
		"es": {Status: 404, Name: "not-found", Title: "Aquí no hay nada.", Text: "El enlace de una invitación puede estar gastado, o haber terminado. Pide otro a quien te lo envió.", Language: "es"},
	}
	notOurs = refusal{
		"en": {Status: 400, Name: "bad-request", Title: "That didn't work.", Text: "The request does not come from the page of an invitation. Open the link again."},
		"es": {Status: 400, Name: "bad-request", Title: "No ha funcionado.", Text: "La petición no viene de la página de una invitación. Abre el enlace otra vez.", Language: "es"},
	}
	crowded = refusal{
		"en": {Status: 503, Name: "crowded", Title: "It can't be opened right now.", Text: "Too many ask at once. Try again in a moment."},
		"es": {Status: 503, Name: "crowded", Title: "Ahora no se puede abrir.", Text: "Preguntan demasiados a la vez. Inténtalo dentro de un momento.", Language: "es"},
	}
	away = refusal{
		"en": {Status: 503, Name: "unreachable", Title: "It can't be opened right now.", Text: "Try again in a minute."},
		"es": {Status: 503, Name: "unreachable", Title: "Ahora no se puede abrir.", Text: "Inténtalo en un minuto.", Language: "es"},
	}
)

func refuse(w http.ResponseWriter, r *http.Request, why refusal) {
	why.in(r.Header.Get("Accept-Language")).Answer(w, r.Method, r.Header, "")
}

// in takes the first language of a browser's that there are words in; browsers name the one that is
// preferred first.
func (r refusal) in(languages string) *page.Failure {
	for tag := range strings.SplitSeq(languages, ",") {
		primary, _, _ := strings.Cut(strings.TrimSpace(tag), "-")
		primary, _, _ = strings.Cut(primary, ";")
		if f := r[strings.ToLower(primary)]; f != nil {
			return f
		}
	}
	return r["en"]
}
