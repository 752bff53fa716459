package main

import (
	"errors"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/command"
	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/systemd"
	"github.com/ownline/ownline/internal/web"
)

func (a *app) serve() *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the server",
		Long: `Run the server until it is told to stop. While there are no users, it makes a one-time URL
with which the first admin is made in the browser: shown when this is a terminal, else
written to a file whose path is logged.`,
		Example: "  ownline-web serve\n  ownline-web serve --config web.yaml --check",
		Args:    command.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			if check {
				if err := web.Check(cfg); err != nil {
					return err
				}
				return a.say(cmd, map[string]bool{"ok": true}, "The configuration is good.")
			}
			log, err := logging.New(cmd.ErrOrStderr(), cfg.Log.Level, cfg.Log.Format)
			if err != nil {
				return err
			}
			return serve(cmd, cfg, log)
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "only check the configuration")
	return cmd
}

func serve(cmd *cobra.Command, cfg config.Web, log *slog.Logger) (err error) {
	ctx := cmd.Context()
	w, err := web.Open(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	o := web.ServeOptions{}
	if o.Manager, err = systemd.FromEnvironment(os.LookupEnv); err != nil {
		return err
	}
	if f, ok := cmd.OutOrStdout().(*os.File); ok && command.IsTerminal(f) {
		o.Terminal = f
	}
	return w.Serve(ctx, o)
}
