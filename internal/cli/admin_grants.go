package cli

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/apiclient"
	"github.com/ownline/ownline/internal/command"
	"github.com/ownline/ownline/internal/ownline"
)

func (a *app) adminGrants() *cobra.Command {
	return group(&cobra.Command{Use: "grants", Short: "Let users use services, and take that away"},
		a.grantsList(), a.grantsAdd(), a.grantsSet(), a.grantsRemove())
}

func (a *app) grantsList() *cobra.Command {
	var user, service, site string
	var automatic bool
	cmd := &cobra.Command{
		Use: "list", Short: "List who may use what", Args: command.Args(),
		Example: "  ownline admin grants list --user ana\n  ownline admin grants list --site home --automatic",
		RunE: a.asking(func(cmd *cobra.Command, _ []string, c *apiclient.Client) error {
			ctx := cmd.Context()
			users, err := c.Users(ctx)
			if err != nil {
				return err
			}
			services, full, err := serviceList(ctx, c)
			if err != nil {
				return err
			}
			names := map[string]string{}
			for _, u := range users {
				names[u.ID] = u.Name
			}
			for _, s := range services {
				names[s.ID] = full(s)
			}
			var q apiclient.GrantQuery
			if user != "" {
				u, err := findUser(ctx, c, user)
				if err != nil {
					return err
				}
				q.User = u.ID
			}
			if service != "" {
				s, err := findService(ctx, c, service)
				if err != nil {
					return err
				}
				q.Service = s.ID
			}
			if site != "" {
				s, err := findSite(ctx, c, site)
				if err != nil {
					return err
				}
				q.Site = s.ID
			}
			if cmd.Flags().Changed("automatic") {
				q.Automatic = strconv.FormatBool(automatic)
			}
			list, err := c.Grants(ctx, q)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, g := range list {
				automatic, port, claimed := "", "any", ""
				if g.Automatic {
					automatic = "yes"
				}
				if g.PublicPort != 0 {
					port = strconv.Itoa(int(g.PublicPort))
				}
				if g.RequireClaimedSource {
					claimed = "yes"
				}
				rows = append(rows, []string{names[g.User], names[g.Service], automatic, port, g.MaxDuration, strconv.Itoa(cmp.Or(g.MaxSources, ownline.UsualSources)), claimed, strings.Join(g.AllowedFrom, ",")})
			}
			return a.table(cmd, list, []string{"USER", "SERVICE", "BY KNOCK", "PORT", "LONGEST", "SOURCES", "CLAIMED", "FROM"}, rows, "There is none. `ownline admin grants add USER SERVICE` makes one.")
		}),
	}
	cmd.Flags().StringVar(&user, "user", "", "only of this user")
	cmd.Flags().StringVar(&service, "service", "", "only for this service")
	cmd.Flags().StringVar(&site, "site", "", "only for services of this site")
	cmd.Flags().BoolVar(&automatic, "automatic", false, "only those that a knock opens; with =false only the others")
	return cmd
}

// terms are what a grant allows.
type terms struct {
	automatic, allowReserved, claimed bool
	port                              uint16
	longest                           time.Duration
	sources                           int
	from                              []string
}

func (t *terms) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&t.automatic, "automatic", false, "a knock opens it")
	flags.Uint16Var(&t.port, "port", 0, "the public port (0: any)")
	flags.BoolVar(&t.allowReserved, "allow-reserved", false, "the port may be one that the router serves itself")
	flags.DurationVar(&t.longest, "max", 0, "the longest that a session may last, if sessions.max of web.yaml is not shorter (0: that)")
	flags.IntVar(&t.sources, "sources", 0, "how many addresses of one device may be open side by side (0: 2)")
	flags.BoolVar(&t.claimed, "require-claimed-source", false, "knocks open it only if they name the address that they come from")
	flags.StringSliceVar(&t.from, "from", nil, "countries, providers and networks that sessions may be opened from, like ES,AS3352,198.51.100.0/24 (empty: anywhere)")
}

func (t *terms) check() error {
	if t.longest < 0 {
		return command.Usagef("--max: %s is not a time to come", t.longest)
	}
	return nil
}

// heed tells an admin of a longest duration that no session will reach.
func (t *terms) heed(cmd *cobra.Command, c *apiclient.Client) {
	if t.longest == 0 {
		return
	}
	me, err := c.Me(cmd.Context())
	if most := time.Duration(me.Limits.Max) * time.Second; err == nil && most > 0 && t.longest > most {
		fmt.Fprintf(cmd.ErrOrStderr(), "Sessions last %s at most all the same: sessions.max of web.yaml says so.\n", most)
	}
}

