package transfer

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ownline/ownline/internal/ownline"
)

// The columns of the prototype's two files.
var (
	userColumns    = []string{"public_id", "username", "password_hash", "avatar"}
	serviceColumns = []string{
		"public_id", "name", "image", "protocol", "ip_dst_lan", "port_dst_lan", "path_dst_lan", "type",
		"connection_upgrade", "custom_nginx_template", "users", "automatic", "port_dst",
	}
)

// ParsePrototype makes a document of the two files of the Python prototype; site is the name
// of the site that the services are at, "" for the only one. notes say what was changed or
// left out. The error lists every mistake, with line and column.
func ParsePrototype(usersName string, users io.Reader, servicesName string, services io.Reader, site string) (f File, notes []string, err error) {
	c := &converter{
		file: File{Document: Document{Version: version}}, site: site,
		places: map[string]string{}, users: map[string]string{}, userNames: map[string]bool{}, serviceNames: map[string]bool{},
	}
	c.file.place = func(key string) string {
		for {
			if at, ok := c.places[key]; ok {
				return at
			}
			i := strings.LastIndexAny(key, ".[")
			if i < 0 {
				return servicesName
			}
			key = key[:i]
		}
	}
	if users != nil {
		c.file.Users = []User{}
		c.table(usersName, users, userColumns, c.user)
	}
	if services != nil {
		c.file.Services, c.file.Grants = []Service{}, []Grant{}
		c.table(servicesName, services, serviceColumns, c.service)
	}
	if len(c.errs) > 0 {
		return File{}, nil, errors.Join(c.errs...)
	}
	return c.file, c.notes, nil
}

type converter struct {
	file   File
	site   string
	places map[string]string // key → "FILE:LINE:COL"

	users        map[string]string // username and public_id → the name here
	userNames    map[string]bool
	serviceNames map[string]bool
	errs         []error
	notes        []string
}

// record is one line of a table.
type record struct {
	c      *converter
	name   string // of the file
	lines  map[string]string
	places map[string]string
	start  string
	wrong  bool
}

func (r *record) get(column string) string { return strings.TrimSpace(r.lines[column]) }

func (r *record) fail(column, detail string) {
	r.wrong = true
	r.c.errs = append(r.c.errs, ownline.Invalid("", fmt.Sprintf("%s: %s: %s", r.places[column], column, detail)))
}

func (r *record) note(column, detail string) {
	r.c.notes = append(r.c.notes, fmt.Sprintf("%s: %s: %s", r.places[column], column, detail))
}

// table reads a file whose first line names the columns, in any order.
func (c *converter) table(name string, in io.Reader, columns []string, each func(*record)) {
	content, err := io.ReadAll(in)
	if err != nil {
		c.errs = append(c.errs, fmt.Errorf("%s: %w", name, err))
		return
	}
	if !utf8.Valid(content) {
		c.errs = append(c.errs, fmt.Errorf("%s: is not UTF-8; save it in that encoding", name))
		return
	}
	text := strings.TrimPrefix(string(content), "\uFEFF") // a spreadsheet's mark of the encoding
	first, _, _ := strings.Cut(text, "\n")
	rows := csv.NewReader(strings.NewReader(text))
	if strings.Count(first, ";") > strings.Count(first, ",") {
		rows.Comma = ';'
	}
	var head []string
	for {
		row, err := rows.Read()
		switch {
		case errors.Is(err, io.EOF):
			if head == nil {
				c.errs = append(c.errs, fmt.Errorf("%s: is empty; its first line must be %s", name, strings.Join(columns, ",")))
			}
			return
		case err != nil:
			if pe, ok := errors.AsType[*csv.ParseError](err); ok {
				err = fmt.Errorf("%s:%d:%d: %w", name, pe.Line, pe.Column, pe.Err)
			}
			c.errs = append(c.errs, err)
			return
		}
		r := &record{c: c, name: name, lines: map[string]string{}, places: map[string]string{}}
		for i, value := range row {
			line, column := rows.FieldPos(i)
			at := fmt.Sprintf("%s:%d:%d", name, line, column)
			if i == 0 {
				r.start = at
			}
			if head != nil {
				r.lines[head[i]], r.places[head[i]] = value, at
			}
		}
		if head != nil {
			each(r)
			continue
		}
		for _, h := range row {
			head = append(head, strings.ToLower(strings.TrimSpace(h)))
		}
		if !c.checkHead(r.start, head, columns) {
			return
		}
	}
}

