package treetest

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// document is one page, with what it says in code: spans and fenced blocks.
type document struct {
	name string
	text string
	code []string // one span, or one line of a block
}

var (
	fence  = regexp.MustCompile("(?ms)^```[^\n]*\n(.*?)^```$")
	span   = regexp.MustCompile("`([^`\n]+)`")
	link   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	target = regexp.MustCompile(`(?m)^([a-z][a-z0-9-]*)\s*:`)
)

// documents reads every page of Markdown.
func documents(t *testing.T) []document {
	t.Helper()
	var out []document
	for _, name := range files(t, ".md") {
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		d := document{name: name, text: string(b)}
		prose := fence.ReplaceAllStringFunc(d.text, func(block string) string {
			d.code = append(d.code, strings.Split(fence.FindStringSubmatch(block)[1], "\n")...)
			return ""
		})
		for _, m := range span.FindAllStringSubmatch(prose, -1) {
			d.code = append(d.code, m[1])
		}
		out = append(out, d)
	}
	if len(out) < 10 {
		t.Fatalf("only %d documents found", len(out))
	}
	return out
}

func exists(t *testing.T, name string) bool {
	t.Helper()
	_, err := os.Stat(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

// Links between documents lead somewhere.
func TestLinks(t *testing.T) {
	for _, d := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(d.text, ""), -1) {
			to, _, _ := strings.Cut(m[1], "#")
			if to == "" || strings.Contains(to, ":") {
				continue // within the page, or elsewhere
			}
			if !exists(t, path.Join(path.Dir(d.name), to)) {
				t.Errorf("%s links to %s, which does not exist", d.name, m[1])
			}
		}
	}
}

// inTree are the folders whose names begin the name of something in the tree.
var inTree = regexp.MustCompile(`^(?:\./)?((?:cmd|internal|spec|docs|test|pwa|changelog)/[A-Za-z0-9_./-]*)`)

// Folders and files that documents name exist.
func TestNamedFiles(t *testing.T) {
	for _, d := range documents(t) {
		for _, c := range d.code {
			for _, word := range strings.Fields(c) {
				m := inTree.FindStringSubmatch(word)
				if m == nil || strings.ContainsAny(word, "*…{<") {
					continue
				}
				name := strings.TrimRight(m[1], "/.") // "./internal/..." and the end of a sentence
				if !exists(t, name) {
					t.Errorf("%s names %s, which does not exist", d.name, word)
				}
			}
		}
	}
}

// Targets of make that documents name exist.
func TestNamedTargets(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no Makefile")
	}
	if err != nil {
		t.Fatal(err)
	}
	targets := map[string]bool{}
	for _, m := range target.FindAllStringSubmatch(string(b), -1) {
		targets[m[1]] = true
	}
	for _, d := range documents(t) {
		for _, c := range d.code {
			words := strings.Fields(strings.TrimPrefix(c, "$ "))
			if len(words) < 2 || words[0] != "make" {
				continue
			}
			for _, w := range words[1:] {
				if strings.HasPrefix(w, "#") {
					break
				}
				if !strings.Contains(w, "=") && !targets[w] {
					t.Errorf("%s says %q, but the Makefile has no target %s", d.name, c, w)
				}
			}
		}
	}
}

// programs are the folders in which a program's commands are written down.
var programs = map[string][]string{
	"ownline-core": {"cmd/ownline-core"},
	"ownline-web":  {"cmd/ownline-web", "internal/web"},
	"ownline":      {"cmd/ownline", "internal/cli"},
}

// commandName finds the names of commands in sources: of our own table in ownline-core, and of
// the framework's elsewhere.
var commandName = regexp.MustCompile(`(?:\bUse:|\bname:|\bgroup\()\s*"([a-z-]+)`)

// commands returns those of a program that is in the tree; help and version are in all.
func commands(t *testing.T, program string) map[string]bool {
	t.Helper()
	if !exists(t, "cmd/"+program) {
		return nil
	}
	all := map[string]bool{"help": true, "completion": true}
	for _, name := range files(t, ".go") {
		for _, folder := range programs[program] {
			if !below(name, folder) || strings.HasSuffix(name, "_test.go") {
				continue
			}
			b, err := os.ReadFile(filepath.Join(root, name))
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range commandName.FindAllSubmatch(b, -1) {
				all[string(m[1])] = true
			}
		}
	}
	return all
}

// Commands that documents show exist: the word behind the name of a program.
func TestNamedCommands(t *testing.T) {
	word := regexp.MustCompile(`^[a-z][a-z-]*$`)
	for program := range programs {
		known := commands(t, program)
		if known == nil {
			continue
		}
		if len(known) < 4 {
			t.Errorf("%s: found only the commands %v", program, slices.Sorted(maps.Keys(known)))
		}
		for _, d := range documents(t) {
			for _, c := range d.code {
				words := strings.Fields(strings.TrimPrefix(strings.TrimPrefix(c, "# "), "$ "))
				if len(words) > 0 && words[0] == "sudo" {
					words = words[1:]
				}
				if len(words) > 1 && path.Base(words[0]) == program && word.MatchString(words[1]) && !known[words[1]] {
					t.Errorf("%s says %q, but %s has no command %s", d.name, c, program, words[1])
				}
			}
		}
	}
}
