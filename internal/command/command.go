// Package command is what the command lines of the programs share: exit codes, how errors
// and results are printed, and how a password is asked for.
//
// Results go to standard output, talk to standard error.
package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ownline/ownline/internal/version"
)

// The exit codes.
const (
	ExitDone   = 0
	ExitFailed = 1
	ExitUsage  = 2
)

// UsageError says that a command was written wrongly.
type UsageError struct{ Err error }

// Error returns the text of the error within.
func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap returns the error within.
func (e *UsageError) Unwrap() error { return e.Err }

// Usagef makes a UsageError.
func Usagef(format string, args ...any) error { return &UsageError{fmt.Errorf(format, args...)} }

// ExitError ends the program with another exit code, and prints nothing: what was run on
// the user's behalf has spoken already.
type ExitError struct{ Code int }

// Error names the code.
func (e *ExitError) Error() string { return fmt.Sprintf("exit status %d", e.Code) }

// Main runs the command line and returns the exit code. Errors are printed as
// "PROGRAM: COMMAND: what is wrong".
func Main(ctx context.Context, root *cobra.Command, args []string) int {
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetArgs(args)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &UsageError{err} })
	begun := false
	root.Version = version.String()
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	prepare(root, &begun)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return ExitDone
	}
	if exit, ok := errors.AsType[*ExitError](err); ok {
		return exit.Code
	}
	where := strings.ReplaceAll(cmd.CommandPath(), " ", ": ")
	if i := strings.Index(where, ": "); i >= 0 {
		where = where[:i] + ": " + strings.ReplaceAll(where[i+2:], ": ", " ")
	}
	fmt.Fprintf(root.ErrOrStderr(), "%s: %s\n", where, strings.TrimSpace(explain(err)))
	if _, usage := errors.AsType[*UsageError](err); usage || !begun {
		fmt.Fprintf(root.ErrOrStderr(), "Run `%s --help` for how to use it.\n", cmd.CommandPath())
		return ExitUsage
	}
	return ExitFailed
}

// prepare makes errors of arguments usage errors, and notes when a command itself begins:
// what cobra says before that is about usage.
func prepare(cmd *cobra.Command, begun *bool) {
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			*begun = true
			return run(cmd, args)
		}
	}
	if cmd.HasSubCommands() && cmd.RunE == nil {
		// A group without a command is a mistake; cobra would print the help and be content.
		cmd.Args = cobra.ArbitraryArgs
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return Usagef("there is no command %q", args[0])
			}
			return Usagef("a command is missing; there are: %s", strings.Join(names(cmd), ", "))
		}
	}
	cmd.DisableFlagsInUseLine = true
	for _, sub := range cmd.Commands() {
		prepare(sub, begun)
	}
}

func names(cmd *cobra.Command) []string {
	var out []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			out = append(out, sub.Name())
		}
	}
	return out
}

// explain shortens what happens often.
func explain(err error) string {
	if errors.Is(err, context.Canceled) {
		return "stopped"
	}
	return err.Error()
}

// PrintJSON writes v for programs: indented, with a newline at the end.
func PrintJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// Table writes rows in aligned columns. Without rows it writes nothing but the empty line
// given.
func Table(w io.Writer, head []string, rows [][]string, empty string) error {
	if len(rows) == 0 {
		_, err := fmt.Fprintln(w, empty)
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{head}, rows...) {
		for i, cell := range row {
			if row[i] = clean(cell); row[i] == "" {
				row[i] = "-"
			}
		}
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

// clean keeps what others chose from moving the terminal's cursor or the columns, and from
// being shown in another order than it is written (Unicode's Bidi_Control).
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// Args says which arguments a command takes, by their names; those in [brackets] may be
// left out.
func Args(want ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > len(want) {
			return Usagef("%q is one argument too many%s", args[len(want)], perhapsValue(cmd, args[len(want)]))
		}
		if len(args) < len(want) && !strings.HasPrefix(want[len(args)], "[") {
			return Usagef("%s is missing", want[len(args)])
		}
		return nil
	}
}

// perhapsValue tells how a value is given to a flag that may go without: "--flag value" are two arguments.
func perhapsValue(cmd *cobra.Command, arg string) (hint string) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.NoOptDefVal != "" && f.Value.Type() != "bool" && f.Value.String() == f.NoOptDefVal {
			hint = fmt.Sprintf("; if it is the value of --%s, write --%s=%s", f.Name, f.Name, arg)
		}
	})
	return hint
}