func (c *converter) checkHead(at string, head, columns []string) bool {
	n := len(c.errs)
	for i, h := range head {
		if !slices.Contains(columns, h) {
			c.errs = append(c.errs, fmt.Errorf("%s: %q is no column of this file; its first line must be %s", at, h, strings.Join(columns, ",")))
		} else if slices.Contains(head[:i], h) {
			c.errs = append(c.errs, fmt.Errorf("%s: the column %s is given twice", at, h))
		}
	}
	for _, want := range columns {
		if !slices.Contains(head, want) {
			c.errs = append(c.errs, fmt.Errorf("%s: the column %s is missing", at, want))
		}
	}
	return len(c.errs) == n
}

var (
	notInUser    = regexp.MustCompile(`[^a-z0-9._-]+`)
	notInService = regexp.MustCompile(`[^a-z0-9-]+`)
)

// convert makes a name that Ownline can have: in lower case, with a hyphen for every run of
// other characters, none at the ends, cut to the longest length.
func convert(name string, not *regexp.Regexp, longest int) string {
	s := strings.Trim(not.ReplaceAllString(strings.ToLower(name), "-"), "-")
	return strings.TrimRight(s[:min(len(s), longest)], "-")
}

func (c *converter) user(r *record) {
	given := r.get("username")
	name := convert(given, notInUser, 64)
	if name == "" {
		r.fail("username", fmt.Sprintf("%q has nothing that a name may have: a-z 0-9 . _ -", given))
		return
	}
	if name != given {
		r.note("username", fmt.Sprintf("%q is called %s here", given, name))
	}
	if c.userNames[name] {
		r.fail("username", fmt.Sprintf("%q would be called %s, as another user is", given, name))
		return
	}
	c.userNames[name] = true
	// A list of users names one by any of these, so none may mean two.
	for column, word := range map[string]string{"public_id": r.get("public_id"), "username": given} {
		if other, ok := c.users[word]; ok && word != "" && other != name {
			r.fail(column, fmt.Sprintf("%q stands for the user %s already", word, other))
			return
		}
		if word != "" {
			c.users[word] = name
		}
	}
	c.users[name] = name
	if r.get("avatar") != "" {
		r.note("avatar", "is left out")
	}
	key := fmt.Sprintf("users[%d]", len(c.file.Users))
	c.places[key], c.places[key+".name"], c.places[key+".password_hash"] = r.start, r.places["username"], r.places["password_hash"]
	c.file.Users = append(c.file.Users, User{Name: name, PasswordHash: r.get("password_hash")})
}

// letters keeps of a word what tells it from others.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 'a' || r > 'z' {
			return -1
		}
		return r
	}, strings.ToLower(s))
}

// kindOf understands the prototype's type.
func kindOf(s string) (ownline.ServiceKind, bool) {
	switch letters(s) {
	case "portforwarding", "portforward", "forwarding", "forward", "port", "pf", "nat", "dnat":
		return ownline.Forward, true
	case "reverseproxy", "proxy", "proxypass", "rp", "nginx", "http", "https", "web":
		return ownline.Proxy, true
	}
	return "", false
}

func boolOf(s string) (value, ok bool) {
	switch strings.ToLower(s) {
	case "true", "t", "yes", "y", "on", "1", "1.0":
		return true, true
	case "false", "f", "no", "n", "off", "0", "0.0", "", "none", "null", "nan":
		return false, true
	}
	return false, false
}

// portOf reads a port; a spreadsheet may have written 22.0. Nothing is 0.
func portOf(s string) (uint16, bool) {
	s = strings.TrimSuffix(s, ".0")
	switch strings.ToLower(s) {
	case "", "none", "null", "nan":
		return 0, true
	}
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil
}

// namesIn reads a list of users: separated by ; or | or a comma, with or without brackets
// and quotes.
func namesIn(s string) (out []string) {
	s = strings.Trim(strings.TrimSpace(s), "[](){}")
	for _, part := range strings.FieldsFunc(s, func(r rune) bool { return r == ';' || r == '|' || r == ',' }) {
		if part = strings.Trim(strings.TrimSpace(part), `"'`); part != "" {
			out = append(out, part)
		}
	}
	return out
}

