package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/command"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/api"
)

func (a *app) user() *cobra.Command {
	return group(&cobra.Command{Use: "user", Short: "Make, list and remove users"}, a.userAdd(), a.userList(), a.userPasswd(), a.userReset(), a.userDelete())
}

func (a *app) userAdd() *cobra.Command {
	var admin, permanent bool
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Make a user, or reset a lost admin",
		Long: `Make a user. The password is asked for on the terminal, or read from standard input: at
least 12 characters. With --admin the user may do everything; one that is there already
becomes an admin, is enabled, and gets the new password, which signs them out everywhere.

The user has to choose another password at the next sign-in, except the first user of all,
who is taken to be you. --permanent says that they have chosen this one themselves.`,
		Example: `  ownline-web user add --admin ana
  ownline-web user add bob <password.txt`,
		Args: command.Args("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(w *web.Web) error {
				password, err := command.Password(cmd.InOrStdin(), cmd.ErrOrStderr(), "Password for "+args[0], true)
				if err != nil {
					return err
				}
				role := ownline.Person
				if admin {
					role = ownline.Admin
				}
				there, err := users(cmd.Context(), w)
				if err != nil {
					return err
				}
				mustChange := !permanent && len(there) > 0
				u, err := w.Access().AddUser(cmd.Context(), me, access.NewUser{Name: args[0], Password: password, Role: role, MustChange: mustChange})
				if !errors.Is(err, ownline.ErrConflict) {
					if err != nil {
						return err
					}
					return a.say(cmd, api.View(u, true), "%s was made (%s).", u.Name, u.Role)
				}
				if !admin {
					return fmt.Errorf("%w; `ownline-web user passwd %s` changes the password", err, args[0])
				}
				if u, err = w.Access().UserNamed(cmd.Context(), me, args[0]); err != nil {
					return err
				}
				enabled := false
				u, err = w.Access().ChangeUser(cmd.Context(), me, u.ID, access.UserChange{Password: &password, MustChange: mustChange, Role: &role, Disabled: &enabled})
				if err != nil {
					return err
				}
				return a.say(cmd, api.View(u, true), "%s was there already: now an admin, with the new password.", u.Name)
			})
		},
	}
	cmd.Flags().BoolVar(&admin, "admin", false, "may do everything")
	permanentFlag(cmd, &permanent)
	return cmd
}

func (a *app) userList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List users", Args: command.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(w *web.Web) error {
				list, err := users(cmd.Context(), w)
				if err != nil {
					return err
				}
				return a.print(cmd, views(list), func(out io.Writer) error {
					var rows [][]string
					for _, u := range list {
						disabled := ""
						if u.Disabled {
							disabled = "disabled"
						}
						rows = append(rows, []string{u.Name, string(u.Role), disabled, command.When(u.Created, time.Now())})
					}
					return command.Table(out, []string{"NAME", "ROLE", "STATE", "MADE"}, rows, "There are no users. `ownline-web user add --admin NAME` makes one.")
				})
			})
		},
	}
}

func users(ctx context.Context, w *web.Web) ([]ownline.User, error) {
	return all(func(p ownline.Page) ([]ownline.User, string, error) {
		return w.Access().Users(ctx, me, ownline.UserQuery{Page: p})
	})
}

func permanentFlag(cmd *cobra.Command, permanent *bool) {
	cmd.Flags().BoolVar(permanent, "permanent", false, "the user has chosen this password and may keep it")
}

// newPassword finds a user and asks for the password that they are to have.
func newPassword(cmd *cobra.Command, w *web.Web, name string) (ownline.User, string, error) {
	u, err := w.Access().UserNamed(cmd.Context(), me, name)
	if err != nil {
		return u, "", err
	}
	password, err := command.Password(cmd.InOrStdin(), cmd.ErrOrStderr(), "New password for "+u.Name, true)
	return u, password, err
}

func (a *app) userPasswd() *cobra.Command {
	var permanent bool
	cmd := &cobra.Command{
		Use: "passwd NAME", Short: "Change a user's password, which signs them out everywhere",
		Long:    "Change a user's password, asked for on the terminal or read from standard input. Their\nlogins and tokens count no more, and they have to choose another one at the next sign-in,\nunless --permanent is given.",
		Example: "  ownline-web user passwd bob",
		Args:    command.Args("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(w *web.Web) error {
				u, password, err := newPassword(cmd, w, args[0])
				if err != nil {
					return err
				}
				if u, err = w.Access().ChangeUser(cmd.Context(), me, u.ID, access.UserChange{Password: &password, MustChange: !permanent}); err != nil {
					return err
				}
				return a.say(cmd, api.View(u, true), "%s has a new password, and is signed out everywhere.", u.Name)
			})
		},
	}
	permanentFlag(cmd, &permanent)
	return cmd
}

func (a *app) userReset() *cobra.Command {
	var admin, permanent bool
	cmd := &cobra.Command{
		Use: "reset NAME", Short: "Let a user in who has lost the password, the second factor or the passkeys",
		Long: `Give a user a new password, asked for on the terminal or read from standard input, take the
second factor, the recovery codes and the passkeys away, enable the user, and sign them out
everywhere. With --admin the user becomes an admin, too: so an admin who is locked out gets
back in. They have to choose another password at the next sign-in, unless --permanent is
given.`,
		Example: "  ownline-web user reset ana --admin --permanent",
		Args:    command.Args("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(w *web.Web) error {
				u, password, err := newPassword(cmd, w, args[0])
				if err != nil {
					return err
				}
				enabled := false
				change := access.UserChange{Password: &password, MustChange: !permanent, Disabled: &enabled}
				if admin {
					role := ownline.Admin
					change.Role = &role
				}
				if u, err = w.Access().ChangeUser(cmd.Context(), me, u.ID, change); err != nil {
					return err
				}
				if err := w.Access().ResetFactors(cmd.Context(), me, u.ID); err != nil {
					return err
				}
				return a.say(cmd, api.View(u, true), "%s can sign in with the new password alone.", u.Name)
			})
		},
	}
	cmd.Flags().BoolVar(&admin, "admin", false, "make the user an admin")
	permanentFlag(cmd, &permanent)
	return cmd
}

func (a *app) userDelete() *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Short: "Remove a user with their grants and devices, and end their sessions",
		Example: "  ownline-web user delete bob",
		Args:    command.Args("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(w *web.Web) error {
				u, err := w.Access().UserNamed(cmd.Context(), me, args[0])
				if err != nil {
					return err
				}
				if err := w.Access().RemoveUser(cmd.Context(), me, u.ID); err != nil {
					return err
				}
				return a.say(cmd, removed(u.ID), "%s was removed.", u.Name)
			})
		},
	}
}
