package main

import (
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/command"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/api"
)

func (a *app) grant() *cobra.Command {
	return group(&cobra.Command{Use: "grant", Short: "Let users use services"}, a.grantAdd(), a.grantList(), a.grantRemove())
}

func (a *app) grantAdd() *cobra.Command {
	var n access.NewGrant
	cmd := &cobra.Command{
		Use: "add USER SERVICE", Short: "Let a user use a service",
		Long: `Let a user use a service. An automatic one is opened by every knock of the user's devices.
With --port the public port is always the same, so that programs can be told of it.`,
		Example: `  ownline-web grant add ana ssh --automatic
  ownline-web grant add ana home/web --port 20443 --max 2h`,
		Args: command.Args("USER", "SERVICE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if n.MaxDuration < 0 {
				return command.Usagef("--max: %s is not a time to come", n.MaxDuration)
			}
			return a.with(cmd.Context(), func(w *web.Web) error {
				u, err := w.Access().UserNamed(cmd.Context(), me, args[0])
				if err != nil {
					return err
				}
				s, err := oneService(cmd.Context(), w, args[1])
				if err != nil {
					return err
				}
				n.User, n.Service = u.ID, s.ID
				g, err := w.Access().AddGrant(cmd.Context(), me, n)
				if err != nil {
					return err
				}
				return a.say(cmd, api.View(g, true), "%s may use %s.", u.Name, s.Name)
			})
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&n.Automatic, "automatic", false, "a knock opens it")
	flags.Uint16Var(&n.PublicPort, "port", 0, "the public port (default: any)")
	flags.BoolVar(&n.AllowReserved, "allow-reserved", false, "the port may be one that the router serves itself")
	flags.DurationVar(&n.MaxDuration, "max", 0, "the longest that a session may last (default: what the configuration says)")
	flags.IntVar(&n.MaxSources, "sources", 0, "how many addresses of one device may be open side by side (default: 2)")
	flags.BoolVar(&n.RequireClaimedSource, "require-claimed-source", false, "knocks open it only if they name the address that they come from")
	flags.StringSliceVar(&n.AllowedFrom, "from", nil, "countries, providers and networks that sessions may be opened from, like ES,AS3352,198.51.100.0/24 (empty: anywhere)")
	return cmd
}

func (a *app) grantList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List who may use what", Args: command.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(w *web.Web) error {
				ctx := cmd.Context()
				list, err := all(func(p ownline.Page) ([]ownline.Grant, string, error) {
					return w.Access().Grants(ctx, me, ownline.GrantQuery{Page: p})
				})
				if err != nil {
					return err
				}
				us, err := users(ctx, w)
				if err != nil {
					return err
				}
				ss, err := services(ctx, w, ownline.SiteID{})
				if err != nil {
					return err
				}
				site, err := siteNames(ctx, w)
				if err != nil {
					return err
				}
				userName, serviceName := map[ownline.UserID]string{}, map[ownline.ServiceID]string{}
				for _, u := range us {
					userName[u.ID] = u.Name
				}
				for _, s := range ss {
					serviceName[s.ID] = site[s.Site] + "/" + s.Name
				}
				return a.print(cmd, views(list), func(out io.Writer) error {
					var rows [][]string
					for _, g := range list {
						automatic, port, longest := "", "any", ""
						if g.Automatic {
							automatic = "automatic"
						}
						if g.PublicPort != 0 {
							port = strconv.Itoa(int(g.PublicPort))
						}
						if g.MaxDuration != 0 {
							longest = g.MaxDuration.Round(time.Second).String()
						}
						rows = append(rows, []string{userName[g.User], serviceName[g.Service], automatic, port, longest})
					}
					return command.Table(out, []string{"USER", "SERVICE", "BY KNOCK", "PORT", "LONGEST"}, rows, "Nobody may use anything. `ownline-web grant add USER SERVICE` changes that.")
				})
			})
		},
	}
}

func (a *app) grantRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove USER SERVICE", Short: "Take a grant away, and end its sessions",
		Example: "  ownline-web grant remove ana ssh",
		Args:    command.Args("USER", "SERVICE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(w *web.Web) error {
				ctx := cmd.Context()
				u, err := w.Access().UserNamed(ctx, me, args[0])
				if err != nil {
					return err
				}
				s, err := oneService(ctx, w, args[1])
				if err != nil {
					return err
				}
				list, _, err := w.Access().Grants(ctx, me, ownline.GrantQuery{User: u.ID, Service: s.ID})
				if err != nil {
					return err
				}
				if len(list) == 0 {
					return ownline.NotFound("grant", u.Name+" "+s.Name)
				}
				if err := w.Access().RemoveGrant(ctx, me, list[0].ID); err != nil {
					return err
				}
				return a.say(cmd, removed(list[0].ID), "%s may not use %s any more.", u.Name, s.Name)
			})
		},
	}
}
