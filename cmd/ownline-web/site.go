package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/command"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/api"
)

func (a *app) site() *cobra.Command {
	return group(&cobra.Command{Use: "site", Short: "Pair with cores, list and remove their sites"}, a.siteAdd(), a.sitePair(), a.siteList(), a.siteSet(), a.sitePing(), a.siteRemove())
}

func (a *app) siteAdd() *cobra.Command {
	var name, host string
	cmd := &cobra.Command{
		Use: "add CODE --name NAME --host HOST", Short: "Pair with a core",
		Long: `Pair with a core. CODE is the line that ` + "`ownline-core pair`" + ` prints on the router; it works
once, within 10 minutes. HOST is the public name or address of the router, which clients
connect to. Give - to read the code from standard input.`,
		Example: "  ownline-web site add 'ownline-core://192.168.1.1:57329?pin=…&token=…' --name home --host home.example.org",
		Args:    command.Args("CODE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if name == "" || host == "" {
				return command.Usagef("--name and --host are needed")
			}
			return a.pairing(cmd, args[0], func(w *web.Web, code string) error {
				s, err := w.Access().PairSite(cmd.Context(), me, code, name, host)
				if err != nil {
					return err
				}
				return a.say(cmd, api.View(s, true), "Paired with %s. Its local networks: %s", s.Name, networks(s))
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "what to call the site")
	cmd.Flags().StringVar(&host, "host", "", "public name or address of its router")
	return cmd
}

// pairing calls f with a pairing code, "-" being the one on standard input, and with the door
// open when its core dials web.
func (a *app) pairing(cmd *cobra.Command, code string, f func(w *web.Web, code string) error) error {
	if code == "-" {
		var err error
		if code, err = command.Password(cmd.InOrStdin(), cmd.ErrOrStderr(), "Code", false); err != nil {
			return err
		}
	}
	code = strings.TrimSpace(code)
	parsed, err := link.ParseCode(code)
	if err != nil {
		return err
	}
	return a.with(cmd.Context(), func(w *web.Web) error {
		if parsed.Addr == "" {
			closeDoor, err := w.OpenDoor(cmd.Context())
			if err != nil {
				return err
			}
			defer closeDoor()
		}
		return f(w, code)
	})
}

func (a *app) sitePair() *cobra.Command {
	return &cobra.Command{
		Use: "pair NAME CODE", Short: "Pair again with a site's core",
		Long: `Pair again with the core of a site that there is already: one that has a new key or does not
obey this web any more, or another router in its place. The site's services, grants and devices
stay as they are. CODE is the line that ` + "`ownline-core pair`" + ` prints on the router. Give - to read
it from standard input.`,
		Example: "  ownline-web site pair home 'ownline-core://192.168.1.1:57329?pin=…&token=…'",
		Args:    command.Args("NAME", "CODE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.pairing(cmd, args[1], func(w *web.Web, code string) error {
				s, err := w.Access().SiteNamed(cmd.Context(), me, args[0])
				if err != nil {
					return err
				}
				if s, err = w.Access().PairAgain(cmd.Context(), me, s.ID, code); err != nil {
					return err
				}
				return a.say(cmd, api.View(s, true), "Paired again with %s.", s.Name)
			})
		},
	}
}

func networks(s ownline.SiteInfo) string {
	var out []string
	for _, n := range s.LocalNetworks {
		out = append(out, n.String())
	}
	return strings.Join(out, ", ")
}

func (a *app) siteList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List sites", Args: command.Args(),
		Long: "List sites. Whether a core is connected is known to the server that runs, not to this\ncommand: see the pages, or ask the core with `ownline-web site ping NAME`.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(w *web.Web) error {
				list, err := w.Access().Sites(cmd.Context(), me)
				if err != nil {
					return err
				}
				return a.print(cmd, views(list), func(out io.Writer) error {
					var rows [][]string
					for _, s := range list {
						link := s.Link
						if link == "" {
							link = "core dials"
						}
						rows = append(rows, []string{s.Name, s.Host, link, fmt.Sprint(s.KnockPort), networks(s)})
					}
					return command.Table(out, []string{"NAME", "HOST", "LINK", "KNOCK PORT", "LOCAL NETWORKS"}, rows, "There are no sites. `ownline-web site add CODE` pairs with a core.")
				})
			})
		},
	}
}

