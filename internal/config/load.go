package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// source is where the settings of one program come from.
type source struct {
	path     string   // of the file; "" takes standard
	standard string   // read when path is "" and the file is there
	prefix   string   // of the environment variables, with the final "_"
	env      []string // "NAME=value", as os.Environ

	// then looks at what good settings name; nil: nobody does.
	then func(report func(key, detail string))
}

// validator is a set of settings that checks what types can't say.
type validator interface {
	// validate reports every bad value by the path of its key.
	validate(report func(key, detail string))
}

// load fills v, a pointer to a struct that holds the defaults. On an error v is of no use.
// The error lists every mistake, one a line.
func load(s source, v validator) error {
	d := &decoder{places: map[string]string{}}
	name, content, err := s.read()
	if err != nil {
		return err
	}
	d.file = name
	root := reflect.ValueOf(v).Elem()
	d.document(content, root)
	d.environment(s, root)
	report := func(key, detail string) { d.fail(d.place(key), key, detail) }
	if len(d.errs) == 0 {
		v.validate(report)
	}
	if len(d.errs) == 0 && s.then != nil {
		s.then(report)
	}
	return errors.Join(d.errs...)
}

// Decode fills v, a pointer to a struct with the keys of another document of ours, as
// strictly as the settings are read. place names where the value of a key stands, as in
// "FILE:3:5" for "users[0].name", or the nearest key above that is there.
func Decode(file string, content []byte, v any) (place func(key string) string, err error) {
	d := &decoder{file: file, places: map[string]string{}}
	d.document(content, reflect.ValueOf(v).Elem())
	return d.place, errors.Join(d.errs...)
}

func (s source) read() (name string, content []byte, err error) {
	if s.path != "" {
		content, err = os.ReadFile(s.path)
		return s.path, content, err
	}
	content, err = os.ReadFile(s.standard)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return s.standard, content, err
}

// decoder collects mistakes and remembers where each value came from, so that validation
// can name the place, too.
type decoder struct {
	file   string
	places map[string]string // key path → "FILE:LINE:COL" or "$NAME"
	errs   []error
}

func (d *decoder) fail(place, key, detail string) {
	if key != "" {
		detail = key + ": " + detail
	}
	d.errs = append(d.errs, fmt.Errorf("%s: %s", place, detail))
}

// place names where the value of key was written, or the nearest key above that was.
func (d *decoder) place(key string) string {
	for {
		if p, ok := d.places[key]; ok {
			return p
		}
		i := strings.LastIndexAny(key, ".[")
		if i < 0 {
			return d.file
		}
		key = key[:i]
	}
}

func (d *decoder) at(n *yaml.Node) string {
	return fmt.Sprintf("%s:%d:%d", d.file, n.Line, n.Column)
}

func (d *decoder) document(content []byte, root reflect.Value) {
	dec := yaml.NewDecoder(strings.NewReader(string(content)))
	var doc, second yaml.Node
	switch err := dec.Decode(&doc); {
	case isEOF(err):
		return // empty, or nothing but comments
	case err != nil:
		// The library says "yaml: line 3: what".
		msg := strings.TrimPrefix(err.Error(), "yaml: ")
		if line, what, ok := strings.Cut(strings.TrimPrefix(msg, "line "), ": "); ok && strings.HasPrefix(msg, "line ") {
			d.fail(d.file+":"+line+":1", "", "not valid YAML: "+what)
		} else {
			d.fail(d.file, "", "not valid YAML: "+msg)
		}
		return
	}
	if err := dec.Decode(&second); !isEOF(err) {
		d.fail(d.file, "", "holds more than one YAML document; keep one")
		return
	}
	d.node(doc.Content[0], root, "", options{})
}
