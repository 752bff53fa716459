package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/command"
	"github.com/ownline/ownline/internal/web"
	"github.com/ownline/ownline/internal/web/transfer"
	"github.com/ownline/ownline/internal/wholefile"
)

func (a *app) export() *cobra.Command {
	var secrets, history, force bool
	cmd := &cobra.Command{
		Use: "export [FILE]", Short: "Write everything that the database holds as one YAML file",
		Long: `Write what the database holds as one YAML file: sites, users, services, grants and devices.
Without FILE it goes to standard output; a FILE is for its owner alone,
and one that is there stays unless --force is given. ` + "`ownline-web import`" + `
takes it into the same or another database. docs/reference/export.md says what is in it.

Without --secrets users need new passwords where the file is imported, devices have to be
enrolled again, and sites to be paired again. With it the file is worth as much as the
database and its key together: whoever reads it can knock.`,
		Example: `  ownline-web export house.yaml
  ownline-web export --secrets --history move.yaml`,
		Args: command.Args("[FILE]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && !force {
				if _, err := os.Lstat(args[0]); !errors.Is(err, os.ErrNotExist) {
					return cmp.Or(err, fmt.Errorf("%s is there already; --force replaces it", args[0]))
				}
			}
			return a.with(cmd.Context(), func(w *web.Web) error {
				d, err := transfer.Export(cmd.Context(), w.Access(), me, secrets, history)
				if err != nil {
					return err
				}
				if secrets {
					fmt.Fprintln(cmd.ErrOrStderr(), "This file holds the secrets of every device, of second factors and of the link to the routers. Keep it as you keep a key, and delete it when it has done its work.")
				}
				switch {
				case len(args) > 0:
					if err := writeDocument(args[0], d); err != nil {
						return err
					}
					counts := map[string]any{
						"file": args[0], "secrets": secrets, "sites": len(d.Sites), "users": len(d.Users), "services": len(d.Services),
						"grants": len(d.Grants), "devices": len(d.Devices), "history": len(d.History),
					}
					return a.say(cmd, counts, "%s holds %d sites, %d users, %d services, %d grants, %d devices and %d sessions of history.",
						args[0], len(d.Sites), len(d.Users), len(d.Services), len(d.Grants), len(d.Devices), len(d.History))
				case a.json:
					return command.PrintJSON(cmd.OutOrStdout(), d)
				}
				return d.WriteYAML(cmd.OutOrStdout())
			})
		},
	}
	cmd.Flags().BoolVar(&secrets, "secrets", false, "with all that lets in: hashes of passwords and tokens, second factors, passkeys, invitations, the secrets of devices and the key of the link")
	cmd.Flags().BoolVar(&history, "history", false, "with the sessions that are over")
	cmd.Flags().BoolVar(&force, "force", false, "replace a FILE that is there")
	return cmd
}

// writeDocument writes a file that only its owner can read.
func writeDocument(name string, d transfer.Document) error {
	var b bytes.Buffer
	if err := d.WriteYAML(&b); err != nil {
		return err
	}
	return wholefile.Write(name, b.Bytes(), 0o600)
}

// importFlags are those of import.
type importFlags struct {
	transfer.Options
	users, services, site string // the prototype's files
	convert, yes          bool
}

func (a *app) importFile() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Make the database what a YAML file says",
		Long: `Make the database what a file says that ` + "`ownline-web export`" + ` wrote, or that you wrote by
hand: sections may be missing, identifiers too, and things are referred to by name. Give -
to read standard input. All of it is done or nothing; a second time changes nothing. What
the file does not name stays, unless --prune is given.

A thing in the file is whole: a key that is left out has its default. Only passwords and
secrets stay as they are when they are left out.

--users and --services take the files of the Python prototype instead of FILE.
docs/reference/export.md says how both are read.`,
		Example: `  ownline-web import house.yaml --dry-run
  ownline-web import house.yaml --prune
  ownline-web import --users users.csv --services services.csv --site home`,
		Args: command.Args("[FILE]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, notes, err := f.read(cmd, args)
			if err != nil {
				return err
			}
			if f.convert {
				printNotes(cmd.ErrOrStderr(), notes)
				if a.json {
					return command.PrintJSON(cmd.OutOrStdout(), file.Document)
				}
				return file.WriteYAML(cmd.OutOrStdout())
			}
			return a.with(cmd.Context(), func(w *web.Web) error {
				if err := f.confirm(cmd, w, file); err != nil {
					return err
				}
				r, err := transfer.Import(cmd.Context(), w.Access(), me, file, f.Options)
				if err != nil {
					return err
				}
				r.Notes = append(notes, r.Notes...)
				return a.print(cmd, r, func(out io.Writer) error {
					printChanges(out, r)
					printNotes(cmd.ErrOrStderr(), r.Notes)
					return nil
				})
			})
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.DryRun, "dry-run", false, "show what would change, and change nothing")
	flags.BoolVar(&f.Prune, "prune", false, "remove what the file's sections do not name")
	flags.BoolVar(&f.yes, "yes", false, "do not ask before removing")
	flags.StringVar(&f.users, "users", "", "the prototype's CSV file of users")
	flags.StringVar(&f.services, "services", "", "the prototype's CSV file of services")
	flags.StringVar(&f.site, "site", "", "where the services of a CSV file are (default: the only site)")
	flags.BoolVar(&f.convert, "convert", false, "print what the CSV files say as YAML, to edit, and change nothing")
	return cmd
}

