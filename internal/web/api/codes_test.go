package api

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"
)

// refusing are the rooms whose sentences come to whoever calls the API; after a minus, the files of
// theirs that it never reaches.
var refusing = map[string]string{
	"internal/core":          "host.go pairing.go reach.go", // these alone are told on
	"internal/core/firewall": "rules.go",
	"internal/core/session":  "",
	"internal/invitation":    "",
	"internal/link":          "code.go template.go",
	"internal/ownline":       "origins.go proxy.go source.go",
	"internal/policy":        "",
	"internal/web/access":    "-fwknop.go -knock.go -kept.go -lists.go -transfer.go", // for cores; for the start; for the import of an export
	"internal/web/api":       "",
	"internal/web/auth":      "-hashes.go",
	"internal/web/icon":      "",
	"internal/web/oidc":      "flow.go",
	"internal/web/sites":     "",
	"internal/web/store":     "-kept.go -transfer.go",
}

// passedOn are details that somebody else has written.
var passedOn = []string{
	"api/auth.go",        // a field of another name: the sentence stays
	"access/sessions.go", // why core could not open a session
	"core/pairing.go",    // of core's configuration, for who runs it
}

// toldWhy are the files that say why something is forbidden to people who read it: to guests, and to who comes first.
// Of everything else, clients say in their own words that it is not allowed.
var toldWhy = []string{"web/access/redeem.go", "web/auth/setup.go"}

func TestEverySentenceHasACode(t *testing.T) {
	said := map[string]string{} // sentences with {} in their places, and where they stand
	for dir, files := range refusing {
		maps.Copy(said, readRefusals(t, dir, strings.Fields(files)))
	}
	for _, words := range []string{
		validation.MsgExpectedMinLength, validation.MsgExpectedMaxLength, validation.MsgExpectedMinimumNumber,
		validation.MsgExpectedMaximumNumber, validation.MsgExpectedMaxItems, validation.MsgExpectedOneOf,
	} {
		said[verb.ReplaceAllString(words, "{}")] = "huma"
	}
	for words, place := range map[string]string{
		"the site's core can't be reached": "sites/site.go", "the site's core can't be reached: {}": "sites/site.go",
		"web stopped before core had applied it": "access/janitor.go", "the site's reverse proxy is not there any more": "access/sites.go", // of sessions that failed
	} {
		if text, err := os.ReadFile(filepath.Join("..", place)); err != nil || !strings.Contains(string(text), strings.TrimSuffix(words, ": {}")) {
			t.Errorf("%s does not say %q: %v", place, words, err)
		}
		said[words] = place // alone, or with what stood in the way
	}
	if len(said) < 120 {
		t.Fatalf("%d sentences were read; the test looks in the wrong place", len(said))
	}
	known := map[string]bool{}
	for _, s := range sentences {
		known[parameter.ReplaceAllString(s.words, "{}")] = true
	}
	for _, words := range slices.Sorted(maps.Keys(said)) {
		if !known[words] {
			t.Errorf("%s: %q has no code: give it one in codes.go, and words in pwa/src/messages/es/sentences.ts", said[words], words)
		}
	}
	for words := range known {
		if said[words] == "" {
			t.Errorf("nothing is refused by %q; take it out of codes.go", words)
		}
	}
}

func TestSentencesAreKnownAgain(t *testing.T) {
	codes := map[string]bool{}
	for _, each := range sentences {
		if codes[each.code] {
			t.Errorf("%s is the code of two sentences", each.code)
		}
		codes[each.code] = true
		n := 0
		want := map[string]string{}
		message := parameter.ReplaceAllStringFunc(each.words, func(name string) string {
			n++
			want[strings.Trim(name, "{}")] = strconv.Itoa(n)
			return strconv.Itoa(n)
		})
		got := detail(&huma.ErrorDetail{Location: "body.x", Message: message, Value: "secret"})
		if got.Code != each.code || !maps.Equal(got.Params, want) || got.Message != message || got.Location != "body.x" {
			t.Errorf("%q is taken for %+v, want the code %s with %v", message, got, each.code, want)
		}
	}
	if got := detail(&huma.ErrorDetail{Message: "whatever it is"}); got.Code != "" || got.Params != nil {
		t.Errorf("an unknown sentence has a code: %+v", got)
	}
}

