package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/apiclient"
	"github.com/ownline/ownline/internal/command"
)

// atTerminal reports whether a person can be asked.
func atTerminal(cmd *cobra.Command) bool {
	f, ok := cmd.InOrStdin().(*os.File)
	return ok && command.IsTerminal(f)
}

// linesOf reads so many lines; those that are missing are empty.
func linesOf(in io.Reader, n int) ([]string, error) {
	r, lines := bufio.NewReader(io.LimitReader(in, 8192)), make([]string, n)
	for i := range lines {
		line, err := r.ReadString('\n')
		lines[i] = strings.TrimRight(line, "\r\n")
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("standard input: %w", err)
		}
	}
	return lines, nil
}

func (a *app) totp() *cobra.Command {
	return group(&cobra.Command{
		Use: "totp", Short: "Turn the second factor on and off, and renew its recovery codes",
		Example: "  ownline totp enable\n  ownline totp recovery-codes --code 492039",
	}, a.totpStatus(), a.totpEnable(), a.totpConfirm(), a.totpDisable(), a.totpCodes())
}

func (a *app) totpStatus() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Tell by what you sign in beside the password", Args: command.Args(),
		RunE: a.asking(func(cmd *cobra.Command, _ []string, c *apiclient.Client) error {
			f, err := c.Factors(cmd.Context())
			if err != nil {
				return err
			}
			state := "off"
			if f.TOTP {
				state = fmt.Sprintf("on, %d recovery codes are left", f.RecoveryCodes)
			}
			return a.say(cmd, f, "Second factor: %s. Passkeys: %d.", state, f.Passkeys)
		}),
	}
}

func (a *app) totpEnable() *cobra.Command {
	var noQR bool
	cmd := &cobra.Command{
		Use: "enable", Short: "Turn the second factor on", Args: command.Args(),
		Long: `Turn the second factor on. The password is asked for on the terminal, or read from standard input.
It shows a QR code and the secret in it for an app that makes codes, and asks for the first of its
codes; only then the second factor counts, and ten recovery codes are shown, each good once if the
app is lost. Without a terminal it prints the secret, and ` + "`ownline totp confirm`" + ` takes the code.`,
		Example: "  ownline totp enable\n  ownline totp enable --json <password.txt | jq -r .uri",
		RunE: a.asking(func(cmd *cobra.Command, _ []string, c *apiclient.Client) error {
			password, err := command.Password(cmd.InOrStdin(), cmd.ErrOrStderr(), "Your password", false)
			if err != nil {
				return err
			}
			offer, err := c.OfferTOTP(cmd.Context(), apiclient.Proof{Password: password})
			if err != nil {
				return err
			}
			if a.json || !atTerminal(cmd) {
				return a.print(cmd, offer, func(w io.Writer) error {
					fmt.Fprintln(cmd.ErrOrStderr(), "It counts once `ownline totp confirm CODE` has had a code of the app. It is shown only now.")
					_, err := fmt.Fprintf(w, "%s\n%s\n", offer.Secret, offer.URI)
					return err
				})
			}
			if !noQR {
				if err := writeQR(cmd.ErrOrStderr(), offer.URI); err != nil {
					return err
				}
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "Read the picture with your app, or type this: %s\n", offer.Secret)
			code, err := command.Password(cmd.InOrStdin(), cmd.ErrOrStderr(), "The code that it shows now", false)
			if err != nil {
				return err
			}
			codes, err := c.ConfirmTOTP(cmd.Context(), code)
			if err != nil {
				return fmt.Errorf("%w; the second factor is not on: try `ownline totp confirm CODE`", err)
			}
			return a.printCodes(cmd, codes)
		}),
	}
	cmd.Flags().BoolVar(&noQR, "no-qr", false, "do not draw the QR code")
	return cmd
}

// printCodes shows recovery codes.
func (a *app) printCodes(cmd *cobra.Command, codes apiclient.RecoveryCodes) error {
	return a.print(cmd, codes, func(w io.Writer) error {
		fmt.Fprintln(cmd.ErrOrStderr(), "The second factor is on. Keep these codes where you keep keys: each lets you in once without your app. They are shown only now.")
		_, err := fmt.Fprintln(w, strings.Join(codes.RecoveryCodes, "\n"))
		return err
	})
}

