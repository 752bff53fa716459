package nginx

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/ownline/ownline/internal/core/proxy"
	"github.com/ownline/ownline/internal/core/proxy/gate"
	"github.com/ownline/ownline/internal/core/proxy/login"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// mark is the first line of every file of ours. No other file is ever written over or removed.
const mark = "# Written by ownline-core, which overwrites what is changed here."

// frame is what all services share. Whoever asks for a name that is none is refused in the
// handshake, without a certificate. Requests of others come here when their host is none.
func (d *Driver) frame(v version) string {
	var listen strings.Builder
	for _, at := range d.Listen {
		fmt.Fprintf(&listen, "\tlisten %s ssl%s default_server;\n", at, http2Listen(v))
	}
	return mark + `
upstream ownline_gate {
	server unix:` + d.Socket + `;
	keepalive 32;
}
map $http_upgrade $ownline_connection {
	default upgrade;
	"" "";
	~*h2c "";
}
map $http_upgrade $ownline_upgrade {
	default $http_upgrade;
	~*h2c "";
}
map $remote_addr $ownline_for {
	default "for=$remote_addr";
	"~:" 'for="[$remote_addr]"';
}
` + oddMap() + cookieMaps() + `server {
` + listen.String() + `	ssl_protocols TLSv1.2 TLSv1.3;
	ssl_reject_handshake on;
	` + heads + ` # this one's counts in some versions
` + fmt.Sprintf(named, d.Settings.Domain) + `	return 421;
` + pages + `
}
` + pageMaps()
}

// oddMap makes $ownline_odd: what is wrong with a request's line, and nothing for those that are passed on.
func oddMap() string {
	methods := strings.Join(proxy.Methods, "|")
	return `map $request $ownline_odd {
	default method;
	"~^(?:` + methods + `) /" "";
	"~^(?:` + methods + `) " form;
}
`
}

// cookieMaps make $ownline_theirs: the cookies without ours, which browsers still have when a service
// requires a login no more. Each takes one out; of more than browsers keep, nothing is left.
func cookieMaps() string {
	const steps = 4
	var b strings.Builder
	from := "$http_cookie"
	for i := range steps {
		to := fmt.Sprintf("$ownline_cookies%d", i)
		fmt.Fprintf(&b, "map %[1]s %[2]s {\n\tdefault %[1]s;\n", from, to)
		fmt.Fprintf(&b, "\t\"~^[;\\s]*%s\\s*=[^;]*[;\\s]*(?<ownline_rest%d>.*)$\" $ownline_rest%[2]d;\n", login.CookieNames, i)
		fmt.Fprintf(&b, "\t\"~^(?<ownline_first%[2]d>.*?)\\s*;[;\\s]*%[1]s\\s*=[^;]*(?<ownline_last%[2]d>.*)$\" $ownline_first%[2]d$ownline_last%[2]d;\n}\n", login.CookieNames, i)
		from = to
	}
	fmt.Fprintf(&b, "map %[1]s $ownline_theirs {\n\tdefault %[1]s;\n\t\"~(?:^|[;\\s])%[2]s\\s*=\" \"\";\n}\n", from, login.CookieNames)
	return b.String()
}

// heads is how long the head of a request may be, and a header in it, and how long it may take, as may a
// handshake; bodies may pause for as long as a service may; answer is as much for an answer of the gate,
// which has the cookies. nginx says 503 to one that is too long.
const (
	heads  = "large_client_header_buffers 4 32k; client_header_timeout 10s;"
	bodies = "client_max_body_size 0; client_body_timeout 1d; send_timeout 1d;"
	answer = "\t\tproxy_buffer_size 128k;\n\t\tproxy_buffers 2 128k;\n\t\tproxy_busy_buffers_size 128k;\n"
)

// words are what a service's block is made of. Every text in it is safe inside a configuration.
type words struct {
	name     string
	host     string   // NAME.DOMAIN
	listen   string   // directives: where clients arrive, with the certificate
	guard    string   // directives: admission, and what is refused
	forward  string   // directives: who asks, and how answers stream
	trust    string   // directives: how the service proves who it is
	badge    string   // directives: 418 for a connection without a badge; "": none has one
	protocol string   // "proxy" or "grpc"
	upstream string   // scheme and upstream, for proxy_pass or grpc_pass
	targets  []string // ADDRESS:PORT
}

