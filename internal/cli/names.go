package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/apiclient"
	"github.com/ownline/ownline/internal/command"
	"github.com/ownline/ownline/internal/ownline"
)

// asking makes the body of a command that asks the server.
func (a *app) asking(f func(cmd *cobra.Command, args []string, c *apiclient.Client) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		return f(cmd, args, c)
	}
}

// askingOf is asking about what the arguments name, one at most, which find finds.
func askingOf[T any](a *app, find func(context.Context, *apiclient.Client, string) (T, error), f func(cmd *cobra.Command, c *apiclient.Client, found T) error) func(*cobra.Command, []string) error {
	return a.asking(func(cmd *cobra.Command, args []string, c *apiclient.Client) error {
		found, err := find(cmd.Context(), c, strings.Join(args, ""))
		if err != nil {
			return err
		}
		return f(cmd, c, found)
	})
}

// say writes a line for people where a program gets v.
func (a *app) say(cmd *cobra.Command, v any, format string, args ...any) error {
	return a.print(cmd, v, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, format+"\n", args...)
		return err
	})
}

// table writes rows for people where a program gets v.
func (a *app) table(cmd *cobra.Command, v any, head []string, rows [][]string, empty string) error {
	return a.print(cmd, v, func(w io.Writer) error { return command.Table(w, head, rows, empty) })
}

// group is a command that is nothing but its sub-commands.
func group(cmd *cobra.Command, subs ...*cobra.Command) *cobra.Command {
	cmd.AddCommand(subs...)
	return cmd
}

// gone is what a program gets of a command that removes.
type gone struct {
	Removed string `json:"removed"`
}

// one finds the one thing that is meant by its ID or one of its names.
func one[T any](what, given string, list []T, id func(T) string, names func(T) []string) (found T, err error) {
	var full []string
	n := 0
	for _, v := range list {
		if id(v) == given || slices.Contains(names(v), given) {
			found = v
			full = append(full, names(v)[0])
			n++
		}
	}
	switch n {
	case 0:
		return found, ownline.NotFound(what, given)
	case 1:
		return found, nil
	}
	slices.Sort(full)
	if len(slices.Compact(full)) == 1 {
		return found, ownline.Invalid(what, fmt.Sprintf("several are called %s; give the ID of one: the short one of the list, or the whole one that --json shows", given))
	}
	return found, ownline.Invalid(what, fmt.Sprintf("%q may be %s; say which", given, strings.Join(full, " or ")))
}

func findUser(ctx context.Context, c *apiclient.Client, given string) (apiclient.User, error) {
	list, err := c.Users(ctx)
	if err != nil {
		return apiclient.User{}, err
	}
	return one("user", given, list, func(u apiclient.User) string { return u.ID }, func(u apiclient.User) []string { return []string{u.Name} })
}

// findSite finds a site; "" is the only one.
func findSite(ctx context.Context, c *apiclient.Client, given string) (apiclient.Site, error) {
	list, err := c.Sites(ctx)
	switch {
	case err != nil:
		return apiclient.Site{}, err
	case given == "" && len(list) == 1:
		return list[0], nil
	case given == "" && len(list) == 0:
		return apiclient.Site{}, ownline.NotFound("site", "any")
	case given == "":
		var names []string
		for _, s := range list {
			names = append(names, s.Name)
		}
		return apiclient.Site{}, command.Usagef("--site is missing; there are %s", strings.Join(names, ", "))
	}
	return one("site", given, list, func(s apiclient.Site) string { return s.ID }, func(s apiclient.Site) []string { return []string{s.Name} })
}

// siteNames are the names of sites by their IDs.
func siteNames(ctx context.Context, c *apiclient.Client) (map[string]string, error) {
	list, err := c.Sites(ctx)
	names := make(map[string]string, len(list))
	for _, s := range list {
		names[s.ID] = s.Name
	}
	return names, err
}

// serviceList lists services, and how they are called with their sites.
func serviceList(ctx context.Context, c *apiclient.Client) ([]apiclient.Service, func(apiclient.Service) string, error) {
	sites, err := siteNames(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	list, err := c.Services(ctx)
	return list, func(s apiclient.Service) string { return sites[s.Site] + "/" + s.Name }, err
}

func findService(ctx context.Context, c *apiclient.Client, given string) (apiclient.Service, error) {
	list, full, err := serviceList(ctx, c)
	if err != nil {
		return apiclient.Service{}, err
	}
	return one("service", given, list, func(s apiclient.Service) string { return s.ID }, func(s apiclient.Service) []string { return []string{full(s), s.Name} })
}

// confirm asks on a terminal before something is done that can't be undone. Where nobody
// sits, the command itself is the answer.
func confirm(cmd *cobra.Command, yes bool, format string, args ...any) error {
	in, ok := cmd.InOrStdin().(*os.File)
	if yes || !ok || !command.IsTerminal(in) {
		return nil
	}
	fmt.Fprintf(cmd.ErrOrStderr(), format+" [y/N] ", args...)
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
		return errors.New("nothing was done")
	}
	return nil
}

func yesFlag(cmd *cobra.Command, yes *bool) {
	cmd.Flags().BoolVar(yes, "yes", false, "do not ask")
}

// waiting says on a terminal what is waited for, until done is called.
func waiting(cmd *cobra.Command, format string, args ...any) (done func()) {
	f, ok := cmd.ErrOrStderr().(*os.File)
	if !ok || !command.IsTerminal(f) {
		return func() {}
	}
	text := fmt.Sprintf(format, args...) + "…"
	fmt.Fprint(f, text)
	return func() { fmt.Fprintf(f, "\r%s\r", strings.Repeat(" ", len([]rune(text)))) }
}

// completing offers names that the server knows.
func (a *app) completing(names ...func(context.Context, *apiclient.Client) ([]string, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= len(names) || a.findDir() != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		c, err := a.client()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		list, err := names[len(args)](cmd.Context(), c)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return list, cobra.ShellCompDirectiveNoFileComp
	}
}

func userNames(ctx context.Context, c *apiclient.Client) (out []string, err error) {
	list, err := c.Users(ctx)
	for _, u := range list {
		out = append(out, u.Name)
	}
	return out, err
}

func siteNameList(ctx context.Context, c *apiclient.Client) (out []string, err error) {
	list, err := c.Sites(ctx)
	for _, s := range list {
		out = append(out, s.Name)
	}
	return out, err
}

func serviceNames(ctx context.Context, c *apiclient.Client) (out []string, err error) {
	list, full, err := serviceList(ctx, c)
	for _, s := range list {
		out = append(out, full(s))
	}
	return out, err
}

func deviceNames(ctx context.Context, c *apiclient.Client) (out []string, err error) {
	list, full, err := deviceList(ctx, c, "")
	for _, d := range list {
		out = append(out, full(d))
	}
	return out, err
}
