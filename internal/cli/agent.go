package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/ownline/ownline/internal/agent"
	"github.com/ownline/ownline/internal/agent/install"
	"github.com/ownline/ownline/internal/agent/watch"
	"github.com/ownline/ownline/internal/command"
	"github.com/ownline/ownline/internal/logging"
)

type agentFlags struct {
	profiles []string
	claimBy  []string
	level    string
}

func (a *app) agent() *cobra.Command {
	cmd := &cobra.Command{
		Use: "agent", Short: "Keep what is yours open, wherever this machine is",
		Long: `The agent knocks by itself: every quarter of an hour at the latest and always before the
sessions end, and at once when the network has changed or the machine has slept. It does so
for all profiles. Between knocks it sleeps.`,
		Example: `  ownline agent install
  ownline agent status
  ownline agent run --profile home`,
	}
	cmd.AddCommand(a.agentRun(), a.agentStatus(), a.agentInstall(), a.agentUninstall())
	return cmd
}

func (f *agentFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&f.profiles, "profile", nil, "which profile; may be repeated (default: all, those to come too)")
	flags.StringSliceVar(&f.claimBy, "address-from", nil, "https:// or stun:HOST:PORT that tells this machine its public address, for devices that must name it; may be repeated")
	flags.StringVar(&f.level, "log-level", "info", "debug, info, warn or error")
}

// check refuses what an agent could not run with.
func (f *agentFlags) check() error {
	if _, err := logging.New(io.Discard, f.level, "text"); err != nil {
		return command.Usagef("--log-level: %w", err)
	}
	for _, s := range f.claimBy {
		if !strings.HasPrefix(s, "https://") && !strings.HasPrefix(s, "stun:") {
			return command.Usagef("--address-from: %q is neither https:// nor stun:HOST:PORT", s)
		}
	}
	return nil
}

func (a *app) agentFolder() agent.Folder { return agent.Folder(filepath.Join(a.dir, "agent")) }

func (a *app) agentRun() *cobra.Command {
	var f agentFlags
	cmd := &cobra.Command{
		Use: "run [--profile NAME]", Short: "Knock again and again, until it is stopped",
		Long: `Run the agent here. It speaks on standard error, and stops at Ctrl-C or SIGTERM; what is open
then ends by itself. Profiles that are added, changed or removed are noticed.`,
		Example: `  ownline agent run
  ownline agent run --profile home --profile office --log-level debug`,
		Args: command.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return install.Run(cmd.Context(), cmd.ErrOrStderr(), func(ctx context.Context, log io.Writer) error {
				return a.runAgent(ctx, f, log)
			})
		},
	}
	f.add(cmd)
	return cmd
}

func (a *app) runAgent(ctx context.Context, f agentFlags, talk io.Writer) error {
	if err := f.check(); err != nil {
		return err
	}
	log, err := logging.New(talk, f.level, "text")
	if err != nil {
		return err
	}
	store := a.profileStore()
	for _, name := range f.profiles {
		if _, err := store.Load(name); err != nil {
			return err
		}
	}
	folder := a.agentFolder()
	release, err := folder.Take(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = release() }() // ending the program does the same
	reload := make(chan struct{}, 1)
	tell := func() {
		select {
		case reload <- struct{}{}:
		default: // it is about to look
		}
	}
	keeper := agent.New(agent.Options{
		Profiles: store, Only: f.profiles, Watch: watch.Watch{Log: log}, Reload: reload,
		ClaimBy: f.claimBy, Keep: folder.Write, Log: log,
	})
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return keeper.Run(ctx) })
	g.Go(func() error { return onHangUp(ctx, tell) })
	g.Go(func() error {
		if err := store.Watch(ctx, tell); err != nil {
			log.Warn("new profiles are noticed late, or when SIGHUP comes", logging.Err, err)
		}
		return nil
	})
	return g.Wait()
}

// onHangUp tells of the signal by which programs are asked to read their settings anew.
func onHangUp(ctx context.Context, tell func()) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	defer signal.Stop(signals)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-signals:
			tell()
		}
	}
}

// agentStatus is what `agent status` prints.
type agentStatus struct {
	Running bool `json:"running"`
	agent.State
}

func (a *app) agentStatus() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show the agent's last knocks, what is open and when it knocks next",
		Long: `Show what the agent did last for each profile, what is open until when, and when it knocks
next. The exit code is 0 when an agent runs, and 1 when none does.`,
		Example: `  ownline agent status
  ownline agent status --json`,
		Args: command.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, runs, err := a.agentFolder().Read()
			if err != nil {
				return err
			}
			if err := a.print(cmd, agentStatus{runs, s}, func(w io.Writer) error { return printAgent(w, s, runs, time.Now()) }); err != nil {
				return err
			}
			if !runs {
				return &command.ExitError{Code: command.ExitFailed}
			}
			return nil
		},
	}
}

func printAgent(w io.Writer, s agent.State, runs bool, now time.Time) error {
	switch {
	case runs:
		fmt.Fprintf(w, "The agent runs, since %s.\n", command.When(s.Started, now))
	case s.Started.IsZero():
		_, err := fmt.Fprintln(w, "The agent does not run, and never did. `ownline agent install` makes it start by itself.")
		return err
	case s.Stopped.IsZero():
		fmt.Fprintln(w, "The agent does not run. It ended without a word; this is how things stood then:")
	default:
		fmt.Fprintf(w, "The agent does not run. It was stopped %s.\n", command.When(s.Stopped, now))
	}
	var rows [][]string
	for _, p := range s.Profiles {
		row := []string{p.Name, "", "", "", "", ""}
		if k := p.Last; k != nil {
			row[1], row[2], row[3] = command.When(k.Time, now), k.Way, k.Status
			if k.Failed > 1 {
				row[3] += fmt.Sprintf(" (%d times)", k.Failed)
			}
		}
		var open []string
		for _, o := range p.Open {
			if !o.Until.IsZero() && !o.Until.After(now) {
				continue
			}
			open = append(open, fmt.Sprintf("%d for %s until %s", o.Sessions, o.Source, command.When(o.Until, now)))
		}
		row[4] = strings.Join(open, ", ")
		if runs {
			row[5] = command.When(p.Next, now)
		}
		rows = append(rows, row)
	}
	if err := command.Table(w, []string{"PROFILE", "LAST KNOCK", "WAY", "ANSWER", "OPEN", "NEXT KNOCK"}, rows, "There are no profiles. `ownline enroll -` makes one."); err != nil {
		return err
	}
	for _, p := range s.Profiles {
		if p.Error != "" {
			fmt.Fprintf(w, "%s can't be used: %s\n", p.Name, p.Error)
		}
		if p.Last != nil && p.Last.Error != "" {
			fmt.Fprintf(w, "%s: %s\n", p.Name, p.Last.Error)
		}
	}
	return nil
}
