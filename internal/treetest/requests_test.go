package treetest

import (
	"go/ast"
	"strings"
	"testing"
)

// In the rooms that requests go through, a line is logged with the context that it has: the
// context knows the request, by whose id the operator finds all that it caused.
func TestLogsNameTheRequest(t *testing.T) {
	functions := 0
	for folder, in := range goFiles(t) {
		if !within(folder, []string{"internal/web/api", "internal/web/auth", "internal/web/access", "internal/web/oidc"}) {
			continue
		}
		for _, f := range in {
			for _, d := range f.ast.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok || fn.Body == nil || !hasContext(fn.Type) {
					continue
				}
				functions++
				ast.Inspect(fn.Body, func(n ast.Node) bool {
					call, ok := n.(*ast.CallExpr)
					if !ok {
						return true
					}
					method, ok := call.Fun.(*ast.SelectorExpr)
					if !ok {
						return true
					}
					log, ok := method.X.(*ast.SelectorExpr)
					if ok && log.Sel.Name == "log" && strings.Contains("Debug Info Warn Error", method.Sel.Name) {
						t.Errorf("%s: %s logs with %s; write %sContext(ctx, …), so that the line names its request", f.name, fn.Name, method.Sel.Name, method.Sel.Name)
					}
					return true
				})
			}
		}
	}
	if functions < 50 {
		t.Errorf("only %d functions looked at", functions)
	}
}

func hasContext(f *ast.FuncType) bool {
	for _, p := range f.Params.List {
		for _, name := range p.Names {
			if name.Name == "ctx" {
				return true
			}
		}
	}
	return false
}
