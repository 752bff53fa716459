package api

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// unmarshal reads a body that has no name twice. The standard leaves open which of two counts, so a proxy or a
// log on the way may have taken the other one for what was asked.
func unmarshal(data []byte, v any) error {
	if err := json.Unmarshal(data, v); err != nil { // bounds how deep it is, too
		return err
	}
	if name, ok := repeated(json.NewDecoder(bytes.NewReader(data))); ok {
		return fmt.Errorf("%q is given more than once", name)
	}
	return nil
}

// repeated returns a name that an object in the next value has more than once.
func repeated(d *json.Decoder) (name string, ok bool) {
	t, err := d.Token()
	open, _ := t.(json.Delim)
	if err != nil || open != '{' && open != '[' {
		return "", false
	}
	seen := map[string]bool{}
	for d.More() {
		if open == '{' {
			t, _ := d.Token()
			key, _ := t.(string)
			if seen[key] {
				return key, true
			}
			seen[key] = true
		}
		if name, ok := repeated(d); ok {
			return name, true
		}
	}
	_, _ = d.Token() // its end: all of it was read before
	return "", false
}
