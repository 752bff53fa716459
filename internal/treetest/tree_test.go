package treetest

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root is the top of the tree, seen from this package's folder.
const root = "../.."

const module = "github.com/ownline/ownline"

// goFile is one file of Go, whatever system it is for.
type goFile struct {
	name      string // "internal/link/code.go"
	test      bool
	generated bool
	lines     int
	ast       *ast.File // package line, comments and imports; for all but tests also the rest
}

var generatedLine = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

// goFiles reads the tree by folder. It sees what git would: nothing hidden, nothing that was
// installed or built.
func goFiles(t *testing.T) map[string][]goFile {
	t.Helper()
	all := map[string][]goFile{}
	fset := token.NewFileSet()
	for _, name := range files(t, ".go") {
		content, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		f := goFile{
			name: name, test: strings.HasSuffix(name, "_test.go"),
			generated: generatedLine.Match(content), lines: bytes.Count(content, []byte("\n")),
		}
		mode := parser.ParseComments | parser.SkipObjectResolution
		if f.test {
			mode |= parser.ImportsOnly
		}
		if f.ast, err = parser.ParseFile(fset, name, content, mode); err != nil {
			t.Fatal(err)
		}
		all[path.Dir(name)] = append(all[path.Dir(name)], f)
	}
	if len(all) < 10 {
		t.Fatalf("only %d folders with Go found below %s", len(all), root)
	}
	return all
}

// files lists the files with an ending, by their names in the tree.
func files(t *testing.T, ending string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch base := d.Name(); {
			case name == root:
			case strings.HasPrefix(base, "."), base == "node_modules", base == "testdata", base == "dist", base == "bin":
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(name, ending) {
			rel, err := filepath.Rel(root, name)
			if err != nil {
				return err
			}
			out = append(out, filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Every package opens with what it is for: "Package knock …", "Command ownline …".
func TestPackageComments(t *testing.T) {
	for folder, in := range goFiles(t) {
		var comments []string
		main := false
		for _, f := range in {
			name := f.ast.Name.Name
			main = main || name == "main"
			want := "Package " + strings.TrimSuffix(name, "_test")
			if name == "main" {
				want = "Command " + path.Base(folder)
			}
			if f.ast.Doc == nil {
				continue
			}
			comments = append(comments, f.name)
			if first := f.ast.Doc.Text(); !strings.HasPrefix(first, want+" ") && !strings.HasPrefix(first, want+":") {
				t.Errorf("%s: its package comment does not begin with %q", f.name, want)
			}
		}
		switch len(comments) {
		case 0:
			t.Errorf("%s: no package comment; say in one line what the package is, where it stands and what it leaves to others", folder)
		case 1:
		default:
			t.Errorf("%s: more than one package comment: %v", folder, comments)
		}
	}
}

// maxLines keeps a file to what one can hold in mind.
const maxLines = 500

func TestFileSizes(t *testing.T) {
	for _, in := range goFiles(t) {
		for _, f := range in {
			if !f.test && !f.generated && f.lines > maxLines {
				t.Errorf("%s has %d lines, more than %d; which part can be named on its own?", f.name, f.lines, maxLines)
			}
		}
	}
}
