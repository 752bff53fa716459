package embedded

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/ownline/ownline/internal/ownline"
)

// prepare makes the request that goes to the service out of the one that came: without what
// concerns the client's connection, and with what only the proxy can know, whatever the
// client said about it.
func (r *route) prepare(in *http.Request, t *told) {
	h := in.Header
	trailers := hasToken(h["Te"], "trailers")
	removeHop(h)
	if trailers {
		h["Te"] = []string{"trailers"} // gRPC asks for it, and it is true of us
	}
	for name := range h {
		if strings.HasPrefix(name, "X-Forwarded-") {
			delete(h, name)
		}
	}
	delete(h, "Host")
	delete(h, "Content-Length") // whoever writes the request knows it
	delete(h, "Proxy")          // becomes the variable HTTP_PROXY in a CGI program
	delete(h, "Http2-Settings")
	h["X-Forwarded-For"], h["X-Real-Ip"] = t.source, t.source
	h["X-Forwarded-Proto"], h["X-Forwarded-Host"], h["X-Forwarded-Port"] = t.proto, t.hosts, t.ports
	h["Forwarded"] = t.forwarded
	for name, values := range r.extra {
		h[name] = values
	}
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = nil // net/http's transport would name itself
	}
	in.Host = t.host
	if r.asked != "" {
		in.Host = r.asked
	}
	in.RequestURI = r.prefix + in.RequestURI
	in.URL = &url.URL{Scheme: "http", Host: r.host, Opaque: in.RequestURI}
	if r.backend.tls != nil {
		in.URL.Scheme = "https"
	}
	if strings.HasPrefix(in.RequestURI, "//") {
		// Opaque would be taken for a host and a path.
		in.URL.Opaque = "//" + in.Host + in.RequestURI
	}
}

// tidy takes out of an answer what concerns the service's connection, or names it.
func (r *route) tidy(resp *http.Response, asked, public string) {
	h := resp.Header
	removeHop(h)
	delete(h, "Alt-Svc") // another port, which the firewall has shut
	if v := h.Get("Location"); v != "" {
		h.Set("Location", r.location(v, asked, public))
	}
	if r.prefix != "" {
		for i, v := range h["Set-Cookie"] {
			h["Set-Cookie"][i] = r.cookie(v)
		}
	}
}

// location turns a redirection of the service to itself into one that leads through the proxy.
func (r *route) location(v, asked, public string) string {
	u, err := url.Parse(v)
	if err != nil || u.Host != "" && !r.itself(u.Host, asked, public) {
		return v
	}
	changed := u.Host != ""
	if changed {
		u.Scheme, u.Host = "https", public
	}
	if rest, ok := r.outside(u.EscapedPath()); ok {
		if u.Path, err = url.PathUnescape(rest); err != nil {
			return v
		}
		u.RawPath, changed = rest, true
	}
	if !changed {
		return v
	}
	return u.String()
}

// outside returns a path of the service as the client has to ask for it.
func (r *route) outside(path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, r.prefix)
	if r.prefix == "" || !ok || rest != "" && rest[0] != '/' {
		return "", false
	}
	return "/" + strings.TrimLeft(rest, "/"), true
}

func (r *route) itself(host, asked, public string) bool {
	if strings.EqualFold(host, asked) || strings.EqualFold(host, public) {
		return true
	}
	port := ":80"
	if r.service.Options.Scheme == ownline.SchemeHTTPS {
		port = ":443"
	}
	for _, t := range r.backend.targets {
		if host == t.String() || host+port == t.String() {
			return true
		}
	}
	return false
}

// cookie takes the prefix out of the path of a cookie.
func (r *route) cookie(v string) string {
	parts := strings.Split(v, ";")
	for i, part := range parts[1:] {
		name, path, ok := strings.Cut(strings.TrimLeft(part, " "), "=")
		if !ok || !strings.EqualFold(name, "path") {
			continue
		}
		if rest, ok := r.outside(strings.Trim(path, ` "`)); ok {
			parts[i+1] = " " + name + "=" + rest
		}
	}
	return strings.Join(parts, ";")
}
