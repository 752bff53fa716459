package embedded

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/ownline/ownline/internal/core/proxy"
	"github.com/ownline/ownline/internal/core/proxy/page"
)

// checkHead judges the head of a request over HTTP/1.1, up to and with its empty line, before
// net/http reads it. It takes nothing that two readers might understand in two ways (RFC 9112,
// sections 2.2, 3, 5 and 6), which is how one request is smuggled inside another.
func checkHead(head []byte) *page.Failure {
	line, rest, ok := cutLine(head)
	if !ok {
		return page.BadRequest
	}
	if f := checkRequestLine(line); f != nil {
		return f
	}
	version := line[len(line)-1] // of HTTP/1.x
	var hosts, lengths, codings int
	for {
		line, rest, ok = cutLine(rest)
		if !ok {
			return page.BadRequest
		}
		if len(line) == 0 {
			break
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || !isToken(name) {
			return page.BadRequest // a folded line, too
		}
		for _, c := range value {
			if c < ' ' && c != '\t' || c == 0x7f {
				return page.BadRequest
			}
		}
		value = bytes.Trim(value, " \t")
		switch {
		case is(name, "host"):
			hosts++
		case is(name, "content-length"):
			lengths++
			if !isLength(value) {
				return page.BadRequest
			}
		case is(name, "transfer-encoding"):
			codings++
			if !is(value, "chunked") || version == '0' {
				return page.BadRequest
			}
		}
	}
	if len(rest) != 0 || hosts != 1 || lengths+codings > 1 {
		return page.BadRequest
	}
	return nil
}

func checkRequestLine(line []byte) *page.Failure {
	method, rest, ok := bytes.Cut(line, []byte(" "))
	target, version, ok2 := bytes.Cut(rest, []byte(" "))
	if !ok || !ok2 || !isToken(method) {
		return page.BadRequest
	}
	if v := string(version); v != "HTTP/1.1" && v != "HTTP/1.0" {
		return page.BadRequest
	}
	if len(target) == 0 {
		return page.BadRequest
	}
	for _, c := range target {
		if c <= ' ' || c == '#' || c == 0x7f {
			return page.BadRequest
		}
	}
	if !methods[string(method)] {
		return page.BadMethod
	}
	// The absolute form is for proxies of the other kind; no browser sends it here.
	if target[0] != '/' {
		return page.BadRequest
	}
	return nil
}

// cutLine returns the line in front, which ends in CR LF and has neither inside.
func cutLine(b []byte) (line, rest []byte, ok bool) {
	i := bytes.IndexByte(b, '\n')
	if i < 1 || b[i-1] != '\r' || bytes.IndexByte(b[:i-1], '\r') >= 0 {
		return nil, nil, false
	}
	return b[:i-1], b[i+1:], true
}

// isToken reports whether b is a token (RFC 9110, section 5.6.2) without an underscore, which
// many services take for a hyphen: X_Real_IP would be our X-Real-IP.
func isToken(b []byte) bool {
	for _, c := range b {
		if !tokens[c] {
			return false
		}
	}
	return len(b) > 0
}

var tokens = func() (t [256]bool) {
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range "0123456789!#$%&'*+-.^`|~" {
		t[c] = true
	}
	return t
}()

// accepted returns what the client of a head that is refused would like to be told in.
func accepted(head []byte) http.Header {
	asked := http.Header{}
	for line, rest, ok := cutLine(head); ok && len(line) > 0; line, rest, ok = cutLine(rest) {
		if name, value, _ := bytes.Cut(line, []byte(":")); is(name, "accept") {
			asked.Add("Accept", string(bytes.Trim(value, " \t")))
		}
	}
	return asked
}

// isLength refuses what does not fit into 63 bits, too.
func isLength(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0 && len(b) <= 18
}

func is(b []byte, name string) bool {
	return len(b) == len(name) && strings.EqualFold(string(b), name)
}

var methods = func() map[string]bool {
	m := map[string]bool{}
	for _, name := range proxy.Methods {
		m[name] = true
	}
	return m
}()

// climbs reports whether some reader of a path might find a step up in it. Browsers take
// those out before they ask.
func climbs(path string) bool {
	path, _, _ = strings.Cut(path, "?")
	for path != "" {
		part := path
		if i := nextSeparator(path); i.at >= 0 {
			part, path = path[:i.at], path[i.at+i.width:]
		} else {
			path = ""
		}
		part, _, _ = strings.Cut(part, ";") // a parameter, and no part of the name: "..;x"
		if strings.ReplaceAll(lower(part), "%2e", ".") == ".." {
			return true
		}
	}
	return false
}

type separator struct{ at, width int }

// nextSeparator finds what some reader takes for a slash.
func nextSeparator(path string) separator {
	for i := range len(path) {
		switch {
		case path[i] == '/' || path[i] == '\\':
			return separator{i, 1}
		case path[i] == '%' && len(path) >= i+3:
			if code := lower(path[i+1 : i+3]); code == "2f" || code == "5c" {
				return separator{i, 3}
			}
		}
	}
	return separator{-1, 0}
}

// lower is for ASCII, and costs nothing when there is nothing to do.
func lower(s string) string { return strings.ToLower(s) }

// removeHop deletes what concerns one connection only (RFC 9110, section 7.6.1).
func removeHop(h http.Header) {
	for _, v := range h["Connection"] {
		for name := range strings.SplitSeq(v, ",") {
			if name = strings.Trim(name, " \t"); name != "" {
				h.Del(name)
			}
		}
	}
	for _, name := range hop {
		delete(h, name)
	}
}

var hop = []string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade",
}

// hasToken reports whether a header has a word in its list.
func hasToken(values []string, word string) bool {
	for _, v := range values {
		for item := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.Trim(item, " \t"), word) {
				return true
			}
		}
	}
	return false
}
