package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/apiclient"
	"github.com/ownline/ownline/internal/command"
)

func (a *app) adminSites() *cobra.Command {
	return group(&cobra.Command{Use: "sites", Short: "Pair with routers, and see how they are"},
		a.sitesList(), a.sitesStatus(), a.sitesPair(), a.sitesPing(), a.sitesSet(), a.sitesApply(), a.sitesRoot(), a.sitesRemove())
}

// contact says when a site's core was heard last. To those who are no admins only whether it is connected
// is told.
func contact(s apiclient.Site) string {
	if s.WantedRevision == nil {
		return "-"
	}
	return maybe(s.LastContact)
}

// health says in a few words how a site is.
func health(s apiclient.Site) string {
	switch {
	case !s.Connected && s.Error != "":
		return s.Error
	case !s.Connected:
		return "not connected"
	case s.Firewall != "":
		return "firewall: " + s.Firewall
	case s.Clock != "":
		return "clock: " + s.Clock
	case s.Proxy != nil && s.Proxy.Error != "":
		return "proxy: " + s.Proxy.Error
	case s.AppliedRevision != nil && s.WantedRevision != nil && *s.AppliedRevision < *s.WantedRevision:
		return "applying"
	case s.FirewallLacks != "":
		return "good, but for the filter of knocks"
	case s.WantedRevision == nil:
		return "connected"
	}
	return "good"
}

func (a *app) sitesList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List sites, and how they are", Args: command.Args(),
		RunE: a.asking(func(cmd *cobra.Command, _ []string, c *apiclient.Client) error {
			list, err := c.Sites(cmd.Context())
			if err != nil {
				return err
			}
			var rows [][]string
			for _, s := range list {
				rows = append(rows, []string{s.Name, s.Host, health(s), contact(s), cmp.Or(s.CoreVersion, "-")})
			}
			return a.table(cmd, list, []string{"SITE", "HOST", "STATE", "LAST CONTACT", "CORE"}, rows, "There is none. `ownline admin sites pair CODE` makes one.")
		}),
	}
}

func (a *app) sitesStatus() *cobra.Command {
	return &cobra.Command{
		Use: "status [SITE]", Short: "Show all that is known of a site: what is applied against what is wanted",
		Args:              command.Args("[SITE]"),
		ValidArgsFunction: a.completing(siteNameList),
		RunE: askingOf(a, findSite, func(cmd *cobra.Command, c *apiclient.Client, s apiclient.Site) error {
			return a.print(cmd, s, func(w io.Writer) error {
				applied, wanted := "-", "-"
				if s.AppliedRevision != nil && s.WantedRevision != nil {
					applied, wanted = fmt.Sprint(*s.AppliedRevision), fmt.Sprint(*s.WantedRevision)
				}
				link := s.Link
				if link == "" {
					link = "core dials"
				}
				from := "anywhere"
				if len(s.AllowedFrom) > 0 {
					from = strings.Join(s.AllowedFrom, ", ")
				}
				rows := [][]string{
					{"state", health(s)},
					{"host", s.Host},
					{"link", link},
					{"last contact", contact(s)},
					{"core", s.CoreVersion},
					{"applied revision", applied},
					{"wanted revision", wanted},
					{"knock port", fmt.Sprint(s.KnockPort)},
					{"local networks", strings.Join(s.LocalNetworks, ", ")},
					{"reserved ports", strings.Trim(fmt.Sprint(s.ReservedPorts), "[]")},
					{"IPv6 prefix", fmt.Sprint(s.IPv6Prefix)},
					{"open from", from},
					{"reverse proxy", describeProxy(s.Proxy)},
					{"certificates", describeCertificates(s.Proxy, time.Now())},
				}
				if s.FirewallLacks != "" {
					rows = append(rows, []string{"firewall works with", s.FirewallLacks})
				}
				return command.Table(w, []string{"SITE", s.Name}, rows, "")
			})
		}),
	}
}

// describeProxy says where proxied services are.
func describeProxy(p *apiclient.SiteProxy) string {
	switch {
	case p == nil:
		return "not known yet"
	case !p.Serves:
		return "none; set proxy.domain in core.yaml"
	}
	out := fmt.Sprintf("%s, at https://NAME.%s:%d/", p.Driver, p.Domain, p.Port)
	if p.Root {
		out += ", with an authority of its own: `ownline admin sites root`"
	}
	return out
}

// describeCertificates says how long those of the proxy are good.
func describeCertificates(p *apiclient.SiteProxy, now time.Time) string {
	switch {
	case p == nil || !p.Serves:
		return "-"
	case p.Expires == nil:
		return "none yet"
	case !now.Before(*p.Expires):
		return "EXPIRED at " + p.Expires.Local().Format(time.DateTime)
	}
	return "valid until " + p.Expires.Local().Format(time.DateTime)
}

func (a *app) sitesPair() *cobra.Command {
	var in apiclient.NewSite
	cmd := &cobra.Command{
		Use: "pair CODE --name NAME --host HOST", Short: "Pair with the core of a router",
		Long:    "Pair with the core of a router. The code is the line that `ownline-core pair` prints there, valid\n10 minutes and once.",
		Example: "  ownline admin sites pair 'ownline-core://192.168.1.1:57329?pin=…&token=…' --name home --host home.example.org",
		Args:    command.Args("CODE"),
		RunE: a.asking(func(cmd *cobra.Command, args []string, c *apiclient.Client) error {
			if in.Name == "" || in.Host == "" {
				return command.Usagef("--name and --host are needed")
			}
			in.Code = args[0]
			done := waiting(cmd, "Pairing")
			s, err := c.PairSite(cmd.Context(), in)
			done()
			if err != nil {
				return err
			}
			return a.say(cmd, s, "Paired with %s. Its local networks: %s", s.Name, strings.Join(s.LocalNetworks, ", "))
		}),
	}
	cmd.Flags().StringVar(&in.Name, "name", "", "of the site")
	cmd.Flags().StringVar(&in.Host, "host", "", "public name or address that clients connect to")
	return cmd
}