func (a *app) siteSet() *cobra.Command {
	var name, host string
	var prefix int
	cmd := &cobra.Command{
		Use: "set NAME", Short: "Change a site's name, host or IPv6 prefix",
		Long: `Change a site. Devices that are enrolled already keep the host they were made with.
Another IPv6 prefix ends the site's IPv6 sessions.`,
		Example: "  ownline-web site set home --host home.example.org",
		Args:    command.Args("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var change access.SiteChange
			flags := cmd.Flags()
			if flags.Changed("name") {
				change.Name = &name
			}
			if flags.Changed("host") {
				change.Host = &host
			}
			if flags.Changed("ipv6-prefix") {
				change.IPv6Prefix = &prefix
			}
			if change == (access.SiteChange{}) {
				return command.Usagef("say what to change: --name, --host or --ipv6-prefix")
			}
			return a.with(cmd.Context(), func(w *web.Web) error {
				s, err := w.Access().SiteNamed(cmd.Context(), me, args[0])
				if err != nil {
					return err
				}
				if s, err = w.Access().ChangeSite(cmd.Context(), me, s.ID, change); err != nil {
					return err
				}
				return a.say(cmd, api.View(s, true), "%s was changed: %s", s.Name, s.Host)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&name, "name", "", "what to call it")
	flags.StringVar(&host, "host", "", "public name or address of its router")
	flags.IntVar(&prefix, "ipv6-prefix", 0, "bits of an IPv6 source that count, 48 to 128")
	return cmd
}

const pingTimeout = 10 * time.Second

func (a *app) sitePing() *cobra.Command {
	return &cobra.Command{
		Use: "ping NAME", Short: "Ask a site's core how it is",
		Example: "  ownline-web site ping home",
		Args:    command.Args("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(w *web.Web) error {
				s, err := w.Access().SiteNamed(cmd.Context(), me, args[0])
				if err != nil {
					return err
				}
				core := w.Core(s.Link, s.Pin)
				if core == nil {
					return fmt.Errorf("the core of %s dials the server, so only the server can ask it: see its pages", s.Name)
				}
				defer core.Close()
				ctx, cancel := context.WithTimeout(cmd.Context(), pingTimeout)
				defer cancel()
				if _, err := core.Status(ctx); err != nil { // connects
					return err
				}
				start := time.Now()
				status, err := core.Status(ctx)
				if err != nil {
					return err
				}
				took := time.Since(start)
				return a.print(cmd, struct {
					RoundTripMS float64 `json:"round_trip_ms"`
					Status      any     `json:"status"`
				}{float64(took) / float64(time.Millisecond), status}, func(out io.Writer) error {
					fmt.Fprintf(out, "%s answered in %s.\n", s.Name, took.Round(time.Microsecond))
					server := "the server is connected to it"
					if !status.Connected {
						server = "no server is connected to it"
					}
					_, err := fmt.Fprintf(out, "  core %s, up for %s; %s; sessions: %d, devices: %d\n", status.Version, command.Short(status.Up), server, status.Sessions, status.Devices)
					for _, trouble := range []string{status.Firewall.Error, status.Clock.Why, status.Proxy.Error} {
						if trouble != "" {
							fmt.Fprintln(out, "  "+trouble)
						}
					}
					return err
				})
			})
		},
	}
}

func (a *app) siteRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Short: "Remove a site with its services and devices, and end its sessions",
		Example: "  ownline-web site remove home",
		Args:    command.Args("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(w *web.Web) error {
				s, err := w.Access().SiteNamed(cmd.Context(), me, args[0])
				if err != nil {
					return err
				}
				if err := w.Access().RemoveSite(cmd.Context(), me, s.ID); err != nil {
					return err
				}
				return a.say(cmd, removed(s.ID), "%s was removed.", s.Name)
			})
		},
	}
}

// oneSite finds the site with that name, or the only one there is when name is "".
func oneSite(ctx context.Context, w *web.Web, name string) (ownline.SiteInfo, error) {
	if name != "" {
		return w.Access().SiteNamed(ctx, me, name)
	}
	list, err := w.Access().Sites(ctx, me)
	switch {
	case err != nil:
		return ownline.SiteInfo{}, err
	case len(list) == 0:
		return ownline.SiteInfo{}, ownline.Invalid("site", "there is none yet; `ownline-web site add CODE` pairs with a core")
	case len(list) > 1:
		return ownline.SiteInfo{}, ownline.Invalid("site", "there are several; say which with --site")
	}
	return list[0], nil
}
