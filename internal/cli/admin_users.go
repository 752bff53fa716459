package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/apiclient"
	"github.com/ownline/ownline/internal/command"
)

func (a *app) adminUsers() *cobra.Command {
	return group(&cobra.Command{Use: "users", Short: "List, make, change and remove users"},
		a.usersList(), a.usersAdd(), a.usersSet(), a.usersPasswd(), a.usersReset(), a.usersRemove())
}

func (a *app) usersList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List users", Args: command.Args(),
		RunE: a.asking(func(cmd *cobra.Command, _ []string, c *apiclient.Client) error {
			list, err := c.Users(cmd.Context())
			if err != nil {
				return err
			}
			var rows [][]string
			for _, u := range list {
				state := ""
				switch {
				case u.Disabled:
					state = "disabled"
				case u.MustChange:
					state = "must change password"
				}
				rows = append(rows, []string{u.Name, u.Role, state, command.When(u.Created, time.Now())})
			}
			return a.table(cmd, list, []string{"USER", "ROLE", "STATE", "MADE"}, rows, "There is none.")
		}),
	}
}

func (a *app) usersAdd() *cobra.Command {
	var admin bool
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Make a user", Args: command.Args("NAME"),
		Long:    "Make a user. The password is asked for on the terminal, or read from standard input.",
		Example: "  ownline admin users add bob\n  ownline admin users add --admin eve <password.txt",
		RunE: a.asking(func(cmd *cobra.Command, args []string, c *apiclient.Client) error {
			password, err := command.Password(cmd.InOrStdin(), cmd.ErrOrStderr(), "Password for "+args[0], true)
			if err != nil {
				return err
			}
			in := apiclient.NewUser{Name: args[0], Password: password}
			if admin {
				in.Role = "admin"
			}
			u, err := c.AddUser(cmd.Context(), in)
			if err != nil {
				return err
			}
			return a.say(cmd, u, "%s was made (%s).", u.Name, u.Role)
		}),
	}
	cmd.Flags().BoolVar(&admin, "admin", false, "who may do everything")
	return cmd
}

func (a *app) usersSet() *cobra.Command {
	var name, role string
	var disabled, yes bool
	cmd := &cobra.Command{
		Use: "set USER", Short: "Change a user's name or role, or whether they may sign in",
		Long:              "Change a user's name or role, or whether they may sign in. --disabled ends their sessions and signs\nthem out; --disabled=false lets them in again.",
		Example:           "  ownline admin users set bob --disabled\n  ownline admin users set bob --role admin",
		Args:              command.Args("USER"),
		ValidArgsFunction: a.completing(userNames),
		RunE: a.asking(func(cmd *cobra.Command, args []string, c *apiclient.Client) error {
			if err := anyFlag(cmd, "name", "role", "disabled"); err != nil {
				return err
			}
			u, err := findUser(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			if disabled {
				if err := confirm(cmd, yes, "Disable %s, and end their sessions?", u.Name); err != nil {
					return err
				}
			}
			u, err = c.ChangeUser(cmd.Context(), u.ID, apiclient.UserChange{
				Name: changed(cmd, "name", name), Role: changed(cmd, "role", role), Disabled: changed(cmd, "disabled", disabled),
			})
			if err != nil {
				return err
			}
			return a.say(cmd, u, "%s was changed.", u.Name)
		}),
	}
	cmd.Flags().StringVar(&name, "name", "", "the new name")
	cmd.Flags().StringVar(&role, "role", "", "user or admin")
	cmd.Flags().BoolVar(&disabled, "disabled", false, "may not sign in or knock")
	yesFlag(cmd, &yes)
	return cmd
}

func (a *app) usersPasswd() *cobra.Command {
	return &cobra.Command{
		Use: "passwd USER", Short: "Give a user another password, and sign them out everywhere",
		Args:              command.Args("USER"),
		ValidArgsFunction: a.completing(userNames),
		RunE: askingOf(a, findUser, func(cmd *cobra.Command, c *apiclient.Client, u apiclient.User) error {
			password, err := command.Password(cmd.InOrStdin(), cmd.ErrOrStderr(), "New password for "+u.Name, true)
			if err != nil {
				return err
			}
			if u, err = c.ChangeUser(cmd.Context(), u.ID, apiclient.UserChange{Password: &password}); err != nil {
				return err
			}
			return a.say(cmd, u, "%s has a new password and is signed out everywhere.", u.Name)
		}),
	}
}

func (a *app) usersReset() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "reset USER", Short: "Take a user's second factor, recovery codes and passkeys away, and sign them out",
		Long:              "Take a user's second factor, recovery codes and passkeys away, and sign them out: for somebody who\nhas lost their phone. Their password stays; `ownline admin users passwd` gives them another.",
		Example:           "  ownline admin users reset bob",
		Args:              command.Args("USER"),
		ValidArgsFunction: a.completing(userNames),
		RunE: askingOf(a, findUser, func(cmd *cobra.Command, c *apiclient.Client, u apiclient.User) error {
			if err := confirm(cmd, yes, "Take %s's second factor and passkeys away, and sign them out?", u.Name); err != nil {
				return err
			}
			if err := c.ResetFactors(cmd.Context(), u.ID); err != nil {
				return err
			}
			return a.say(cmd, gone{u.ID}, "%s signs in by the password alone now.", u.Name)
		}),
	}
	yesFlag(cmd, &yes)
	return cmd
}

func (a *app) usersRemove() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "remove USER", Short: "Remove a user with their grants and devices, and end their sessions",
		Args:              command.Args("USER"),
		ValidArgsFunction: a.completing(userNames),
		RunE: askingOf(a, findUser, func(cmd *cobra.Command, c *apiclient.Client, u apiclient.User) error {
			if err := confirm(cmd, yes, "Remove %s with their grants and devices?", u.Name); err != nil {
				return err
			}
			if err := c.RemoveUser(cmd.Context(), u.ID); err != nil {
				return err
			}
			return a.say(cmd, gone{u.ID}, "%s was removed.", u.Name)
		}),
	}
	yesFlag(cmd, &yes)
	return cmd
}
