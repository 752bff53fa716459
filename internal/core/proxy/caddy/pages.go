package caddy

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/ownline/ownline/internal/core/proxy/page"
)

// Variables of a request.
const (
	forVariable   = "ownline_for"    // who asks, in the form of RFC 7239
	nameVariable  = "ownline_name"   // of the service
	letInVariable = "ownline_let_in" // by the gate
	letIn         = "yes"
	errorStatus   = "{http.error.status_code}"
	nameThenPart  = " · "
	nobody        = "NAME"
)

// pages are what Caddy says by itself, by status. It has them in its configuration, so that it
// can say so with core down. What net/http answers before it asks Caddy stays as it is.
func pages() errorRoutes {
	var r errorRoutes
	away := matcher{Not: []matcher{{Vars: map[string][]string{letInVariable: {letIn}}}}}
	for _, status := range []int{http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout} { // of the gate
		away.Vars = map[string][]string{errorStatus: {strconv.Itoa(status)}}
		r.Routes = append(r.Routes, said(away, http.StatusServiceUnavailable, page.Away)...)
	}
	for _, f := range []struct {
		status int
		*page.Failure
	}{
		{http.StatusBadRequest, page.BadRequest},
		{http.StatusMisdirectedRequest, page.WrongName},
		{http.StatusNotImplemented, page.BadMethod},
		{http.StatusBadGateway, page.Unreachable},
		{http.StatusServiceUnavailable, page.Unreachable},
		{http.StatusGatewayTimeout, page.TimedOut},
		{http.StatusHTTPVersionNotSupported, page.BadRequest},
	} {
		r.Routes = append(r.Routes, said(matcher{Vars: map[string][]string{errorStatus: {strconv.Itoa(f.status)}}}, f.status, f.Failure)...)
	}
	return r
}

// said are the routes of one failure: for those who prefer JSON, and for all others.
func said(when matcher, status int, f *page.Failure) []route {
	is := *f
	is.Status = status
	headers := func(kind string) map[string][]string {
		return map[string][]string{"Content-Type": {kind}, "Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"}}
	}
	problem := answer{Handler: "static_response", StatusCode: status, Headers: headers("application/problem+json"), Body: literal(is.Problem())}
	html := answer{Handler: "static_response", StatusCode: status, Headers: headers("text/html; charset=utf-8")}
	html.Headers["Content-Security-Policy"], html.Headers["Referrer-Policy"] = []string{page.Policy}, []string{"no-referrer"}
	html.Body = strings.Replace(literal(is.HTML(nobody)), nobody+nameThenPart, "{http.vars."+nameVariable+"}", 1)
	json := when
	json.HeaderRegexp = map[string]pattern{"Accept": {`(?i)[/+]json`}}
	json.Not = append([]matcher{{HeaderRegexp: map[string]pattern{"Accept": {`(?i)text/html`}}}}, when.Not...)
	return []route{
		{Match: []matcher{json}, Handle: []any{problem}, Terminal: true},
		{Match: []matcher{when}, Handle: []any{html}, Terminal: true},
	}
}

// set makes variables.
func set(name, value string) map[string]string {
	return map[string]string{"handler": "vars", name: value}
}
