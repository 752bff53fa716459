package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/agent/profile"
	"github.com/ownline/ownline/internal/command"
	"github.com/ownline/ownline/internal/ownline"
)

// shownProfile is a profile without its secret.
type shownProfile struct {
	Name     string `json:"name"`
	Host     string `json:"host"`
	Port     uint16 `json:"port"`
	Site     string `json:"site"`
	Device   string `json:"device"`
	SiteName string `json:"site_name,omitempty"`
}

func showProfile(name string, p ownline.Profile) shownProfile {
	return shownProfile{Name: name, Host: p.Host, Port: p.Port, Site: p.Site.String(), Device: p.Device.String(), SiteName: p.Name}
}

func (a *app) enroll() *cobra.Command {
	var name string
	var replace bool
	cmd := &cobra.Command{
		Use: "enroll URI [--name NAME]", Short: "Make this machine a device that can knock",
		Long: `Keep the profile of a device here, in a file that only you can read. The URI is shown once,
when a device is made: in the pages, or by ` + "`ownline-web device add`" + `. It holds a secret;
give - to read it from standard input, so that it does not stand in your shell's history.`,
		Example: `  ownline enroll - --name home
  ownline enroll 'ownline://home.example.org:54754/?v=1&site=…&device=…&key=…&name=laptop'`,
		Args: command.Args("URI"),
		RunE: func(cmd *cobra.Command, args []string) error {
			uri := args[0]
			if uri == "-" {
				var err error
				if uri, err = command.Password(cmd.InOrStdin(), cmd.ErrOrStderr(), "Profile (ownline://…)", false); err != nil {
					return err
				}
			}
			p, err := ownline.ParseProfile(strings.TrimSpace(uri))
			if err != nil {
				return err
			}
			if name == "" {
				name = profile.NameFor(p.Name)
			}
			if err := a.profileStore().Save(name, p, replace); err != nil {
				return err
			}
			return a.print(cmd, showProfile(name, p), func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "This machine can knock at %s now. Try: ownline knock --profile %s\n", p.Host, name)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "of the profile (default: the name of the site)")
	cmd.Flags().BoolVar(&replace, "replace", false, "write over the profile of that name")
	return cmd
}

func (a *app) profiles() *cobra.Command {
	return &cobra.Command{
		Use: "profiles", Short: "List what this machine can knock with", Args: command.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			store := a.profileStore()
			names, err := store.Names()
			if err != nil {
				return err
			}
			list := []shownProfile{}
			var rows [][]string
			for _, name := range names {
				p, err := store.Load(name)
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				list = append(list, showProfile(name, p))
				rows = append(rows, []string{name, p.Host, fmt.Sprint(p.Port), p.Name})
			}
			return a.print(cmd, list, func(w io.Writer) error {
				return command.Table(w, []string{"PROFILE", "HOST", "PORT", "SITE"}, rows, "There is none. `ownline enroll URI` makes one.")
			})
		},
	}
}
