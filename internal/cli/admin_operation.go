package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/apiclient"
	"github.com/ownline/ownline/internal/command"
)

func (a *app) adminNotifications() *cobra.Command {
	return group(&cobra.Command{Use: "notifications", Short: "See how the channels for notifications are, and test them"},
		a.notificationsStatus(), a.notificationsTest())
}

func (a *app) notificationsStatus() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "List the channels of the server that runs, and how they are", Args: command.Args(),
		RunE: a.asking(func(cmd *cobra.Command, _ []string, c *apiclient.Client) error {
			list, err := c.Notifications(cmd.Context())
			if err != nil {
				return err
			}
			var rows [][]string
			for _, n := range list {
				state := "good"
				switch {
				case n.Failing:
					state = "failing: " + n.Error
				case n.Error != "":
					state = "trying again: " + n.Error
				}
				rows = append(rows, []string{n.Name, n.Service, strconv.FormatUint(n.Sent, 10), strconv.FormatUint(n.Lost, 10), strconv.Itoa(n.Waiting), maybe(n.LastSuccess), state})
			}
			return a.table(cmd, list, []string{"CHANNEL", "SERVICE", "SENT", "LOST", "WAITING", "LAST SENT", "STATE"}, rows, "There is none. The key notify of web.yaml names them.")
		}),
	}
}

func (a *app) notificationsTest() *cobra.Command {
	return &cobra.Command{
		Use: "test NAME", Short: "Send a test message by a channel, and tell whether it was delivered", Args: command.Args("NAME"),
		Long:    "Send a test message by a channel, and tell whether it was delivered. Exits with 1 when it was not.",
		Example: "  ownline admin notifications test telegram",
		ValidArgsFunction: a.completing(func(ctx context.Context, c *apiclient.Client) (names []string, err error) {
			list, err := c.Notifications(ctx)
			for _, n := range list {
				names = append(names, n.Name)
			}
			return names, err
		}),
		RunE: a.asking(func(cmd *cobra.Command, args []string, c *apiclient.Client) error {
			done := waiting(cmd, "Waiting for the service")
			d, err := c.TestNotification(cmd.Context(), args[0])
			done()
			if err != nil {
				return err
			}
			if d.Delivered {
				return a.say(cmd, d, "%s: delivered", args[0])
			}
			if a.json {
				if err := command.PrintJSON(cmd.OutOrStdout(), d); err != nil {
					return err
				}
			}
			return errors.New("not delivered: " + d.Error)
		}),
	}
}

func (a *app) adminBroker() *cobra.Command {
	return &cobra.Command{
		Use: "broker", Short: "Tell how the server's MQTT brokers do", Args: command.Args(),
		RunE: a.asking(func(cmd *cobra.Command, _ []string, c *apiclient.Client) error {
			b, err := c.Broker(cmd.Context())
			if err != nil {
				return err
			}
			return a.say(cmd, b, "%s", strings.Join(brokers(b), "\n"))
		}),
	}
}

// brokers says how they do, a line for each.
func brokers(b apiclient.Broker) (lines []string) {
	since := func(at *time.Time) string {
		if at == nil {
			return ""
		}
		return " since " + command.When(*at, time.Now())
	}
	switch {
	case b.Connected:
		lines = append(lines, "Connected"+since(b.Since)+".")
	case b.Configured:
		lines = append(lines, "Not connected"+since(b.Since)+strings.TrimSuffix(": "+b.Error, ": ")+".")
	}
	if e := b.Embedded; e != nil && e.Serving {
		lines = append(lines, fmt.Sprintf("The embedded broker serves%s, and has %d clients now.", since(e.Since), e.Clients))
	} else if e != nil {
		lines = append(lines, "The embedded broker does not serve.")
	}
	if e := b.Embedded; e != nil && e.LastRefused != nil {
		lines = append(lines, fmt.Sprintf("It has turned away %d wrong logins, the last %s from %s.", e.RefusedLogins, command.When(*e.LastRefused, time.Now()), e.RefusedFrom))
	}
	if b.Embedded != nil && b.Embedded.Certificate != nil {
		lines = append(lines, certificateLine(*b.Embedded.Certificate, time.Now()))
	}
	if len(lines) == 0 {
		lines = append(lines, "None is configured. The key mqtt of web.yaml names one.")
	}
	return lines
}

