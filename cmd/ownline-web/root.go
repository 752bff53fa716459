package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/command"
	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/version"
	"github.com/ownline/ownline/internal/web"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/api"
)

// app is what every command shares.
type app struct {
	config string
	json   bool
}

// me is on whose behalf commands run: whoever can open the database is an admin.
var me = access.Command()

func root() *cobra.Command {
	a := &app{}
	cmd := &cobra.Command{
		Use:   "ownline-web",
		Short: "Decide who may reach what, and command the cores of the sites",
		Long: `The server of Ownline. It keeps users, services and grants, decides on knocks and on what
people ask for in its pages, and has the cores on the routers open and close.

Beside serve, the commands open the same database; they work whether the server runs or
not, and a server that runs takes up what they change within a second. Run them as the
user that the server runs as.`,
		Example: `  ownline-web user add --admin ana
  ownline-web serve
  ownline-web site add 'ownline-core://192.168.1.1:57329?pin=…&token=…' --name home --host home.example.org
  ownline-web service add ssh --target 192.168.1.10:22
  ownline-web grant add ana ssh --automatic
  ownline-web device add laptop --user ana`,
	}
	cmd.PersistentFlags().StringVar(&a.config, "config", "", "configuration file (default "+config.WebFile+", if it is there)")
	cmd.PersistentFlags().BoolVar(&a.json, "json", false, "print results as JSON")
	cmd.AddCommand(a.serve(), a.user(), a.site(), a.service(), a.grant(), a.device(), a.guestPage(), a.notify(), a.backup(), a.restore(), a.key(), a.export(), a.importFile(), &cobra.Command{
		Use: "version", Short: "Print the version", Args: command.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.print(cmd, map[string]string{"version": version.String()}, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, "ownline-web", version.String())
				return err
			})
		},
	})
	return cmd
}

func (a *app) load() (config.Web, error) {
	cfg, err := config.LoadWeb(a.config, os.Environ())
	if err != nil {
		return cfg, fmt.Errorf("configuration:\n%w", err)
	}
	return cfg, nil
}

// with opens the database for one command, quietly: what the log would say is for the
// server to say.
func (a *app) with(ctx context.Context, f func(w *web.Web) error) (err error) {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	w, err := web.Open(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	return f(w)
}

// print writes v as JSON, or lets human write it for people.
func (a *app) print(cmd *cobra.Command, v any, human func(w io.Writer) error) error {
	if a.json {
		return command.PrintJSON(cmd.OutOrStdout(), v)
	}
	return human(cmd.OutOrStdout())
}

// say writes a line for people where a program gets v.
func (a *app) say(cmd *cobra.Command, v any, format string, args ...any) error {
	return a.print(cmd, v, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, format+"\n", args...)
		return err
	})
}

// views shows a list as the API does.
func views[T any](list []T) []any {
	out := make([]any, 0, len(list))
	for _, v := range list {
		out = append(out, api.View(v, true))
	}
	return out
}

// removed is what a program gets of a command that removes.
func removed(id fmt.Stringer) any { return map[string]string{"removed": id.String()} }

// all reads every page of a list.
func all[T any](read func(ownline.Page) ([]T, string, error)) ([]T, error) {
	var out []T
	p := ownline.Page{Limit: ownline.MaxLimit}
	for {
		items, next, err := read(p)
		if err != nil {
			return nil, err
		}
		if out = append(out, items...); next == "" {
			return out, nil
		}
		p.Cursor = next
	}
}

// group is a command that is nothing but its sub-commands.
func group(cmd *cobra.Command, subs ...*cobra.Command) *cobra.Command {
	cmd.AddCommand(subs...)
	return cmd
}
