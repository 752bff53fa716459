package cli

import (
	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/apiclient"
	"github.com/ownline/ownline/internal/command"
)

func (a *app) adminAudit() *cobra.Command {
	var q apiclient.AuditQuery
	var user, site, since, until string
	cmd := &cobra.Command{
		Use: "audit", Short: "Show what was done, by whom, the newest first",
		Long: `Show what was done, by whom and from where, the newest first. --since and --until take a time
like 2026-03-01, 2026-03-01T12:00:00Z or 24h (ago).`,
		Example: "  ownline admin audit --user ana --since 24h\n  ownline admin audit --action session.open --limit 10 --json",
		Args:    command.Args(),
		RunE: a.asking(func(cmd *cobra.Command, _ []string, c *apiclient.Client) (err error) {
			if q.Limit < 1 {
				return command.Usagef("--limit: %d is less than one", q.Limit)
			}
			if q.From, err = parseTime("--since", since); err != nil {
				return err
			}
			if q.Until, err = parseTime("--until", until); err != nil {
				return err
			}
			if user != "" {
				u, err := findUser(cmd.Context(), c, user)
				if err != nil {
					return err
				}
				q.Actor = u.ID
			}
			if site != "" {
				s, err := findSite(cmd.Context(), c, site)
				if err != nil {
					return err
				}
				q.Site = s.ID
			}
			list, err := c.Audit(cmd.Context(), q)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, l := range list {
				rows = append(rows, []string{l.At.Local().Format("2006-01-02 15:04:05"), l.ActorName, l.By, l.Client, l.Action, l.SiteName, l.Detail})
			}
			return a.table(cmd, list, []string{"AT", "WHO", "BY", "FROM", "ACTION", "SITE", "DETAIL"}, rows, "Nothing was done.")
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&user, "user", "", "only what this user did")
	flags.StringVar(&q.By, "by", "", "only what was done so: login, token, knock, command or system")
	flags.StringVar(&q.Action, "action", "", "only this, as in session.open")
	flags.StringVar(&q.Subject, "subject", "", "only what was done to it: an identifier or a name")
	flags.StringVar(&site, "site", "", "only at this site")
	flags.StringVar(&since, "since", "", "only then or later")
	flags.StringVar(&until, "until", "", "only before")
	flags.IntVar(&q.Limit, "limit", 50, "at most so many")
	return cmd
}
