package main

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/command"
	"github.com/ownline/ownline/internal/web"
	"github.com/ownline/ownline/internal/web/guestpage"
)

func (a *app) guestPage() *cobra.Command {
	return &cobra.Command{
		Use: "guest-page DIR", Short: "Write the page for invited guests into a folder, for any web host",
		Long: `Write the page that links of invitations lead to into a folder, for a web host that guests
can reach: index.html, icon.svg, config.json and the folder assets. The page redeems through
the broker of guest_page.broker, and finds its own address by guest_page.address_urls. Upload
the folder, and set guest_page.url to where it is.

Everything in it is public: config.json has guest_page.username and guest_page.password. Export
it again after each update of ownline-web.`,
		Example: "  ownline-web guest-page /srv/www/guests",
		Args:    command.Args("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			names, err := guestpage.Export(args[0], web.GuestPage(cfg))
			if err != nil {
				return err
			}
			dir, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			where := cfg.GuestPage.URL
			if where == "" {
				where = "a web host, and set guest_page.url to where it is"
			}
			return a.say(cmd, map[string]any{"dir": dir, "files": names}, "%d files are in %s.\nUpload the folder to %s.", len(names), dir, where)
		},
	}
}
