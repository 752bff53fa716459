package nginx

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/ownline/ownline/internal/core/proxy/gate"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// mark is the first line of every file of ours. No other file is ever written over or removed.
const mark = "# Written by ownline-core, which overwrites what is changed here."

const maxBlock = 256 << 10 // bytes of one service's part

// Block is what a template is executed with. Every text in it is safe inside a configuration.
type Block struct {
	Name     string   // of the service
	Host     string   // NAME.DOMAIN
	Port     string   // in the URLs that people open
	Listen   string   // directives: where clients arrive, with the certificate
	Guard    string   // directives: admission, and what is refused. A template has to have it
	Forward  string   // directives: who asks, and how answers stream
	Upstream string   // scheme and upstream, for proxy_pass or grpc_pass
	Pass     string   // "proxy" or "grpc"
	Targets  []string // ADDRESS:PORT
	Prefix   string   // of every path
	Trust    string   // directives: how the service proves who it is
	ID       string
}

// The built-in template. Underscores are nginx's own default: headers with one are dropped.
var builtIn = template.Must(template.New("service").Parse(`
upstream ownline_{{.Name}} {
{{- range $i, $t := .Targets}}
	server {{$t}}{{if $i}} backup{{end}};
{{- end}}
	keepalive 64;
}
server {
	server_name {{.Host}};
{{.Listen}}
{{.Guard}}
	location / {
{{.Forward}}{{.Trust}}
		{{.Pass}}_pass {{.Upstream}};
	}
}
`))

// frame is what all services share. Whoever asks for a name that is none is refused in the
// handshake, without a certificate.
var frame = template.Must(template.New("frame").Parse(mark + `
upstream ownline_gate {
	server unix:{{.Socket}};
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
server {
{{- range .Listen}}
	listen {{.}} ssl{{if $.HTTP2}} http2{{end}} default_server;
{{- end}}
	ssl_reject_handshake on;
	return 421;
}
`))

// listen are the directives of one service.
func (d *Driver) listen(pair string, v version) string {
	var b strings.Builder
	for _, at := range d.Listen {
		b.WriteString("\tlisten " + at.String() + " ssl")
		if v.less(1, 25, 1) {
			b.WriteString(" http2")
		}
		b.WriteString(";\n")
	}
	if !v.less(1, 25, 1) {
		b.WriteString("\thttp2 on;\n")
	}
	fmt.Fprintf(&b, "\tssl_certificate %s;\n\tssl_certificate_key %s;\n\tssl_protocols TLSv1.2 TLSv1.3;\n", pair, pair)
	b.WriteString("\tssl_session_tickets off;") // one service's would do at another
	return b.String()
}

// climbs finds what some reader of a path might take for a step up.
const climbs = `^[^?]*(/|\\\\|%2f|%5c)([.]|%2e)([.]|%2e)(/|\\\\|%2f|%5c|;|[?]|$)`

// guard is what a request has to pass. The handshake's name is compared, so that a connection
// has one service, and ends with its session.
func (d *Driver) guard(s link.Service, host string) string {
	climb := ""
	if s.Options.PathPrefix != "" { // nginx passes the path on as it was written, to be put behind the prefix
		climb = "\tif ($request_uri ~* \"" + climbs + "\") { return 400; }\n"
	}
	return climb + fmt.Sprintf(`	if ($ssl_server_name != $host) { return 421; }
	if ($http_host !~* "^%s(:[0-9]+)?$") { return 421; }
	if ($request_method = TRACE) { return 405; }
	client_max_body_size 0;
	underscores_in_headers off;
	ignore_invalid_headers on;
	server_tokens off;
	auth_request /.ownline/admit;
	location = /.ownline/admit {
		internal;
		auth_request off;
		proxy_pass http://ownline_gate%s;
		proxy_http_version 1.1;
		proxy_method GET;
		proxy_pass_request_body off;
		proxy_pass_request_headers off;
		proxy_set_header Host ownline;
		proxy_set_header Connection "";
		proxy_set_header Content-Length "";
		proxy_set_header %s "%s";
		proxy_set_header %s $remote_addr;
		proxy_set_header %s $remote_port;
		proxy_connect_timeout 2s;
		proxy_read_timeout 5s;
		proxy_intercept_errors off;
	}`, strings.ReplaceAll(host, ".", "[.]"), gate.Path, gate.ServiceHeader, s.ID, gate.ClientHeader, gate.PortHeader)
}