func TestFailureOfASession(t *testing.T) {
	for why, want := range map[string]string{
		"public_port: 22/tcp is used by the router itself; choose another port, or let an admin allow it in the grant": "core_port_used 22",
		"the site's core can't be reached: not connected yet":                                                          "core_away_why ",
		"source: is of no kind that we know":                                                                           " ",
	} {
		got := failure(why)
		if is := got.Code + " " + got.Params["port"]; is != want || got.Message != why {
			t.Errorf("%q is taken for %q: %+v", why, is, got)
		}
	}
	if got := failure(""); got != nil {
		t.Errorf("what has not failed has %+v", got)
	}
}

var verb = regexp.MustCompile(`%[0-9.]*[a-z]`)

// refuser is a function that refuses with what it is given as its argument.
type refuser struct {
	name  string
	in    *ast.FuncDecl // where it is known; nil: in its package
	arg   int
	words string // around it, with a hole where it is
}

const hole = "\x00"

var mark = regexp.MustCompile(hole + `(\d+)\.(\d+)` + hole)

// reader reads the sentences by which the code of a package refuses input.
type reader struct {
	t        *testing.T
	pkg      string
	refusers []refuser
	unasked  map[refuser]string // those that nothing in the package calls
	said     map[string]string
}

// readRefusals reads those of the named files of a package, or of all but those after a minus.
func readRefusals(t *testing.T, dir string, only []string) map[string]string {
	paths, err := filepath.Glob(filepath.Join("../../..", dir, "*.go"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %v, %d files", dir, err, len(paths))
	}
	r := &reader{t: t, pkg: filepath.Base(dir), said: map[string]string{}, unasked: map[refuser]string{}}
	files := map[string]*ast.File{}
	for _, path := range paths {
		name := filepath.Base(path)
		named := len(only) > 0 && !strings.HasPrefix(only[0], "-")
		if strings.HasSuffix(name, "_test.go") || named && !slices.Contains(only, name) || slices.Contains(only, "-"+name) {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimPrefix(dir, "internal/")+"/"+name] = f
	}
	for known := -1; known < len(r.refusers); { // a refuser may refuse by another
		known = len(r.refusers)
		for place, f := range files {
			for _, d := range f.Decls {
				fn, _ := d.(*ast.FuncDecl)
				r.read(place, fn, d, nil)
			}
		}
	}
	for by, place := range r.unasked {
		r.said[strings.Replace(by.words, hole, "{}", 1)] = place // what it is given is in no sentence of ours
	}
	return r.said
}

// function is one that is being read, with its name if it has one.
type function struct {
	name string
	*ast.FuncType
}

func (r *reader) read(place string, in *ast.FuncDecl, n ast.Node, around []function) {
	if in != nil && n == ast.Node(in) {
		around = append(around, function{in.Name.Name, in.Type})
	}
	ast.Inspect(n, func(at ast.Node) bool {
		switch at := at.(type) {
		case *ast.AssignStmt:
			if lit, ok := at.Rhs[0].(*ast.FuncLit); ok && len(at.Rhs) == 1 {
				r.read(place, in, lit.Body, append(slices.Clone(around), function{nameOf(at.Lhs[0]), lit.Type}))
				return false
			}
		case *ast.CallExpr:
			r.call(place, in, at, around)
		case *ast.CompositeLit:
			if name := nameOf(at.Type); name == "FieldError" {
				r.literal(place, in, at, around)
			}
		}
		return true
	})
}

func (r *reader) call(place string, in *ast.FuncDecl, c *ast.CallExpr, around []function) {
	name := nameOf(c.Fun)
	if sel, ok := c.Fun.(*ast.SelectorExpr); (name == "Invalid" || name == "Conflict" || name == "Forbidden" && slices.Contains(toldWhy, place)) && len(c.Args) == 2 {
		if ok && nameOf(sel.X) == "ownline" || !ok && r.pkg == "ownline" {
			r.refused(place, in, r.words(c.Args[1], around), around)
		}
		return
	}
	for _, by := range r.refusers {
		if by.name == name && by.arg < len(c.Args) && (by.in == nil || by.in == in) {
			delete(r.unasked, by)
			r.refused(place, in, strings.Replace(by.words, hole, r.words(c.Args[by.arg], around), 1), around)
		}
	}
}

// literal reads an error that is of no kind with a function of its own.
func (r *reader) literal(place string, in *ast.FuncDecl, c *ast.CompositeLit, around []function) {
	parts := map[string]ast.Expr{}
	for _, e := range c.Elts {
		kv, _ := e.(*ast.KeyValueExpr)
		parts[nameOf(kv.Key)] = kv.Value
	}
	if nameOf(parts["Kind"]) == "ErrUnavailable" && parts["Field"] != nil {
		r.refused(place, in, r.words(parts["Detail"], around), around)
	}
}

// refused notes a sentence, or that a function refuses with what it is given.
func (r *reader) refused(place string, in *ast.FuncDecl, words string, around []function) {
	if marks := mark.FindAllStringSubmatchIndex(words, -1); marks != nil {
		// Of several, what is given to the innermost function is the sentence; the rest is in it.
		at := slices.MaxFunc(marks, func(a, b []int) int { return strings.Compare(words[a[2]:a[3]], words[b[2]:b[3]]) })
		rest := func(s string) string { return mark.ReplaceAllString(s, "{}") }
		depth, _ := strconv.Atoi(words[at[2]:at[3]])
		by := refuser{name: around[depth].name, words: rest(words[:at[0]]) + hole + rest(words[at[1]:])}
		by.arg, _ = strconv.Atoi(words[at[4]:at[5]])
		if depth > 0 {
			by.in = in
		}
		if !slices.Contains(r.refusers, by) {
			r.refusers = append(r.refusers, by)
			r.unasked[by] = place
		}
		return
	}
	if words == "{}" {
		if !slices.ContainsFunc(passedOn, func(s string) bool { return strings.Contains(place, s) }) {
			r.t.Errorf("%s refuses with words that stand elsewhere; add them to what this test reads, or to passedOn", place)
		}
		return
	}
	r.said[words] = place
}

// words evaluates an expression to its text, with {} for what is not known before it runs, and
// a mark for an argument of the function that it stands in.
func (r *reader) words(e ast.Expr, around []function) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		if err == nil && e.Kind == token.STRING {
			return s
		}
	case *ast.BinaryExpr:
		return strings.ReplaceAll(r.words(e.X, around)+r.words(e.Y, around), "{}{}", "{}")
	case *ast.Ident:
		if s, ok := argument(e, around); ok {
			return s
		}
		if e.Obj == nil {
			return "{}"
		}
		switch d := e.Obj.Decl.(type) {
		case *ast.AssignStmt:
			if len(d.Rhs) == 1 && len(d.Lhs) == 1 && d.Tok == token.DEFINE {
				if lit, ok := d.Rhs[0].(*ast.BasicLit); ok {
					return r.words(lit, around)
				}
			}
		}
	case *ast.CallExpr:
		if nameOf(e.Fun) != "Sprintf" {
			break
		}
		i := 0
		return verb.ReplaceAllStringFunc(r.words(e.Args[0], around), func(v string) string {
			i++
			word := "{}"
			if id, ok := e.Args[i].(*ast.Ident); ok {
				if s, ok := argument(id, around); ok && isString(id, around) {
					word = s
				}
			}
			if strings.HasSuffix(v, "q") {
				return `"` + word + `"`
			}
			return word
		})
	}
	return "{}"
}

// argument marks an argument of one of the functions around: of type string, what is refused with.
func argument(id *ast.Ident, around []function) (string, bool) {
	for depth := len(around) - 1; depth >= 0; depth-- {
		at := 0
		for _, f := range around[depth].Params.List {
			for _, name := range f.Names {
				if name.Name == id.Name {
					return hole + strconv.Itoa(depth) + "." + strconv.Itoa(at) + hole, isString(id, around)
				}
				at++
			}
		}
	}
	return "", false
}

func isString(id *ast.Ident, around []function) bool {
	for depth := len(around) - 1; depth >= 0; depth-- {
		for _, f := range around[depth].Params.List {
			if slices.ContainsFunc(f.Names, func(n *ast.Ident) bool { return n.Name == id.Name }) {
				return nameOf(f.Type) == "string"
			}
		}
	}
	return false
}

func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}
