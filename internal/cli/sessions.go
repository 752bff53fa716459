package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/apiclient"
	"github.com/ownline/ownline/internal/command"
	"github.com/ownline/ownline/internal/ownline"
)

// sessionFlags select sessions.
type sessionFlags struct {
	ended, watch                                bool
	service, site, device, user, reason, source string
	since, until                                string
	limit                                       int
}

func (a *app) sessions() *cobra.Command {
	var f sessionFlags
	var all bool
	cmd := &cobra.Command{
		Use: "sessions", Short: "List what is open, or was",
		Long: `List what is open, or with --ended what was, the newest first. --since and --until take a
time like 2026-03-01, 2026-03-01T12:00:00Z or 24h (ago), and are about when sessions opened.
What a device's knock by IPv4 and IPv6 has opened is one line, here and for close and extend; with
--json those are two. --watch prints what happens as it happens; with --json one session a line.`,
		Example: "  ownline sessions\n  ownline sessions --ended --service ssh --since 168h\n  ownline sessions --watch",
		Args:    command.Args(),
		RunE: a.asking(func(cmd *cobra.Command, _ []string, c *apiclient.Client) error {
			return a.listSessions(cmd, c, f, all)
		}),
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "everybody's (admin)")
	return cmd
}

func (f *sessionFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.ended, "ended", false, "those that are over")
	flags.BoolVar(&f.watch, "watch", false, "follow what happens until Ctrl-C")
	flags.StringVar(&f.service, "service", "", "only of this service")
	flags.StringVar(&f.site, "site", "", "only at this site")
	flags.StringVar(&f.device, "device", "", "only of this device")
	flags.StringVar(&f.user, "user", "", "only of this user (admin)")
	flags.StringVar(&f.reason, "reason", "", "only those that ended for it: expired, closed, replaced, revoked, failed or flushed")
	flags.StringVar(&f.source, "source", "", "only those that let this address in")
	flags.StringVar(&f.since, "since", "", "only those opened then or later")
	flags.StringVar(&f.until, "until", "", "only those opened before")
	flags.IntVar(&f.limit, "limit", 0, "at most so many (default: all that are open, 100 of those that are over)")
}

// query turns names into identifiers.
func (f *sessionFlags) query(ctx context.Context, c *apiclient.Client, all bool) (q apiclient.SessionQuery, err error) {
	q = apiclient.SessionQuery{State: "live", Reason: f.reason, Source: f.source, All: all, Limit: f.limit}
	if f.ended || f.reason != "" {
		q.State = "ended"
		if q.Limit == 0 {
			q.Limit = 100
		}
	}
	if f.limit < 0 {
		return q, command.Usagef("--limit: %d is less than nothing", f.limit)
	}
	if f.service != "" {
		s, err := findService(ctx, c, f.service)
		if err != nil {
			return q, err
		}
		q.Service = s.ID
	}
	if f.site != "" {
		s, err := findSite(ctx, c, f.site)
		if err != nil {
			return q, err
		}
		q.Site = s.ID
	}
	if f.device != "" {
		d, err := findDevice(ctx, c, f.device)
		if err != nil {
			return q, err
		}
		q.Device = d.ID
	}
	if f.user != "" {
		u, err := findUser(ctx, c, f.user)
		if err != nil {
			return q, err
		}
		q.User = u.ID
	}
	if q.From, err = parseTime("--since", f.since); err == nil {
		q.Until, err = parseTime("--until", f.until)
	}
	return q, err
}

// parseTime reads a time, or a duration as that long ago.
func parseTime(flag, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return time.Now().Add(-d), nil
	}
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(form, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, command.Usagef("%s: %q is neither a time like 2026-03-01T12:00:00Z nor a duration like 24h", flag, s)
}

func (a *app) listSessions(cmd *cobra.Command, c *apiclient.Client, f sessionFlags, all bool) error {
	q, err := f.query(cmd.Context(), c, all)
	if err != nil {
		return err
	}
	if f.watch {
		me, err := c.Me(cmd.Context())
		if err != nil {
			return err
		}
		return a.watch(cmd, c, func(s apiclient.Session) bool {
			return (all || q.User != "" || s.User == me.ID) && (q.User == "" || s.User == q.User) && (q.Service == "" || s.Service == q.Service) &&
				(q.Site == "" || s.Site == q.Site) && (q.Device == "" || s.Device == q.Device)
		})
	}
	list, err := c.Sessions(cmd.Context(), q)
	if err != nil {
		return err
	}
	head, empty := []string{"ID", "SERVICE", "AT", "FOR", "USER", "ENDS", "UP", "DOWN"}, "Nothing is open."
	if q.State == "ended" {
		head[5], empty = "ENDED", "No session has ended yet."
	}
	var rows [][]string
	for _, s := range actsOf(list) {
		when := command.When(s.Expires, time.Now())
		if s.Ended != nil {
			when = command.When(*s.Ended, time.Now()) + " " + s.Reason
		}
		rows = append(rows, []string{
			shortID(s.ID), s.SiteName + "/" + s.ServiceName, where(s.Session), s.sources(), s.UserName, when,
			command.Bytes(s.Traffic.UpBytes), command.Bytes(s.Traffic.DownBytes),
		})
	}
	return a.table(cmd, list, head, rows, empty)
}