func (d *Driver) forward(s link.Service, pass string, targets []string) string {
	port := strconv.Itoa(int(d.Settings.Port))
	asked := "$http_host"
	if s.Options.ServerName != "" {
		asked = s.Options.ServerName
	}
	set := map[string]string{
		"Host": asked, "X-Forwarded-For": "$remote_addr", "X-Real-IP": "$remote_addr", "X-Forwarded-Proto": "https",
		"X-Forwarded-Host": "$http_host", "X-Forwarded-Port": port, "X-Forwarded-Prefix": "", "Proxy": "",
		"Forwarded":        `"$ownline_for;proto=https;host=\"$http_host\""`,
		gate.ServiceHeader: "", gate.ClientHeader: "", gate.PortHeader: "",
	}
	if pass == "proxy" {
		set["Connection"], set["Upgrade"] = "$ownline_connection", "$ownline_upgrade"
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
	if pass == "proxy" {
		b.WriteString("\t\tproxy_http_version 1.1;\n\t\tproxy_request_buffering off;\n\t\tproxy_buffering off;\n")
		for _, t := range targets {
			fmt.Fprintf(&b, "\t\tproxy_redirect http://%[1]s/ https://$http_host/;\n\t\tproxy_redirect https://%[1]s/ https://$http_host/;\n", t)
		}
	}
	return b.String()
}

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
	case o.RequireLogin:
		return ownline.Invalid("options.require_login", "the nginx driver can't put a login in front yet")
	case o.Template != "" && !d.Templates:
		return ownline.Invalid("options.template", "proxy.nginx.templates in core.yaml allows no templates")
	}
	return nil
}

// Preview returns the part of the configuration that a service would get, without touching
// anything. nginx itself judges it when it is applied.
func (d *Driver) Preview(s link.Service) (string, error) {
	return d.block(s, "/path/of/certificate.pem", "/path/of/authorities.pem", version{1, 22, 1})
}

func (d *Driver) block(s link.Service, pair, ca string, v version) (string, error) {
	if err := errors.Join(ownline.CheckServiceName(s.Name), s.Options.Validate(), d.Check(s)); err != nil {
		return "", err
	}
	host := d.Settings.Host(s.Name)
	b := Block{
		Name: s.Name, Host: host, Port: strconv.Itoa(int(d.Settings.Port)), Listen: d.listen(pair, v),
		Guard: d.guard(s, host), Pass: "proxy", Prefix: s.Options.PathPrefix, ID: s.ID.String(),
	}
	for _, t := range []netip.AddrPort{s.Target4, s.Target6} {
		if t.IsValid() {
			b.Targets = append(b.Targets, net.JoinHostPort(t.Addr().WithZone("").String(), strconv.Itoa(int(t.Port()))))
		}
	}
	b.Upstream = "http://ownline_" + s.Name
	switch s.Options.Scheme {
	case ownline.SchemeH2C:
		b.Pass, b.Upstream = "grpc", "grpc://ownline_"+s.Name
		if b.Prefix != "" {
			return "", ownline.Invalid("options.path_prefix", "nginx can't put one in front of the paths of an h2c service")
		}
	case ownline.SchemeHTTPS:
		b.Upstream = "https://ownline_" + s.Name
		b.Trust = fmt.Sprintf("\t\tproxy_ssl_verify on;\n\t\tproxy_ssl_verify_depth 5;\n\t\tproxy_ssl_server_name on;\n\t\tproxy_ssl_protocols TLSv1.2 TLSv1.3;\n\t\tproxy_ssl_name %s;\n\t\tproxy_ssl_trusted_certificate %s;\n", s.Options.ServerName, ca)
	}
	b.Forward = d.forward(s, b.Pass, b.Targets)
	if b.Prefix != "" {
		b.Upstream += b.Prefix + "$request_uri"
	}
	t := builtIn
	if s.Options.Template != "" {
		var err error
		if t, err = template.New("template").Option("missingkey=error").Parse(s.Options.Template); err != nil {
			return "", ownline.Invalid("options.template", err.Error())
		}
	}
	var out limited
	if err := t.Execute(&out, b); err != nil {
		return "", ownline.Invalid("options.template", err.Error())
	}
	if text := out.String(); strings.Contains(text, b.Guard) {
		return text, nil
	}
	return "", ownline.Invalid("options.template", "must have {{.Guard}} in its server block, or everybody would get in")
}

// limited takes as much as one service may have.
type limited struct{ strings.Builder }

func (l *limited) Write(b []byte) (int, error) {
	if l.Len()+len(b) > maxBlock {
		return 0, fmt.Errorf("makes more than %d bytes", maxBlock)
	}
	return l.Builder.Write(b)
}
