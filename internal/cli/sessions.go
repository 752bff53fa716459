package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/apiclient"
	"github.com/ownline/ownline/internal/command"
	"github.com/ownline/ownline/internal/ownline"
)

func (a *app) open() *cobra.Command {
	var d time.Duration
	var port uint16
	cmd := &cobra.Command{
		Use: "open SERVICE [--for 30m] [--port N]", Short: "Open a service for the address that you are at",
		Long: `Open a service for the address that the server sees you at, or renew it when it is open
already. It is done when the address that is printed can be connected to.`,
		Example: `  ownline open ssh
  ownline open home/ssh --for 2h --port 20022`,
		Args:              command.Args("SERVICE"),
		ValidArgsFunction: a.completeService,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("for") && d <= 0 {
				return command.Usagef("--for: %s is not a time to come", d)
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			list, err := a.fetchServices(cmd.Context(), c)
			if err != nil {
				return err
			}
			s, err := pick(knownOf(list), args[0])
			if err != nil {
				return err
			}
			r := apiclient.OpenRequest{Service: s.ID, PublicPort: port}
			if d > 0 {
				r.For = d.String()
			}
			session, err := c.Open(cmd.Context(), r, ownline.NewID[ownline.Session]().String())
			if err != nil {
				return err
			}
			return a.print(cmd, session, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s is open for %s.\n  Connect to  %s (%s)\n  Until       %s\n", session.ServiceName,
					strings.TrimSuffix(session.Source, "/32"), session.Address, session.Transport, command.When(session.Expires, time.Now()))
				return err
			})
		},
	}
	cmd.Flags().DurationVar(&d, "for", 0, "how long (default: what the server says)")
	cmd.Flags().Uint16Var(&port, "port", 0, "the public port (default: any)")
	return cmd
}

func knownOf(list []listed) []known {
	var out []known
	for _, l := range list {
		out = append(out, known{ID: l.ID, Name: l.Name, Site: l.Site, SiteName: l.SiteName, PublicPort: l.PublicPort})
	}
	return out
}

func (a *app) completeService(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var keep []known
	if a.findDir() != nil || readJSON(a.knownFile(), &keep) != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, k := range keep {
		names = append(names, k.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) sessions() *cobra.Command {
	var ended, all bool
	cmd := &cobra.Command{
		Use: "sessions", Short: "List what is open",
		Args: command.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			q := apiclient.SessionQuery{State: "live", All: all}
			if ended {
				q.State = "ended"
			}
			list, err := c.Sessions(cmd.Context(), q)
			if err != nil {
				return err
			}
			if list == nil {
				list = []apiclient.Session{}
			}
			return a.print(cmd, list, func(w io.Writer) error {
				head, empty := []string{"ID", "SERVICE", "AT", "FOR", "USER", "ENDS", "UP", "DOWN"}, "Nothing is open."
				if ended {
					head[5], empty = "ENDED", "No session has ended yet."
				}
				var rows [][]string
				for _, s := range list {
					when := command.When(s.Expires, time.Now())
					if s.Ended != nil {
						when = command.When(*s.Ended, time.Now()) + " " + s.Reason
					}
					rows = append(rows, []string{
						shortID(s.ID), s.SiteName + "/" + s.ServiceName, s.Address, s.Source, s.UserName, when,
						command.Bytes(s.Traffic.UpBytes), command.Bytes(s.Traffic.DownBytes),
					})
				}
				return command.Table(w, head, rows, empty)
			})
		},
	}
	cmd.Flags().BoolVar(&ended, "ended", false, "those that are over")
	cmd.Flags().BoolVar(&all, "all", false, "everybody's (admin)")
	return cmd
}

// shortID is the end of an identifier: identifiers made at one time begin alike.
func shortID(id string) string { return id[max(len(id)-8, 0):] }

// findSession finds the live session that an ID, or the end of one, means.
func findSession(ctx context.Context, c *apiclient.Client, id string) (string, error) {
	if _, err := ownline.ParseID[ownline.Session](id); err == nil {
		return id, nil
	}
	if len(id) < 4 {
		return "", command.Usagef("%q is too short for an ID", id)
	}
	list, err := c.Sessions(ctx, apiclient.SessionQuery{State: "live"})
	if err != nil {
		return "", err
	}
	var found []string
	for _, s := range list {
		if strings.HasSuffix(s.ID, strings.ToLower(id)) {
			found = append(found, s.ID)
		}
	}
	switch len(found) {
	case 0:
		return "", ownline.NotFound("session", id)
	case 1:
		return found[0], nil
	}
	return "", ownline.Invalid("session", "several end like this; give more of the ID")
}

func (a *app) close() *cobra.Command {
	return &cobra.Command{
		Use: "close ID", Short: "End a session at once, with the connections that came through it",
		Long:    "End a session at once, with the connections that came through it. The ID is that of\n`ownline sessions`, whole or its end.",
		Example: "  ownline close 1f3a9c20",
		Args:    command.Args("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			id, err := findSession(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			s, err := c.Close(cmd.Context(), id)
			if err != nil {
				return err
			}
			return a.print(cmd, s, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s is closed for %s.\n", s.ServiceName, strings.TrimSuffix(s.Source, "/32"))
				return err
			})
		},
	}
}

func (a *app) flush() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "flush", Short: "End all of your sessions at once", Args: command.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			n, err := c.Flush(cmd.Context(), all)
			if err != nil {
				return err
			}
			return a.print(cmd, map[string]int{"ended": n}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "Sessions ended: %d\n", n)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "everybody's (admin)")
	return cmd
}
