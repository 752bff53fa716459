package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/command"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/api"
)

func (a *app) service() *cobra.Command {
	return group(&cobra.Command{Use: "service", Short: "Make, list and remove services"}, a.serviceAdd(), a.serviceList(), a.serviceRemove())
}

func (a *app) serviceAdd() *cobra.Command {
	var siteName, transport, target, target6, icon string
	var proxied bool
	var options command.ProxyFlags
	cmd := &cobra.Command{
		Use: "add NAME --target ADDRESS:PORT", Short: "Make a service: something private in a site's LAN",
		Long: `Make a service. Its targets must lie in the site's local networks. A client that comes over
IPv6 needs --target6. With --proxy it is a web page or API, which the reverse proxy of the
site's router serves at https://NAME.DOMAIN:PORT/, to clients of both.`,
		Example: `  ownline-web service add ssh --target 192.168.1.10:22
  ownline-web service add dns --transport udp --target 192.168.1.1:53 --target6 '[fd00::1]:53' --site home
  ownline-web service add wiki --proxy --target 192.168.1.10:80
  ownline-web service add nas --proxy --target 192.168.1.20:5001 --scheme https --server-name nas.lan`,
		Args: command.Args("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n := access.NewService{Name: args[0], Transport: ownline.Transport(transport), Icon: icon}
			given, err := options.Apply(cmd, &n.Proxy)
			switch {
			case err != nil:
				return err
			case given && !proxied:
				return command.Usagef("--%s are for --proxy", strings.Join(options.Names(), ", --"))
			case proxied:
				n.Kind = ownline.Proxy
			}
			if n.Target4, err = api.ParseTarget("target", target, false); err != nil {
				return err
			}
			if n.Target6, err = api.ParseTarget("target6", target6, true); err != nil {
				return err
			}
			return a.with(cmd.Context(), func(w *web.Web) error {
				site, err := oneSite(cmd.Context(), w, siteName)
				if err != nil {
					return err
				}
				n.Site = site.ID
				s, err := w.Access().AddService(cmd.Context(), me, n)
				if err != nil {
					return err
				}
				return a.say(cmd, api.View(s, true), "%s/%s was made. Who may use it: ownline-web grant add USER %s", site.Name, s.Name, s.Name)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&siteName, "site", "", "where (default: the only site)")
	flags.StringVar(&target, "target", "", "IPv4 address and port")
	flags.StringVar(&target6, "target6", "", "IPv6 address and port")
	flags.StringVar(&transport, "transport", string(ownline.TCP), "tcp or udp")
	flags.StringVar(&icon, "icon", "", "shown in the pages")
	flags.BoolVar(&proxied, "proxy", false, "serve it by the site's reverse proxy, under a name of its own")
	options.Add(flags)
	return cmd
}

func (a *app) serviceList() *cobra.Command {
	var siteName string
	cmd := &cobra.Command{
		Use: "list", Short: "List services", Args: command.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(w *web.Web) error {
				var site ownline.SiteID
				if siteName != "" {
					s, err := w.Access().SiteNamed(cmd.Context(), me, siteName)
					if err != nil {
						return err
					}
					site = s.ID
				}
				list, err := services(cmd.Context(), w, site)
				if err != nil {
					return err
				}
				names, err := siteNames(cmd.Context(), w)
				if err != nil {
					return err
				}
				return a.print(cmd, views(list), func(out io.Writer) error {
					var rows [][]string
					for _, s := range list {
						rows = append(rows, []string{s.Name, names[s.Site], string(s.Kind), string(s.Transport), targetText(s.Target4), targetText(s.Target6), s.URL()})
					}
					return command.Table(out, []string{"NAME", "SITE", "KIND", "TRANSPORT", "TARGET", "TARGET6", "URL"}, rows, "There are no services. `ownline-web service add NAME` makes one.")
				})
			})
		},
	}
	cmd.Flags().StringVar(&siteName, "site", "", "only those of this site")
	return cmd
}

func targetText(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func services(ctx context.Context, w *web.Web, site ownline.SiteID) ([]ownline.Service, error) {
	return all(func(p ownline.Page) ([]ownline.Service, string, error) {
		return w.Access().Services(ctx, me, access.ServiceQuery{Page: p, Site: site})
	})
}

func siteNames(ctx context.Context, w *web.Web) (map[ownline.SiteID]string, error) {
	list, err := w.Access().Sites(ctx, me)
	names := make(map[ownline.SiteID]string, len(list))
	for _, s := range list {
		names[s.ID] = s.Name
	}
	return names, err
}

func (a *app) serviceRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Short: "Remove a service with its grants, and end its sessions",
		Example: "  ownline-web service remove ssh\n  ownline-web service remove home/ssh",
		Args:    command.Args("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(w *web.Web) error {
				s, err := oneService(cmd.Context(), w, args[0])
				if err != nil {
					return err
				}
				if err := w.Access().RemoveService(cmd.Context(), me, s.ID); err != nil {
					return err
				}
				return a.say(cmd, removed(s.ID), "%s was removed.", s.Name)
			})
		},
	}
}

// oneService finds a service by NAME or SITE/NAME.
func oneService(ctx context.Context, w *web.Web, what string) (ownline.Service, error) {
	siteName, name, hasSite := strings.Cut(what, "/")
	if !hasSite {
		name = what
	}
	list, err := w.Access().ServicesNamed(ctx, me, name)
	if err != nil {
		return ownline.Service{}, err
	}
	names, err := siteNames(ctx, w)
	if err != nil {
		return ownline.Service{}, err
	}
	var found []ownline.Service
	var full []string
	for _, s := range list {
		if !hasSite || names[s.Site] == siteName {
			found, full = append(found, s), append(full, names[s.Site]+"/"+s.Name)
		}
	}
	switch len(found) {
	case 0:
		return ownline.Service{}, ownline.NotFound("service", what)
	case 1:
		return found[0], nil
	}
	return ownline.Service{}, ownline.Invalid("service", fmt.Sprintf("%q is at several sites; say %s", what, strings.Join(full, " or ")))
}
