package config

import (
	"encoding"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/ownline/ownline/internal/ownline"
)

// options is what the tag of a field says: `key:"name"`, or with `,later` or `,alone` behind
// the name.
type options struct {
	later bool // known, but only its default is supported so far
	alone bool // may stand for its whole group
}

var (
	secretType   = reflect.TypeFor[ownline.Secret]()
	durationType = reflect.TypeFor[time.Duration]()
	prefixType   = reflect.TypeFor[netip.Prefix]()
	addrPortType = reflect.TypeFor[netip.AddrPort]()
	timeType     = reflect.TypeFor[time.Time]()
)

// fileSuffix turns the key of a secret into that of the file that holds it.
const fileSuffix = "_file"

const notYet = "is not supported yet; leave it out"

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

// tag returns the key and the options of a struct's field.
func tag(f reflect.StructField) (string, options) {
	key, rest, _ := strings.Cut(f.Tag.Get("key"), ",")
	return key, options{later: rest == "later", alone: rest == "alone"}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// isGroup reports whether a type is a set of keys rather than one value.
func isGroup(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// node stores what n says in v.
func (d *decoder) node(n *yaml.Node, v reflect.Value, path string, o options) {
	d.places[path] = d.at(n)
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		d.fail(d.at(n), path, "anchors and aliases are not supported; write the value out")
		return
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return // "key:" with nothing behind it keeps the default
	}
	before := reflect.New(v.Type()).Elem()
	before.Set(v)
	switch {
	case isGroup(v.Type()):
		d.group(n, v, path, o)
		return
	case v.Kind() == reflect.Slice && v.Type() != secretType:
		d.list(n, v, path)
	case n.Kind != yaml.ScalarNode:
		d.fail(d.at(n), path, "must be "+describe(v.Type())+", not "+kindOf(n))
		return
	case v.Type() == secretType && !tagFits(n.ShortTag(), v):
		d.fail(d.at(n), path, "must be text in quotes")
		return
	case !tagFits(n.ShortTag(), v):
		d.fail(d.at(n), path, fmt.Sprintf("must be %s, not %s", describe(v.Type()), kindOf(n)))
		return
	default:
		if err := setText(v, n.Value); err != nil {
			d.fail(d.at(n), path, err.Error())
			return
		}
	}
	if o.later && !same(before, v) {
		d.fail(d.at(n), path, notYet)
	}
}

func same(a, b reflect.Value) bool {
	if a.Kind() == reflect.Slice && a.Len() == 0 && b.Len() == 0 {
		return true
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

func (d *decoder) group(n *yaml.Node, v reflect.Value, path string, o options) {
	if field, key := alone(v); n.Kind == yaml.ScalarNode && key != "" {
		d.node(n, field, join(path, key), o)
		return
	}
	if n.Kind != yaml.MappingNode {
		d.fail(d.at(n), path, "must be a group of keys, not "+kindOf(n))
		return
	}
	if o.later && v.NumField() == 0 {
		if len(n.Content) > 0 {
			d.fail(d.at(n), path, notYet)
		}
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, value := n.Content[i], n.Content[i+1]
		key := join(path, k.Value)
		if seen[k.Value] {
			d.fail(d.at(k), key, "is given twice")
			continue
		}
		seen[k.Value] = true
		if field, fo, ok := fieldOf(v, k.Value); ok {
			fo.later = fo.later || o.later
			d.node(value, field, key, fo)
			continue
		}
		secret, isFile := strings.CutSuffix(k.Value, fileSuffix)
		if field, fo, ok := fieldOf(v, secret); isFile && ok && field.Type() == secretType {
			d.places[join(path, secret)] = d.at(value)
			if seen[secret] {
				d.fail(d.at(k), key, "is given together with "+secret+"; keep one")
				continue
			}
			seen[secret] = true
			d.secretFile(d.at(value), key, value.Value, field, fo.later || o.later)
			continue
		}
		d.fail(d.at(k), key, unknown(k.Value, v.Type()))
	}
}

// secretFile stores the content of a file, without the newline at its end.
func (d *decoder) secretFile(place, key, name string, field reflect.Value, later bool) {
	if name == "" {
		return
	}
	if later {
		d.fail(place, key, notYet)
		return
	}
	secret, err := Secret(name)
	if err != nil {
		d.fail(place, key, err.Error())
		return
	}
	field.SetBytes(secret)
}

// Secret reads a secret from a file, without the newline at its end.
func Secret(file string) (ownline.Secret, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return ownline.Secret(strings.TrimRight(string(content), "\r\n")), nil
}

func fieldOf(v reflect.Value, key string) (reflect.Value, options, bool) {
	for i := range v.NumField() {
		if name, o := tag(v.Type().Field(i)); name == key && name != "" {
			return v.Field(i), o, true
		}
	}
	return reflect.Value{}, options{}, false
}

// alone returns the field that may stand for the whole group, and its key; "": there is none.
func alone(v reflect.Value) (reflect.Value, string) {
	for i := range v.NumField() {
		if key, o := tag(v.Type().Field(i)); o.alone {
			return v.Field(i), key
		}
	}
	return reflect.Value{}, ""
}

// unknown says that there is no such key, and which there are.
func unknown(key string, t reflect.Type) string {
	var keys []string
	for f := range t.Fields() {
		name, _ := tag(f)
		keys = append(keys, name)
	}
	slices.Sort(keys)
	for _, k := range keys {
		if near(k, key) {
			return fmt.Sprintf("unknown key; did you mean %s?", k)
		}
	}
	return "unknown key; known are: " + strings.Join(keys, ", ")
}

// near reports whether two keys differ by hyphens, case or one letter.
func near(a, b string) bool {
	fold := func(s string) string { return strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(s)) }
	a, b = fold(a), fold(b)
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return len(a) <= 1 && len(b) <= 1
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		is := kindOf(n)
		if isGroup(v.Type().Elem()) && n.Kind == yaml.ScalarNode {
			is = "text" // which may hold a secret
		}
		d.fail(d.at(n), path, "must be a list of "+plural(v.Type().Elem())+", not "+is+listHint(v.Type().Elem()))
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		if item.Kind == yaml.ScalarNode && item.Tag == "!!null" {
			d.fail(d.at(item), fmt.Sprintf("%s[%d]", path, i), "is empty")
			continue
		}
		d.node(item, out.Index(i), fmt.Sprintf("%s[%d]", path, i), options{})
	}
	v.Set(out)
}

// setText stores one value written as text, as it stands in a scalar or in the environment.
func setText(v reflect.Value, s string) error {
	wrong := func() error { return fmt.Errorf("%q is not %s", s, describe(v.Type())) }
	switch v.Type() {
	case secretType:
		v.SetBytes([]byte(s))
		return nil
	case durationType:
		t, err := parseDuration(s)
		if err != nil {
			return wrong()
		}
		v.SetInt(int64(t))
		return nil
	case prefixType:
		p, err := parsePrefix(s)
		if err != nil {
			return err
		}
		v.Set(reflect.ValueOf(p))
		return nil
	case addrPortType:
		var a netip.AddrPort // of empty text, too
		if a.UnmarshalText([]byte(s)) != nil {
			return wrong()
		}
		v.Set(reflect.ValueOf(a))
		return nil
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		err := u.UnmarshalText([]byte(s))
		if err != nil && describe(v.Type()) != describe(reflect.TypeFor[string]()) {
			return wrong()
		}
		return err
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Bool:
		b, err := strconv.ParseBool(s)
		if err != nil {
			return wrong()
		}
		v.SetBool(b)
	case reflect.Int:
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return wrong()
		}
		v.SetInt(n)
	case reflect.Uint16:
		n, err := strconv.ParseUint(s, 10, 16)
		if err != nil {
			return wrong()
		}
		v.SetUint(n)
	case reflect.Uint64:
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return wrong()
		}
		v.SetUint(n)
	default:
		panic("config: no rule for " + v.Type().String())
	}
	return nil
}

