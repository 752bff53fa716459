package api

import (
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/ownline/ownline/internal/ownline"
)

// checkText refuses an input with text that a database can't keep, or keeps only if it is
// SQLite: what was written to one must be able to move to the other.
func checkText(in any) error {
	if field, bad := badText(reflect.ValueOf(in), ""); bad {
		return ownline.Invalid(field, "must be valid UTF-8 without NUL")
	}
	return nil
}

// badText finds such text in v, whose name is name, and returns the name of where it is.
// Bytes may be anything.
func badText(v reflect.Value, name string) (string, bool) {
	switch v.Kind() {
	case reflect.String:
		s := v.String()
		return name, !utf8.ValidString(s) || strings.ContainsRune(s, 0)
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return badText(v.Elem(), name)
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			break
		}
		for i := range v.Len() {
			if where, bad := badText(v.Index(i), name); bad {
				return where, true
			}
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			if where, bad := badText(it.Key(), name); bad {
				return where, true
			}
			if where, bad := badText(it.Value(), name); bad {
				return where, true
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() && !f.Anonymous {
				continue
			}
			if where, bad := badText(v.Field(i), below(name, f)); bad {
				return where, true
			}
		}
	}
	return "", false
}

// below is what clients call a field of what they call name.
func below(name string, f reflect.StructField) string {
	for _, key := range []string{"json", "query", "header", "path"} {
		if tag, _, _ := strings.Cut(f.Tag.Get(key), ","); tag != "" {
			return strings.TrimPrefix(name+"."+tag, ".")
		}
	}
	return name // the body itself, or a part that was embedded
}
