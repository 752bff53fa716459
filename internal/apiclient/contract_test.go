package apiclient

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// schema is what this test reads of a schema in the description of the API.
type schema struct {
	Ref        string            `json:"$ref"`
	Type       any               `json:"type"`
	Properties map[string]schema `json:"properties"`
	Required   []string          `json:"required"`
	Items      *schema           `json:"items"`
}

type content struct {
	Content map[string]struct {
		Schema schema `json:"schema"`
	} `json:"content"`
}

type description struct {
	Paths map[string]map[string]struct {
		Parameters []struct {
			Name string `json:"name"`
			In   string `json:"in"`
		} `json:"parameters"`
		RequestBody *content           `json:"requestBody"`
		Responses   map[string]content `json:"responses"`
	} `json:"paths"`
	Components struct {
		Schemas map[string]schema `json:"schemas"`
	} `json:"components"`
}

func (d description) resolve(s schema) schema {
	for s.Ref != "" {
		s = d.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
	}
	return s
}

// elsewhere are methods that this test can't call with made-up values.
var elsewhere = []string{"Events"}

// Every method asks for what spec/openapi.json describes, with parameters and bodies as it
// describes them, and reads no field that it does not have.
func TestContract(t *testing.T) {
	b, err := os.ReadFile("../../spec/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var d description
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	methods := reflect.TypeFor[*Client]()
	if methods.NumMethod() < 30 {
		t.Fatalf("only %d methods found", methods.NumMethod())
	}
	for m := range methods.Methods() {
		if slices.Contains(elsewhere, m.Name) {
			continue
		}
		t.Run(m.Name, func(t *testing.T) {
			asked := false
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = true
				answer := d.check(t, r)
				if m.Type.NumOut() == 2 {
					d.reads(t, m.Type.Out(0), answer)
				}
				_, _ = io.WriteString(w, "{}")
			}))
			defer s.Close()
			args := []reflect.Value{reflect.ValueOf(&Client{URL: s.URL, Token: "own_x"}), reflect.ValueOf(t.Context())}
			for i := 2; i < m.Type.NumIn(); i++ {
				v := reflect.New(m.Type.In(i)).Elem()
				fill(t, v)
				args = append(args, v)
			}
			out := m.Func.Call(args)
			if err, _ := out[len(out)-1].Interface().(error); err != nil || !asked {
				t.Errorf("asked: %v, %v", asked, err)
			}
		})
	}
}

// fill makes every field of a value something, so that nothing is left out.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString("019b0000-0000-7000-8000-000000000001")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(64)
	case reflect.Uint8:
		v.SetUint('x')
	case reflect.Uint16:
		v.SetUint(20022)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(t, v.Index(0))
	case reflect.Map:
		k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(t, k)
		fill(t, e)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(k, e)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem())
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(1770000000, 0)))
			return
		}
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	default:
		t.Fatalf("no rule to fill %s", v.Type())
	}
}

// check holds a request against the description, and returns what it says of the answer.
func (d description) check(t *testing.T, r *http.Request) schema {
	path := r.URL.Path
	for template := range d.Paths {
		if regexp.MustCompile("^" + regexp.MustCompile(`\{[a-z]+\}`).ReplaceAllString(template, "019b0000-0000-7000-8000-000000000001") + "$").MatchString(path) {
			path = template
			break
		}
	}
	op, ok := d.Paths[path][strings.ToLower(r.Method)]
	if !ok {
		t.Errorf("there is no %s %s", r.Method, path)
		return schema{}
	}
	for name := range r.URL.Query() {
		if !slices.ContainsFunc(op.Parameters, func(p struct {
			Name string `json:"name"`
			In   string `json:"in"`
		},
		) bool {
			return p.In == "query" && p.Name == name
		}) {
			t.Errorf("%s %s has no parameter %s", r.Method, path, name)
		}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	if len(body) > 0 {
		if op.RequestBody == nil {
			t.Errorf("%s %s takes no body", r.Method, path)
		} else {
			kind := r.Header.Get("Content-Type")
			if takes, ok := op.RequestBody.Content[kind]; !ok {
				t.Errorf("%s %s takes no %s", r.Method, path, kind)
			} else if kind == "application/json" {
				d.sends(t, path, body, takes.Schema)
			}
		}
	} else if op.RequestBody != nil {
		t.Errorf("%s %s takes a body", r.Method, path)
	}
	for status, answer := range op.Responses {
		if status[0] == '2' {
			return d.resolve(answer.Content["application/json"].Schema)
		}
	}
	return schema{}
}

// sends checks the fields of a body and their types.
func (d description) sends(t *testing.T, path string, body []byte, s schema) {
	var sent map[string]any
	if err := json.Unmarshal(body, &sent); err != nil {
		t.Error(err)
	}
	d.object(t, path, sent, s)
}

func (d description) object(t *testing.T, path string, sent map[string]any, s schema) {
	s = d.resolve(s)
	for name, v := range sent {
		p, ok := s.Properties[name]
		kind := map[reflect.Kind]string{
			reflect.String: "string", reflect.Bool: "boolean", reflect.Float64: "number integer", reflect.Slice: "array", reflect.Map: "object",
		}[reflect.TypeOf(v).Kind()]
		if typ := fmt.Sprint(d.resolve(p).Type); !ok || !slices.ContainsFunc(strings.Fields(kind), func(k string) bool { return strings.Contains(typ, k) }) {
			t.Errorf("%s takes no %s of type %s", path, name, kind)
		}
		if inner, ok := v.(map[string]any); ok && len(d.resolve(p).Properties) > 0 {
			d.object(t, path+" "+name, inner, p)
		}
	}
	for _, name := range s.Required {
		if _, ok := sent[name]; !ok {
			t.Errorf("%s needs %s", path, name)
		}
	}
}

// reads checks that an answer has every field that a type reads, of a list those of its
// items.
func (d description) reads(t *testing.T, typ reflect.Type, s schema) {
	s = d.resolve(s)
	if typ.Kind() == reflect.Slice && s.Properties["items"].Items != nil {
		s, typ = d.resolve(*s.Properties["items"].Items), typ.Elem()
	}
	if typ.Kind() == reflect.Slice && s.Items != nil {
		s, typ = d.resolve(*s.Items), typ.Elem()
	}
	if typ.Kind() != reflect.Struct || typ == reflect.TypeFor[time.Time]() {
		return
	}
	for f := range typ.Fields() {
		if f.Anonymous {
			d.reads(t, f.Type, s)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		p, ok := s.Properties[name]
		if !ok {
			t.Errorf("the answer has no %s, which %s reads", name, typ.Name())
			continue
		}
		d.reads(t, f.Type, p)
	}
}
