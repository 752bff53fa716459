package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"rsc.io/qr"

	"github.com/ownline/ownline/internal/apiclient"
	"github.com/ownline/ownline/internal/command"
)

func (a *app) devices() *cobra.Command {
	return group(&cobra.Command{
		Use: "devices", Short: "List, make, change and revoke the devices that knock for you",
	}, a.devicesList(), a.devicesAdd(), a.devicesChange(), a.devicesRotate(), a.devicesRevoke(), a.devicesRemove())
}

// deviceList lists the devices of a user, "" for all that one may see, and how they are
// called: an admin's list has those of others, as USER/DEVICE.
func deviceList(ctx context.Context, c *apiclient.Client, user string) ([]apiclient.Device, func(apiclient.Device) string, error) {
	me, err := c.Me(ctx)
	if err != nil {
		return nil, nil, err
	}
	owners := map[string]string{}
	if me.Role == "admin" {
		users, err := c.Users(ctx)
		if err != nil {
			return nil, nil, err
		}
		for _, u := range users {
			owners[u.ID] = u.Name
		}
	}
	list, err := c.Devices(ctx, apiclient.DeviceQuery{User: user})
	return list, func(d apiclient.Device) string {
		if d.User == me.ID || owners[d.User] == "" {
			return d.Name
		}
		return owners[d.User] + "/" + d.Name
	}, err
}

func findDevice(ctx context.Context, c *apiclient.Client, given string) (apiclient.Device, error) {
	list, full, err := deviceList(ctx, c, "")
	if err != nil {
		return apiclient.Device{}, err
	}
	live := list[:0:0]
	for _, d := range list {
		if !d.Revoked || d.ID == given {
			live = append(live, d)
		}
	}
	return one("device", given, live, func(d apiclient.Device) string { return d.ID }, func(d apiclient.Device) []string { return []string{full(d), shortID(d.ID)} })
}

func (a *app) devicesList() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "list", Short: "List your devices", Args: command.Args(),
		RunE: a.asking(func(cmd *cobra.Command, _ []string, c *apiclient.Client) error {
			user := ""
			if !all {
				me, err := c.Me(cmd.Context())
				if err != nil {
					return err
				}
				user = me.ID
			}
			list, full, err := deviceList(cmd.Context(), c, user)
			if err != nil {
				return err
			}
			sites, err := siteNames(cmd.Context(), c)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, d := range list {
				state := ""
				if d.Revoked {
					state = "revoked"
				}
				rows = append(rows, []string{shortID(d.ID), full(d), sites[d.Site], state, maybe(d.LastKnock), d.LastSource, strings.Join(d.AllowedFrom, ",")})
			}
			return a.table(cmd, list, []string{"ID", "DEVICE", "SITE", "STATE", "LAST KNOCK", "FROM", "OPENS FROM"}, rows, "There is none. `ownline devices add NAME` makes one.")
		}),
	}
	cmd.Flags().BoolVar(&all, "all", false, "everybody's (admin)")
	return cmd
}