func (a *app) sitesPing() *cobra.Command {
	return &cobra.Command{
		Use: "ping [SITE]", Short: "Have a site's core answer, and tell how long that took",
		Args:              command.Args("[SITE]"),
		ValidArgsFunction: a.completing(siteNameList),
		RunE: askingOf(a, findSite, func(cmd *cobra.Command, c *apiclient.Client, s apiclient.Site) error {
			done := waiting(cmd, "Asking %s", s.Name)
			p, err := c.PingSite(cmd.Context(), s.ID)
			done()
			if err != nil {
				return err
			}
			return a.say(cmd, p, "%s answered in %.1f ms.", s.Name, p.RoundTripMS)
		}),
	}
}

func (a *app) sitesSet() *cobra.Command {
	var name, host string
	var prefix int
	var from []string
	cmd := &cobra.Command{
		Use: "set SITE", Short: "Change a site's name, host or IPv6 prefix, or from where its sessions may be opened",
		Long:              "Change a site's name, the host that clients connect to, or how many bits of an IPv6 source count,\nwhich ends its IPv6 sessions.",
		Example:           "  ownline admin sites set home --name house --host house.example.org",
		Args:              command.Args("SITE"),
		ValidArgsFunction: a.completing(siteNameList),
		RunE: a.asking(func(cmd *cobra.Command, args []string, c *apiclient.Client) error {
			if err := anyFlag(cmd, "name", "host", "ipv6-prefix", "from"); err != nil {
				return err
			}
			s, err := findSite(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			s, err = c.ChangeSite(cmd.Context(), s.ID, apiclient.SiteChange{
				Name: changed(cmd, "name", name), Host: changed(cmd, "host", host), IPv6Prefix: changed(cmd, "ipv6-prefix", prefix), AllowedFrom: changed(cmd, "from", from),
			})
			if err != nil {
				return err
			}
			return a.say(cmd, s, "%s was changed.", s.Name)
		}),
	}
	cmd.Flags().StringVar(&name, "name", "", "the new name")
	cmd.Flags().StringVar(&host, "host", "", "public name or address that clients connect to")
	cmd.Flags().IntVar(&prefix, "ipv6-prefix", 0, "48 to 128")
	cmd.Flags().StringSliceVar(&from, "from", nil, "countries, providers and networks that sessions may be opened from, like ES,AS3352,198.51.100.0/24 (empty: anywhere); ends the sessions of those who are elsewhere")
	return cmd
}

func (a *app) sitesRoot() *cobra.Command {
	return &cobra.Command{
		Use: "root [SITE]", Short: "Print the certificate of the authority by which a site's reverse proxy proves itself",
		Long: `Print, in PEM, the certificate of the authority by which a site's reverse proxy proves
itself. There is one only where proxy.certificate.internal is set in core.yaml. Browsers have
to trust it before they open proxied services without a warning.`,
		Example:           "  ownline admin sites root home > home-root.pem",
		Args:              command.Args("[SITE]"),
		ValidArgsFunction: a.completing(siteNameList),
		RunE: askingOf(a, findSite, func(cmd *cobra.Command, c *apiclient.Client, s apiclient.Site) error {
			pem, err := c.SiteRoot(cmd.Context(), s.ID)
			if err != nil {
				return err
			}
			return a.print(cmd, map[string]string{"pem": string(pem)}, func(w io.Writer) error {
				_, err := w.Write(pem)
				return err
			})
		}),
	}
}

func (a *app) sitesApply() *cobra.Command {
	return &cobra.Command{
		Use: "apply [SITE]", Short: "Send a site's core the whole state again, and wait until it is applied",
		Args:              command.Args("[SITE]"),
		ValidArgsFunction: a.completing(siteNameList),
		RunE: askingOf(a, findSite, func(cmd *cobra.Command, c *apiclient.Client, s apiclient.Site) error {
			done := waiting(cmd, "Waiting for %s", s.Name)
			s, err := c.ApplySite(cmd.Context(), s.ID)
			done()
			if err != nil {
				return err
			}
			return a.say(cmd, s, "%s holds what it should.", s.Name)
		}),
	}
}

func (a *app) sitesRemove() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "remove SITE", Short: "Remove a site with its services, grants and devices, and end its sessions",
		Args:              command.Args("SITE"),
		ValidArgsFunction: a.completing(siteNameList),
		RunE: askingOf(a, findSite, func(cmd *cobra.Command, c *apiclient.Client, s apiclient.Site) error {
			if err := confirm(cmd, yes, "Remove %s with its services, grants and devices?", s.Name); err != nil {
				return err
			}
			if err := c.RemoveSite(cmd.Context(), s.ID); err != nil {
				return err
			}
			return a.say(cmd, gone{s.ID}, "%s was removed.", s.Name)
		}),
	}
	yesFlag(cmd, &yes)
	return cmd
}
