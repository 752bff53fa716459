package config

import (
	"crypto/sha256"
	"fmt"
	"reflect"
)

// Each tells every key and its value, in the order of the docs. Of lists, whose words may be a program's
// secret arguments, it is only a digest.
func (c *Core) Each(f func(key, value string)) { each(reflect.ValueOf(c).Elem(), "", f) }

func each(v reflect.Value, path string, f func(key, value string)) {
	for i := range v.NumField() {
		key, _ := tag(v.Type().Field(i))
		field, key := v.Field(i), join(path, key)
		switch {
		case isGroup(field.Type()):
			each(field, key, f)
		case field.Kind() == reflect.Slice: // words are quoted, as they may have spaces; numbers look alike if they are
			f(key, fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%[1]q %[1]v", field.Interface()))))
		default:
			f(key, fmt.Sprint(field.Interface()))
		}
	}
}
