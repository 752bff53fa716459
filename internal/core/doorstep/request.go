package doorstep

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
)

// asset is a file of the page, named after its content.
var asset = regexp.MustCompile(`^/i/assets/[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$`)

// known reports whether a request is one that the page for guests makes.
func known(r *http.Request) bool {
	path := r.RequestURI // as it was written: nothing in it has to be decoded
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return path == "/i/" || path == "/i/config.json" || path == "/i/icon.svg" || asset.MatchString(path)
	case http.MethodPost:
		call, ok := strings.CutPrefix(path, "/api/v1/invitations/")
		return ok && (call == "preview" || call == "icon" || call == "redeem" || call == "leave")
	}
	return false
}

// sourceOf returns the address that the proxy says that the request came from. The proxy has
// written over whatever the client said.
func sourceOf(r *http.Request) (netip.Addr, bool) {
	values := r.Header.Values("X-Forwarded-For")
	if len(values) != 1 {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(values[0])
	return a.Unmap().WithZone(""), err == nil
}

// ownPage reports whether a browser says that it was the page itself that asked; other clients
// say nothing.
func ownPage(r *http.Request) bool {
	if r.Method != http.MethodPost {
		return true
	}
	from := r.Header.Get("Sec-Fetch-Site")
	origin := r.Header.Get("Origin")
	return (from == "" || from == "same-origin") && (origin == "" || strings.EqualFold(origin, "https://"+r.Host))
}

// passed are the headers that web is told, beside those that the doorstep writes itself.
var passed = []string{"Accept", "Accept-Language", "If-None-Match", "User-Agent"}

// request makes the request to web. There is nothing in it by which a guest could be anybody.
func request(r *http.Request, source netip.Addr) (*http.Request, error) {
	var body io.Reader
	if r.Method == http.MethodPost {
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
			return nil, errors.New("not JSON")
		}
		b, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
		if err != nil || len(b) > maxBody {
			return nil, errors.New("the body is too long, or did not arrive")
		}
		body = bytes.NewReader(b)
	}
	out, err := http.NewRequestWithContext(r.Context(), r.Method, "http://web"+r.RequestURI, body)
	if err != nil {
		return nil, err
	}
	out.Host = r.Host
	for _, name := range passed {
		if v := r.Header.Get(name); v != "" {
			out.Header.Set(name, v)
		}
	}
	if body != nil {
		out.Header.Set("Content-Type", "application/json")
	}
	out.Header.Set("X-Forwarded-For", source.String())
	out.Header.Set("X-Forwarded-Proto", "https")
	return out, nil
}

// told are the headers that a guest is told of an answer: no cookie is among them.
var told = []string{
	"Cache-Control", "Content-Length", "Content-Security-Policy", "Content-Type", "Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy",
	"Permissions-Policy", "Referrer-Policy", "Retry-After", "Strict-Transport-Security", "X-Content-Type-Options", "X-Frame-Options",
}

func reply(w http.ResponseWriter, resp *http.Response) {
	for _, name := range told {
		if v := resp.Header.Get(name); v != "" {
			w.Header().Set(name, v)
		}
	}
	w.WriteHeader(resp.StatusCode)
	if n, err := io.Copy(w, io.LimitReader(resp.Body, maxReply)); err != nil || n == maxReply {
		panic(http.ErrAbortHandler) // half an answer must not look like a whole one
	}
}
