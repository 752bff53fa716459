package cli

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/apiclient"
	"github.com/ownline/ownline/internal/command"
	"github.com/ownline/ownline/internal/ownline"
)

func (a *app) logins() *cobra.Command { return a.loginsOf(false) }

// loginsOf are the commands about browsers that are signed in: one's own, or for an admin
// those of everybody.
func (a *app) loginsOf(everybody bool) *cobra.Command {
	short := "See where you are signed in and who tried, and sign out there"
	if everybody {
		short = "See who is signed in and who tried, and sign them out"
	}
	return group(&cobra.Command{Use: "logins", Short: short},
		a.loginsList(everybody), a.loginsAttempts(everybody), a.loginsEnd(everybody), a.loginsEndAll(everybody))
}

// whose selects a user's logins by name.
func whose(ctx context.Context, c *apiclient.Client, everybody bool, user string) (apiclient.LoginQuery, error) {
	if user == "" {
		return apiclient.LoginQuery{All: everybody}, nil
	}
	u, err := findUser(ctx, c, user)
	return apiclient.LoginQuery{User: u.ID}, err
}

func (a *app) userFlag(cmd *cobra.Command, everybody bool, user *string) {
	if everybody {
		cmd.Flags().StringVar(user, "user", "", "only of this user")
	}
}

func (a *app) loginsList(everybody bool) *cobra.Command {
	var user string
	cmd := &cobra.Command{
		Use: "list", Short: "List the browsers that are signed in, the newest first", Args: command.Args(),
		Long: "List the browsers that are signed in, the newest first. What signed in by a token, as\nthis program does, is in `ownline tokens list`.",
		RunE: a.asking(func(cmd *cobra.Command, _ []string, c *apiclient.Client) error {
			q, err := whose(cmd.Context(), c, everybody, user)
			if err != nil {
				return err
			}
			list, err := c.Logins(cmd.Context(), q)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, l := range list {
				rows = append(rows, []string{shortID(l.ID), l.UserName, l.Method, l.Address, l.Agent, command.When(l.Seen, time.Now()), command.When(l.Expires, time.Now())})
			}
			return a.table(cmd, list, []string{"ID", "USER", "BY", "FROM", "BROWSER", "LAST USED", "ENDS"}, rows, "No browser is signed in.")
		}),
	}
	a.userFlag(cmd, everybody, &user)
	return cmd
}

func (a *app) loginsAttempts(everybody bool) *cobra.Command {
	var q apiclient.AttemptQuery
	var user, since, until string
	cmd := &cobra.Command{
		Use: "attempts", Short: "List who tried to sign in, the newest first", Args: command.Args(),
		Long: `List who tried to sign in, the newest first. Failures that are alike are one line with a count.
--since and --until take a time like 2026-03-01, 2026-03-01T12:00:00Z or 24h (ago).`,
		Example: "  ownline logins attempts --result wrong_password --since 24h",
		RunE: a.asking(func(cmd *cobra.Command, _ []string, c *apiclient.Client) (err error) {
			if q.Limit < 1 {
				return command.Usagef("--limit: %d is less than one", q.Limit)
			}
			if q.Since, err = parseTime("--since", since); err != nil {
				return err
			}
			if q.Until, err = parseTime("--until", until); err != nil {
				return err
			}
			if q.LoginQuery, err = whose(cmd.Context(), c, everybody, user); err != nil {
				return err
			}
			list, err := c.LoginAttempts(cmd.Context(), q)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, t := range list {
				rows = append(rows, []string{command.When(t.Latest, time.Now()), t.UserName, t.Method, t.Result, strconv.Itoa(t.Count), t.Address, t.Agent})
			}
			return a.table(cmd, list, []string{"AT", "USER", "BY", "RESULT", "TIMES", "FROM", "BROWSER"}, rows, "Nobody tried.")
		}),
	}
	a.userFlag(cmd, everybody, &user)
	flags := cmd.Flags()
	flags.StringVar(&q.Result, "result", "", "only these: ok, wrong_password, wrong_code, wrong_passkey, throttled or refused")
	flags.StringVar(&q.Method, "method", "", "only these: password, totp, recovery_code, passkey, oidc or setup")
	flags.StringVar(&since, "since", "", "only then or later")
	flags.StringVar(&until, "until", "", "only before")
	flags.IntVar(&q.Limit, "limit", 50, "at most so many")
	return cmd
}

