package ownline

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// The ways in which the reverse proxy speaks to a service.
const (
	SchemeHTTP  = "http"  // HTTP/1.1
	SchemeHTTPS = "https" // HTTP/1.1 or HTTP/2, as the two agree
	SchemeH2C   = "h2c"   // HTTP/2 without TLS, as gRPC servers in a LAN speak it
)

// OwnService is the name of the service that is Ownline's own pages, at every site.
const OwnService = "ownline"

// Doorstep is the name at a site's proxy where guests without an account meet Ownline, so that no
// service may have it; and DoorstepID the service that it is to the proxy.
const Doorstep = "doorstep"

// DoorstepID is no identifier that NewID makes.
var DoorstepID = ServiceID([]byte("ownline-doorstep"))

// DoorstepSession names the session that leads the guest of another one to the doorstep. NewID
// makes no such identifier, either: it is of version 8.
func DoorstepSession(of SessionID) SessionID {
	of[6] = of[6]&0x0f | 0x80
	return of
}

// BrokerName is the name at a site's proxy that the broker inside web has with a certificate of the
// router's. It is the only one that core has signed for web, so no proxied service may have it.
const BrokerName = "mqtt"

// The drivers of a router's reverse proxy, and of one that has none.
const (
	EmbeddedProxy = "embedded"
	NginxProxy    = "nginx"
	CaddyProxy    = "caddy"
	NoProxy       = "none"
)

// SiteProxy is the reverse proxy of a site's router.
type SiteProxy struct {
	Driver string // "": core has not told yet; NoProxy: there is none
	Domain string // services are at NAME.Domain
	Port   uint16 // TCP, public
}

// BrokerHost returns the only host name for which the site's router has a certificate signed for
// web; "" when the proxy does not serve.
func (p SiteProxy) BrokerHost() string {
	if !p.Serves() {
		return ""
	}
	return BrokerName + "." + p.Domain
}

// Serves reports whether services of kind Proxy can be opened.
func (p SiteProxy) Serves() bool {
	return p.Driver != "" && p.Driver != NoProxy && p.Domain != "" && p.Port != 0
}

// URL returns where a service is; "" when the proxy does not serve.
func (p SiteProxy) URL(service string) string {
	if !p.Serves() {
		return ""
	}
	host := service + "." + p.Domain
	if p.Port != 443 {
		host += ":" + strconv.Itoa(int(p.Port))
	}
	return "https://" + host + "/"
}

// ProxyOptions are how the reverse proxy serves a service. The zero value is plain HTTP/1.1
// to the service's root. The JSON keys are those of the API and of the link.
type ProxyOptions struct {
	Scheme     string            `json:"scheme,omitempty"`      // one of the schemes; "": http
	PathPrefix string            `json:"path_prefix,omitempty"` // put in front of every path: "/app"; "": nothing
	Headers    map[string]string `json:"headers,omitempty"`     // set on every request to the service

	// Of scheme https. The service's certificate has to be valid for ServerName, or for the
	// target's address when that is empty, and be signed by CA, or by an authority that the
	// router knows when that is empty. With a Pin, its key has to be that one and nothing else
	// is looked at.
	CA         string `json:"ca,omitempty"`          // certificates in PEM
	Pin        string `json:"pin,omitempty"`         // SHA-256 of the SubjectPublicKeyInfo, 64 hexadecimal digits
	ServerName string `json:"server_name,omitempty"` // also sent as the host that is asked for

	// RequireLogin puts Ownline's own login in front, for sources that many people share.
	RequireLogin bool `json:"require_login,omitempty"`
	// Template replaces the server block that the nginx driver writes (text/template).
	Template string `json:"template,omitempty"`
}

// Limits of the options.
const (
	maxPathPrefix = 256
	maxHeaders    = 32
	maxHeader     = 4096     // bytes of a value
	maxTemplate   = 16 << 10 // bytes
	maxCA         = 64 << 10 // bytes
)

