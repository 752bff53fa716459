package cli

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/apiclient"
	"github.com/ownline/ownline/internal/command"
)

func (a *app) adminRefusals() *cobra.Command {
	var site string
	var days int
	cmd := &cobra.Command{
		Use: "refusals", Short: "Show how often knocks were refused, and why",
		Long: `Show how often knocks were refused and why, all of one kind in one line, the latest first. What
the reasons mean is in docs/reference/refusals.md.`,
		Example: "  ownline admin refusals\n  ownline admin refusals --site home --days 30 --json",
		Args:    command.Args(),
		RunE: a.asking(func(cmd *cobra.Command, _ []string, c *apiclient.Client) error {
			if days < 1 || days > 3660 {
				return command.Usagef("--days: %d is not from 1 to 3660", days)
			}
			id := ""
			if site != "" {
				s, err := findSite(cmd.Context(), c, site)
				if err != nil {
					return err
				}
				id = s.ID
			}
			list, err := c.Refusals(cmd.Context(), id, days)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, r := range list {
				device := r.DeviceName
				if device != "" {
					device = r.UserName + "/" + device
				}
				rows = append(rows, []string{strconv.FormatUint(r.Number, 10), r.Reason, device, r.SiteName, r.First.Local().Format(time.DateTime), r.Latest.Local().Format(time.DateTime)})
			}
			return a.table(cmd, list, []string{"TIMES", "REASON", "DEVICE", "SITE", "FIRST", "LATEST"}, rows, "No knock was refused.")
		}),
	}
	cmd.Flags().StringVar(&site, "site", "", "only at this site")
	cmd.Flags().IntVar(&days, "days", 7, "today (in UTC) and those before, so many in all")
	_ = cmd.RegisterFlagCompletionFunc("site", a.completing(siteNameList))
	return cmd
}
