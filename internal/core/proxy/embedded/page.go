package embedded

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"strconv"
	"strings"
)

// failure is why a request was not answered by its service. What it says is for strangers to
// the LAN: no address, no certificate, no error of another program.
type failure struct {
	status int
	name   string // the end of the problem's type
	title  string
	text   string
	grpc   int // the code of gRPC that says so best
}

var (
	badRequest  = &failure{400, "bad-request", "Bad request", "The request is not one that can be passed on safely.", 3}
	badPath     = &failure{400, "bad-path", "Bad path", "The path leads out of what this service shows.", 3}
	headTooLong = &failure{431, "head-too-long", "Request too long", "The address, or the cookies and other headers, are too long. Deleting this site's cookies may help.", 3}
	tooSlow     = &failure{408, "too-slow", "Request too slow", "The request did not arrive in time.", 4}
	badMethod   = &failure{501, "bad-method", "Unknown method", "The request's method is not passed on.", 12}
	wrongName   = &failure{421, "wrong-name", "Wrong name", "This connection was made to another name. Open the page again.", 3}
	sessionOver = &failure{403, "session-over", "Session over", "Your session for this service has ended. Open a new one, then load the page again.", 7}
	needsLogin  = &failure{403, "needs-login", "Login needed", "This service may only be used after a login, which this router does not offer yet.", 16}
	unreachable = &failure{502, "unreachable", "Service not reachable", "The proxy works, but the service behind it takes no connections. It may be turned off.", 14}
	notTrusted  = &failure{502, "not-trusted", "Service not trusted", "The service behind the proxy did not prove with its certificate that it is the right one.", 14}
	timedOut    = &failure{504, "timed-out", "Service timed out", "The service behind the proxy did not answer in time.", 4}
	badAnswer   = &failure{502, "bad-answer", "Service answered wrongly", "What the service behind the proxy sent is no proper answer, or broke off.", 14}
)

const pageStyle = `body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem;color:#222;background:#fff}` +
	`h1{font-size:1.4rem}small{color:#666}@media(prefers-color-scheme:dark){body{color:#ddd;background:#161616}small{color:#999}}`

// pagePolicy allows the page its one style, and nothing else.
var pagePolicy = func() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

// answer writes what failed in the form that the client reads.
func (f *failure) answer(w http.ResponseWriter, method string, asked http.Header, service string) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if t := asked.Get("Content-Type"); strings.HasPrefix(t, "application/grpc") {
		h.Set("Content-Type", "application/grpc")
		h.Set("Grpc-Status", strconv.Itoa(f.grpc))
		h.Set("Grpc-Message", f.title)
		w.WriteHeader(http.StatusOK)
		return
	}
	var body string
	if prefersJSON(asked["Accept"]) {
		h.Set("Content-Type", "application/problem+json")
		b, err := json.Marshal(map[string]any{
			"type": "urn:ownline:problem:proxy:" + f.name, "title": f.title, "status": f.status, "detail": f.text,
		})
		if err != nil {
			panic(err) // strings and a number
		}
		body = string(b)
	} else {
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", pagePolicy)
		h.Set("Referrer-Policy", "no-referrer")
		if service != "" {
			service += " · "
		}
		body = fmt.Sprintf(`<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">`+
			`<title>%[1]s</title><style>%[2]s</style></head><body><h1>%[1]s</h1><p>%[3]s</p><p><small>%[4]sOwnline · %[5]d</small></p></body></html>`+"\n",
			html.EscapeString(f.title), pageStyle, html.EscapeString(f.text), html.EscapeString(service), f.status)
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(f.status)
	if method != http.MethodHead {
		w.Write([]byte(body))
	}
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
			switch kind = lower(strings.TrimSpace(kind)); {
			case kind == "application/json" || strings.HasSuffix(kind, "+json"):
				json = max(json, q)
			case kind == "text/html":
				page = max(page, q)
			}
		}
	}
	return json > 0 && json >= page
}
