package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// page is a page of the documentation, whose files and commands the tests use, so that it stays true.
type page struct {
	t    *testing.T
	name string
	text string
	is   *strings.Replacer // the addresses and names of the page, for those of a world
}

// readPage reads one below docs. oldnew are what differs between the page and the test.
func readPage(t *testing.T, name string, oldnew ...string) *page {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(oldnew); i += 2 {
		if !strings.Contains(string(b), oldnew[i]) {
			t.Errorf("%s does not say %q any more", name, oldnew[i])
		}
	}
	return &page{t, name, string(b), strings.NewReplacer(oldnew...)}
}

// section is what stands under a heading.
func (p *page) section(heading string) string {
	p.t.Helper()
	_, rest, ok := strings.Cut(p.text, "\n## "+heading+"\n")
	if !ok {
		p.t.Fatalf("%s has no section %q", p.name, heading)
	}
	here, _, _ := strings.Cut(rest, "\n## ")
	return here
}

// says holds a section to words that the test goes by.
func (p *page) says(heading string, words ...string) {
	p.t.Helper()
	text := strings.Join(strings.Fields(p.section(heading)), " ")
	for _, w := range words {
		if !strings.Contains(text, w) {
			p.t.Errorf("%s, %s: does not say %q any more", p.name, heading, w)
		}
	}
}

// file is what a section says to write into a file.
func (p *page) file(heading, path string) string {
	p.t.Helper()
	_, rest, _ := strings.Cut(p.section(heading), "`"+path+"`")
	_, rest, _ = strings.Cut(rest, "```yaml\n")
	text, _, ok := strings.Cut(rest, "```")
	if !ok {
		p.t.Fatalf("%s, %s: nothing is to be written into %s", p.name, heading, path)
	}
	return p.is.Replace(text)
}

var block = regexp.MustCompile("(?s)\n```\n(.*?)```")

// commands are those that a section says to give, each as words; quotation marks keep some together.
func (p *page) commands(heading string) (all [][]string) {
	p.t.Helper()
	for _, b := range block.FindAllStringSubmatch(p.section(heading), -1) {
		for line := range strings.Lines(b[1]) {
			line = strings.TrimPrefix(strings.TrimSpace(line), "# ")
			program, _, _ := strings.Cut(line, " ")
			switch program {
			case "ownline", "ownline-core", "ownline-web", "nft", "sysctl":
				all = append(all, words(p.is.Replace(line)))
			}
		}
	}
	if len(all) == 0 {
		p.t.Fatalf("%s, %s: there are no commands", p.name, heading)
	}
	return all
}

func words(line string) (all []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			all = append(all, part)
		} else {
			all = append(all, strings.Fields(part)...)
		}
	}
	return all
}