// builtIn is the block of a service without a template of its own. Underscores are nginx's own
// default: headers with one are dropped.
func (w words) builtIn() string {
	var servers strings.Builder
	for i, t := range w.targets {
		backup := ""
		if i > 0 {
			backup = " backup"
		}
		fmt.Fprintf(&servers, "\tserver %s%s;\n", t, backup)
	}
	forward := w.forward + w.trust + "\t\t" + w.protocol + "_pass " + w.upstream + ";\n"
	seen, asked := "", ""
	if w.badge != "" {
		// A request in a request, as auth_request makes, costs half as much as the whole of it, so only who has
		// no badge takes that way. 418 is no proof: nginx may be told elsewhere to say it to whom it likes.
		forward += "\t\t" + w.protocol + "_intercept_errors off;\n"
		seen = "\t\tauth_request off;\n\t\trecursive_error_pages on;\n" + w.badge
		asked = "\terror_page 418 = @ownline_ask;\n\tlocation @ownline_ask {\n" + forward + "\t}\n"
	}
	return `
upstream ownline_` + w.name + ` {
` + servers.String() + `	keepalive 64;
}
server {
	server_name ` + w.host + `;
` + w.listen + `
` + w.guard + `
	location / {
` + seen + forward + `	}
` + asked + `}
`
}

// fill puts the router's words into a template that web has executed.
func (w words) fill(text, port string) (string, error) {
	if err := link.CheckTemplate(text); err != nil {
		return "", err
	}
	return "\n" + strings.NewReplacer(
		link.HostMark, w.host, link.PortMark, port, link.ListenMark, w.listen, link.GuardMark, w.guard,
		link.ForwardMark, w.forward, link.UpstreamMark, w.upstream, link.TrustMark, w.trust,
	).Replace(text) + "\n", nil
}

// http2Listen is how nginx is told to speak HTTP/2 in front of 1.25.1.
func http2Listen(v version) string {
	if v.noHTTP2 || v.speaksHTTP2On() {
		return ""
	}
	return " http2"
}

// listen are the directives of one service.
func (d *Driver) listen(pair string, v version) string {
	var b strings.Builder
	for _, at := range d.Listen {
		fmt.Fprintf(&b, "\tlisten %s ssl%s;\n", at, http2Listen(v))
	}
	if v.speaksHTTP2On() && !v.noHTTP2 {
		b.WriteString("\thttp2 on;\n")
	}
	fmt.Fprintf(&b, "\tssl_certificate %s;\n\tssl_certificate_key %s;\n\tssl_protocols TLSv1.2 TLSv1.3;\n", pair, pair)
	b.WriteString("\tssl_session_tickets off;") // one service's would do at another
	return b.String()
}

// guard is what a request has to pass. The handshake's name is compared, so that a connection
// has one service, and ends with its session.
func (d *Driver) guard(s link.Service, host, id string) string {
	climb, enter, badge := "", "", ""
	ask := question(s, id)
	if s.Options.Template != "" { // the built-in block has a way of its own for those
		badge = d.badge(s, id, "-e", 204)
	}
	if s.Options.RequireLogin {
		// nginx compares the path with its dots and escapes resolved, the gate as it was written.
		enter = fmt.Sprintf(`	auth_request_set $ownline_cookie $upstream_http_%s;
	error_page 401 = @ownline_enter;
	location @ownline_enter {
		auth_request off;
		rewrite ^ %[2]s? break;
		proxy_pass http://ownline_gate;
%[3]s	}
	location = %[4]s {
		auth_request off;
		proxy_pass http://ownline_gate%[5]s?;
%[3]s	}
	location ^~ %[4]s/ {
		auth_request off;
		rewrite ^ %[5]s? break;
		proxy_pass http://ownline_gate;
%[3]s	}
`, strings.ReplaceAll(strings.ToLower(gate.CookieHeader), "-", "_"), gate.InsteadPath, ask, login.Reserved, gate.OwnPath)
	}
	if s.Options.PathPrefix != "" { // nginx passes the path on as it was written, to be put behind the prefix
		climb = "\tif ($request_uri ~* " + quote(proxy.Climbs) + ") { return 400; }\n"
	}
	return fmt.Sprintf(named, s.Name) + odd + climb + fmt.Sprintf(`	if ($ssl_server_name != $host) { return 421; }
	if ($http_host !~* "^%s(:[0-9]+)?$") { return 421; }
	`+heads+`
	`+bodies+`
	gzip off;
	underscores_in_headers off;
	ignore_invalid_headers on;
	server_tokens off;
	auth_request /.ownline/admit;
	location = /.ownline/admit {
		internal;
		auth_request off;
%s		proxy_pass http://ownline_gate%s;
%s		error_page 404 @ownline_page; # none but this of the server's: a client can't ask here
	}
%s`+serving+pages, strings.ReplaceAll(host, ".", "[.]"), badge, gate.Path, ask, enter)
}

