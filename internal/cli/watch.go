package cli

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/apiclient"
	"github.com/ownline/ownline/internal/command"
)

// watch prints a line for every session that opens, changes or ends, until it is stopped;
// pick says which. With --json every line is one session.
func (a *app) watch(cmd *cobra.Command, c *apiclient.Client, pick func(apiclient.Session) bool) error {
	talk := func(format string, args ...any) {
		if !a.json {
			fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...)
		}
	}
	wait := func(err error) { talk("%v; trying again", err) }
	seen := map[string]apiclient.Session{}
	talk("Watching. Ctrl-C ends it.")
	err := c.Events(cmd.Context(), wait, func(ev apiclient.Event) error {
		switch ev.Kind {
		case "reset":
			talk("Some events were missed.")
			return nil
		case "session":
		default:
			return nil
		}
		var s apiclient.Session
		if err := json.Unmarshal(ev.Data, &s); err != nil {
			return fmt.Errorf("the server sent an event that is not one of Ownline's: %w", err)
		}
		was := seen[s.ID]
		if seen[s.ID] = s; s.Ended != nil {
			delete(seen, s.ID)
		}
		if !pick(s) {
			return nil
		}
		if a.json {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(s)
		}
		_, err := fmt.Fprintln(cmd.OutOrStdout(), told(s, was))
		return err
	})
	if cmd.Context().Err() != nil {
		return nil // Ctrl-C is how this ends
	}
	return err
}

// told says in a line what has become of a session.
func told(s, was apiclient.Session) string {
	what := s.State
	switch {
	case s.Ended != nil:
		what = "ended, " + s.Reason
	case was.ID != "" && s.Expires.After(was.Expires):
		what = "renewed"
	case was.ID != "" && was.State == s.State:
		what = fmt.Sprintf("%s up, %s down", command.Bytes(s.Traffic.UpBytes), command.Bytes(s.Traffic.DownBytes))
	}
	who := s.UserName
	if s.DeviceName != "" {
		who += "/" + s.DeviceName
	}
	until := ""
	if s.Ended == nil {
		until = ", until " + s.Expires.Local().Format("15:04:05")
	}
	return fmt.Sprintf("%s  %s  %s/%s at %s for %s of %s: %s%s", time.Now().Format("15:04:05"), shortID(s.ID), s.SiteName, s.ServiceName,
		where(s), s.Source, who, what, until)
}