func (f *importFlags) read(cmd *cobra.Command, args []string) (file transfer.File, notes []string, err error) {
	csv := f.users != "" || f.services != ""
	switch {
	case csv && len(args) > 0:
		return file, nil, command.Usagef("%q is one argument too many: --users and --services stand for FILE", args[0])
	case !csv && len(args) == 0:
		return file, nil, command.Usagef("FILE is missing")
	case !csv && (f.site != "" || f.convert):
		return file, nil, command.Usagef("--site and --convert are for --users and --services")
	case !csv:
		name, content := args[0], []byte(nil)
		if name == "-" {
			name = "standard input"
			content, err = io.ReadAll(cmd.InOrStdin())
		} else {
			content, err = os.ReadFile(name)
		}
		if err == nil {
			file, err = transfer.Parse(name, content)
		}
		return file, nil, err
	}
	users, err := openIf(f.users)
	if err != nil {
		return file, nil, err
	}
	services, err := openIf(f.services)
	if err != nil {
		return file, nil, err
	}
	return transfer.ParsePrototype(f.users, users, f.services, services, f.site)
}

// openIf reads a file; without a name there is nothing to read.
func openIf(name string) (io.Reader, error) {
	if name == "" {
		return nil, nil
	}
	content, err := os.ReadFile(name)
	return strings.NewReader(string(content)), err
}

// confirm shows on a terminal what would be removed, and asks.
func (f *importFlags) confirm(cmd *cobra.Command, w *web.Web, file transfer.File) error {
	in, ok := cmd.InOrStdin().(*os.File)
	if !f.Prune || f.DryRun || f.yes || !ok || !command.IsTerminal(in) {
		return nil
	}
	o := f.Options
	o.DryRun = true
	r, err := transfer.Import(cmd.Context(), w.Access(), me, file, o)
	if err != nil {
		return err
	}
	n := 0
	for _, c := range r.Changes {
		if c.Op == transfer.Removed {
			fmt.Fprintf(cmd.ErrOrStderr(), "- %s %s\n", c.Kind, c.Name)
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return ask(cmd.Context(), in, cmd.ErrOrStderr(), fmt.Sprintf("Remove these %d, and end their sessions?", n))
}

func ask(ctx context.Context, in io.Reader, talk io.Writer, question string) error {
	fmt.Fprintf(talk, "%s [y/N] ", question)
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if a := strings.ToLower(strings.TrimSpace(line)); a != "y" && a != "yes" {
		return errors.New("nothing was changed")
	}
	return ctx.Err()
}

var marks = map[string]string{transfer.Added: "+", transfer.Changed: "~", transfer.Removed: "-"}

func printChanges(out io.Writer, r transfer.Result) {
	counts := map[string]int{}
	for _, c := range r.Changes {
		counts[c.Op]++
		fmt.Fprintln(out, strings.TrimSpace(fmt.Sprintf("%s %s %s", marks[c.Op], c.Kind, c.Name)))
		for _, f := range c.Fields {
			if c.Op == transfer.Changed {
				fmt.Fprintf(out, "    %s: %s -> %s\n", f.Name, orNone(f.From), orNone(f.To))
			} else {
				fmt.Fprintf(out, "    %s: %s\n", f.Name, f.To)
			}
		}
	}
	would := ""
	if !r.Applied {
		would = "would be "
	}
	if len(r.Changes) == 0 && r.History == 0 {
		fmt.Fprintln(out, "Nothing differs.")
		return
	}
	fmt.Fprintf(out, "%d %sadded, %d changed, %d removed", counts[transfer.Added], would, counts[transfer.Changed], counts[transfer.Removed])
	if r.History > 0 {
		fmt.Fprintf(out, ", %d sessions of history added", r.History)
	}
	fmt.Fprintln(out, ".")
}

func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func printNotes(talk io.Writer, notes []string) {
	for _, n := range notes {
		fmt.Fprintln(talk, "note:", n)
	}
}
