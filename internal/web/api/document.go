package api

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

const problemType = "application/problem+json"

// failures lists the statuses with which an operation may be refused.
func (o operation) failures(hasBody bool) []int {
	out := []int{http.StatusUnprocessableEntity, http.StatusInternalServerError, http.StatusServiceUnavailable}
	if o.who != anybody {
		out = append(out, http.StatusUnauthorized, http.StatusForbidden)
	}
	if !safe(o.method) {
		out = append(out, http.StatusForbidden) // not from our own origin
	}
	if strings.Contains(o.path, "{") {
		out = append(out, http.StatusNotFound)
	}
	if hasBody {
		out = append(out, http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	out = append(out, o.fails...)
	slices.Sort(out)
	return slices.Compact(out)
}

// complete adds to the OpenAPI document what follows from the rest of it: an example of
// every body, and the headers that come with errors.
func complete(doc *huma.OpenAPI) {
	eachOperation(doc, func(_ string, op *huma.Operation) {
		if op.RequestBody != nil {
			exemplify(doc, op.RequestBody.Content)
		}
		for code, r := range op.Responses {
			status, _ := strconv.Atoi(code) // 0 for "default", which is no status
			if r.Content[problemType] != nil {
				r.Content[problemType].Example = problemExample(op, status)
			}
			switch status {
			case http.StatusUnauthorized:
				header(r, "WWW-Authenticate", "How to sign in", "Bearer")
			case http.StatusTooManyRequests:
				header(r, "Retry-After", "Seconds to wait before the next try", 30)
			}
			exemplify(doc, r.Content)
		}
	})
}

// eachOperation calls f for every operation, in the order of paths.
func eachOperation(doc *huma.OpenAPI, f func(path string, op *huma.Operation)) {
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		p := doc.Paths[path]
		for _, op := range []*huma.Operation{p.Get, p.Post, p.Put, p.Patch, p.Delete} {
			if op != nil {
				f(path, op)
			}
		}
	}
}

func header(r *huma.Response, name, what string, example any) {
	if r.Headers == nil {
		r.Headers = map[string]*huma.Param{}
	}
	kind := huma.TypeString
	if _, ok := example.(int); ok {
		kind = huma.TypeInteger
	}
	r.Headers[name] = &huma.Param{Description: what, Schema: &huma.Schema{Type: kind}, Example: example}
}

// problemExample is what a refusal with that status looks like.
func problemExample(op *huma.Operation, status int) any {
	p := map[string]any{"title": http.StatusText(status), "status": status, "detail": internalWords}
	for _, k := range kinds {
		if k.status == status {
			p["detail"] = k.words
		}
	}
	switch status {
	case http.StatusBadRequest:
		p["detail"] = "unexpected end of JSON input"
	case http.StatusRequestTimeout:
		p["detail"] = "request body took too long to read"
	case http.StatusRequestEntityTooLarge:
		p["detail"] = "request body is too large"
	case http.StatusUnsupportedMediaType:
		p["detail"] = "unknown content type"
	case http.StatusUnprocessableEntity:
		where := "query.colour"
		if op.RequestBody != nil {
			where = "body.colour"
		}
		p["detail"] = "colour: unexpected property"
		p["errors"] = []any{map[string]any{"location": where, "message": "unexpected property"}}
	}
	return p
}

func exemplify(doc *huma.OpenAPI, content map[string]*huma.MediaType) {
	for _, m := range content {
		if m.Example == nil && len(m.Examples) == 0 && m.Schema != nil {
			m.Example = example(doc, m.Schema)
		}
	}
}

// sample is an identifier as examples have them, and sampleTime a time.
const (
	sample     = "01980a3e-7c4d-7b21-9f55-2f6c1f0e8d3a"
	sampleTime = "2026-03-01T12:00:00Z"
)

// example makes a value of a schema out of the examples that its parts have.
func example(doc *huma.OpenAPI, s *huma.Schema) any {
	if s.Ref != "" {
		s = doc.Components.Schemas.SchemaFromRef(s.Ref)
	}
	switch {
	case len(s.Examples) > 0:
		return s.Examples[0]
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.Default != nil:
		return s.Default
	}
	switch s.Type {
	case huma.TypeObject:
		out := map[string]any{}
		for name, p := range s.Properties {
			out[name] = example(doc, p)
		}
		return out
	case huma.TypeArray:
		return []any{example(doc, s.Items)}
	case huma.TypeBoolean:
		return false
	case huma.TypeInteger, huma.TypeNumber:
		if s.Minimum != nil {
			return *s.Minimum
		}
		return 1
	}
	switch s.Format {
	case "uuid":
		return sample
	case "date-time":
		return sampleTime
	}
	return "text"
}
