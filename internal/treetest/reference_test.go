package treetest

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/ownline/ownline/internal/config"
)

// row is a line of a reference page's table: | `key` | `default` | meaning |
var row = regexp.MustCompile("(?m)^\\| `([a-z0-9_.]+)` \\|.*$")

const notSupported = "not supported yet"

// The pages about settings name every key, and no other; say which only their default is
// supported of; and the defaults that they show are those of the program.
func TestSettingsReference(t *testing.T) {
	for name, tc := range map[string]struct {
		empty any
		load  func(file string) (any, error)
	}{
		"docs/reference/core.md": {config.DefaultCore(), func(f string) (any, error) { return config.LoadCore(f, nil) }},
		"docs/reference/web.md":  {config.DefaultWeb(), func(f string) (any, error) { return config.LoadWeb(f, nil) }},
	} {
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		rows := map[string]string{}
		for _, m := range row.FindAllStringSubmatch(string(b), -1) {
			rows[m[1]] = m[0]
		}
		for key, later := range keys(reflect.TypeOf(tc.empty), "", false) {
			line, ok := rows[key]
			delete(rows, key)
			if !ok {
				t.Errorf("%s: no line about %s", name, key)
			} else if strings.Contains(line, notSupported) != later {
				t.Errorf("%s: %s: %q is in its line: %v, but it is so: %v", name, key, notSupported, !later, later)
			}
		}
		for key := range rows {
			t.Errorf("%s: there is no key %s", name, key)
		}

		block := fence.FindStringSubmatch(string(b))
		if block == nil {
			t.Fatalf("%s: no block with the defaults", name)
		}
		file := filepath.Join(t.TempDir(), "defaults.yaml")
		if err := os.WriteFile(file, []byte(block[1]), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := tc.load(file)
		if err != nil || !same(reflect.ValueOf(got), reflect.ValueOf(tc.empty)) {
			t.Errorf("%s: the defaults shown are\n%+v, %v; they are\n%+v", name, got, err, tc.empty)
		}
	}
}

// same is reflect.DeepEqual, but an empty list is no list.
func same(a, b reflect.Value) bool {
	if a.Kind() == reflect.Slice && a.Len() == 0 && b.Len() == 0 {
		return true
	}
	if a.Kind() != reflect.Struct || !strings.HasSuffix(a.Type().PkgPath(), "internal/config") {
		return reflect.DeepEqual(a.Interface(), b.Interface())
	}
	for i := range a.NumField() {
		if !same(a.Field(i), b.Field(i)) {
			return false
		}
	}
	return true
}

// keys lists the keys that have a value of their own, and whether only their default is
// supported.
func keys(t reflect.Type, above string, later bool) map[string]bool {
	out := map[string]bool{}
	for f := range t.Fields() {
		key, rest, _ := strings.Cut(f.Tag.Get("key"), ",")
		key = strings.TrimPrefix(above+"."+key, ".")
		later := later || rest == "later"
		if !isGroup(f.Type) {
			out[key] = later
			continue
		}
		maps.Copy(out, keys(f.Type, key, later))
	}
	return out
}

// isGroup reports whether a type is keys of their own rather than one value.
func isGroup(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.NumField() > 0 && t.Field(0).Tag.Get("key") != ""
}
