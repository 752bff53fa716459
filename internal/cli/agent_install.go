package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/agent/install"
	"github.com/ownline/ownline/internal/command"
)

func (a *app) agentInstall() *cobra.Command {
	var f agentFlags
	var system bool
	cmd := &cobra.Command{
		Use: "install [--system]", Short: "Have the agent started by the system, now and always",
		Long: `Make the agent a service of yours: a unit of systemd's for users, or a launchd agent. It starts
now, and whenever you sign in. As root, and on Windows and FreeBSD, it becomes a service of the
whole machine, which starts with it. Done again it is made anew: after an update, or with other
options.

The exit code is 1 when the service is written but the system could not be told of it; what is to
be run then is printed.`,
		Example: `  ownline agent install
  ownline agent install --profile home
  sudo ownline agent install --config-dir /etc/ownline/device`,
		Args: command.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			for _, name := range f.profiles {
				if _, _, err := a.profileStore().ChooseKept(name); err != nil {
					return err
				}
			}
			o, err := a.installOptions(cmd, system)
			if err != nil {
				return err
			}
			o.Arguments = f.arguments(o.Dir)
			if err := os.MkdirAll(o.Dir, 0o700); err != nil {
				return err
			}
			r, err := install.Install(o)
			if err != nil {
				return err
			}
			names, _ := a.profileStore().Names() // damaged ones are the agent's to tell
			return a.installed(cmd, r, func(w io.Writer) {
				if r.Done {
					fmt.Fprintln(w, "The agent runs. `ownline agent status` shows what it does.")
				}
				if len(names) == 0 {
					fmt.Fprintln(w, "There is no profile yet. `ownline enroll -` makes one, and the agent will notice.")
				}
			})
		},
	}
	f.add(cmd)
	addSystem(cmd, &system)
	return cmd
}

func (a *app) agentUninstall() *cobra.Command {
	var system bool
	cmd := &cobra.Command{
		Use: "uninstall [--system]", Short: "Stop the agent and have it started no more",
		Long: `Undo what install did. Profiles stay, and what is open ends by itself.

Where the system can't be told, the service is removed all the same, and what makes the system
forget it is printed. The exit code is 1 only when an agent still runs then.`,
		Example: `  ownline agent uninstall`,
		Args:    command.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := a.installOptions(cmd, system)
			if err != nil {
				return err
			}
			r, err := install.Uninstall(o)
			if err != nil {
				return err
			}
			if !r.Before {
				return a.print(cmd, r, func(w io.Writer) error {
					_, err := fmt.Fprintln(w, "It is not installed.")
					return err
				})
			}
			runs := false
			if !r.Done {
				if _, runs, err = a.agentFolder().Read(); !runs && err != nil {
					return err
				}
			}
			return a.uninstalled(cmd, r, runs, o.System)
		},
	}
	addSystem(cmd, &system)
	return cmd
}

func addSystem(cmd *cobra.Command, system *bool) {
	cmd.Flags().BoolVar(system, "system", false, "a service of the whole machine (default: as root, and where there is no other kind; --system=false: not so)")
}

func (a *app) installOptions(cmd *cobra.Command, system bool) (o install.Options, err error) {
	if o.Dir, err = filepath.Abs(a.dir); err != nil {
		return o, err
	}
	if o.Program, err = os.Executable(); err != nil {
		return o, err
	}
	if o.System = system; !cmd.Flags().Changed("system") {
		o.System = os.Geteuid() == 0 || install.OnlySystem()
	}
	return o, nil
}

// arguments are those that run the agent with the same flags.
func (f *agentFlags) arguments(dir string) []string {
	args := []string{"agent", "run", "--config-dir", dir}
	for _, p := range f.profiles {
		args = append(args, "--profile", p)
	}
	for _, s := range f.claimBy {
		args = append(args, "--address-from", s)
	}
	if f.level != "info" {
		args = append(args, "--log-level", f.level)
	}
	return args
}

// installed prints what was done, and what is left for the user to do.
func (a *app) installed(cmd *cobra.Command, r install.Result, more func(io.Writer)) error {
	err := a.print(cmd, r, func(w io.Writer) error {
		if r.File != "" {
			fmt.Fprintf(w, "Written: %s\n", r.File)
		}
		more(w)
		if !r.Done {
			fmt.Fprintf(w, "The system could not be told (%s). Where it can, run:\n", r.Reason)
			for _, line := range r.Run {
				fmt.Fprintln(w, "  "+line)
			}
		}
		return nil
	})
	if err == nil && !r.Done {
		err = &command.ExitError{Code: command.ExitFailed}
	}
	return err
}

// uninstalled prints what was removed, and what is left for the user to do. That the system
// could not be told is no failure, unless an agent runs on.
func (a *app) uninstalled(cmd *cobra.Command, r install.Result, runs, machine bool) error {
	if runs {
		r.Run = append([]string{install.StopByHand(machine)}, r.Run...)
	}
	err := a.print(cmd, r, func(w io.Writer) error {
		if r.File != "" {
			fmt.Fprintf(w, "Removed: %s\n", r.File)
		}
		switch {
		case r.Done:
			_, err := fmt.Fprintln(w, "The agent is stopped and removed.")
			return err
		case runs:
			fmt.Fprintf(w, "The system could not be told (%s), and an agent still runs. To end it, run:\n", r.Reason)
		default:
			fmt.Fprintf(w, "The agent does not run, and starts no more. The system could not be told (%s); where it can, this makes it forget at once:\n", r.Reason)
		}
		for _, line := range r.Run {
			fmt.Fprintln(w, "  "+line)
		}
		return nil
	})
	if err == nil && runs {
		err = &command.ExitError{Code: command.ExitFailed}
	}
	return err
}
