package api

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed docs.html
var docsPage string

//go:embed docs.css
var docsStyle []byte

// docsPolicy lets the page load its own style sheet and nothing else; it has no script.
const docsPolicy = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

type docsOperation struct {
	*huma.Operation
	Who, Scopes string
	Body        string
	Answers     []docsAnswer
}

type docsAnswer struct {
	Status, Description, Kind, Example string
	Headers                            []string
}

type docsTag struct {
	Name       string
	Operations []docsOperation
}

// renderDocs writes the OpenAPI document as a page for people.
func renderDocs(doc *huma.OpenAPI) ([]byte, error) {
	var tags []docsTag
	var err error
	show := func(v any) string {
		if text, ok := v.(string); ok {
			return text
		}
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if eerr := e.Encode(v); eerr != nil {
			err = eerr
		}
		return b.String()
	}
	eachOperation(doc, func(_ string, op *huma.Operation) {
		o := docsOperation{Operation: op}
		if r, ok := op.Metadata[ruleKey].(rule); ok {
			o.Who, o.Scopes = string(r.who), strings.Join(r.scope, ", ")
		}
		if op.RequestBody != nil {
			for _, media := range op.RequestBody.Content {
				o.Body = show(media.Example)
			}
		}
		for code, r := range op.Responses {
			a := docsAnswer{Status: code, Description: r.Description}
			for kind, media := range r.Content {
				a.Kind = kind
				if kind != problemType || code == strconv.Itoa(http.StatusUnprocessableEntity) {
					a.Example = show(media.Example)
				}
			}
			for name := range r.Headers {
				a.Headers = append(a.Headers, name)
			}
			slices.Sort(a.Headers)
			o.Answers = append(o.Answers, a)
		}
		slices.SortFunc(o.Answers, func(a, b docsAnswer) int { return strings.Compare(a.Status, b.Status) })
		i := slices.IndexFunc(tags, func(t docsTag) bool { return t.Name == op.Tags[0] })
		if i < 0 {
			tags = append(tags, docsTag{Name: op.Tags[0]})
			i = len(tags) - 1
		}
		tags[i].Operations = append(tags[i].Operations, o)
	})
	if err != nil {
		return nil, err
	}
	t, err := template.New("docs").Parse(docsPage)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, map[string]any{"Info": doc.Info, "Tags": tags})
	return out.Bytes(), err
}

// serveDocs serves the page and its style sheet.
func (s *Server) serveDocs() error {
	page, err := renderDocs(s.huma.OpenAPI())
	if err != nil {
		return err
	}
	serve := func(kind string, content []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			h := w.Header()
			h.Set("Content-Type", kind)
			h.Set("Content-Security-Policy", docsPolicy)
			h.Set("X-Content-Type-Options", "nosniff")
			h.Set("Cache-Control", "no-cache")
			_, _ = w.Write(content) // a client that went away needs no answer
		}
	}
	s.mux.HandleFunc("GET /api/docs", serve("text/html; charset=utf-8", page))
	s.mux.HandleFunc("GET /api/docs/style.css", serve("text/css; charset=utf-8", docsStyle))
	return nil
}
