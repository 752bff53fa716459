package caddy

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/ownline/ownline/internal/core/proxy"
	"github.com/ownline/ownline/internal/core/proxy/gate"
	"github.com/ownline/ownline/internal/core/proxy/login"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// Placeholders of Caddy's.
const (
	asIs     = "{http.request.orig_uri}"
	method   = "{http.request.orig_method}"
	protocol = "{http.request.proto}"
	client   = "{http.request.remote.host}"
	port     = "{http.request.remote.port}"
	hostPort = "{http.request.hostport}"
	forwards = "{http.vars." + forVariable + "}"
)

// Check tells why Caddy can't serve a service, nil when it can.
func (d *Driver) Check(s link.Service) error {
	switch o := s.Options; {
	case o.Pin != "":
		return ownline.Invalid("options.pin", "Caddy can't compare a service's key; use ca, or the embedded driver")
	case o.Template != "":
		return ownline.Invalid("options.template", "is for nginx, and this router has Caddy: remove the template")
	}
	return nil
}

// render returns what Caddy is to have. A service whose certificate is not there yet is left
// out: its name is refused until it is.
func (d *Driver) render(services []link.Service) (want wanted, err error) {
	want.versions = map[ownline.ServiceID]string{}
	tags := map[string]bool{}
	s := server{
		Protocols: []string{"h1", "h2"}, ReadHeaderTimeout: "10s", IdleTimeout: "3m", MaxHeaderBytes: 64 << 10,
		StrictSNIHost: true, AutomaticHTTPS: automatic{Disable: true}, Routes: refusals(), Errors: pages(),
	}
	for _, at := range d.Listen {
		s.Listen = append(s.Listen, at.String())
	}
	for _, service := range services {
		r, version, err := d.route(service)
		if err != nil {
			return want, fmt.Errorf("service %.70q: %w", service.Name, err)
		}
		host := d.Settings.Host(service.Name)
		chain, key, err := proxy.Pair(d.Certificates, host)
		if err != nil {
			d.Logger.Debug("a service waits for its certificate", "service", service.Name, logging.Err, err)
			continue
		}
		tag := mine + "certificate-" + digest(chain)
		if !tags[tag] {
			tags[tag] = true
			want.certificates = append(want.certificates, certificate{ID: tag, Chain: string(chain), Key: string(key), Tags: []string{tag}})
		}
		p := policy{ALPN: []string{"h2", "http/1.1"}, ProtocolMin: "tls1.2"}
		p.Match.SNI, p.Select.AnyTag = []string{host}, []string{tag}
		s.Policies = append(s.Policies, p)
		s.Routes = append(s.Routes, r)
		want.versions[service.ID] = version
	}
	if len(s.Policies) == 0 { // without one Caddy would not speak TLS
		return want, nil
	}
	s.Routes = append(s.Routes, refuse(matcher{}, http.StatusMisdirectedRequest))
	all, err := json.Marshal(s)
	s.ID = mine + "server-" + digest(all)
	want.server = &s
	return want, err
}

// digest names something after what is in it.
func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// refusals are in front of all services; behind them is one for other names.
func refusals() []route {
	return []route{
		{Match: []matcher{{RemoteIP: &ranges{[]string{"0.0.0.0/0"}}}}, Handle: []any{set(forVariable, client)}},
		{Match: []matcher{{RemoteIP: &ranges{[]string{"::/0"}}}}, Handle: []any{set(forVariable, `"[`+client+`]"`)}},
		{ // HTTP/2 inside would pass by all that is judged
			Match:  []matcher{{HeaderRegexp: map[string]pattern{"Upgrade": {"(?i)h2c"}}}},
			Handle: []any{headers{Handler: "headers", Request: &headerOps{Delete: []string{"Upgrade", "Http2-Settings"}}}},
		},
		refuse(matcher{Not: []matcher{{Method: proxy.Methods}}}, http.StatusNotImplemented),
		// The absolute form is for proxies of the other kind; its host may be another than the one written below it.
		refuse(matcher{Not: []matcher{{VarsRegexp: map[string]pattern{asIs: {"^/"}}}}}, http.StatusBadRequest),
		refuse(matcher{Vars: map[string][]string{protocol: {"HTTP/1.0"}}}, http.StatusHTTPVersionNotSupported),
		// The host matcher of services cuts off at the colon, whatever follows, and services are told all of it.
		refuse(matcher{VarsRegexp: map[string]pattern{hostPort: {`:(?:.*[^0-9].*)?$`}}}, http.StatusBadRequest),
	}
}

func refuse(m matcher, status int) route {
	r := route{Handle: []any{answer{Handler: "error", StatusCode: status}}, Terminal: true}
	if !m.empty() {
		r.Match = []matcher{m}
	}
	return r
}

func (m matcher) empty() bool { return m.Not == nil && m.Vars == nil && m.VarsRegexp == nil }

