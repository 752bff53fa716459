package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/apiclient"
	"github.com/ownline/ownline/internal/command"
	"github.com/ownline/ownline/internal/ownline"
)

func (a *app) login() *cobra.Command {
	var name, code, ca string
	var plain bool
	cmd := &cobra.Command{
		Use:   "login URL [--name NAME]",
		Short: "Sign in to a server",
		Long: `Sign in to an Ownline server. The password is asked for on the terminal, or read from
standard input. It is not kept: the server gives a token for it, which is written to a
file that only you can read. ` + "`ownline logout`" + ` makes the token worthless.

With a second factor, the code of your app or a recovery code is asked for as well. If an
admin has set your password, you are asked for one of your own.`,
		Example: `  ownline login https://ownline.example.org:9999
  ownline login https://ownline.example.org:9999 --name ana <password.txt
  ownline login https://ownline.home.example.org:9999 --ca home-root.pem`,
		Args: command.Args("URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			address, err := apiclient.CheckURL(args[0])
			if err != nil {
				return &command.UsageError{Err: err}
			}
			if !plain && !private(address) {
				return ownline.Invalid("url", "the password would travel unencrypted; use https://, or --plain if you know better")
			}
			if name == "" {
				if name, err = askName(cmd); err != nil {
					return err
				}
			}
			password, err := command.Password(cmd.InOrStdin(), cmd.ErrOrStderr(), "Password of "+name, false)
			if err != nil {
				return err
			}
			host, err := os.Hostname()
			if err != nil || host == "" {
				host = "command line"
			}
			acc := account{URL: address, Name: name}
			if ca != "" {
				if acc.Authorities, err = os.ReadFile(ca); err != nil {
					return ownline.Invalid("ca", err.Error())
				}
			}
			c, err := acc.connect()
			if err != nil {
				return err
			}
			in := apiclient.Credentials{Name: name, Password: password, Label: host[:min(len(host), 64)]}
			in.SetCode(code)
			issued, err := c.SignIn(cmd.Context(), in)
			if apiclient.NeedsCode(err) {
				if code, err = askCode(cmd); err != nil {
					return err
				}
				in.SetCode(code)
				issued, err = c.SignIn(cmd.Context(), in)
			}
			if err != nil {
				return err
			}
			if issued.MustChange {
				if err := chooseOwn(cmd, c, password); err != nil {
					return err
				}
			}
			acc.Token, acc.Expires = issued.Token, issued.Expires
			if err := writeJSON(a.accountFile(), acc); err != nil {
				return err
			}
			return a.print(cmd, map[string]any{"url": acc.URL, "name": acc.Name, "expires": acc.Expires}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "Signed in to %s as %s.\n", acc.URL, acc.Name)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "the user's name (asked for when missing)")
	cmd.Flags().StringVar(&code, "code", "", "the code of your app, or a recovery code, if you have a second factor (asked for on a terminal)")
	cmd.Flags().StringVar(&ca, "ca", "", "trust the certificates in this file (PEM) as well, for this server, until you sign in anew")
	cmd.Flags().BoolVar(&plain, "plain", false, "allow http:// to another machine")
	return cmd
}

// private reports whether nobody on the way can read what is sent to the address.
func private(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Scheme == "https" {
		return err == nil
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
}

func askName(cmd *cobra.Command) (string, error) {
	if !atTerminal(cmd) {
		return "", command.Usagef("--name is missing")
	}
	fmt.Fprint(cmd.ErrOrStderr(), "Name: ")
	line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("read the name: %w", err)
	}
	return strings.TrimSpace(line), nil
}

// askCode asks for the second factor.
func askCode(cmd *cobra.Command) (string, error) {
	if !atTerminal(cmd) {
		return "", ownline.Invalid("code", "is needed: give --code with the six digits of your app, or a recovery code")
	}
	return command.Password(cmd.InOrStdin(), cmd.ErrOrStderr(), "Code of your app, or a recovery code", false)
}

// chooseOwn replaces a password that an admin has set. Where nobody can be asked it only
// says so: the token is good for nothing else before.
func chooseOwn(cmd *cobra.Command, c *apiclient.Client, current string) error {
	if !atTerminal(cmd) {
		_, err := fmt.Fprintln(cmd.ErrOrStderr(), "An admin has set your password: sign in with a browser or at a terminal once and choose your own.")
		return err
	}
	fmt.Fprintln(cmd.ErrOrStderr(), "An admin has set your password. Choose your own now.")
	next, err := command.Password(cmd.InOrStdin(), cmd.ErrOrStderr(), "New password", true)
	if err != nil {
		return err
	}
	return c.ChangePassword(cmd.Context(), current, next, false)
}

func (a *app) logout() *cobra.Command {
	return &cobra.Command{
		Use: "logout", Short: "Sign out, and make the token worthless", Args: command.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			err = c.SignOut(cmd.Context())
			if errors.Is(err, ownline.ErrUnauthorized) {
				err = nil // it is worthless already
			}
			if rerr := os.Remove(a.accountFile()); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
				return rerr
			}
			if err != nil {
				return fmt.Errorf("the token was deleted here, but the server still knows it: %w", err)
			}
			return a.print(cmd, map[string]bool{"signed_out": true}, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, "Signed out.")
				return err
			})
		},
	}
}