// duration is how the API takes one; none is empty.
func duration(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

func (a *app) grantsAdd() *cobra.Command {
	var t terms
	cmd := &cobra.Command{
		Use: "add USER SERVICE", Short: "Let a user use a service",
		Example:           "  ownline admin grants add ana ssh --automatic\n  ownline admin grants add bob home/wiki --port 20443 --max 2h --from ES,198.51.100.0/24",
		Args:              command.Args("USER", "SERVICE"),
		ValidArgsFunction: a.completing(userNames, serviceNames),
		RunE: a.asking(func(cmd *cobra.Command, args []string, c *apiclient.Client) error {
			if err := t.check(); err != nil {
				return err
			}
			u, err := findUser(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			s, err := findService(cmd.Context(), c, args[1])
			if err != nil {
				return err
			}
			g, err := c.AddGrant(cmd.Context(), apiclient.NewGrant{
				User: u.ID, Service: s.ID, Automatic: t.automatic, PublicPort: t.port, AllowReserved: t.allowReserved, MaxDuration: duration(t.longest), MaxSources: t.sources, RequireClaimedSource: t.claimed, AllowedFrom: t.from,
			})
			if err != nil {
				return err
			}
			t.heed(cmd, c)
			return a.say(cmd, g, "%s may use %s.", u.Name, s.Name)
		}),
	}
	t.add(cmd)
	return cmd
}

// findGrant finds the grant of a user for a service.
func findGrant(ctx context.Context, c *apiclient.Client, user, service string) (apiclient.Grant, apiclient.User, apiclient.Service, error) {
	u, err := findUser(ctx, c, user)
	if err != nil {
		return apiclient.Grant{}, u, apiclient.Service{}, err
	}
	s, err := findService(ctx, c, service)
	if err != nil {
		return apiclient.Grant{}, u, s, err
	}
	list, err := c.Grants(ctx, apiclient.GrantQuery{User: u.ID, Service: s.ID})
	if err == nil && len(list) == 0 {
		err = ownline.NotFound("grant", u.Name+" "+s.Name)
	}
	if err != nil {
		return apiclient.Grant{}, u, s, err
	}
	return list[0], u, s, nil
}

func (a *app) grantsSet() *cobra.Command {
	var t terms
	cmd := &cobra.Command{
		Use: "set USER SERVICE", Short: "Change what a grant allows; allowing less ends its sessions",
		Example:           "  ownline admin grants set ana ssh --automatic=false --max 1h",
		Args:              command.Args("USER", "SERVICE"),
		ValidArgsFunction: a.completing(userNames, serviceNames),
		RunE: a.asking(func(cmd *cobra.Command, args []string, c *apiclient.Client) error {
			if err := anyFlag(cmd, "automatic", "port", "allow-reserved", "max", "sources", "require-claimed-source", "from"); err != nil {
				return err
			}
			if err := t.check(); err != nil {
				return err
			}
			g, u, s, err := findGrant(cmd.Context(), c, args[0], args[1])
			if err != nil {
				return err
			}
			g, err = c.ChangeGrant(cmd.Context(), g.ID, apiclient.GrantChange{
				Automatic: changed(cmd, "automatic", t.automatic), PublicPort: changed(cmd, "port", t.port),
				AllowReserved: changed(cmd, "allow-reserved", t.allowReserved), MaxDuration: changed(cmd, "max", duration(t.longest)),
				MaxSources: changed(cmd, "sources", t.sources), RequireClaimedSource: changed(cmd, "require-claimed-source", t.claimed), AllowedFrom: changed(cmd, "from", t.from),
			})
			if err != nil {
				return err
			}
			t.heed(cmd, c)
			return a.say(cmd, g, "What %s may do with %s was changed.", u.Name, s.Name)
		}),
	}
	t.add(cmd)
	return cmd
}

func (a *app) grantsRemove() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "remove USER SERVICE", Short: "Take a grant away, and end its sessions",
		Args:              command.Args("USER", "SERVICE"),
		ValidArgsFunction: a.completing(userNames, serviceNames),
		RunE: a.asking(func(cmd *cobra.Command, args []string, c *apiclient.Client) error {
			g, u, s, err := findGrant(cmd.Context(), c, args[0], args[1])
			if err != nil {
				return err
			}
			if err := confirm(cmd, yes, "Take %s from %s, and end the sessions?", s.Name, u.Name); err != nil {
				return err
			}
			if err := c.RemoveGrant(cmd.Context(), g.ID); err != nil {
				return err
			}
			return a.say(cmd, gone{g.ID}, "%s may not use %s any more.", u.Name, s.Name)
		}),
	}
	yesFlag(cmd, &yes)
	return cmd
}
