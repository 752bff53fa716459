package login

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/core/proxy/page"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// Path is where a login begins and ends, at each service's host. All below Reserved is ours,
// and never reaches a service that requires a login.
const (
	Reserved = "/.ownline"
	Path     = link.LoginPath
)

// The cookies. __Host- has browsers keep them for this very host: no other, of a sub-domain or
// above, can set or see them (RFC 6265bis, section 4.1.3).
const (
	passCookie  = "__Host-ownline-pass"
	stateCookie = "__Host-ownline-state" // binds a code to the browser that was sent for it

	// CookieNames is a regular expression of both, whatever the case, for servers that have to keep them
	// from a service themselves.
	CookieNames = "(?i:__Host-ownline-(?:pass|state))"
)

const stateLife = 10 * time.Minute // for logging in

// Request is what a proxy knows of one.
type Request struct {
	Service ownline.ServiceID
	Source  netip.Addr
	Method  string
	URI     string // path and query, as the client wrote them
	Header  http.Header
}

// Reply is what is answered instead of the service.
type Reply struct {
	Location string // where to; "": Failure says why not
	Cookies  []string
	Failure  *page.Failure
}

var (
	noPages  = &page.Failure{Status: 503, Name: "no-login", Title: "Login not possible now", Text: "This service may only be used after a login, and this router doesn't know yet where that is. Try again in a moment.", GRPC: 14}
	badCode  = &page.Failure{Status: 403, Name: "bad-code", Title: "Not logged in", Text: "The login took too long, was used before, or began in another browser. Begin again.", GRPC: 16, Login: Path}
	tooOften = &page.Failure{Status: 429, Name: "too-often", Title: "Too many tries", Text: "Too many logins have failed from here. Wait a minute, then begin again.", GRPC: 8, Login: Path}
)

// Nothing is what there is at a path of ours that has no meaning.
var Nothing = &Reply{Failure: page.Nothing}

// Admit judges a request to a service that requires a login. Whoever is logged in goes on
// for as long as live does; what is instead of the service is said to all others, and at paths
// of ours.
func (b *Book) Admit(r Request) (live context.Context, instead *Reply) {
	if Ours(r.URI) {
		path, query, _ := strings.Cut(r.URI, "?")
		return nil, b.own(r, path, query)
	}
	if live, ok := b.In(r); ok {
		return live, nil
	}
	if navigates(r) {
		return nil, b.begin(r, r.URI)
	}
	return nil, &Reply{Failure: &page.Failure{
		Status: 401, Name: "needs-login", Title: "Login needed", GRPC: 16, JSON: !wantsPage(r.Header), Login: Path,
		Text: "This service may only be used after a login. Log in with a browser, and open the page again.",
	}}
}

// In reports whether a request has a login that counts, as Admit does, and changes nothing.
func (b *Book) In(r Request) (live context.Context, ok bool) {
	if Ours(r.URI) {
		return nil, false
	}
	return b.admitted(r.Service, values(r.Header, passCookie))
}

// Ours reports whether what a client asks for is below Reserved, as it wrote it.
func Ours(uri string) bool {
	path, _, _ := strings.Cut(uri, "?")
	return path == Reserved || strings.HasPrefix(path, Reserved+"/")
}

// own answers at paths of ours.
func (b *Book) own(r Request, path, query string) *Reply {
	if path != Path || r.Method != http.MethodGet {
		return Nothing
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		q = nil
	}
	to := q.Get("to")
	if !q.Has("code") {
		return b.begin(r, to)
	}
	cookie, life, ok := b.redeem(r.Service, q.Get("code"), values(r.Header, stateCookie), r.Source)
	if ok {
		return &Reply{Location: inside(to), Cookies: []string{setCookie(passCookie, cookie, life), setCookie(stateCookie, "", 0)}}
	}
	if _, in := b.admitted(r.Service, values(r.Header, passCookie)); in {
		return &Reply{Location: inside(to)} // a step back in the browser, or another of its tabs
	}
	if b.guessed(r.Source) {
		return &Reply{Failure: tooOften}
	}
	return &Reply{Failure: badCode}
}

