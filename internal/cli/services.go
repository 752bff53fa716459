package cli

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/apiclient"
	"github.com/ownline/ownline/internal/command"
	"github.com/ownline/ownline/internal/ownline"
)

// known is a service as it was last seen: services.json. knock needs it to turn a name into
// what a packet carries, when the server can't be asked.
type known struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Site       string `json:"site"`
	SiteName   string `json:"site_name"`
	PublicPort uint16 `json:"public_port,omitempty"` // fixed by the grant; 0: any
	URL        string `json:"url,omitempty"`         // of kind proxy
	Transport  string `json:"transport,omitempty"`
	Target     string `json:"target,omitempty"`  // in the LAN, for who is inside
	Target6    string `json:"target6,omitempty"` // likewise
}

func (a *app) knownFile() string { return filepath.Join(a.dir, "services.json") }

// listed is a service in the list.
type listed struct {
	apiclient.Service
	SiteName   string             `json:"site_name"`
	SiteHost   string             `json:"site_host"`
	Automatic  bool               `json:"automatic"`
	PublicPort uint16             `json:"public_port,omitempty"`
	Session    *apiclient.Session `json:"session,omitempty"` // one's own, when live
}

func (a *app) services() *cobra.Command {
	return &cobra.Command{
		Use: "services", Short: "List the services that you may use",
		Long: `List the services that you may use, and which of them are open now. The list is also
kept here, so that ` + "`ownline knock SERVICE`" + ` knows the names when the server can't be
reached.`,
		Args: command.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			list, err := a.fetchServices(cmd.Context(), c)
			if err != nil {
				return err
			}
			return a.print(cmd, list, func(w io.Writer) error {
				var rows [][]string
				for _, s := range list {
					automatic, address, until := "", "", ""
					if s.Automatic || s.Everybody {
						automatic = "yes"
					}
					if s.Session != nil {
						address, until = where(*s.Session), command.When(s.Session.Expires, time.Now())
					}
					rows = append(rows, []string{s.Name, s.SiteName, s.Transport, automatic, address, until})
				}
				return command.Table(w, []string{"SERVICE", "SITE", "TRANSPORT", "BY KNOCK", "OPEN AT", "UNTIL"}, rows, "There is no service that you may use. An admin can grant you one.")
			})
		},
	}
}

// where is what people connect to: the URL of a proxied service, else host and port.
func where(s apiclient.Session) string {
	if s.URL != "" {
		return s.URL
	}
	return s.Address
}

// fetchServices asks the server, and remembers for knock.
func (a *app) fetchServices(ctx context.Context, c *apiclient.Client) ([]listed, error) {
	me, err := c.Me(ctx)
	if err != nil {
		return nil, err
	}
	services, err := c.Services(ctx)
	if err != nil {
		return nil, err
	}
	sites, err := c.Sites(ctx)
	if err != nil {
		return nil, err
	}
	grants, err := c.Grants(ctx, apiclient.GrantQuery{User: me.ID})
	if err != nil {
		return nil, err
	}
	sessions, err := c.Sessions(ctx, apiclient.SessionQuery{State: "live"})
	if err != nil {
		return nil, err
	}
	list := make([]listed, 0, len(services))
	for _, s := range services {
		l := listed{Service: s}
		for _, site := range sites {
			if site.ID == s.Site {
				l.SiteName, l.SiteHost = site.Name, site.Host
			}
		}
		for _, g := range grants {
			if g.Service == s.ID {
				l.Automatic, l.PublicPort = g.Automatic, g.PublicPort
			}
		}
		for i := range sessions {
			if sessions[i].Service == s.ID && l.Session == nil {
				l.Session = &sessions[i]
			}
		}
		list = append(list, l)
	}
	return list, writeJSON(a.knownFile(), knownOf(list))
}

// knownOf is what knock needs of a list.
func knownOf(list []listed) []known {
	out := make([]known, 0, len(list))
	for _, l := range list {
		out = append(out, known{ID: l.ID, Name: l.Name, Site: l.Site, SiteName: l.SiteName, PublicPort: l.PublicPort, URL: l.URL, Transport: l.Transport, Target: l.Target, Target6: l.Target6})
	}
	return out
}

// completeService offers the names that were last seen.
func (a *app) completeService(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var keep []known
	if a.findDir() != nil || readJSON(a.knownFile(), &keep) != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, k := range keep {
		names = append(names, k.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// pick finds the one service that is meant: by its name, by SITE/NAME or by its ID.
func pick(services []known, what string) (known, error) {
	var found []known
	for _, s := range services {
		if what == s.ID || what == s.Name || what == s.SiteName+"/"+s.Name {
			found = append(found, s)
		}
	}
	switch len(found) {
	case 0:
		return known{}, ownline.NotFound("service", what)
	case 1:
		return found[0], nil
	}
	var names []string
	for _, s := range found {
		names = append(names, s.SiteName+"/"+s.Name)
	}
	slices.Sort(names)
	return known{}, ownline.Invalid("service", fmt.Sprintf("%q is at several sites; say %s", what, strings.Join(names, " or ")))
}
