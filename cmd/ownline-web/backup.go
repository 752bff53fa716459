package main

import (
	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/command"
	"github.com/ownline/ownline/internal/web"
)

func (a *app) backup() *cobra.Command {
	return &cobra.Command{
		Use: "backup FILE", Short: "Copy the database to a file",
		Long: `Copy the database, as it is at one moment, to a new file that only you may read. The server
may run meanwhile. The file is an SQLite database whatever yours is, so that it can be
restored into either kind. Secrets in it are sealed: keep the secret key file, too, and
somewhere else. Without it the backup can't be restored.`,
		Example: "  ownline-web backup /var/backups/ownline-$(date +%F)",
		Args:    command.Args("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(w *web.Web) error {
				if err := w.Backup(cmd.Context(), args[0]); err != nil {
					return err
				}
				return a.say(cmd, map[string]string{"file": args[0]}, "Copied to %s. Keep the secret key file as well, apart from it.", args[0])
			})
		},
	}
}

func (a *app) restore() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "restore FILE", Short: "Put a backup in the place of the database",
		Long: `Put a file that backup wrote in the place of the database: whole or not at all. Stop the
server first. The secret key file must be the one of the time of the backup.

Afterwards nobody is signed in, no session is open, invitations are revoked, and no knock
counts that was made before. Users, grants, devices and tokens are as they were: what was taken away since the
backup has to be taken away again. A database in a file that is replaced stays beside it,
with the ending .before-restore.`,
		Example: "  ownline-web restore /var/backups/ownline-2026-03-01\n  ownline-web restore --force /var/backups/ownline-2026-03-01",
		Args:    command.Args("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			if err := web.Restore(cmd.Context(), cfg, args[0], force); err != nil {
				return err
			}
			return a.say(cmd, map[string]string{"restored": args[0]}, "Restored from %s. Start the server now.", args[0])
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "also over a database that is not empty")
	return cmd
}
