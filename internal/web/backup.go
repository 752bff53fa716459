package web

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/store"
	"github.com/ownline/ownline/internal/wholefile"
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
	if err := wholefile.Folder(cfg.StateDir); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	err := store.Restore(ctx, store.RestoreOptions{
		File: file, Database: database(cfg), KeyFile: secretKeyFile(cfg), Force: force, Now: time.Now(), Audit: byCommand("database.restore", file),
	})
	if errors.Is(err, store.ErrNotEmpty) {
		if store.IsPostgres(database(cfg)) {
			return fmt.Errorf("%w: with --force the backup takes its place, and what is in it now is lost", err)
		}
		return fmt.Errorf("%w: with --force the backup takes its place, and it is kept as %s", err, store.BeforeRestore(database(cfg)))
	}
	return err
}

// RotateKey replaces the key that seals secrets in the database. A server that runs takes
// the new one up.
func (w *Web) RotateKey(ctx context.Context) error {
	return w.store.Rotate(ctx, byCommand("key.rotate", ""))
}

// LinkKey is how far the rotation of the link key is.
type LinkKey struct {
	Pin      string     `json:"pin"`            // of the key by which cores know web
	Next     string     `json:"next,omitempty"` // of the one that is to take its place; "": none is
	Ignorant []Ignorant `json:"ignorant"`       // sites whose cores don't know the next key yet
	Known    []string   `json:"known"`          // names of those whose cores do
}

// Ignorant is a site whose core does not know the next link key.
type Ignorant struct {
	Site string `json:"site"`
	Why  string `json:"why"`
}

// LinkKey tells how far the rotation of the link key is.
func (w *Web) LinkKey(ctx context.Context) (k LinkKey, err error) {
	keys, err := w.store.LinkKeys(ctx)
	if err != nil {
		return k, err
	}
	id, err := link.ParseIdentity(keys.Present)
	if err != nil {
		return k, err
	}
	k = LinkKey{Pin: string(id.Pin()), Ignorant: []Ignorant{}, Known: []string{}}
	if keys.Next == nil {
		return k, nil
	}
	if id, err = link.ParseIdentity(keys.Next); err != nil {
		return k, err
	}
	k.Next = string(id.Pin())
	sites, err := w.access.Sites(ctx, access.Command())
	for _, s := range sites {
		switch why, told := keys.Known[link.Pin(s.Pin)]; {
		case !told:
			k.Ignorant = append(k.Ignorant, Ignorant{s.Name, "it has not been told yet: the server tells it when they are connected"})
		case why != "":
			k.Ignorant = append(k.Ignorant, Ignorant{s.Name, why})
		default:
			k.Known = append(k.Known, s.Name)
		}
	}
	return k, err
}

// RotateLinkKey begins to replace the key by which cores know web, or goes on with that. A
// server that runs tells the cores, and goes over to the new key when all know it; with now,
// this does it without waiting for them, and returns the names of the sites whose cores did
// not say that they know.
func (w *Web) RotateLinkKey(ctx context.Context, now bool) (lost []string, err error) {
	if err := w.store.NextLinkKey(ctx, link.GenerateIdentity, byCommand("link_key.begin", "")); err != nil {
		return nil, err
	}
	lost = []string{}
	if !now {
		return lost, nil
	}
	_, ignorant, err := w.store.UseNextLinkKey(ctx, true, byCommand("link_key.use", ""))
	for _, s := range ignorant {
		lost = append(lost, s.Name)
	}
	return lost, err
}