func (c *converter) service(r *record) {
	s := Service{Site: c.site, Name: convert(r.get("name"), notInService, 63)}
	given := r.get("name")
	switch {
	case s.Name == "":
		r.fail("name", fmt.Sprintf("%q has nothing that a name may have: a-z 0-9 -", given))
		return
	case c.serviceNames[s.Name]:
		r.fail("name", fmt.Sprintf("%q would be called %s, as another service is", given, s.Name))
		return
	case s.Name != given:
		r.note("name", fmt.Sprintf("%q is called %s here", given, s.Name))
	}
	c.serviceNames[s.Name] = true
	kind, ok := kindOf(r.get("type"))
	if !ok {
		r.fail("type", fmt.Sprintf("%q is neither port forwarding nor reverse proxy", r.get("type")))
		return
	}
	s.Kind = string(kind)
	switch p := strings.ToLower(r.get("protocol")); p {
	case "udp":
		s.Transport = string(ownline.UDP)
	case "tcp", "http", "https", "":
		s.Transport = string(ownline.TCP)
	default:
		r.fail("protocol", fmt.Sprintf("%q is not tcp, udp, http or https", p))
	}
	r.target(&s)
	if r.get("image") != "" {
		r.note("image", "is left out")
	}
	if kind == ownline.Proxy {
		r.proxied(&s)
	} else {
		for _, column := range []string{"path_dst_lan", "custom_nginx_template"} {
			if r.get(column) != "" {
				r.note(column, "means nothing for a port forward, and is left out")
			}
		}
	}
	if _, ok := boolOf(r.get("connection_upgrade")); !ok {
		r.fail("connection_upgrade", fmt.Sprintf("%q is neither true nor false", r.get("connection_upgrade")))
	}
	grants := r.grants(s.Name, kind)
	if r.wrong {
		return
	}
	key := fmt.Sprintf("services[%d]", len(c.file.Services))
	c.places[key] = r.start
	for k, column := range map[string]string{"name": "name", "kind": "type", "transport": "protocol", "target": "ip_dst_lan", "target6": "ip_dst_lan"} {
		c.places[key+"."+k] = r.places[column]
	}
	c.file.Services = append(c.file.Services, s)
	for _, g := range grants {
		key := fmt.Sprintf("grants[%d]", len(c.file.Grants))
		c.places[key], c.places[key+".user"], c.places[key+".public_port"] = r.start, r.places["users"], r.places["port_dst"]
		c.file.Grants = append(c.file.Grants, g)
	}
}

// proxied reads what there is only of a reverse proxy.
func (r *record) proxied(s *Service) {
	switch strings.ToLower(r.get("protocol")) {
	case "https":
		s.Options.Scheme = ownline.SchemeHTTPS
		r.note("protocol", fmt.Sprintf("the certificate of %s was not checked, and will be: if the router does not know who signed it, set options.ca or options.pin", s.Name))
	case "udp":
		r.fail("protocol", "a reverse proxy serves http and https, not udp")
	}
	s.Options.PathPrefix = strings.TrimRight(r.get("path_dst_lan"), "/")
	if s.Options.PathPrefix != "" && (ownline.ProxyOptions{PathPrefix: s.Options.PathPrefix}).Validate() != nil {
		r.fail("path_dst_lan", fmt.Sprintf("%q is not a path like /app", r.get("path_dst_lan")))
	}
	if r.get("custom_nginx_template") != "" {
		r.note("custom_nginx_template", "is left out: templates are written in another way here, see options.template")
	}
}

func (r *record) target(s *Service) {
	addr, err := netip.ParseAddr(strings.Trim(r.get("ip_dst_lan"), "[]"))
	if err != nil {
		r.fail("ip_dst_lan", fmt.Sprintf("%q is not an address like 192.168.1.10", r.get("ip_dst_lan")))
	}
	port, ok := portOf(r.get("port_dst_lan"))
	if !ok || port == 0 {
		r.fail("port_dst_lan", fmt.Sprintf("%q is not a port from 1 to 65535", r.get("port_dst_lan")))
	}
	if r.wrong {
		return
	}
	if target := netip.AddrPortFrom(addr.Unmap(), port); target.Addr().Is4() {
		s.Target = target
	} else {
		s.Target6 = target
	}
}

// grants makes those of a service: the same for all of its users.
func (r *record) grants(service string, kind ownline.ServiceKind) (out []Grant) {
	automatic, ok := boolOf(r.get("automatic"))
	if !ok {
		r.fail("automatic", fmt.Sprintf("%q is neither true nor false", r.get("automatic")))
	}
	port, ok := portOf(r.get("port_dst"))
	if !ok {
		r.fail("port_dst", fmt.Sprintf("%q is not a port from 1 to 65535, or nothing for any", r.get("port_dst")))
	}
	if kind == ownline.Proxy && port != 0 {
		r.note("port_dst", "is left out: a proxied service has the port of the site's reverse proxy")
		port = 0
	}
	if r.c.site != "" {
		service = r.c.site + "/" + service
	}
	for _, who := range namesIn(r.get("users")) {
		name, ok := r.c.users[who]
		if !ok {
			name = convert(who, notInUser, 64) // perhaps one who is there already
		}
		if slices.ContainsFunc(out, func(g Grant) bool { return g.User == name }) {
			continue
		}
		out = append(out, Grant{User: name, Service: service, Automatic: automatic, PublicPort: port})
	}
	return out
}