// odd are directives of a server. The absolute form is for proxies of the other kind.
const odd = `	if ($ownline_odd = method) { return 405; }
	if ($ownline_odd) { return 400; }
`

// badge are directives of a location: the status to return when the gate has a badge for the connection
// ("-e"), or has none ("!-e", as when it can't be told). Nothing of it is remembered. Where a login is
// required there are none.
func (d *Driver) badge(s link.Service, id, when string, status int) string {
	if d.Badges == "" || s.Options.RequireLogin {
		return ""
	}
	name := gate.BadgeName(s.ID, id, "$remote_addr", "$remote_port")
	return fmt.Sprintf("\t\topen_file_cache off;\n\t\tdisable_symlinks off;\n\t\tif (%s %s/%s) { return %d; }\n", when, d.Badges, name, status)
}

// question is how the gate is asked: directives of a location.
func question(s link.Service, id string) string {
	set := map[string]string{gate.ServiceHeader: s.ID.String(), gate.VersionHeader: id, gate.ClientHeader: "$remote_addr", gate.PortHeader: "$remote_port"}
	if s.Options.RequireLogin {
		set[gate.LoginHeader], set[gate.MethodHeader], set[gate.URIHeader] = gate.Required, "$request_method", "$request_uri"
		for _, name := range gate.LoginNeeds() {
			set[name] = "$http_" + strings.ReplaceAll(strings.ToLower(name), "-", "_")
		}
	}
	var b strings.Builder
	if s.Options.RequireLogin {
		b.WriteString(answer)
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		fmt.Fprintf(&b, "\t\tproxy_set_header %s \"%s\";\n", name, set[name])
	}
	return `		proxy_http_version 1.1;
		proxy_method GET;
		proxy_pass_request_body off;
		proxy_pass_request_headers off;
		proxy_set_header Host ownline;
		proxy_set_header Connection "";
		proxy_set_header Content-Length "";
` + b.String() + `		proxy_connect_timeout 2s;
		proxy_read_timeout 5s;
		proxy_intercept_errors off;
		proxy_hide_header ` + gate.CookieHeader + `;
		proxy_ignore_headers X-Accel-Charset; # and so no-store counts, whatever all of nginx is told
`
}

func (d *Driver) forward(s link.Service, pass string, targets []string) string {
	port := strconv.Itoa(int(d.Settings.Port))
	asked := "$http_host"
	if s.Options.ServerName != "" {
		asked = s.Options.ServerName
	}
	set := map[string]string{
		"Host": asked, "X-Forwarded-For": "$remote_addr", "X-Real-IP": "$remote_addr", "X-Forwarded-Proto": "https",
		"X-Forwarded-Host": "$http_host", "X-Forwarded-Port": port, "Proxy": "",
		"Forwarded":        `"$ownline_for;proto=https;host=\"$http_host\""`,
		gate.ServiceHeader: "", gate.VersionHeader: "", gate.ClientHeader: "", gate.PortHeader: "",
	}
	if pass == "proxy" {
		set["Connection"], set["Upgrade"] = "$ownline_connection", "$ownline_upgrade"
	}
	set["Cookie"] = "$ownline_theirs" // without ours
	if s.Options.RequireLogin {
		set["Cookie"] = "$ownline_cookie" // as the gate says
	}
	for _, name := range theirs {
		set["X-Forwarded-"+name] = ""
	}
	for name, value := range s.Options.Headers {
		set[name] = quote(value)
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(set)) {
		value := set[name]
		if value == "" {
			value = `""`
		}
		fmt.Fprintf(&b, "\t\t%s_set_header %s %s;\n", pass, name, value)
	}
	fmt.Fprintf(&b, "\t\t%[1]s_connect_timeout 10s;\n\t\t%[1]s_read_timeout 1d;\n\t\t%[1]s_send_timeout 1d;\n\t\t%[1]s_next_upstream error timeout non_idempotent;\n", pass)
	fmt.Fprintf(&b, "\t\t%[1]s_hide_header Alt-Svc;\n\t\t%[1]s_pass_header Server;\n\t\t%[1]s_pass_header Date;\n\t\t%[1]s_pass_header X-Accel-Buffering;\n", pass)
	fmt.Fprintf(&b, "\t\t%s_ignore_headers X-Accel-Redirect X-Accel-Expires X-Accel-Limit-Rate X-Accel-Buffering X-Accel-Charset;\n", pass)
	if pass == "proxy" {
		b.WriteString("\t\tproxy_buffer_size 32k;\n\t\tproxy_buffers 8 32k;\n\t\tproxy_http_version 1.1;\n\t\tproxy_request_buffering off;\n\t\tproxy_buffering off;\n")
		for _, t := range targets {
			fmt.Fprintf(&b, "\t\tproxy_redirect http://%[1]s/ https://$http_host/;\n\t\tproxy_redirect https://%[1]s/ https://$http_host/;\n", t)
		}
	}
	return b.String()
}