// Validate refuses options that no proxy may follow, naming the field. Both web and core ask
// it: what is written here ends up in the configuration of other programs.
func (o ProxyOptions) Validate() error {
	switch o.Scheme {
	case "", SchemeHTTP, SchemeH2C:
		if o.CA != "" || o.Pin != "" || o.ServerName != "" {
			return Invalid("options.scheme", `must be "https" for ca, pin and server_name to mean anything`)
		}
	case SchemeHTTPS:
	default:
		return Invalid("options.scheme", `must be "http", "https" or "h2c"`)
	}
	if p := o.PathPrefix; p != "" && (len(p) > maxPathPrefix || !goodPath(p)) {
		return Invalid("options.path_prefix", fmt.Sprintf(`must begin with /, not end with it, and have up to %d of A-Z a-z 0-9 / . _ ~ -, without "." or ".." as a part`, maxPathPrefix))
	}
	if len(o.Headers) > maxHeaders {
		return Invalid("options.headers", fmt.Sprintf("must be %d at most", maxHeaders))
	}
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(o.Headers)) {
		if err := checkHeader(name, o.Headers[name]); err != nil {
			return err
		}
		lower := strings.ToLower(name)
		if seen[lower] {
			return Invalid("options.headers", fmt.Sprintf("%s is there twice; upper and lower case are the same", name))
		}
		seen[lower] = true
	}
	if o.CA != "" && (len(o.CA) > maxCA || !hasCertificate(o.CA)) {
		return Invalid("options.ca", "must be certificates in PEM")
	}
	if o.Pin != "" {
		if b, err := hex.DecodeString(o.Pin); err != nil || len(b) != 32 {
			return Invalid("options.pin", "must be 64 hexadecimal digits: the SHA-256 of the service's public key (SubjectPublicKeyInfo)")
		}
	}
	if o.ServerName != "" && !goodHost(o.ServerName) {
		return Invalid("options.server_name", "must be a host name without a port")
	}
	if len(o.Template) > maxTemplate || strings.ContainsRune(o.Template, 0) {
		return Invalid("options.template", fmt.Sprintf("must be text of %d bytes at most", maxTemplate))
	}
	return nil
}

// CheckServiceName refuses what can't be a sub-domain (RFC 1035, section 2.3.1, and digits in
// front as RFC 1123 allows).
func CheckServiceName(s string) error {
	if !goodLabel(s, false) {
		return Invalid("name", "must be 1 to 63 of a-z 0-9 -, with - only inside")
	}
	return nil
}

func goodLabel(s string, upper bool) bool {
	if len(s) == 0 || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || upper && c >= 'A' && c <= 'Z') {
			return false
		}
	}
	return true
}

func goodHost(s string) bool {
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if !goodLabel(label, true) {
			return false
		}
	}
	return true
}

func goodPath(p string) bool {
	if p[0] != '/' || strings.HasSuffix(p, "/") {
		return false
	}
	for part := range strings.SplitSeq(p[1:], "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
		for _, c := range []byte(part) {
			if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("._~-", c) >= 0) {
				return false
			}
		}
	}
	return true
}

// checkHeader refuses what is no header (RFC 9110, section 5), what belongs to one connection
// only (section 7.6.1), and what the proxy itself has to tell the service.
func checkHeader(name, value string) error {
	field := "options.headers"
	if len(name) == 0 || len(name) > 64 {
		return Invalid(field, "names must have 1 to 64 characters")
	}
	for _, c := range []byte(name) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-') {
			return Invalid(field, fmt.Sprintf("%.64q is not the name of a header: A-Z a-z 0-9 -", name))
		}
	}
	lower := strings.ToLower(name)
	if slices.Contains(ownHeaders, lower) || strings.HasPrefix(lower, "x-forwarded-") || strings.HasPrefix(lower, "proxy-") {
		return Invalid(field, fmt.Sprintf("%s is for the proxy to set", name))
	}
	if len(value) > maxHeader {
		return Invalid(field, fmt.Sprintf("the value of %s must have %d bytes at most", name, maxHeader))
	}
	for _, c := range []byte(value) {
		if c < ' ' || c == 0x7f {
			return Invalid(field, fmt.Sprintf("the value of %s must have no control characters", name))
		}
	}
	return nil
}

var ownHeaders = []string{
	"connection", "content-length", "expect", "forwarded", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "x-real-ip",
}

func hasCertificate(s string) bool {
	rest := []byte(s)
	for n := 0; ; n++ {
		block, more := pem.Decode(rest)
		if block == nil {
			return n > 0 && len(bytes.TrimSpace(rest)) == 0
		}
		if block.Type != "CERTIFICATE" {
			return false
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return false
		}
		rest = more
	}
}