// route is all that happens to requests for a service, and the version of it that the gate is
// told, which is another one only when the service is.
func (d *Driver) route(s link.Service) (r route, version string, err error) {
	for _, err := range []error{ownline.CheckServiceName(s.Name), s.Options.Validate(), d.Check(s)} {
		if err != nil {
			return r, "", err
		}
	}
	roots, err := authorities(s.Options.CA)
	if err != nil {
		return r, "", err
	}
	all, err := json.Marshal(d.handle(s, roots, ""))
	version = digest(all)
	return d.handle(s, roots, version), version, err
}

func (d *Driver) handle(s link.Service, roots []string, version string) (r route) {
	r = route{
		ID: mine + s.ID.String(), Terminal: true,
		Match: []matcher{{Host: []string{d.Settings.Host(s.Name)}}},
	}
	if s.Options.PathPrefix != "" {
		up := refuse(matcher{VarsRegexp: map[string]pattern{asIs: {"(?i)" + proxy.Climbs}}}, http.StatusBadRequest)
		r.Handle = append(r.Handle, subroute{"subroute", []route{up}})
	}
	// Names with an underscore are those of others for many services.
	own := headers{
		Handler:  "headers",
		Request:  &headerOps{Delete: []string{"*_*", "X-Forwarded-*", "X-Real-Ip", "Forwarded", "Proxy", "Ownline-*"}},
		Response: &headerOps{Delete: []string{"Server"}}, // Caddy's own, not the service's
	}
	r.Handle = append(r.Handle, set(nameVariable, s.Name+nameThenPart), d.admission(s, version), own)
	r.Handle = append(r.Handle, theirs()...)
	if s.Options.Scheme != ownline.SchemeHTTPS {
		versions := []string{"1.1"}
		if s.Options.Scheme == ownline.SchemeH2C {
			versions = []string{"h2c", "2"}
		}
		r.Handle = append(r.Handle, d.forward(s, versions, nil))
		return r
	}
	// What is upgraded has to be asked for over HTTP/1.1.
	secure := &security{Roots: roots, ServerName: s.Options.ServerName, HandshakeTimeout: "10s"}
	r.Handle = append(r.Handle, subroute{"subroute", []route{
		{Match: []matcher{{Header: map[string][]string{"Upgrade": {"*"}}}}, Handle: []any{d.forward(s, []string{"1.1"}, secure)}, Terminal: true},
		{Handle: []any{d.forward(s, []string{"1.1", "2"}, secure)}},
	}})
	return r
}

// theirs takes our cookies out, which browsers still have when a service requires a login no more.
func theirs() []any {
	out := map[string][]replacement{"Cookie": {{`(^|[;\s])\s*` + login.CookieNames + `\s*=[^;]*`, ""}, {`^[;\s]+`, ""}}}
	none := matcher{HeaderRegexp: map[string]pattern{"Cookie": {"^$"}}}
	return []any{
		headers{Handler: "headers", Request: &headerOps{Replace: out}},
		subroute{"subroute", []route{{Match: []matcher{none}, Handle: []any{headers{Handler: "headers", Request: &headerOps{Delete: []string{"Cookie"}}}}}}},
	}
}

// admission is by the gate's badge for the connection, or by its answer.
func (d *Driver) admission(s link.Service, version string) any {
	ask := d.question(s, version)
	if d.Badges == "" || s.Options.RequireLogin {
		return ask
	}
	const either = "ownline"
	badge := matcher{File: &file{d.Badges, []string{"/" + gate.BadgeName(s.ID, version, client, port)}}}
	return subroute{"subroute", []route{
		{Group: either, Match: []matcher{badge}, Handle: []any{set(letInVariable, letIn)}},
		{Group: either, Handle: []any{ask}},
	}}
}

// question asks the gate. Whatever it answers but 204 is the answer to the request, and if it
// does not answer, that is 503: the way to what follows leads through a 204 alone, and through the gate's
// word, without which it is the answer of somebody else.
//
// For Caddy, 2.6.2 and still 2.11.2, has where to dial in a variable of the request: a dial that a kept
// connection has overtaken reads there where the service is, and the service would be asked who may come
// in from then on. With kept connections one question in forty went there under load. So every question
// has a connection of its own, too.
func (d *Driver) question(s link.Service, version string) reverseProxy {
	ask := map[string][]string{
		"Host": {"ownline"}, gate.ServiceHeader: {s.ID.String()}, gate.VersionHeader: {version},
		gate.ClientHeader: {client}, gate.PortHeader: {port},
	}
	without := []string{"Connection", "Upgrade", "Expect", "Te", "Trailer", "Authorization"}
	in := []route{{Handle: []any{set(letInVariable, letIn)}}}
	if s.Options.RequireLogin {
		ask[gate.LoginHeader], ask[gate.MethodHeader], ask[gate.URIHeader] = []string{gate.Required}, []string{method}, []string{asIs}
		seen := &headerOps{Set: map[string][]string{"Cookie": {"{http.reverse_proxy.header." + gate.CookieHeader + "}"}}} // without ours
		in = append(in, route{Handle: []any{headers{Handler: "headers", Request: seen}}})
	} else {
		without = append(without, "Cookie")
	}
	ours := map[string][]string{gate.WordHeader: {d.Word}}
	yes, no := response{Routes: in}, response{Routes: []route{{Handle: []any{copyResponse{"copy_response"}}}}}
	yes.Match.StatusCode, yes.Match.Headers, no.Match.Headers = []int{http.StatusNoContent}, ours, ours
	other := response{Routes: []route{refuse(matcher{}, http.StatusServiceUnavailable)}}
	return reverseProxy{
		Handler: "reverse_proxy", Upstreams: []upstream{{"unix/" + d.Socket}},
		Transport:      transport{Protocol: "http", Versions: []string{"1.1"}, DialTimeout: "2s", ResponseHeaderTimeout: "5s", KeepAlive: &keepAlive{}},
		Rewrite:        &rewrite{Method: http.MethodGet, URI: gate.EnterPath},
		Headers:        &headers{Request: &headerOps{Set: ask, Delete: without}, Response: &headerOps{Delete: []string{gate.WordHeader}}},
		HandleResponse: []response{yes, no, other},
	}
}

