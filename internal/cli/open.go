package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/apiclient"
	"github.com/ownline/ownline/internal/command"
	"github.com/ownline/ownline/internal/ownline"
)

func (a *app) open() *cobra.Command {
	var d time.Duration
	var port uint16
	var source string
	cmd := &cobra.Command{
		Use: "open SERVICE [--for 30m] [--port N] [--source ADDRESS]", Short: "Open a service for the address that you are at",
		Long: `Open a service for the address that the server sees you at, or renew it when it is open
already. It is done when the address that is printed can be connected to. An admin may open it
for somebody at another address with --source.`,
		Example: `  ownline open ssh
  ownline open home/ssh --for 2h --port 20022
  ownline open ssh --source 203.0.113.9`,
		Args:              command.Args("SERVICE"),
		ValidArgsFunction: a.completeService,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("for") && d <= 0 {
				return command.Usagef("--for: %s is not a time to come", d)
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			list, err := a.fetchServices(cmd.Context(), c)
			if err != nil {
				return err
			}
			s, err := pick(knownOf(list), args[0])
			if err != nil {
				return err
			}
			r := apiclient.OpenRequest{Service: s.ID, PublicPort: port, Source: source}
			if d > 0 {
				r.For = d.String()
			}
			done := waiting(cmd, "Waiting for the router")
			session, err := c.Open(cmd.Context(), r, ownline.NewID[ownline.Session]().String())
			done()
			if err != nil {
				return err
			}
			return a.print(cmd, session, func(w io.Writer) error {
				to := fmt.Sprintf("Connect to  %s (%s)", session.Address, session.Transport)
				if session.URL != "" {
					to = "Open        " + session.URL
				}
				_, err := fmt.Fprintf(w, "%s is open for %s.\n  %s\n  Until       %s\n", session.ServiceName,
					strings.TrimSuffix(session.Source, "/32"), to, command.When(session.Expires, time.Now()))
				return err
			})
		},
	}
	cmd.Flags().DurationVar(&d, "for", 0, "how long (default: what the server says)")
	cmd.Flags().Uint16Var(&port, "port", 0, "the public port (default: any)")
	cmd.Flags().StringVar(&source, "source", "", "the address to let in (admin; default: yours)")
	return cmd
}
