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
