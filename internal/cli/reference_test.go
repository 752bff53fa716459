package cli

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write the reference anew")

const reference = "../../docs/reference/ownline.md"

// The reference has every command with its flags, as --help does; what stands above the
// mark is written by hand.
func TestReference(t *testing.T) {
	const mark = "<!-- from here on written by: go test ./internal/cli -update -->\n"
	b, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	head, _, ok := strings.Cut(string(b), mark)
	if !ok {
		t.Fatalf("%s has no line %s", reference, mark)
	}
	var w strings.Builder
	w.WriteString(head + mark)
	n := 0
	describe(&w, New(), &n)
	if n < 30 {
		t.Fatalf("only %d commands found", n)
	}
	if *update {
		if err := os.WriteFile(reference, []byte(w.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if w.String() != string(b) && !*update {
		t.Errorf("%s is not what the commands say; go test ./internal/cli -update", reference)
	}
}

func describe(w *strings.Builder, cmd *cobra.Command, n *int) {
	for _, sub := range cmd.Commands() {
		if sub.Runnable() {
			*n++
			describeOne(w, cmd.CommandPath(), sub)
		}
		describe(w, sub, n)
	}
}

func describeOne(w *strings.Builder, parent string, sub *cobra.Command) {
	use, _, _ := strings.Cut(sub.Use, " [--")
	use, _, _ = strings.Cut(use, " --")
	fmt.Fprintf(w, "\n## `%s %s`\n\n%s.\n", parent, use, sub.Short)
	var rows []string
	sub.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" {
			return
		}
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		if kind, _ := pflag.UnquoteUsage(f); kind != "" {
			name += " " + kind
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s |\n", name, strings.ReplaceAll(f.Usage, "|", `\|`)))
	})
	if len(rows) > 0 {
		fmt.Fprintf(w, "\n| option | meaning |\n| --- | --- |\n%s", strings.Join(rows, ""))
	}
}

// Every command says what it does, and those that take something show an example or name it.
func TestHelp(t *testing.T) {
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Short == "" {
			t.Errorf("%s does not say what it does", cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(New())
}
