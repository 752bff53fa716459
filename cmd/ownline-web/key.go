package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/command"
	"github.com/ownline/ownline/internal/web"
)

func (a *app) key() *cobra.Command {
	return group(&cobra.Command{Use: "key", Short: "Replace keys"}, a.keyRotate(), a.keyStatus())
}

func (a *app) keyRotate() *cobra.Command {
	var linkKey, now bool
	cmd := &cobra.Command{
		Use: "rotate", Short: "Replace the secret key, or the link key",
		Long: `Replace the key that seals secrets in the database: all of them are sealed anew, and the new
key takes the old one's place in its file. The server may run; it takes the new key up by
itself. Servers on other machines that share the database have to be brought the new file.

Backups that were made before need the old key. If it may have been stolen with a copy of
the database, the devices' secrets were stolen as well: rotate those, too.

With --link, replace the link key instead: the one by which cores know this web. The server
that runs tells each core of the new key, and goes over to it when all of them know. Cores
that are not connected are waited for; ` + "`ownline-web key status`" + ` names them. With --now they
are not waited for, and each of them has to be paired again: run ` + "`ownline-core pair`" + ` on its
router and ` + "`ownline-web site pair`" + ` here.`,
		Example: "  ownline-web key rotate\n  ownline-web key rotate --link\n  ownline-web key rotate --link --now",
		Args:    command.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if now && !linkKey {
				return command.Usagef("--now is for the link key; add --link")
			}
			return a.with(cmd.Context(), func(w *web.Web) error {
				if linkKey {
					return a.rotateLinkKey(cmd, w, now)
				}
				if err := w.RotateKey(cmd.Context()); err != nil {
					return err
				}
				return a.say(cmd, map[string]bool{"rotated": true}, "The secret key is new. Copy its file to where you keep it; backups of before need the old one.")
			})
		},
	}
	cmd.Flags().BoolVar(&linkKey, "link", false, "replace the key by which cores know this web")
	cmd.Flags().BoolVar(&now, "now", false, "with --link: don't wait for cores that don't know the new key")
	return cmd
}

// A server that runs and reaches all cores is done within this time.
const linkKeyWait = 3 * time.Second

func (a *app) rotateLinkKey(cmd *cobra.Command, w *web.Web, now bool) error {
	ctx := cmd.Context()
	lost, err := w.RotateLinkKey(ctx, now)
	if err != nil {
		return err
	}
	k, err := w.LinkKey(ctx)
	for end := time.Now().Add(linkKeyWait); err == nil && k.Next != "" && time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
		k, err = w.LinkKey(ctx)
	}
	if err != nil {
		return err
	}
	return a.print(cmd, struct {
		web.LinkKey
		PairAgain []string `json:"pair_again"` // names of sites
	}{k, lost}, func(out io.Writer) error {
		if len(lost) > 0 {
			_, err := fmt.Fprintf(out, "The link key is new. These sites' cores did not confirm that they know it: %s.\n"+
				"If one does not come back, run `ownline-core pair` on its router and `ownline-web site pair NAME CODE` here.\n", strings.Join(lost, ", "))
			return err
		}
		return writeLinkKey(out, k)
	})
}

func (a *app) keyStatus() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Tell how far the rotation of the link key is",
		Example: "  ownline-web key status",
		Args:    command.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(w *web.Web) error {
				k, err := w.LinkKey(cmd.Context())
				if err != nil {
					return err
				}
				return a.print(cmd, k, func(out io.Writer) error { return writeLinkKey(out, k) })
			})
		},
	}
}

func writeLinkKey(out io.Writer, k web.LinkKey) error {
	if k.Next == "" {
		_, err := fmt.Fprintf(out, "Cores know this web by the key %s. No other is to take its place.\n", k.Pin)
		return err
	}
	fmt.Fprintf(out, "The key %s is to take the place of %s when all cores know it.\n", k.Next, k.Pin)
	var rows [][]string
	for _, i := range k.Ignorant {
		rows = append(rows, []string{i.Site, "no", i.Why})
	}
	for _, name := range k.Known {
		rows = append(rows, []string{name, "yes", ""})
	}
	return command.Table(out, []string{"SITE", "KNOWS IT", "WHY NOT"}, rows, "There are no sites; the server goes over to it now.")
}
