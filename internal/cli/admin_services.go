package cli

import (
	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/apiclient"
	"github.com/ownline/ownline/internal/command"
)

func (a *app) adminServices() *cobra.Command {
	return group(&cobra.Command{Use: "services", Short: "List, make, change and remove services"},
		a.adminServicesList(), a.servicesAdd(), a.servicesSet(), a.servicesIcon(), a.servicesRemove())
}

func (a *app) adminServicesList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List all services", Args: command.Args(),
		RunE: a.asking(func(cmd *cobra.Command, _ []string, c *apiclient.Client) error {
			list, full, err := serviceList(cmd.Context(), c)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, s := range list {
				rows = append(rows, []string{full(s), s.Kind, s.Transport, s.Target, s.Target6, s.Icon})
			}
			return a.table(cmd, list, []string{"SERVICE", "KIND", "TRANSPORT", "TARGET", "TARGET6", "ICON"}, rows, "There is none. `ownline admin services add NAME --target ADDRESS:PORT` makes one.")
		}),
	}
}

func (a *app) servicesAdd() *cobra.Command {
	var in apiclient.NewService
	var site string
	cmd := &cobra.Command{
		Use: "add NAME --target ADDRESS:PORT", Short: "Make a service",
		Long:    "Make a service of something in the LAN. Nobody may use it before it is granted to them.",
		Example: "  ownline admin services add ssh --target 192.168.1.10:22\n  ownline admin services add dns --transport udp --target6 [fd00::53]:53 --site home",
		Args:    command.Args("NAME"),
		RunE: a.asking(func(cmd *cobra.Command, args []string, c *apiclient.Client) error {
			s, err := findSite(cmd.Context(), c, site)
			if err != nil {
				return err
			}
			in.Site, in.Name = s.ID, args[0]
			v, err := c.AddService(cmd.Context(), in)
			if err != nil {
				return err
			}
			return a.say(cmd, v, "%s/%s was made.", s.Name, v.Name)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&site, "site", "", "where it is (default: the only site)")
	flags.StringVar(&in.Target, "target", "", "IPv4 address and port in the LAN")
	flags.StringVar(&in.Target6, "target6", "", "IPv6 address and port in the LAN")
	flags.StringVar(&in.Transport, "transport", "", "tcp or udp (default: tcp)")
	flags.StringVar(&in.Icon, "icon", "", "by which the pages show it: a built-in one like terminal")
	return cmd
}

func (a *app) servicesSet() *cobra.Command {
	var name, transport, target, target6, icon string
	var yes bool
	cmd := &cobra.Command{
		Use: "set SERVICE", Short: "Change a service",
		Long:              "Change a service. Another transport or target ends its sessions. An empty value takes one away.",
		Example:           "  ownline admin services set ssh --target 192.168.1.11:22 --target6 ''",
		Args:              command.Args("SERVICE"),
		ValidArgsFunction: a.completing(serviceNames),
		RunE: a.asking(func(cmd *cobra.Command, args []string, c *apiclient.Client) error {
			if err := anyFlag(cmd, "name", "transport", "target", "target6", "icon"); err != nil {
				return err
			}
			s, err := findService(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			if anyFlag(cmd, "transport", "target", "target6") == nil {
				if err := confirm(cmd, yes, "Change where %s leads, and end its sessions?", s.Name); err != nil {
					return err
				}
			}
			s, err = c.ChangeService(cmd.Context(), s.ID, apiclient.ServiceChange{
				Name: changed(cmd, "name", name), Transport: changed(cmd, "transport", transport), Target: changed(cmd, "target", target),
				Target6: changed(cmd, "target6", target6), Icon: changed(cmd, "icon", icon),
			})
			if err != nil {
				return err
			}
			return a.say(cmd, s, "%s was changed.", s.Name)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&name, "name", "", "the new name")
	flags.StringVar(&transport, "transport", "", "tcp or udp")
	flags.StringVar(&target, "target", "", "IPv4 address and port in the LAN")
	flags.StringVar(&target6, "target6", "", "IPv6 address and port in the LAN")
	flags.StringVar(&icon, "icon", "", "by which the pages show it: a built-in one like terminal")
	yesFlag(cmd, &yes)
	return cmd
}

func (a *app) servicesRemove() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "remove SERVICE", Short: "Remove a service with its grants, and end its sessions",
		Args:              command.Args("SERVICE"),
		ValidArgsFunction: a.completing(serviceNames),
		RunE: a.asking(func(cmd *cobra.Command, args []string, c *apiclient.Client) error {
			s, err := findService(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			if err := confirm(cmd, yes, "Remove %s with its grants?", s.Name); err != nil {
				return err
			}
			if err := c.RemoveService(cmd.Context(), s.ID); err != nil {
				return err
			}
			return a.say(cmd, gone{s.ID}, "%s was removed.", s.Name)
		}),
	}
	yesFlag(cmd, &yes)
	return cmd
}
