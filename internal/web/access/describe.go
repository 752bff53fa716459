package access

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ownline/ownline/internal/ownline"
)

// describeOptions says which options of a proxied service changed; "" when none did. Headers hold
// passwords, and a template or certificates are long: of those it tells only that they changed.
func describeOptions(was, is ownline.ProxyOptions) string {
	var said []string
	value := func(name, from, to string) {
		if from != to {
			said = append(said, name+" "+orNone(from)+" -> "+orNone(to))
		}
	}
	onOff := map[bool]string{true: "on", false: "off"}
	value("require_login", onOff[was.RequireLogin], onOff[is.RequireLogin])
	value("path_prefix", was.PathPrefix, is.PathPrefix)
	value("server_name", was.ServerName, is.ServerName)
	value("pin", was.Pin, is.Pin)
	long := func(name, from, to string) {
		switch {
		case from == to:
		case from == "":
			said = append(said, name+" set")
		case to == "":
			said = append(said, name+" removed")
		default:
			said = append(said, name+" changed")
		}
	}
	long("ca", was.CA, is.CA)
	long("template", was.Template, is.Template)
	names := maps.Clone(was.Headers)
	if names == nil {
		names = make(map[string]string)
	}
	maps.Copy(names, is.Headers)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		from, had := was.Headers[name]
		to, has := is.Headers[name]
		switch {
		case !had:
			said = append(said, "header "+name+" set")
		case !has:
			said = append(said, "header "+name+" removed")
		case from != to:
			said = append(said, "header "+name+" changed")
		}
	}
	return strings.Join(said, ", ")
}

const listChanged = "; allowed_from "

// describeNamed tells what a list of origins was and is, if it changed, behind a name that people choose. One
// that reads like a change of a list is quoted: users must not make the audit log tell what was not done.
func describeNamed(name string, was, is ownline.Origins) string {
	if strings.Contains(name, listChanged) {
		name = strconv.Quote(name)
	}
	return name + describeList(was, is)
}

// describeList tells what a list of origins was and is, behind what it is about; "" when it did not change.
func describeList(was, is ownline.Origins) string {
	if was == is {
		return ""
	}
	listed := func(o ownline.Origins) string {
		if o == "" {
			return "anywhere"
		}
		return strings.Join(o.Words(), ", ")
	}
	return listChanged + listed(was) + " -> " + listed(is)
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