func (a *app) loginsEnd(everybody bool) *cobra.Command {
	return &cobra.Command{
		Use: "end ID", Short: "Sign a browser out", Args: command.Args("ID"),
		Long:    "Sign a browser out. The ID is that of the list, whole or its end.",
		Example: "  ownline logins end 1f3a9c20",
		RunE: a.asking(func(cmd *cobra.Command, args []string, c *apiclient.Client) error {
			list, err := c.Logins(cmd.Context(), apiclient.LoginQuery{All: everybody})
			if err != nil {
				return err
			}
			l, err := one("login", strings.ToLower(args[0]), list, func(l apiclient.Login) string { return l.ID }, func(l apiclient.Login) []string { return []string{shortID(l.ID)} })
			if err != nil {
				return err
			}
			if err := c.EndLogin(cmd.Context(), l.ID); err != nil {
				return err
			}
			return a.say(cmd, gone{l.ID}, "%s is signed out there.", l.UserName)
		}),
	}
}

func (a *app) loginsEndAll(everybody bool) *cobra.Command {
	var tokens, yes bool
	cmd := &cobra.Command{
		Use: "end-all", Short: "Sign out everywhere but here", Args: command.Args(),
		Long:    "Sign out in every browser. With --tokens every token becomes worthless, too, but the one that this\nprogram uses now.",
		Example: "  ownline logins end-all --tokens",
	}
	if everybody {
		cmd.Use, cmd.Short, cmd.Args = "end-all USER", "Sign a user out everywhere", command.Args("USER")
		cmd.Long = "Sign a user out in every browser. With --tokens their tokens become worthless, too."
		cmd.Example = "  ownline admin logins end-all bob --tokens"
		cmd.ValidArgsFunction = a.completing(userNames)
	}
	cmd.RunE = a.asking(func(cmd *cobra.Command, args []string, c *apiclient.Client) error {
		user, who := "", "you"
		if everybody {
			u, err := findUser(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			user, who = u.ID, u.Name
		}
		if err := confirm(cmd, yes, "Sign %s out everywhere?", who); err != nil {
			return err
		}
		n, err := c.EndLogins(cmd.Context(), user, tokens)
		if err != nil {
			return err
		}
		return a.say(cmd, n, "Logins and tokens ended: %d", n.Ended)
	})
	cmd.Flags().BoolVar(&tokens, "tokens", false, "make bearer tokens worthless, too")
	yesFlag(cmd, &yes)
	return cmd
}

func (a *app) provider() *cobra.Command {
	return group(&cobra.Command{
		Use: "oidc", Short: "Part from the identity provider by which you sign in",
		Long: "Part from the identity provider by which you sign in. Linking with one takes a browser: it begins on\nthe account page.",
	}, a.providerUnlink())
}

func (a *app) providerUnlink() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "unlink", Short: "Sign in by the identity provider no more", Args: command.Args(),
		Long:    "Sign in by the identity provider no more. Your password stays, if you have one; else an admin has\nto give you one.",
		Example: "  ownline oidc unlink",
		RunE: a.asking(func(cmd *cobra.Command, _ []string, c *apiclient.Client) error {
			if err := confirm(cmd, yes, "Sign in by the identity provider no more?"); err != nil {
				return err
			}
			if err := c.UnlinkProvider(cmd.Context()); err != nil {
				return err
			}
			return a.say(cmd, map[string]bool{"unlinked": true}, "You are not linked with an identity provider now.")
		}),
	}
	yesFlag(cmd, &yes)
	return cmd
}

func (a *app) password() *cobra.Command {
	var tokens bool
	cmd := &cobra.Command{
		Use: "password", Short: "Change your own password, and sign out in every browser", Args: command.Args(),
		Long: `Change your own password. The present one and the new one are asked for on the terminal, or are
the first two lines of standard input. Every browser is signed out; this program stays signed in.`,
		Example: "  ownline password\n  cat old.txt new.txt | ownline password --tokens",
		RunE: a.asking(func(cmd *cobra.Command, _ []string, c *apiclient.Client) error {
			present, next, err := presentAndNext(cmd)
			if err != nil {
				return err
			}
			if err := c.ChangePassword(cmd.Context(), present, next, tokens); err != nil {
				return err
			}
			return a.say(cmd, map[string]bool{"changed": true}, "Your password is changed.")
		}),
	}
	cmd.Flags().BoolVar(&tokens, "tokens", false, "make your other bearer tokens worthless, too")
	return cmd
}

func presentAndNext(cmd *cobra.Command) (present, next string, err error) {
	if !atTerminal(cmd) {
		lines, err := linesOf(cmd.InOrStdin(), 2)
		if err != nil {
			return "", "", err
		}
		if lines[0] == "" || lines[1] == "" {
			return "", "", ownline.Invalid("password", "give the present one and the new one, a line each, on standard input")
		}
		return lines[0], lines[1], nil
	}
	if present, err = command.Password(cmd.InOrStdin(), cmd.ErrOrStderr(), "Present password", false); err != nil {
		return "", "", err
	}
	next, err = command.Password(cmd.InOrStdin(), cmd.ErrOrStderr(), "New password", true)
	return present, next, err
}