func (a *app) totpConfirm() *cobra.Command {
	return &cobra.Command{
		Use: "confirm CODE", Short: "Turn the second factor on by a code of the app that has its secret", Args: command.Args("CODE"),
		Example: "  ownline totp confirm 492039",
		RunE: a.asking(func(cmd *cobra.Command, args []string, c *apiclient.Client) error {
			codes, err := c.ConfirmTOTP(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.printCodes(cmd, codes)
		}),
	}
}

// proof is the second factor that was given by a flag, or else the password.
func proof(cmd *cobra.Command, code string) (p apiclient.Proof, err error) {
	if code != "" {
		p.SetCode(code)
		return p, nil
	}
	p.Password, err = command.Password(cmd.InOrStdin(), cmd.ErrOrStderr(), "Your password", false)
	return p, err
}

func codeFlag(cmd *cobra.Command, code *string) {
	cmd.Flags().StringVar(code, "code", "", "a code of your app, or a recovery code, in place of the password")
}

func (a *app) totpDisable() *cobra.Command {
	var code string
	cmd := &cobra.Command{
		Use: "disable", Short: "Turn the second factor off, for the password or a code", Args: command.Args(),
		Long: "Turn the second factor off. The password is asked for on the terminal, or read from standard input,\nunless --code is given. The recovery codes go with it.",
		RunE: a.asking(func(cmd *cobra.Command, _ []string, c *apiclient.Client) error {
			p, err := proof(cmd, code)
			if err != nil {
				return err
			}
			if err := c.RemoveTOTP(cmd.Context(), p); err != nil {
				return err
			}
			return a.say(cmd, map[string]bool{"totp": false}, "The second factor is off.")
		}),
	}
	codeFlag(cmd, &code)
	return cmd
}

func (a *app) totpCodes() *cobra.Command {
	var code string
	cmd := &cobra.Command{
		Use: "recovery-codes", Short: "Make new recovery codes; the old ones count no more", Args: command.Args(),
		Long: "Make new recovery codes; the old ones count no more. The password is asked for on the terminal, or\nread from standard input, unless --code is given.",
		RunE: a.asking(func(cmd *cobra.Command, _ []string, c *apiclient.Client) error {
			p, err := proof(cmd, code)
			if err != nil {
				return err
			}
			codes, err := c.NewRecoveryCodes(cmd.Context(), p)
			if err != nil {
				return err
			}
			return a.printCodes(cmd, codes)
		}),
	}
	codeFlag(cmd, &code)
	return cmd
}

func (a *app) passkeys() *cobra.Command {
	return group(&cobra.Command{
		Use: "passkeys", Short: "List, rename and remove your passkeys; a browser makes them",
	}, a.passkeysList(), a.passkeysRename(), a.passkeysRemove())
}

func (a *app) passkeysList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List your passkeys", Args: command.Args(),
		RunE: a.asking(func(cmd *cobra.Command, _ []string, c *apiclient.Client) error {
			list, err := c.Passkeys(cmd.Context())
			if err != nil {
				return err
			}
			var rows [][]string
			for _, p := range list {
				state := ""
				if p.Cloned {
					state = "copied; counts no more"
				}
				rows = append(rows, []string{shortID(p.ID), p.Name, state, command.When(p.Created, time.Now()), maybe(p.LastUsed)})
			}
			return a.table(cmd, list, []string{"ID", "PASSKEY", "STATE", "MADE", "LAST USED"}, rows, "There is none. Sign in with a browser to make one.")
		}),
	}
}

// onPasskey finds the passkey that the first argument names.
func (a *app) onPasskey(f func(*cobra.Command, []string, *apiclient.Client, apiclient.Passkey) error) func(*cobra.Command, []string) error {
	return a.asking(func(cmd *cobra.Command, args []string, c *apiclient.Client) error {
		list, err := c.Passkeys(cmd.Context())
		if err != nil {
			return err
		}
		p, err := one("passkey", args[0], list, func(p apiclient.Passkey) string { return p.ID }, func(p apiclient.Passkey) []string { return []string{p.Name, shortID(p.ID)} })
		if err != nil {
			return err
		}
		return f(cmd, args, c, p)
	})
}

func (a *app) passkeysRename() *cobra.Command {
	return &cobra.Command{
		Use: "rename NAME NEW", Short: "Give a passkey another name", Args: command.Args("NAME", "NEW"),
		Long:    "Give a passkey another name. It may be named by its name, its ID or the end of that.",
		Example: "  ownline passkeys rename key 'blue key'",
		RunE: a.onPasskey(func(cmd *cobra.Command, args []string, c *apiclient.Client, p apiclient.Passkey) error {
			was := p.Name
			p, err := c.RenamePasskey(cmd.Context(), p.ID, args[1])
			if err != nil {
				return err
			}
			return a.say(cmd, p, "%s is called %s now.", was, p.Name)
		}),
	}
}

func (a *app) passkeysRemove() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "remove NAME", Short: "Make a passkey worthless", Args: command.Args("NAME"),
		Long: "Make a passkey worthless. It may be named by its name, its ID or the end of that.",
		RunE: a.onPasskey(func(cmd *cobra.Command, _ []string, c *apiclient.Client, p apiclient.Passkey) error {
			if err := confirm(cmd, yes, "Remove the passkey %s for good?", p.Name); err != nil {
				return err
			}
			if err := c.RemovePasskey(cmd.Context(), p.ID); err != nil {
				return err
			}
			return a.say(cmd, gone{p.ID}, "%s was removed.", p.Name)
		}),
	}
	yesFlag(cmd, &yes)
	return cmd
}
