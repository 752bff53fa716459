package web

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/store"
)

// byCommand is the line of the audit log for what a command does with the database whole.
func byCommand(action, subject string) ownline.AuditEntry {
	return ownline.AuditEntry{At: time.Now(), By: "command", Action: action, Subject: subject}
}

// Backup writes a copy of the database to a new file, also beside a server that runs.
func (w *Web) Backup(ctx context.Context, file string) error {
	if err := w.store.Backup(ctx, file); err != nil {
		return err
	}
	return w.store.Audit(ctx, byCommand("database.backup", file))
}

// Restore puts a backup in the place of the database, while no server runs.
func Restore(ctx context.Context, cfg config.Web, file string, force bool) error {
	if err := os.MkdirAll(cfg.StateDir, 0o700); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	err := store.Restore(ctx, store.RestoreOptions{
		File: file, Database: database(cfg), KeyFile: secretKeyFile(cfg), Force: force, Now: time.Now(), Audit: byCommand("database.restore", file),
	})
	if errors.Is(err, store.ErrNotEmpty) {
		return fmt.Errorf("%w: with --force the backup takes its place, and what is in it now is lost", err)
	}
	return err
}

// RotateKey replaces the key that seals secrets in the database. A server that runs takes
// the new one up.
func (w *Web) RotateKey(ctx context.Context) error {
	return w.store.Rotate(ctx, byCommand("key.rotate", ""))
}