// theirs are what X-Forwarded-… goes on with where some service takes it for who asks, and how: nginx can't
// be told to drop all of them.
var theirs = strings.Fields(`Access-Token Authorization Base-Path BasePath By Client-Cert Client-Cert-Info Client-Ip Context
	Email Fullname Group Groups Id Id-Token Login Method Name Original-Host Original-Uri Path PathBase Preferred-Username
	Prefix Protocol Query Remote-User Role Roles Scheme Server Ssl Tls-Client-Cert Tls-Client-Cert-Info Token Uid Uri Url
	User User-Id Username`)

// quote makes one word of a configuration out of text. nginx has no way to write a dollar sign
// that is none, so Check has refused it.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// Check tells why nginx can't serve a service, nil when it can.
func (d *Driver) Check(s link.Service) error {
	o := s.Options
	for _, name := range slices.Sorted(maps.Keys(o.Headers)) {
		if strings.Contains(o.Headers[name], "$") {
			return ownline.Invalid("options.headers", fmt.Sprintf("the value of %s must have no $, which nginx can't be told to leave alone", name))
		}
	}
	switch {
	case o.Pin != "":
		return ownline.Invalid("options.pin", "nginx can't compare a service's key; use ca and server_name, or the embedded driver")
	case o.Scheme == ownline.SchemeHTTPS && o.ServerName == "":
		return ownline.Invalid("options.server_name", "nginx can't check a certificate for an address; name the server, or use the embedded driver")
	case o.Scheme == ownline.SchemeH2C && o.PathPrefix != "":
		return ownline.Invalid("options.path_prefix", "nginx can't put one in front of the paths of an h2c service")
	case o.Template != "" && !d.Templates:
		return ownline.Invalid("options.template", "this router takes no templates: set proxy.nginx.templates: true in its core.yaml, or remove the template")
	}
	return nil
}

// Preview returns the part of the configuration that a service would get, without touching
// anything. nginx itself judges it when it is applied.
func (d *Driver) Preview(ctx context.Context, s link.Service) (string, error) {
	v, err := d.version(ctx)
	if err != nil {
		return "", err
	}
	return d.block(s, "CERTIFICATE.pem", "AUTHORITIES.pem", "VERSION", v)
}

func (d *Driver) block(s link.Service, pair, ca, id string, v version) (string, error) {
	if err := errors.Join(ownline.CheckServiceName(s.Name), s.Options.Validate(), d.Check(s)); err != nil {
		return "", err
	}
	host := d.Settings.Host(s.Name)
	w := words{name: s.Name, host: host, listen: d.listen(pair, v), guard: d.guard(s, host, id), protocol: "proxy", upstream: "http://ownline_" + s.Name}
	for _, t := range []netip.AddrPort{s.Target4, s.Target6} {
		if t.IsValid() {
			w.targets = append(w.targets, net.JoinHostPort(t.Addr().WithZone("").String(), strconv.Itoa(int(t.Port()))))
		}
	}
	switch s.Options.Scheme {
	case ownline.SchemeH2C:
		w.protocol, w.upstream = "grpc", "grpc://ownline_"+s.Name
	case ownline.SchemeHTTPS:
		w.upstream = "https://ownline_" + s.Name
		w.trust = fmt.Sprintf("\t\tproxy_ssl_verify on;\n\t\tproxy_ssl_verify_depth 5;\n\t\tproxy_ssl_server_name on;\n\t\tproxy_ssl_protocols TLSv1.2 TLSv1.3;\n\t\tproxy_ssl_name %s;\n\t\tproxy_ssl_trusted_certificate %s;\n", s.Options.ServerName, ca)
	}
	w.forward = d.forward(s, w.protocol, w.targets)
	if prefix := s.Options.PathPrefix; prefix != "" {
		w.upstream += prefix + "$request_uri"
	}
	if s.Options.Template != "" {
		return w.fill(s.Options.Template, strconv.Itoa(int(d.Settings.Port)))
	}
	w.badge = d.badge(s, id, "!-e", 418)
	return w.builtIn(), nil
}
