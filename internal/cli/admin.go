package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/apiclient"
	"github.com/ownline/ownline/internal/command"
)

// admin is what only admins may do; the server says so to others.
func (a *app) admin() *cobra.Command {
	return group(
		&cobra.Command{
			Use: "admin", Short: "What admins do: users, services, grants, sites, everybody's sessions",
			Long: `What admins do. Users, services and sites are named by their names or IDs, services also as
SITE/NAME. What can't be undone asks first on a terminal, unless --yes is given.`,
			Example: `  ownline admin users add bob <password.txt
  ownline admin services add ssh --target 192.168.1.10:22
  ownline admin grants add bob ssh --automatic
  ownline admin sites list`,
		},
		a.adminUsers(), a.adminServices(), a.adminGrants(), a.adminSites(), a.adminSessions(), a.closing(true), a.adminFlush(), a.invitationsOf(true), a.adminAudit(), a.adminRefusals(),
		a.loginsOf(true), a.adminNotifications(), a.adminBroker(),
	)
}

func (a *app) adminSessions() *cobra.Command {
	var f sessionFlags
	cmd := &cobra.Command{
		Use: "sessions", Short: "List everybody's sessions",
		Example: "  ownline admin sessions --user ana --ended\n  ownline admin sessions --watch",
		Args:    command.Args(),
		RunE: a.asking(func(cmd *cobra.Command, _ []string, c *apiclient.Client) error {
			return a.listSessions(cmd, c, f, f.user == "")
		}),
	}
	f.add(cmd)
	return cmd
}

func (a *app) adminFlush() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "flush", Short: "End everybody's sessions at once", Args: command.Args(),
		RunE: a.asking(func(cmd *cobra.Command, _ []string, c *apiclient.Client) error {
			if err := confirm(cmd, yes, "End everybody's sessions?"); err != nil {
				return err
			}
			done := waiting(cmd, "Waiting for the routers")
			n, err := c.Flush(cmd.Context(), true)
			done()
			if err != nil {
				return err
			}
			return a.say(cmd, n, "Sessions ended: %d", n.Ended)
		}),
	}
	yesFlag(cmd, &yes)
	return cmd
}

// changed returns a value when its flag was given, else nil.
func changed[T any](cmd *cobra.Command, flag string, v T) *T {
	if !cmd.Flags().Changed(flag) {
		return nil
	}
	return &v
}

// anyFlag refuses a change that changes nothing.
func anyFlag(cmd *cobra.Command, flags ...string) error {
	for _, f := range flags {
		if cmd.Flags().Changed(f) {
			return nil
		}
	}
	return command.Usagef("nothing to change; give one of --%s", strings.Join(flags, ", --"))
}
