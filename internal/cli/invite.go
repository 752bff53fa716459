package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"rsc.io/qr"

	"github.com/ownline/ownline/internal/apiclient"
	"github.com/ownline/ownline/internal/command"
	"github.com/ownline/ownline/internal/ownline"
)

func (a *app) invite() *cobra.Command {
	var r apiclient.InviteRequest
	var length, lasts time.Duration
	var code bool
	cmd := &cobra.Command{
		Use: "invite SERVICE [--for 30m] [--uses 1] [--expires 24h] [--message TEXT]", Short: "Invite somebody without an account to a service",
		Long: `Make a link by which somebody without an account opens a service for the address that they
are at. The link is shown once. Looking at it opens nothing: that takes a click. Their
sessions are in your lists, and end with your grant or when you revoke the invitation.`,
		Example: `  ownline invite photos
  ownline invite home/photos --for 2h --uses 3 --expires 72h --message 'The pictures of Sunday'
  ownline invite photos --country ES --country PT --qr`,
		Args:              command.Args("SERVICE"),
		ValidArgsFunction: a.completeService,
		RunE: func(cmd *cobra.Command, args []string) error {
			for flag, d := range map[string]time.Duration{"for": length, "expires": lasts} {
				if cmd.Flags().Changed(flag) && d <= 0 {
					return command.Usagef("--%s: %s is not a time to come", flag, d)
				}
			}
			if cmd.Flags().Changed("uses") && r.Uses < 1 {
				return command.Usagef("--uses: must be at least 1")
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
			r.Service = s.ID
			if length > 0 {
				r.For = length.String()
			}
			if lasts > 0 {
				r.ExpiresIn = lasts.String()
			}
			i, err := c.Invite(cmd.Context(), r)
			if err != nil {
				return err
			}
			return a.print(cmd, i, func(w io.Writer) error { return writeInvitation(w, i, code) })
		},
	}
	f := cmd.Flags()
	f.DurationVar(&length, "for", 0, "how long each session lasts (default: what the server says)")
	f.IntVar(&r.Uses, "uses", 0, "how many sessions it opens (default 1)")
	f.DurationVar(&lasts, "expires", 0, "how long the link can be used (default 24h)")
	f.StringVar(&r.Message, "message", "", "what the guest is told")
	f.StringSliceVar(&r.Countries, "country", nil, "let in guests from there only: two letters, like ES; may be repeated")
	f.BoolVar(&code, "qr", false, "draw the link as a QR code, too")
	return cmd
}

func writeInvitation(w io.Writer, i apiclient.Invited, code bool) error {
	fmt.Fprintf(w, "%s\n\nOpens %s for %s, %s. The link expires %s. It is shown only now; revoke it with:\n  ownline invitations revoke %s\n",
		i.Link, i.ServiceName, i.For, times(i.Uses), command.When(i.Expires, time.Now()), shortID(i.ID))
	if i.InsideLink != "" {
		fmt.Fprintf(w, "For a guest who can reach the server:\n  %s\n", i.InsideLink)
	}
	if !code {
		return nil
	}
	q, err := qr.Encode(i.Link, qr.M)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(w, "\n", blocks(q))
	return err
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// blocks draws a code for a terminal, two rows a line, dark on light whatever the terminal's
// colours are.
func blocks(q *qr.Code) string {
	const margin = 4
	var b strings.Builder
	for y := -margin; y < q.Size+margin; y += 2 {
		b.WriteString("\x1b[30;107m")
		for x := -margin; x < q.Size+margin; x++ {
			switch top, bottom := q.Black(x, y), q.Black(x, y+1); {
			case top && bottom:
				b.WriteRune('█')
			case top:
				b.WriteRune('▀')
			case bottom:
				b.WriteRune('▄')
			default:
				b.WriteByte(' ')
			}
		}
		b.WriteString("\x1b[0m\n")
	}
	return b.String()
}

var invitationStates = []string{"valid", "used", "expired", "revoked"}

func (a *app) invitations() *cobra.Command { return a.invitationsOf(false) }

// invitationsOf are the commands about invitations: one's own, or for an admin those of
// everybody.
func (a *app) invitationsOf(everybody bool) *cobra.Command {
	q := apiclient.InvitationQuery{All: everybody}
	var service, site, user string
	cmd := &cobra.Command{
		Use: "invitations", Short: "List your invitations, and revoke them",
		Example: "  ownline invitations --state valid\n  ownline invitations revoke 1f3a9c20",
		Args:    command.Args(),
		RunE: a.asking(func(cmd *cobra.Command, _ []string, c *apiclient.Client) error {
			if q.State != "" && !slices.Contains(invitationStates, q.State) {
				return command.Usagef("--state: %q is not one of %s", q.State, strings.Join(invitationStates, ", "))
			}
			if service != "" {
				s, err := findService(cmd.Context(), c, service)
				if err != nil {
					return err
				}
				q.Service = s.ID
			}
			if site != "" {
				s, err := findSite(cmd.Context(), c, site)
				if err != nil {
					return err
				}
				q.Site = s.ID
			}
			if user != "" {
				u, err := findUser(cmd.Context(), c, user)
				if err != nil {
					return err
				}
				q.User, q.All = u.ID, false
			}
			list, err := c.Invitations(cmd.Context(), q)
			if err != nil {
				return err
			}
			if list == nil {
				list = []apiclient.Invitation{}
			}
			var rows [][]string
			for _, i := range list {
				rows = append(rows, []string{
					shortID(i.ID), i.SiteName + "/" + i.ServiceName, i.State, fmt.Sprintf("%d of %d", i.Used, i.Uses), i.For,
					command.When(i.Expires, time.Now()), i.UserName, strings.Join(i.Countries, " "),
				})
			}
			return a.table(cmd, list, []string{"ID", "SERVICE", "STATE", "USED", "FOR", "EXPIRES", "BY", "FROM"}, rows, "There are no invitations.")
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&q.State, "state", "", "only those that are valid, used, expired or revoked")
	flags.StringVar(&service, "service", "", "only to this service")
	flags.StringVar(&site, "site", "", "only at this site")
	if everybody {
		cmd.Short, cmd.Example = "List everybody's invitations, and revoke them", "  ownline admin invitations --user ana --state valid\n  ownline admin invitations revoke 1f3a9c20"
		a.userFlag(cmd, everybody, &user)
	} else {
		flags.BoolVar(&q.All, "all", false, "everybody's (admin)")
	}
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(invitationStates, cobra.ShellCompDirectiveNoFileComp)) // fails only for a flag that is not there
	cmd.AddCommand(a.revokeInvitation(everybody))
	return cmd
}

func (a *app) revokeInvitation(everybody bool) *cobra.Command {
	return &cobra.Command{
		Use: "revoke ID", Short: "Make an invitation worthless, and end the sessions that it opened",
		Long:    "Make an invitation worthless, and end the sessions that it opened. The ID is that of\n`ownline invitations`, whole or its end.",
		Example: "  ownline invitations revoke 1f3a9c20",
		Args:    command.Args("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			id, err := findInvitation(cmd.Context(), c, args[0], everybody)
			if err != nil {
				return err
			}
			i, err := c.RevokeInvitation(cmd.Context(), id)
			if err != nil {
				return err
			}
			return a.print(cmd, i, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "The invitation to %s is revoked, and what it opened is closed.\n", i.ServiceName)
				return err
			})
		},
	}
}

// findInvitation finds the invitation that an ID, or the end of one, means: one's own, or
// also another's.
func findInvitation(ctx context.Context, c *apiclient.Client, id string, everybody bool) (string, error) {
	if _, err := ownline.ParseID[ownline.Invitation](id); err == nil {
		return id, nil
	}
	if len(id) < 4 {
		return "", command.Usagef("%q is too short for an ID", id)
	}
	list, err := c.Invitations(ctx, apiclient.InvitationQuery{All: everybody})
	if err != nil {
		return "", err
	}
	list = slices.DeleteFunc(list, func(i apiclient.Invitation) bool { return !strings.HasSuffix(i.ID, strings.ToLower(id)) })
	switch len(list) {
	case 0:
		return "", ownline.NotFound("invitation", id)
	case 1:
		return list[0].ID, nil
	}
	return "", ownline.Invalid("invitation", "several end like this; give more of the ID")
}