const day = 24 * time.Hour

// parseDuration takes what Go does, and whole days: 90d.
func parseDuration(s string) (time.Duration, error) {
	days, ok := strings.CutSuffix(s, "d")
	if !ok {
		return time.ParseDuration(s)
	}
	n, err := strconv.ParseUint(days, 10, 16) // 65535 days are some 180 years
	return time.Duration(n) * day, err
}

// parsePrefix takes a network, or one address for a network of one.
func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not %s", s, describe(prefixType))
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("%q has bits set behind the network; %s would be right", s, p.Masked())
	}
	return p, nil
}

// tagFits reports whether a YAML scalar of that type may be stored in v.
func tagFits(tag string, v reflect.Value) bool {
	switch {
	case v.Type() == durationType:
		return tag == "!!str" // a bare number has no unit
	case v.Type() == timeType:
		return tag == "!!timestamp" || tag == "!!str"
	case v.Kind() == reflect.Bool:
		return tag == "!!bool"
	case v.Kind() == reflect.Int, v.Kind() == reflect.Uint16, v.Kind() == reflect.Uint64:
		return tag == "!!int"
	}
	return tag == "!!str"
}

// describe says what a value of type t looks like.
func describe(t reflect.Type) string {
	switch t {
	case durationType:
		return "a duration like 30m or 90s"
	case prefixType:
		return "a network like 192.168.1.0/24 or fd00::/64"
	case addrPortType:
		return "an address and port like 127.0.0.1:8080 or [::]:8080"
	case timeType:
		return "a time like 2026-03-01T12:00:00Z"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Uint64:
		return "a whole number"
	case reflect.Array:
		return "an identifier of 36 characters"
	case reflect.Uint16:
		return "a number from 0 to 65535"
	}
	return "text"
}

func listHint(t reflect.Type) string {
	if isGroup(t) {
		return "; begin every one with -"
	}
	return "; write [a, b]"
}

func plural(t reflect.Type) string {
	switch t {
	case prefixType:
		return "networks"
	}
	switch {
	case t.Kind() == reflect.Uint16:
		return "port numbers"
	case isGroup(t):
		return "groups of keys"
	}
	return "texts"
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a group of keys"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!int", "!!float":
		return "the number " + n.Value
	case "!!bool":
		return "the truth value " + n.Value
	}
	return strconv.Quote(n.Value)
}
