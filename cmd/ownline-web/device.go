package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/command"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/api"
)

func (a *app) device() *cobra.Command {
	return group(&cobra.Command{Use: "device", Short: "Make, list and revoke devices, which knock"}, a.deviceAdd(), a.deviceList(), a.deviceRevoke())
}

func (a *app) deviceAdd() *cobra.Command {
	var userName, siteName, fwknop string
	var claimed bool
	cmd := &cobra.Command{
		Use: "add NAME --user USER", Short: "Make a device, and print this once what it needs to knock",
		Long: `Make a device of a user that can knock at a site, and print its profile: one line that holds
the device's secret. It is shown only now. On the device: ownline enroll -

With --fwknop it is a client of fwknop, and what is printed is a stanza for its ~/.fwknoprc.`,
		Example: "  ownline-web device add laptop --user ana\n  ownline-web device add laptop --user ana --json | jq -r .profile",
		Args:    command.Args("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if userName == "" {
				return command.Usagef("--user is missing: a device is somebody's")
			}
			return a.with(cmd.Context(), func(w *web.Web) error {
				u, err := w.Access().UserNamed(cmd.Context(), me, userName)
				if err != nil {
					return err
				}
				s, err := oneSite(cmd.Context(), w, siteName)
				if err != nil {
					return err
				}
				d, p, err := w.Access().AddDevice(cmd.Context(), me, access.NewDevice{User: u.ID, Site: s.ID, Name: args[0], RequireClaimedSource: claimed, Fwknop: fwknop})
				if err != nil {
					return err
				}
				v, err := api.Enrolled(d, p)
				if err != nil {
					return err
				}
				return a.print(cmd, v, func(out io.Writer) error {
					if f := p.Fwknop; f != nil {
						fmt.Fprintf(cmd.ErrOrStderr(), "%s of %s can knock at %s with this stanza of ~/.fwknoprc. It is shown only now:\n", d.Name, u.Name, s.Name)
						_, err := fmt.Fprint(out, f.Stanza)
						for _, c := range f.Opens {
							fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", c.Service, c.Command)
						}
						return err
					}
					fmt.Fprintf(cmd.ErrOrStderr(), "%s of %s can knock at %s with this profile. It is shown only now:\n", d.Name, u.Name, s.Name)
					_, err := fmt.Fprintln(out, p.URI())
					return err
				})
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&userName, "user", "", "whose it is")
	flags.StringVar(&siteName, "site", "", "where it knocks (default: the only site)")
	flags.StringVar(&fwknop, "fwknop", "", "it is an fwknop client, whose packets have the HMAC `DIGEST`: sha256, or sha384, sha512, sha3_256 or sha3_512 with an equals sign, as in --fwknop=sha512")
	flags.Lookup("fwknop").NoOptDefVal = "sha256"
	flags.BoolVar(&claimed, "require-claimed-source", false, "its knocks must name the address that they come from")
	return cmd
}

func (a *app) deviceList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List devices", Args: command.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(w *web.Web) error {
				list, names, err := devices(cmd.Context(), w)
				if err != nil {
					return err
				}
				return a.print(cmd, views(list), func(out io.Writer) error {
					var rows [][]string
					for _, d := range list {
						state := ""
						if d.Revoked {
							state = "revoked"
						}
						source := ""
						if d.LastSource.IsValid() {
							source = d.LastSource.String()
						}
						rows = append(rows, []string{names[d.ID], state, command.When(d.LastKnock, time.Now()), source, d.ID.String()})
					}
					return command.Table(out, []string{"DEVICE", "STATE", "LAST KNOCK", "FROM", "ID"}, rows, "There are no devices. `ownline-web device add NAME --user USER` makes one.")
				})
			})
		},
	}
}

// devices lists all devices, and their names as USER/DEVICE.
func devices(ctx context.Context, w *web.Web) ([]ownline.Device, map[ownline.DeviceID]string, error) {
	list, err := all(func(p ownline.Page) ([]ownline.Device, string, error) {
		return w.Access().Devices(ctx, me, access.DeviceQuery{Page: p})
	})
	if err != nil {
		return nil, nil, err
	}
	us, err := users(ctx, w)
	names := make(map[ownline.DeviceID]string, len(list))
	for _, d := range list {
		for _, u := range us {
			if u.ID == d.User {
				names[d.ID] = u.Name + "/" + d.Name
			}
		}
	}
	return list, names, err
}

func (a *app) deviceRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke USER/DEVICE", Short: "Make a device's knocks count no more, and end its sessions",
		Long:    "Make a device's knocks count no more, and end its sessions. It can't be undone. The device\nmay also be named by its ID.",
		Example: "  ownline-web device revoke ana/phone",
		Args:    command.Args("USER/DEVICE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(w *web.Web) error {
				list, names, err := devices(cmd.Context(), w)
				if err != nil {
					return err
				}
				var found []ownline.Device
				for _, d := range list {
					if d.ID.String() == args[0] || !d.Revoked && (names[d.ID] == args[0] || !strings.Contains(args[0], "/") && d.Name == args[0]) {
						found = append(found, d)
					}
				}
				switch len(found) {
				case 0:
					return ownline.NotFound("device", args[0])
				case 1:
				default:
					return ownline.Invalid("device", "several are called so; give the ID of `ownline-web device list`")
				}
				d, err := w.Access().RevokeDevice(cmd.Context(), me, found[0].ID)
				if err != nil {
					return err
				}
				return a.say(cmd, api.View(d, true), "%s was revoked.", names[d.ID])
			})
		},
	}
}