// begin sends a browser to log in. One that was sent already keeps its state: it may log in in
// several tabs.
func (b *Book) begin(r Request, to string) *Reply {
	pages := b.at()
	if pages == "" {
		return &Reply{Failure: noPages}
	}
	state := random()
	if old := values(r.Header, stateCookie); len(old) == 1 && len(old[0]) == len(state) {
		state = old[0]
	}
	sum := sha256.Sum256([]byte(state)) // whoever sees the address can't make the cookie of it
	q := url.Values{"service": {r.Service.String()}, "state": {base64.RawURLEncoding.EncodeToString(sum[:])}, "to": {inside(to)}}
	return &Reply{Location: pages + "/continue?" + q.Encode(), Cookies: []string{setCookie(stateCookie, state, stateLife)}}
}

func setCookie(name, value string, life time.Duration) string {
	return name + "=" + value + "; Path=/; Max-Age=" + strconv.Itoa(int(life/time.Second)) + "; Secure; HttpOnly; SameSite=Lax"
}

// inside returns a path of this host, whatever it was told: browsers read "//host", "/\host" and
// "/<tab>/host" as another one.
func inside(to string) string {
	bad := func(c rune) bool { return c < ' ' || c == 0x7f || c == '\\' || c == '#' }
	if len(to) > link.MaxTo || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsFunc(to, bad) || Ours(to) {
		return "/"
	}
	return to
}

// navigates reports whether a browser asks for a page to show by itself. Everything else,
// scripts and frames too, could not follow to the login and come back.
func navigates(r Request) bool {
	h := r.Header
	if r.Method != http.MethodGet && r.Method != http.MethodHead || h.Get("Upgrade") != "" {
		return false
	}
	if mode := h.Get("Sec-Fetch-Mode"); mode != "" {
		dest := h.Get("Sec-Fetch-Dest")
		return mode == "navigate" && (dest == "document" || dest == "")
	}
	return wantsPage(h) && h.Get("X-Requested-With") == ""
}

func wantsPage(h http.Header) bool {
	return strings.Contains(strings.ToLower(strings.Join(h["Accept"], ",")), "text/html")
}

// values returns those of the cookies with a name.
func values(h http.Header, name string) (out []string) {
	for _, v := range h["Cookie"] {
		for one := range strings.SplitSeq(v, ";") {
			if n, value, ok := strings.Cut(strings.Trim(one, " \t"), "="); ok && n == name && len(out) < 4 {
				out = append(out, value)
			}
		}
	}
	return out
}

// Strip takes our cookies out of the headers of a request, before a service sees them.
func Strip(h http.Header) {
	for _, v := range h["Cookie"] {
		if strings.Contains(v, "__") {
			h["Cookie"] = without(h["Cookie"])
			if len(h["Cookie"]) == 0 {
				delete(h, "Cookie")
			}
			return
		}
	}
}

func without(cookies []string) (out []string) {
	for _, v := range cookies {
		var kept []string
		for one := range strings.SplitSeq(v, ";") {
			one = strings.Trim(one, " \t")
			name, _, _ := strings.Cut(one, "=")
			name = strings.TrimRight(name, " \t")
			if one != "" && !strings.EqualFold(name, passCookie) && !strings.EqualFold(name, stateCookie) {
				kept = append(kept, one)
			}
		}
		if len(kept) > 0 {
			out = append(out, strings.Join(kept, "; "))
		}
	}
	return out
}

// Write answers, and returns the status.
func (r *Reply) Write(w http.ResponseWriter, method string, asked http.Header, service string) int {
	h := w.Header()
	for _, c := range r.Cookies {
		h.Add("Set-Cookie", c)
	}
	if r.Location == "" {
		if r.Failure.Status == http.StatusUnauthorized {
			h.Set("WWW-Authenticate", `Ownline login="`+Path+`"`) // RFC 9110, section 11.6.1
		}
		r.Failure.Answer(w, method, asked, service)
		return r.Failure.Status
	}
	h.Set("Location", r.Location)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusSeeOther)
	return http.StatusSeeOther
}