func certificateLine(c apiclient.BrokerCertificate, now time.Time) string {
	line := "It has no certificate, and nobody gets in"
	switch {
	case c.Expires != nil && c.Expires.Before(now):
		line = "Its certificate expired " + command.When(*c.Expires, now) + ", and nobody gets in"
	case c.Expires != nil:
		line = "Its certificate expires " + command.When(*c.Expires, now)
	}
	if c.Problem != "" {
		line += ": " + c.Problem
	}
	if c.Next != nil {
		line += ". The next try is " + command.When(*c.Next, now)
	}
	return line + "."
}

func (a *app) servicesIcon() *cobra.Command {
	return group(&cobra.Command{
		Use: "icon", Short: "Choose or upload the icon of a service, or take it away",
	}, a.iconSet(), a.iconUpload(), a.iconRemove())
}

// changeIcon has the icon of the service that the first argument names changed.
func (a *app) changeIcon(change func(ctx context.Context, c *apiclient.Client, id string, args []string) (apiclient.Service, error)) func(*cobra.Command, []string) error {
	return a.asking(func(cmd *cobra.Command, args []string, c *apiclient.Client) error {
		s, err := findService(cmd.Context(), c, args[0])
		if err != nil {
			return err
		}
		if s, err = change(cmd.Context(), c, s.ID, args); err != nil {
			return err
		}
		if s.Icon == "" {
			return a.say(cmd, s, "%s has no icon now.", s.Name)
		}
		return a.say(cmd, s, "%s has another icon.", s.Name)
	})
}

func chooseIcon(ctx context.Context, c *apiclient.Client, id, icon string) (apiclient.Service, error) {
	return c.ChangeService(ctx, id, apiclient.ServiceChange{Icon: &icon})
}

func (a *app) iconSet() *cobra.Command {
	return &cobra.Command{
		Use: "set SERVICE NAME", Short: "Choose one of the icons that the pages have", Args: command.Args("SERVICE", "NAME"),
		Example:           "  ownline admin services icon set ssh terminal",
		ValidArgsFunction: a.completing(serviceNames),
		RunE: a.changeIcon(func(ctx context.Context, c *apiclient.Client, id string, args []string) (apiclient.Service, error) {
			return chooseIcon(ctx, c, id, args[1])
		}),
	}
}

// largestPicture is as much as the server takes, in bytes.
const largestPicture = 256 << 10

func (a *app) iconUpload() *cobra.Command {
	cmd := &cobra.Command{
		Use: "upload SERVICE FILE", Short: "Give a service a picture of its own: a PNG, JPEG, WebP or SVG", Args: command.Args("SERVICE", "FILE"),
		Long: `Give a service a picture of its own: a PNG, JPEG or WebP of at most 512 pixels a side, or an SVG. The
server writes it anew, so that only what can be drawn stays of it.`,
		Example: "  ownline admin services icon upload nas nas.svg",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return []string{"png", "webp", "svg"}, cobra.ShellCompDirectiveFilterFileExt
			}
			return a.completing(serviceNames)(cmd, args, toComplete)
		},
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		info, err := os.Stat(args[1])
		if err != nil {
			return err
		}
		if info.Size() > largestPicture {
			return fmt.Errorf("%s is too large: %s, and %s are taken at most", args[1], command.Bytes(uint64(info.Size())), command.Bytes(largestPicture))
		}
		picture, err := os.ReadFile(args[1])
		if err != nil {
			return err
		}
		return a.changeIcon(func(ctx context.Context, c *apiclient.Client, id string, _ []string) (apiclient.Service, error) {
			return c.SetIcon(ctx, id, picture)
		})(cmd, args)
	}
	return cmd
}

func (a *app) iconRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove SERVICE", Short: "Take the icon of a service away", Args: command.Args("SERVICE"),
		ValidArgsFunction: a.completing(serviceNames),
		RunE: a.changeIcon(func(ctx context.Context, c *apiclient.Client, id string, _ []string) (apiclient.Service, error) {
			return chooseIcon(ctx, c, id, "")
		}),
	}
}
