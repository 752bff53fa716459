package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/agent/profile"
	"github.com/ownline/ownline/internal/apiclient"
	"github.com/ownline/ownline/internal/command"
	"github.com/ownline/ownline/internal/ownline"
)

type enrollFlags struct {
	name, qr, device, site string
	replace                bool
	keyring                keyringChoice
}

func (a *app) enroll() *cobra.Command {
	f := enrollFlags{keyring: "auto"}
	cmd := &cobra.Command{
		Use: "enroll [URI] [--name NAME]", Short: "Make this machine a device that can knock",
		Long: `Keep the profile of a device here. A profile is shown once, when a device is made: in the
pages, by ` + "`ownline devices add`" + `, or by ` + "`ownline-web device add`" + `; as a line that begins with
ownline://, and as a QR code. There are three ways to give it:

  -          asks for the line, or reads it from standard input. URI, the line itself, is taken as
             well, but stands in your shell's history then, and in ps for everybody here
  --qr FILE  an image with the QR code: a PNG or JPEG, a screenshot or a photo; - for standard
             input
  --new NAME make the device now, with the server that you are signed in to

The secret goes into the system's keyring where there is one that is open (the Secret Service of
a Linux desktop, the Keychain of macOS, the Credential Manager of Windows), and otherwise into the
profile's file, which only you can read. --keyring on insists on the keyring, --keyring off on
the file: for a machine that has to knock when nobody has unlocked the keyring.
` + "`ownline profiles`" + ` shows where each secret is, and moves it.`,
		Example: `  ownline enroll - --name home
  ownline enroll --qr screenshot.png
  ownline enroll --new laptop --site home`,
		Args: command.Args("[URI]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			given := len(args)
			for _, flag := range []string{"qr", "new"} {
				if cmd.Flags().Changed(flag) {
					given++
				}
			}
			switch {
			case given != 1:
				return command.Usagef("give one of URI, --qr FILE and --new NAME")
			case f.site != "" && f.device == "":
				return command.Usagef("--site goes with --new: a profile has its site in it")
			case f.name != "" && profile.CheckName(f.name) != nil:
				return profile.CheckName(f.name)
			case cmd.Flags().Changed("new"):
				return a.asking(func(cmd *cobra.Command, _ []string, c *apiclient.Client) error { return a.enrollNew(cmd, f, c) })(cmd, args)
			}
			uri, err := givenProfile(cmd, f, args)
			if err != nil {
				return err
			}
			p, err := ownline.ParseProfile(strings.TrimSpace(uri))
			if err != nil {
				return err
			}
			return a.keep(cmd, f, p)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.name, "name", "", "of the profile (default: the name of the site)")
	flags.BoolVar(&f.replace, "replace", false, "write over the profile of that name")
	flags.StringVar(&f.qr, "qr", "", "read the QR code in this `file` (PNG or JPEG)")
	flags.StringVar(&f.device, "new", "", "make a device of this `name` first, by the server that you are signed in to")
	flags.StringVar(&f.site, "site", "", "where the new device knocks (default: the only site)")
	flags.Var(&f.keyring, "keyring", "where the secret goes: on, off, or auto, which is on where a keyring is open")
	mustComplete(cmd, "keyring", cobra.FixedCompletions([]string{"auto", "on", "off"}, cobra.ShellCompDirectiveNoFileComp))
	mustComplete(cmd, "site", a.completing(siteNameList))
	return cmd
}

// givenProfile reads the profile that is an argument, on standard input, or in an image.
func givenProfile(cmd *cobra.Command, f enrollFlags, args []string) (string, error) {
	switch {
	case f.qr == "-":
		return readQR(cmd.Context(), cmd.InOrStdin())
	case cmd.Flags().Changed("qr"):
		return readQRFile(cmd.Context(), f.qr)
	case args[0] == "-":
		line, err := command.Password(cmd.InOrStdin(), cmd.ErrOrStderr(), "Profile (ownline://…)", false)
		if errors.Is(err, command.ErrNothing) {
			err = ownline.Invalid("profile", "none came on standard input, where a line was expected that begins with ownline://; if another command was to print it, see what that says")
		}
		return line, err
	}
	return args[0], nil
}

// undoTime is how long the server has to remove a device again.
const undoTime = 10 * time.Second

// enrollNew makes a device and keeps its profile. When the profile can't be kept the device is
// removed again: nobody could ever knock with it.
func (a *app) enrollNew(cmd *cobra.Command, f enrollFlags, c *apiclient.Client) error {
	s, err := findSite(cmd.Context(), c, f.site)
	if err != nil {
		return err
	}
	f.name = cmp.Or(f.name, profile.NameFor(s.Name))
	if !f.replace {
		if err := a.profileStore().Free(f.name); err != nil {
			return err
		}
	}
	d, err := a.newDevice(cmd, c, s, f)
	if err != nil {
		return err
	}
	p, err := ownline.ParseProfile(d.Profile)
	if err == nil {
		err = a.keep(cmd, f, p)
	}
	if err == nil {
		return a.forgetTry()
	}
	// Also when somebody has given up meanwhile.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), undoTime)
	defer cancel()
	if undo := c.RemoveDevice(ctx, d.ID); undo != nil {
		return fmt.Errorf("%w; and the device %s could not be removed again: %w", err, d.Name, undo)
	}
	return errors.Join(err, a.forgetTry())
}

// try is what is being enrolled, written down before the device is made. There was none of that
// name then: if there is one when the next try begins, and nobody has its profile, it is of this
// try, which was cut short.
type try struct{ Site, Device string }

func (a *app) tryFile() string { return filepath.Join(a.dir, "enrolling.json") }

func (a *app) forgetTry() error {
	if err := os.Remove(a.tryFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// newDevice makes a device, or takes over the one that a try which was cut short has made. It
// refuses the name of another device that one has at the site: who enrolls a machine again would
// have two, and the old secret would count on.
func (a *app) newDevice(cmd *cobra.Command, c *apiclient.Client, s apiclient.Site, f enrollFlags) (made apiclient.Enrolled, err error) {
	ctx := cmd.Context()
	me, err := c.Me(ctx)
	if err != nil {
		return made, err
	}
	list, err := c.Devices(ctx, apiclient.DeviceQuery{User: me.ID})
	if err != nil {
		return made, err
	}
	now := try{s.ID, f.device}
	var before try
	if err := readJSON(a.tryFile(), &before); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return made, err
	}
	for _, d := range list {
		if d.Site == s.ID && d.Name == f.device && !d.Revoked {
			if before == now && d.LastKnock == nil && !a.keeps(d.ID) {
				fmt.Fprintf(cmd.ErrOrStderr(), "Taking over the device %s (%s), which a try that was cut short has made.\n", d.Name, shortID(d.ID))
				return c.RotateDevice(ctx, d.ID)
			}
			return made, ownline.Invalid("device", fmt.Sprintf("you have one called %s at %s (%s). To give it a new secret and keep that here: "+
				"`ownline devices rotate %s --no-qr | ownline enroll - --name %s --replace`. For another device, give another NAME",
				d.Name, s.Name, shortID(d.ID), shortID(d.ID), f.name))
		}
	}
	if err := writeJSON(a.tryFile(), now); err != nil {
		return made, err
	}
	return c.AddDevice(ctx, apiclient.NewDevice{Site: s.ID, Name: f.device})
}

// keeps reports whether the profile of a device is here, or may be.
func (a *app) keeps(device string) bool {
	all, err := a.profileStore().List()
	return err != nil || slices.ContainsFunc(all, func(k profile.Kept) bool {
		return k.Err != nil || k.Profile.Device.String() == device
	})
}

// keep saves a profile, and says where its secret is.
func (a *app) keep(cmd *cobra.Command, f enrollFlags, p ownline.Profile) error {
	f.name = cmp.Or(f.name, profile.NameFor(p.Name))
	store := a.profileStore()
	where, err := f.keyring.place(store)
	why := err
	err = store.Save(f.name, p, where, f.replace)
	if f.keyring == "auto" && where == profile.InKeyring && errors.Is(err, ownline.ErrUnavailable) {
		where, why = profile.InFile, err
		err = store.Save(f.name, p, where, f.replace)
	}
	if err != nil {
		return err
	}
	return a.print(cmd, showProfile(f.name, p, where), func(w io.Writer) error {
		fmt.Fprintf(w, "This machine can knock at %s now. Try: ownline knock --profile %s\n", p.Host, f.name)
		if where == profile.InKeyring {
			_, err := fmt.Fprintln(w, "The secret is in the system's keyring.")
			return err
		}
		fmt.Fprintf(w, "The secret is in a file that only you can read, in %s", store.Dir)
		if why != nil {
			fmt.Fprintf(w, ": %v", why)
		}
		_, err := fmt.Fprintln(w, ".")
		return err
	})
}

// keyringChoice says where a secret goes: auto, on or off.
type keyringChoice string

// String returns the choice.
func (c *keyringChoice) String() string { return string(*c) }

// Type names what is expected.
func (c *keyringChoice) Type() string { return "auto|on|off" }

// Set takes one of the three.
func (c *keyringChoice) Set(s string) error {
	switch s {
	case "auto", "on", "off":
		*c = keyringChoice(s)
		return nil
	}
	return errors.New("must be auto, on or off")
}

// place is where a secret goes; the error says why it does not go into the keyring although
// nobody forbids it.
func (c *keyringChoice) place(s profile.Store) (profile.Place, error) {
	switch *c {
	case "on":
		return profile.InKeyring, nil
	case "off":
		return profile.InFile, nil
	}
	if s.Keyring == nil {
		return profile.InFile, nil
	}
	if err := s.Keyring.Ready(); err != nil {
		return profile.InFile, err
	}
	return profile.InKeyring, nil
}
