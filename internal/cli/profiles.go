package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/agent/profile"
	"github.com/ownline/ownline/internal/command"
	"github.com/ownline/ownline/internal/ownline"
)

// shownProfile is a profile without its secret.
type shownProfile struct {
	Name     string `json:"name"`
	Host     string `json:"host,omitempty"`
	Port     uint16 `json:"port,omitempty"`
	Site     string `json:"site,omitempty"`
	Device   string `json:"device,omitempty"`
	SiteName string `json:"site_name,omitempty"`
	Secret   string `json:"secret,omitempty"` // "file" or "keyring"
	Error    string `json:"error,omitempty"`  // why it can't be used
}

func showProfile(name string, p ownline.Profile, secret profile.Place) shownProfile {
	return shownProfile{Name: name, Host: p.Host, Port: p.Port, Site: p.Site.String(), Device: p.Device.String(), SiteName: p.Name, Secret: string(secret)}
}

func (a *app) profiles() *cobra.Command {
	cmd := &cobra.Command{
		Use: "profiles", Short: "List what this machine can knock with",
		Long: `List what this machine can knock with, and where the secret of each is: in its file, or in the
system's keyring. The keyring itself is not asked.`,
		Example: "  ownline profiles\n  ownline profiles move home keyring\n  ownline profiles remove home",
		Args:    command.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := a.profileStore().List()
			if err != nil {
				return err
			}
			shown := []shownProfile{}
			var rows [][]string
			for _, k := range list {
				if k.Err != nil {
					shown = append(shown, shownProfile{Name: k.Name, Error: k.Err.Error()})
					rows = append(rows, []string{k.Name, "", "", "", k.Err.Error()})
					continue
				}
				shown = append(shown, showProfile(k.Name, k.Profile, k.Secret))
				rows = append(rows, []string{k.Name, k.Profile.Host, fmt.Sprint(k.Profile.Port), k.Profile.Name, string(k.Secret)})
			}
			return a.print(cmd, shown, func(w io.Writer) error {
				return command.Table(w, []string{"PROFILE", "HOST", "PORT", "SITE", "SECRET IN"}, rows, "There is none. `ownline enroll -` makes one.")
			})
		},
	}
	return group(cmd, a.profilesMove(), a.profilesRemove())
}

func (a *app) profilesMove() *cobra.Command {
	return &cobra.Command{
		Use: "move NAME keyring|file", Short: "Put the secret of a profile into the system's keyring, or into its file",
		Long: `Put the secret of a profile into the system's keyring, or back into the profile's file, which
only you can read. It is where it was until it is where it shall be.`,
		Example: "  ownline profiles move home keyring\n  ownline profiles move home file",
		Args:    command.Args("NAME", "keyring or file"),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, s string) ([]string, cobra.ShellCompDirective) {
			switch len(args) {
			case 0:
				return a.completeProfile(cmd, args, s)
			case 1:
				return []string{string(profile.InKeyring), string(profile.InFile)}, cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			to := profile.Place(args[1])
			if to != profile.InKeyring && to != profile.InFile {
				return command.Usagef("%q is neither keyring nor file", args[1])
			}
			if err := a.profileStore().Move(args[0], to); err != nil {
				return err
			}
			text := "The secret of %s is in the system's keyring now."
			if to == profile.InFile {
				text = "The secret of %s is in its file now, which only you can read."
			}
			return a.say(cmd, map[string]string{"name": args[0], "secret": args[1]}, text, args[0])
		},
	}
}

func (a *app) profilesRemove() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "remove NAME", Short: "Forget a profile and its secret",
		Long: `Forget a profile and its secret, wherever it is. The server knows nothing of it: the device
stays there until ` + "`ownline devices remove`" + `.`,
		Example:           "  ownline profiles remove home",
		Args:              command.Args("NAME"),
		ValidArgsFunction: a.completeProfile,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := confirm(cmd, yes, "Forget the profile %s and its secret?", args[0]); err != nil {
				return err
			}
			if err := a.profileStore().Remove(args[0]); err != nil {
				return err
			}
			return a.say(cmd, gone{args[0]}, "%s was forgotten.", args[0])
		},
	}
	yesFlag(cmd, &yes)
	return cmd
}

// completeProfile offers the names of profiles.
func (a *app) completeProfile(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 || a.findDir() != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names, err := a.profileStore().Names()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeProfileFlag offers them as the value of a flag, whatever the arguments are.
func (a *app) completeProfileFlag(cmd *cobra.Command, _ []string, s string) ([]string, cobra.ShellCompDirective) {
	return a.completeProfile(cmd, nil, s)
}

// mustComplete offers values for a flag.
func mustComplete(cmd *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err) // there is no such flag
	}
}
