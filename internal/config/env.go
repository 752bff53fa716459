package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// environment overrides what the file said: OWNLINE_CORE_LINK_LISTEN is link.listen. Lists
// are separated by commas; an empty variable is an empty value, not a missing one.
func (d *decoder) environment(s source, root reflect.Value) {
	keys := leaves(root, "", options{})
	byName := map[string]leaf{}
	for _, l := range keys {
		byName[s.prefix+envName(l.path)] = l
		if l.value.Type() == secretType {
			l.file = true
			byName[s.prefix+envName(l.path+fileSuffix)] = l
		}
	}
	env := slices.Clone(s.env)
	slices.Sort(env) // mistakes are listed in the same order every time
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		rest, ours := strings.CutPrefix(name, s.prefix)
		if !ours {
			continue
		}
		l, known := byName[name]
		if !known {
			// Kubernetes puts NAME_PORT… and NAME_SERVICE_… of every service into the
			// environment; a service called like us must not stop us.
			if !strings.HasPrefix(rest, "PORT") && !strings.HasPrefix(rest, "SERVICE_") {
				d.fail("$"+name, "", "there is no such key; variables are named like "+s.prefix+envName(keys[0].path))
			}
			continue
		}
		d.variable(name, value, l)
	}
}

func (d *decoder) variable(name, value string, l leaf) {
	place := "$" + name
	d.places[l.path] = place
	v := reflect.New(l.value.Type()).Elem()
	switch {
	case l.file:
		d.secretFile(place, l.path+fileSuffix, value, l.value, l.later)
		return
	case v.Kind() == reflect.Slice && v.Type() != secretType:
		if value == "" {
			break
		}
		parts := strings.Split(value, ",")
		group := isGroup(v.Type().Elem())
		if group {
			parts = urls(parts)
		}
		v.Set(reflect.MakeSlice(v.Type(), len(parts), len(parts)))
		for i, part := range parts {
			item := v.Index(i)
			if group {
				item, _ = alone(item)
			}
			if err := setText(item, strings.TrimSpace(part)); err != nil {
				d.fail(place, fmt.Sprintf("%s[%d]", l.path, i), err.Error())
			}
		}
	default:
		if err := setText(v, value); err != nil {
			d.fail(place, l.path, err.Error())
			return
		}
	}
	if l.later && !same(l.value, v) {
		d.fail(place, l.path, notYet)
		return
	}
	l.value.Set(v)
}

// urls puts URLs together again that have commas within.
func urls(parts []string) []string {
	var out []string
	for _, part := range parts {
		if len(out) > 0 && !strings.Contains(part, "://") {
			out[len(out)-1] += "," + part
		} else {
			out = append(out, part)
		}
	}
	return out
}

// leaf is one key that has a value of its own.
type leaf struct {
	path  string
	value reflect.Value
	later bool
	file  bool // the variable names a file that holds the value
}

func leaves(v reflect.Value, path string, o options) []leaf {
	var out []leaf
	for i := range v.NumField() {
		key, fo := tag(v.Type().Field(i))
		fo.later = fo.later || o.later
		if field := v.Field(i); isGroup(field.Type()) {
			out = append(out, leaves(field, join(path, key), fo)...)
		} else {
			out = append(out, leaf{path: join(path, key), value: field, later: fo.later})
		}
	}
	return out
}

func envName(path string) string {
	return strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}