func (a *app) devicesAdd() *cobra.Command {
	var site, user, fwknop string
	var claimed, noQR bool
	var from []string
	cmd := &cobra.Command{
		Use: "add NAME [--site SITE]", Short: "Make a device, and show this once what it needs to knock",
		Long: `Make a device that can knock at a site, and show its profile this once: as a QR code for the
app on a phone, and as one line for ` + "`ownline enroll`" + `. The profile holds the device's secret.

With --fwknop it is a client of fwknop, and what it needs is a stanza for its ~/.fwknoprc.`,
		Example: "  ownline devices add phone\n  ownline devices add server --fwknop >> ~/.fwknoprc\n  ownline devices add laptop --json | jq -r .profile | ownline enroll -",
		Args:    command.Args("NAME"),
		RunE: a.asking(func(cmd *cobra.Command, args []string, c *apiclient.Client) error {
			s, err := findSite(cmd.Context(), c, site)
			if err != nil {
				return err
			}
			in := apiclient.NewDevice{Site: s.ID, Name: args[0], RequireClaimedSource: claimed, Fwknop: fwknop, AllowedFrom: from}
			if user != "" {
				u, err := findUser(cmd.Context(), c, user)
				if err != nil {
					return err
				}
				in.User = u.ID
			}
			d, err := c.AddDevice(cmd.Context(), in)
			if err != nil {
				return err
			}
			return a.printProfile(cmd, d, noQR)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&site, "site", "", "where it knocks (default: the only site)")
	flags.StringVar(&user, "user", "", "whose it is (admin; default: your own)")
	flags.BoolVar(&claimed, "require-claimed-source", false, "its knocks must name the address that they come from")
	flags.StringVar(&fwknop, "fwknop", "", "it is an fwknop client, whose packets have the HMAC `DIGEST`: sha256, or sha384, sha512, sha3_256 or sha3_512 with an equals sign, as in --fwknop=sha512")
	flags.Lookup("fwknop").NoOptDefVal = "sha256"
	flags.StringSliceVar(&from, "from", nil, "countries, providers and networks that sessions may be opened from, like ES,AS3352,198.51.100.0/24 (empty: anywhere); for admins")
	flags.BoolVar(&noQR, "no-qr", false, "print only the line")
	_ = cmd.RegisterFlagCompletionFunc("fwknop", cobra.FixedCompletions([]string{"sha256", "sha384", "sha512", "sha3_256", "sha3_512"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (a *app) devicesChange() *cobra.Command {
	var name string
	var claimed bool
	var from []string
	cmd := &cobra.Command{
		Use: "change NAME", Short: "Rename a device, or say what its knocks must name",
		Long:              "Rename a device, or say whether its knocks must name the address that they come from. Its profile\nstays good. An admin names those of others as USER/DEVICE.",
		Example:           "  ownline devices change phone --name 'old phone'\n  ownline devices change laptop --require-claimed-source=false",
		Args:              command.Args("NAME"),
		ValidArgsFunction: a.completing(deviceNames),
		RunE: a.asking(func(cmd *cobra.Command, args []string, c *apiclient.Client) error {
			if err := anyFlag(cmd, "name", "require-claimed-source", "from"); err != nil {
				return err
			}
			d, err := findDevice(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			d, err = c.ChangeDevice(cmd.Context(), d.ID, apiclient.DeviceChange{
				Name: changed(cmd, "name", name), RequireClaimedSource: changed(cmd, "require-claimed-source", claimed), AllowedFrom: changed(cmd, "from", from),
			})
			if err != nil {
				return err
			}
			return a.say(cmd, d, "%s was changed.", d.Name)
		}),
	}
	cmd.Flags().StringSliceVar(&from, "from", nil, "countries, providers and networks that sessions may be opened from, like ES,AS3352,198.51.100.0/24 (empty: anywhere); for admins")
	cmd.Flags().StringVar(&name, "name", "", "the new name")
	cmd.Flags().BoolVar(&claimed, "require-claimed-source", false, "its knocks must name the address that they come from")
	return cmd
}

// printProfile shows a profile; the code only where somebody can point a phone at it.
func (a *app) printProfile(cmd *cobra.Command, d apiclient.Enrolled, noQR bool) error {
	return a.print(cmd, d, func(w io.Writer) error {
		if d.Client != nil {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s can knock with this stanza of ~/.fwknoprc. It is shown only now:\n", d.Name)
			if _, err := fmt.Fprint(w, d.Client.Stanza); err != nil {
				return err
			}
			for _, c := range d.Client.Opens {
				fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", c.Service, c.Command)
			}
			return nil
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "%s can knock with this profile. It is shown only now:\n", d.Name)
		if f, ok := w.(*os.File); ok && command.IsTerminal(f) && !noQR {
			if err := writeQR(w, d.Profile); err != nil {
				return err
			}
		}
		_, err := fmt.Fprintln(w, d.Profile)
		return err
	})
}

// writeQR draws a QR code, two of its rows to a line of text. Colours are set, so that it
// is dark on light on every terminal; two cells around it are the quiet zone.
func writeQR(w io.Writer, text string) error {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return fmt.Errorf("QR code: %w", err)
	}
	const quiet = 2
	for y := -quiet; y < code.Size+quiet; y += 2 {
		fmt.Fprint(w, "\x1b[30;107m")
		for x := -quiet; x < code.Size+quiet; x++ {
			fmt.Fprint(w, map[[2]bool]string{{}: " ", {true, false}: "▀", {false, true}: "▄", {true, true}: "█"}[[2]bool{code.Black(x, y), code.Black(x, y+1)}])
		}
		if _, err := fmt.Fprintln(w, "\x1b[0m"); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) devicesRotate() *cobra.Command {
	var noQR bool
	cmd := &cobra.Command{
		Use: "rotate NAME", Short: "Give a device a new secret, and show this once what it needs to knock",
		Long:              "Give a device a new secret; the old one counts no more. Its sessions stay.",
		Args:              command.Args("NAME"),
		ValidArgsFunction: a.completing(deviceNames),
		RunE: askingOf(a, findDevice, func(cmd *cobra.Command, c *apiclient.Client, d apiclient.Device) error {
			e, err := c.RotateDevice(cmd.Context(), d.ID)
			if err != nil {
				return err
			}
			return a.printProfile(cmd, e, noQR)
		}),
	}
	cmd.Flags().BoolVar(&noQR, "no-qr", false, "print only the line")
	return cmd
}

func (a *app) devicesRevoke() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "revoke NAME", Short: "Make a device's knocks count no more, and end its sessions",
		Long:              "Make a device's knocks count no more, and end its sessions. It can't be undone. An admin names\nthose of others as USER/DEVICE.",
		Args:              command.Args("NAME"),
		ValidArgsFunction: a.completing(deviceNames),
		RunE: askingOf(a, findDevice, func(cmd *cobra.Command, c *apiclient.Client, d apiclient.Device) error {
			if err := confirm(cmd, yes, "Revoke %s for good?", d.Name); err != nil {
				return err
			}
			d, err := c.RevokeDevice(cmd.Context(), d.ID)
			if err != nil {
				return err
			}
			return a.say(cmd, d, "%s was revoked.", d.Name)
		}),
	}
	yesFlag(cmd, &yes)
	return cmd
}

func (a *app) devicesRemove() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "remove NAME", Short: "Revoke a device and take it off the list",
		Long:              "Revoke a device and take it off the list. One that was revoked before is named by its ID, or the\nend of that.",
		Args:              command.Args("NAME"),
		ValidArgsFunction: a.completing(deviceNames),
		RunE: a.asking(func(cmd *cobra.Command, args []string, c *apiclient.Client) error {
			list, full, err := deviceList(cmd.Context(), c, "")
			if err != nil {
				return err
			}
			d, err := one("device", args[0], list, func(d apiclient.Device) string { return d.ID }, func(d apiclient.Device) []string { return []string{full(d), shortID(d.ID)} })
			if err != nil {
				return err
			}
			if err := confirm(cmd, yes, "Remove %s for good?", d.Name); err != nil {
				return err
			}
			if err := c.RemoveDevice(cmd.Context(), d.ID); err != nil {
				return err
			}
			return a.say(cmd, gone{d.ID}, "%s was removed.", d.Name)
		}),
	}
	yesFlag(cmd, &yes)
	return cmd
}
