package nginx

import (
	"fmt"
	"strings"

	"github.com/ownline/ownline/internal/core/proxy/page"
)

// said is what nginx says by itself, by status. It has it in its configuration, so that it can
// say so with core down, and needs no body of a request to ask core what to say.
var said = []struct {
	status int // of nginx
	*page.Failure
}{
	{400, page.BadRequest}, // also of transfer codings, which nginx calls 501
	{403, page.SessionOver},
	{404, page.Nothing}, // of paths of our own
	{408, page.TooSlow},
	{414, page.HeadTooLong},
	{421, page.WrongName},
	{431, page.HeadTooLong}, // 494 is nginx's own number for it
	{501, page.BadMethod},   // which nginx, where it knows one and does nothing for it, calls 405
	{502, page.Unreachable},
	{503, page.Away}, // the gate does not answer, which nginx calls 500
	{504, page.TimedOut},
}

// pageMaps are variables that all services share.
func pageMaps() string {
	var pages, problems strings.Builder
	for _, f := range said {
		is := *f.Failure
		is.Status = f.status
		fmt.Fprintf(&pages, "\t%d %s;\n", is.Status, single(is.HTML("$ownline_name")))
		fmt.Fprintf(&problems, "\t%d %s;\n", is.Status, single(is.Problem()))
	}
	return `map $status $ownline_html {
` + pages.String() + `}
map $status $ownline_problem {
` + problems.String() + `}
map $http_accept $ownline_json {
	default 0;
	"~*text/html(?!\s*;\s*q=0)" 0;
	"~*[/+]json" 1;
}
map $status $ownline_retry {
	default "";
	503 ` + page.RetryAfter + `;
}
map $ownline_json $ownline_page {
	0 $ownline_html;
	1 $ownline_problem;
}
map $ownline_json $ownline_page_type {
	0 "text/html; charset=utf-8";
	1 application/problem+json;
}
map $ownline_json $ownline_page_policy {
	0 ` + quote(page.Policy) + `;
	1 "";
}
`
}

// single makes one word of a configuration out of text, in which variables are replaced.
func single(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", "").Replace(s) + "'"
}

// pages are directives of a server. error_page keeps the status that nginx has. Of a request whose path
// can't be read nginx would make 500 on its way to a named location, so 400 has a path of its own, where
// none of what is judged of a request counts.
const pages = `	error_page 400 /.ownline/bad-request;
	error_page 403 404 408 414 421 502 504 @ownline_page;
	error_page 405 =501 @ownline_page;
	error_page 501 =400 @ownline_page;
	error_page 494 =431 @ownline_page;
	error_page 500 503 =503 @ownline_page;
	location = /.ownline/bad-request {
		internal;
		auth_request off;
` + answerPage + `	}
	location @ownline_page {
` + answerPage + `	}`

const answerPage = `		default_type "";
		add_header Content-Type $ownline_page_type always;
		add_header Cache-Control no-store always;
		add_header Retry-After $ownline_retry always;
		add_header X-Content-Type-Options nosniff always;
		add_header Referrer-Policy no-referrer always;
		add_header Content-Security-Policy $ownline_page_policy always;
		return 200 $ownline_page;
`

// named comes before what judges a request.
const named = `	set $ownline_name %s;
	if ($status = 400) { break; } # on the way to its page
`
