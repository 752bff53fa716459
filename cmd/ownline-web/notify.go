package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/command"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web"
)

func (a *app) notify() *cobra.Command {
	return group(&cobra.Command{Use: "notify", Short: "List and test the channels for notifications"}, a.notifyList(), a.notifyTest())
}

func (a *app) notifyList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the channels that web.yaml names, without their addresses", Args: command.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(w *web.Web) error {
				list := w.Notify().Channels()
				return a.print(cmd, views(list), func(out io.Writer) error {
					var rows [][]string
					for _, c := range list {
						events := make([]string, len(c.Events))
						for i, e := range c.Events {
							events[i] = string(e)
						}
						told := strings.Join(events, " ")
						if len(events) == len(ownline.NewsKinds()) {
							told = "all"
						}
						rows = append(rows, []string{c.Name, c.Service, told})
					}
					return command.Table(out, []string{"CHANNEL", "SERVICE", "EVENTS"}, rows, "There are no channels. The key notify of web.yaml names them.")
				})
			})
		},
	}
}

// tested is what became of a test message.
type tested struct {
	Name      string `json:"name"`
	Delivered bool   `json:"delivered"`
	Error     string `json:"error,omitempty"`
}

func (a *app) notifyTest() *cobra.Command {
	return &cobra.Command{
		Use: "test [NAME]", Short: "Send a test message by one channel, or by each",
		Long: `Send a test message by the channel of that name, or by every channel, and tell whether the
service took it. It uses web.yaml as it is now; a server that runs uses it as it was when the
server was started. Exits with 1 when a message was not delivered.`,
		Example: "  ownline-web notify test\n  ownline-web notify test telegram --json",
		Args:    command.Args("[NAME]"),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) (names []cobra.Completion, _ cobra.ShellCompDirective) {
			if len(args) == 0 {
				_ = a.with(cmd.Context(), func(w *web.Web) error { // without names, nothing is proposed
					for _, c := range w.Notify().Channels() {
						names = append(names, c.Name)
					}
					return nil
				})
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(w *web.Web) error {
				names := args
				if len(names) == 0 {
					for _, c := range w.Notify().Channels() {
						names = append(names, c.Name)
					}
				}
				if len(names) == 0 {
					return ownline.Invalid("notify", "there are no channels; the key notify of web.yaml names them")
				}
				results, failed := make([]tested, 0, len(names)), 0
				for _, name := range names {
					err := w.Notify().Test(cmd.Context(), name)
					r := tested{Name: name, Delivered: err == nil}
					switch {
					case errors.Is(err, ownline.ErrUnavailable):
						r.Error = err.Error()
						failed++
					case err != nil:
						return err
					}
					results = append(results, r)
				}
				err := a.print(cmd, results, func(out io.Writer) error {
					for _, r := range results {
						what := "delivered"
						if !r.Delivered {
							what = "not delivered: " + r.Error
						}
						if _, err := fmt.Fprintf(out, "%s: %s\n", r.Name, what); err != nil {
							return err
						}
					}
					return nil
				})
				if err == nil && failed > 0 {
					err = fmt.Errorf("%d of %d test messages were not delivered", failed, len(results))
				}
				return err
			})
		},
	}
}
