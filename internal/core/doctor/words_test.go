package doctor_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// Whatever is said fills in what its words ask for.
func TestWordsAreFilled(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]*ast.File{}
	for _, name := range names {
		if files[name], err = parser.ParseFile(token.NewFileSet(), name, nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	asks := map[string]int{}      // words, and the highest number in them
	shared := map[string]string{} // what several words have in common, by its name
	verb := regexp.MustCompile(`%0?\d*(\[(\d+)\])?`)
	ast.Inspect(files["words.go"], func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		for i := 0; ok && i < len(spec.Values); i++ {
			word := spec.Names[i].Name
			if text, ok := spec.Values[i].(*ast.BasicLit); ok {
				shared[word] = text.Value
			}
			lit, isWords := spec.Values[i].(*ast.CompositeLit)
			if !isWords {
				continue
			}
			asks[word] = 0
			ast.Inspect(lit, func(n ast.Node) bool {
				var text string
				switch n := n.(type) {
				case *ast.BasicLit:
					text = n.Value
				case *ast.Ident:
					text = shared[n.Name]
				}
				for _, m := range verb.FindAllStringSubmatch(text, -1) {
					number, err := strconv.Atoi(m[2])
					if err != nil {
						t.Errorf("%s: a verb without a number in %s", word, text)
					}
					asks[word] = max(asks[word], number)
				}
				return true
			})
		}
		return true
	})
	said := map[string]bool{}
	for _, f := range files {
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			var chosen []string // by the function, to be said later
			least := 100
			ast.Inspect(fn, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.UnaryExpr:
					if id, ok := n.X.(*ast.Ident); ok && n.Op == token.AND {
						chosen = append(chosen, id.Name)
					}
				case *ast.CallExpr:
					sel, ok := n.Fun.(*ast.SelectorExpr)
					if !ok || sel.Sel.Name != "say" {
						return true
					}
					word, direct := n.Args[0].(*ast.UnaryExpr)
					if !direct {
						least = min(least, len(n.Args)-1)
						return true
					}
					name := word.X.(*ast.Ident).Name
					if said[name] = true; asks[name] > len(n.Args)-1 {
						t.Errorf("%s asks for %d, and is given %d", name, asks[name], len(n.Args)-1)
					}
				}
				return true
			})
			for _, name := range chosen {
				if _, ok := asks[name]; ok && least < 100 {
					if said[name] = true; asks[name] > least && !direct[name] {
						t.Errorf("%s asks for %d, and is given %d", name, asks[name], least)
					}
				}
			}
		}
	}
	if len(asks) < 40 {
		t.Errorf("only %d words were found", len(asks))
	}
	for name := range asks {
		if !said[name] {
			t.Errorf("%s is never said", name)
		}
	}
}

// direct are said with something else in functions that choose, too.
var direct = map[string]bool{"rewrites": true, "internet": true}