func (d *Driver) forward(s link.Service, versions []string, secure *security) reverseProxy {
	o := s.Options
	own := map[string]string{
		"Host":            hostPort, // which Caddy 2.11 makes the service's own for https
		"X-Forwarded-For": client, "X-Real-Ip": client, "X-Forwarded-Proto": "https", "X-Forwarded-Host": hostPort,
		"X-Forwarded-Port": strconv.Itoa(int(d.Settings.Port)),
		"Forwarded":        "for=" + forwards + `;proto=https;host="` + hostPort + `"`,
	}
	if o.ServerName != "" {
		own["Host"] = o.ServerName
	}
	for name, value := range o.Headers {
		own[name] = literal(value)
	}
	request := &headerOps{Set: map[string][]string{}}
	for name, value := range own {
		request.Set[name] = []string{value}
	}
	r := reverseProxy{
		Handler: "reverse_proxy",
		// Not -1, which would keep the service from learning that a client left. Events, answers
		// of no known length and gRPC are passed on at once all the same.
		FlushInterval: "10ms",
		Transport: transport{
			Protocol: "http", Versions: versions, DialTimeout: "10s", ExpectContinueTimeout: "1h",
			MaxResponseHeaderSize: 256 << 10, TLS: secure,
		},
		Headers: &headers{Request: request, Response: &headerOps{Delete: []string{"Alt-Svc"}}},
	}
	hosts := []string{}
	for _, t := range []netip.AddrPort{s.Target4, s.Target6} {
		if t.IsValid() {
			at := netip.AddrPortFrom(t.Addr().WithZone(""), t.Port()).String()
			r.Upstreams = append(r.Upstreams, upstream{at})
			hosts = append(hosts, regexp.QuoteMeta(at))
		}
	}
	if len(r.Upstreams) > 1 { // the other when the first takes no connection
		r.LoadBalancing, r.HealthChecks = &balancing{Retries: 1}, &healthChecks{}
		r.LoadBalancing.Policy.Policy, r.HealthChecks.Passive.FailDuration = "first", "10s"
	}
	if o.ServerName != "" {
		hosts = append(hosts, regexp.QuoteMeta(o.ServerName)+"(?::[0-9]+)?")
	}
	r.Headers.Response.Replace = map[string][]replacement{
		"Location": {{"^https?://(?:" + strings.Join(hosts, "|") + ")(/|$)", "https://" + hostPort + "$1"}},
	}
	if p := regexp.QuoteMeta(o.PathPrefix); p != "" {
		r.Rewrite = &rewrite{PathRegexp: []pathSubstitute{{"^/", o.PathPrefix + "/"}}}
		public := regexp.QuoteMeta(d.Settings.Host(s.Name)) + "(?::[0-9]+)?"
		r.Headers.Response.Replace["Location"] = append(r.Headers.Response.Replace["Location"], replacement{"^(https://" + public + ")?" + p + "(?:/|$)", "$1/"})
		r.Headers.Response.Replace["Set-Cookie"] = []replacement{
			{`(?i)(;\s*path=)` + p + `(/[^;])`, "$1$2"},
			{`(?i)(;\s*path=)` + p + `/?(;|$)`, "$1/$2"},
		}
	}
	return r
}

// literal keeps Caddy from reading placeholders in text. It unescapes only what has an opening
// brace.
func literal(s string) string {
	if !strings.Contains(s, "{") {
		return s
	}
	return strings.NewReplacer("{", `\{`, "}", `\}`).Replace(s)
}

// authorities returns certificates in PEM as Caddy takes them; none are the system's.
func authorities(text string) (roots []string, err error) {
	for rest := []byte(text); text != ""; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == "CERTIFICATE" {
			roots = append(roots, base64.StdEncoding.EncodeToString(block.Bytes))
		}
	}
	if text != "" && roots == nil {
		return nil, ownline.Invalid("options.ca", "must be certificates in PEM")
	}
	return roots, nil
}
