// Package page: what the reverse proxy says by itself instead of a service: a small page, problem
// details for those who prefer JSON, or a status of gRPC.
package page

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"strconv"
	"strings"
)

// Failure is why a request was not answered by its service. What it says is for strangers to
// the LAN: no address, no certificate, no error of another program.
type Failure struct {
	Status int
	Name   string // the end of the problem's type
	Title  string
	Text   string
	GRPC   int    // the code of gRPC that says so best
	JSON   bool   // whatever the client prefers
	Login  string // the path at which one logs in; ""
	// Language is that of the title and the text; "": English.
	Language string
}

const style = `body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem;color:#222;background:#fff}` +
	`h1{font-size:1.4rem}small{color:#666}a{color:inherit}@media(prefers-color-scheme:dark){body{color:#ddd;background:#161616}small{color:#999}}`

// Policy is the page's Content-Security-Policy: its one style, and nothing else.
var Policy = func() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

// RetryAfter is said with 503, in seconds: nothing is wrong for long.
const RetryAfter = "1"

// Answer writes what failed in the form that the client reads.
func (f *Failure) Answer(w http.ResponseWriter, method string, asked http.Header, service string) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if f.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", RetryAfter)
	}
	if t := asked.Get("Content-Type"); strings.HasPrefix(t, "application/grpc") {
		h.Set("Content-Type", "application/grpc")
		h.Set("Grpc-Status", strconv.Itoa(f.GRPC))
		h.Set("Grpc-Message", f.Title)
		w.WriteHeader(http.StatusOK)
		return
	}
	var body string
	if f.JSON || prefersJSON(asked["Accept"]) {
		h.Set("Content-Type", "application/problem+json")
		body = f.Problem()
	} else {
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", Policy)
		h.Set("Referrer-Policy", "no-referrer")
		body = f.HTML(service)
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(f.Status)
	if method != http.MethodHead {
		w.Write([]byte(body))
	}
}

// Problem returns problem details in JSON (RFC 9457).
func (f *Failure) Problem() string {
	problem := map[string]any{
		"type": "urn:ownline:problem:proxy:" + f.Name, "title": f.Title, "status": f.Status, "detail": f.Text,
	}
	if f.Login != "" {
		problem["login"] = f.Login
	}
	b, err := json.Marshal(problem)
	if err != nil {
		panic(err) // strings and a number
	}
	return string(b)
}

// HTML returns a page, which needs nothing else. It names the service, when it is told.
func (f *Failure) HTML(service string) string {
	if service != "" {
		service += " · "
	}
	way := ""
	if f.Login != "" {
		way = `<p><a href="` + html.EscapeString(f.Login) + `" target="_top">Log in</a></p>`
	}
	return fmt.Sprintf(`<!doctype html><html lang="%[7]s"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">`+
		`<title>%[1]s</title><style>%[2]s</style></head><body><h1>%[1]s</h1><p>%[3]s</p>%[6]s<p><small>%[4]sOwnline · %[5]d</small></p></body></html>`+"\n",
		html.EscapeString(f.Title), style, html.EscapeString(f.Text), html.EscapeString(service), f.Status, way, cmp.Or(f.Language, "en"))
}

// prefersJSON reports whether JSON is wished for at least as much as HTML (RFC 9110, section
// 12.5.1). Who wishes for anything gets HTML.
func prefersJSON(accept []string) bool {
	var json, page float64
	for _, v := range accept {
		for item := range strings.SplitSeq(v, ",") {
			kind, params, _ := strings.Cut(item, ";")
			q := 1.0
			for p := range strings.SplitSeq(params, ";") {
				if name, value, _ := strings.Cut(strings.TrimSpace(p), "="); strings.EqualFold(name, "q") {
					f, err := strconv.ParseFloat(value, 64)
					if err != nil {
						f = 0
					}
					q = f
				}
			}
			switch kind = strings.ToLower(strings.TrimSpace(kind)); {
			case kind == "application/json" || strings.HasSuffix(kind, "+json"):
				json = max(json, q)
			case kind == "text/html":
				page = max(page, q)
			}
		}
	}
	return json > 0 && json >= page
}