// shortID is the end of an identifier: identifiers made at one time begin alike.
func shortID(id string) string { return id[max(len(id)-8, 0):] }

// findSessions finds the live sessions that an ID means: that one, or by the end of an ID all of a line
// of the list.
func findSessions(ctx context.Context, c *apiclient.Client, id string, all bool) (ids []string, err error) {
	if _, err := ownline.ParseID[ownline.Session](id); err == nil {
		return []string{id}, nil
	}
	if len(id) < 4 {
		return nil, command.Usagef("%q is too short for an ID", id)
	}
	list, err := c.Sessions(ctx, apiclient.SessionQuery{State: "live", All: all})
	if err != nil {
		return nil, err
	}
	for _, a := range actsOf(list) {
		ends := func(s apiclient.Session) bool { return strings.HasSuffix(s.ID, strings.ToLower(id)) }
		if !slices.ContainsFunc(a.parts, ends) {
			continue
		}
		if len(ids) > 0 {
			return nil, ownline.Invalid("session", "several end like this; give more of the ID")
		}
		for _, s := range a.parts {
			ids = append(ids, s.ID)
		}
	}
	if len(ids) == 0 {
		return nil, ownline.NotFound("session", id)
	}
	return ids, nil
}

// each does something with sessions, and returns what has become of them, as one.
func each(ids []string, do func(id string) (apiclient.Session, error)) (a act, err error) {
	for _, id := range ids {
		s, err := do(id)
		if err != nil {
			return a, err
		}
		a.parts = append(a.parts, s)
	}
	if a.Session = a.parts[0]; len(a.parts) == 2 {
		a = merge(a.parts[0], a.parts[1])
	}
	return a, nil
}

// sayAct says what has become of one; a program gets its sessions one after the other.
func (a *app) sayAct(cmd *cobra.Command, what act, format string, args ...any) error {
	if !a.json {
		return a.say(cmd, what.Session, format, args...)
	}
	for _, s := range what.parts {
		if err := a.say(cmd, s, ""); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) close() *cobra.Command { return a.closing(false) }

// closing ends a session; all: also another's.
func (a *app) closing(all bool) *cobra.Command {
	return &cobra.Command{
		Use: "close ID", Short: "End a session at once, with the connections that came through it",
		Long: `End a session at once, with the connections that came through it. The ID is that of
"ownline sessions": as it stands there it means all of its line, by IPv4 and IPv6; a whole one, as
--json has it, means that session alone.`,
		Example: "  ownline close 1f3a9c20",
		Args:    command.Args("ID"),
		RunE: a.asking(func(cmd *cobra.Command, args []string, c *apiclient.Client) error {
			ids, err := findSessions(cmd.Context(), c, args[0], all)
			if err != nil {
				return err
			}
			done := waiting(cmd, "Waiting for the router")
			s, err := each(ids, func(id string) (apiclient.Session, error) { return c.Close(cmd.Context(), id) })
			done()
			if err != nil {
				return err
			}
			return a.sayAct(cmd, s, "%s is closed for %s.", s.ServiceName, strings.ReplaceAll(s.sources(), "/32", ""))
		}),
	}
}

func (a *app) extend() *cobra.Command {
	var d time.Duration
	cmd := &cobra.Command{
		Use: "extend ID [--for 30m]", Short: "Let a session last longer, from now",
		Long: `Let a session last longer, from now. The ID is that of "ownline sessions": as it stands there it
means all of its line, by IPv4 and IPv6; a whole one, as --json has it, means that session alone.`,
		Example: "  ownline extend 1f3a9c20 --for 2h",
		Args:    command.Args("ID"),
		RunE: a.asking(func(cmd *cobra.Command, args []string, c *apiclient.Client) error {
			in := apiclient.Renewal{}
			if cmd.Flags().Changed("for") {
				if d <= 0 {
					return command.Usagef("--for: %s is not a time to come", d)
				}
				in.For = d.String()
			}
			ids, err := findSessions(cmd.Context(), c, args[0], false)
			if err != nil {
				return err
			}
			done := waiting(cmd, "Waiting for the router")
			s, err := each(ids, func(id string) (apiclient.Session, error) { return c.Renew(cmd.Context(), id, in) })
			done()
			if err != nil {
				return err
			}
			return a.sayAct(cmd, s, "%s is open for %s, and ends %s.", s.ServiceName, strings.ReplaceAll(s.sources(), "/32", ""), command.When(s.Expires, time.Now()))
		}),
	}
	cmd.Flags().DurationVar(&d, "for", 0, "how long from now (default: what the server says)")
	return cmd
}

func (a *app) flush() *cobra.Command {
	var all, yes bool
	cmd := &cobra.Command{
		Use: "flush", Short: "End all of your sessions at once", Args: command.Args(),
		RunE: a.asking(func(cmd *cobra.Command, _ []string, c *apiclient.Client) error {
			if all {
				if err := confirm(cmd, yes, "End everybody's sessions?"); err != nil {
					return err
				}
			}
			done := waiting(cmd, "Waiting for the router")
			n, err := c.Flush(cmd.Context(), all)
			done()
			if err != nil {
				return err
			}
			return a.say(cmd, n, "Sessions ended: %d", n.Ended)
		}),
	}
	cmd.Flags().BoolVar(&all, "all", false, "everybody's (admin)")
	yesFlag(cmd, &yes)
	return cmd
}
