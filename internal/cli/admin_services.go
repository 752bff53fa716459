package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/apiclient"
	"github.com/ownline/ownline/internal/command"
	"github.com/ownline/ownline/internal/ownline"
)

func (a *app) adminServices() *cobra.Command {
	return group(&cobra.Command{Use: "services", Short: "List, make, change and remove services"},
		a.adminServicesList(), a.servicesAdd(), a.servicesSet(), a.servicesTemplate(), a.servicesIcon(), a.servicesRemove())
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
				rows = append(rows, []string{full(s), s.Kind, s.Transport, s.Target, s.Target6, s.Icon, s.URL})
			}
			return a.table(cmd, list, []string{"SERVICE", "KIND", "TRANSPORT", "TARGET", "TARGET6", "ICON", "URL"}, rows, "There is none. `ownline admin services add NAME --target ADDRESS:PORT` makes one.")
		}),
	}
}

func (a *app) servicesAdd() *cobra.Command {
	var in apiclient.NewService
	var site string
	var proxied bool
	var options command.ProxyFlags
	cmd := &cobra.Command{
		Use: "add NAME --target ADDRESS:PORT", Short: "Make a service",
		Long: `Make a service of something in the LAN. Nobody may use it before it is granted to them. With
--proxy it is a web page or API, which the reverse proxy of the site's router serves at
https://NAME.DOMAIN:PORT/; else it is a port of the router.`,
		Example: `  ownline admin services add ssh --target 192.168.1.10:22
  ownline admin services add dns --transport udp --target6 [fd00::53]:53 --site home
  ownline admin services add wiki --proxy --target 192.168.1.10:80
  ownline admin services add nas --proxy --target 192.168.1.20:5001 --scheme https --server-name nas.lan`,
		Args: command.Args("NAME"),
		RunE: a.asking(func(cmd *cobra.Command, args []string, c *apiclient.Client) error {
			var o ownline.ProxyOptions
			given, err := options.Apply(cmd, &o)
			switch {
			case err != nil:
				return err
			case given && !proxied:
				return command.Usagef("--%s are for --proxy", strings.Join(options.Names(), ", --"))
			case proxied:
				in.Kind, in.Options = string(ownline.Proxy), &o
			}
			s, err := findSite(cmd.Context(), c, site)
			if err != nil {
				return err
			}
			in.Site, in.Name = s.ID, args[0]
			v, err := c.AddService(cmd.Context(), in)
			if err != nil {
				return err
			}
			if v.URL != "" {
				return a.say(cmd, v, "%s/%s was made, at %s", s.Name, v.Name, v.URL)
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
	flags.BoolVar(&proxied, "proxy", false, "serve it by the site's reverse proxy, under a name of its own")
	options.Add(flags)
	return cmd
}

func (a *app) servicesSet() *cobra.Command {
	var name, transport, target, target6, icon string
	var yes bool
	var options command.ProxyFlags
	cmd := &cobra.Command{
		Use: "set SERVICE", Short: "Change a service",
		Long: `Change a service. Another transport or target ends the sessions of a port forward; those of
a proxied service go on. An empty value takes one away.`,
		Example:           "  ownline admin services set ssh --target 192.168.1.11:22 --target6 ''\n  ownline admin services set wiki --path-prefix /wiki --header 'X-Script-Name: /wiki'\n  ownline admin services set wiki --template wiki.tmpl",
		Args:              command.Args("SERVICE"),
		ValidArgsFunction: a.completing(serviceNames),
		RunE: a.asking(func(cmd *cobra.Command, args []string, c *apiclient.Client) error {
			if err := anyFlag(cmd, append(options.Names(), "name", "transport", "target", "target6", "icon")...); err != nil {
				return err
			}
			s, err := findService(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			var o ownline.ProxyOptions
			if s.Options != nil {
				o = *s.Options
			}
			given, err := options.Apply(cmd, &o)
			if err != nil {
				return err
			}
			change := apiclient.ServiceChange{
				Name: changed(cmd, "name", name), Transport: changed(cmd, "transport", transport), Target: changed(cmd, "target", target),
				Target6: changed(cmd, "target6", target6), Icon: changed(cmd, "icon", icon),
			}
			if given {
				change.Options = &o
			}
			if s.Kind == string(ownline.Forward) && anyFlag(cmd, "transport", "target", "target6") == nil {
				if err := confirm(cmd, yes, "Change where %s leads, and end its sessions?", s.Name); err != nil {
					return err
				}
			}
			s, err = c.ChangeService(cmd.Context(), s.ID, change)
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
	options.Add(flags)
	yesFlag(cmd, &yes)
	return cmd
}

func (a *app) servicesTemplate() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "template SERVICE", Short: "Show what nginx would be configured with for a service, and change nothing",
		Long: `Show the part of the configuration of the site's nginx that is a service's: as it is, or as a
template of your own would make it. It changes nothing. ` + "`ownline admin services set SERVICE --template FILE`" + `
sets the template. What may be in one: docs/how/proxied-services.md.`,
		Example: `  ownline admin services template wiki
  ownline admin services template wiki --file wiki.tmpl
  ownline admin services template wiki --file - < wiki.tmpl`,
		Args:              command.Args("SERVICE"),
		ValidArgsFunction: a.completing(serviceNames),
		RunE: askingOf(a, findService, func(cmd *cobra.Command, c *apiclient.Client, s apiclient.Service) error {
			var o *ownline.ProxyOptions
			if file != "" && s.Options != nil {
				text, err := command.TextOf(file, cmd.InOrStdin())
				if err != nil {
					return err
				}
				changed := *s.Options
				changed.Template = text
				o = &changed
			}
			p, err := c.PreviewService(cmd.Context(), s.ID, o)
			if err != nil {
				return err
			}
			return a.say(cmd, p, "%s", strings.Trim(p.Text, "\n"))
		}),
	}
	cmd.Flags().StringVar(&file, "file", "", "template to try; - is the standard input (default: the service's)")
	return cmd
}

func (a *app) servicesRemove() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "remove SERVICE", Short: "Remove a service with its grants, and end its sessions",
		Args:              command.Args("SERVICE"),
		ValidArgsFunction: a.completing(serviceNames),
		RunE: askingOf(a, findService, func(cmd *cobra.Command, c *apiclient.Client, s apiclient.Service) error {
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
