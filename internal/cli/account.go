package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/apiclient"
	"github.com/ownline/ownline/internal/command"
)

// whoami is who is signed in, and where the server sees them.
type whoami struct {
	URL  string           `json:"url"`
	Me   apiclient.Me     `json:"me"`
	Here apiclient.Whoami `json:"here"`
}

var addressKinds = map[string]string{
	"public":      "public",
	"private":     "private: you are inside, or the server sees a proxy instead of you",
	"carrier_nat": "shared with other customers of your provider",
	"unusable":    "of no use",
}

func (a *app) whoami() *cobra.Command {
	return &cobra.Command{
		Use: "whoami", Short: "Show who you are, and which address the server sees you at",
		Args: command.Args(),
		RunE: a.asking(func(cmd *cobra.Command, _ []string, c *apiclient.Client) error {
			w := whoami{URL: c.URL}
			var err error
			if w.Me, err = c.Me(cmd.Context()); err != nil {
				return err
			}
			if w.Here, err = c.Whoami(cmd.Context()); err != nil {
				return err
			}
			kind := addressKinds[w.Here.Kind]
			if kind == "" {
				kind = w.Here.Kind
			}
			return a.say(cmd, w, "%s (%s) at %s, from %s (%s).", w.Me.Name, w.Me.Role, w.URL, w.Here.Address, kind)
		}),
	}
}

func (a *app) tokens() *cobra.Command {
	return group(&cobra.Command{
		Use: "tokens", Short: "List, make and revoke the bearer tokens that programs call the server with",
	}, a.tokensList(), a.tokensCreate(), a.tokensRevoke())
}

func maybe(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return command.When(*t, time.Now())
}

func (a *app) tokensList() *cobra.Command {
	var everybody bool
	cmd := &cobra.Command{
		Use: "list", Short: "List your tokens", Args: command.Args(),
		RunE: a.asking(func(cmd *cobra.Command, _ []string, c *apiclient.Client) error {
			list, err := c.Tokens(cmd.Context(), everybody)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, t := range list {
				rows = append(rows, []string{shortID(t.ID), t.Name, t.UserName, strings.Join(t.Scopes, ", "), maybe(t.Expires), maybe(t.LastUsed)})
			}
			return a.table(cmd, list, []string{"ID", "NAME", "USER", "SCOPES", "EXPIRES", "LAST USED"}, rows, "There is none. `ownline tokens create NAME` makes one.")
		}),
	}
	cmd.Flags().BoolVar(&everybody, "all", false, "everybody's (admin)")
	return cmd
}

func (a *app) tokensCreate() *cobra.Command {
	var d time.Duration
	var scopes []string
	cmd := &cobra.Command{
		Use: "create NAME --scope SCOPE", Short: "Make a token, and print it this once",
		Long: `Make a token, and print it this once. Its scopes say what it is good for: read, sessions, devices,
invitations, tokens or admin; full is all that you may do.`,
		Example: "  ownline tokens create grafana --scope read\n  ownline tokens create backup --scope sessions --scope devices --for 720h",
		Args:    command.Args("NAME"),
		RunE: a.asking(func(cmd *cobra.Command, args []string, c *apiclient.Client) error {
			if len(scopes) == 0 {
				return command.Usagef("--scope is missing: read, sessions, devices, invitations, tokens, admin or full")
			}
			in := apiclient.TokenRequest{Name: args[0], Scopes: scopes}
			if cmd.Flags().Changed("for") {
				if d <= 0 {
					return command.Usagef("--for: %s is not a time to come", d)
				}
				t := time.Now().Add(d).UTC().Truncate(time.Second)
				in.Expires = &t
			}
			t, err := c.AddToken(cmd.Context(), in)
			if err != nil {
				return err
			}
			if !a.json {
				fmt.Fprintln(cmd.ErrOrStderr(), "It is shown only now. Requests send it as Authorization: Bearer TOKEN.")
			}
			return a.say(cmd, t, "%s", t.Value)
		}),
	}
	cmd.Flags().StringSliceVar(&scopes, "scope", nil, "what it is good for; may be given several times")
	cmd.Flags().DurationVar(&d, "for", 0, "how long it counts (default: until it is revoked)")
	return cmd
}

func (a *app) tokensRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke NAME", Short: "Make a token worthless",
		Long:    "Make a token worthless. It may be named by its name, its ID or the end of that.",
		Example: "  ownline tokens revoke backup",
		Args:    command.Args("NAME"),
		RunE: a.asking(func(cmd *cobra.Command, args []string, c *apiclient.Client) error {
			list, err := c.Tokens(cmd.Context(), false)
			if err != nil {
				return err
			}
			t, err := one("token", args[0], list, func(t apiclient.Token) string { return t.ID }, func(t apiclient.Token) []string { return []string{t.Name, shortID(t.ID)} })
			if err != nil {
				return err
			}
			if err := c.RemoveToken(cmd.Context(), t.ID); err != nil {
				return err
			}
			return a.say(cmd, gone{t.ID}, "%s is worthless now.", t.Name)
		}),
	}
}
